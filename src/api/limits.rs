//! How many requests each client may make, and the headers that say so.
//!
//! A client is a key, or else the network address of the peer: what a request claims of itself in
//! `X-Forwarded-For` counts for nothing. A minute's requests may not all come at once, but a burst
//! of [`BURST`] may; what was used comes back evenly (the generic cell rate algorithm).

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

/// How many requests may come at once, or a second's allowance where that is more.
pub const BURST: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
/// How many requests with a bad key an address may make in a minute.
const BAD_KEYS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).unwrap();

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_RATE_LIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

type Limiter = RateLimiter<Client, DashMapStateStore<Client>, DefaultClock, StateInformationMiddleware>;

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// A key, by its number.
    Key(i64),
    V4(Ipv4Addr),
    /// The first half of an address: the other half is the client's own to choose.
    V6(u64),
}

impl Client {
    /// The client at an address.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// Where a client stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How many more may come at once.
    remaining: u32,
    /// Until all that may come at once may come again; for a refused request until the next may.
    seconds: u32,
    refused: bool,
}

impl Standing {
    /// Seconds to wait if the request is refused.
    #[must_use]
    pub fn wait(self) -> Option<u32> {
        self.refused.then_some(self.seconds)
    }
}

/// The counts of all clients.
#[derive(Debug)]
pub struct Limits {
    requests: Limiter,
    bad_keys: Limiter,
    burst: u32,
    /// The time in which one request comes back.
    interval: Duration,
    policy: HeaderValue,
}

impl Limits {
    #[must_use]
    pub fn per_minute(requests: NonZeroU32) -> Self {
        // A burst that is over in microseconds would be within the error of the clocks of two cores.
        let second = NonZeroU32::new(requests.get() / 60).unwrap_or(NonZeroU32::MIN);
        let burst = requests.min(BURST).max(second);
        let quota = Quota::per_minute(requests).allow_burst(burst);
        let policy = format!("\"default\";q={requests};w=60");
        Self {
            requests: RateLimiter::keyed(quota).with_middleware(),
            bad_keys: RateLimiter::keyed(Quota::per_minute(BAD_KEYS_PER_MINUTE)).with_middleware(),
            burst: burst.get(),
            interval: quota.replenish_interval(),
            // Digits and punctuation: they are always a header's value.
            policy: HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("")),
        }
    }

    /// Counts a request.
    pub fn charge(&self, client: Client) -> Standing {
        match self.requests.check_key(&client) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = self.burst.saturating_sub(remaining);
                Standing { remaining, seconds: whole_seconds(self.interval.saturating_mul(used)), refused: false }
            }
            Err(until) => {
                let wait = until.wait_time_from(self.requests.clock().now());
                Standing { remaining: 0, seconds: whole_seconds(wait), refused: true }
            }
        }
    }

    /// Counts a request with a bad key.
    ///
    /// # Errors
    /// Seconds to wait, if there were too many.
    pub fn charge_bad_key(&self, address: Client) -> Result<(), u32> {
        match self.bad_keys.check_key(&address) {
            Ok(_) => Ok(()),
            Err(until) => Err(whole_seconds(until.wait_time_from(self.bad_keys.clock().now()))),
        }
    }

    /// Writes the headers that every counted answer has.
    pub fn write_headers(&self, standing: Standing, headers: &mut HeaderMap) {
        let mut text = [0; 48];
        let mut rest = &mut text[..];
        // Two numbers of ten digits at most: they fit.
        let _ = write!(rest, "\"default\";r={};t={}", standing.remaining, standing.seconds);
        let length = 48 - rest.len();
        if let Ok(value) = HeaderValue::from_bytes(&text[..length]) {
            headers.insert(RATE_LIMIT, value);
        }
        headers.insert(RATE_LIMIT_POLICY, self.policy.clone());
        headers.insert(X_RATE_LIMIT_LIMIT, self.burst.into());
        headers.insert(X_RATE_LIMIT_REMAINING, standing.remaining.into());
        headers.insert(X_RATE_LIMIT_RESET, standing.seconds.into());
    }

    /// Forgets clients whose requests have all come back, which keeps the counts small.
    pub fn forget_idle(&self) {
        for limiter in [&self.requests, &self.bad_keys] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    /// How many clients are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.requests.len() + self.bad_keys.len()
    }
}

/// Rounded up, and never 0: a client that is told 0 comes back too early.
fn whole_seconds(time: Duration) -> u32 {
    let seconds = time.as_nanos().div_ceil(1_000_000_000);
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u32) -> Limits {
        Limits::per_minute(NonZeroU32::new(requests).unwrap())
    }

    fn at(address: &str) -> Client {
        Client::at(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_its_network() {
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:0:0:2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.7"), at("192.0.2.7"));
        assert_ne!(at("192.0.2.7"), at("192.0.2.8"));
    }

    #[test]
    fn each_client_has_an_allowance_of_its_own() {
        let limits = limits(2);
        let standing = |client| limits.charge(client);
        assert_eq!(standing(at("192.0.2.7")), Standing { remaining: 1, seconds: 30, refused: false });
        assert_eq!(standing(at("192.0.2.7")), Standing { remaining: 0, seconds: 60, refused: false });
        assert_eq!(standing(at("192.0.2.7")), Standing { remaining: 0, seconds: 30, refused: true });
        assert_eq!(standing(at("192.0.2.7")).wait(), Some(30));
        assert_eq!(standing(at("192.0.2.8")).wait(), None);
        assert_eq!(standing(Client::Key(1)).wait(), None);
    }

    #[test]
    fn headers_name_the_policy_and_the_standing() {
        let limits = limits(30_000);
        let mut headers = HeaderMap::new();
        limits.write_headers(limits.charge(Client::Key(1)), &mut headers);
        let texts: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            texts,
            [
                ("ratelimit", "\"default\";r=999;t=1"),
                ("ratelimit-policy", "\"default\";q=30000;w=60"),
                ("x-ratelimit-limit", "1000"),
                ("x-ratelimit-remaining", "999"),
                ("x-ratelimit-reset", "1"),
            ]
        );
    }

    #[test]
    fn idle_clients_are_forgotten() {
        // What one request takes comes back within nanoseconds.
        let quick = limits(u32::MAX);
        for host in 0..10_000_u32 {
            assert_eq!(quick.charge(Client::at(Ipv4Addr::from_bits(host).into())).wait(), None);
        }
        assert_eq!(quick.remembered(), 10_000);
        quick.forget_idle();
        assert_eq!(quick.remembered(), 0);

        let slow = limits(1);
        slow.charge(Client::Key(1));
        slow.forget_idle();
        assert_eq!(slow.remembered(), 1, "a client that has used its allowance is not forgotten");
    }

    #[test]
    fn waiting_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1_001)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
    }
}

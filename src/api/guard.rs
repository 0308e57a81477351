//! The middleware that lets a request in or not: by its key, and by how many its client has made.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sqlx::PgPool;

use super::auth::{Access, KeyRing, Need, NotTaken, need_of};
use super::limits::{Client, Limits, Standing};
use super::problem::{Code, Problem};
use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::key::{Scope, UsableKey};

/// Classes of statuses, from 1xx to 5xx.
const CLASSES: usize = 5;

/// Who may ask, how much, and how it was answered.
#[derive(Debug)]
pub struct Guard {
    access: Access,
    pub keys: KeyRing,
    limits: Limits,
    answered: [AtomicU64; CLASSES],
}

impl Guard {
    /// A guard that knows no keys yet.
    #[must_use]
    pub fn new(access: Access, requests_per_minute: NonZeroU32, clock: Clock) -> Self {
        Self {
            access,
            keys: KeyRing::new(clock),
            limits: Limits::per_minute(requests_per_minute),
            answered: Default::default(),
        }
    }

    /// Forgets idle clients and reads the keys anew: a key that is revoked is refused from then on.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer; the keys read before stay.
    pub async fn refresh(&self, pool: &PgPool) -> Result<(), StoreError> {
        self.limits.forget_idle();
        self.keys.refresh(pool).await
    }

    /// How many requests were answered with each class of status: `2xx` and its number.
    pub fn answered(&self) -> impl Iterator<Item = (String, u64)> {
        (1..).zip(&self.answered).map(|(class, count)| (format!("{class}xx"), count.load(Ordering::Relaxed)))
    }

    /// Whether who sends these headers may read data. Pages that need no key themselves ask this before
    /// they show values.
    #[must_use]
    pub fn may_read(&self, headers: &HeaderMap) -> bool {
        let key = || self.keys.identify(headers).ok().flatten();
        self.access == Access::Open || key().is_some_and(|key| allows(&key, Scope::Read))
    }

    fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100);
        if let Some(count) = class.checked_sub(1).and_then(|place| self.answered.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where the client stands, for a path that is counted, and whether the request is let in.
    fn admit(&self, request: &Request) -> (Option<Standing>, Result<(), Problem>) {
        let need = need_of(request.uri().path());
        if need == Need::Nothing {
            return (None, Ok(()));
        }
        let address = address_of(request);
        let key = self.keys.identify(request.headers());
        let client = key.as_ref().ok().and_then(Option::as_ref).map_or(address, |key| Client::Key(key.key_id));
        let standing = self.limits.charge(client);
        let verdict = match standing.wait() {
            Some(seconds) => Err(too_many("The allowance of requests is used up.", seconds)),
            None => self.judge(need, key, address),
        };
        (Some(standing), verdict)
    }

    fn judge(&self, need: Need, key: Result<Option<Arc<UsableKey>>, NotTaken>, address: Client) -> Result<(), Problem> {
        let key = key.map_err(|NotTaken| self.refuse_key(address))?;
        let (Access::Keyed, Need::Key(scope)) = (self.access, need) else { return Ok(()) };
        match key {
            None => Err(Problem::new(
                Code::Unauthorized,
                "This path needs a key. Send it as `Authorization: Bearer …` or `X-API-Key: …`.",
            )),
            Some(key) if allows(&key, scope) => Ok(()),
            Some(_) => {
                Err(Problem::new(Code::Forbidden, format!("The key lacks the scope `{}` for this.", scope.name())))
            }
        }
    }

    /// The same for every key that is not taken: nobody learns whether one was ever good.
    fn refuse_key(&self, address: Client) -> Problem {
        match self.limits.charge_bad_key(address) {
            Ok(()) => Problem::new(
                Code::Unauthorized,
                "The key is not taken: it is unknown, expired, revoked or cut, or more than one was sent.",
            ),
            Err(seconds) => too_many("Too many requests came with keys that are not taken.", seconds),
        }
    }
}

/// Middleware: lets a request in or answers it, and says where its client stands.
pub async fn watch(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let (standing, verdict) = guard.admit(&request);
    let mut response = match verdict {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(standing) = standing {
        guard.limits.write_headers(standing, response.headers_mut());
    }
    guard.count(response.status());
    response
}

fn allows(key: &UsableKey, scope: Scope) -> bool {
    key.scopes.contains(&scope) || key.scopes.contains(&Scope::Admin)
}

fn too_many(what: &str, seconds: u32) -> Problem {
    let detail = format!("{what} Try again in {seconds} s.");
    Problem::new(Code::TooManyRequests, detail).retry_after(seconds)
}

/// The peer's address; of a request that came over no socket, this computer's.
fn address_of(request: &Request) -> Client {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    Client::at(peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(peer)| peer.ip()))
}

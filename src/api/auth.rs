//! Who asks: the keys that are good, what each path needs, and the key that a request gives.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};
use sqlx::PgPool;

use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::key::{KeyText, Scope, UsableKey, read_usable_keys};

/// The other header that a key may come in.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Whether those who reach the listener may read without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The listener is on loopback: reads are keyless.
    Open,
    /// Others reach it: data needs a key.
    Keyed,
}

/// What a path needs of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Health: no key, and no limit of requests.
    Nothing,
    /// Documentation: no key.
    Allowance,
    /// A key with this scope, where access is [`Access::Keyed`].
    Key(Scope),
}

/// What a path needs. One that is not named here needs a key.
#[must_use]
pub fn need_of(path: &str) -> Need {
    match path {
        "/livez" | "/readyz" => Need::Nothing,
        "/" | "/docs" | "/openapi.json" | "/llms.txt" => Need::Allowance,
        path if path.starts_with("/docs/") || path.starts_with("/assets/") => Need::Allowance,
        _ => Need::Key(Scope::Read),
    }
}

/// A key was given and is not taken: unknown, revoked, expired, malformed, or not exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTaken;

/// The keys that are good, in memory, so that no request waits for the database.
#[derive(Debug)]
pub struct KeyRing {
    by_lookup: ArcSwap<HashMap<String, Arc<UsableKey>>>,
    clock: Clock,
}

impl KeyRing {
    /// A ring without keys; they expire by `clock`, which is that of the computer whatever the speed
    /// of a simulated world.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { by_lookup: ArcSwap::default(), clock }
    }

    /// Reads the keys anew.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer; the keys read before stay.
    pub async fn refresh(&self, pool: &PgPool) -> Result<(), StoreError> {
        let keys = read_usable_keys(&mut *pool.acquire().await?).await?;
        let by_lookup = keys.into_iter().map(|key| (key.lookup.clone(), Arc::new(key))).collect();
        self.by_lookup.store(Arc::new(by_lookup));
        Ok(())
    }

    /// How many keys are good now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_lookup.load().values().filter(|key| self.is_in_time(key)).count()
    }

    /// The key that a request gives; `None` if it gives none.
    ///
    /// # Errors
    /// [`NotTaken`] if what it gives is not one good key.
    pub fn identify(&self, headers: &HeaderMap) -> Result<Option<Arc<UsableKey>>, NotTaken> {
        let Some(text) = given_key(headers)? else { return Ok(None) };
        let key = KeyText::parse(text).ok_or(NotTaken)?;
        let hash = key.hash();
        let known = self.by_lookup.load().get(key.lookup()).map(Arc::clone);
        known.filter(|known| known.hash.matches(&hash) && self.is_in_time(known)).map(Some).ok_or(NotTaken)
    }

    fn is_in_time(&self, key: &UsableKey) -> bool {
        key.expires_at.is_none_or(|expiry| self.clock.now() < expiry)
    }
}

/// What the request gives as its key, in one header or the same in both.
fn given_key(headers: &HeaderMap) -> Result<Option<&str>, NotTaken> {
    let bearer = only_value(headers, &AUTHORIZATION)?.and_then(bearer_of);
    match (bearer, only_value(headers, &X_API_KEY)?) {
        (Some(bearer), Some(key)) if bearer != key => Err(NotTaken),
        (bearer, key) => Ok(bearer.or(key)),
    }
}

fn only_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, NotTaken> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| NotTaken),
        (Some(_), Some(_)) => Err(NotTaken),
    }
}

/// The token of the scheme `Bearer`. Another scheme is none of ours: it is meant for a proxy in front.
fn bearer_of(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(given: &[(HeaderName, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        given.iter().map(|(name, text)| (name.clone(), value(text))).fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
    }

    #[test]
    fn a_key_is_taken_from_either_header_and_only_one() {
        for (given, expected) in [
            (vec![], Ok(None)),
            (vec![(AUTHORIZATION, "Bearer k")], Ok(Some("k"))),
            (vec![(AUTHORIZATION, "bearer  k ")], Ok(Some("k"))),
            (vec![(X_API_KEY, "k")], Ok(Some("k"))),
            (vec![(AUTHORIZATION, "Bearer k"), (X_API_KEY, "k")], Ok(Some("k"))),
            (vec![(AUTHORIZATION, "Bearer k"), (X_API_KEY, "other")], Err(NotTaken)),
            (vec![(X_API_KEY, "k"), (X_API_KEY, "k")], Err(NotTaken)),
            (vec![(AUTHORIZATION, "Bearer k"), (AUTHORIZATION, "Bearer k")], Err(NotTaken)),
            // A proxy in front asked for these.
            (vec![(AUTHORIZATION, "Basic dXNlcjpwYXNz")], Ok(None)),
            // Given and empty is not the same as not given.
            (vec![(AUTHORIZATION, "Bearer")], Ok(Some(""))),
            (vec![(X_API_KEY, "")], Ok(Some(""))),
        ] {
            assert_eq!(given_key(&headers(&given)), expected, "{given:?}");
        }
    }

    #[test]
    fn every_documented_path_declares_what_it_needs() {
        let open = [("/livez", Need::Nothing), ("/readyz", Need::Nothing)];
        let keyed = [
            "/metrics",
            "/v1/calendar",
            "/v1/debt/calendar",
            "/v1/debt/converts",
            "/v1/debt/industry",
            "/v1/debt/wall",
            "/v1/difficulty",
            "/v1/difficulty/epochs",
            "/v1/flows",
            "/v1/flows/spikes",
            "/v1/hash-ribbons",
            "/v1/hash-ribbons/events",
            "/v1/hashprice",
            "/v1/hashprice/breakeven",
            "/v1/hashprice/squeeze",
            "/v1/latest",
            "/v1/latest/{metric}.txt",
            "/v1/miners",
            "/v1/miners/diff",
            "/v1/miners/{ticker}",
            "/v1/miners/{ticker}/debt",
            "/v1/miners/{ticker}/fundamentals",
            "/v1/miners/{ticker}/revenue-mix",
            "/v1/miners/{ticker}/sites",
            "/v1/panel.csv",
            "/v1/pools",
            "/v1/series",
            "/v1/series/{metric}",
            "/v1/sources",
            "/v1/status",
        ];
        let mut declared: Vec<(String, Need)> = keyed.map(|path| (path.to_owned(), Need::Key(Scope::Read))).to_vec();
        declared.extend(open.map(|(path, need)| (path.to_owned(), need)));
        let routed = crate::api::router::document().paths.paths.into_keys();
        let mut found: Vec<(String, Need)> = routed.map(|path| (path.clone(), need_of(&path))).collect();
        declared.sort_by(|one, other| one.0.cmp(&other.0));
        found.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(found, declared, "a new path is added here with what it needs");
    }

    #[test]
    fn likenesses_of_open_paths_need_a_key() {
        for path in ["/livez/", "/livez/x", "/docsx", "//docs/", "/v1", "/v1/../docs/", "/%64ocs/", ""] {
            assert_eq!(need_of(path), Need::Key(Scope::Read), "{path}");
        }
        for path in [
            "/",
            "/docs",
            "/docs/",
            "/docs/errors/stale",
            "/docs/metrics/price_usd",
            "/openapi.json",
            "/llms.txt",
            "/assets/x.css",
        ] {
            assert_eq!(need_of(path), Need::Allowance, "{path}");
        }
    }
}

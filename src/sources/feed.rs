//! What a live source is asked, and what its answers come to: the common shape of every adapter.
//!
//! An adapter does no I/O. It says which address to ask next, given the answers so far, and makes
//! arrivals of them; [`super::http`] fetches, and the worker keeps, times and records.

use bytes::Bytes;
use url::Url;

use super::Normalized;
use crate::domain::time::Timestamp;

/// The stretch of time that a run asks for: periods with `from <= period_start < until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Without secrets: it is logged and stored.
    pub address: Url,
    /// What only the wire sees.
    pub secret: Option<Secret>,
    /// Whether a 400 or 404 with JSON is an answer too: the source says that it has nothing of this one thing,
    /// and the others are still asked for.
    pub takes_unknown: bool,
    /// Whether a document is asked for, which may be markup, and not JSON.
    pub takes_markup: bool,
}

/// A key, and where in the request it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub place: SecretPlace,
    pub key: ApiKey,
}

/// Where a source looks for its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretPlace {
    /// The query parameter of this name.
    Parameter(&'static str),
    /// The header of this name, in small letters.
    Header(&'static str),
    /// The header `Authorization`, behind the word `Bearer`.
    Bearer,
}

/// A key to a source's API. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The key itself, for the wire.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether the key can stand in a header: printable ASCII without blanks.
    #[must_use]
    pub fn fits_a_header(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl Ask {
    #[must_use]
    pub const fn open(address: Url) -> Self {
        Self { address, secret: None, takes_unknown: false, takes_markup: false }
    }

    /// The same request, to which "there is no such thing" is an answer.
    #[must_use]
    pub fn taking_unknown(self) -> Self {
        Self { takes_unknown: true, ..self }
    }

    /// The same request for a document.
    #[must_use]
    pub fn taking_markup(self) -> Self {
        Self { takes_markup: true, ..self }
    }

    /// A request with a key.
    #[must_use]
    pub const fn keyed(address: Url, place: SecretPlace, key: ApiKey) -> Self {
        Self { address, secret: Some(Secret { place, key }), takes_unknown: false, takes_markup: false }
    }
}

/// A whole answer with a good status, or one that its request takes, and a content type that may be JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The address asked, without secrets.
    pub address: Url,
    /// Decompressed, without secrets.
    pub body: Bytes,
}

/// An answer that came whole and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not in the format of the source, or in a shape that we do not know.
    #[error("{0}")]
    BadBody(String),
    /// The source asks for fewer requests, inside an answer with a good status.
    #[error("{0}")]
    RateLimited(String),
    /// The source is out of order, inside an answer with a good status.
    #[error("{0}")]
    ServerError(String),
    /// The source will not answer this request, however often it is asked.
    #[error("{0}")]
    Refused(String),
}

impl Unusable {
    /// The code in the ledger and in `/v1/sources`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadBody(_) => "bad_body",
            Self::RateLimited(_) => "rate_limited",
            Self::ServerError(_) => "server_error",
            Self::Refused(_) => "refused",
        }
    }
}

/// One thing that a source publishes, read as a whole: all of it or nothing is used.
pub trait Feed: Send + Sync + std::fmt::Debug {
    /// The name of the source in series, ledgers and configuration.
    fn source(&self) -> &'static str;

    /// The name of the feed within its source.
    fn name(&self) -> &'static str;

    /// The next request of a run, given the answers so far; `None` when they are enough.
    ///
    /// # Errors
    /// [`Unusable`] if an answer does not tell.
    fn ask(&self, window: Window, answers: &[Answer]) -> Result<Option<Ask>, Unusable>;

    /// The arrivals of a run's answers, and what of them cannot be used. Periods that are going on at
    /// `now` are left out without a word; later ones are refused.
    ///
    /// # Errors
    /// [`Unusable`] if an answer as a whole makes no sense.
    fn normalize(&self, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable>;
}

//! What a request asks and what an endpoint replies, before transport faults.

use axum::http::HeaderMap;

use super::misbehaviour::Misbehaviour;
use crate::domain::time::Timestamp;
use crate::simulated::world::World;

/// A request to one upstream.
pub(super) struct Asked<'a> {
    pub(super) world: &'a World,
    /// The world's time.
    pub(super) now: Timestamp,
    /// Without the prefix of the source.
    pub(super) path: &'a str,
    pub(super) query: &'a [(String, String)],
    /// `http://127.0.0.1:PORT/SOURCE`
    pub(super) base: &'a str,
    pub(super) has_user_agent: bool,
    pub(super) headers: &'a HeaderMap,
    pub(super) misbehaviour: Option<Misbehaviour>,
}

impl Asked<'_> {
    /// The first value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A whole number, or `default` if the parameter is absent; `None` if it is something else.
    pub(super) fn whole(&self, name: &str, default: i64) -> Option<i64> {
        self.parameter(name).map_or(Some(default), |text| text.parse().ok())
    }
}

/// An answer, whole.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Whether it comes with an `ETag` and honours `If-None-Match`.
    pub(super) tagged: bool,
}

impl Reply {
    pub(super) const fn json(body: String) -> Self {
        Self::with_status(200, body)
    }

    pub(super) const fn with_status(status: u16, body: String) -> Self {
        Self { status, content_type: "application/json; charset=utf-8", body, headers: Vec::new(), tagged: false }
    }

    pub(super) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) const fn tagged(mut self) -> Self {
        self.tagged = true;
        self
    }
}

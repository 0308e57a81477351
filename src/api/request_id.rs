//! The identifier that ties a request to its log lines and to the error its client saw.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// The header that carries it, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A longer one is replaced: it would only bloat the logs.
const LONGEST: usize = 64;

/// The identifier of one request; in its extensions from [`assign`] on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The client's own identifier if it is 1 to 64 of `A-Z a-z 0-9 . _ -`, else 128 random bits.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let inbound = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match inbound {
            Some(text) if is_sane(text) => Self(text.into()),
            _ => Self(format!("{:032x}", rand::random::<u128>()).into()),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_sane(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(allowed)
}

/// Middleware: gives the request its identifier and says it in the response.
pub async fn assign(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(inbound: &str) -> RequestId {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_str(inbound).unwrap());
        RequestId::of(&headers)
    }

    #[test]
    fn a_sane_identifier_is_kept() {
        assert_eq!(id_for("bot-7.poll_12").as_str(), "bot-7.poll_12");
    }

    #[test]
    fn anything_else_is_replaced() {
        for inbound in ["", "a b", "a\"b", &"x".repeat(65)] {
            let id = id_for(inbound);
            assert_ne!(id.as_str(), inbound);
            assert_eq!(id.as_str().len(), 32);
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}

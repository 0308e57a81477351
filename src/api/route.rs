//! The one path parameter that routes here have: the last step of the path.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::problem::{Code, Problem};

/// The decoded last step of the path, such as a metric's name.
pub struct LastStep(pub String);

impl<S: Send + Sync> FromRequestParts<S> for LastStep {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::BadRequest, "The path is not percent-encoded UTF-8."))?;
        let step = params.iter().last().map(|(_, value)| value.to_owned());
        Ok(Self(step.unwrap_or_default()))
    }
}

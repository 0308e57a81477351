//! Answers about the service itself: never cached, exempt from views, in the usual forms.

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;

use super::answer::{ApiState, Data, state_headers};
use super::form::{self, Asked, Form};
use super::params::Params;
use super::problem::Problem;
use super::snapshot::Snapshot;

const FORMS: &[Form] = &[Form::Json, Form::Csv, Form::Ndjson];

/// In which form the state is asked for.
pub struct StateRequest {
    form: Form,
    flat: bool,
}

impl StateRequest {
    /// Reads the form; no other parameter is taken.
    ///
    /// # Errors
    /// 400 for parameters, 406 for forms that are not offered.
    pub fn of(request: &Request) -> Result<Self, Problem> {
        let params = Params::parse(request.uri().query(), &["format", "flat"])?;
        let suffix = request.extensions().get::<Asked>().and_then(|asked| asked.form);
        let format = form::asked_by_parameter(&params, FORMS)?;
        let form = form::choose(suffix, format, request.headers().get(ACCEPT), FORMS)?;
        Ok(Self { form, flat: params.flag("flat")?.unwrap_or(false) })
    }
}

/// The response: the data in its form, with the headers that name the snapshot.
///
/// # Errors
/// 500 when the data cannot be written.
pub fn answer_state(
    state: &ApiState,
    snapshot: &Snapshot,
    asked: &StateRequest,
    data: &dyn Data,
) -> Result<Response, Problem> {
    let body = match asked.form {
        Form::Json if asked.flat => data.flat()?,
        Form::Csv => data.csv()?,
        Form::Ndjson => data.ndjson()?,
        Form::Json | Form::Text | Form::Svg | Form::Ics => {
            let mut out = b"{\"data\":".to_vec();
            data.write_json(&mut out)?;
            out.extend_from_slice(b"}\n");
            out
        }
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asked.form.media_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(state_headers(state, snapshot));
    Ok(response)
}

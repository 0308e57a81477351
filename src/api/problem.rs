//! One error shape for everything a client can meet: RFC 9457 `application/problem+json`.
//!
//! Handlers and extractors return a [`Problem`]; it travels as a response extension, because only
//! the middleware [`render_problems`] knows the request's path and identifier. The same middleware
//! turns what the router and the layers say in their own words (404, 405, 413, a timeout, a panic)
//! into problems, so nothing else ever writes an error body.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::request_id::RequestId;

/// The media type of every error body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What a client sent is repeated in errors up to this many characters.
const LONGEST_ECHO: usize = 100;

/// Longer words are not compared with known names: the comparison is quadratic.
const LONGEST_COMPARED: usize = 64;

/// How alike two names must be (Jaro-Winkler, 0 to 1) for "did you mean".
const ALIKE: f64 = 0.84;

/// How a body that came too slowly reads in the words of axum and tower-http.
const SLOW_BODY: &str = "data was not received within the designated timeout";

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<ProblemItem>,
    retry_after: Option<u32>,
    /// For the log only; the client never sees it.
    cause: Option<Arc<str>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One thing that is wrong with the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemItem {
    /// Where it is: `#/query/<name>` for a query parameter, a JSON pointer into the body otherwise.
    pub pointer: String,
    /// The name of the query parameter, when it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parameter: Option<String>,
    /// What is wrong and what to send instead.
    pub detail: String,
}

/// The body of every error: RFC 9457 with `code`, `request_id` and `errors`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Address of the page that explains the error.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors/unknown-metric")]
    pub page: String,
    /// The kind of error in a few words; always the same for one `code`.
    #[schema(example = "Unknown metric")]
    pub title: Cow<'static, str>,
    /// The HTTP status, repeated.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    pub status: u16,
    /// What was wrong this time and what to do.
    pub detail: String,
    /// The path that was asked for.
    #[schema(example = "/v1/series/hashprise_usd_per_ph_day")]
    pub instance: String,
    /// The kind of error for programs.
    pub code: Code,
    /// Quote this when asking about the error; also in the header `x-request-id`.
    pub request_id: String,
    /// Each wrong part of the request; absent when the error is about no part of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<ProblemItem>,
}

/// Declares [`Code`] and the facts of each code in one table, a paragraph a line.
macro_rules! codes {
    ($($variant:ident $name:literal $status:ident $title:literal $help:literal)*) => {
        /// The kind of an error. Names are stable; a client may meet new ones.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The `code` of the body: `unknown_metric`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The status it is sent with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// The `title` of the body.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// A paragraph for the page of the error: what it means and what to do.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

codes! {
    UnknownRoute "unknown_route" NOT_FOUND "Unknown path"
    "Nothing is served at this path. Compare it with the list in /openapi.json or the console at /docs/; paths are case-sensitive and have no slash at the end."
    UnknownMetric "unknown_metric" NOT_FOUND "Unknown metric"
    "The metric is not in the catalog. `detail` names the closest one where there is one; /v1/series lists all of them. A metric that is known but has no values yet answers 200 with an empty list instead."
    UnknownSubject "unknown_subject" NOT_FOUND "Unknown subject"
    "The subject (a network, an issuer's ticker, a power hub) or the instance of a signal does not exist, or the metric is not kept for it. /v1/series lists which subjects each metric has."
    UnknownSource "unknown_source" NOT_FOUND "Unknown source"
    "No source of this name provides the metric. /v1/sources lists the sources; leave the parameter out to get the preferred one."
    UnknownSnapshot "unknown_snapshot" NOT_FOUND "Unknown snapshot"
    "The snapshot is later than the newest one, or is not kept any more. Take the number from `links.permanent` of an answer."
    BadRequest "bad_request" BAD_REQUEST "Bad request"
    "The request could not be read: broken percent-encoding, text that is not UTF-8, or a body that is not what its content type says. `detail` says what stopped the reading."
    UnknownParameter "unknown_parameter" BAD_REQUEST "Unknown parameter"
    "The query has a parameter that this path does not take. Unknown parameters are refused, because a misspelt filter that is silently ignored gives a wrong answer that looks right. `errors` names each one, `detail` those that are accepted."
    RepeatedParameter "repeated_parameter" BAD_REQUEST "Repeated parameter"
    "A parameter was given more than once. Give it once; lists are separated by commas: `metrics=a,b`."
    BadParameter "bad_parameter" BAD_REQUEST "Bad parameter"
    "The value of a parameter is not of the right form or is out of range. `errors` names the parameter and says what it takes. Times are RFC 3339, a date, epoch seconds or milliseconds, or relative such as `-30d`."
    MissingParameter "missing_parameter" BAD_REQUEST "Missing parameter"
    "The path needs a parameter that was not given, or was given with an empty value, which counts as absent."
    ConflictingParameters "conflicting_parameters" BAD_REQUEST "Conflicting parameters"
    "Two parameters contradict each other, or one needs another that is missing, for example `last` with `start`, or `snapshot` without `as_of`. Leave one of them out or add the missing one."
    AsOfInFuture "as_of_in_future" BAD_REQUEST "Moment in the future"
    "`as_of` asks what was known at a moment that has not come yet. Use a moment not later than now, or leave it out for the newest knowledge."
    BadCursor "bad_cursor" BAD_REQUEST "Bad cursor"
    "The cursor was cut, changed, or belongs to another query. Take it unchanged from `links.next`, or start again without it."
    Unauthorized "unauthorized" UNAUTHORIZED "Key needed"
    "The path needs a key, or the key is unknown, expired or revoked. Send it as `Authorization: Bearer …` or `X-API-Key: …`."
    Forbidden "forbidden" FORBIDDEN "Not allowed"
    "The key is valid but lacks the right for this, for example `write`. Ask the operator for a key with that scope."
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "Method not allowed"
    "The path exists but does not take this method. The header `Allow` lists those it takes."
    NotAcceptable "not_acceptable" NOT_ACCEPTABLE "Form not offered"
    "The path does not come in the form asked for by its suffix, by `format=` or by `Accept`. `detail` lists the forms it comes in."
    RequestTimeout "request_timeout" REQUEST_TIMEOUT "Request too slow"
    "The body of the request did not arrive in time. Send it again without pauses, in smaller parts if the line is slow."
    PayloadTooLarge "payload_too_large" PAYLOAD_TOO_LARGE "Body too large"
    "The body of the request is larger than the server takes. Send it in smaller parts."
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "Unsupported content type"
    "The body has a content type that the path does not read, or none at all. Set `Content-Type` to one that the documentation of the path lists, such as `application/json`."
    Unprocessable "unprocessable" UNPROCESSABLE_ENTITY "Unprocessable body"
    "The body is well-formed but does not fit: a field is missing, has the wrong type or is out of range. `errors` points to each place."
    TooManyRequests "too_many_requests" TOO_MANY_REQUESTS "Too many requests"
    "The allowance of the key or address is used up. Wait for the seconds in `Retry-After`; the headers `RateLimit` and `RateLimit-Policy` say how much is left and when it refills."
    Internal "internal" INTERNAL_SERVER_ERROR "Internal error"
    "A fault of the server, not of the request. It was logged under `request_id`; quote that when reporting it. Trying again may or may not help."
    Stale "stale" SERVICE_UNAVAILABLE "Data too old"
    "A required input is past its own cadence and grace, or older than `max_age`, and the request asked for fresh data only. Treat it as no signal, not as calm. `require=any` answers with what there is; /v1/status says which source is late."
    Starting "starting" SERVICE_UNAVAILABLE "Starting"
    "The server runs but has no snapshot to answer from yet. Try again after `Retry-After`; /readyz turns 200 when it has one."
    DatabaseAway "database_away" SERVICE_UNAVAILABLE "Database away"
    "The answer needs the database and the database does not answer. The newest values are served from memory and are not affected. Try again after `Retry-After`."
    Overloaded "overloaded" SERVICE_UNAVAILABLE "No answer in time"
    "The server did not finish the answer within its time limit. Try again after `Retry-After`; ask for a shorter range if it happens again."
}

impl Code {
    /// The last part of the page's address: `unknown-metric`.
    #[must_use]
    pub fn slug(self) -> String {
        self.name().replace('_', "-")
    }

    /// Address of the page that explains the code: `/docs/errors/unknown-metric`.
    #[must_use]
    pub fn page(self) -> String {
        format!("/docs/errors/{}", self.slug())
    }

    /// The code whose page has this slug.
    #[must_use]
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.slug() == slug)
    }

    /// Seconds to wait before the next try, where waiting helps: every 429 and 503 has one.
    #[must_use]
    pub const fn retry_after(self) -> Option<u32> {
        match self {
            Self::TooManyRequests | Self::Overloaded => Some(1),
            Self::Starting => Some(2),
            Self::DatabaseAway => Some(5),
            Self::Stale => Some(60),
            _ => None,
        }
    }

    /// The code for a status that a layer or the router chose by itself.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::UnknownRoute,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::NOT_ACCEPTABLE => Self::NotAcceptable,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::UNPROCESSABLE_ENTITY => Self::Unprocessable,
            StatusCode::TOO_MANY_REQUESTS => Self::TooManyRequests,
            StatusCode::SERVICE_UNAVAILABLE => Self::Overloaded,
            other if other.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

impl Problem {
    /// A problem that says `detail` to the client: a sentence with what to do.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: code.retry_after(),
            cause: None,
            headers: Vec::new(),
        }
    }

    /// A fault of ours. The client learns nothing but the request's identifier; `cause` and what
    /// lies behind it go to the log.
    #[must_use]
    pub fn internal(cause: &dyn Error) -> Self {
        Self::new(Code::Internal, "The server could not answer; the fault was logged under request_id.")
            .caused_by(cause)
    }

    /// A value of one query parameter that will not do.
    #[must_use]
    pub fn bad_parameter(name: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(Code::BadParameter, format!("{name}: {detail}")).at_parameter(name, detail)
    }

    /// A name that is not in the catalog: `No metric x; did you mean y?`
    #[must_use]
    pub fn unknown<'a>(code: Code, kind: &str, wanted: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let mut detail = format!("No {kind} {}", shorten(wanted));
        match closest(wanted, known) {
            Some(name) => {
                // Writing to a string cannot fail.
                let _ = write!(detail, "; did you mean {name}?");
            }
            None => detail.push('.'),
        }
        Self::new(code, detail)
    }

    /// Adds an item about a query parameter.
    #[must_use]
    pub fn at_parameter(mut self, name: &str, detail: impl Into<String>) -> Self {
        self.errors.push(ProblemItem {
            pointer: format!("#/query/{}", escape_pointer(name)),
            parameter: Some(name.to_owned()),
            detail: detail.into(),
        });
        self
    }

    /// Adds an item about a place in the body, by its JSON pointer as a fragment: `#/rows/3/value`.
    #[must_use]
    pub fn at_pointer(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(ProblemItem { pointer: pointer.into(), parameter: None, detail: detail.into() });
        self
    }

    /// Sets `Retry-After`, at least one second.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// Keeps the cause, with all that lies behind it, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: &dyn Error) -> Self {
        self.cause = Some(describe_chain(cause).into());
        self
    }

    /// Headers to send with it.
    #[must_use]
    pub fn with_headers(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.headers = headers;
        self
    }

    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    #[must_use]
    pub fn errors(&self) -> &[ProblemItem] {
        &self.errors
    }

    fn with_cause_text(mut self, cause: &str) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl From<serde_json::Error> for Problem {
    /// An answer of ours that could not be written as JSON; never used for what clients send.
    fn from(error: serde_json::Error) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    /// The status with an empty body; [`render_problems`] fills in the rest.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.headers_mut().extend(self.headers.iter().cloned());
        response.extensions_mut().insert(self);
        response
    }
}

/// What a panic becomes: the layer that catches panics calls this.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "the signature that the layer asks for")]
pub fn problem_of_panic(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    // The box is not an error; its text is all there is to say.
    Problem::new(Code::Internal, "The server could not answer; the fault was logged under request_id.")
        .with_cause_text(&format!("panic: {message}"))
        .into_response()
}

/// Middleware: writes every error body, whoever found the error.
///
/// Responses of 400 and above that carry a [`Problem`], or that have no body or a plain text one
/// (axum, tower-http), become `application/problem+json`; those with another content type were
/// meant by a handler (`/readyz?verbose`) and pass. Faults of the server are logged here, once.
pub async fn render_problems(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let instance = request.uri().path().to_owned();
    let request_id = request.extensions().get::<RequestId>().cloned();
    let response = next.run(request).await;
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        None if has_own_body(&parts.headers) => return Response::from_parts(parts, body),
        None => {
            let allowed = parts.headers.get(ALLOW).and_then(|value| value.to_str().ok());
            let text = to_bytes(body, 2_000).await.unwrap_or_default();
            adopt(parts.status, &method, &instance, allowed, &String::from_utf8_lossy(&text))
        }
    };
    let request_id = request_id.as_ref().map_or("", RequestId::as_str);
    log_fault(&problem, &method, &instance, request_id);
    write_problem(parts, &problem, method == Method::HEAD, instance, request_id)
}

fn has_own_body(headers: &axum::http::HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|media_type| !media_type.starts_with("text/plain"))
}

/// The problem for an error that came as a bare status, perhaps with a line of text.
fn adopt(status: StatusCode, method: &Method, path: &str, allowed: Option<&str>, text: &str) -> Problem {
    let code = if text.contains(SLOW_BODY) { Code::RequestTimeout } else { Code::of_status(status) };
    let detail = match code {
        Code::UnknownRoute => format!("Nothing is served at {}; see /docs/.", shorten(path)),
        Code::MethodNotAllowed => {
            format!("{method} is not possible here; allowed: {}.", allowed.unwrap_or("none"))
        }
        Code::RequestTimeout => "The body of the request did not arrive in time.".to_owned(),
        Code::Overloaded => "The answer was not ready in time.".to_owned(),
        Code::Internal => return Problem::internal(&LayerError(status, text.to_owned())),
        _ if text.is_empty() => format!("{}.", code.title()),
        _ => text.to_owned(),
    };
    Problem::new(code, detail)
}

#[derive(Debug, thiserror::Error)]
#[error("bare response with status {0}: {1}")]
struct LayerError(StatusCode, String);

fn log_fault(problem: &Problem, method: &Method, path: &str, request_id: &str) {
    let cause = problem.cause.as_deref().unwrap_or("none given");
    if problem.code == Code::Internal {
        tracing::error!(%method, path, request_id, cause, "request failed by our own fault");
    } else if problem.cause.is_some() {
        let code = problem.code.name();
        tracing::warn!(%method, path, request_id, cause, code, "request failed");
    }
}

fn write_problem(
    mut parts: axum::http::response::Parts,
    problem: &Problem,
    head: bool,
    instance: String,
    request_id: &str,
) -> Response {
    let code = problem.code;
    let body = ProblemBody {
        page: code.page(),
        title: Cow::Borrowed(code.title()),
        status: code.status().as_u16(),
        detail: problem.detail.clone(),
        instance,
        code,
        request_id: request_id.to_owned(),
        errors: problem.errors.clone(),
    };
    // Text, one small integer and an enum: nothing in it can fail to be JSON.
    let bytes = serde_json::to_vec(&body).unwrap_or_default();
    parts.status = code.status();
    for name in [ETAG, LAST_MODIFIED, CONTENT_ENCODING] {
        parts.headers.remove(name);
    }
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after {
        parts.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if code == Code::Unauthorized {
        parts.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Response::from_parts(parts, if head { Body::empty() } else { Body::from(bytes) })
}

/// The known name most like `wanted`, if one is alike enough to be what was meant.
pub fn closest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.is_empty() || wanted.len() > LONGEST_COMPARED {
        return None;
    }
    let wanted = wanted.to_ascii_lowercase();
    known
        .map(|name| (strsim::jaro_winkler(&wanted, &name.to_ascii_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// What a client sent, cut so that an error cannot grow with it.
#[must_use]
pub fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST_ECHO) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

/// RFC 6901: `~` and `/` inside one step of a pointer.
fn escape_pointer(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

fn describe_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::{get, post};
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;

    /// The status, the headers and the body of one request to `routes` behind the middleware.
    async fn ask(routes: Router, method: &str, path: &str) -> (Response<()>, Value) {
        let app = routes
            .layer(axum::middleware::from_fn(render_problems))
            .layer(axum::middleware::from_fn(super::super::request_id::assign));
        let request =
            Request::builder().method(method).uri(path).header("x-request-id", "test-1").body(Body::empty()).unwrap();
        let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, 100_000).await.unwrap();
        (Response::from_parts(parts, ()), serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn a_problem_of_a_handler_has_every_field() {
        let known = ["hashprice_usd_per_ph_day", "price_usd"];
        let routes = Router::new().route(
            "/v1/series/{metric}",
            get(move || async move {
                let wanted = "hashprise_usd_per_ph_day";
                Problem::unknown(Code::UnknownMetric, "metric", wanted, known.into_iter())
            }),
        );
        let (head, body) = ask(routes, "GET", "/v1/series/hashprise_usd_per_ph_day?x=1").await;
        assert_eq!(head.status(), 404);
        assert_eq!(head.headers()[CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(head.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(
            body,
            serde_json::json!({
                "type": "/docs/errors/unknown-metric",
                "title": "Unknown metric",
                "status": 404,
                "detail": "No metric hashprise_usd_per_ph_day; did you mean hashprice_usd_per_ph_day?",
                "instance": "/v1/series/hashprise_usd_per_ph_day",
                "code": "unknown_metric",
                "request_id": "test-1",
            })
        );
    }

    #[tokio::test]
    async fn what_the_router_says_becomes_a_problem() {
        let routes = || Router::new().route("/here", get(|| async { "x" }));
        let (head, body) = ask(routes(), "GET", "/nowhere").await;
        assert_eq!((head.status().as_u16(), &body["code"]), (404, &"unknown_route".into()));
        assert_eq!(body["instance"], "/nowhere");

        let (head, body) = ask(routes(), "POST", "/here").await;
        assert_eq!((head.status().as_u16(), &body["code"]), (405, &"method_not_allowed".into()));
        assert_eq!(head.headers()[ALLOW], "GET,HEAD");
    }

    #[tokio::test]
    async fn a_rejected_body_becomes_a_problem_that_says_why() {
        #[expect(clippy::disallowed_types, reason = "the plain rejection of axum is what is tested")]
        let read = |axum::Json(_): axum::Json<Value>| async { "x" };
        let (head, body) = ask(Router::new().route("/", post(read)), "POST", "/").await;
        assert_eq!((head.status().as_u16(), &body["code"]), (415, &"unsupported_media_type".into()));
        assert!(body["detail"].as_str().unwrap().contains("application/json"));
    }

    #[tokio::test]
    async fn a_fault_says_nothing_of_the_inside() {
        let fail = || async { Problem::internal(&std::io::Error::other("password=hunter2")) };
        let (head, body) = ask(Router::new().route("/", get(fail)), "GET", "/").await;
        assert_eq!((head.status().as_u16(), &body["code"]), (500, &"internal".into()));
        assert!(!body.to_string().contains("hunter2"));

        let fail = || async { (StatusCode::BAD_GATEWAY, "password=hunter2") };
        let (head, body) = ask(Router::new().route("/", get(fail)), "GET", "/").await;
        assert_eq!((head.status().as_u16(), &body["code"]), (500, &"internal".into()));
        assert!(!body.to_string().contains("hunter2"));
    }

    #[tokio::test]
    async fn retry_after_and_challenge_are_sent() {
        let away = || async { Problem::new(Code::DatabaseAway, "x").retry_after(0) };
        let (head, _) = ask(Router::new().route("/", get(away)), "GET", "/").await;
        assert_eq!(head.headers()[RETRY_AFTER], "1");

        let closed = || async { Problem::new(Code::Unauthorized, "x") };
        let (head, _) = ask(Router::new().route("/", get(closed)), "GET", "/").await;
        assert_eq!(head.headers()[WWW_AUTHENTICATE], "Bearer");
    }

    #[tokio::test]
    async fn head_has_the_length_and_no_body() {
        let (head, body) = ask(Router::new(), "HEAD", "/nowhere").await;
        assert_eq!(body, Value::Null);
        assert_ne!(head.headers()[CONTENT_LENGTH], "0");
    }

    #[tokio::test]
    async fn an_error_with_a_body_of_its_own_passes() {
        let ready = || async { (StatusCode::SERVICE_UNAVAILABLE, axum::Json(serde_json::json!({"db": "away"}))) };
        let (head, body) = ask(Router::new().route("/readyz", get(ready)), "GET", "/readyz").await;
        assert_eq!((head.status().as_u16(), &body["db"]), (503, &"away".into()));
    }

    #[test]
    fn the_published_schema_is_that_of_the_body() {
        assert_eq!(ProblemBody::name(), "Problem");
        let schema = serde_json::to_value(<ProblemBody as utoipa::PartialSchema>::schema()).unwrap();
        let always = ["type", "title", "status", "detail", "instance", "code", "request_id"];
        assert_eq!(schema["required"], serde_json::json!(always));
        assert_eq!(schema["properties"]["errors"]["type"], "array");
        let item = serde_json::to_value(<ProblemItem as utoipa::PartialSchema>::schema()).unwrap();
        assert_eq!(item["properties"]["parameter"]["type"], "string");
        let code = serde_json::to_value(<Code as utoipa::PartialSchema>::schema()).unwrap();
        let names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(code["enum"], serde_json::json!(names));
    }

    #[test]
    fn every_code_is_named_consistently() {
        for &code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
            assert_eq!(Code::from_slug(&code.slug()), Some(code));
            assert!(code.status().is_client_error() || code.status().is_server_error());
            let waits = matches!(code.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(code.retry_after().is_some(), waits, "{code:?}");
            assert!(code.help().len() > 60, "{code:?}");
        }
        assert_eq!(Code::from_slug("unknown_metric"), None);
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["hashprice_usd_per_ph_day", "difficulty", "mpi", "price_usd", "start", "end", "limit"];
        let suggest = |wanted| closest(wanted, known.into_iter());
        assert_eq!(suggest("hashprice"), Some("hashprice_usd_per_ph_day"));
        assert_eq!(suggest("Dificulty"), Some("difficulty"));
        assert_eq!(suggest("strat"), Some("start"));
        assert_eq!(suggest("limits"), Some("limit"));
        assert_eq!(suggest("weather"), None);
        assert_eq!(suggest(""), None);
        assert_eq!(suggest(&"d".repeat(1000)), None);
    }

    #[test]
    fn long_input_is_cut_at_a_character() {
        assert_eq!(shorten("abc"), "abc");
        assert_eq!(shorten(&"ü".repeat(150)).chars().count(), 101);
    }
}

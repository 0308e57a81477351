//! The server: listening, limits, the order of the layers, and the way it stops.
//!
//! # What protects it
//!
//! | attack | what happens |
//! | --- | --- |
//! | connected, nothing sent | closed after [`ServerLimits::first_byte`] |
//! | half a header, whole or trickled | closed [`ServerLimits::header`] after its first byte |
//! | connection kept open between requests | closed after [`ServerLimits::keep_alive`] |
//! | body announced and not sent, or trickled | 408 after [`ServerLimits::body`] |
//! | handler hangs | 503 `overloaded` after [`ServerLimits::answer`] |
//! | response not read | closed after [`ServerLimits::write`] without progress |
//! | too many connections | those beyond [`ServerLimits::connections`] are closed at once |
//! | too many requests, or bad keys | 429, by [`super::guard`] |
//! | a connection open at shutdown | cut after [`ServerLimits::shutdown`] |
//!
//! Half of a *pipelined* header (sent together with the request before it) is the one case that is
//! closed only after the keep-alive time: hyper has its bytes already, so the stream sees none.
//! Only HTTP/1 is spoken; a proxy in front speaks HTTP/2 and TLS.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum_server::Handle;
use hyper_util::rt::TokioTimer;
use tower::ServiceBuilder;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::{RequestBodyDeadlineLayer, TimeoutLayer};
use tracing::Instrument as _;

use super::connection::{Deadlines, Gate};
use super::form::strip_suffix;
use super::guard::{self, Guard};
use super::problem::{problem_of_panic, render_problems};
use super::request_id::{self, RequestId};

/// Nothing from other hosts, no inline script; inline style because Swagger UI sets it.
const HTML_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A chart opened by itself: its own style, and nothing else.
const SVG_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// Query parameters whose values never reach a log.
const SECRET_PARAMETERS: [&str; 1] = ["token"];

/// How much of what a server gives.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Open connections at most.
    pub connections: usize,
    /// From the connection to its first byte.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its header.
    pub header: Duration,
    /// Between two requests of one connection. Shorter than the poll interval of clients, it makes
    /// each poll a new connection.
    pub keep_alive: Duration,
    /// From the header to the end of the request's body.
    pub body: Duration,
    /// From the header to the beginning of the response.
    pub answer: Duration,
    /// For the client to take some of the response.
    pub write: Duration,
    /// From the signal to stop to the end of the last connection.
    pub shutdown: Duration,
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            // Below the usual limit of 1,024 open files, which the database and files share.
            connections: 800,
            first_byte: Duration::from_secs(10),
            header: Duration::from_secs(5),
            keep_alive: Duration::from_secs(65),
            body: Duration::from_secs(4),
            answer: Duration::from_secs(6),
            write: Duration::from_secs(30),
            shutdown: Duration::from_secs(3),
            body_bytes: 2 * 1_024 * 1_024,
        }
    }
}

/// Serves `router`, which should come from [`with_middleware`], until `shutdown` completes; then
/// refuses new connections, lets running requests finish for [`ServerLimits::shutdown`], and cuts
/// what is left. Handlers find the peer's address as `ConnectInfo<SocketAddr>`.
///
/// # Errors
/// When the listener cannot be used; a failing connection is never an error here.
pub async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let deadlines = Deadlines {
        first_byte: limits.first_byte,
        header: limits.header,
        idle: limits.keep_alive,
        write: limits.write,
    };
    let gate = Gate::new(limits.connections, deadlines);
    let mut server = axum_server::from_tcp(listener)?.http1_only().acceptor(gate).handle(handle.clone());
    // The stream's deadlines come first; hyper's is there for half of a pipelined header.
    let longest = limits.keep_alive.max(limits.first_byte) + limits.header;
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(longest);
    let mut serving = pin!(server.serve(router.into_make_service_with_connect_info::<SocketAddr>()));
    tokio::select! {
        outcome = &mut serving => return outcome,
        () = shutdown => handle.graceful_shutdown(Some(limits.shutdown)),
    }
    serving.await
}

/// Puts the layers around a router, from the outside in:
///
/// 1. request id: everything below may name it;
/// 2. log: one line a request, with the status that the client sees;
/// 3. security headers: on errors too;
/// 4. problems: turns every error from below into `application/problem+json`;
/// 5. guard: keys and allowances, a 401, 403 or 429; what stands below is counted and says so;
/// 6. panics become a 500;
/// 7. time limit of the answer: a 503;
/// 8. size, then time limit of the request's body: 413 and 408;
/// 9. suffixes: they change the path, so they come before routing;
/// 10. the router.
pub fn with_middleware(router: Router, guard: Arc<Guard>, limits: &ServerLimits) -> Router {
    let stack = ServiceBuilder::new()
        .layer(from_fn(request_id::assign))
        .layer(from_fn(log_request))
        .layer(from_fn(add_security_headers))
        .layer(from_fn(render_problems))
        .layer(from_fn_with_state(guard, guard::watch))
        .layer(CatchPanicLayer::custom(problem_of_panic))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits.answer))
        .layer(RequestBodyLimitLayer::new(limits.body_bytes))
        .layer(RequestBodyDeadlineLayer::new(limits.body))
        .layer(MapRequestLayer::new(|request: axum::http::Request<_>| strip_suffix(request.map(axum::body::Body::new))))
        // One limit, the one above: axum's own of 2 MB would come before a larger one.
        .service(router.layer(DefaultBodyLimit::disable()));
    Router::new().fallback_service(stack)
}

/// Middleware: one log line a request. Query values that are secrets are left out.
async fn log_request(request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<RequestId>().map_or("", RequestId::as_str);
    let span = tracing::debug_span!("request", request_id);
    let method = request.method().clone();
    let path = redact(request.uri().path(), request.uri().query());
    let begun = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let duration_ms = begun.elapsed().as_secs_f64() * 1_000.0;
    span.in_scope(|| tracing::debug!(%method, path, status, duration_ms, "request answered"));
    response
}

fn redact(path: &str, query: Option<&str>) -> String {
    let Some(query) = query else { return path.to_owned() };
    let mut out = String::with_capacity(path.len() + query.len() + 1);
    out.push_str(path);
    let mut separator = '?';
    for pair in query.split('&') {
        out.push(separator);
        separator = '&';
        let name = pair.split('=').next().unwrap_or_default();
        // Decoded first, so that `%74oken=` hides nothing from the comparison.
        let decoded = form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.into_owned());
        if decoded.is_some_and(|decoded| SECRET_PARAMETERS.contains(&decoded.as_str())) {
            out.push_str(name);
            out.push_str("=redacted");
        } else {
            out.push_str(pair);
        }
    }
    out
}

/// Middleware: headers that keep browsers from guessing, framing and telling. A handler's own win.
async fn add_security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_html = content_type.is_some_and(|media_type| media_type.starts_with("text/html"));
    let is_svg = content_type.is_some_and(|media_type| media_type.starts_with("image/svg"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Addresses may carry a feed token, so no other site learns them.
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    if is_svg {
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(SVG_POLICY));
    }
    if is_html {
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(HTML_POLICY));
        headers.entry(X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::num::NonZeroU32;

    use axum::body::{Body, Bytes, to_bytes};
    use axum::extract::{ConnectInfo, Extension};
    use axum::http::HeaderMap;
    use axum::http::header::{ALLOW, CONTENT_LENGTH, RETRY_AFTER};
    use axum::response::Html;
    use axum::routing::{get, post};
    use futures::stream;
    use serde_json::Value;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tower::ServiceExt as _;

    use super::super::auth::Access;
    use super::super::form::{Asked, Form};
    use super::super::rendered::{ContentFacts, Rendered, ResponseFacts, respond};
    use super::*;
    use crate::clock::Clock;
    use crate::domain::time::Timestamp;

    fn open_guard() -> Arc<Guard> {
        Arc::new(Guard::new(Access::Open, NonZeroU32::MAX, Clock::System))
    }

    fn short_limits() -> ServerLimits {
        ServerLimits {
            connections: 2,
            first_byte: Duration::from_millis(200),
            header: Duration::from_millis(100),
            keep_alive: Duration::from_millis(300),
            body: Duration::from_millis(50),
            answer: Duration::from_millis(150),
            write: Duration::from_secs(1),
            shutdown: Duration::from_millis(300),
            body_bytes: 1_000,
        }
    }

    async fn answer(method: axum::http::Method, headers: HeaderMap) -> Response {
        let last_modified = Timestamp::parse("2024-01-01").unwrap();
        let content = ContentFacts { media_type: "application/json", last_modified, extra: Vec::new() };
        let rendered = Rendered::new("{\"data\":[]}".repeat(200), content).into();
        let facts = ResponseFacts { cache_control: "no-cache".to_owned(), extra: Vec::new() };
        respond(&rendered, &headers, &method, &facts)
    }

    async fn say_asked(Extension(asked): Extension<Asked>) -> String {
        format!("{} {}", asked.path, asked.form.map_or("none", Form::name))
    }

    async fn say_peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
        peer.ip().to_string()
    }

    fn routes() -> Router {
        Router::new()
            .route("/v1/answer", get(answer))
            .route("/v1/asked/{name}", get(say_asked))
            .route("/peer", get(say_peer))
            .route("/page", get(|| async { Html("<p>x") }))
            .route("/push", post(|body: Bytes| async move { body.len().to_string() }))
            .route("/hang", get(std::future::pending::<()>))
            .route("/panic", get(|| async { panic!("secret of the inside") as () }))
    }

    async fn ask(request: axum::http::request::Builder, body: Body) -> (Response<()>, Bytes) {
        let app = with_middleware(routes(), open_guard(), &short_limits());
        let (parts, body) = app.oneshot(request.body(body).unwrap()).await.unwrap().into_parts();
        (Response::from_parts(parts, ()), to_bytes(body, 1_000_000).await.unwrap())
    }

    async fn problem(method: &str, path: &str, body: Body) -> (Response<()>, String) {
        let (head, body) = ask(Request::builder().method(method).uri(path), body).await;
        assert_eq!(head.headers()[CONTENT_TYPE], "application/problem+json");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["request_id"], head.headers()["x-request-id"].to_str().unwrap());
        assert_eq!(body["status"], head.status().as_u16());
        assert!(!body.to_string().contains("secret"));
        (head, body["code"].as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn every_failure_is_a_problem() {
        let (head, code) = problem("GET", "/v1/nothing.csv", Body::empty()).await;
        assert_eq!((head.status().as_u16(), code.as_str()), (404, "unknown_route"));

        let (head, code) = problem("DELETE", "/v1/answer.json", Body::empty()).await;
        assert_eq!((head.status().as_u16(), code.as_str()), (405, "method_not_allowed"));
        assert_eq!(head.headers()[ALLOW], "GET,HEAD");

        let (head, code) = problem("GET", "/panic", Body::empty()).await;
        assert_eq!((head.status().as_u16(), code.as_str()), (500, "internal"));

        let (head, code) = problem("GET", "/hang", Body::empty()).await;
        assert_eq!((head.status().as_u16(), code.as_str()), (503, "overloaded"));
        assert_eq!(head.headers()[RETRY_AFTER], "1");
    }

    #[tokio::test]
    async fn bodies_are_limited_in_size_and_time() {
        let (head, body) = ask(Request::post("/push"), Body::from(vec![0; 1_000])).await;
        assert_eq!((head.status().as_u16(), &body[..]), (200, &b"1000"[..]));

        let chunked = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![0; 600])), Ok(Bytes::from(vec![0; 600]))]);
        for body in [Body::from(vec![0; 1_001]), Body::from_stream(chunked)] {
            let (head, code) = problem("POST", "/push", body).await;
            assert_eq!((head.status().as_u16(), code.as_str()), (413, "payload_too_large"));
        }

        let stalled = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let (head, code) = problem("POST", "/push", stalled).await;
        assert_eq!((head.status().as_u16(), code.as_str()), (408, "request_timeout"));
    }

    #[tokio::test]
    async fn suffixes_are_routed_without_and_remembered() {
        let (_, body) = ask(Request::get("/v1/asked/mpi.csv?limit=1"), Body::empty()).await;
        assert_eq!(body, "/v1/asked/mpi.csv csv");
        let (_, body) = ask(Request::get("/v1/asked/mpi"), Body::empty()).await;
        assert_eq!(body, "/v1/asked/mpi none");
    }

    #[tokio::test]
    async fn head_and_304_keep_their_headers_through_the_layers() {
        let (of_get, body) = ask(Request::get("/v1/answer"), Body::empty()).await;
        assert_eq!(of_get.headers()[CONTENT_LENGTH], body.len().to_string().as_str());
        let (of_head, body) = ask(Request::head("/v1/answer.json"), Body::empty()).await;
        assert!(body.is_empty());
        assert_eq!(of_head.headers()[CONTENT_LENGTH], of_get.headers()[CONTENT_LENGTH]);
        let etag = of_get.headers()["etag"].clone();
        let (unchanged, _) = ask(Request::get("/v1/answer").header("if-none-match", etag), Body::empty()).await;
        assert_eq!(unchanged.status(), 304);
        assert!(!unchanged.headers().contains_key(CONTENT_LENGTH));
    }

    #[tokio::test]
    async fn security_headers_are_on_everything_and_the_policy_on_pages() {
        let (page, _) = ask(Request::get("/page"), Body::empty()).await;
        assert!(page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'"));
        let (missing, _) = ask(Request::get("/missing"), Body::empty()).await;
        for headers in [page.headers(), missing.headers()] {
            assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(headers[REFERRER_POLICY], "no-referrer");
        }
        assert!(!missing.headers().contains_key(CONTENT_SECURITY_POLICY));
    }

    #[test]
    fn tokens_do_not_reach_the_log() {
        assert_eq!(redact("/v1/a", None), "/v1/a");
        assert_eq!(redact("/v1/a", Some("x=1&token=s3cret&y")), "/v1/a?x=1&token=redacted&y");
        assert_eq!(redact("/v1/a", Some("%74oken=s3cret")), "/v1/a?%74oken=redacted");
    }

    /// A server on a free port, and the switch that stops it.
    struct Running {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        server: JoinHandle<io::Result<()>>,
    }

    fn start(limits: ServerLimits) -> Running {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = with_middleware(routes(), open_guard(), &limits);
        let shutdown = async move {
            let _ = stopped.await;
        };
        Running { address, stop, server: tokio::spawn(serve(listener, router, limits, shutdown)) }
    }

    async fn connect(running: &Running, sent: &str) -> TcpStream {
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(sent.as_bytes()).await.unwrap();
        client
    }

    /// Reads to the end of the connection; what came, and how long that took.
    async fn drain(mut client: TcpStream) -> (String, Duration) {
        let begun = Instant::now();
        let mut got = Vec::new();
        // A connection that is reset is closed too.
        let _ = client.read_to_end(&mut got).await;
        (String::from_utf8_lossy(&got).into_owned(), begun.elapsed())
    }

    fn assert_about(took: Duration, expected: Duration) {
        let early = expected.mul_f64(0.8);
        assert!(took >= early && took < expected + Duration::from_secs(2), "{took:?}, not {expected:?}");
    }

    #[tokio::test]
    async fn silent_and_half_sent_connections_are_closed() {
        let limits = ServerLimits { keep_alive: Duration::from_secs(20), ..short_limits() };
        let running = start(limits);
        let half = connect(&running, "GET / HTTP/1.1\r\nHost: x\r\nX-Half: ").await;
        let silent = connect(&running, "").await;
        let ((got, half_took), (_, silent_took)) = tokio::join!(drain(half), drain(silent));
        assert_eq!(got, "");
        assert_about(half_took, limits.header);
        assert_about(silent_took, limits.first_byte);
    }

    #[tokio::test]
    async fn a_connection_serves_many_requests_and_then_idles_out() {
        let running = start(short_limits());
        let request = "GET /peer HTTP/1.1\r\nHost: x\r\n\r\n";
        let unchanged = "GET /v1/answer HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n";
        let head = "HEAD /v1/answer HTTP/1.1\r\nHost: x\r\n\r\n";
        let (got, took) = drain(connect(&running, &[unchanged, head, request].concat()).await).await;
        assert_eq!(got.matches("HTTP/1.1 ").count(), 3, "{got}");
        assert!(got.starts_with("HTTP/1.1 304 Not Modified\r\n"), "{got}");
        assert!(got.contains("content-length: 2200\r\n"), "{got}");
        assert!(got.ends_with("127.0.0.1"), "{got}");
        assert!(!got.contains("transfer-encoding"), "{got}");
        assert_about(took, short_limits().keep_alive);
    }

    #[tokio::test]
    async fn a_hanging_handler_and_a_stalled_body_are_answered() {
        let running = start(short_limits());
        let (got, _) = drain(connect(&running, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n").await).await;
        assert!(got.starts_with("HTTP/1.1 503 "), "{got}");
        let stalled = "POST /push HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123";
        let (got, _) = drain(connect(&running, stalled).await).await;
        assert!(got.starts_with("HTTP/1.1 408 "), "{got}");
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed_and_places_come_back() {
        let limits = ServerLimits { first_byte: Duration::from_secs(20), ..short_limits() };
        let running = start(limits);
        let request = "GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        // An answer shows that the connection has its place.
        let keep = "GET /peer HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut first = connect(&running, keep).await;
        first.read_exact(&mut [0; 12]).await.unwrap();
        let mut second = connect(&running, keep).await;
        second.read_exact(&mut [0; 12]).await.unwrap();
        assert_eq!(drain(connect(&running, "").await).await.0, "");

        drain(first).await;
        drain(second).await;
        assert!(drain(connect(&running, request).await).await.0.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn shutdown_does_not_wait_for_a_half_sent_header() {
        let slow = Duration::from_secs(20);
        let limits = ServerLimits { header: slow, first_byte: slow, keep_alive: slow, ..short_limits() };
        let running = start(limits);
        let mut half = connect(&running, "GET /peer HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: ").await;
        half.read_exact(&mut [0; 12]).await.unwrap();
        let begun = Instant::now();
        running.stop.send(()).unwrap();
        running.server.await.unwrap().unwrap();
        assert!(begun.elapsed() < limits.shutdown + Duration::from_secs(2));
        assert!(TcpStream::connect(running.address).await.is_err());
    }

    #[tokio::test]
    async fn shutdown_lets_a_running_request_finish() {
        let limits = ServerLimits { shutdown: Duration::from_secs(20), ..short_limits() };
        let running = start(limits);
        let client = connect(&running, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n").await;
        // The answer to a second connection shows that the first has been accepted.
        drain(connect(&running, "GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await).await;
        running.stop.send(()).unwrap();
        assert!(drain(client).await.0.starts_with("HTTP/1.1 503 "));
        running.server.await.unwrap().unwrap();
    }
}

//! The one HTTP client for sources: deadlines, a limit of size, and errors that say what to do next.
//!
//! It judges status and content type before anybody parses, keeps secrets out of everything it
//! returns, and does not retry: the worker decides when to ask again.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, ClientBuilder, Response};
use tokio::sync::{Mutex, MutexGuard};
use url::Url;

use super::feed::{Answer, Ask, Secret, SecretPlace};
use super::text::{cut, message_of};

/// How the client introduces itself.
const NAME: &str = concat!("miner-signals/", env!("CARGO_PKG_VERSION"));
/// How much of an error's body is read for its message.
const ERROR_BODY_LIMIT: usize = 64 * 1024;
/// A body that grows over this is large: only one at a time does, so that what all sources together can
/// make us hold does not grow with their number. Usual answers are far smaller.
const LARGE_BODY: usize = 4 * 1024 * 1024;
/// What stands where a secret stood.
const REMOVED: &str = "removed";

/// What a request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands.
    pub connect: Duration,
    /// From the first packet to the last byte of the body, redirects included.
    pub deadline: Duration,
    /// Bytes of a body after decompression.
    pub body_bytes: usize,
    /// Redirects followed; only ever to the same scheme, host and port.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
            body_bytes: 32 * 1024 * 1024,
            redirects: 3,
        }
    }
}

/// What an earlier answer to the same address can be recognised by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// A good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The answer with these validators is still the newest.
    NotModified,
    Answer {
        answer: Answer,
        validators: Validators,
    },
}

/// Why there is no usable answer. Every variant names the address, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("{address} asks for fewer requests (429){}", pause(*.retry_after))]
    RateLimited { address: String, retry_after: Option<Duration> },
    #[error("{address} is out of order ({status}){}{}", saying(.said.as_deref()), pause(*.retry_after))]
    ServerError { address: String, status: u16, said: Option<String>, retry_after: Option<Duration> },
    #[error("{address} refused the request ({status}){}", saying(.said.as_deref()))]
    Refused { address: String, status: u16, said: Option<String> },
    #[error("{address} answered with {content_type} where JSON was asked for")]
    NotJson { address: String, content_type: String },
    #[error("{address} answered with nothing ({status})")]
    NoContent { address: String, status: u16 },
    #[error("{address} broke off before its answer was whole")]
    Truncated { address: String },
    #[error("{address} did not answer within {} ms", .within.as_millis())]
    Timeout { address: String, within: Duration },
    #[error("{address} answered with more than {limit} bytes")]
    TooLarge { address: String, limit: usize },
    #[error("{address} {why}")]
    Redirects { address: String, why: String },
    #[error("{address} cannot be reached: {why}")]
    Unreachable { address: String, why: String },
}

impl FetchError {
    /// The code in the ledger and in `/v1/sources`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::ServerError { .. } => "server_error",
            Self::Refused { .. } => "refused",
            Self::NotJson { .. } => "not_json",
            Self::NoContent { .. } => "no_content",
            Self::Truncated { .. } => "truncated",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "too_large",
            Self::Redirects { .. } => "redirects",
            Self::Unreachable { .. } => "unreachable",
        }
    }

    /// How long the source asks to be left alone, if it says so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::ServerError { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn saying(said: Option<&str>) -> String {
    said.map(|said| format!(": {said}")).unwrap_or_default()
}

fn pause(retry_after: Option<Duration>) -> String {
    retry_after.map(|pause| format!(", again in {} s", pause.as_secs())).unwrap_or_default()
}

/// The client could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the HTTP client cannot be set up: {0}")]
pub struct NoClient(String);

/// The client; cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    limits: Limits,
    /// Held while a large body is read.
    large_body: Arc<Mutex<()>>,
}

impl Http {
    /// A client that introduces itself as `miner-signals/<version>`, with the operator's `contact`
    /// (an address or a page) behind it. It uses the system's proxies.
    ///
    /// # Errors
    /// [`NoClient`] if TLS cannot be set up or `contact` cannot stand in a header.
    pub fn new(contact: Option<&str>, limits: Limits) -> Result<Self, NoClient> {
        let agent = contact.map_or_else(|| NAME.to_owned(), |contact| format!("{NAME} (+{contact})"));
        Self::build(Client::builder().user_agent(agent), limits)
    }

    /// A client for servers on this computer, which no proxy could reach.
    ///
    /// # Errors
    /// [`NoClient`] if TLS cannot be set up.
    pub fn local(limits: Limits) -> Result<Self, NoClient> {
        Self::build(Client::builder().user_agent(NAME).no_proxy(), limits)
    }

    fn build(builder: ClientBuilder, limits: Limits) -> Result<Self, NoClient> {
        let client = builder
            .connect_timeout(limits.connect)
            .redirect(Policy::custom(move |attempt| follow(attempt, limits.redirects)))
            .referer(false)
            .build()
            .map_err(|error| NoClient(innermost(&error)))?;
        Ok(Self { client, limits, large_body: Arc::default() })
    }

    /// Asks once. `validators` are those of the newest answer to the same address.
    ///
    /// # Errors
    /// [`FetchError`]; it never contains the secret of `ask`.
    pub async fn fetch(&self, ask: &Ask, validators: Option<&Validators>) -> Result<Fetched, FetchError> {
        let exchange = self.exchange(ask, validators);
        tokio::time::timeout(self.limits.deadline, exchange).await.unwrap_or_else(|_| {
            Err(FetchError::Timeout { address: ask.address.to_string(), within: self.limits.deadline })
        })
    }

    async fn exchange(&self, ask: &Ask, validators: Option<&Validators>) -> Result<Fetched, FetchError> {
        let wanted = if ask.takes_markup { "text/html, text/plain" } else { "application/json" };
        let mut request = self.client.get(wire_address(ask)).header(ACCEPT, wanted);
        if let Some((name, text)) = secret_header(ask) {
            let mut value = HeaderValue::try_from(text).map_err(|_| FetchError::Unreachable {
                address: ask.address.to_string(),
                why: "the key cannot stand in a header".to_owned(),
            })?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        for (name, value) in validators.into_iter().flat_map(Validators::headers) {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|error| self.not_answered(ask, error))?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED && validators.is_some() {
            return Ok(Fetched::NotModified);
        }
        let is_unknown = matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND);
        let is_answer = status.is_success() || (ask.takes_unknown && is_unknown);
        if !is_answer {
            return Err(refusal(ask, response).await);
        }
        let content_type = header(response.headers(), &CONTENT_TYPE).unwrap_or_default();
        let not_json = |content_type| FetchError::NotJson { address: ask.address.to_string(), content_type };
        if !ask.takes_markup && is_markup(&content_type) {
            return Err(not_json(cut(&content_type, 60)));
        }
        let validators = Validators::of(response.headers());
        let body = self.read_body(ask, response).await?;
        match body.trim_ascii_start().first() {
            None => Err(FetchError::NoContent { address: ask.address.to_string(), status: status.as_u16() }),
            Some(b'<') if !ask.takes_markup => Err(not_json("markup".to_owned())),
            Some(_) => {
                let answer = Answer { address: ask.address.clone(), body: without_secret(ask, body) };
                Ok(Fetched::Answer { answer, validators })
            }
        }
    }

    /// The whole body, decompressed; stops at the first byte over the limit.
    async fn read_body(&self, ask: &Ask, mut response: Response) -> Result<Bytes, FetchError> {
        let too_large = || FetchError::TooLarge { address: ask.address.to_string(), limit: self.limits.body_bytes };
        if response.content_length().is_some_and(|length| length > self.limits.body_bytes as u64) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        let mut turn: Option<MutexGuard<'_, ()>> = None;
        loop {
            if body.len() > LARGE_BODY && turn.is_none() {
                turn = Some(self.large_body.lock().await);
            }
            match response.chunk().await {
                Ok(None) => return Ok(body.freeze()),
                Ok(Some(chunk)) if body.len() + chunk.len() > self.limits.body_bytes => return Err(too_large()),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Err(_) => return Err(FetchError::Truncated { address: ask.address.to_string() }),
            }
        }
    }

    fn not_answered(&self, ask: &Ask, error: reqwest::Error) -> FetchError {
        let address = ask.address.to_string();
        let error = error.without_url();
        if let Some(unwanted) = causes(&error).find_map(|error| error.downcast_ref::<Unwanted>()) {
            return FetchError::Redirects { address, why: unwanted.to_string() };
        }
        if error.is_timeout() {
            return FetchError::Timeout { address, within: self.limits.connect };
        }
        if error.is_connect() || error.is_builder() {
            return FetchError::Unreachable { address, why: hidden(ask, &innermost(&error)) };
        }
        FetchError::Truncated { address }
    }
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        Self { etag: header(headers, &ETAG), last_modified: header(headers, &LAST_MODIFIED) }
    }

    fn headers(&self) -> impl Iterator<Item = (HeaderName, &str)> {
        let etag = self.etag.as_deref().map(|etag| (IF_NONE_MATCH, etag));
        etag.into_iter().chain(self.last_modified.as_deref().map(|at| (IF_MODIFIED_SINCE, at)))
    }
}

/// A redirect that is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unwanted {
    #[error("redirects without end")]
    TooMany,
    #[error("redirects to another host")]
    Elsewhere,
}

fn follow(attempt: Attempt<'_>, limit: usize) -> reqwest::redirect::Action {
    let origin = |address: &Url| {
        (address.scheme().to_owned(), address.host_str().map(str::to_owned), address.port_or_known_default())
    };
    if attempt.previous().len() > limit {
        return attempt.error(Unwanted::TooMany);
    }
    if attempt.previous().first().map(origin) != Some(origin(attempt.url())) {
        return attempt.error(Unwanted::Elsewhere);
    }
    attempt.follow()
}

/// The address with the secret: for the wire only.
fn wire_address(ask: &Ask) -> Url {
    let mut address = ask.address.clone();
    if let Some(Secret { place: SecretPlace::Parameter(name), key }) = &ask.secret {
        address.query_pairs_mut().append_pair(name, key.reveal());
    }
    address
}

/// The header with the secret: for the wire only.
fn secret_header(ask: &Ask) -> Option<(HeaderName, String)> {
    let Secret { place, key } = ask.secret.as_ref()?;
    match place {
        SecretPlace::Parameter(_) => None,
        SecretPlace::Header(name) => Some((HeaderName::from_static(name), key.reveal().to_owned())),
        SecretPlace::Bearer => Some((AUTHORIZATION, format!("Bearer {}", key.reveal()))),
    }
}

/// What an answer without success means.
async fn refusal(ask: &Ask, mut response: Response) -> FetchError {
    let address = ask.address.to_string();
    let status = response.status();
    let retry_after = retry_after(response.headers());
    if status == StatusCode::TOO_MANY_REQUESTS {
        return FetchError::RateLimited { address, retry_after };
    }
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        return FetchError::Redirects { address, why: format!("redirects to nowhere ({})", status.as_u16()) };
    }
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(ERROR_BODY_LIMIT - body.len())]);
        if body.len() == ERROR_BODY_LIMIT {
            break;
        }
    }
    let said = message_of(&without_secret(ask, body.freeze()));
    let status = status.as_u16();
    if status >= 500 {
        return FetchError::ServerError { address, status, said, retry_after };
    }
    FetchError::Refused { address, status, said }
}

/// `Retry-After` in seconds, or as a date, which counts from the answer's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = header(headers, &RETRY_AFTER)?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(&text).ok()?;
    let sent = DateTime::parse_from_rfc2822(&header(headers, &DATE)?).ok()?;
    Some(at.signed_duration_since(sent).to_std().unwrap_or(Duration::ZERO))
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(|text| text.trim().to_owned())
}

fn is_markup(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.contains("html") || essence.ends_with("xml")
}

/// The body with every occurrence of the secret replaced, as it is and as it stands in addresses.
fn without_secret(ask: &Ask, body: Bytes) -> Bytes {
    let secret = ask.secret.as_ref().map(|secret| secret.key.reveal());
    let Some(secret) = secret.filter(|secret| !secret.is_empty()) else { return body };
    let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let once = replaced(&body, secret.as_bytes());
    replaced(&once, encoded.as_bytes()).into()
}

fn hidden(ask: &Ask, text: &str) -> String {
    String::from_utf8_lossy(&without_secret(ask, Bytes::copy_from_slice(text.as_bytes()))).into_owned()
}

fn replaced(body: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(secret) {
            clean.extend_from_slice(REMOVED.as_bytes());
            rest = behind;
        } else {
            clean.push(*first);
            rest = after;
        }
    }
    clean
}

/// The causes of an error, the innermost last.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

/// What lies at the bottom of an error, which says most.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::super::feed::ApiKey;
    use super::*;

    /// What the server does after it has written.
    #[derive(Clone, Copy)]
    enum Then {
        Close,
        Hang,
    }

    /// A server that gives one connection after another one of `answers`, and ends with what it was
    /// asked.
    async fn serve(answers: Vec<(Vec<u8>, Then)>) -> (Url, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Url::parse(&format!("http://{}/v1/there?a=1", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move {
            let (mut requests, mut held) = (Vec::new(), Vec::new());
            for (answer, then) in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(socket.read_u8().await.unwrap());
                }
                requests.push(String::from_utf8(request).unwrap());
                let _ = socket.write_all(&answer).await; // the client may have enough
                if matches!(then, Then::Hang) {
                    held.push(socket);
                }
            }
            if !held.is_empty() {
                std::future::pending::<()>().await;
            }
            requests
        });
        (address, server)
    }

    fn http() -> Http {
        let limits = Limits { body_bytes: 1 << 20, deadline: Duration::from_millis(400), ..Limits::default() };
        Http::new(Some("mailto:desk@example.org"), limits).unwrap()
    }

    fn answer(head: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    async fn fetch_one(bytes: Vec<u8>, then: Then) -> Result<Fetched, FetchError> {
        let (address, _server) = serve(vec![(bytes, then)]).await;
        http().fetch(&Ask::open(address), None).await
    }

    async fn error_of(head: &str, body: &[u8]) -> FetchError {
        fetch_one(answer(head, body), Then::Close).await.unwrap_err()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn a_good_answer_comes_with_its_validators_and_we_introduce_ourselves() {
        let head = "200 OK\r\nETag: \"a\"\r\nLast-Modified: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Encoding: gzip";
        let (address, server) = serve(vec![(answer(head, &gzip(b"{\"a\":1}")), Then::Close)]).await;
        let Fetched::Answer { answer, validators } = http().fetch(&Ask::open(address.clone()), None).await.unwrap()
        else {
            panic!("nothing was known before");
        };
        assert_eq!((answer.address, answer.body.as_ref()), (address, b"{\"a\":1}".as_slice()));
        assert_eq!(validators.etag.as_deref(), Some("\"a\""));
        assert_eq!(validators.last_modified.as_deref(), Some("Tue, 01 Jan 2030 00:00:00 GMT"));
        let request = server.await.unwrap().remove(0);
        assert!(request.starts_with("GET /v1/there?a=1 HTTP/1.1"), "{request}");
        assert!(request.contains("accept: application/json"), "{request}");
        assert!(
            request.contains(&format!(
                "user-agent: miner-signals/{} (+mailto:desk@example.org)",
                env!("CARGO_PKG_VERSION")
            ))
        );
    }

    #[tokio::test]
    async fn an_unchanged_answer_is_not_sent_again() {
        let (address, server) = serve(vec![(answer("304 Not Modified", b""), Then::Close)]).await;
        let known = Validators { etag: Some("\"a\"".to_owned()), last_modified: Some("then".to_owned()) };
        assert_eq!(http().fetch(&Ask::open(address), Some(&known)).await, Ok(Fetched::NotModified));
        let request = server.await.unwrap().remove(0);
        assert!(request.contains("if-none-match: \"a\"") && request.contains("if-modified-since: then"), "{request}");
        assert_eq!(error_of("304 Not Modified", b"").await.code(), "refused");
    }

    #[tokio::test]
    async fn too_many_requests_say_when_to_come_back() {
        let pause = |head: &'static str| async move {
            let error = error_of(head, b"<html>slow down</html>").await;
            assert_eq!(error.code(), "rate_limited");
            error.retry_after().map(|pause| pause.as_secs())
        };
        assert_eq!(pause("429 X\r\nRetry-After: 7").await, Some(7));
        let date = "429 X\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nRetry-After: Tue, 01 Jan 2030 00:01:30 GMT";
        assert_eq!(pause(date).await, Some(90));
        let past = "429 X\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nRetry-After: Mon, 31 Dec 2029 00:01:30 GMT";
        assert_eq!(pause(past).await, Some(0));
        assert_eq!(pause("429 X").await, None);
        assert_eq!(pause("429 X\r\nRetry-After: soon").await, None);
    }

    #[tokio::test]
    async fn other_statuses_say_what_the_source_says() {
        let error = error_of("503 X\r\nRetry-After: 9", b"<html>upkeep</html>").await;
        assert_eq!((error.code(), error.retry_after()), ("server_error", Some(Duration::from_secs(9))));
        assert!(error.to_string().ends_with("is out of order (503), again in 9 s"), "{error}");
        let error = error_of("400 X", br#"{"error":{"type":"bad_parameter","message":"no <b>such</b>\nday"}}"#).await;
        assert_eq!(error.code(), "refused");
        assert!(error.to_string().ends_with("refused the request (400): no bsuch/b day"), "{error}");
        assert_eq!(error_of("204 X", b"").await.code(), "no_content");
        assert_eq!(error_of("200 X\r\nContent-Length: 0", b"").await.code(), "no_content");
    }

    #[tokio::test]
    async fn markup_is_not_parsed() {
        let error = error_of("200 OK\r\nContent-Type: Text/HTML; charset=utf-8", b"[1]").await;
        assert_eq!(error.code(), "not_json");
        assert_eq!(error_of("200 OK\r\nContent-Type: application/json", b" \n<html>").await.code(), "not_json");
        assert!(fetch_one(answer("200 OK\r\nContent-Type: text/plain", b"[1]"), Then::Close).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_not_used() {
        assert_eq!(error_of("200 OK\r\nContent-Length: 100", b"[1,2").await.code(), "truncated");
        let half = gzip(b"[1,2,3]");
        assert_eq!(error_of("200 OK\r\nContent-Encoding: gzip", &half[..half.len() / 2]).await.code(), "truncated");
        assert_eq!(fetch_one(b"HTTP/1.1 200".to_vec(), Then::Close).await.unwrap_err().code(), "truncated");
    }

    #[tokio::test]
    async fn header_and_body_share_one_deadline() {
        assert_eq!(fetch_one(Vec::new(), Then::Hang).await.unwrap_err().code(), "timeout");
        let slow_body = answer("200 OK\r\nContent-Length: 100", b"[1");
        assert_eq!(fetch_one(slow_body, Then::Hang).await.unwrap_err().code(), "timeout");
        let slow_error = answer("500 X\r\nContent-Length: 100", b"[1");
        assert_eq!(fetch_one(slow_error, Then::Hang).await.unwrap_err().code(), "timeout");
    }

    #[tokio::test]
    async fn no_body_grows_over_the_limit() {
        let bomb = gzip(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(error_of("200 OK\r\nContent-Encoding: gzip", &bomb).await.code(), "too_large");
        assert_eq!(error_of("200 OK\r\nContent-Length: 1048577", b"[").await.code(), "too_large");
        assert_eq!(error_of("200 OK", &vec![b'1'; (1 << 20) + 1]).await.code(), "too_large");
        assert!(fetch_one(answer("200 OK", &vec![b'1'; 1 << 20]), Then::Close).await.is_ok());
    }

    #[tokio::test]
    async fn large_bodies_take_turns_and_small_ones_do_not_wait() {
        let deadline = Duration::from_millis(800);
        let limits = Limits { deadline, body_bytes: 16 << 20, ..Limits::default() };
        let http = Http::local(limits).unwrap();
        let large = vec![b'1'; LARGE_BODY + (1 << 20)];
        let unending = answer("200 OK\r\nContent-Length: 9000000", &large);
        let (slow, _slow_server) = serve(vec![(unending, Then::Hang)]).await;
        let (second, _second_server) = serve(vec![(answer("200 OK", &large), Then::Close)]).await;
        let (small, _small_server) = serve(vec![(answer("200 OK", b"[1]"), Then::Close)]).await;
        let (slow, second, small) = (Ask::open(slow), Ask::open(second), Ask::open(small));
        let first = http.fetch(&slow, None);
        let others = async {
            // Until the first has its turn.
            while http.large_body.try_lock().is_ok() {
                tokio::task::yield_now().await;
            }
            assert!(http.fetch(&small, None).await.is_ok());
            assert!(http.large_body.try_lock().is_err(), "the first is still at it");
            http.fetch(&second, None).await
        };
        let (first, second) = tokio::join!(first, others);
        assert_eq!(first.unwrap_err().code(), "timeout");
        assert!(second.is_ok(), "{second:?}");
    }

    #[tokio::test]
    async fn redirects_stay_with_the_host_and_end() {
        let again = || (answer("302 Found\r\nLocation: /v1/there", b""), Then::Close);
        let good = || (answer("200 OK", b"[1]"), Then::Close);
        let (address, _server) = serve(vec![again(), again(), again(), good()]).await;
        assert!(http().fetch(&Ask::open(address), None).await.is_ok());
        let (address, _server) = serve(vec![again(), again(), again(), again(), good()]).await;
        let error = http().fetch(&Ask::open(address), None).await.unwrap_err();
        assert!(error.to_string().ends_with("redirects without end"), "{error}");
        for elsewhere in ["http://127.0.0.1:1/v1", "http://localhost/v1", "https://127.0.0.1/"] {
            let error = error_of(&format!("301 Moved\r\nLocation: {elsewhere}"), b"").await;
            assert!(error.to_string().ends_with("redirects to another host"), "{error}");
        }
        assert_eq!(error_of("302 Found", b"").await.code(), "redirects");
    }

    #[tokio::test]
    async fn what_does_not_listen_cannot_be_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        drop(listener);
        let error = http().fetch(&Ask::open(address), None).await.unwrap_err();
        assert_eq!(error.code(), "unreachable");
    }

    #[tokio::test]
    async fn a_secret_is_seen_by_the_wire_alone() {
        let key = "hunter2/ä";
        let body = r#"{"next_page_url":"http://x/?api_key=hunter2%2F%C3%A4&a=1","b":"hunter2/ä"}"#.as_bytes();
        for head in [
            "200 OK",
            "403 X",
            "500 X",
            "302 X\r\nLocation: http://127.0.0.1:1/?api_key=hunter2",
            "200 OK\r\nContent-Length: 999",
        ] {
            let (address, server) = serve(vec![(answer(head, body), Then::Close)]).await;
            let ask = Ask::keyed(address, SecretPlace::Parameter("api_key"), ApiKey::new(key.to_owned()));
            let fetched = http().fetch(&ask, None).await;
            let request = server.await.unwrap().remove(0);
            assert!(request.starts_with("GET /v1/there?a=1&api_key=hunter2%2F%C3%A4 "), "{request}");
            assert!(!format!("{ask:?}").contains("hunter2"));
            assert!(!format!("{fetched:?}").contains("hunter2"), "{fetched:?}");
            match fetched {
                Ok(Fetched::Answer { answer, .. }) => {
                    assert_eq!(answer.body, r#"{"next_page_url":"http://x/?api_key=removed&a=1","b":"removed"}"#);
                }
                Ok(Fetched::NotModified) => panic!("nothing was known before"),
                Err(error) => assert!(!error.to_string().contains("hunter2"), "{error}"),
            }
        }
    }

    #[tokio::test]
    async fn a_secret_in_a_header_is_seen_by_the_wire_alone() {
        for (place, line) in [
            (SecretPlace::Bearer, "\r\nauthorization: Bearer hunter2\r\n"),
            (SecretPlace::Header("x-api-key"), "\r\nx-api-key: hunter2\r\n"),
        ] {
            for head in ["200 OK", "401 X", "500 X"] {
                let (address, server) = serve(vec![(answer(head, br#"{"error":"hunter2"}"#), Then::Close)]).await;
                let ask = Ask::keyed(address, place, ApiKey::new("hunter2".to_owned()));
                let fetched = http().fetch(&ask, None).await;
                let request = server.await.unwrap().remove(0);
                assert!(request.starts_with("GET /v1/there?a=1 HTTP") && request.contains(line), "{request}");
                assert!(!format!("{ask:?} {fetched:?}").contains("hunter2"), "{fetched:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_key_that_no_header_can_hold_is_never_shown() {
        let key = ApiKey::new("hunter2\n".to_owned());
        assert!(!key.fits_a_header());
        let ask = Ask::keyed(Url::parse("http://127.0.0.1:1/").unwrap(), SecretPlace::Bearer, key);
        let error = http().fetch(&ask, None).await.unwrap_err();
        assert!(error.code() == "unreachable" && !error.to_string().contains("hunter2"), "{error}");
    }
}

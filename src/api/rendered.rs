//! A rendered answer and how it meets a request: validators, 304, compression, `HEAD`.
//!
//! The bytes of an answer are made once for each snapshot, address and form; this file turns them
//! into responses. Every coding has an `ETag` of its own, as RFC 9110 asks of strong ones.

use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use chrono::{DateTime, NaiveDateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;

use super::form::read_quality;
use super::time_format::At;
use crate::domain::time::Timestamp;

/// Bodies up to this size are not worth compressing: they fit in a packet or little more.
const SMALLEST_COMPRESSED: usize = 1_024;

/// Larger bodies go out in chunks without a `Content-Length` and are compressed on the way.
pub const LARGEST_WHOLE: usize = 8_000_000;

/// How much of a large body is sent at a time.
const CHUNK: usize = 64 * 1_024;

/// A fast level: JSON and CSV of numbers gain little from the slow ones.
const LEVEL: u32 = 3;

const VARY_ON: &str = "Accept, Accept-Encoding, Authorization";

/// The bytes of an answer in one form, with everything that a response says of them: it is made
/// once and not for each response.
#[derive(Debug)]
pub struct Rendered {
    /// The body in order. Rows of a series may be shared with others, so it is not one piece.
    parts: Vec<Bytes>,
    facts: ContentFacts,
    /// 32 hexadecimal digits, without quotes.
    hash: String,
    gzip: OnceLock<Bytes>,
    /// What the head of every response has, by coding.
    heads: [OnceLock<Head>; 2],
}

/// What a response says of its content besides the bytes.
#[derive(Debug, Clone)]
pub struct ContentFacts {
    pub media_type: &'static str,
    /// The instant of the snapshot; sent without its fraction, as HTTP has none.
    pub last_modified: Timestamp,
    /// Other headers, sent with 304 too: `X-Stale`, `Link` and the like.
    pub extra: Vec<(HeaderName, HeaderValue)>,
}

/// What a response says of the moment at which it is sent.
#[derive(Debug, Clone)]
pub struct ResponseFacts {
    /// The value of `Cache-Control`.
    pub cache_control: String,
    /// Other headers, sent with 304 too: `X-Snapshot-Id` and the like.
    pub extra: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
struct Head {
    etag: String,
    /// Without those that speak of the body: a 304 has none.
    headers: HeaderMap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
}

impl Rendered {
    /// Takes the bytes of an answer; hashes them once.
    #[must_use]
    pub fn new(body: impl Into<Bytes>, facts: ContentFacts) -> Self {
        Self::of_parts(vec![body.into()], facts)
    }

    /// The same for bytes that come in parts.
    #[must_use]
    pub fn of_parts(parts: Vec<Bytes>, facts: ContentFacts) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in &parts {
            hasher.update(part);
        }
        let mut hash = hasher.finalize().to_hex().to_string();
        // 128 bits: collisions are out of reach, and the header stays short.
        hash.truncate(32);
        Self { parts, facts, hash, gzip: OnceLock::new(), heads: [OnceLock::new(), OnceLock::new()] }
    }

    /// The uncompressed body in one piece.
    #[must_use]
    pub fn body(&self) -> Bytes {
        match self.parts.as_slice() {
            [whole] => whole.clone(),
            parts => parts.concat().into(),
        }
    }

    fn length(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// The strong validator of the uncompressed body, quotes included.
    #[must_use]
    pub fn etag(&self) -> String {
        self.etag_of(Coding::Identity)
    }

    /// The compressed body, made at the first call, which takes milliseconds for each megabyte:
    /// whoever renders large bodies on a thread of their own may call this there.
    pub fn gzip(&self) -> &Bytes {
        self.gzip.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::with_capacity(self.length() / 4), Compression::new(LEVEL));
            for part in &self.parts {
                // Writing to a vector cannot fail.
                let _ = encoder.write_all(part);
            }
            Bytes::from(encoder.finish().unwrap_or_default())
        })
    }

    /// Bytes held, for the weight of a cache entry.
    #[must_use]
    pub fn size(&self) -> usize {
        self.length() + self.gzip.get().map_or(0, Bytes::len) + self.hash.len()
    }

    fn etag_of(&self, coding: Coding) -> String {
        match coding {
            Coding::Identity => format!("\"{}\"", self.hash),
            Coding::Gzip => format!("\"{}-gzip\"", self.hash),
        }
    }

    fn is_large(&self) -> bool {
        self.length() > LARGEST_WHOLE
    }

    fn head(&self, coding: Coding) -> &Head {
        self.heads[coding as usize].get_or_init(|| {
            let etag = self.etag_of(coding);
            let mut headers = HeaderMap::new();
            put(&mut headers, ETAG, &etag);
            put(&mut headers, LAST_MODIFIED, &http_date(self.facts.last_modified));
            headers.insert(VARY, HeaderValue::from_static(VARY_ON));
            for (name, value) in &self.facts.extra {
                headers.append(name, value.clone());
            }
            Head { etag, headers }
        })
    }

    /// The body, and its length unless it is streamed.
    fn body_in(&self, coding: Coding) -> (Option<usize>, Body) {
        match coding {
            Coding::Identity if self.is_large() => (None, stream_plain(self.parts.clone())),
            Coding::Gzip if self.is_large() => (None, stream_gzip(self.parts.clone())),
            Coding::Identity => (Some(self.length()), whole(&self.parts)),
            Coding::Gzip => (Some(self.gzip().len()), Body::from(self.gzip().clone())),
        }
    }
}

/// The response to a `GET` or `HEAD` whose answer is `rendered`: 200, or 304 when the client has
/// it already. `HEAD` gets the headers of `GET` without the body.
#[must_use]
pub fn respond(
    rendered: &Arc<Rendered>,
    request_headers: &HeaderMap,
    method: &Method,
    facts: &ResponseFacts,
) -> Response {
    let coding = choose_coding(request_headers, rendered.length());
    let head = rendered.head(coding);
    let unchanged = is_unchanged(request_headers, &head.etag, rendered.facts.last_modified);
    let mut headers = head.headers.clone();
    put(&mut headers, CACHE_CONTROL, &facts.cache_control);
    for (name, value) in &facts.extra {
        headers.append(name, value.clone());
    }
    let mut body = empty();
    if !unchanged {
        let (length, full) = rendered.body_in(coding);
        describe_body(&mut headers, rendered.facts.media_type, coding, length);
        if method != Method::HEAD {
            body = full;
        }
    }
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response
}

fn describe_body(headers: &mut HeaderMap, media_type: &'static str, coding: Coding, length: Option<usize>) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if coding == Coding::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn whole(parts: &[Bytes]) -> Body {
    match parts {
        [whole] => Body::from(whole.clone()),
        parts => {
            let parts: Vec<_> = parts.iter().cloned().map(Ok::<_, std::convert::Infallible>).collect();
            Body::from_stream(stream::iter(parts))
        }
    }
}

/// No body, of a length that nobody can read off it: axum would turn a length of zero into
/// `Content-Length: 0`, which is wrong for 304 and for `HEAD`.
fn empty() -> Body {
    Body::from_stream(stream::empty::<Result<Bytes, std::convert::Infallible>>())
}

fn stream_plain(parts: Vec<Bytes>) -> Body {
    Body::from_stream(stream::iter(chunks(parts).map(Ok::<_, std::convert::Infallible>)))
}

fn chunks(parts: Vec<Bytes>) -> impl Iterator<Item = Bytes> {
    parts.into_iter().flat_map(|mut part| {
        std::iter::from_fn(move || {
            let length = part.len().min(CHUNK);
            (length > 0).then(|| part.split_to(length))
        })
    })
}

/// Compresses while sending, so that a large body costs neither a long pause nor a second copy.
fn stream_gzip(parts: Vec<Bytes>) -> Body {
    let mut encoder = Some(GzEncoder::new(Vec::new(), Compression::new(LEVEL)));
    let mut plain = chunks(parts);
    let packed = std::iter::from_fn(move || {
        let mut open = encoder.take()?;
        let Some(chunk) = plain.next() else { return Some(open.finish().map(Bytes::from)) };
        let written = open.write_all(&chunk).map(|()| Bytes::from(std::mem::take(open.get_mut())));
        encoder = Some(open);
        Some(written)
    });
    // The encoder keeps what it needs to look back, so many chunks yield nothing at first.
    let packed = packed.filter(|part| !matches!(part, Ok(bytes) if bytes.is_empty()));
    Body::from_stream(stream::iter(packed))
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // All values here are ASCII of our own making; one that were not is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn choose_coding(headers: &HeaderMap, length: usize) -> Coding {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for item in list_items(headers, &ACCEPT_ENCODING) {
        let mut parts = item.split(';');
        let name = parts.next().unwrap_or_default().trim();
        let Some(quality) = read_quality(parts) else { continue };
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            gzip = Some(quality);
        } else if name.eq_ignore_ascii_case("identity") {
            identity = Some(quality);
        } else if name == "*" {
            any = Some(quality);
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    if gzip == 0 {
        // Even `identity;q=0` alone is answered plainly (RFC 9110, section 12.5.3).
        return Coding::Identity;
    }
    let identity = identity.or(any.filter(|quality| *quality == 0));
    match identity {
        Some(0) => Coding::Gzip,
        Some(identity) if identity > gzip => Coding::Identity,
        _ if length > SMALLEST_COMPRESSED => Coding::Gzip,
        _ => Coding::Identity,
    }
}

/// The items of a header that is a list, over all its lines. Not for quoted text with commas.
fn list_items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(','))
}

/// RFC 9110, section 13.2.2: `If-Modified-Since` counts only without `If-None-Match`.
fn is_unchanged(headers: &HeaderMap, etag: &str, last_modified: Timestamp) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        let lines = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        return lines.into_iter().any(|line| names_etag(line, etag));
    }
    let since = headers.get(IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok()).and_then(parse_http_date);
    since.is_some_and(|since| DateTime::<Utc>::from(last_modified).timestamp() <= since.timestamp())
}

/// Whether a line of `If-None-Match` has `etag` (weakly compared) or is `*`. A tag may hold commas.
fn names_etag(line: &str, etag: &str) -> bool {
    if line.trim() == "*" {
        return true;
    }
    let mut rest = line.trim_start_matches([' ', '\t', ',']);
    loop {
        rest = rest.strip_prefix("W/").unwrap_or(rest);
        let Some((opaque, after)) = rest.strip_prefix('"').and_then(|text| text.split_once('"')) else {
            return false;
        };
        if etag.trim_matches('"') == opaque {
            return true;
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
}

/// IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`, without the fraction of the second.
///
/// Every response has one, and the general formatter takes longer than the rest of a response's head.
#[must_use]
pub fn http_date(at: Timestamp) -> String {
    // 1970-01-01 was a Thursday.
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let at = at.clamp(Timestamp::MIN, Timestamp::MAX);
    let weekday = usize::try_from(at.day().epoch_days().rem_euclid(7)).map_or("", |place| WEEKDAYS[place]);
    let text = At(at).text();
    let month = text[5..7].parse::<usize>().map_or("", |number| MONTHS[number - 1]);
    format!("{weekday}, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19])
}

/// The three forms of RFC 9110, section 5.6.7, that a recipient must read.
fn parse_http_date(text: &str) -> Option<DateTime<Utc>> {
    const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|at| at.and_utc())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::body::to_bytes;
    use flate2::read::GzDecoder;

    use super::*;

    fn content() -> ContentFacts {
        ContentFacts {
            media_type: "application/json",
            last_modified: Timestamp::parse("1994-11-06T08:49:37.5Z").unwrap(),
            extra: vec![(HeaderName::from_static("x-stale"), HeaderValue::from_static("false"))],
        }
    }

    fn facts() -> ResponseFacts {
        ResponseFacts {
            cache_control: "private, max-age=60".to_owned(),
            extra: vec![(HeaderName::from_static("x-simulated"), HeaderValue::from_static("true"))],
        }
    }

    fn rendered(length: usize) -> Arc<Rendered> {
        Arc::new(Rendered::new("0123456789".repeat(length / 10), content()))
    }

    fn ask(rendered: &Arc<Rendered>, method: &Method, headers: &[(&str, &str)]) -> Response {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        respond(rendered, &map, method, &facts())
    }

    fn get(rendered: &Arc<Rendered>, headers: &[(&str, &str)]) -> Response {
        ask(rendered, &Method::GET, headers)
    }

    async fn bytes_of(response: Response) -> Bytes {
        to_bytes(response.into_body(), usize::MAX).await.unwrap()
    }

    fn unpack(packed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut plain).unwrap();
        plain
    }

    #[tokio::test]
    async fn a_plain_get_has_all_headers_and_the_body() {
        let rendered = rendered(2_000);
        let response = get(&rendered, &[]);
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        assert_eq!(headers[CONTENT_LENGTH], "2000");
        assert_eq!(headers[ETAG], rendered.etag().as_str());
        assert_eq!(rendered.etag().len(), 34);
        assert_eq!(headers[LAST_MODIFIED], "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(headers[CACHE_CONTROL], "private, max-age=60");
        assert_eq!(headers[VARY], "Accept, Accept-Encoding, Authorization");
        assert_eq!(headers["x-stale"], "false");
        assert_eq!(headers["x-simulated"], "true");
        assert!(!headers.contains_key(CONTENT_ENCODING));
        assert_eq!(bytes_of(response).await, rendered.body());
    }

    #[tokio::test]
    async fn head_has_the_headers_of_get() {
        for (length, encoding) in [(2_000, ""), (2_000, "gzip"), (9_000_000, ""), (9_000_000, "gzip"), (10, "gzip")] {
            let rendered = rendered(length);
            let of_get = get(&rendered, &[("accept-encoding", encoding)]);
            let of_head = ask(&rendered, &Method::HEAD, &[("accept-encoding", encoding)]);
            assert_eq!(of_get.headers(), of_head.headers());
            assert_eq!(of_head.status(), 200);
            assert!(bytes_of(of_head).await.is_empty());
        }
    }

    #[tokio::test]
    async fn compression_is_negotiated() {
        let large = rendered(2_000);
        for (accept, packed) in [
            ("", false),
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate, br", false),
            ("*", true),
            ("gzip;q=0, *", false),
            ("gzip;q=0.5, identity", false),
            ("gzip;q=nonsense", false),
        ] {
            let response = get(&large, &[("accept-encoding", accept)]);
            assert_eq!(response.headers().contains_key(CONTENT_ENCODING), packed, "{accept}");
        }
        assert!(!get(&rendered(1_000), &[("accept-encoding", "gzip")]).headers().contains_key(CONTENT_ENCODING));
        let forced = get(&rendered(10), &[("accept-encoding", "gzip, identity;q=0")]);
        assert_eq!(forced.headers()[CONTENT_ENCODING], "gzip");
    }

    #[tokio::test]
    async fn the_compressed_body_has_its_own_tag_and_length() {
        let rendered = rendered(2_000);
        let response = get(&rendered, &[("accept-encoding", "gzip")]);
        let etag = response.headers()[ETAG].to_str().unwrap().to_owned();
        assert_eq!(etag, format!("{}-gzip\"", rendered.etag().trim_end_matches('"')));
        let length: usize = response.headers()[CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
        let packed = bytes_of(response).await;
        assert_eq!(packed.len(), length);
        assert_eq!(unpack(&packed), rendered.body().as_ref());

        let revalidate = |encoding| get(&rendered, &[("accept-encoding", encoding), ("if-none-match", &etag)]).status();
        assert_eq!(revalidate("gzip"), 304);
        assert_eq!(revalidate("identity"), 200);
    }

    #[tokio::test]
    async fn large_bodies_are_streamed_whole() {
        let rendered = rendered(9_000_000);
        let plain = get(&rendered, &[]);
        assert!(!plain.headers().contains_key(CONTENT_LENGTH));
        assert_eq!(bytes_of(plain).await, rendered.body());

        let packed = get(&rendered, &[("accept-encoding", "gzip")]);
        assert!(!packed.headers().contains_key(CONTENT_LENGTH));
        assert_eq!(unpack(&bytes_of(packed).await), rendered.body().as_ref());
        assert!(rendered.gzip.get().is_none());
    }

    #[tokio::test]
    async fn parts_are_one_body() {
        let parts = ["[", &"0123456789".repeat(200), "]"].map(|part| Bytes::from(part.to_owned()));
        let whole = Arc::new(Rendered::new(parts.concat(), content()));
        let parted = Arc::new(Rendered::of_parts(parts.to_vec(), content()));
        assert_eq!(parted.body(), whole.body());
        for encoding in ["", "gzip"] {
            let headers = [("accept-encoding", encoding)];
            let (of_whole, of_parts) = (get(&whole, &headers), get(&parted, &headers));
            assert_eq!(of_whole.headers(), of_parts.headers());
            assert_eq!(bytes_of(of_whole).await, bytes_of(of_parts).await);
        }
    }

    #[tokio::test]
    async fn a_known_tag_gives_304_with_the_same_validators() {
        let rendered = rendered(2_000);
        let etag = rendered.etag();
        for known in [etag.clone(), format!("W/{etag}"), format!("\"a,b\" , W/\"c\",{etag}"), "*".to_owned()] {
            let response = get(&rendered, &[("if-none-match", &known)]);
            assert_eq!(response.status(), 304, "{known}");
            assert_eq!(response.headers()[ETAG], etag.as_str());
            assert!(response.headers().contains_key(LAST_MODIFIED));
            assert!(response.headers().contains_key(VARY));
            assert!(response.headers().contains_key(CACHE_CONTROL));
            assert!(response.headers().contains_key("x-stale"));
            assert!(!response.headers().contains_key(CONTENT_LENGTH));
            assert!(bytes_of(response).await.is_empty());
        }
        let unquoted = etag.trim_matches('"');
        for known in ["\"other\"", "", "\"unfinished", unquoted, "\"a\" \"b\" x"] {
            assert_eq!(get(&rendered, &[("if-none-match", known)]).status(), 200, "{known}");
        }
        let two_lines = [("if-none-match", "\"x\""), ("if-none-match", etag.as_str())];
        assert_eq!(get(&rendered, &two_lines).status(), 304);
    }

    #[test]
    fn the_date_counts_only_without_a_tag() {
        let rendered = rendered(100);
        for (since, status) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 304),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 304),
            ("Sun Nov  6 08:49:37 1994", 304),
            ("Mon, 07 Nov 1994 00:00:00 GMT", 304),
            ("Sun, 06 Nov 1994 08:49:36 GMT", 200),
            ("yesterday", 200),
        ] {
            assert_eq!(get(&rendered, &[("if-modified-since", since)]).status(), status, "{since}");
        }
        let both = [("if-modified-since", "Mon, 07 Nov 1994 00:00:00 GMT"), ("if-none-match", "\"other\"")];
        assert_eq!(get(&rendered, &both).status(), 200);
    }

    proptest::proptest! {
        #[test]
        fn dates_are_those_of_the_general_formatter(micros in 0..=253_402_300_799_999_999_i64) {
            let at = Timestamp::from_micros(micros);
            let general = DateTime::<Utc>::from(at).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            proptest::prop_assert_eq!(http_date(at), general);
        }
    }

    #[test]
    fn different_bytes_have_different_tags() {
        let tag = |body: &'static str| Rendered::new(body, content()).etag();
        assert_eq!(tag("a"), tag("a"));
        assert_ne!(tag("a"), tag("b"));
    }
}

//! Faults below the format: what goes wrong with any answer, whatever it says.
//!
//! Every body here is made while it is sent, so nothing large is ever held, and ends with the
//! connection.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use futures::stream;
use futures::{Stream, StreamExt as _};

use super::misbehaviour::Misbehaviour;

const SLOW_HEADER: Duration = Duration::from_mins(10);
const SLOW_BYTE: Duration = Duration::from_secs(1);

/// Pieces of the endless bodies, unpacked.
const PIECE_BYTES: usize = 1 << 20;
const BOMB_PIECES: usize = 2_048;
const HUGE_PIECES: usize = 1_024;

const HTML: &str = "<!DOCTYPE html><html><head><title>Just a moment...</title></head>\
     <body><h1>Checking your browser before accessing this site.</h1></body></html>";

/// The answer of a source with this misbehaviour, or `None` if the fault is in the data only.
pub(super) async fn faulty(source: &str, uri: &Uri, misbehaviour: Misbehaviour) -> Option<Response> {
    let response = match misbehaviour {
        Misbehaviour::TooManyRequests { retry_after } => too_many_requests(source, retry_after),
        Misbehaviour::ServerError => server_error(source),
        Misbehaviour::HtmlWithStatus200 => with_type("text/html; charset=utf-8", Response::builder(), Body::from(HTML)),
        Misbehaviour::SlowHeader => {
            tokio::time::sleep(SLOW_HEADER).await;
            json(Response::builder(), Body::from("[]"))
        }
        Misbehaviour::SlowBody => json(Response::builder(), Body::from_stream(slow_bytes())),
        Misbehaviour::GzipBomb => json(Response::builder().header(CONTENT_ENCODING, "gzip"), Body::from_stream(bomb())),
        Misbehaviour::HugeBody => json(Response::builder(), Body::from_stream(huge())),
        Misbehaviour::EndlessRedirect => {
            json(Response::builder().status(StatusCode::FOUND).header(LOCATION, further(uri)), Body::empty())
        }
        _ => return None,
    };
    Some(response)
}

/// The header of the whole, half of the bytes, and the end of the connection.
pub(super) fn truncated(body: &str) -> Response {
    let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    let rest = stream::once(async {
        // The half must be on its way before the connection is cut.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::other("cut on purpose"))
    });
    let pieces = stream::once(async { Ok(half) }).chain(rest);
    json(Response::builder().header(CONTENT_LENGTH, body.len().max(2)), Body::from_stream(pieces))
}

fn too_many_requests(source: &str, retry_after: Option<u32>) -> Response {
    let body = match source {
        "kraken" => r#"{"error":["EGeneral:Too many requests"]}"#,
        "coinbase" => r#"{"message":"Public rate limit exceeded"}"#,
        "cryptoquant" => r#"{"status":{"code":429,"message":"too_many_requests"}}"#,
        "yahoo" => "Too Many Requests\r\n",
        "coinmetrics" => r#"{"error":{"type":"rate_limit","message":"Rate limit exceeded."}}"#,
        _ => r#"{"error":"Too many requests"}"#,
    };
    let response = Response::builder();
    match retry_after {
        None if source == "kraken" => json(response, Body::from(body)),
        None => json(response.status(StatusCode::TOO_MANY_REQUESTS), Body::from(body)),
        Some(seconds) => {
            json(response.status(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, seconds), Body::from(body))
        }
    }
}

fn server_error(source: &str) -> Response {
    if source == "kraken" {
        return json(Response::builder(), Body::from(r#"{"error":["EService:Unavailable"]}"#));
    }
    let body = r#"{"error":"Internal Server Error"}"#;
    json(Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR), Body::from(body))
}

/// The same path with `redirects` one higher, under the host that was asked.
fn further(uri: &Uri) -> String {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
    let mut query = form_urlencoded::Serializer::new(String::new());
    let mut redirects = 0_u64;
    for (name, value) in pairs {
        if name == "redirects" {
            redirects = value.parse().unwrap_or(0);
        } else {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("redirects", &(redirects + 1).to_string());
    format!("{}?{}", uri.path(), query.finish())
}

fn slow_bytes() -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(0_u64, |sent| async move {
        if sent > 0 {
            tokio::time::sleep(SLOW_BYTE).await;
        }
        let byte: &'static [u8] = if sent == 0 { b"[" } else { b" " };
        Some((Ok(Bytes::from_static(byte)), sent + 1))
    })
}

/// 1 GiB of JSON: `[0,0,…,0]`.
fn huge() -> impl Stream<Item = Result<Bytes, Infallible>> {
    let piece = Bytes::from("0,".repeat(PIECE_BYTES / 2));
    let pieces = stream::repeat(piece).take(HUGE_PIECES);
    let whole = stream::iter([Bytes::from_static(b"[")]).chain(pieces).chain(stream::iter([Bytes::from_static(b"0]")]));
    whole.map(Ok)
}

/// One gzip member: a header, the same compressed blocks again and again, an end.
///
/// A full flush leaves blocks that refer to nothing before them, so one piece can follow itself.
pub(super) fn bomb() -> impl Stream<Item = Result<Bytes, Infallible>> {
    let (piece, checksum) = bomb_piece();
    let mut whole = flate2::Crc::new();
    for _ in 0..BOMB_PIECES {
        whole.combine(&checksum);
    }
    // The last block is empty, then checksum and length (modulo 2^32), little-endian.
    let mut end = vec![0x03, 0x00];
    end.extend(whole.sum().to_le_bytes());
    end.extend(whole.amount().to_le_bytes());
    let begin = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    let pieces = stream::repeat(piece).take(BOMB_PIECES);
    stream::iter([begin]).chain(pieces).chain(stream::iter([Bytes::from(end)])).map(Ok)
}

/// A compressed run of spaces, and the checksum of the run.
fn bomb_piece() -> (Bytes, flate2::Crc) {
    let spaces = vec![b' '; PIECE_BYTES];
    let mut checksum = flate2::Crc::new();
    checksum.update(&spaces);
    let mut compressed = Vec::with_capacity(PIECE_BYTES / 100);
    // The room is ten times what zlib needs for a run, so one call takes all.
    let outcome = Compress::new(Compression::best(), false).compress_vec(&spaces, &mut compressed, FlushCompress::Full);
    debug_assert!(outcome.is_ok());
    (Bytes::from(compressed), checksum)
}

fn json(response: axum::http::response::Builder, body: Body) -> Response {
    with_type("application/json", response, body)
}

fn with_type(content_type: &str, response: axum::http::response::Builder, body: Body) -> Response {
    // Headers here are ASCII without control characters, so building cannot fail.
    response.header(CONTENT_TYPE, content_type).body(body).unwrap_or_default()
}

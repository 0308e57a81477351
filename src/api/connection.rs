//! Connections that do nothing are closed: deadlines that HTTP libraries do not offer.
//!
//! hyper has one timer for "waiting for a request" and "in the middle of its header", so with it a
//! half-sent header may stay as long as an idle keep-alive connection. Here the stream under hyper
//! knows which of the two it is: the service above hyper tells it when a request begins and when
//! its response is over, and the first byte in between begins a header. That gives each its own
//! deadline, and closes connections on which nothing was ever sent.

use std::future::{Future, Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready as ready_or_return};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use axum_server::accept::Accept;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;

/// How long a connection may wait in each state.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// From the connection to its first byte.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its header.
    pub header: Duration,
    /// From the end of a response to the first byte of the next request.
    pub idle: Duration,
    /// For the client to take some of what is being sent to it.
    pub write: Duration,
}

/// Accepts connections up to a number and puts the deadlines on them.
#[derive(Debug, Clone)]
pub struct Gate {
    places: Arc<Semaphore>,
    deadlines: Deadlines,
}

impl Gate {
    #[must_use]
    pub fn new(max_connections: usize, deadlines: Deadlines) -> Self {
        let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
        Self { places, deadlines }
    }
}

impl<S> Accept<TcpStream, S> for Gate {
    type Stream = TimedStream<TcpStream>;
    type Service = Observed<S>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    /// Refuses (closes at once) a connection beyond the limit: one that waited would hold a file
    /// descriptor too, and descriptors are what the limit protects.
    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::warn!("connection refused: the limit of open connections is reached");
            return ready(Err(io::Error::other("too many connections")));
        };
        // Answers are written whole; waiting for more only delays them. Failure costs nothing.
        let _ = stream.set_nodelay(true);
        let phase = SharedPhase::default();
        let stream = TimedStream::new(stream, self.deadlines, phase.clone(), Some(place));
        ready(Ok((stream, Observed { inner: service, phase })))
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet.
    Fresh,
    /// A request has begun and its header is not complete.
    Header,
    /// A request is being answered.
    Serving,
    /// The last response is over.
    Idle,
}

/// The phase and a count of requests, in one word: two idle times differ even when nobody looked
/// in between.
#[derive(Debug, Clone, Default)]
struct SharedPhase(Arc<AtomicU64>);

impl SharedPhase {
    fn word(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn phase_of(word: u64) -> Phase {
        match word & 3 {
            0 => Phase::Fresh,
            1 => Phase::Header,
            2 => Phase::Serving,
            _ => Phase::Idle,
        }
    }

    fn enter(&self, phase: Phase) {
        let tag = match phase {
            Phase::Fresh => 0,
            Phase::Header => 1,
            Phase::Serving => 2,
            Phase::Idle => 3,
        };
        // Stream and service run in the task of the connection, so nothing comes in between.
        let next = (self.word() | 3).wrapping_add(1) | tag;
        self.0.store(next, Ordering::Release);
    }

    /// Bytes came in: they begin a header unless a request is under way.
    fn note_bytes(&self) {
        if matches!(Self::phase_of(self.word()), Phase::Fresh | Phase::Idle) {
            self.enter(Phase::Header);
        }
    }
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] when its peer waits too long.
#[derive(Debug)]
pub struct TimedStream<S> {
    inner: S,
    deadlines: Deadlines,
    phase: SharedPhase,
    /// The phase that `read_timer` was set for.
    timed_word: Option<u64>,
    read_timer: Pin<Box<Sleep>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    /// Given back when the connection is dropped.
    _place: Option<OwnedSemaphorePermit>,
}

impl<S> TimedStream<S> {
    fn new(inner: S, deadlines: Deadlines, phase: SharedPhase, place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            inner,
            deadlines,
            phase,
            timed_word: None,
            read_timer: Box::pin(sleep_until(Instant::now())),
            write_timer: None,
            _place: place,
        }
    }

    /// Called when there is nothing to read: ready when the phase has lasted too long.
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let word = self.phase.word();
        let limit = match SharedPhase::phase_of(word) {
            Phase::Fresh => self.deadlines.first_byte,
            Phase::Header => self.deadlines.header,
            Phase::Idle => self.deadlines.idle,
            // The body of a request and the time to answer have limits of their own.
            Phase::Serving => return Poll::Pending,
        };
        if self.timed_word != Some(word) {
            self.timed_word = Some(word);
            self.read_timer.as_mut().reset(Instant::now() + limit);
        }
        ready_or_return!(self.read_timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Passes on the outcome of a write; a pending one fails when it has been pending too long.
    fn poll_write_deadline<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_timer = None;
            return outcome;
        }
        let limit = self.deadlines.write;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        ready_or_return!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buffer) {
            Poll::Pending => self.poll_read_deadline(cx),
            Poll::Ready(outcome) => {
                if buffer.filled().len() > before {
                    self.phase.note_bytes();
                }
                Poll::Ready(outcome)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.poll_write_deadline(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(cx);
        self.poll_write_deadline(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.poll_write_deadline(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.poll_write_deadline(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// The service of one connection; tells the stream below when requests begin and end.
#[derive(Debug, Clone)]
pub struct Observed<S> {
    inner: S,
    phase: SharedPhase,
}

impl<S, R> Service<R> for Observed<S>
where
    S: Service<R, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.phase.enter(Phase::Serving);
        let serving = ServingGuard(self.phase.clone());
        let response = self.inner.call(request);
        Box::pin(async move { Ok(hold_until_sent(response.await?, serving)) })
    }
}

/// Marks the connection as idle when it is dropped: with the last of the body, or with a request
/// that was given up.
struct ServingGuard(SharedPhase);

impl Drop for ServingGuard {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle);
    }
}

/// Ties the guard to the body. The length that a stream does not show was put into the headers by
/// the router before.
fn hold_until_sent(response: Response, guard: ServingGuard) -> Response {
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| {
        let sent = body.into_data_stream().map(move |chunk| {
            let _held = &guard;
            chunk
        });
        Body::from_stream(sent)
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        first_byte: Duration::from_millis(150),
        header: Duration::from_millis(40),
        idle: Duration::from_millis(260),
        write: Duration::from_millis(40),
    };

    fn connect() -> (DuplexStream, TimedStream<DuplexStream>, SharedPhase) {
        let (client, server) = duplex(64);
        let phase = SharedPhase::default();
        (client, TimedStream::new(server, DEADLINES, phase.clone(), None), phase)
    }

    /// Runs into the deadline with `read` or `write`; how long that took.
    async fn time_out<T: std::fmt::Debug>(doing: impl Future<Output = io::Result<T>>) -> Duration {
        let begun = Instant::now();
        assert_eq!(doing.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        begun.elapsed()
    }

    /// The deadline itself and not the next longer one: a busy machine may be a little late.
    fn assert_close(took: Duration, deadline: Duration) {
        assert!(took >= deadline && took < deadline + Duration::from_millis(100), "{took:?}");
    }

    #[tokio::test]
    async fn every_phase_has_its_own_deadline() {
        let (mut client, mut stream, phase) = connect();
        let mut buffer = [0; 64];
        assert_close(time_out(stream.read(&mut buffer)).await, DEADLINES.first_byte);

        client.write_all(b"GET / HT").await.unwrap();
        stream.read_exact(&mut buffer[..8]).await.unwrap();
        assert_close(time_out(stream.read(&mut buffer)).await, DEADLINES.header);

        phase.enter(Phase::Serving);
        drop(ServingGuard(phase));
        assert_close(time_out(stream.read(&mut buffer)).await, DEADLINES.idle);
    }

    #[tokio::test]
    async fn trickled_bytes_do_not_extend_the_header() {
        let (mut client, mut stream, _) = connect();
        let trickle = async {
            loop {
                client.write_all(b"x").await.unwrap();
                tokio::time::sleep(DEADLINES.header / 3).await;
            }
        };
        let read_on = async {
            loop {
                stream.read_u8().await?;
            }
        };
        let took = tokio::select! {
            () = trickle => unreachable!("it has no end"),
            took = time_out::<()>(read_on) => took,
        };
        assert_close(took, DEADLINES.header);
    }

    #[tokio::test]
    async fn a_request_under_way_has_no_read_deadline() {
        let (_client, mut stream, phase) = connect();
        phase.enter(Phase::Serving);
        let mut buffer = [0; 64];
        let read = tokio::time::timeout(DEADLINES.idle * 2, stream.read(&mut buffer));
        assert!(read.await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_dropped() {
        let (_client, mut stream, _) = connect();
        assert_close(time_out(stream.write_all(&[0; 1_000])).await, DEADLINES.write);
    }
}

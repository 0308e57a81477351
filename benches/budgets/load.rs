//! A client that keeps some connections busy and times every answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How many connections ask at once.
pub const CONNECTIONS: usize = 8;

/// What a load came to.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
}

/// Asks for all paths, spread over [`CONNECTIONS`] connections that stay open, each sending the
/// next request when it has the whole answer. Runs on a thread of its own, away from the server's.
///
/// # Errors
/// If an answer is not 200, or a connection breaks.
pub async fn ask(address: SocketAddr, paths: Vec<String>) -> anyhow::Result<Outcome> {
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(ask_all(address, &paths))
    })
    .await?
}

async fn ask_all(address: SocketAddr, paths: &[String]) -> anyhow::Result<Outcome> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(address).await?);
    }
    let begun = Instant::now();
    let shares = clients.iter_mut().enumerate().map(async |(number, client)| {
        let mut times = Vec::new();
        for path in paths.iter().skip(number).step_by(CONNECTIONS) {
            let asked = Instant::now();
            client.get(path).await?;
            times.push(asked.elapsed());
        }
        anyhow::Ok(times)
    });
    let mut times = futures::future::try_join_all(shares).await?.concat();
    let elapsed = begun.elapsed();
    times.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let per_second = times.len() as f64 / elapsed.as_secs_f64();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    Ok(Outcome { per_second, p50: at(50), p99: at(99) })
}

/// What the client needs of the head of an answer.
struct Head {
    is_ok: bool,
    /// Where it ends, its empty line included.
    end: usize,
    length: Option<usize>,
}

impl Head {
    /// Reads line by line, at the price of a search for each; `None` before the empty line came.
    fn read(bytes: &[u8]) -> Option<Self> {
        // A head is far smaller. What is cut off may be half of a character of the body.
        let bytes = &bytes[..bytes.len().min(4_096)];
        let text = std::str::from_utf8(bytes)
            .unwrap_or_else(|error| std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default());
        let mut head = Self { is_ok: text.starts_with("HTTP/1.1 200"), end: 0, length: None };
        loop {
            let length = text[head.end..].find('\n')?;
            let line = text[head.end..head.end + length].trim_end();
            head.end += length + 1;
            if line.is_empty() {
                return Some(head);
            }
            let name = line.get(..15).filter(|name| name.eq_ignore_ascii_case("content-length:"));
            head.length = name.and_then(|_| line[15..].trim().parse().ok()).or(head.length);
        }
    }
}

/// One connection that stays open.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 256 << 10] })
    }

    /// Asks for a path and reads the answer to its end, without keeping it.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<()> {
        let (filled, head_end, length) = self.begin(path).await?;
        let mut left = (head_end + length).saturating_sub(filled);
        while left > 0 {
            let read = self.stream.read(&mut self.buffer).await?;
            anyhow::ensure!(read > 0, "the connection broke within the answer to {path}");
            left = left.saturating_sub(read);
        }
        Ok(())
    }

    /// Asks for a path and gives the body, of an answer that fits in the buffer.
    pub async fn text(&mut self, path: &str) -> anyhow::Result<String> {
        let (mut filled, head_end, length) = self.begin(path).await?;
        while filled < head_end + length {
            filled += self.read_more(filled).await?;
        }
        Ok(String::from_utf8_lossy(&self.buffer[head_end..head_end + length]).into_owned())
    }

    /// Sends a request and reads the head of the answer: how much of the buffer is filled, where
    /// the head ends and how long the body is.
    async fn begin(&mut self, path: &str) -> anyhow::Result<(usize, usize, usize)> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        loop {
            filled += self.read_more(filled).await?;
            let Some(head) = Head::read(&self.buffer[..filled]) else { continue };
            anyhow::ensure!(head.is_ok, "{path} was refused");
            return Ok((filled, head.end, head.length.context("an answer without a length")?));
        }
    }

    async fn read_more(&mut self, filled: usize) -> anyhow::Result<usize> {
        let read = self.stream.read(&mut self.buffer[filled..]).await?;
        anyhow::ensure!(read > 0, "the connection broke within an answer");
        Ok(read)
    }
}

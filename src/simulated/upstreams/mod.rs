//! Upstreams on loopback: servers that answer as the real publishers do, out of the simulated world.
//!
//! One listener serves every source below a prefix of its own, so a base address of the configuration is
//! all that an adapter needs to read from here. Nothing from after the clock's `now` is shown, except
//! candles that are going on. Any source can be told to misbehave while it runs.
//!
//! | file | what |
//! | --- | --- |
//! | `answer.rs` | what is asked, what is replied |
//! | `table.rs` | rows of time series, how they are distorted and written |
//! | `mempool.rs`, `coinmetrics.rs`, `coinbase.rs`, `kraken.rs`, `bitstamp.rs`, `cryptoquant.rs`, `glassnode.rs`, `yahoo.rs` | the endpoints of a source |
//! | `bitcoin_core.rs` | an own node, with faults of its own |
//! | `esplora.rs` | a server for those without a node, with faults of its own beside those of the others |
//! | `edgar.rs` | what issuers that do not exist file |
//! | `misbehaviour.rs` | the kinds of faults of the others |
//! | `transport.rs` | faults below the format: slow, huge, cut, redirected |

mod answer;
pub mod bitcoin_core;
mod bitstamp;
mod coinbase;
mod coinmetrics;
mod cryptoquant;
mod edgar;
pub mod esplora;
mod glassnode;
mod kraken;
mod mempool;
mod misbehaviour;
mod table;
mod transport;
pub mod yahoo;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, USER_AGENT};
use axum::response::Response;
use axum_server::Handle;

use self::answer::{Asked, Reply};
use self::bitcoin_core::{Branch, NodeFault, SimulatedNode};
use self::esplora::{EsploraFault, SimulatedEsplora};
pub use self::misbehaviour::Misbehaviour;
use super::world::World;
use crate::domain::time::Timestamp;

/// The sources that are simulated and read in a demo, which has a node in place of Esplora. A name is also the first step of the paths of its source.
pub const SOURCES: [&str; 8] =
    ["mempool", "coinmetrics", "coinbase", "kraken", "bitstamp", "cryptoquant", "glassnode", "yahoo"];

/// The key that every simulated source takes, where it takes one; any other is refused.
pub const SIMULATED_KEY: &str = "simulated";

/// What tells the upstreams the world's time.
pub type WorldClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The running upstreams. Clones are the same upstreams; they stop when the last one is dropped.
#[derive(Clone)]
pub struct Upstreams {
    running: Arc<Running>,
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("address", &self.running.shared.address).finish_non_exhaustive()
    }
}

struct Running {
    shared: Arc<Shared>,
    server: Handle<SocketAddr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.shutdown();
    }
}

/// What handlers share with the handle.
struct Shared {
    world: Arc<World>,
    now: WorldClock,
    address: SocketAddr,
    sources: BTreeMap<&'static str, Source>,
    node: SimulatedNode,
    esplora: SimulatedEsplora,
}

#[derive(Default)]
struct Source {
    requests: AtomicU64,
    misbehaviour: Mutex<Option<Misbehaviour>>,
}

impl Upstreams {
    /// Listens on a free port of 127.0.0.1 and answers until dropped or stopped. Needs a Tokio runtime.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(world: Arc<World>, now: WorldClock) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let names = SOURCES.into_iter().chain([ESPLORA, EDGAR]);
        let sources = names.map(|source| (source, Source::default())).collect();
        let (node, esplora) = (SimulatedNode::default(), SimulatedEsplora::default());
        let shared = Arc::new(Shared { world, now, address, sources, node, esplora });
        let server = Handle::new();
        let router = Router::new().fallback(respond).with_state(Arc::clone(&shared));
        let serving = axum_server::from_tcp(listener)?.http1_only().handle(server.clone());
        tokio::spawn(serving.serve(router.into_make_service()));
        Ok(Self { running: Arc::new(Running { shared, server }) })
    }

    /// The base address of a source, without a slash at its end.
    #[must_use]
    pub fn base(&self, source: &str) -> String {
        self.running.shared.base(source)
    }

    /// Makes a source misbehave from the next request on, or behave again. `false` if there is no such
    /// source.
    pub fn misbehave(&self, source: &str, misbehaviour: Option<Misbehaviour>) -> bool {
        let Some(source) = self.running.shared.sources.get(source) else { return false };
        *source.misbehaviour.lock().unwrap_or_else(PoisonError::into_inner) = misbehaviour;
        true
    }

    /// Makes the own node fail in some way, or work again.
    pub fn break_node(&self, fault: Option<NodeFault>) {
        *self.running.shared.node.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Makes the own node follow a branch, or the story's chain again.
    pub fn branch_node(&self, branch: Option<Branch>) {
        *self.running.shared.node.branch.lock().unwrap_or_else(PoisonError::into_inner) = branch;
    }

    /// Makes the Esplora server say what is not so, or the truth again.
    pub fn break_esplora(&self, fault: Option<EsploraFault>) {
        *self.running.shared.esplora.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Makes the Esplora server follow a branch, or the story's chain again.
    pub fn branch_esplora(&self, branch: Option<Branch>) {
        *self.running.shared.esplora.branch.lock().unwrap_or_else(PoisonError::into_inner) = branch;
    }

    /// How many calls the own node has received.
    #[must_use]
    pub fn node_requests(&self) -> u64 {
        self.running.shared.node.calls.load(Ordering::Relaxed)
    }

    /// How many requests a source has received; 0 if there is no such source.
    #[must_use]
    pub fn requests(&self, source: &str) -> u64 {
        self.running.shared.sources.get(source).map_or(0, |source| source.requests.load(Ordering::Relaxed))
    }

    /// Closes the port and every connection, whatever it is doing.
    pub fn stop(&self) {
        self.running.server.shutdown();
    }
}

impl Shared {
    fn base(&self, source: &str) -> String {
        format!("http://{}/{source}", self.address)
    }
}

async fn respond(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (source, path) = split_path(request.uri().path());
    if source == NODE {
        return answer_node(&shared, request).await;
    }
    let Some((name, source)) = shared.sources.get_key_value(source) else {
        return write(Reply::with_status(404, "{}".into()), None);
    };
    source.requests.fetch_add(1, Ordering::Relaxed);
    let misbehaviour = *source.misbehaviour.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(misbehaviour) = misbehaviour
        && let Some(response) = transport::faulty(name, request.uri(), misbehaviour).await
    {
        return response;
    }
    let query: Vec<(String, String)> =
        form_urlencoded::parse(request.uri().query().unwrap_or("").as_bytes()).into_owned().collect();
    let base = shared.base(name);
    let asked = Asked {
        world: &shared.world,
        now: (shared.now)(),
        path,
        query: &query,
        base: &base,
        has_user_agent: request.headers().contains_key(USER_AGENT),
        headers: request.headers(),
        misbehaviour,
    };
    let reply = match *name {
        "mempool" => mempool::answer(&asked),
        "coinmetrics" => coinmetrics::answer(&asked),
        "coinbase" => coinbase::answer(&asked),
        "kraken" => kraken::answer(&asked),
        "cryptoquant" => cryptoquant::answer(&asked),
        "glassnode" => glassnode::answer(&asked),
        "yahoo" => yahoo::answer(&asked),
        ESPLORA => shared.esplora.answer(&asked),
        EDGAR => edgar::answer(&asked),
        _ => bitstamp::answer(&asked),
    };
    if misbehaviour == Some(Misbehaviour::Truncated) {
        return transport::truncated(&reply.body);
    }
    let known = request.headers().get(IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
    write(reply, known)
}

/// The first step of the node's address.
pub const NODE: &str = "bitcoin-core";
/// The first step of the Esplora server's address.
pub const ESPLORA: &str = "esplora";
/// The first step of EDGAR's address.
pub const EDGAR: &str = "edgar";
/// Bytes of a call to the node.
const CALL_LIMIT: usize = 64 * 1024;

async fn answer_node(shared: &Shared, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let body = axum::body::to_bytes(body, CALL_LIMIT).await.unwrap_or_default();
    let reply = shared.node.answer(&shared.world, (shared.now)(), authorization, &body);
    let content_type = if reply.is_json { "application/json" } else { "text/html; charset=ISO-8859-1" };
    let response = Response::builder().status(reply.status).header(CONTENT_TYPE, content_type);
    response.body(Body::from(reply.body)).unwrap_or_default()
}

/// The first step of a path, and the rest with its slash.
fn split_path(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_at(path.find('/').unwrap_or(path.len()))
}

/// A reply as HTTP: 304 without a body if the client has it already.
fn write(reply: Reply, known_tag: Option<&str>) -> Response {
    let mut response = Response::builder().status(reply.status).header(CONTENT_TYPE, reply.content_type);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let mut body = Body::from(reply.body.clone());
    if reply.tagged {
        let tag = format!("W/\"{}\"", &blake3::hash(reply.body.as_bytes()).to_hex()[..16]);
        if known_tag == Some(tag.as_str()) {
            response = response.status(StatusCode::NOT_MODIFIED);
            body = Body::empty();
        }
        response = response.header(ETAG, tag);
    }
    // Headers here are ASCII without control characters, so building cannot fail.
    response.body(body).unwrap_or_default()
}

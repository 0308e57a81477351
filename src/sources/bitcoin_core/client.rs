//! Calls to a node. No retries here: whoever follows the chain decides when to ask again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::normalize::{BlockReader, NoBlock, ReadBlock, Wanted};
use super::wire::{BlockHeader, ChainInfo, Envelope, NetworkInfo, RpcError};
use crate::domain::chain::{BlockHash, block_hash_text};
use crate::sources::feed::ApiKey;
use crate::sources::text::cut;

/// Bytes of any answer but `getblock`'s.
const SMALL_ANSWER: usize = 1024 * 1024;
/// Bytes of an answer of `getblock`. A block of 4 MB comes as about 20 MB; this is only a bound.
const BLOCK_ANSWER: u64 = 256 * 1024 * 1024;

/// How calls are signed.
#[derive(Debug, Clone)]
pub enum Auth {
    /// `user:password` as the node writes it into its data directory at every start.
    Cookie(PathBuf),
    Password {
        user: String,
        password: ApiKey,
    },
}

/// A node; clones share the connection and the cookie.
#[derive(Debug, Clone)]
pub struct Node {
    client: Client,
    address: Url,
    auth: Auth,
    /// The header that was good last.
    signed: Arc<Mutex<Option<HeaderValue>>>,
    /// From the first packet of a call to the last byte of its answer.
    deadline: Duration,
}

/// Why a call gave nothing usable: each with a code, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error("the node at {address} cannot be reached: {why}; is it running, with server=1 and this rpcport?")]
    Unreachable { address: String, why: String },
    #[error("the node did not answer within {} s", .within.as_secs())]
    Timeout { within: Duration },
    #[error("the node broke off before its answer was whole; it may be restarting")]
    BrokenOff,
    #[error(
        "the cookie {path} cannot be read: {why}; the node writes it at its start, and only its own user may read it"
    )]
    Cookie { path: String, why: String },
    #[error("the node refuses the name and password (401); check them, or the path of the cookie")]
    WrongCredentials,
    #[error("the node does not let this user call {method} (403); see rpcwhitelist")]
    Forbidden { method: &'static str },
    #[error("the node is busy (503); raise rpcworkqueue if this goes on")]
    Busy,
    #[error("the node is starting: {message}")]
    WarmingUp { message: String },
    #[error(
        "the node has pruned this block: {message}; raise prune=, or read this stretch from a node that keeps all blocks"
    )]
    Pruned { message: String },
    #[error("the node has no data of this block yet: {message}")]
    NotDownloaded { message: String },
    #[error("the node has lost undo data: {message}; start it once with -reindex")]
    UndoMissing { message: String },
    #[error("the node knows no such block: {message}")]
    NoSuchBlock { message: String },
    #[error("the node refuses {method}: {message} ({code})")]
    Refused { method: &'static str, code: i64, message: String },
    #[error("something answers at the node's address that is no node (HTTP {status})")]
    NotANode { status: u16 },
    #[error("{0}")]
    BadBody(String),
    #[error("the node gave something untrue: {0}")]
    Untrue(String),
}

impl NodeError {
    /// The code in the ledger and in `/v1/sources`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::BrokenOff => "truncated",
            Self::Cookie { .. } => "no_cookie",
            Self::WrongCredentials => "wrong_credentials",
            Self::Forbidden { .. } => "forbidden",
            Self::Busy => "busy",
            Self::WarmingUp { .. } => "warming_up",
            Self::Pruned { .. } => "pruned",
            Self::NotDownloaded { .. } => "not_downloaded",
            Self::UndoMissing { .. } => "undo_missing",
            Self::NoSuchBlock { .. } => "no_such_block",
            Self::Refused { .. } => "refused",
            Self::NotANode { .. } => "not_a_node",
            Self::BadBody(_) => "bad_body",
            Self::Untrue(_) => "untrue",
        }
    }

    /// Whether it is about the one block that was asked for: the node itself is well, and others may be had.
    #[must_use]
    pub const fn is_of_one_block(&self) -> bool {
        matches!(self, Self::Pruned { .. } | Self::NotDownloaded { .. } | Self::UndoMissing { .. })
    }
}

/// The client could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the client of the node cannot be set up: {0}")]
pub struct NoClient(String);

impl Node {
    /// A node at an address such as `http://127.0.0.1:8332`. Nothing is asked yet. No proxy is used, and no
    /// redirect followed: the password must not go elsewhere.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(address: Url, auth: Auth, deadline: Duration) -> Result<Self, NoClient> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| NoClient(error.to_string()))?;
        Ok(Self { client, address, auth, signed: Arc::default(), deadline })
    }

    /// Where the node is, for people.
    #[must_use]
    pub fn address(&self) -> &str {
        self.address.as_str()
    }

    /// # Errors
    /// As every call.
    pub async fn chain_info(&self) -> Result<ChainInfo, NodeError> {
        self.call("getblockchaininfo", json!([])).await
    }

    /// # Errors
    /// As every call.
    pub async fn network_info(&self) -> Result<NetworkInfo, NodeError> {
        self.call("getnetworkinfo", json!([])).await
    }

    /// The hash of the chain's block at a height.
    ///
    /// # Errors
    /// As every call; [`NodeError::Refused`] above the tip.
    pub async fn block_hash(&self, height: u32) -> Result<BlockHash, NodeError> {
        let text: String = self.call("getblockhash", json!([height])).await?;
        crate::domain::chain::parse_block_hash(&text)
            .ok_or_else(|| NodeError::BadBody(format!("getblockhash gave {:?}", cut(&text, 80))))
    }

    /// # Errors
    /// As every call.
    pub async fn block_header(&self, hash: &BlockHash) -> Result<BlockHeader, NodeError> {
        self.call("getblockheader", json!([block_hash_text(hash), true])).await
    }

    /// A block with what it spends, read while it comes. Whatever its size, one transaction of it is held at
    /// a time.
    ///
    /// # Errors
    /// As every call.
    pub async fn block(&self, wanted: &Wanted) -> Result<ReadBlock, NodeError> {
        const METHOD: &str = "getblock";
        let reading = async {
            let mut response = self.send(METHOD, json!([block_hash_text(&wanted.hash), 3])).await?;
            let mut reader = BlockReader::default();
            let mut left = BLOCK_ANSWER;
            while let Some(chunk) = response.chunk().await.map_err(|_| NodeError::BrokenOff)? {
                left = left.checked_sub(chunk.len() as u64).ok_or_else(|| {
                    NodeError::BadBody(format!("the answer to getblock has more than {BLOCK_ANSWER} bytes"))
                })?;
                reader.push(&chunk).map_err(|error| NodeError::BadBody(error.to_string()))?;
            }
            reader.finish(wanted).map_err(|error| match error {
                NoBlock::Refused(error) => of_rpc(METHOD, error),
                NoBlock::Unreadable(detail) => NodeError::BadBody(detail),
                NoBlock::Untrue(detail) => NodeError::Untrue(detail),
            })
        };
        self.within_deadline(reading).await
    }

    async fn call<T: DeserializeOwned>(&self, method: &'static str, parameters: Value) -> Result<T, NodeError> {
        let calling = async {
            let mut response = self.send(method, parameters).await?;
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(|_| NodeError::BrokenOff)? {
                if body.len() + chunk.len() > SMALL_ANSWER {
                    return Err(NodeError::BadBody(format!(
                        "the answer to {method} has more than {SMALL_ANSWER} bytes"
                    )));
                }
                body.extend_from_slice(&chunk);
            }
            let envelope: Envelope<T> = serde_json::from_slice(&body)
                .map_err(|error| NodeError::BadBody(format!("the answer to {method} makes no sense: {error}")))?;
            match (envelope.result, envelope.error) {
                (_, Some(error)) => Err(of_rpc(method, error)),
                (Some(result), None) => Ok(result),
                (None, None) => Err(NodeError::BadBody(format!("the answer to {method} has neither result nor error"))),
            }
        };
        self.within_deadline(calling).await
    }

    async fn within_deadline<T>(&self, work: impl Future<Output = Result<T, NodeError>>) -> Result<T, NodeError> {
        let within = self.deadline;
        tokio::time::timeout(within, work).await.unwrap_or(Err(NodeError::Timeout { within }))
    }

    /// The answer to a signed call, if its body may be JSON. A cookie that is refused is read once more: the
    /// node writes a new one at every start.
    async fn send(&self, method: &'static str, parameters: Value) -> Result<Response, NodeError> {
        let body = json!({"jsonrpc": "1.0", "id": "miner-signals", "method": method, "params": parameters}).to_string();
        let known = self.signed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(header) = known {
            let response = self.post(header, body.clone()).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return checked(method, response);
            }
        }
        let header = self.sign().await?;
        let response = self.post(header.clone(), body).await?;
        let signed = (response.status() != StatusCode::UNAUTHORIZED).then_some(header);
        *self.signed.lock().unwrap_or_else(PoisonError::into_inner) = signed;
        checked(method, response)
    }

    async fn post(&self, header: HeaderValue, body: String) -> Result<Response, NodeError> {
        let request = self.client.post(self.address.clone()).header(AUTHORIZATION, header);
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        request.send().await.map_err(|error| {
            let error = error.without_url();
            if error.is_connect() || error.is_builder() {
                let why = crate::sources::http::innermost(&error);
                return NodeError::Unreachable { address: self.address.to_string(), why };
            }
            if error.is_timeout() {
                return NodeError::Timeout { within: self.deadline };
            }
            NodeError::BrokenOff
        })
    }

    async fn sign(&self) -> Result<HeaderValue, NodeError> {
        let pair = match &self.auth {
            Auth::Password { user, password } => format!("{user}:{}", password.reveal()),
            Auth::Cookie(path) => {
                let read = tokio::fs::read_to_string(path).await;
                let text = read
                    .map_err(|error| NodeError::Cookie { path: path.display().to_string(), why: error.to_string() })?;
                text.trim_end().to_owned()
            }
        };
        let mut header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
            .map_err(|error| NodeError::BadBody(error.to_string()))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Statuses whose body is not JSON. All others have an envelope, 500 and 404 for unknown methods too.
fn checked(method: &'static str, response: Response) -> Result<Response, NodeError> {
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    match response.status() {
        StatusCode::UNAUTHORIZED => Err(NodeError::WrongCredentials),
        StatusCode::FORBIDDEN => Err(NodeError::Forbidden { method }),
        StatusCode::SERVICE_UNAVAILABLE => Err(NodeError::Busy),
        _ if is_json => Ok(response),
        status => Err(NodeError::NotANode { status: status.as_u16() }),
    }
}

/// Source of the codes: Bitcoin Core, `src/rpc/protocol.h`; of the messages, `src/rpc/blockchain.cpp`.
fn of_rpc(method: &'static str, RpcError { code, message }: RpcError) -> NodeError {
    let message = cut(&message, 200);
    match code {
        -28 => NodeError::WarmingUp { message },
        -5 => NodeError::NoSuchBlock { message },
        -1 if message.contains("pruned") => NodeError::Pruned { message },
        -1 if message.contains("not available")
            || message.contains("not fully downloaded")
            || message.contains("not found on disk") =>
        {
            NodeError::NotDownloaded { message }
        }
        -32603 if method == "getblock" => NodeError::UndoMissing { message },
        _ => NodeError::Refused { method, code, message },
    }
}

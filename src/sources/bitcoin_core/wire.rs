//! What a node answers, in its own words: BTC as decimal text, times in epoch seconds, hashes as 64
//! hexadecimal digits.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Every answer. JSON-RPC 1 has both members, JSON-RPC 2 the one that counts.
#[derive(Debug, Deserialize)]
pub struct Envelope<T> {
    #[serde(default = "none")]
    pub result: Option<T>,
    #[serde(default)]
    pub error: Option<RpcError>,
}

fn none<T>() -> Option<T> {
    None
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
}

/// `getblockchaininfo`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ChainInfo {
    /// `main`, `test`, `testnet4`, `signet` or `regtest`.
    pub chain: String,
    /// Height of the newest block that was checked whole.
    pub blocks: u32,
    /// Height of the newest header.
    pub headers: u32,
    pub bestblockhash: String,
    /// Median of the newest eleven header times.
    pub mediantime: i64,
    /// True while it catches up, and for a while after a restart with a tip of a day or more.
    pub initialblockdownload: bool,
    pub pruned: bool,
    /// The lowest height that a pruned node has whole.
    pub pruneheight: Option<u32>,
}

/// `getnetworkinfo`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NetworkInfo {
    /// 250100 is version 25.1.
    pub version: u32,
    pub subversion: String,
}

/// `getblockheader`, and what `getblock` says besides the transactions.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BlockHeader {
    pub hash: String,
    /// -1 for a block that is not of the chain.
    pub confirmations: i64,
    pub height: u32,
    pub version: i32,
    pub merkleroot: String,
    pub time: u32,
    pub mediantime: i64,
    pub nonce: u32,
    /// The target in compact form, as hexadecimal digits.
    pub bits: String,
    pub chainwork: String,
    #[serde(rename = "nTx")]
    pub transactions: u32,
    /// Left out for the first block.
    pub previousblockhash: Option<String>,
}

/// The first transaction of a block.
#[derive(Debug, Deserialize)]
pub(super) struct Coinbase<'a> {
    #[serde(borrow)]
    pub(super) vin: [CoinbaseInput<'a>; 1],
    #[serde(borrow)]
    pub(super) vout: Vec<PayoutOutput<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CoinbaseInput<'a> {
    /// Its script, as hexadecimal digits.
    #[serde(borrow)]
    pub(super) coinbase: &'a str,
}

/// An output of a coinbase.
#[derive(Debug, Deserialize)]
pub(super) struct PayoutOutput<'a> {
    /// BTC.
    #[serde(borrow)]
    pub(super) value: &'a RawValue,
    #[serde(borrow, rename = "scriptPubKey")]
    pub(super) script: PayoutScript<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PayoutScript<'a> {
    #[serde(borrow)]
    pub(super) hex: &'a str,
    /// Left out for scripts without one.
    #[serde(borrow, default)]
    pub(super) address: Option<&'a str>,
}

/// Any other transaction.
#[derive(Debug, Deserialize)]
pub(super) struct Transaction<'a> {
    #[serde(borrow)]
    pub(super) vin: Vec<Input<'a>>,
    #[serde(borrow)]
    pub(super) vout: Vec<Output<'a>>,
    /// BTC; left out without undo data.
    #[serde(borrow, default)]
    pub(super) fee: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Input<'a> {
    /// What it spends; left out without undo data.
    #[serde(borrow, default)]
    pub(super) prevout: Option<Prevout<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Prevout<'a> {
    /// Whether a coinbase made it.
    pub(super) generated: bool,
    /// Of the block that made it.
    pub(super) height: u32,
    /// BTC.
    #[serde(borrow)]
    pub(super) value: &'a RawValue,
}

#[derive(Debug, Deserialize)]
pub(super) struct Output<'a> {
    /// BTC.
    #[serde(borrow)]
    pub(super) value: &'a RawValue,
}

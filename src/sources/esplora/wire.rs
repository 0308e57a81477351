//! Answers of an Esplora server. Money is in whole satoshi, times are epoch seconds.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::feed::Unusable;
use super::super::text::cut;

/// How much of an answer that makes no sense is shown.
const SHOWN: usize = 120;

/// One block of `GET /blocks[/:start_height]`, the highest first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Block {
    pub id: String,
    pub height: u32,
    /// Header time.
    pub timestamp: i64,
    /// Median of the header times of the block and the ten below.
    pub mediantime: i64,
    /// Null for the first block of all.
    pub previousblockhash: Option<String>,
}

/// `GET /block/:hash/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct BlockStatus {
    pub in_best_chain: bool,
}

/// `GET /tx/:txid`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Transaction {
    pub txid: String,
    pub vin: Vec<Input>,
    pub vout: Vec<Output>,
    pub status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Input {
    pub is_coinbase: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Output {
    /// Hexadecimal.
    pub scriptpubkey: String,
    pub value: u64,
}

/// Where a transaction is; `{"confirmed":false}` before it is in a block.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Status {
    pub confirmed: bool,
    pub block_height: Option<u32>,
    pub block_hash: Option<String>,
    /// Header time.
    pub block_time: Option<i64>,
}

/// One output of `GET /tx/:txid/outspends`, in the order of the outputs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Outspend {
    pub spent: bool,
    /// Where the spending transaction is; absent for an output that is not spent.
    pub status: Option<Status>,
}

/// Reads an answer of any kind.
///
/// # Errors
/// [`Unusable::BadBody`] with what is wrong and how the answer begins.
pub fn parse<Body: DeserializeOwned>(body: &[u8]) -> Result<Body, Unusable> {
    serde_json::from_slice(body).map_err(|error| {
        let begin = cut(&String::from_utf8_lossy(body), SHOWN);
        Unusable::BadBody(format!("not an answer of an Esplora server: {error}; it begins {begin:?}"))
    })
}

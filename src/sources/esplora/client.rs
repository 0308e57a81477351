//! The addresses of an Esplora server.

use url::Url;

use super::super::address;
use super::super::feed::Ask;
use crate::domain::chain::{BlockHash, block_hash_text};
use crate::domain::coinbase_watch::TxId;

/// A server, by the part of its addresses before its own paths.
#[derive(Debug, Clone)]
pub struct Server {
    base: Url,
}

impl Server {
    #[must_use]
    pub const fn new(base: Url) -> Self {
        Self { base }
    }

    #[must_use]
    pub const fn address(&self) -> &Url {
        &self.base
    }

    /// The newest blocks: ten or more of them, the highest first.
    #[must_use]
    pub fn newest_blocks(&self) -> Ask {
        self.ask("blocks")
    }

    /// The block at a height and those below.
    #[must_use]
    pub fn blocks_down_from(&self, height: u32) -> Ask {
        self.ask(&format!("blocks/{height}"))
    }

    /// Whether a block is of the best chain.
    #[must_use]
    pub fn block_status(&self, hash: &BlockHash) -> Ask {
        self.ask(&format!("block/{}/status", block_hash_text(hash)))
    }

    /// The txid of a block's first transaction, as plain text.
    #[must_use]
    pub fn coinbase_txid(&self, hash: &BlockHash) -> Ask {
        self.ask(&format!("block/{}/txid/0", block_hash_text(hash)))
    }

    #[must_use]
    pub fn transaction(&self, txid: &TxId) -> Ask {
        self.ask(&format!("tx/{}", block_hash_text(txid)))
    }

    /// What became of each output of a transaction.
    #[must_use]
    pub fn outspends(&self, txid: &TxId) -> Ask {
        self.ask(&format!("tx/{}/outspends", block_hash_text(txid)))
    }

    fn ask(&self, path: &str) -> Ask {
        Ask::open(address(&self.base, path, &[]))
    }
}

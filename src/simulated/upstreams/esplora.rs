//! Esplora: the chain in pages, coinbases, and what became of their outputs, out of the same world as the node.
//!
//! A coinbase has a payout and a commitment, as the node's has. The whole payout is spent at once. The server can
//! be made to follow a branch, whose blocks spend nothing, and to say what cannot be. Errors are plain text.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

use super::answer::{Asked, Reply};
use super::bitcoin_core::Branch;
use crate::domain::time::Day;
use crate::simulated::blocks::Block;
use crate::simulated::chain::FIRST_HEIGHT;
use crate::simulated::coins::{Coins, coinbase_satoshi};
use crate::simulated::world::World;

/// Blocks of a page.
const PAGE_BLOCKS: u32 = 10;

/// What the server says that is not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EsploraFault {
    /// Spends of the coinbase of this height and of those above are in blocks that are none.
    OtherBlock(u32),
    /// The coinbase of this height and those above have one output less than they have.
    MissingOutput(u32),
    /// Outputs of the coinbase of this height and of those above are spent in the block that made them.
    Immature(u32),
    /// The coinbase of this height and those above pay a negative amount.
    NegativeValue(u32),
    /// Another transaction is shown as the coinbase of this height and of those above.
    OtherTransaction(u32),
    /// The transactions of this height and of those above are not found.
    NotFound(u32),
    /// The block of this height and those above name another block below them.
    WrongPrevious(u32),
}

/// The server.
#[derive(Default)]
pub(super) struct SimulatedEsplora {
    /// The height that spends each coinbase, by the height that mined it.
    lives: OnceLock<HashMap<u32, u32>>,
    days: Mutex<BTreeMap<Day, Arc<Vec<Block>>>>,
    /// Heights and branches of the hashes and txids that were told.
    told: Mutex<HashMap<String, (u32, u64)>>,
    pub(super) fault: Mutex<Option<EsploraFault>>,
    pub(super) branch: Mutex<Option<Branch>>,
}

impl SimulatedEsplora {
    pub(super) fn answer(&self, asked: &Asked<'_>) -> Reply {
        let world_tip = asked.world.tip(asked.now).unwrap_or(FIRST_HEIGHT);
        let branch = *self.branch.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let tip = branch.map_or(world_tip, |branch| branch.above + branch.blocks);
        View { server: self, world: asked.world, branch, fault, tip }.answer(asked.path)
    }
}

/// The server at a moment.
struct View<'a> {
    server: &'a SimulatedEsplora,
    world: &'a World,
    branch: Option<Branch>,
    fault: Option<EsploraFault>,
    tip: u32,
}

impl View<'_> {
    fn answer(&self, path: &str) -> Reply {
        let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
        let found = match steps[..] {
            ["blocks"] => self.blocks(self.tip).ok_or("Block not found"),
            ["blocks", height] => match height.parse() {
                Ok(height) => self.blocks(height).ok_or("Block not found"),
                Err(_) => return plain(400, "Invalid height"),
            },
            ["block", hash, "status"] => Ok(self.status(hash)),
            ["block", hash, "txid", "0"] => match self.find(hash) {
                Some((height, branch)) => return plain(200, &self.txid(height, branch)),
                None => Err("Block not found"),
            },
            ["tx", txid] => self.transaction(txid).ok_or("Transaction not found"),
            ["tx", txid, "outspends"] => self.outspends(txid).ok_or("Transaction not found"),
            _ => Err("endpoint does not exist"),
        };
        found.map_or_else(|message| plain(404, message), |value| Reply::json(value.to_string()))
    }

    fn block(&self, height: u32) -> Option<Block> {
        let day = self.world.day_of(height)?;
        let mut days = self.server.days.lock().unwrap_or_else(PoisonError::into_inner);
        let blocks = days.entry(day).or_insert_with(|| Arc::new(self.world.blocks_of(day).collect()));
        blocks.iter().find(|block| block.height == height).copied()
    }

    /// The branch of the server's chain at a height: 0 for the story's chain.
    fn branch_at(&self, height: u32) -> u64 {
        self.branch.filter(|branch| height > branch.above).map_or(0, |branch| branch.number)
    }

    fn tell(&self, text: String, place: (u32, u64)) -> String {
        self.server.told.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone(), place);
        text
    }

    fn find(&self, text: &str) -> Option<(u32, u64)> {
        self.server.told.lock().unwrap_or_else(PoisonError::into_inner).get(text).copied()
    }

    fn hash(&self, height: u32, branch: u64) -> String {
        let hash = match branch {
            0 => self.world.block_hash(height),
            _ => digest(&format!("{} {height} {branch}", self.world.seed)),
        };
        self.tell(hash, (height, branch))
    }

    fn txid(&self, height: u32, branch: u64) -> String {
        self.tell(digest(&format!("{} {height} {branch} coinbase", self.world.seed)), (height, branch))
    }

    fn blocks(&self, from: u32) -> Option<Value> {
        let from = (FIRST_HEIGHT..=self.tip).contains(&from).then_some(from)?;
        let heights = (FIRST_HEIGHT.max(from.saturating_sub(PAGE_BLOCKS - 1))..=from).rev();
        heights.map(|height| self.block_row(height)).collect::<Option<Vec<Value>>>().map(Value::from)
    }

    fn block_row(&self, height: u32) -> Option<Value> {
        let block = self.block(height)?;
        let lowest = height.saturating_sub(10).max(FIRST_HEIGHT);
        let mut times = (lowest..=height).map(|height| Some(self.block(height)?.time)).collect::<Option<Vec<i64>>>()?;
        times.sort_unstable();
        let below = match self.fault {
            Some(EsploraFault::WrongPrevious(from)) if height >= from => u64::MAX,
            _ => self.branch_at(height - 1),
        };
        Some(json!({
            "id": self.hash(height, self.branch_at(height)), "height": height, "version": 0x2000_0000,
            "timestamp": block.time, "tx_count": block.transactions, "size": 380 * block.transactions,
            "weight": 950 * block.transactions, "merkle_root": digest(&format!("{height} root")),
            "previousblockhash": self.hash(height - 1, below), "mediantime": times[times.len() / 2],
            "nonce": height, "bits": block.bits, "difficulty": block.difficulty,
        }))
    }

    fn is_of_chain(&self, height: u32, branch: u64) -> bool {
        height <= self.tip && branch == self.branch_at(height)
    }

    /// An unknown block is like one of a branch, as at the real one.
    fn status(&self, hash: &str) -> Value {
        match self.find(hash).filter(|&(height, branch)| self.is_of_chain(height, branch)) {
            Some((height, _)) if height < self.tip => json!({
                "in_best_chain": true, "height": height, "next_best": self.hash(height + 1, self.branch_at(height + 1)),
            }),
            Some((height, _)) => json!({"in_best_chain": true, "height": height, "next_best": null}),
            None => json!({"in_best_chain": false, "height": null, "next_best": null}),
        }
    }

    /// Where what a block of the chain holds is.
    fn place(&self, height: u32) -> Option<Value> {
        let hash = self.hash(height, self.branch_at(height));
        let time = self.block(height)?.time;
        Some(json!({"confirmed": true, "block_height": height, "block_hash": hash, "block_time": time}))
    }

    fn transaction(&self, txid: &str) -> Option<Value> {
        let (height, branch) = self.find(txid).filter(|&(height, branch)| self.is_of_chain(height, branch))?;
        let is_coinbase = match self.fault {
            Some(EsploraFault::NotFound(from)) if height >= from => return None,
            Some(EsploraFault::OtherTransaction(from)) => height < from,
            _ => true,
        };
        let reward = coinbase_satoshi(self.world, height);
        let value = match self.fault {
            Some(EsploraFault::NegativeValue(from)) if height >= from => json!(-1),
            _ => json!(reward),
        };
        let payout = json!({
            "scriptpubkey": format!("0014{}", "00".repeat(20)), "scriptpubkey_asm": "OP_0", "value": value,
            "scriptpubkey_type": "v0_p2wpkh", "scriptpubkey_address": "bc1qdemo",
        });
        let commitment = json!({
            "scriptpubkey": format!("6a24aa21a9ed{}", "00".repeat(32)), "scriptpubkey_asm": "OP_RETURN",
            "scriptpubkey_type": "op_return", "value": 0,
        });
        let input = json!({
            "txid": "00".repeat(32), "vout": u32::MAX, "prevout": null, "scriptsig": "03", "scriptsig_asm": "",
            "is_coinbase": is_coinbase, "sequence": u32::MAX,
        });
        let txid = self.txid(height, branch);
        Some(json!({
            "txid": txid, "version": 2, "locktime": 0, "vin": [input], "vout": [payout, commitment], "size": 204,
            "weight": 816, "fee": 0, "status": self.place(height)?,
        }))
    }

    fn outspends(&self, txid: &str) -> Option<Value> {
        let (height, branch) = self.find(txid).filter(|&(height, branch)| self.is_of_chain(height, branch))?;
        if matches!(self.fault, Some(EsploraFault::NotFound(from)) if height >= from) {
            return None;
        }
        let lives = self
            .server
            .lives
            .get_or_init(|| Coins::of(self.world).lives().map(|(spent, mined)| (mined, spent)).collect());
        let spent = lives.get(&height).copied();
        // The blocks of a branch spend nothing.
        let mut spent = spent.filter(|&spent| branch == 0 && self.is_of_chain(spent, 0));
        if matches!(self.fault, Some(EsploraFault::Immature(from)) if height >= from) {
            spent = Some(height);
        }
        let unspent = json!({"spent": false});
        let payout = match spent {
            Some(spent) => {
                let mut place = self.place(spent)?;
                if matches!(self.fault, Some(EsploraFault::OtherBlock(from)) if height >= from) {
                    place["block_hash"] = json!(digest(&format!("{spent} other")));
                }
                json!({"spent": true, "txid": digest(&format!("{spent} sweep")), "vin": 0, "status": place})
            }
            None => unspent.clone(),
        };
        if matches!(self.fault, Some(EsploraFault::MissingOutput(from)) if height >= from) {
            return Some(json!([payout]));
        }
        Some(json!([payout, unspent]))
    }
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn plain(status: u16, text: &str) -> Reply {
    Reply { content_type: "text/plain", ..Reply::with_status(status, text.to_owned()) }
}

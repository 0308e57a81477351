//! A Bitcoin Core node that follows the simulated chain: the calls of an own node, over JSON-RPC.
//!
//! Blocks have the structure of real ones and few transactions: a coinbase with a tag, a payout and a
//! commitment; one transaction that spends the coinbases whose time has come; and some ordinary ones that
//! pay the fees. Every two days the node follows a branch of two blocks for a while and leaves it, as
//! happens to every node. Hashes link blocks and prove nothing, since nobody can mine this chain.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::domain::time::Timestamp;
use crate::simulated::blocks::Block;
use crate::simulated::chain::{FIRST_HEIGHT, HASHES_PER_DIFFICULTY};
use crate::simulated::chance::{Topic, whole_below};
use crate::simulated::coins::{Coins, coinbase_satoshi};
use crate::simulated::world::World;

/// The name and password of the node.
pub const USER: &str = "demo";
pub const PASSWORD: &str = "demo";
/// Version 30.0.
const VERSION: u32 = 300_000;
/// So often there is a branch, and so many blocks long it becomes before it is left.
const BRANCH_EVERY: u32 = 288;
const BRANCH_AT: u32 = 3;
const BRANCH_BLOCKS: u32 = 2;
/// The branch of the story that [`Branch`] does not name.
const STORY: u64 = 1;
/// Ordinary transactions of a block, at most.
const ORDINARY: u32 = 4;

/// What is wrong with the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeFault {
    /// It was started a moment ago.
    WarmingUp,
    /// Its user has another password.
    WrongCredentials,
    /// Its work queue is full.
    Busy,
    /// It catches up, and is so many blocks behind its headers.
    InitialDownload(u32),
    /// It is of version 22.
    TooOld,
    /// It follows another chain.
    WrongChain,
    /// It has deleted blocks below a height.
    Pruned(u32),
    /// It has lost its undo files.
    UndoMissing,
    /// The block at this height and those above come without what they spend.
    NoPrevout(u32),
    /// The block at this height and those above name another block below them.
    WrongPrevious(u32),
    /// An amount of the block at this height and of those above is negative.
    NegativeValue(u32),
    /// The coinbase of the block at this height and of those above pays more than it may.
    TooMuch(u32),
}

/// A branch that the node follows above a height, in place of the story's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    pub above: u32,
    /// Tells branches apart; from 2 on.
    pub number: u64,
    /// So many blocks above the fork; the node's tip.
    pub blocks: u32,
}

/// The node.
#[derive(Default)]
pub(super) struct SimulatedNode {
    coins: OnceLock<Coins>,
    /// Heights and branches of hashes that were told.
    told: Mutex<HashMap<String, (u32, u64)>>,
    pub(super) calls: AtomicU64,
    pub(super) fault: Mutex<Option<NodeFault>>,
    pub(super) branch: Mutex<Option<Branch>>,
}

/// An answer: status, and a body that is JSON if the status is one of an envelope.
pub(super) struct NodeReply {
    pub(super) status: u16,
    pub(super) is_json: bool,
    pub(super) body: String,
}

/// A refusal: code and message.
type Refusal = (i64, String);

impl SimulatedNode {
    pub(super) fn answer(&self, world: &World, now: Timestamp, authorization: Option<&str>, body: &[u8]) -> NodeReply {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = |status, body: &str| NodeReply { status, is_json: false, body: body.to_owned() };
        let expected = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        if fault == Some(NodeFault::WrongCredentials) || authorization != Some(&format!("Basic {expected}")) {
            return plain(401, "");
        }
        if fault == Some(NodeFault::Busy) {
            return plain(503, "Work queue depth exceeded");
        }
        let Ok(request) = serde_json::from_slice::<Value>(body) else {
            return envelope(Err((-32700, "Parse error".to_owned())), &Value::Null);
        };
        let view = View { node: self, world, fault, tip: self.tip(world, now) };
        let outcome = match fault {
            Some(NodeFault::WarmingUp) => Err((-28, "Loading block index…".to_owned())),
            _ => view.call(request["method"].as_str().unwrap_or_default(), &request["params"]),
        };
        envelope(outcome, &request["id"])
    }

    fn tip(&self, world: &World, now: Timestamp) -> u32 {
        let branch = *self.branch.lock().unwrap_or_else(PoisonError::into_inner);
        match branch {
            Some(branch) => branch.above + branch.blocks,
            None => world.tip(now).unwrap_or(FIRST_HEIGHT),
        }
    }

    /// The branch of the node's chain at a height: 0 for the story's chain.
    fn branch_at(&self, tip: u32, height: u32) -> u64 {
        let branch = *self.branch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(branch) = branch {
            return if height > branch.above { branch.number } else { 0 };
        }
        let into = tip % BRANCH_EVERY;
        let is_on_branch = (BRANCH_AT..BRANCH_AT + BRANCH_BLOCKS).contains(&into);
        u64::from(is_on_branch && height >= tip - (into - BRANCH_AT)) * STORY
    }
}

fn envelope(outcome: Result<String, Refusal>, id: &Value) -> NodeReply {
    let (status, body) = match outcome {
        Ok(result) => (200, format!(r#"{{"result":{result},"error":null,"id":{id}}}"#)),
        Err((code, message)) => {
            let error = json!({"code": code, "message": message});
            (if code == -32601 { 404 } else { 500 }, format!(r#"{{"result":null,"error":{error},"id":{id}}}"#))
        }
    };
    NodeReply { status, is_json: true, body: body + "\n" }
}

/// The node at a moment.
struct View<'a> {
    node: &'a SimulatedNode,
    world: &'a World,
    fault: Option<NodeFault>,
    tip: u32,
}

impl View<'_> {
    fn call(&self, method: &str, parameters: &Value) -> Result<String, Refusal> {
        match method {
            "getblockchaininfo" => self.chain_info(),
            "getnetworkinfo" => {
                let version = if self.fault == Some(NodeFault::TooOld) { 220_000 } else { VERSION };
                Ok(json!({"version": version, "subversion": format!("/Satoshi:{}.0.0/", version / 10_000)}).to_string())
            }
            "getblockhash" => {
                let height = parameters[0].as_u64().and_then(|height| u32::try_from(height).ok());
                let height = height.filter(|height| (FIRST_HEIGHT..=self.tip).contains(height));
                let height = height.ok_or((-8, "Block height out of range".to_owned()))?;
                Ok(format!("{:?}", self.hash(height, self.branch(height))))
            }
            "getblockheader" => {
                let (height, branch) = self.find(parameters)?;
                Ok(format!("{{{}}}", self.header(height, branch)?))
            }
            "getblock" => {
                let (height, branch) = self.find(parameters)?;
                self.block(height, branch)
            }
            _ => Err((-32601, "Method not found".to_owned())),
        }
    }

    fn branch(&self, height: u32) -> u64 {
        self.node.branch_at(self.tip, height)
    }

    fn find(&self, parameters: &Value) -> Result<(u32, u64), Refusal> {
        let told = self.node.told.lock().unwrap_or_else(PoisonError::into_inner);
        let place = parameters[0].as_str().and_then(|hash| told.get(hash).copied());
        place.ok_or((-5, "Block not found".to_owned()))
    }

    /// The hash of a block, which may be asked for from now on.
    fn hash(&self, height: u32, branch: u64) -> String {
        let hash = if branch == 0 {
            self.world.block_hash(height)
        } else {
            let hash = blake3::hash(format!("{} {height} {branch}", self.world.seed).as_bytes());
            format!("{:0>64}", &hash.to_hex()[19..])
        };
        self.node.told.lock().unwrap_or_else(PoisonError::into_inner).insert(hash.clone(), (height, branch));
        hash
    }

    fn chain_info(&self) -> Result<String, Refusal> {
        let (behind, is_behind) = match self.fault {
            Some(NodeFault::InitialDownload(blocks)) => (blocks, true),
            _ => (0, false),
        };
        let blocks = self.tip - behind;
        let chain = if self.fault == Some(NodeFault::WrongChain) { "test" } else { "main" };
        let (_, median) = self.times(blocks)?;
        let mut info = json!({
            "chain": chain, "blocks": blocks, "headers": self.tip,
            "bestblockhash": self.hash(blocks, self.branch(blocks)), "mediantime": median,
            "initialblockdownload": is_behind, "pruned": false, "warnings": [],
        });
        if let Some(NodeFault::Pruned(below)) = self.fault {
            info["pruned"] = json!(true);
            info["pruneheight"] = json!(below);
        }
        Ok(info.to_string())
    }

    fn known(&self, height: u32) -> Result<Block, Refusal> {
        self.world.block(height).ok_or((-5, "Block not found".to_owned()))
    }

    /// The header time of a block, and the median of it and the ten below.
    fn times(&self, height: u32) -> Result<(i64, i64), Refusal> {
        let below = height.saturating_sub(10).max(FIRST_HEIGHT);
        let mut times =
            (below..=height).map(|height| Ok(self.known(height)?.time)).collect::<Result<Vec<i64>, Refusal>>()?;
        let time = times[times.len() - 1];
        times.sort_unstable();
        Ok((time, times[times.len() / 2]))
    }

    /// The fields of a header, without the brackets around.
    fn header(&self, height: u32, branch: u64) -> Result<String, Refusal> {
        let block = self.known(height)?;
        let (time, median) = self.times(height)?;
        let of_chain = branch == self.branch(height) && height <= self.tip;
        let confirmations = if of_chain { i64::from(self.tip - height) + 1 } else { -1 };
        let below = match self.fault {
            Some(NodeFault::WrongPrevious(from)) if height >= from => u64::MAX,
            _ if self.is_fork(height, branch) => 0,
            _ => branch,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some 1e32 hashes, under 2^128")]
        let work = (f64::from(height) * block.difficulty * HASHES_PER_DIFFICULTY) as u128;
        let mut text = format!(
            r#""hash":"{}","confirmations":{confirmations},"height":{height},"version":536870912,"versionHex":"20000000","merkleroot":"{}","time":{time},"mediantime":{median},"nonce":{height},"bits":"{:08x}","difficulty":{},"chainwork":"{work:064x}","nTx":{}"#,
            self.hash(height, branch),
            blake3::hash(&height.to_be_bytes()).to_hex(),
            block.bits,
            block.difficulty,
            self.transactions(height, branch)?.len(),
        );
        let _ = write!(text, r#","previousblockhash":"{}""#, self.hash(height - 1, below));
        if of_chain && height < self.tip {
            let _ = write!(text, r#","nextblockhash":"{}""#, self.hash(height + 1, self.branch(height + 1)));
        }
        Ok(text)
    }

    /// Whether the block below is not of the branch.
    fn is_fork(&self, height: u32, branch: u64) -> bool {
        match branch {
            0 => true,
            STORY => height % BRANCH_EVERY == BRANCH_AT,
            _ => self.branch(height - 1) != branch,
        }
    }

    fn block(&self, height: u32, branch: u64) -> Result<String, Refusal> {
        match self.fault {
            Some(NodeFault::Pruned(below)) if height < below => {
                return Err((-1, "Block not available (pruned data)".to_owned()));
            }
            Some(NodeFault::UndoMissing) => {
                return Err((
                    -32603,
                    "Undo data expected but can't be read. This could be due to disk corruption.".to_owned(),
                ));
            }
            _ => {}
        }
        let transactions = self.transactions(height, branch)?.join(",");
        let header = self.header(height, branch)?;
        let size = transactions.len() / 4;
        Ok(format!(r#"{{{header},"strippedsize":{size},"size":{size},"weight":{},"tx":[{transactions}]}}"#, 4 * size))
    }

    /// The transactions of a block as `getblock` of verbosity 3 writes them. A block of a branch has a
    /// coinbase alone.
    fn transactions(&self, height: u32, branch: u64) -> Result<Vec<String>, Refusal> {
        let block = self.known(height)?;
        let fees = if branch == 0 { block.fees_satoshi } else { 0 };
        let mut reward = block.reward_satoshi - block.fees_satoshi + fees;
        if matches!(self.fault, Some(NodeFault::TooMuch(from)) if height >= from) {
            reward += 1;
        }
        let mut transactions = vec![self.coinbase(height, &block, reward)];
        if branch != 0 {
            return Ok(transactions);
        }
        let coins = self.node.coins.get_or_init(|| Coins::of(self.world));
        let count = 1 + whole_below(self.world.seed, Topic::Ordinary, u64::from(height), ORDINARY);
        let mut left = fees;
        let spent: Vec<u32> = coins.spent_at(height).collect();
        if !spent.is_empty() {
            let inputs: Vec<(bool, u32, u64)> =
                spent.iter().map(|&mined| (true, mined, coinbase_satoshi(self.world, mined))).collect();
            // A wallet pays less than its coins are worth.
            let fee = (left / 10).min(inputs[0].2 / 2);
            left -= fee;
            transactions.push(self.transaction(height, transactions.len(), &inputs, fee));
        }
        for number in 0..count {
            let fee = if number + 1 == count { left } else { left / u64::from(count) };
            left -= fee;
            let input = (false, height - 1 - number, 1_000_000 + fee);
            transactions.push(self.transaction(height, transactions.len(), &[input], fee));
        }
        Ok(transactions)
    }

    fn coinbase(&self, height: u32, block: &Block, reward: u64) -> String {
        let mut script = format!("03{:06x}", height.swap_bytes() >> 8);
        for byte in format!("/{}/", block.pool.name).bytes() {
            let _ = write!(script, "{byte:02x}");
        }
        let negative = matches!(self.fault, Some(NodeFault::NegativeValue(from)) if height >= from);
        format!(
            r#"{{"txid":"{}","version":2,"vin":[{{"coinbase":"{script}","sequence":4294967295}}],"vout":[{{"value":{}{},"n":0,"scriptPubKey":{{"asm":"0","hex":"0014{}","address":"bc1qdemo{}","type":"witness_v0_keyhash"}}}},{{"value":0.00000000,"n":1,"scriptPubKey":{{"asm":"OP_RETURN","hex":"6a24aa21a9ed","type":"nulldata"}}}}]}}"#,
            self.txid(height, 0),
            if negative { "-" } else { "" },
            btc(reward),
            "00".repeat(20),
            block.pool.slug,
        )
    }

    /// A transaction that spends outputs (made by a coinbase or not, height, satoshi) and pays a fee.
    fn transaction(&self, height: u32, place: usize, inputs: &[(bool, u32, u64)], fee: u64) -> String {
        let without = matches!(self.fault, Some(NodeFault::NoPrevout(from)) if height >= from);
        let mut text = format!(r#"{{"txid":"{}","version":2,"vin":["#, self.txid(height, place));
        for (number, &(generated, made, satoshi)) in inputs.iter().enumerate() {
            let separator = if number == 0 { "" } else { "," };
            let _ = write!(
                text,
                r#"{separator}{{"txid":"{}","vout":0,"scriptSig":{{"asm":"","hex":""}}"#,
                self.txid(made, number + 7)
            );
            if !without {
                let _ = write!(
                    text,
                    r#","prevout":{{"generated":{generated},"height":{made},"value":{},"scriptPubKey":{{"asm":"0","hex":"0014","type":"witness_v0_keyhash"}}}}"#,
                    btc(satoshi)
                );
            }
            text.push_str(r#","sequence":4294967293}"#);
        }
        let paid: u64 = inputs.iter().map(|&(_, _, satoshi)| satoshi).sum::<u64>() - fee;
        let _ = write!(
            text,
            r#"],"vout":[{{"value":{},"n":0,"scriptPubKey":{{"asm":"0","hex":"0014","type":"witness_v0_keyhash"}}}}]"#,
            btc(paid)
        );
        if !without {
            let _ = write!(text, r#","fee":{}"#, btc(fee));
        }
        text.push('}');
        text
    }

    fn txid(&self, height: u32, place: usize) -> String {
        blake3::hash(format!("{} {height} {place}", self.world.seed).as_bytes()).to_hex().to_string()
    }
}

/// Satoshi as nodes write them: BTC with eight decimals.
fn btc(satoshi: u64) -> String {
    format!("{}.{:08}", satoshi / 100_000_000, satoshi % 100_000_000)
}

//! What a node says of a block to what the block moves, and whether it can be true.

use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use super::stream::{Splitter, Taken, Unreadable};
use super::wire::{self, Envelope, RpcError};
use crate::domain::block::{Block, BlockFlow, CoinbaseSpend, MAX_MONEY, Network, Unavailable};
use crate::domain::chain::{BlockHash, Header, parse_block_hash};
use crate::domain::indicators::difficulty::Target;
use crate::domain::time::Timestamp;

/// How closely headers are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The hash must be that of the header, and meet its target.
    Required,
    /// Nobody can mine a simulated chain: hashes link blocks, and prove nothing.
    Simulated,
}

/// What a block must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub network: Network,
    pub proof: Proof,
    pub hash: BlockHash,
}

/// A block, and how long the answer was that it was read from. The answer is not kept: the node is the log.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadBlock {
    pub block: Block,
    pub answer_bytes: u64,
}

/// Why an answer gives no block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoBlock {
    /// It is no answer to `getblock`.
    #[error("the answer to getblock makes no sense: {0}")]
    Unreadable(String),
    /// The node says why not.
    #[error("the node says {}: {}", .0.code, .0.message)]
    Refused(RpcError),
    /// The header contradicts itself, or what was asked for.
    #[error("the block that came is not the one asked for: {0}")]
    Untrue(String),
}

impl From<Unreadable> for NoBlock {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Reads an answer of `getblock` of verbosity 3 in pieces, in little memory.
#[derive(Debug, Default)]
pub struct BlockReader {
    splitter: Splitter,
    flow: FlowSum,
    bytes: u64,
}

impl BlockReader {
    /// Takes the next piece of the answer.
    ///
    /// # Errors
    /// If it is no JSON object with a list of transactions.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        self.bytes += piece.len() as u64;
        let flow = &mut self.flow;
        self.splitter.push(piece, |bytes| flow.take(bytes))
    }

    /// The block, once the answer is over. What its transactions do is checked, and where that fails the
    /// block has a reason in place of a flow.
    ///
    /// # Errors
    /// If there is no block, or not the one that was wanted.
    pub fn finish(mut self, wanted: &Wanted) -> Result<ReadBlock, NoBlock> {
        let flow = &mut self.flow;
        let (rest, has_transactions) = self.splitter.finish(|bytes| flow.take(bytes))?;
        let envelope: Envelope<wire::BlockHeader> =
            serde_json::from_slice(&rest).map_err(|error| NoBlock::Unreadable(error.to_string()))?;
        if let Some(error) = envelope.error {
            return Err(NoBlock::Refused(error));
        }
        let Some(said) = envelope.result.filter(|_| has_transactions) else {
            return Err(NoBlock::Unreadable("it has no block with transactions".to_owned()));
        };
        let place = header(&said, wanted)?;
        let flow = self.flow.finish(&said).and_then(|flow| {
            let flow = BlockFlow { spendable_output: if said.height == 0 { 0 } else { flow.spendable_output }, ..flow };
            match flow.check(wanted.network, said.height) {
                Ok(()) => Ok(flow),
                Err(rule) => Err(Unavailable { reason: rule.code(), detail: rule.to_string() }),
            }
        });
        let Place { header, median_time, chain_work } = place;
        Ok(ReadBlock { block: Block { header, median_time, chain_work, flow }, answer_bytes: self.bytes })
    }
}

/// Where a block stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub header: Header,
    pub median_time: Timestamp,
    pub chain_work: [u8; 32],
}

/// The header of a block, held to itself and to what was asked for.
///
/// # Errors
/// [`NoBlock::Unreadable`] for a field that is not what it should be, [`NoBlock::Untrue`] for a header
/// that another hash belongs to, or that does not prove its work.
pub fn header(said: &wire::BlockHeader, wanted: &Wanted) -> Result<Place, NoBlock> {
    let hash = hash_of("hash", &said.hash)?;
    let previous = match &said.previousblockhash {
        Some(text) => hash_of("previousblockhash", text)?,
        None if said.height == 0 => [0; 32],
        None => return Err(NoBlock::Untrue(format!("block {} names no block below it", said.height))),
    };
    if hash != wanted.hash {
        return Err(NoBlock::Untrue(format!("it has hash {}", said.hash)));
    }
    let unreadable = |field: &str, found: &str| NoBlock::Unreadable(format!("{field} is {found:?}"));
    let bits = u32::from_str_radix(&said.bits, 16).map_err(|_| unreadable("bits", &said.bits))?;
    let target = Target::from_compact(bits).map_err(|_| unreadable("bits", &said.bits))?;
    if wanted.proof == Proof::Required {
        let computed = header_hash(said, &previous, bits)?;
        if computed != hash {
            return Err(NoBlock::Untrue("the hash is not that of the header".to_owned()));
        }
        if wanted.network == Network::Main && target > Target::LIMIT {
            return Err(NoBlock::Untrue("the target is easier than the chain allows".to_owned()));
        }
        if !target.is_met_by(&hash) {
            return Err(NoBlock::Untrue("the hash does not meet its target".to_owned()));
        }
    }
    let instant = |field: &str, seconds: i64| {
        Timestamp::from_epoch_seconds(seconds).ok_or_else(|| unreadable(field, &seconds.to_string()))
    };
    Ok(Place {
        header: Header {
            hash,
            previous,
            height: said.height,
            time: instant("time", i64::from(said.time))?,
            bits: Some(bits),
            difficulty: target.difficulty(),
            found_by: None,
        },
        median_time: instant("mediantime", said.mediantime)?,
        chain_work: hash_of("chainwork", &said.chainwork)?,
    })
}

fn hash_of(field: &str, text: &str) -> Result<BlockHash, NoBlock> {
    parse_block_hash(text).ok_or_else(|| NoBlock::Unreadable(format!("{field} is {text:?}, not 64 hexadecimal digits")))
}

/// SHA-256 twice over the 80 bytes of a header, in the order in which hashes are written. Source: Bitcoin
/// Core, `src/primitives/block.h`, `CBlockHeader`.
fn header_hash(said: &wire::BlockHeader, previous: &BlockHash, bits: u32) -> Result<BlockHash, NoBlock> {
    let written = |mut hash: BlockHash| {
        hash.reverse();
        hash
    };
    let mut bytes = Vec::with_capacity(80);
    bytes.extend_from_slice(&said.version.to_le_bytes());
    bytes.extend_from_slice(&written(*previous));
    bytes.extend_from_slice(&written(hash_of("merkleroot", &said.merkleroot)?));
    bytes.extend_from_slice(&said.time.to_le_bytes());
    bytes.extend_from_slice(&bits.to_le_bytes());
    bytes.extend_from_slice(&said.nonce.to_le_bytes());
    Ok(written(Sha256::digest(Sha256::digest(&bytes)).into()))
}

/// BTC as nodes write it, in satoshi: up to eight decimals, no sign, no exponent. `None` for anything
/// else, and for more coins than there can be.
#[must_use]
pub fn parse_satoshi(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || whole.len() > 8 || fraction.len() > 8 || (fraction.is_empty() && text.contains('.')) {
        return None;
    }
    let mut satoshi = 0_u64;
    for digit in whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(8)) {
        if !digit.is_ascii_digit() {
            return None;
        }
        satoshi = satoshi * 10 + u64::from(digit - b'0');
    }
    (satoshi <= MAX_MONEY).then_some(satoshi)
}

/// What was met of the transactions of a block so far.
#[derive(Debug, Default)]
struct FlowSum {
    flow: BlockFlow,
    /// The first thing that makes the flow of the whole block unknown.
    fault: Option<Unavailable>,
}

impl FlowSum {
    /// Takes the transaction that some bytes begin with, if they have all of it.
    fn take(&mut self, bytes: &[u8]) -> Result<Taken, Unreadable> {
        let is_first = self.flow.transactions == 0;
        let (length, outcome) = if self.fault.is_some() {
            match parse_first::<IgnoredAny>(bytes) {
                First::Whole(_, length) => (length, Ok(())),
                First::Partly => return Ok(Taken::Partly),
                First::Wrong(error) => return Err(Unreadable::NotJson(error)),
            }
        } else if is_first {
            match parse_first::<wire::Coinbase<'_>>(bytes) {
                First::Whole(coinbase, length) => (length, self.add_coinbase(&coinbase)),
                First::Partly => return Ok(Taken::Partly),
                First::Wrong(error) => return self.skip(bytes, error),
            }
        } else {
            match parse_first::<wire::Transaction<'_>>(bytes) {
                First::Whole(transaction, length) => (length, self.add_other(&transaction)),
                First::Partly => return Ok(Taken::Partly),
                First::Wrong(error) => return self.skip(bytes, error),
            }
        };
        self.flow.transactions += 1;
        if let Err(fault) = outcome {
            self.note(fault);
        }
        Ok(Taken::Whole(length))
    }

    /// Goes over a transaction that is JSON and not of the shape that it should have.
    fn skip(&mut self, bytes: &[u8], error: String) -> Result<Taken, Unreadable> {
        match parse_first::<IgnoredAny>(bytes) {
            First::Whole(_, length) => {
                self.flow.transactions += 1;
                self.note(("bad_transaction", error));
                Ok(Taken::Whole(length))
            }
            First::Partly => Ok(Taken::Partly),
            First::Wrong(error) => Err(Unreadable::NotJson(error)),
        }
    }

    fn note(&mut self, (reason, detail): Fault) {
        let place = self.flow.transactions;
        let fault = Unavailable { reason, detail: format!("transaction {place}: {detail}") };
        self.fault.get_or_insert(fault);
    }

    fn add_coinbase(&mut self, coinbase: &wire::Coinbase<'_>) -> Result<(), Fault> {
        let flow = &mut self.flow;
        let [input] = &coinbase.vin;
        flow.tag = bytes_of(input.coinbase)
            .ok_or_else(|| ("bad_transaction", "the script of the coinbase is no hexadecimal text".to_owned()))?;
        let mut payees: Vec<(u64, &str)> = Vec::new();
        for output in &coinbase.vout {
            let satoshi = amount(output.value)?;
            flow.coinbase_output = add(flow.coinbase_output, satoshi)?;
            flow.coinbase_outputs += 1;
            if is_spendable(output.script.hex) {
                flow.spendable_output += satoshi;
                flow.spendable_outputs += 1;
            }
            payees.extend(output.script.address.map(|address| (satoshi, address)));
        }
        payees.sort_by_key(|&(satoshi, _)| std::cmp::Reverse(satoshi));
        flow.payout_addresses = payees.into_iter().map(|(_, address)| address.to_owned()).collect();
        Ok(())
    }

    fn add_other(&mut self, transaction: &wire::Transaction<'_>) -> Result<(), Fault> {
        let (mut paid_in, mut paid_out) = (0_u64, 0_u64);
        for input in &transaction.vin {
            let prevout = input.prevout.as_ref().ok_or_else(|| {
                (
                    "no_prevout",
                    "an input does not say what it spends: the node has no undo data of the block".to_owned(),
                )
            })?;
            let satoshi = amount(prevout.value)?;
            paid_in = add(paid_in, satoshi)?;
            if prevout.generated {
                self.flow.coinbase_inputs += 1;
                self.flow.spends.push(CoinbaseSpend { mined_height: prevout.height, satoshi });
            } else {
                self.flow.ordinary_inputs += 1;
            }
        }
        for output in &transaction.vout {
            paid_out = add(paid_out, amount(output.value)?)?;
        }
        let fee = paid_in
            .checked_sub(paid_out)
            .ok_or_else(|| ("negative_fee", format!("it spends {paid_in} satoshi and pays out {paid_out}")))?;
        if let Some(said) = transaction.fee
            && amount(said)? != fee
        {
            return Err(("fee_mismatch", format!("its fee is {fee} satoshi, and {said} BTC is said")));
        }
        self.flow.fees = add(self.flow.fees, fee)?;
        Ok(())
    }

    fn finish(self, said: &wire::BlockHeader) -> Result<BlockFlow, Unavailable> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut flow = self.flow;
        if flow.transactions != said.transactions || flow.transactions == 0 {
            let detail = format!("{} transactions came and {} are said", flow.transactions, said.transactions);
            return Err(Unavailable { reason: "transactions_missing", detail });
        }
        flow.spends = by_height(flow.spends);
        Ok(flow)
    }
}

/// Code of a reason, and the same for people.
type Fault = (&'static str, String);

/// What bytes that begin with a JSON value come to.
enum First<T> {
    /// The value, and how many bytes are its own.
    Whole(T, usize),
    Partly,
    /// Not of the shape, or no JSON.
    Wrong(String),
}

fn parse_first<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> First<T> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => First::Whole(value, values.byte_offset()),
        Some(Err(error)) if !error.is_eof() => First::Wrong(error.to_string()),
        _ => First::Partly,
    }
}

fn amount(value: &serde_json::value::RawValue) -> Result<u64, Fault> {
    parse_satoshi(value.get()).ok_or_else(|| ("bad_amount", format!("{value} is no amount of BTC")))
}

/// Sums stay below what a block could move at most, so that they cannot run over.
fn add(sum: u64, satoshi: u64) -> Result<u64, Fault> {
    let sum = sum.saturating_add(satoshi);
    if sum > MAX_MONEY { Err(("bad_amount", format!("amounts add up to {sum} satoshi"))) } else { Ok(sum) }
}

/// An output that begins with `OP_RETURN` can never be spent. Source: Bitcoin Core, `src/script/script.h`,
/// `IsUnspendable`.
pub(in crate::sources) fn is_spendable(script: &str) -> bool {
    !script.starts_with("6a")
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

/// One for each height, lowest first.
fn by_height(mut spends: Vec<CoinbaseSpend>) -> Vec<CoinbaseSpend> {
    spends.sort_unstable_by_key(|spend| spend.mined_height);
    spends.dedup_by(|later, first| {
        let same = later.mined_height == first.mined_height;
        if same {
            first.satoshi += later.satoshi;
        }
        same
    });
    spends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_satoshi() {
        for (text, satoshi) in [
            ("0.00000000", 0),
            ("0.00000001", 1),
            ("0.1", 10_000_000),
            ("50", 5_000_000_000),
            // As a float times 1e8, cut off, this is one satoshi less.
            ("0.29", 29_000_000),
            ("20999999.97690000", 2_099_999_997_690_000),
        ] {
            assert_eq!(parse_satoshi(text), Some(satoshi), "{text}");
        }
        for text in [
            "",
            ".1",
            "1.",
            "-1.0",
            "+1",
            "1e-8",
            "1.000000001",
            "21000000.00000001",
            "123456789",
            "\"1\"",
            "null",
            "1,0",
        ] {
            assert_eq!(parse_satoshi(text), None, "{text}");
        }
    }

    #[test]
    fn spends_of_one_height_are_one() {
        let spend = |mined_height, satoshi| CoinbaseSpend { mined_height, satoshi };
        assert_eq!(by_height(vec![spend(9, 1), spend(3, 2), spend(9, 4)]), [spend(3, 2), spend(9, 5)]);
    }

    /// The first block of the main network: its header, its coinbase, and nothing else. Source: Bitcoin
    /// Core, `src/kernel/chainparams.cpp`, `CreateGenesisBlock`.
    const GENESIS: &str = r#"{"result":{"hash":"000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f","confirmations":1,
        "height":0,"version":1,"merkleroot":"4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b","time":1231006505,
        "mediantime":1231006505,"nonce":2083236893,"bits":"1d00ffff",
        "chainwork":"0000000000000000000000000000000000000000000000000000000100010001","nTx":1,
        "tx":[{"vin":[{"coinbase":"04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73","sequence":4294967295}],
        "vout":[{"value":50.00000000,"n":0,"scriptPubKey":{"hex":"4104678afdb0ac","type":"pubkey"}}]}]},"error":null,"id":0}"#;

    fn wanted(hash: &str, network: Network) -> Wanted {
        Wanted { network, proof: Proof::Required, hash: parse_block_hash(hash).unwrap() }
    }

    fn read(text: &str, wanted: &Wanted) -> Result<ReadBlock, NoBlock> {
        let mut reader = BlockReader::default();
        for piece in text.as_bytes().chunks(100) {
            reader.push(piece)?;
        }
        reader.finish(wanted)
    }

    fn genesis() -> Wanted {
        wanted("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", Network::Main)
    }

    #[test]
    fn the_first_block_proves_its_work_and_pays_nothing_that_can_be_spent() {
        let read = read(GENESIS, &genesis()).unwrap();
        let flow = read.block.flow.unwrap();
        assert_eq!((flow.coinbase_output, flow.spendable_output, flow.spend()), (5_000_000_000, 0, 0));
        assert!(
            String::from_utf8_lossy(&flow.tag)
                .ends_with("The Times 03/Jan/2009 Chancellor on brink of second bailout for banks")
        );
        assert_eq!((read.block.header.difficulty, read.block.header.previous), (1.0, [0; 32]));
        assert_eq!(read.answer_bytes, GENESIS.len() as u64);
    }

    #[test]
    fn a_header_that_is_not_what_it_says_is_refused() {
        for (from, to, what) in [
            ("\"nonce\":2083236893", "\"nonce\":2083236894", "not that of the header"),
            ("1d00ffff", "1c00ffff", "not that of the header"),
            ("\"height\":0", "\"height\":1", "names no block below it"),
            ("c172b3f1b60a8ce26f", "c172b3f1b60a8ce260", "it has hash"),
        ] {
            let changed = GENESIS.replacen(from, to, 1);
            let Err(NoBlock::Untrue(detail)) = read(&changed, &genesis()) else { panic!("{to} was believed") };
            assert!(detail.contains(what), "{detail}");
        }
    }

    #[test]
    fn a_block_that_cannot_be_true_has_no_flow() {
        for (from, to, reason) in [
            ("50.00000000", "-50.0", "bad_amount"),
            ("50.00000000", "50.00000001", "coinbase_too_large"),
            ("\"nTx\":1", "\"nTx\":2", "transactions_missing"),
            ("\"coinbase\":\"04", "\"coinbase\":\"x4", "bad_transaction"),
            ("\"vout\"", "\"out\"", "bad_transaction"),
        ] {
            let changed = GENESIS.replacen(from, to, 1);
            assert_eq!(read(&changed, &genesis()).unwrap().block.flow.unwrap_err().reason, reason);
        }
    }
}

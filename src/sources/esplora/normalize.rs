//! Answers of an Esplora server to blocks, coinbases and spends.

use super::super::Refused;
use super::super::bitcoin_core::normalize::is_spendable;
use super::super::text::cut;
use super::wire;
use crate::domain::block::MAX_MONEY;
use crate::domain::chain::{BlockHash, parse_block_hash};
use crate::domain::coinbase_watch::{Spend, TxId, WatchedBlock};
use crate::domain::time::{Span, Timestamp};

/// Header times may be ahead by this much.
const HEADER_TOLERANCE: Span = Span::HOUR.times(2);
/// How much of a text that is no hash is shown.
const SHOWN: usize = 80;

/// The blocks of a page, the lowest first, each naming the one below it.
///
/// # Errors
/// `bad_block`, `in_future`, or `broken_chain`; then nothing of the page is used.
pub fn blocks(page: &[wire::Block], now: Timestamp) -> Result<Vec<WatchedBlock>, Refused> {
    let blocks: Vec<WatchedBlock> = page.iter().rev().map(|row| block(row, now)).collect::<Result<_, _>>()?;
    if blocks.is_empty() {
        return Err(refused("bad_block", "a page of blocks is empty".to_owned()));
    }
    match blocks.windows(2).find(|pair| !pair[1].is_above(&pair[0])) {
        Some(pair) => {
            let detail = format!("block {} of a page does not name the one listed below it", pair[1].height);
            Err(refused("broken_chain", detail))
        }
        None => Ok(blocks),
    }
}

fn block(row: &wire::Block, now: Timestamp) -> Result<WatchedBlock, Refused> {
    let bad = |what: &str| refused("bad_block", format!("block {} has no {what} that can be read", row.height));
    let hash = parse_block_hash(&row.id).ok_or_else(|| bad("id"))?;
    let previous = match &row.previousblockhash {
        Some(text) => parse_block_hash(text).ok_or_else(|| bad("previousblockhash"))?,
        None if row.height == 0 => [0; 32],
        None => return Err(bad("previousblockhash")),
    };
    let time = Timestamp::from_epoch_seconds(row.timestamp).ok_or_else(|| bad("timestamp"))?;
    let median_time = Timestamp::from_epoch_seconds(row.mediantime).ok_or_else(|| bad("mediantime"))?;
    if time > now.plus(HEADER_TOLERANCE) || median_time > now.plus(HEADER_TOLERANCE) {
        return Err(refused("in_future", format!("block {} is of {time}, ahead of its time", row.height)));
    }
    Ok(WatchedBlock { hash, previous, height: row.height, time, median_time })
}

/// The txid of plain text.
///
/// # Errors
/// `bad_txid`.
pub fn txid(body: &[u8]) -> Result<TxId, Refused> {
    let text = String::from_utf8_lossy(body);
    parse_block_hash(text.trim()).ok_or_else(|| {
        refused("bad_txid", format!("{:?} is no txid; 64 hexadecimal digits are expected", cut(&text, SHOWN)))
    })
}

/// Satoshi of each output of a block's coinbase, 0 for one that can never be spent.
///
/// # Errors
/// `other_transaction` if it is not the coinbase of that block, `bad_amount` if it pays more than all coins.
pub fn coinbase(transaction: &wire::Transaction, txid: &TxId, block: &WatchedBlock) -> Result<Vec<u64>, Refused> {
    let other = |what: &str| {
        let detail = format!("what was shown as the coinbase of block {} {what}", block.height);
        refused("other_transaction", detail)
    };
    if parse_block_hash(&transaction.txid).as_ref() != Some(txid) {
        return Err(other("has another txid than was asked for"));
    }
    if !matches!(transaction.vin[..], [wire::Input { is_coinbase: true }]) {
        return Err(other("spends other outputs"));
    }
    let place = place_of(&transaction.status).map_err(other)?;
    if place != Some((block.hash, block.height, block.time)) {
        return Err(other("is not said to be in that block"));
    }
    let sum = transaction.vout.iter().try_fold(0, |sum: u64, output| sum.checked_add(output.value));
    if sum.is_none_or(|sum| sum > MAX_MONEY) {
        return Err(refused("bad_amount", format!("the coinbase of block {} pays more than all coins", block.height)));
    }
    let amount = |output: &wire::Output| if is_spendable(&output.scriptpubkey) { output.value } else { 0 };
    Ok(transaction.vout.iter().map(amount).collect())
}

/// The spends of outputs that are in blocks; an output spent by a transaction that still waits is not spent.
///
/// # Errors
/// `output_count` for more or fewer outputs than the coinbase has, `bad_status` for a spend without a place,
/// `impossible_spend` for one of an output that cannot be spent.
pub fn spends(rows: &[wire::Outspend], outputs: &[u64]) -> Result<Vec<Spend>, Refused> {
    if rows.len() != outputs.len() {
        let detail = format!("{} outputs were shown of a coinbase that has {}", rows.len(), outputs.len());
        return Err(refused("output_count", detail));
    }
    let mut spends = Vec::new();
    for (output, (row, &satoshi)) in (0_u32..).zip(rows.iter().zip(outputs)) {
        if !row.spent {
            continue;
        }
        let bad = |what: &str| refused("bad_status", format!("the transaction that spends output {output} {what}"));
        let status = row.status.as_ref().ok_or_else(|| bad("has no status"))?;
        let Some((hash, height, time)) = place_of(status).map_err(bad)? else { continue };
        if satoshi == 0 {
            let detail = format!("output {output} is said to be spent, and it is worth nothing or cannot be");
            return Err(refused("impossible_spend", detail));
        }
        spends.push(Spend { output, hash, height, time });
    }
    Ok(spends)
}

/// Hash, height and time of the block; `None` for what is in no block yet.
fn place_of(status: &wire::Status) -> Result<Option<(BlockHash, u32, Timestamp)>, &'static str> {
    if !status.confirmed {
        return Ok(None);
    }
    let hash = status.block_hash.as_deref().and_then(parse_block_hash);
    let time = status.block_time.and_then(Timestamp::from_epoch_seconds);
    match (hash, status.block_height, time) {
        (Some(hash), Some(height), Some(time)) => Ok(Some((hash, height, time))),
        _ => Err("is said to be in a block without its hash, height and time"),
    }
}

fn refused(reason: &'static str, detail: String) -> Refused {
    Refused { metric: None, reason, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2024-01-03T00:00:00Z";

    fn hash(number: u8) -> String {
        format!("{number:064x}")
    }

    fn row(height: u8) -> wire::Block {
        let time = 1_704_153_600 + 600 * i64::from(height);
        let previousblockhash = Some(hash(height - 1));
        wire::Block {
            id: hash(height),
            height: height.into(),
            timestamp: time,
            mediantime: time - 3_000,
            previousblockhash,
        }
    }

    fn reason<T: std::fmt::Debug>(outcome: Result<T, Refused>) -> &'static str {
        outcome.unwrap_err().reason
    }

    #[test]
    fn a_page_is_a_chain_or_nothing() {
        let now = Timestamp::parse(NOW).unwrap();
        let read = blocks(&[row(7), row(6), row(5)], now).unwrap();
        assert_eq!(read.iter().map(|block| block.height).collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!(reason(blocks(&[row(7), row(5)], now)), "broken_chain");
        assert_eq!(reason(blocks(&[row(6), row(7)], now)), "broken_chain");
        assert_eq!(reason(blocks(&[], now)), "bad_block");
        assert_eq!(reason(blocks(&[wire::Block { id: "7".to_owned(), ..row(7) }], now)), "bad_block");
        assert_eq!(reason(blocks(&[wire::Block { previousblockhash: None, ..row(7) }], now)), "bad_block");
        assert_eq!(reason(blocks(&[wire::Block { timestamp: 1_904_153_600, ..row(7) }], now)), "in_future");
        assert_eq!(reason(blocks(&[wire::Block { timestamp: i64::MAX, ..row(7) }], now)), "bad_block");
    }

    #[test]
    fn a_txid_is_64_digits() {
        assert!(txid(format!("{}\n", hash(9)).as_bytes()).is_ok());
        for text in ["", "Block not found", "0x12", &hash(9)[1..]] {
            assert_eq!(reason(txid(text.as_bytes())), "bad_txid", "{text}");
        }
    }

    /// A coinbase of block 7 with two outputs that can be spent and a commitment that cannot.
    fn transaction() -> String {
        let status =
            format!(r#"{{"confirmed":true,"block_height":7,"block_hash":"{}","block_time":1704157800}}"#, hash(7));
        format!(
            r#"{{"txid":"{}","vin":[{{"is_coinbase":true,"vout":4294967295,"prevout":null}}],"vout":[{{"scriptpubkey":"0014","value":300000000}},
            {{"scriptpubkey":"6a24aa21a9ed","value":0}},{{"scriptpubkey":"76a9","value":12500000}}],"status":{status}}}"#,
            hash(200)
        )
    }

    #[test]
    fn a_coinbase_is_that_of_its_block() {
        let block = block(&row(7), Timestamp::parse(NOW).unwrap()).unwrap();
        let asked = txid(hash(200).as_bytes()).unwrap();
        let read = |text: &str| coinbase(&wire::parse(text.as_bytes()).unwrap(), &asked, &block);
        assert_eq!(read(&transaction()).unwrap(), [300_000_000, 0, 12_500_000]);
        for (was, becomes, expected) in [
            (hash(200), hash(201), "other_transaction"),
            (r#""is_coinbase":true"#.to_owned(), r#""is_coinbase":false"#.to_owned(), "other_transaction"),
            (hash(7), hash(8), "other_transaction"),
            (r#""block_height":7"#.to_owned(), r#""block_height":8"#.to_owned(), "other_transaction"),
            (r#""confirmed":true"#.to_owned(), r#""confirmed":false"#.to_owned(), "other_transaction"),
            ("12500000".to_owned(), "2100000000000001".to_owned(), "bad_amount"),
            ("12500000".to_owned(), u64::MAX.to_string(), "bad_amount"),
        ] {
            assert_eq!(reason(read(&transaction().replace(&was, &becomes))), expected, "{becomes}");
        }
    }

    #[test]
    fn an_amount_that_is_no_whole_satoshi_is_no_answer() {
        for amount in ["-1", "1.5", "3e8", "\"300000000\"", "null"] {
            let text = transaction().replace("12500000", amount);
            let error = wire::parse::<wire::Transaction>(text.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "bad_body", "{amount}");
        }
        assert_eq!(wire::parse::<Vec<wire::Outspend>>(b"Transaction not found").unwrap_err().code(), "bad_body");
    }

    #[test]
    fn spends_are_those_in_blocks() {
        let read = |text: &str| {
            let text = text.replace("HASH", &hash(7));
            spends(&wire::parse::<Vec<wire::Outspend>>(text.as_bytes()).unwrap(), &[5, 0, 7])
        };
        let confirmed = r#"{"spent":true,"txid":"ab","vin":1,"status":{"confirmed":true,"block_height":7,"block_hash":"HASH","block_time":1704157800}}"#;
        let unspent = r#"{"spent":false}"#;
        let waiting = r#"{"spent":true,"txid":"ab","vin":0,"status":{"confirmed":false}}"#;
        let found = read(&format!("[{waiting},{unspent},{confirmed}]")).unwrap();
        assert_eq!(found.iter().map(|spend| (spend.output, spend.height)).collect::<Vec<_>>(), [(2, 7)]);
        assert_eq!(reason(read(&format!("[{unspent},{unspent}]"))), "output_count");
        assert_eq!(reason(read(&format!("[{unspent},{confirmed},{unspent}]"))), "impossible_spend");
        assert_eq!(reason(read(&format!(r#"[{{"spent":true}},{unspent},{unspent}]"#))), "bad_status");
        let placeless = confirmed.replace(r#""block_height":7,"#, "");
        assert_eq!(reason(read(&format!("[{placeless},{unspent},{unspent}]"))), "bad_status");
    }
}

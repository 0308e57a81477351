//! Blocks of an own node by hash, and the events that make them part of the chain or not.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use super::head::Batch;
use crate::domain::block::{Block, BlockFlow, CoinbaseSpend, Unavailable};
use crate::domain::block_log::{ChainEvent, LoggedBlock};
use crate::domain::chain::{BlockHash, Header};
use crate::domain::observation::Basis;
use crate::domain::time::Timestamp;

/// A block to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBlock {
    pub block: Block,
    /// Length of the node's answer; `None` where it did not give the block.
    pub answer_bytes: Option<u64>,
    /// Coinbase outputs alive after it, where every block below is stored.
    pub unspent: Option<u64>,
}

/// What is stored of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub has_flow: bool,
    pub unspent: Option<u64>,
}

/// Those of some blocks that are stored, by hash.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_blocks(
    connection: &mut PgConnection,
    hashes: &[BlockHash],
) -> Result<HashMap<BlockHash, Known>, StoreError> {
    let hashes: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
    let rows = sqlx::query!(
        r#"/* find_blocks */ select distinct on (hash) hash, unavailable is null as "has_flow!", unspent_coinbase_sat
           from chain_block where hash = any($1) order by hash, batch desc"#,
        &hashes
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let unspent = row.unspent_coinbase_sat.map(i64::unsigned_abs);
            Ok((hash_in("hash", row.hash)?, Known { has_flow: row.has_flow, unspent }))
        })
        .collect()
}

/// Appends blocks in the open transaction that took the head as `batch`. `followed` says whether they were
/// read while following the tip.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn append_blocks(
    connection: &mut PgConnection,
    batch: Batch,
    blocks: &[&NewBlock],
    followed: bool,
) -> Result<(), StoreError> {
    for NewBlock { block, answer_bytes, unspent } in blocks {
        let header = &block.header;
        let flow = block.flow.as_ref().ok();
        let of = |number: fn(&BlockFlow) -> u64| flow.map(|flow| number(flow).cast_signed());
        let spent: (Vec<i64>, Vec<i64>) = flow
            .map(|flow| {
                flow.spends.iter().map(|spend| (i64::from(spend.mined_height), spend.satoshi.cast_signed())).unzip()
            })
            .unwrap_or_default();
        sqlx::query!(
            "/* append_block */ insert into chain_block
                 (hash, batch, height, previous_hash, header_time, median_time, bits, difficulty, chain_work, followed,
                  unavailable, transactions, fees_sat, coinbase_output_sat, spendable_output_sat, coinbase_outputs,
                  spendable_outputs, coinbase_inputs, ordinary_inputs, spent_heights, spent_sat, unspent_coinbase_sat,
                  coinbase_script, payout_addresses, answer_bytes)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                  $23, $24, $25)",
            &header.hash[..],
            batch.number,
            i64::from(header.height),
            &header.previous[..],
            DateTime::from(header.time),
            DateTime::from(block.median_time),
            i64::from(header.bits.unwrap_or_default()),
            header.difficulty,
            &block.chain_work[..],
            followed,
            block.flow.as_ref().err().map(|fault| fault.reason),
            of(|flow| u64::from(flow.transactions)),
            of(|flow| flow.fees),
            of(|flow| flow.coinbase_output),
            of(|flow| flow.spendable_output),
            of(|flow| u64::from(flow.coinbase_outputs)),
            of(|flow| u64::from(flow.spendable_outputs)),
            of(|flow| u64::from(flow.coinbase_inputs)),
            of(|flow| u64::from(flow.ordinary_inputs)),
            flow.map(|_| &spent.0[..]),
            flow.map(|_| &spent.1[..]),
            unspent.map(u64::cast_signed),
            flow.map(|flow| &flow.tag[..]),
            flow.map(|flow| &flow.payout_addresses[..]),
            answer_bytes.map(u64::cast_signed),
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Appends events in their order, in the open transaction that took the head as `batch`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn append_events(
    connection: &mut PgConnection,
    batch: Batch,
    events: &[ChainEvent],
) -> Result<(), StoreError> {
    let hashes: Vec<Vec<u8>> = events.iter().map(|event| event.hash.to_vec()).collect();
    let connects: Vec<bool> = events.iter().map(|event| event.connects).collect();
    let heights: Vec<i64> = events.iter().map(|event| i64::from(event.height)).collect();
    let places: Vec<i32> = (0..).take(events.len()).collect();
    let known_at: Vec<DateTime<Utc>> = events.iter().map(|event| event.known_at.into()).collect();
    let basis: Vec<&str> = events.iter().map(|event| event.basis.name()).collect();
    sqlx::query!(
        "/* append_chain_events */ insert into chain_event (batch, place, connects, hash, height, known_at, known_basis)
         select $1, place, connects, hash, height, known_at, known_basis::known_basis
         from unnest($2::int[], $3::bool[], $4::bytea[], $5::bigint[], $6::timestamptz[], $7::text[])
             as event (place, connects, hash, height, known_at, known_basis)",
        batch.number,
        &places,
        &connects,
        &hashes,
        &heights,
        &known_at,
        &basis as &[&str]
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The greatest height of any block that is part of the chain now; `None` before the first block.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_tip_height(connection: &mut PgConnection) -> Result<Option<u32>, StoreError> {
    // A block ceases to be part of the chain within the newest hundred, so the walk is short.
    let height = sqlx::query_scalar!(
        r#"/* find_tip_height */ select height from chain_event event
           where connects and not exists (
               select from chain_event later
               where later.hash = event.hash and not later.connects
                   and (later.known_at, later.batch, later.place) > (event.known_at, event.batch, event.place))
           order by height desc limit 1"#
    )
    .fetch_optional(connection)
    .await?;
    height.map(|height| small_in("height", height)).transpose()
}

/// When a block that is part of the chain now was known to be; `None` if it is not.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_connected_at(
    connection: &mut PgConnection,
    hash: &BlockHash,
) -> Result<Option<Timestamp>, StoreError> {
    let newest = sqlx::query!(
        "/* find_connected_at */ select connects, known_at from chain_event where hash = $1
         order by known_at desc, batch desc, place desc limit 1",
        &hash[..]
    )
    .fetch_optional(connection)
    .await?;
    Ok(newest.filter(|newest| newest.connects).map(|newest| newest.known_at.into()))
}

/// The blocks that are part of the chain now, of heights from `first` to `last`, in order.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_members(
    connection: &mut PgConnection,
    first: u32,
    last: u32,
) -> Result<Vec<LoggedBlock>, StoreError> {
    let rows = sqlx::query_as!(
        BlockRow,
        r#"/* read_members */
           with newest as (
               select distinct on (hash) hash, connects from chain_event
               where height between $1 and $2
               order by hash, known_at desc, batch desc, place desc)
           select distinct on (block.height, block.hash) block.hash, block.batch, block.height, previous_hash,
               header_time, median_time, bits, difficulty, chain_work, followed, unavailable, transactions, fees_sat,
               coinbase_output_sat, spendable_output_sat, coinbase_outputs, spendable_outputs, coinbase_inputs,
               ordinary_inputs, spent_heights, spent_sat, unspent_coinbase_sat, coinbase_script, payout_addresses
           from newest join chain_block block using (hash)
           where newest.connects
           order by block.height, block.hash, block.batch desc"#,
        i64::from(first),
        i64::from(last)
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(BlockRow::into_logged).collect()
}

/// The greatest height below `height` whose header time is before an instant; `None` if there is none.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_height_before(
    connection: &mut PgConnection,
    height: u32,
    instant: Timestamp,
) -> Result<Option<u32>, StoreError> {
    let found = sqlx::query_scalar!(
        "/* find_height_before */ select height from chain_block where height < $1 and header_time < $2
         order by height desc limit 1",
        i64::from(height),
        DateTime::from(instant)
    )
    .fetch_optional(connection)
    .await?;
    found.map(|height| small_in("height", height)).transpose()
}

/// The followed blocks stored after a batch, and the events after it that are about followed blocks, each in
/// the order of storing; batch 0 gives everything.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_followed_after(
    connection: &mut PgConnection,
    batch: i64,
) -> Result<(Vec<LoggedBlock>, Vec<(i64, ChainEvent)>), StoreError> {
    let rows = sqlx::query_as!(
        BlockRow,
        "/* read_followed_blocks_after */ select hash, batch, height, previous_hash, header_time, median_time, bits,
             difficulty, chain_work, followed, unavailable, transactions, fees_sat, coinbase_output_sat,
             spendable_output_sat, coinbase_outputs, spendable_outputs, coinbase_inputs, ordinary_inputs, spent_heights,
             spent_sat, unspent_coinbase_sat, coinbase_script, payout_addresses
         from chain_block block
         where batch > $1
             and (followed or exists (select from chain_block other where other.hash = block.hash and other.followed))
         order by batch, height",
        batch
    )
    .fetch_all(&mut *connection)
    .await?;
    let blocks = rows.into_iter().map(BlockRow::into_logged).collect::<Result<Vec<_>, _>>()?;
    let rows = sqlx::query!(
        r#"/* read_followed_events_after */ select batch, connects, hash, height, known_at,
               known_basis::text as "known_basis!"
           from chain_event event
           where batch > $1 and exists (select from chain_block block where block.hash = event.hash and followed)
           order by batch, place"#,
        batch
    )
    .fetch_all(connection)
    .await?;
    let events = rows.into_iter().map(|row| {
        let basis = Basis::from_name(&row.known_basis).ok_or_else(|| StoreError::Unexpected {
            table: "chain_event",
            column: "known_basis",
            found: row.known_basis,
        })?;
        let event = ChainEvent {
            connects: row.connects,
            hash: hash_in("hash", row.hash)?,
            height: small_in("height", row.height)?,
            known_at: row.known_at.into(),
            basis,
        };
        Ok((row.batch, event))
    });
    Ok((blocks, events.collect::<Result<Vec<_>, StoreError>>()?))
}

struct BlockRow {
    hash: Vec<u8>,
    batch: i64,
    height: i64,
    previous_hash: Vec<u8>,
    header_time: DateTime<Utc>,
    median_time: DateTime<Utc>,
    bits: i64,
    difficulty: f64,
    chain_work: Vec<u8>,
    followed: bool,
    unavailable: Option<String>,
    transactions: Option<i64>,
    fees_sat: Option<i64>,
    coinbase_output_sat: Option<i64>,
    spendable_output_sat: Option<i64>,
    coinbase_outputs: Option<i64>,
    spendable_outputs: Option<i64>,
    coinbase_inputs: Option<i64>,
    ordinary_inputs: Option<i64>,
    spent_heights: Option<Vec<i64>>,
    spent_sat: Option<Vec<i64>>,
    unspent_coinbase_sat: Option<i64>,
    coinbase_script: Option<Vec<u8>>,
    payout_addresses: Option<Vec<String>>,
}

impl BlockRow {
    fn into_logged(self) -> Result<LoggedBlock, StoreError> {
        let header = Header {
            hash: hash_in("hash", self.hash.clone())?,
            previous: hash_in("previous_hash", self.previous_hash.clone())?,
            height: small_in("height", self.height)?,
            time: self.header_time.into(),
            bits: Some(small_in("bits", self.bits)?),
            difficulty: self.difficulty,
            found_by: None,
        };
        let chain_work = hash_in("chain_work", self.chain_work.clone())?;
        let (batch, followed) = (self.batch, self.followed);
        let (median_time, unspent) = (self.median_time.into(), self.unspent_coinbase_sat.map(i64::unsigned_abs));
        let flow = match &self.unavailable {
            Some(reason) => Err(Unavailable { reason: known_reason(reason), detail: String::new() }),
            None => Ok(self.flow()?),
        };
        Ok(LoggedBlock { block: Block { header, median_time, chain_work, flow }, unspent, followed, batch })
    }

    fn flow(self) -> Result<BlockFlow, StoreError> {
        let none = |column| move || unexpected(column, "null".to_owned());
        let amount = |column, number: Option<i64>| number.map(i64::unsigned_abs).ok_or_else(none(column));
        let count = |column, number: Option<i64>| small_in(column, number.ok_or_else(none(column))?);
        let heights = self.spent_heights.ok_or_else(none("spent_heights"))?;
        let satoshi = self.spent_sat.ok_or_else(none("spent_sat"))?;
        let spends = heights.into_iter().zip(satoshi).map(|(height, satoshi)| {
            Ok(CoinbaseSpend { mined_height: small_in("spent_heights", height)?, satoshi: satoshi.unsigned_abs() })
        });
        Ok(BlockFlow {
            transactions: count("transactions", self.transactions)?,
            fees: amount("fees_sat", self.fees_sat)?,
            coinbase_output: amount("coinbase_output_sat", self.coinbase_output_sat)?,
            spendable_output: amount("spendable_output_sat", self.spendable_output_sat)?,
            coinbase_outputs: count("coinbase_outputs", self.coinbase_outputs)?,
            spendable_outputs: count("spendable_outputs", self.spendable_outputs)?,
            coinbase_inputs: count("coinbase_inputs", self.coinbase_inputs)?,
            ordinary_inputs: count("ordinary_inputs", self.ordinary_inputs)?,
            spends: spends.collect::<Result<_, StoreError>>()?,
            tag: self.coinbase_script.ok_or_else(none("coinbase_script"))?,
            payout_addresses: self.payout_addresses.ok_or_else(none("payout_addresses"))?,
        })
    }
}

/// Reasons are few and known; one of a later release is still a reason.
fn known_reason(code: &str) -> &'static str {
    crate::domain::block::UNAVAILABLE_REASONS.iter().find(|known| **known == code).copied().unwrap_or("unavailable")
}

fn hash_in(column: &'static str, bytes: Vec<u8>) -> Result<BlockHash, StoreError> {
    bytes.try_into().map_err(|bytes: Vec<u8>| unexpected(column, format!("{} bytes", bytes.len())))
}

fn small_in(column: &'static str, number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| unexpected(column, number.to_string()))
}

fn unexpected(column: &'static str, found: String) -> StoreError {
    StoreError::Unexpected { table: "chain_block", column, found }
}

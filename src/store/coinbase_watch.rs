//! Watched coinbases: the chain that they are of, their outputs, how far the watch is, and the spends seen.
//!
//! Nothing here is read by a view of the past, so none of it takes the head; the values of days that come of
//! it are observations like all others.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::chain::BlockHash;
use crate::domain::coinbase_watch::{SeenSpend, Spend, TxId, WatchedBlock, WatchedCoinbase};
use crate::domain::time::{Day, Timestamp};

/// The lowest and the highest watched block of the chain; all between them are watched too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edges {
    pub lowest: WatchedBlock,
    pub tip: WatchedBlock,
}

/// A coinbase whose outputs are to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCoinbase {
    pub hash: BlockHash,
    pub height: u32,
    pub txid: TxId,
    /// Satoshi, 0 for an output that can never be spent.
    pub outputs: Vec<u64>,
}

/// Which coinbases have to be looked at for days up to one that became final with a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal {
    /// Coinbases of earlier are too old for every such day.
    pub mined_from: Timestamp,
    pub final_height: u32,
}

/// How far the watch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub blocks: u64,
    /// Blocks whose coinbase was not read yet.
    pub unread: u64,
    /// Coinbases that the goal is about, and those of them that need no more looks for it.
    pub wanted: u64,
    pub looked: u64,
    /// Coinbases of which the newest answer could not be used.
    pub postponed: u64,
}

/// Where the watched chain begins and ends; `None` before the first block.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_edges(connection: &mut PgConnection) -> Result<Option<Edges>, StoreError> {
    let mut rows = sqlx::query_as!(
        BlockRow,
        r#"/* find_watched_edges */
           (select block_hash as "block_hash!", previous_hash as "previous_hash!", height as "height!",
                header_time as "header_time!", median_time as "median_time!"
            from watched_coinbase where is_member order by height limit 1)
           union all
           (select block_hash, previous_hash, height, header_time, median_time from watched_coinbase
            where is_member order by height desc limit 1)"#
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(WatchedBlock::try_from)
    .collect::<Result<Vec<_>, _>>()?;
    rows.sort_by_key(|block| block.height);
    let tip = rows.pop();
    Ok(rows.pop().zip(tip).map(|(lowest, tip)| Edges { lowest, tip }))
}

/// The watched blocks of the chain from one height to another, in order.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_blocks(
    connection: &mut PgConnection,
    first: u32,
    last: u32,
) -> Result<Vec<WatchedBlock>, StoreError> {
    let rows = sqlx::query_as!(
        BlockRow,
        "/* read_watched_blocks */ select block_hash, previous_hash, height, header_time, median_time
         from watched_coinbase where is_member and height between $1 and $2 order by height",
        i64::from(first),
        i64::from(last)
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(WatchedBlock::try_from).collect()
}

/// Watches blocks that stand on the tip, or under the lowest. A block of a branch that was left once is of the
/// chain again, and its coinbase is looked at anew.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn add_blocks(connection: &mut PgConnection, blocks: &[WatchedBlock]) -> Result<(), StoreError> {
    let hashes: Vec<Vec<u8>> = blocks.iter().map(|block| block.hash.to_vec()).collect();
    let previous: Vec<Vec<u8>> = blocks.iter().map(|block| block.previous.to_vec()).collect();
    let heights: Vec<i64> = blocks.iter().map(|block| i64::from(block.height)).collect();
    let times: Vec<DateTime<Utc>> = blocks.iter().map(|block| block.time.into()).collect();
    let medians: Vec<DateTime<Utc>> = blocks.iter().map(|block| block.median_time.into()).collect();
    sqlx::query!(
        "/* add_watched_blocks */ insert into watched_coinbase (block_hash, previous_hash, height, header_time, median_time)
         select * from unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
         on conflict (block_hash) do update set is_member = true, looked_height = null, is_done = false",
        &hashes,
        &previous,
        &heights,
        &times,
        &medians
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the blocks above a height out of the chain. What was seen from there is not counted any more, and
/// looks that reached further count up to that height only. Gives how many blocks there were.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn leave_blocks(connection: &mut PgConnection, above: u32) -> Result<u64, StoreError> {
    let above = i64::from(above);
    sqlx::query!(
        "/* unsee_watched_looks */ update watched_coinbase coinbase
         set looked_height = least(looked_height, $1),
             is_done = is_done and not exists (
                 select from watched_spend spend where spend.block_hash = coinbase.block_hash and spent_height > $1)
         where looked_height > $1",
        above
    )
    .execute(&mut *connection)
    .await?;
    let left = sqlx::query!(
        "/* leave_watched_blocks */ update watched_coinbase set is_member = false where is_member and height > $1",
        above
    )
    .execute(connection)
    .await?;
    Ok(left.rows_affected())
}

/// Blocks up to a height whose coinbases were not read and may be asked for now, the lowest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_unread(
    connection: &mut PgConnection,
    up_to: u32,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<WatchedBlock>, StoreError> {
    let rows = sqlx::query_as!(
        BlockRow,
        "/* list_unread_coinbases */ select block_hash, previous_hash, height, header_time, median_time
         from watched_coinbase
         where is_member and txid is null and height <= $1 and (retry_at is null or retry_at <= $2)
         order by height limit $3",
        i64::from(up_to),
        DateTime::from(now),
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(WatchedBlock::try_from).collect()
}

/// Writes down a block's coinbase.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn keep_coinbase(
    connection: &mut PgConnection,
    hash: &BlockHash,
    txid: &TxId,
    outputs: &[u64],
) -> Result<(), StoreError> {
    let outputs: Vec<i64> = outputs.iter().map(|satoshi| satoshi.cast_signed()).collect();
    sqlx::query!(
        "/* keep_watched_coinbase */ update watched_coinbase set txid = $2, output_sat = $3, retry_at = null
         where block_hash = $1",
        &hash[..],
        &txid[..],
        &outputs
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Coinbases that the goal still asks to look at and that may be asked for now: those that were not looked at
/// for the longest time first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_due(
    connection: &mut PgConnection,
    goal: Goal,
    maturity: u32,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<DueCoinbase>, StoreError> {
    let rows = sqlx::query!(
        r#"/* list_due_coinbases */ select block_hash, height, txid as "txid!", output_sat as "output_sat!"
           from watched_coinbase
           where is_member and not is_done and txid is not null and header_time >= $1 and height <= $2::bigint - $3
               and coalesce(looked_height, -1) < $2 and (retry_at is null or retry_at <= $4)
           order by coalesce(looked_height, -1), height limit $5"#,
        DateTime::from(goal.mined_from),
        i64::from(goal.final_height),
        i64::from(maturity),
        DateTime::from(now),
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(DueCoinbase {
                hash: hash_in("block_hash", row.block_hash)?,
                height: small_in("height", row.height)?,
                txid: hash_in("txid", row.txid)?,
                outputs: row.output_sat.into_iter().map(i64::unsigned_abs).collect(),
            })
        })
        .collect()
}

/// The spends of a block's coinbase that were seen in blocks that are of the chain.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_spends(connection: &mut PgConnection, hash: &BlockHash) -> Result<Vec<Spend>, StoreError> {
    let rows = sqlx::query!(
        "/* read_watched_spends */ select output, spent_hash, spent_height, spent_time
         from watched_spend spend join watched_coinbase spender on spender.block_hash = spent_hash
         where spend.block_hash = $1 and spender.is_member order by output",
        &hash[..]
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Spend {
                output: small_in("output", row.output)?,
                hash: hash_in("spent_hash", row.spent_hash)?,
                height: small_in("spent_height", row.spent_height)?,
                time: row.spent_time.into(),
            })
        })
        .collect()
}

/// Writes down what a look came to. A spend that was seen on a branch before it was left is there already.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn keep_look(
    connection: &mut PgConnection,
    hash: &BlockHash,
    looked_height: u32,
    is_done: bool,
    new: &[Spend],
) -> Result<(), StoreError> {
    for spend in new {
        sqlx::query!(
            "/* keep_watched_spend */ insert into watched_spend (block_hash, output, spent_hash, spent_height, spent_time)
             values ($1, $2, $3, $4, $5) on conflict do nothing",
            &hash[..],
            i64::from(spend.output),
            &spend.hash[..],
            i64::from(spend.height),
            DateTime::from(spend.time)
        )
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query!(
        "/* keep_watched_look */ update watched_coinbase set looked_height = $2, is_done = $3, retry_at = null
         where block_hash = $1",
        &hash[..],
        i64::from(looked_height),
        is_done
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Leaves a coinbase alone until a time.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn postpone(connection: &mut PgConnection, hash: &BlockHash, until: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "/* postpone_watched_coinbase */ update watched_coinbase set retry_at = $2 where block_hash = $1",
        &hash[..],
        DateTime::from(until)
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The watched coinbases of the chain from a height on, in order, and the spends that were seen of them in blocks
/// of the chain.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_watched(
    connection: &mut PgConnection,
    first: u32,
) -> Result<(Vec<WatchedCoinbase>, Vec<SeenSpend>), StoreError> {
    let rows = sqlx::query!(
        "/* read_watched_coinbases */ select block_hash, previous_hash, height, header_time, median_time, output_sat,
             looked_height, is_done
         from watched_coinbase where is_member and height >= $1 order by height",
        i64::from(first)
    )
    .fetch_all(&mut *connection)
    .await?;
    let coinbases = rows.into_iter().map(|row| {
        let block = BlockRow {
            block_hash: row.block_hash,
            previous_hash: row.previous_hash,
            height: row.height,
            header_time: row.header_time,
            median_time: row.median_time,
        };
        Ok(WatchedCoinbase {
            block: block.try_into()?,
            outputs: row.output_sat.map(|satoshi| satoshi.into_iter().map(i64::unsigned_abs).collect()),
            looked_height: row.looked_height.map(|height| small_in("looked_height", height)).transpose()?,
            is_done: row.is_done,
        })
    });
    let coinbases = coinbases.collect::<Result<Vec<_>, StoreError>>()?;
    let rows = sqlx::query!(
        r#"/* read_seen_spends */ select mined.height, spent_height, mined.output_sat[output + 1] as "satoshi!"
           from watched_spend spend
           join watched_coinbase mined on mined.block_hash = spend.block_hash
           join watched_coinbase spender on spender.block_hash = spend.spent_hash
           where mined.is_member and spender.is_member and mined.height >= $1
           order by spent_height, mined.height, output"#,
        i64::from(first)
    )
    .fetch_all(connection)
    .await?;
    let spends = rows.into_iter().map(|row| {
        Ok(SeenSpend {
            mined_height: small_in("height", row.height)?,
            spent_height: small_in("spent_height", row.spent_height)?,
            satoshi: row.satoshi.unsigned_abs(),
        })
    });
    Ok((coinbases, spends.collect::<Result<_, StoreError>>()?))
}

/// How far the watch is; without a goal nothing is wanted.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_progress(
    connection: &mut PgConnection,
    goal: Option<Goal>,
    maturity: u32,
) -> Result<Progress, StoreError> {
    let row = sqlx::query!(
        r#"/* read_watch_progress */ select count(*) as "blocks!", count(*) filter (where txid is null) as "unread!",
               count(*) filter (where is_wanted) as "wanted!",
               count(*) filter (where is_wanted and (is_done or looked_height >= $2)) as "looked!",
               count(*) filter (where retry_at is not null) as "postponed!"
           from (select txid, is_done, looked_height, retry_at, header_time >= $1 and height <= $2::bigint - $3 as is_wanted
                 from watched_coinbase where is_member) watched"#,
        goal.map(|goal| DateTime::from(goal.mined_from)),
        goal.map(|goal| i64::from(goal.final_height)),
        i64::from(maturity)
    )
    .fetch_one(connection)
    .await?;
    Ok(Progress {
        blocks: row.blocks.unsigned_abs(),
        unread: row.unread.unsigned_abs(),
        wanted: row.wanted.unsigned_abs(),
        looked: row.looked.unsigned_abs(),
        postponed: row.postponed.unsigned_abs(),
    })
}

/// The newest day of which a source's series has a value; `None` without any.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_newest_day(
    connection: &mut PgConnection,
    source: &str,
    metric: &str,
) -> Result<Option<Day>, StoreError> {
    let newest = sqlx::query_scalar!(
        r#"/* find_newest_day */ select max(period_start) from observation join series using (series_id)
           where source = $1 and metric = $2 and subject = 'btc' and resolution = '1d'"#,
        source,
        metric
    )
    .fetch_one(connection)
    .await?;
    Ok(newest.map(|start| Timestamp::from(start).day()))
}

/// The greatest height of a watched block of the chain whose header time is before an instant; `None` if there is
/// none.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_height_before(connection: &mut PgConnection, instant: Timestamp) -> Result<Option<u32>, StoreError> {
    let found = sqlx::query_scalar!(
        "/* find_watched_height_before */ select height from watched_coinbase where is_member and header_time < $1
         order by height desc limit 1",
        DateTime::from(instant)
    )
    .fetch_optional(connection)
    .await?;
    found.map(|height| small_in("height", height)).transpose()
}

struct BlockRow {
    block_hash: Vec<u8>,
    previous_hash: Vec<u8>,
    height: i64,
    header_time: DateTime<Utc>,
    median_time: DateTime<Utc>,
}

impl TryFrom<BlockRow> for WatchedBlock {
    type Error = StoreError;

    fn try_from(row: BlockRow) -> Result<Self, StoreError> {
        Ok(Self {
            hash: hash_in("block_hash", row.block_hash)?,
            previous: hash_in("previous_hash", row.previous_hash)?,
            height: small_in("height", row.height)?,
            time: row.header_time.into(),
            median_time: row.median_time.into(),
        })
    }
}

fn hash_in(column: &'static str, bytes: Vec<u8>) -> Result<BlockHash, StoreError> {
    bytes.try_into().map_err(|bytes: Vec<u8>| unexpected(column, format!("{} bytes", bytes.len())))
}

fn small_in(column: &'static str, number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| unexpected(column, number.to_string()))
}

fn unexpected(column: &'static str, found: String) -> StoreError {
    StoreError::Unexpected { table: "watched_coinbase", column, found }
}

//! `/v1/pools`: who found the newest blocks, by what they wrote into their coinbases.

use std::collections::HashMap;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::now::shown;
use super::shapes::{Envelope, Meta};
use crate::api::answer::{ApiState, Content, Endpoint, Question, Rows};
use crate::api::form::ROW_FORMS;
use crate::api::openapi::{ListForms, PoolParams, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::time_format::{At, ColumnAt, level};
use crate::api::view::{Freshness, View};
use crate::domain::block::OWN_NODE;
use crate::domain::block_log::LoggedBlock;
use crate::domain::block_tail::newest_blocks;
use crate::domain::chain::{HEADER_TIMING, StoredHeader};
use crate::domain::facts::PoolEvidence;
use crate::domain::indicators::hashprice::SATOSHI_PER_BTC;
use crate::domain::pools::{Pool, PoolRow, PoolTally, Pools, attribute};
use crate::domain::time::{Span, Timestamp};

static POOLS: Endpoint = Endpoint { params: &["window"], forms: ROW_FORMS, content: pools, text_demands_fresh: false };

/// The window unless somebody asks for another, and the longest.
const USUAL_WINDOW: Span = Span::DAY.times(7);
const LONGEST_WINDOW: Span = Span::DAY.times(90);

/// Twice the pace of the protocol: no window has more blocks.
const FASTEST_BLOCK_SECONDS: i64 = 300;

/// A pool's part of the newest blocks.
#[derive(Debug, Serialize, ToSchema)]
pub struct PoolShare {
    /// Its name in addresses; `unknown` for the blocks that nobody can be named for.
    #[schema(example = "foundryusa")]
    pub pool: String,
    #[schema(example = "Foundry USA")]
    pub name: String,
    #[schema(minimum = 0)]
    pub blocks: u64,
    /// Share of the blocks of the window, 0 to 1.
    pub share: Option<f64>,
    /// The share of hashrate that these blocks speak for, 95 % (Wilson): few blocks say little.
    pub share_low: Option<f64>,
    pub share_high: Option<f64>,
    /// Subsidy and fees that its coinbases paid out, BTC.
    pub reward_btc: f64,
    /// Coins of its coinbases that moved for the first time in the window, BTC, as far as the blocks that mined
    /// them are known; null without an own node.
    pub spent_btc: Option<f64>,
    /// Header times of the first and the last block of the window that are known.
    #[schema(value_type = String, format = DateTime)]
    pub from: At,
    #[schema(value_type = String, format = DateTime)]
    pub until: At,
    /// Whether the blocks reach back to the begin of the window that was asked for.
    pub whole: bool,
    /// When the newest of the blocks was known.
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    /// The own node, by the table of pools; or else an explorer, in its own words.
    #[schema(example = "bitcoin-core")]
    pub source: String,
    /// True where the values come from a simulated world; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub simulated: Option<bool>,
}

const COLUMNS: [&str; 13] = [
    "pool",
    "name",
    "blocks",
    "share",
    "share_low",
    "share_high",
    "reward_btc",
    "spent_btc",
    "from",
    "until",
    "whole",
    "known_at",
    "source",
];

/// List the mining pools
///
/// Who found the blocks of the newest days, by the tag and the payout addresses of their coinbases, as the table
/// of pools stood at the moment: most blocks first, the unknown last. Without an own node, as an explorer says of
/// the blocks that it showed.
#[utoipa::path(get, path = "/v1/pools", operation_id = "listPools", tag = "flows",
    params(PoolParams, ViewParams, ListForms),
    responses(
        (status = 200, description = "The pools", body = Envelope<Vec<PoolShare>>),
        ViewErrors,
    ))]
pub async fn list_pools(State(state): State<ApiState>, request: Request) -> Response {
    POOLS.answer(state, None, request).await
}

fn pools(question: &Question) -> Result<Content, Problem> {
    let window = question.params.duration("window")?.unwrap_or(USUAL_WINDOW);
    if window < Span::DAY || window > LONGEST_WINDOW {
        return Err(Problem::bad_parameter("window", "takes a duration from P1D to P90D"));
    }
    let view = &question.view;
    let stored = &view.snapshot.stored;
    let known = newest_blocks(&stored.blocks, view.moment, usize::MAX);
    let begin = known.first().map(|tip| tip.block.header.time.minus(window));
    let count = known.iter().position(|block| begin.is_some_and(|begin| block.block.header.time < begin));
    let blocks = &known[..count.unwrap_or(known.len())];
    let mut freshness =
        blocks.first().map_or_else(Freshness::default, |tip| Freshness::of(tip.block.header.time, HEADER_TIMING));
    let mut rows = rows_of(view, &known, blocks, count.is_some());
    if rows.is_empty() {
        (rows, freshness) = rows_of_headers(view, window);
    }
    level(rows.iter_mut().map(|row| &mut row.known_at));
    let sources = rows.first().map(|row| row.source.clone()).into_iter().collect();
    let meta = Meta::of(None, Some("btc"), view, &freshness, sources);
    let columns = COLUMNS.into_iter().chain(view.is_simulated().then_some("simulated"));
    let columns = columns.map(str::to_owned).collect();
    Ok(Content { data: Box::new(Rows { rows, columns }), meta, freshness, next_cursor: None })
}

fn rows_of(view: &View, known: &[&LoggedBlock], blocks: &[&LoggedBlock], whole: bool) -> Vec<PoolShare> {
    let (Some(tip), Some(first)) = (blocks.first(), blocks.last()) else { return Vec::new() };
    let stored = &view.snapshot.stored;
    let table = Pools::at(&stored.facts, view.moment);
    let pool_of = |block: &LoggedBlock| {
        let flow = block.block.flow.as_ref().ok()?;
        attribute(&table, &flow.tag, flow.payout_addresses.iter().map(String::as_str)).pool()
    };
    // Every block that is known, since coins of the window were mined before it.
    let miners: HashMap<u32, _> = known.iter().map(|block| (block.block.header.height, pool_of(block))).collect();
    let mut tally = PoolTally::default();
    for block in blocks {
        let Ok(flow) = &block.block.flow else {
            tally.add_block(None, 0);
            continue;
        };
        tally.add_block(miners[&block.block.header.height], flow.coinbase_output);
        for spend in &flow.spends {
            tally.add_spend(miners.get(&spend.mined_height).copied().flatten(), spend.satoshi);
        }
    }
    let known_at = stored.blocks.known_at(view.moment, blocks.len());
    let times = (first.block.header.time, tip.block.header.time);
    tally.rows().iter().map(|row| share_of(view, row, times, whole, known_at)).collect()
}

/// The same without a node: out of headers whose finder an explorer names. Blocks that it does not show, or does
/// not name anybody for, are unknown; their rewards are not counted.
fn rows_of_headers(view: &View, window: Span) -> (Vec<PoolShare>, Freshness) {
    let stored = &view.snapshot.stored;
    let reach = u32::try_from(window.seconds() / FASTEST_BLOCK_SECONDS).unwrap_or(u32::MAX);
    let Some(chain) = stored.headers.view(view.moment, reach) else { return (Vec::new(), Freshness::default()) };
    let begin = chain.tip().time.minus(window);
    let lowest = chain.contiguous_from_tip();
    let headers: Vec<&StoredHeader> =
        chain.headers().take_while(|header| header.time >= begin && header.height >= lowest).collect();
    let whole = chain.headers().any(|header| header.time < begin && header.height >= lowest);
    let Some(source) = headers.iter().find(|header| header.found_by.is_some()).map(|header| header.source.to_string())
    else {
        return (Vec::new(), Freshness::default());
    };
    let named = |header: &StoredHeader| {
        let found = header.found_by?;
        let slug = found.pool.as_str();
        // A name for people is not kept: the explorer's own word stands for it.
        (slug != PoolEvidence::NOBODY).then(|| Pool { slug: slug.to_owned(), name: slug.to_owned() })
    };
    let pools: Vec<Option<Pool>> = headers.iter().map(|header| named(header)).collect();
    let mut tally = PoolTally::default();
    for (header, pool) in headers.iter().zip(&pools) {
        tally.add_block(pool.as_ref(), header.found_by.map_or(0, |found| found.reward));
    }
    let (from, until) = (headers[headers.len() - 1].time, headers[0].time);
    let known_at = headers.iter().map(|header| header.known_at).max();
    let row = |row: PoolRow<'_>| PoolShare {
        source: source.clone(),
        spent_btc: None,
        ..share_of(view, &row, (from, until), whole, known_at)
    };
    (tally.rows().into_iter().map(row).collect(), Freshness::of(until, HEADER_TIMING))
}

/// What both have in common; the source is the own node's, and nothing is known to be spent.
fn share_of(
    view: &View,
    row: &PoolRow<'_>,
    (from, until): (Timestamp, Timestamp),
    whole: bool,
    known_at: Option<Timestamp>,
) -> PoolShare {
    PoolShare {
        pool: row.pool.map_or_else(|| PoolEvidence::NOBODY.to_owned(), |pool| pool.slug.clone()),
        name: row.pool.map_or_else(|| "Unknown".to_owned(), |pool| pool.name.clone()),
        blocks: row.blocks,
        share: row.share.map(|share| shown(share.value)),
        share_low: row.share.map(|share| shown(share.low)),
        share_high: row.share.map(|share| shown(share.high)),
        reward_btc: row.reward_satoshi as f64 / SATOSHI_PER_BTC,
        spent_btc: Some(row.spent_satoshi as f64 / SATOSHI_PER_BTC),
        from: At(from),
        until: At(until),
        whole,
        known_at: known_at.map(ColumnAt::from),
        source: OWN_NODE.to_owned(),
        simulated: view.is_simulated().then_some(true),
    }
}

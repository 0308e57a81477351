//! `/v1/pools`: who found the newest blocks, by what they wrote into their coinbases.

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
use crate::domain::chain::HEADER_TIMING;
use crate::domain::facts::PoolEvidence;
use crate::domain::indicators::hashprice::SATOSHI_PER_BTC;
use crate::domain::pools::{PoolRow, PoolTally, Pools, attribute};
use crate::domain::time::Span;

static POOLS: Endpoint = Endpoint { params: &["window"], forms: ROW_FORMS, content: pools, text_demands_fresh: false };

/// The window unless somebody asks for another, and the longest.
const USUAL_WINDOW: Span = Span::DAY.times(7);
const LONGEST_WINDOW: Span = Span::DAY.times(90);

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
    /// them are known.
    pub spent_btc: f64,
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
    pub source: &'static str,
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
/// of pools stood at the moment: most blocks first, the unknown last. Needs an own node.
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
    let freshness =
        blocks.first().map_or_else(Freshness::default, |tip| Freshness::of(tip.block.header.time, HEADER_TIMING));
    let rows = rows_of(view, blocks, count.is_some());
    let sources = if rows.is_empty() { Vec::new() } else { vec![OWN_NODE.to_owned()] };
    let meta = Meta::of(None, Some("btc"), view, &freshness, sources);
    let columns = COLUMNS.into_iter().chain(view.is_simulated().then_some("simulated"));
    let columns = columns.map(str::to_owned).collect();
    Ok(Content { data: Box::new(Rows { rows, columns }), meta, freshness, next_cursor: None })
}

fn rows_of(view: &View, blocks: &[&LoggedBlock], whole: bool) -> Vec<PoolShare> {
    let (Some(tip), Some(first)) = (blocks.first(), blocks.last()) else { return Vec::new() };
    let stored = &view.snapshot.stored;
    let table = Pools::at(&stored.facts, view.moment);
    let pool_of = |block: &LoggedBlock| {
        let flow = block.block.flow.as_ref().ok()?;
        attribute(&table, &flow.tag, flow.payout_addresses.iter().map(String::as_str)).pool()
    };
    // Every block that is known, since coins of the window were mined before it.
    let miners: std::collections::HashMap<u32, _> = newest_blocks(&stored.blocks, view.moment, usize::MAX)
        .into_iter()
        .map(|block| (block.block.header.height, pool_of(block)))
        .collect();
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
    let row = |row: PoolRow<'_>| PoolShare {
        pool: row.pool.map_or_else(|| PoolEvidence::NOBODY.to_owned(), |pool| pool.slug.clone()),
        name: row.pool.map_or_else(|| "Unknown".to_owned(), |pool| pool.name.clone()),
        blocks: row.blocks,
        share: row.share.map(|share| shown(share.value)),
        share_low: row.share.map(|share| shown(share.low)),
        share_high: row.share.map(|share| shown(share.high)),
        reward_btc: row.reward_satoshi as f64 / SATOSHI_PER_BTC,
        spent_btc: row.spent_satoshi as f64 / SATOSHI_PER_BTC,
        from: At(first.block.header.time),
        until: At(tip.block.header.time),
        whole,
        known_at: known_at.map(ColumnAt::from),
        source: OWN_NODE,
        simulated: view.is_simulated().then_some(true),
    };
    let mut rows: Vec<PoolShare> = tally.rows().into_iter().map(row).collect();
    level(rows.iter_mut().map(|row| &mut row.known_at));
    rows
}

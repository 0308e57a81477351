//! What was read of the node as one batch.

use std::collections::HashMap;

use sqlx::Connection as _;

use super::days::arrivals_of_days;
use super::read::Shown;
use super::{Branch, Claim, FEED, Verdict};
use crate::domain::block::{Block, Unavailable};
use crate::domain::block_log::events_of_step;
use crate::domain::chain::{BlockHash, Header, block_hash_text};
use crate::domain::observation::Resolution;
use crate::domain::time::Timestamp;
use crate::sources::Refused;
use crate::sources::bitcoin_core::SOURCE;
use crate::store::StoreError;
use crate::store::block::{Known, NewBlock, append_blocks, append_events, find_blocks};
use crate::store::evidence::quarantine;
use crate::store::feed_state::{State, find_standing, note_attempt};
use crate::store::head::{record_batch, take_head};
use crate::store::header::append_headers;
use crate::store::lease::{give_back, hold};
use crate::store::observation::{EarlierRead, append};
use crate::store::rule::read_rule_book;
use crate::store::run::{Counts, finish_run};
use crate::worker::poll::Deps;
use crate::worker::settle::quarantined;

/// What blocks are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To follow the tip; whether more blocks are there already.
    Follow {
        is_behind: bool,
    },
    Backfill,
}

/// Stores what was read as one batch, closes the run, and says how the blocks came.
pub(super) async fn record(
    deps: &Deps,
    claim: &Claim,
    branch: Branch,
    purpose: Purpose,
) -> Result<(Verdict, Counts), StoreError> {
    let mut connection = deps.pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    hold(&mut transaction, &claim.lease, deps.lease).await?;
    let batch = take_head(&mut transaction).await?;
    let rules = read_rule_book(&mut transaction).await?;
    let rules = &rules.newest().rules;
    let left: Vec<Block> = branch.left.into_iter().map(|logged| logged.block).collect();

    let below = branch.joined.first().map(|shown| shown.block.header.previous);
    let hashes: Vec<BlockHash> = branch.joined.iter().map(|shown| shown.block.header.hash).chain(below).collect();
    let known = find_blocks(&mut transaction, &hashes).await?;
    let blocks = with_unspent(branch.joined, &known);
    let new: Vec<&NewBlock> = blocks.iter().filter(|block| is_news(block, &known)).collect();
    let follows = matches!(purpose, Purpose::Follow { .. });
    append_blocks(&mut transaction, batch, &new, follows).await?;

    let lag = rules.timing(SOURCE, "difficulty", Resolution::Hour).lag;
    let joined: Vec<Block> = blocks.iter().map(|new| new.block.clone()).collect();
    let mut events = events_of_step(&left, &joined, branch.after, lag, batch.recorded_at);
    events.retain(|event| !(event.connects && branch.connected.contains(&event.hash)));
    append_events(&mut transaction, batch, &events).await?;

    let mut rows = new.len() + events.len();
    let mut earlier = None;
    if follows {
        let headers: Vec<Header> = joined.iter().map(|block| block.header).collect();
        rows += append_headers(&mut transaction, batch, rules, SOURCE, &headers).await?;
        let standing = find_standing(&mut transaction, SOURCE, FEED).await?;
        let last_success_at = standing.and_then(|standing| standing.last_success_at);
        earlier = last_success_at.map(|at| EarlierRead { at, from: Timestamp::MIN });
    }
    let mut set_aside: Vec<Refused> = blocks.iter().filter_map(fault_of).collect();
    let days = arrivals_of_days(&mut transaction, &left, &joined).await?;
    set_aside.extend(days.refused);
    let appended = append(&mut transaction, batch, rules, &days.arrivals, earlier).await?;
    rows += appended.stored;

    quarantine(&mut transaction, claim.run_id, &quarantined(SOURCE, &set_aside)).await?;
    let counts = Counts {
        read: (joined.len() + days.arrivals.len()) as u64,
        stored: rows as u64,
        unchanged: appended.unchanged as u64,
        quarantined: set_aside.len() as u64,
    };
    finish_run(&mut transaction, claim.run_id, counts, None).await?;
    let verdict = set_aside.first().map_or(Verdict::WELL, |worst| Verdict {
        state: State::Quarantining,
        reason: Some(worst.reason),
        detail: Some(worst.detail.clone()),
    });
    if let Purpose::Follow { is_behind } = purpose {
        // Only who has seen the tip can say later that something was not there.
        let covered = (!is_behind).then_some((claim.started_at, Timestamp::MIN));
        note_attempt(&mut transaction, SOURCE, FEED, &verdict.attempt(deps.clock.now(), covered)).await?;
    }
    give_back(&mut transaction, &claim.lease).await?;
    record_batch(&mut transaction, batch, Some(claim.run_id), rows).await?;
    transaction.commit().await?;
    Ok((verdict, counts))
}

/// Blocks with what is left unspent after each, where that is known of the block below. A block that spends
/// more than there was is not believed.
fn with_unspent(joined: Vec<Shown>, known: &HashMap<BlockHash, Known>) -> Vec<NewBlock> {
    let mut below: Option<u64> = None;
    let mut blocks: Vec<NewBlock> = Vec::with_capacity(joined.len());
    for Shown { mut block, answer_bytes } in joined {
        if blocks.is_empty() {
            let stored = known.get(&block.header.previous).and_then(|known| known.unspent);
            below = if block.header.height == 0 { Some(0) } else { stored };
        }
        let unspent = match (&block.flow, below) {
            (Ok(flow), Some(before)) => match flow.unspent_after(before) {
                Ok(unspent) => Some(unspent),
                Err(rule) => {
                    block.flow = Err(Unavailable { reason: rule.code(), detail: rule.to_string() });
                    None
                }
            },
            _ => None,
        };
        below = unspent;
        blocks.push(NewBlock { block, answer_bytes, unspent });
    }
    blocks
}

/// Whether a block says more than what is stored of it.
fn is_news(new: &NewBlock, known: &HashMap<BlockHash, Known>) -> bool {
    known.get(&new.block.header.hash).is_none_or(|known| {
        (!known.has_flow && new.block.flow.is_ok()) || (known.unspent.is_none() && new.unspent.is_some())
    })
}

fn fault_of(new: &NewBlock) -> Option<Refused> {
    let Unavailable { reason, detail } = new.block.flow.as_ref().err()?;
    let header = &new.block.header;
    let detail = format!("block {} ({}): {detail}", header.height, block_hash_text(&header.hash));
    Some(Refused { metric: None, reason, detail })
}

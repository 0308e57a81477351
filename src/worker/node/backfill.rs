//! History of the node below its tip, on demand: some hundred blocks at a time, upwards, resumable.
//!
//! What is stored says what is missing, so an interrupted backfill goes on where it stopped, and one that
//! meets blocks that were followed links to them. Steps take turns with the looks at the tip.

use std::collections::HashSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::record::{Purpose, record};
use super::{Branch, Trouble, Watched, claim, close, read_blocks, while_holding};
use crate::domain::block_log::LoggedBlock;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::block::{find_connected_at, read_members};
use crate::store::run::Counts;
use crate::worker::pause;
use crate::worker::poll::Deps;

/// Blocks of one batch: each batch is a snapshot, which is written down and makes readers look anew.
const STEP: u32 = 500;
/// Between two looks whether another worker has finished with the node.
const WAIT_FOR_LEASE: Duration = Duration::from_millis(50);
/// A step that fails so many times in a row ends the backfill; it can be resumed.
const ATTEMPTS: u32 = 5;
const WAIT_AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Why a backfill stopped before its end. What was read stays, and the next one resumes there.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    #[error("blocks were read up to height {below} and then failed {ATTEMPTS} times: {why}; run it again to resume")]
    GivenUp { below: u32, why: String },
    #[error("{0}")]
    Refused(String),
    #[error("stopped; run it again to resume")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Heights of a stretch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heights {
    pub first: u32,
    pub last: u32,
}

/// Reads the blocks of a stretch that are not stored, or not whole. `report` is called after every step with
/// the height reached and what was done so far.
///
/// # Errors
/// [`BackfillError`]; what was read stays.
pub async fn backfill(
    deps: &Deps,
    watched: &Watched,
    stretch: Heights,
    report: &mut (dyn FnMut(u32, Counts) + Send),
    stop: &CancellationToken,
) -> Result<Counts, BackfillError> {
    let mut counts = Counts::default();
    let mut first = stretch.first;
    let mut failures = 0;
    while first <= stretch.last {
        if stop.is_cancelled() {
            return Err(BackfillError::Stopped);
        }
        let last = stretch.last.min(first.saturating_add(STEP - 1));
        match step(deps, watched, first, last).await {
            Ok(Some(done)) => {
                failures = 0;
                add(&mut counts, done);
                report(last, counts);
                let Some(next) = last.checked_add(1) else { break };
                first = next;
            }
            Ok(None) => pause(WAIT_FOR_LEASE, stop).await,
            Err(Trouble::Store(error)) => return Err(error.into()),
            // Another chain stays another one; what else is wrong may pass.
            Err(Trouble::Chain { code: "other_chain", detail }) => return Err(BackfillError::Refused(detail)),
            Err(trouble) => {
                failures += 1;
                if failures == ATTEMPTS {
                    return Err(BackfillError::GivenUp { below: first, why: trouble.to_string() });
                }
                pause(WAIT_AFTER_FAILURE, stop).await;
            }
        }
    }
    Ok(counts)
}

/// One step; `None` while another worker is at the node.
async fn step(deps: &Deps, watched: &Watched, first: u32, last: u32) -> Result<Option<Counts>, Trouble> {
    let neighbours = (first.saturating_sub(1), last.saturating_add(1));
    let members = read_members(&mut *deps.pool.acquire().await?, neighbours.0, neighbours.1).await?;
    if is_whole(&members, first, last) {
        return Ok(Some(Counts::default()));
    }
    let Some(claim) = claim(deps, "backfill").await? else { return Ok(None) };
    match while_holding(deps, &claim, branch(deps, watched, first, last)).await {
        Ok(branch) => Ok(Some(record(deps, &claim, branch, Purpose::Backfill).await?.1)),
        Err(trouble) => {
            if !matches!(trouble, Trouble::Store(_)) {
                close(deps, &claim, Some(&trouble)).await?;
            }
            Err(trouble)
        }
    }
}

/// Whether every block of some heights is stored with all that can be known of it.
fn is_whole(members: &[LoggedBlock], first: u32, last: u32) -> bool {
    let is_asked = |member: &&LoggedBlock| (first..=last).contains(&member.block.header.height);
    let asked: Vec<&LoggedBlock> = members.iter().filter(is_asked).collect();
    let has_total = |member: &LoggedBlock| member.unspent.is_some();
    // From the first block on, every one has a total; so one that has none below one that has is to be read.
    let total_below =
        first == 0 || members.first().is_some_and(|below| below.block.header.height < first && has_total(below));
    let is_known = |member: &&LoggedBlock| member.block.flow.is_ok() && (!total_below || has_total(member));
    asked.len() as u64 == u64::from(last - first) + 1 && asked.iter().all(is_known)
}

/// The blocks of a step, linked to what is stored below and above.
async fn branch(deps: &Deps, watched: &Watched, first: u32, last: u32) -> Result<Branch, Trouble> {
    let mut connection = deps.pool.acquire().await?;
    let members = read_members(&mut connection, first.saturating_sub(1), last.saturating_add(1)).await?;
    let below = members.iter().map(|member| member.block.header).find(|header| header.height + 1 == first);
    let after = match below {
        Some(header) => find_connected_at(&mut connection, &header.hash).await?,
        None => None,
    };
    drop(connection);
    let joined = read_blocks(watched, first, last, below.map(|header| header.hash)).await?;
    for member in &members {
        let stored = member.block.header;
        let place = (stored.height - first.min(stored.height)) as usize;
        let fits = if stored.height > last {
            joined.last().is_none_or(|top| top.block.header.hash == stored.previous)
        } else {
            stored.height < first || joined[place].block.header.hash == stored.hash
        };
        if !fits {
            let detail = format!(
                "the node's block at height {} is not the one that is stored; is it the node that is followed?",
                stored.height.min(last)
            );
            return Err(Trouble::chain("other_chain", detail));
        }
    }
    let connected: HashSet<_> = members.iter().map(|member| member.block.header.hash).collect();
    Ok(Branch { left: Vec::new(), joined, connected, after: after.unwrap_or(Timestamp::MIN) })
}

fn add(counts: &mut Counts, done: Counts) {
    counts.read += done.read;
    counts.stored += done.stored;
    counts.unchanged += done.unchanged;
    counts.quarantined += done.quarantined;
}

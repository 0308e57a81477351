//! History of a source, on demand: step by step, with progress, resumable.
//!
//! Each step is a run like any other, under the source's lease and in turn with its polls. Its values
//! and the mark of how far the stretch was read are stored in one transaction.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Scheduled;
use super::poll::{Deps, Outcome, Report, run_step};
use super::schedule::Entry;
use crate::domain::time::Timestamp;
use crate::sources::feed::Window;
use crate::store::StoreError;
use crate::store::backfill::find_done_until;
use crate::store::feed_state::State;
use crate::store::run::Counts;

/// Between two steps: about the rate that the strictest source allows.
const PACE: Duration = Duration::from_secs(1);
/// Between two looks whether another worker has finished with the source.
const WAIT_FOR_LEASE: Duration = Duration::from_millis(300);
/// A step that fails so many times in a row ends the backfill; it can be resumed.
const ATTEMPTS: u32 = 5;
/// No wait between attempts is longer.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Why a backfill stopped before its end. What was read stays, and the next one resumes there.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    #[error(
        "{feed} was read until {done_until} and then failed {ATTEMPTS} times with {reason}; run it again to resume"
    )]
    GivenUp { feed: &'static str, done_until: Timestamp, reason: String },
    #[error(
        "everything of {feed} from {from} to {until} was set aside ({reason}); see the quarantine, and run it again once it is mended"
    )]
    AllSetAside { feed: &'static str, from: Timestamp, until: Timestamp, reason: String },
    #[error("stopped; run it again to resume")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far a feed's backfill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub feed: &'static str,
    pub stretch: Window,
    pub done_until: Timestamp,
    /// Of this call, all steps so far.
    pub counts: Counts,
}

/// Reads a stretch of a feed's history, from where an earlier call for the same stretch ended.
/// `report` is called after every step.
///
/// # Errors
/// [`BackfillError`]; what was read stays.
pub async fn backfill(
    deps: &Deps,
    (feed, entry): &Scheduled,
    stretch: Window,
    report: &mut (dyn FnMut(Progress) + Send),
    stop: &CancellationToken,
) -> Result<Counts, BackfillError> {
    let mut done_until = {
        let mut connection = deps.pool.acquire().await.map_err(StoreError::from)?;
        let done = find_done_until(&mut connection, entry.source, entry.feed, stretch.from, stretch.until).await?;
        done.unwrap_or(stretch.from)
    };
    let mut counts = Counts::default();
    let mut failures = 0;
    while done_until < stretch.until {
        if stop.is_cancelled() {
            return Err(BackfillError::Stopped);
        }
        let part = Window { from: done_until, until: next_cut(entry, done_until, stretch) };
        let pause = match run_step(deps, feed.as_ref(), entry, stretch, part, stop).await? {
            Outcome::Ran(ran) if ran.state == State::Failing => {
                failures += 1;
                if failures == ATTEMPTS {
                    let reason = ran.reason.unwrap_or_default();
                    return Err(BackfillError::GivenUp { feed: entry.feed, done_until, reason });
                }
                deps.clock.wait(ran.next_due_at.since(deps.clock.now())).min(LONGEST_WAIT)
            }
            Outcome::Ran(ran) if ran.all_set_aside => {
                let reason = ran.reason.unwrap_or_default();
                return Err(BackfillError::AllSetAside {
                    feed: entry.feed,
                    from: part.from,
                    until: part.until,
                    reason,
                });
            }
            Outcome::Ran(ran) => {
                failures = 0;
                done_until = part.until;
                add(&mut counts, &ran);
                report(Progress { feed: entry.feed, stretch, done_until, counts });
                if done_until < stretch.until { PACE } else { Duration::ZERO }
            }
            Outcome::HeldElsewhere | Outcome::NotDue(_) => WAIT_FOR_LEASE,
        };
        super::pause(pause, stop).await;
    }
    Ok(counts)
}

/// The end of the step that begins here: a whole day, or the end of the stretch.
fn next_cut(entry: &Entry, from: Timestamp, stretch: Window) -> Timestamp {
    from.plus(entry.backfill_step).day().start().min(stretch.until)
}

fn add(counts: &mut Counts, ran: &Report) {
    counts.read += ran.counts.read;
    counts.stored += ran.counts.stored;
    counts.unchanged += ran.counts.unchanged;
    counts.quarantined += ran.counts.quarantined;
}

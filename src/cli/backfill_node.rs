//! `backfill bitcoin-core`: the blocks of an own node, from any day or height, with progress, resumable.

use anyhow::{Context as _, ensure};

use super::backfill::{Asked, day, stopped_by_interrupt};
use super::database;
use super::progress::{Display, Unit};
use crate::clock::Clock;
use crate::config::{DatabaseChoice, SourceArgs};
use crate::domain::time::Timestamp;
use crate::sources::bitcoin_core::{Node, SOURCE};
use crate::store::database::Mode;
use crate::worker::migrate::migrate;
use crate::worker::node::{Heights, Watched, backfill};
use crate::worker::poll::Deps;

/// Blocks below the node's tip are left to whoever follows it: they may still be replaced.
const LEFT_TO_FOLLOWERS: u32 = 6;

/// Reads the blocks that are asked for and not stored, and prints what became of them. An interrupt stops it
/// between two steps.
///
/// # Errors
/// If no node is named, it does not answer, or it keeps failing.
pub async fn run(asked: &Asked, choice: DatabaseChoice, sources: &SourceArgs) -> anyhow::Result<()> {
    let watched = sources.node()?.with_context(
        || "no node is named; give --bitcoin-core-url, such as http://127.0.0.1:8332, and --bitcoin-core-cookie",
    )?;
    let info = watched.node.chain_info().await?;
    ensure!(
        info.chain == watched.network.name(),
        "the node is on the chain {:?}, and {:?} is wanted",
        info.chain,
        watched.network.name()
    );
    let tip = info.blocks.saturating_sub(LEFT_TO_FOLLOWERS);
    let first = match &asked.from {
        Some(text) => height(&watched.node, text, tip).await?,
        None => info.pruneheight.unwrap_or(0),
    };
    let last = match &asked.to {
        Some(text) => height(&watched.node, text, tip).await?.saturating_sub(1),
        None => tip,
    };
    ensure!(first <= last, "there is nothing to read from height {first} to {last}");
    let database = database::open(choice).await?;
    let outcome = read(&database.pool, sources, &watched, Heights { first, last }).await;
    database.finish(outcome).await
}

async fn read(pool: &sqlx::PgPool, sources: &SourceArgs, watched: &Watched, stretch: Heights) -> anyhow::Result<()> {
    migrate(pool, Mode::Live).await?;
    let deps = Deps {
        pool: pool.clone(),
        http: sources.http()?,
        clock: Clock::System,
        holder: format!("backfill:{}", std::process::id()),
        lease: sources.lease(),
    };
    let stop = stopped_by_interrupt();
    let mut display = Display::new(SOURCE, Unit::Blocks);
    let total = u64::from(stretch.last - stretch.first) + 1;
    let mut show = |height, counts| display.show(u64::from(height - stretch.first) + 1, total, counts);
    let outcome = backfill(&deps, watched, stretch, &mut show, &stop).await;
    display.finish();
    let counts = outcome?;
    println!(
        "{SOURCE}: heights {} to {}: {} blocks and values read: {} rows stored, {} unchanged, {} quarantined",
        stretch.first, stretch.last, counts.read, counts.stored, counts.unchanged, counts.quarantined
    );
    Ok(())
}

/// A height as it is written, or the first block of a day. Header times run against heights by hours, so the
/// search by time is made for the median time, which does not.
async fn height(node: &Node, text: &str, tip: u32) -> anyhow::Result<u32> {
    if let Ok(height) = text.parse::<u32>() {
        return Ok(height.min(tip));
    }
    let wanted = day(text)?.start();
    let (mut low, mut high) = (0, tip);
    while low < high {
        let middle = low + (high - low) / 2;
        let header = node.block_header(&node.block_hash(middle).await?).await?;
        let is_before = Timestamp::from_epoch_seconds(header.mediantime).is_some_and(|median| median < wanted);
        if is_before { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

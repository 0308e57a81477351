//! `backfill`: the history of a source, with progress, resumable.

use anyhow::{Context as _, bail};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::database;
use super::progress::{Display, Unit};
use crate::clock::Clock;
use crate::config::{DatabaseChoice, SourceArgs};
use crate::domain::time::{Day, Timestamp};
use crate::sources::bitcoin_core;
use crate::sources::feed::Window;
use crate::store::database::Mode;
use crate::worker::backfill::backfill;
use crate::worker::migrate::migrate;
use crate::worker::poll::Deps;
use crate::worker::schedule::Entry;
use crate::worker::{Scheduled, by_source};

/// What is asked for.
pub struct Asked {
    pub source: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// Reads the history of each of the source's feeds and prints what became of it. An interrupt stops
/// it between two steps.
///
/// # Errors
/// If a day cannot be read, there is no such source, or the source keeps failing.
pub async fn run(asked: &Asked, choice: DatabaseChoice, sources: &SourceArgs) -> anyhow::Result<()> {
    if asked.source == bitcoin_core::SOURCE {
        return super::backfill_node::run(asked, choice, sources).await;
    }
    let feeds = sources.feeds()?;
    let mut by_source = by_source(&feeds);
    let names = by_source.keys().copied().collect::<Vec<_>>().join(", ");
    let Some(scheduled) = by_source.remove(asked.source.as_str()) else {
        if let Some(variable) = sources.missing_key(&asked.source) {
            bail!("{} is not asked without a key; set {variable}", asked.source);
        }
        bail!("no source {}; there are {names} and {}", asked.source, bitcoin_core::SOURCE);
    };
    let now = Clock::System.now();
    let until = asked.to.as_deref().map(day).transpose()?.unwrap_or(now.day()).min(now.day()).start();
    let from = asked.from.as_deref().map(day).transpose()?.map(Day::start);
    let database = database::open(choice).await?;
    let outcome = read_all(&database.pool, sources, &scheduled, |entry: &Entry| Window {
        from: from.unwrap_or_else(|| now.minus(entry.first_reach).max(Timestamp::MIN).day().start()),
        until,
    });
    let outcome = outcome.await;
    database.finish(outcome).await
}

/// What of a stretch the source shows: a step that it could not answer must not count as read.
fn shown(entry: &Entry, asked: Window, now: Timestamp) -> Window {
    let Some(shows) = entry.shows else { return asked };
    // The day in which it begins is not whole.
    let first = now.minus(shows).day().plus(1).start();
    Window { from: asked.from.max(first), ..asked }
}

/// Cancelled by an interrupt.
pub(super) fn stopped_by_interrupt() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.cancel();
        }
    });
    stop
}

pub(super) fn day(text: &str) -> anyhow::Result<Day> {
    Day::parse(text).with_context(|| format!("{text:?} is not a day like 2015-01-31"))
}

async fn read_all(
    pool: &PgPool,
    sources: &SourceArgs,
    scheduled: &[Scheduled],
    stretch: impl Fn(&Entry) -> Window,
) -> anyhow::Result<()> {
    migrate(pool, Mode::Live).await?;
    let deps = Deps {
        pool: pool.clone(),
        http: sources.http()?,
        clock: Clock::System,
        holder: format!("backfill:{}", std::process::id()),
        lease: sources.lease(),
    };
    let stop = stopped_by_interrupt();
    for feed in scheduled {
        let (source, name) = (feed.1.source, feed.1.feed);
        let asked = stretch(feed.1);
        let stretch = shown(feed.1, asked, deps.clock.now());
        if stretch.from >= stretch.until {
            println!(
                "{source} {name}: nothing to read: the source shows days from {}, until {}",
                stretch.from.day(),
                stretch.until.day()
            );
            continue;
        }
        if stretch.from > asked.from {
            println!(
                "{source} {name}: the source shows nothing before {}, so that is where it begins",
                stretch.from.day()
            );
        }
        let mut display = Display::new(&format!("{source} {name}"), Unit::Days);
        let days = |at: Timestamp| u64::from(at.day().since(stretch.from.day()).unsigned_abs());
        let mut show = |progress: crate::worker::backfill::Progress| {
            display.show(days(progress.done_until), days(stretch.until), progress.counts);
        };
        let outcome = backfill(&deps, feed, stretch, &mut show, &stop).await;
        display.finish();
        let counts = outcome.with_context(|| format!("{source} {name}"))?;
        println!(
            "{source} {name}: {} to {}: {} values read: {} stored, {} unchanged, {} quarantined",
            stretch.from.day(),
            stretch.until.day(),
            counts.read,
            counts.stored,
            counts.unchanged,
            counts.quarantined
        );
    }
    Ok(())
}

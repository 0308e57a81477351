//! `doctor`: a table of what was checked, and what to mend.

use std::process::ExitCode;

use super::database;
use crate::config::{DatabaseChoice, Esplora, SourceArgs};
use crate::domain::time::Timestamp;
use crate::sources::{NAMES, bitcoin_core, edgar, esplora};
use crate::store::StoreError;
use crate::store::database::{Mode, find_mode};
use crate::store::doctor::{Facts, read_facts};
use crate::store::feed_state::{FeedState, State, list_feed_states};
use crate::worker::schedule::SCHEDULE;

/// One line of the table.
struct Check {
    what: String,
    verdict: Verdict,
    found: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Well,
    /// Worth knowing; the service goes on.
    Note,
    /// Something needed is wrong.
    Wrong,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Note => "note",
            Self::Wrong => "WRONG",
        }
    }
}

impl Check {
    fn new(what: impl Into<String>, well: bool, found: String) -> Self {
        Self { what: what.into(), verdict: if well { Verdict::Well } else { Verdict::Wrong }, found }
    }
}

/// Checks configuration and database; the exit code is 1 if something needed is wrong.
///
/// # Errors
/// Only if the database cannot be closed again; what is wrong is in the table.
pub async fn run(choice: anyhow::Result<DatabaseChoice>, sources: &SourceArgs) -> anyhow::Result<ExitCode> {
    let mut checks = Vec::new();
    match choice {
        Err(error) => checks.push(Check::new("configuration", false, format!("{error:#}"))),
        Ok(choice) => check_database(choice, sources, &mut checks).await?,
    }
    for check in &checks {
        println!("{:6} {:18} {}", check.verdict.name(), check.what, check.found);
    }
    let all_well = checks.iter().all(|check| check.verdict != Verdict::Wrong);
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn check_database(choice: DatabaseChoice, sources: &SourceArgs, checks: &mut Vec<Check>) -> anyhow::Result<()> {
    let found = match &choice {
        DatabaseChoice::Private(directory) => format!("private PostgreSQL in {}", directory.display()),
        DatabaseChoice::Server(options) => {
            format!("PostgreSQL at {}:{} (DATABASE_URL)", options.get_host(), options.get_port())
        }
    };
    checks.push(Check::new("configuration", true, found));
    let database = match database::open(choice).await {
        Ok(database) => database,
        Err(error) => {
            checks.push(Check::new("database", false, format!("{error:#}")));
            return Ok(());
        }
    };
    match look(&database.pool).await {
        Ok(facts) => {
            describe(&facts, checks);
            if let Some(mode) = facts.mode {
                check_sources(&database.pool, mode, sources, checks).await?;
            }
        }
        Err(error) => checks.push(Check::new("database", false, error.to_string())),
    }
    database.close().await
}

async fn look(pool: &sqlx::PgPool) -> Result<Facts, StoreError> {
    let mut connection = pool.acquire().await?;
    let facts = read_facts(&mut connection).await?;
    if facts.is_migrated {
        let mode = find_mode(&mut connection).await?;
        return Ok(Facts { mode, ..facts });
    }
    Ok(facts)
}

fn describe(facts: &Facts, checks: &mut Vec<Check>) {
    let supported = (15..=18).contains(&facts.server_version);
    let advice = if supported { "" } else { "; versions 15 to 18 are supported" };
    checks.push(Check::new("database", supported, format!("answers, PostgreSQL {}{advice}", facts.server_version)));
    if !facts.is_migrated {
        let found = "no tables yet; run `miner-signals migrate`".to_owned();
        checks.push(Check::new("schema", false, found));
        return;
    }
    let mode = facts.mode.map_or("not set", |mode| mode.name());
    checks.push(Check::new("schema", true, format!("migrated, mode {mode}")));
    let head = format!("batch {} recorded {}", facts.head_batch, facts.head_recorded_at);
    checks.push(Check::new("head", true, head));
    for (what, bytes, rows) in &facts.sizes {
        checks.push(Check::new(*what, true, format!("{:.1} MB, about {rows} rows", *bytes as f64 / 1e6)));
    }
    checks.push(Check::new("quarantined", true, format!("{} records", facts.quarantined)));
}

/// Each feed as its last attempt left it, and each source that is not asked.
async fn check_sources(
    pool: &sqlx::PgPool,
    mode: Mode,
    sources: &SourceArgs,
    checks: &mut Vec<Check>,
) -> anyhow::Result<()> {
    let asked = match sources.feeds() {
        Ok(asked) => asked,
        Err(error) => {
            checks.push(Check::new("sources", false, format!("{error:#}")));
            return Ok(());
        }
    };
    let states = list_feed_states(&mut *pool.acquire().await?).await?;
    // Without its key a source has no feeds that could fare well or badly: one line says so.
    let without_key = |source: &str| sources.missing_key(source).filter(|_| !mode.is_simulated());
    for entry in SCHEDULE.iter().filter(|entry| without_key(entry.source).is_none()) {
        let what = format!("{} {}", entry.source, entry.feed);
        let is_asked = asked.iter().any(|feed| feed.source() == entry.source);
        let state =
            states.iter().find(|state| (state.source.as_str(), state.feed.as_str()) == (entry.source, entry.feed));
        let (verdict, found) = match state {
            _ if !is_asked && !mode.is_simulated() => (Verdict::Note, "not asked (--without)".to_owned()),
            None => (Verdict::Note, "never asked; run `miner-signals up` or `worker`".to_owned()),
            Some(state) => (verdict_of(state), describe_feed(state)),
        };
        checks.push(Check { what, verdict, found });
    }
    check_node(mode, sources, &states, checks).await;
    check_esplora(mode, sources, &states, checks);
    check_edgar(mode, sources, &states, checks);
    for (source, variable) in NAMES.iter().filter_map(|source| Some((*source, without_key(source)?))) {
        let found = format!("no key; set {variable} to read it");
        checks.push(Check { what: source.to_owned(), verdict: Verdict::Note, found });
    }
    let is_failing = |state: &FeedState| state.state == State::Failing;
    if !states.is_empty() && states.iter().all(is_failing) {
        checks.push(Check::new("sources", false, "none answers; is there a network?".to_owned()));
    }
    let key = if sources.keys().coinmetrics.is_some() { "given" } else { "none: the community's metrics are read" };
    checks.push(Check::new("coinmetrics key", true, key.to_owned()));
    Ok(())
}

/// The own node: as it answers now, and as its last look left it.
async fn check_node(mode: Mode, sources: &SourceArgs, states: &[FeedState], checks: &mut Vec<Check>) {
    let state = states.iter().find(|state| state.source == bitcoin_core::SOURCE);
    if let Some(state) = state {
        let what = format!("{} {}", state.source, state.feed);
        checks.push(Check { what, verdict: verdict_of(state), found: describe_feed(state) });
    }
    if mode.is_simulated() {
        return;
    }
    let (verdict, found) = match sources.node() {
        Err(error) => (Verdict::Wrong, format!("{error:#}")),
        Ok(None) => {
            let found =
                "none named; blocks and miner flows are not read. Give --bitcoin-core-url and --bitcoin-core-cookie";
            (Verdict::Note, found.to_owned())
        }
        Ok(Some(watched)) => match watched.node.chain_info().await {
            Ok(info) => {
                let pruned = info.pruneheight.map(|height| format!(", pruned below {height}")).unwrap_or_default();
                let found = format!("answers, chain {}, block {} of {}{pruned}", info.chain, info.blocks, info.headers);
                (if info.chain == watched.network.name() { Verdict::Well } else { Verdict::Wrong }, found)
            }
            Err(error) => (Verdict::Note, format!("{} ({})", error, error.code())),
        },
    };
    checks.push(Check { what: "bitcoin-core node".to_owned(), verdict, found });
}

/// The watch of coinbases without a node: whether it is asked for, and how its last run left it.
fn check_esplora(mode: Mode, sources: &SourceArgs, states: &[FeedState], checks: &mut Vec<Check>) {
    if mode.is_simulated() {
        return;
    }
    let state = states.iter().find(|state| state.source == esplora::SOURCE);
    let (verdict, found) = match (sources.esplora(), state) {
        (Err(error), _) => (Verdict::Wrong, format!("{error:#}")),
        (Ok(Esplora::Off), _) => {
            let found =
                "not asked; for flows of miners without a node set MINER_SIGNALS_ESPLORA_URL or give --with esplora";
            (Verdict::Note, found.to_owned())
        }
        (Ok(Esplora::NodeInstead), _) => {
            (Verdict::Note, "not asked: the own node says the same, of coins of every age".to_owned())
        }
        (Ok(Esplora::Watched(watch)), None) => {
            let address = watch.server.address();
            (Verdict::Note, format!("never asked; run `miner-signals up` or `worker` to watch through {address}"))
        }
        (Ok(Esplora::Watched(watch)), Some(state)) => {
            (verdict_of(state), format!("{}, through {}", describe_feed(state), watch.server.address()))
        }
    };
    checks.push(Check { what: "esplora coinbases".to_owned(), verdict, found });
}

/// The filings of issuers: whether they are read, and how the last round left them.
fn check_edgar(mode: Mode, sources: &SourceArgs, states: &[FeedState], checks: &mut Vec<Check>) {
    let state = states.iter().find(|state| state.source == edgar::SOURCE);
    let (verdict, found) = match (sources.edgar(), state) {
        (_, Some(state)) if mode.is_simulated() => (verdict_of(state), describe_feed(state)),
        (Err(error), _) => (Verdict::Wrong, format!("{error:#}")),
        (Ok(None), _) => {
            let found = sources.missing_key(edgar::SOURCE).map_or_else(
                || "not asked (--without)".to_owned(),
                |variable| {
                    format!("not asked: the SEC wants to know who asks; set {variable} to your name and address")
                },
            );
            (Verdict::Note, found)
        }
        (Ok(Some(_)), None) => (Verdict::Note, "never asked; run `miner-signals up` or `worker`".to_owned()),
        (Ok(Some(_)), Some(state)) => (verdict_of(state), describe_feed(state)),
    };
    checks.push(Check { what: "edgar filings".to_owned(), verdict, found });
}

fn verdict_of(state: &FeedState) -> Verdict {
    match state.state {
        State::Ok => Verdict::Well,
        // Other sources stand in, and the values age where everybody sees it.
        State::Gaps | State::Quarantining | State::Failing => Verdict::Note,
    }
}

fn describe_feed(state: &FeedState) -> String {
    let at = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let what = match &state.reason {
        Some(reason) => format!("{} ({reason}) since {}", state.state.name(), state.since),
        None => state.state.name().to_owned(),
    };
    let detail = state.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{what}, last success {}, next attempt {}{detail}", at(state.last_success_at), state.next_due_at)
}

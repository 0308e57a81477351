//! An own node: its recorded answers, and a simulated one that is followed, reorganised and broken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use miner_signals::clock::Clock;
use miner_signals::domain::block::{AGED_BLOCKS, Network};
use miner_signals::domain::chain::parse_block_hash;
use miner_signals::domain::time::{Day, Span, Timestamp};
use miner_signals::simulated::Upstreams;
use miner_signals::simulated::coins::{Coins, coinbase_satoshi};
use miner_signals::simulated::upstreams::NODE;
use miner_signals::simulated::upstreams::bitcoin_core::{Branch, NodeFault, PASSWORD, USER};
use miner_signals::sources::bitcoin_core::normalize::{BlockReader, NoBlock, Proof, ReadBlock, Wanted};
use miner_signals::sources::bitcoin_core::{Auth, Node};
use miner_signals::sources::feed::ApiKey;
use miner_signals::sources::http::{Http, Limits};
use miner_signals::worker::node::{Follower, Heights, Step, Watched, backfill, catch_up};
use miner_signals::worker::poll::Deps;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::harness::TestDatabase;
use crate::reference::reference;
use crate::upstream::world;

fn read(body: &[u8], hash: &str) -> Result<ReadBlock, NoBlock> {
    let hash = parse_block_hash(hash).unwrap();
    let wanted = Wanted { network: Network::Regtest, proof: Proof::Required, hash };
    let mut reader = BlockReader::default();
    for piece in body.chunks(1000) {
        reader.push(piece)?;
    }
    reader.finish(&wanted)
}

#[test]
fn every_recording_of_a_node_gives_what_its_readme_states() {
    let Some(index) = reference("contracts/bitcoin-core/real-node-regtest/index.json") else { return };
    let files: Vec<Value> = serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    let (mut known, mut unavailable) = (0, 0);
    for file in files {
        let params = &file["request"]["params"];
        let is_block = file["request"]["method"] == "getblock" && params[1] == 3 && !file["expected"].is_null();
        let name = file["file"].as_str().unwrap();
        if !is_block || std::path::Path::new(name).extension().is_none_or(|kind| kind != "json") {
            continue;
        }
        let body = std::fs::read(index.with_file_name(name)).unwrap();
        let read = read(&body, params[0].as_str().unwrap());
        let expected = &file["expected"];
        let Some(spend) = expected["coinbase_spend_sat"].as_u64() else {
            let said = match read {
                Ok(ReadBlock { block, .. }) => block.flow.unwrap_err().reason,
                Err(NoBlock::Refused(error)) if error.code == -1 => "refused",
                other => panic!("{name}: {other:?}"),
            };
            assert!(["no_prevout", "refused"].contains(&said), "{name}: {said}");
            unavailable += 1;
            continue;
        };
        let block = read.unwrap_or_else(|error| panic!("{name}: {error}")).block;
        let height = block.header.height;
        let flow = block.flow.unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        assert_eq!(flow.spend(), spend, "{name}");
        known += 1;
        // Of one block only the spend is stated.
        if expected["fees_sat"].is_null() {
            continue;
        }
        let number = |field: &str| expected[field].as_u64().unwrap_or_else(|| panic!("{name}: {field}"));
        assert_eq!(u64::from(flow.coinbase_inputs), number("coinbase_inputs"), "{name}");
        assert_eq!(u64::from(flow.ordinary_inputs), number("ordinary_inputs"), "{name}");
        assert_eq!(flow.coin_blocks(height), u128::from(number("age_numerator")), "{name}");
        assert_eq!(flow.fees, number("fees_sat"), "{name}");
        assert_eq!(flow.coinbase_output, number("coinbase_output_sat"), "{name}");
        assert_eq!(u64::from(flow.coinbase_outputs), number("coinbase_outputs"), "{name}");
        assert_eq!(u64::from(flow.spendable_outputs), number("coinbase_outputs_spendable"), "{name}");
        assert_eq!(Network::Regtest.subsidy_satoshi(height), number("subsidy_sat"), "{name}");
    }
    eprintln!("{known} recorded blocks agree, {unavailable} are unavailable");
    assert!(known >= 15 && unavailable >= 3, "{known} {unavailable}");
}

/// A node on the simulated chain, at six in the morning of the day before yesterday until it is moved, and a worker.
pub struct Home {
    upstreams: Upstreams,
    now: Arc<AtomicI64>,
    deps: Deps,
    watched: Watched,
    stop: CancellationToken,
}

impl Home {
    pub fn new(database: &TestDatabase) -> Self {
        let morning = world().anchor.plus(-2).start().plus(Span::HOUR.times(6));
        let now = Arc::new(AtomicI64::new(morning.micros()));
        let clock = Arc::clone(&now);
        let time = move || Timestamp::from_micros(clock.load(Ordering::SeqCst));
        let upstreams = Upstreams::start(world(), Arc::new(time)).unwrap();
        let auth = Auth::Password { user: USER.to_owned(), password: ApiKey::new(PASSWORD.to_owned()) };
        let node = Node::new(upstreams.base(NODE).parse().unwrap(), auth, Duration::from_secs(5)).unwrap();
        let deps = Deps {
            pool: database.pool.clone(),
            http: Http::new(None, Limits::default()).unwrap(),
            clock: Clock::manual(Clock::System.now()),
            holder: "test".to_owned(),
            lease: Duration::from_mins(1),
        };
        let watched = Watched { node, network: Network::Main, proof: Proof::Simulated };
        Self { upstreams, now, deps, watched, stop: CancellationToken::new() }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst))
    }

    /// Lets the node's time pass.
    pub fn forward(&self, span: Span) {
        self.now.fetch_add(span.micros(), Ordering::SeqCst);
    }

    pub fn tip(&self) -> u32 {
        world().tip(self.now()).unwrap()
    }

    pub async fn catch_up(&self) {
        catch_up(&self.deps, &self.watched, &self.stop).await.unwrap();
    }

    fn follower(&self) -> Follower {
        Follower::new(self.deps.clone(), self.watched.clone())
    }

    /// State, reason and detail in the ledger.
    async fn state(&self) -> (String, Option<String>, Option<String>) {
        sqlx::query_as("select state, reason, detail from feed_state where source = 'bitcoin-core'")
            .fetch_one(&self.deps.pool)
            .await
            .unwrap()
    }
}

/// The newest version of each daily value of the node: metric and day.
async fn days(database: &TestDatabase) -> BTreeMap<(String, String), Option<f64>> {
    let rows: Vec<(String, String, Option<f64>)> = sqlx::query_as(
        "select distinct on (metric, period_start) metric, period_start::date::text, value
         from observation join series using (series_id) where source = 'bitcoin-core'
         order by metric, period_start, known_at desc, batch desc",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    rows.into_iter().map(|(metric, day, value)| ((metric, day), value)).collect()
}

/// What the world says of a day, by adding up its coins.
fn expected(day: Day) -> Vec<(&'static str, f64)> {
    let world = world();
    let of_day = world.day(day).unwrap();
    let coins = Coins::of(&world);
    let (mut spend, mut aged, mut ages) = (0_u64, 0_u64, 0_u128);
    for height in of_day.height + 1 - of_day.block_count..=of_day.height {
        for mined in coins.spent_at(height) {
            let satoshi = coinbase_satoshi(&world, mined);
            spend += satoshi;
            ages += u128::from(satoshi) * u128::from(height - mined);
            aged += if mined >= 210_000 && height - mined >= AGED_BLOCKS { satoshi } else { 0 };
        }
    }
    let btc = |satoshi: u64| satoshi as f64 / 1e8;
    vec![
        ("block_count", f64::from(of_day.block_count)),
        ("fees_btc", of_day.fees_btc),
        ("issuance_btc", of_day.issuance_btc),
        ("coinbase_spend_btc", btc(spend)),
        ("coinbase_spend_aged_btc", btc(aged)),
        ("coinbase_spend_coin_blocks", ages as f64 / 1e8),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_look_stores_the_newest_blocks_and_the_days_that_are_whole() {
    let database = TestDatabase::new().await;
    let home = Home::new(&database);
    home.catch_up().await;
    let (blocks, lowest, highest): (i64, i64, i64) =
        sqlx::query_as("select count(*), min(height), max(height) from chain_block")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!((blocks, highest, highest - lowest), (601, i64::from(home.tip()), 600));
    let days = days(&database).await;
    for day in [home.now().day().plus(-1), home.now().day().plus(-2)] {
        for (metric, value) in expected(day) {
            let stored = days[&(metric.to_owned(), day.to_string())].unwrap();
            assert!((stored - value).abs() <= 1e-12 * value, "{metric} of {day}: {stored} and {value}");
        }
    }
    let today = home.now().day().to_string();
    assert!(!days.keys().any(|(_, day)| *day == today), "a day that is going on is not told");
    assert_eq!(home.state().await.0, "ok");
    let head: i64 = sqlx::query_scalar("select batch from head").fetch_one(&database.pool).await.unwrap();
    assert_eq!(home.follower().look(&home.stop).await.unwrap(), Step::Moved { left: 0, joined: 0, is_behind: false });
    home.catch_up().await;
    let again: i64 = sqlx::query_scalar("select batch from head").fetch_one(&database.pool).await.unwrap();
    assert_eq!(head, again, "nothing new makes no batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_branches_were_followed_the_days_are_those_of_the_chain() {
    let (database, plain) = (TestDatabase::new().await, TestDatabase::new().await);
    let home = Home::new(&database);
    home.catch_up().await;
    let mut follower = home.follower();
    // Each leaves the chain so many blocks below its tip, and is left when it has one block more.
    for (number, depth) in [(2, 1), (3, 2), (4, 6), (5, 80), (6, 98)] {
        let branch = Branch { above: home.tip() - depth, number, blocks: depth + 1 };
        home.upstreams.branch_node(Some(branch));
        let mut step = follower.look(&home.stop).await.unwrap();
        let Step::Moved { left, .. } = step else { panic!("{step:?}") };
        assert_eq!(left, depth as usize);
        while let Step::Moved { is_behind: true, .. } = step {
            step = follower.look(&home.stop).await.unwrap();
        }
        home.upstreams.branch_node(None);
        home.forward(Span::HOUR);
        while let Step::Moved { .. } = follower.look(&home.stop).await.unwrap() {}
        assert_eq!(home.state().await.0, "ok", "{:?}", home.state().await);
    }
    let other = Home::new(&plain);
    other.now.store(home.now.load(Ordering::SeqCst), Ordering::SeqCst);
    other.catch_up().await;
    let (followed, expected) = (days(&database).await, days(&plain).await);
    assert!(expected.len() >= 20, "{}", expected.len());
    for (key, value) in &expected {
        assert_eq!(followed.get(key), Some(value), "{key:?}");
    }
    let revised: i64 = sqlx::query_scalar(
        "select count(*) from (select from observation group by series_id, period_start having count(*) > 1) x",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert!(revised > 0, "branches of eighty blocks changed a day that was final, and that stays in its history");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_is_told_apart_and_nothing_of_it_is_believed() {
    let database = TestDatabase::new().await;
    let home = Home::new(&database);
    home.catch_up().await;
    let next = home.tip() + 1;
    home.forward(Span::HOUR.times(3));
    let rows = async || -> (i64, i64) {
        sqlx::query_as("select (select count(*) from chain_block), (select count(*) from observation)")
            .fetch_one(&database.pool)
            .await
            .unwrap()
    };
    let before = rows().await;
    for (fault, code, says) in [
        (NodeFault::WarmingUp, "warming_up", "Loading block index"),
        (NodeFault::WrongCredentials, "wrong_credentials", "cookie"),
        (NodeFault::Busy, "busy", "rpcworkqueue"),
        (NodeFault::InitialDownload(5000), "initial_download", "has checked block"),
        (NodeFault::TooOld, "too_old", "version 230000 or later"),
        (NodeFault::WrongChain, "wrong_chain", "\"test\""),
        (NodeFault::WrongPrevious(next), "broken_chain", "does not name the one below"),
    ] {
        home.upstreams.break_node(Some(fault));
        let step = home.follower().look(&home.stop).await.unwrap();
        assert!(matches!(step, Step::Failed { code: found, .. } if found == code), "{fault:?}: {step:?}");
        let (state, reason, detail) = home.state().await;
        assert_eq!((state.as_str(), reason.as_deref()), ("failing", Some(code)));
        assert!(detail.as_deref().unwrap().contains(says), "{detail:?}");
        assert_eq!(rows().await, before, "{fault:?}");
        let shown = database.api().await.json("/v1/sources").await;
        let shown =
            shown["data"].as_array().unwrap().iter().find(|source| source["source"] == "bitcoin-core").unwrap().clone();
        assert_eq!((&shown["state"], &shown["reason"]), (&Value::from("failing"), &Value::from(code)));
    }
    home.upstreams.break_node(None);
    home.catch_up().await;
    assert_eq!(home.state().await.0, "ok");
    assert!(rows().await.0 > before.0, "it goes on once the node does");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_block_moves_is_unknown_and_never_zero_where_the_node_cannot_say_or_lies() {
    for (fault, reason) in [
        (NodeFault::Pruned as fn(u32) -> NodeFault, "pruned"),
        (|_| NodeFault::UndoMissing, "undo_missing"),
        (NodeFault::NoPrevout, "no_prevout"),
        (NodeFault::NegativeValue, "bad_amount"),
        (NodeFault::TooMuch, "coinbase_too_large"),
    ] {
        let database = TestDatabase::new().await;
        let home = Home::new(&database);
        home.catch_up().await;
        let first = home.tip() + 1;
        // For a day and a half the node cannot say what blocks move.
        home.forward(Span::HOUR.times(36));
        let bound = if reason == "pruned" { home.tip() + 1 } else { first };
        home.upstreams.break_node(Some(fault(bound)));
        home.catch_up().await;
        let unknown: i64 =
            sqlx::query_scalar("select count(*) from chain_block where unavailable = $1 and height >= $2")
                .bind(reason)
                .bind(i64::from(first))
                .fetch_one(&database.pool)
                .await
                .unwrap();
        assert!(unknown > 100, "{reason}: {unknown}");
        let (state, code, detail) = home.state().await;
        assert_eq!((state.as_str(), code.as_deref()), ("quarantining", Some(reason)), "{detail:?}");
        let day = world().anchor.plus(-2).to_string();
        let stored = days(&database).await;
        assert_eq!(stored[&("coinbase_spend_btc".to_owned(), day.clone())], None, "{reason}");
        assert!(stored[&("block_count".to_owned(), day.clone())].is_some(), "headers are known all the same");
        let quarantined: i64 =
            sqlx::query_scalar("select count(*) from quarantine where source = 'bitcoin-core' and reason = $1")
                .bind(reason)
                .fetch_one(&database.pool)
                .await
                .unwrap();
        assert_eq!(quarantined, unknown);

        // Once the node can, a backfill reads those blocks again, and the day is told.
        home.upstreams.break_node(None);
        let stretch = Heights { first, last: home.tip() };
        let counts = backfill(&home.deps, &home.watched, stretch, &mut |_, _| (), &home.stop).await.unwrap();
        assert!(counts.stored > 0);
        let stored = days(&database).await;
        for (metric, value) in expected(world().anchor.plus(-2)) {
            let found = stored[&(metric.to_owned(), day.clone())].unwrap_or_else(|| panic!("{metric} after {reason}"));
            assert!((found - value).abs() <= 1e-12 * value, "{metric}: {found} and {value}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_read_in_steps_goes_on_where_it_stopped_and_meets_what_was_followed() {
    let database = TestDatabase::new().await;
    let home = Home::new(&database);
    home.catch_up().await;
    let first = home.tip() - 2_600;
    let stretch = Heights { first, last: home.tip() };
    // Interrupted after some steps.
    let stop = CancellationToken::new();
    let mut reached = 0;
    let interrupted = backfill(
        &home.deps,
        &home.watched,
        stretch,
        &mut |height, _| {
            reached = height;
            if height > first + 900 {
                stop.cancel();
            }
        },
        &stop,
    )
    .await;
    assert!(interrupted.is_err() && reached < home.tip() - 600);
    let requests = home.upstreams.node_requests();
    let counts = backfill(&home.deps, &home.watched, stretch, &mut |_, _| (), &home.stop).await.unwrap();
    let asked = home.upstreams.node_requests() - requests;
    assert!(asked < 2 * 1_200, "what is stored is not asked for again: {asked} requests");
    assert!(counts.stored > 1_000, "{counts:?}");
    let again = backfill(&home.deps, &home.watched, stretch, &mut |_, _| (), &home.stop).await.unwrap();
    assert_eq!(again.stored, 0);
    let (blocks, members): (i64, i64) = sqlx::query_as(
        "select count(distinct hash), (select count(*) from chain_event where connects) from chain_block",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!((blocks, members), (2_601, 2_601));
    // Every day between is there, the one in which the two parts meet too, and what was not seen to appear
    // is assumed known an hour after its end.
    let stored = days(&database).await;
    for back in 1..=11 {
        let day = home.now().day().plus(-back);
        for (metric, value) in expected(day) {
            let found = stored[&(metric.to_owned(), day.to_string())].unwrap();
            assert!((found - value).abs() <= 1e-12 * value, "{metric} of {day}");
        }
    }
    let late: i64 = sqlx::query_scalar(
        "select count(*) from observation join series using (series_id)
         where source = 'bitcoin-core' and (known_basis <> 'assumed' or known_at <> period_end + interval '1 hour')",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(late, 0);
}

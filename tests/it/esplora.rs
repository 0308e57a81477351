//! Coinbases watched without a node: recorded answers, and a simulated server that is watched, reorganised and
//! wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use miner_signals::clock::Clock;
use miner_signals::domain::block::AGED_BLOCKS;
use miner_signals::domain::coinbase_watch::WatchedBlock;
use miner_signals::domain::time::{Day, Span, Timestamp};
use miner_signals::simulated::coins::{Coins, coinbase_satoshi};
use miner_signals::simulated::upstreams::ESPLORA;
use miner_signals::simulated::upstreams::bitcoin_core::Branch;
use miner_signals::simulated::upstreams::esplora::EsploraFault;
use miner_signals::simulated::{Misbehaviour, Upstreams};
use miner_signals::sources::esplora::{Server, normalize, wire};
use miner_signals::sources::http::{Http, Limits};
use miner_signals::worker::esplora::{Step, Watch, Watcher};
use miner_signals::worker::poll::Deps;
use tokio_util::sync::CancellationToken;

use crate::harness::TestDatabase;
use crate::reference::reference;
use crate::upstream::world;

/// Long enough that some of what moves is aged, and short enough for a test.
const WINDOW_DAYS: i64 = 16;
/// Where ages do not matter.
const SHORT_WINDOW_DAYS: i64 = 2;

fn recording(file: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(reference(&format!("contracts/esplora/{file}"))?).unwrap())
}

#[test]
fn recorded_answers_are_read() {
    let Some(blocks) = recording("blocks_730000.json") else { return };
    let page: Vec<wire::Block> = wire::parse(&blocks).unwrap();
    let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    let blocks = normalize::blocks(&page, now).unwrap();
    assert_eq!(blocks.iter().map(|block| block.height).collect::<Vec<_>>(), [729_999, 730_000]);
    assert_eq!(blocks[1].time, Timestamp::parse("2022-04-01T16:10:49Z").unwrap());
    assert_eq!(blocks[1].median_time, Timestamp::parse("2022-04-01T15:36:58Z").unwrap());

    let status: wire::BlockStatus = wire::parse(&recording("block_status_mainnet.json").unwrap()).unwrap();
    assert!(status.in_best_chain);

    let coinbase: wire::Transaction = wire::parse(&recording("tx_coinbase_genesis.json").unwrap()).unwrap();
    let txid = normalize::txid(coinbase.txid.as_bytes()).unwrap();
    let genesis = WatchedBlock {
        hash: normalize::txid(coinbase.status.block_hash.as_deref().unwrap().as_bytes()).unwrap(),
        previous: [0; 32],
        height: 0,
        time: Timestamp::parse("2009-01-03T18:15:05Z").unwrap(),
        median_time: Timestamp::parse("2009-01-03T18:15:05Z").unwrap(),
    };
    assert_eq!(normalize::coinbase(&coinbase, &txid, &genesis).unwrap(), [5_000_000_000]);
    let ordinary: wire::Transaction = wire::parse(&recording("tx_b6a53d8a.json").unwrap()).unwrap();
    let txid = normalize::txid(ordinary.txid.as_bytes()).unwrap();
    assert_eq!(normalize::coinbase(&ordinary, &txid, &genesis).unwrap_err().reason, "other_transaction");
    let mixed: Vec<wire::Transaction> = wire::parse(&recording("txs_random_mixed.json").unwrap()).unwrap();
    assert!(!mixed.is_empty() && mixed.iter().all(|transaction| !transaction.vout.is_empty()));

    let rows: Vec<wire::Outspend> = wire::parse(&recording("tx_outspends_15e10745.json").unwrap()).unwrap();
    let spends = normalize::spends(&rows, &[1]).unwrap();
    assert_eq!((spends.len(), spends[0].output, spends[0].height), (1, 0, 363_349));
    assert_eq!(spends[0].time, Timestamp::parse("2015-07-01T12:48:17Z").unwrap());
    let unconfirmed: wire::Status = wire::parse(&recording("tx_status_unconfirmed.json").unwrap()).unwrap();
    assert!(!unconfirmed.confirmed);
}

/// A server on the simulated chain, at six in the morning six days ago until its clock is moved, and a worker with
/// the same clock. What it stores is of days that are over by the database's.
struct Watching {
    upstreams: Upstreams,
    deps: Deps,
    watch: Watch,
    stop: CancellationToken,
}

impl Watching {
    fn new(database: &TestDatabase, window_days: i64) -> Self {
        let clock = Clock::manual(world().anchor.plus(-6).start().plus(Span::HOUR.times(6)));
        let time = clock.clone();
        let upstreams = Upstreams::start(world(), Arc::new(move || time.now())).unwrap();
        let server = Server::new(upstreams.base(ESPLORA).parse().unwrap());
        let deps = Deps {
            pool: database.pool.clone(),
            http: Http::local(Limits { deadline: Duration::from_secs(5), ..Limits::default() }).unwrap(),
            clock,
            holder: "test".to_owned(),
            lease: Duration::from_mins(1),
        };
        let watch = Watch { server, pace: Duration::ZERO, window: Span::DAY.times(window_days) };
        Self { upstreams, deps, watch, stop: CancellationToken::new() }
    }

    fn watcher(&self) -> Watcher {
        Watcher::new(self.deps.clone(), self.watch.clone())
    }

    fn later(&self, span: Span) {
        self.deps.clock.advance(span);
    }

    fn today(&self) -> Day {
        self.deps.clock.now().day()
    }

    fn tip(&self) -> u32 {
        world().tip(self.deps.clock.now()).unwrap()
    }

    /// Steps until there is nothing to ask.
    async fn settle(&self, watcher: &mut Watcher) {
        loop {
            match watcher.step(&self.stop).await.unwrap() {
                Step::Read(_) => {}
                Step::Idle => return,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Steps until there is nothing to ask, or a run failed.
    async fn step_until(&self, watcher: &mut Watcher) -> Step {
        loop {
            let step = watcher.step(&self.stop).await.unwrap();
            if !matches!(step, Step::Read(_)) {
                return step;
            }
        }
    }

    /// State, reason and detail in the ledger.
    async fn state(&self) -> (String, Option<String>, Option<String>) {
        sqlx::query_as("select state, reason, detail from feed_state where source = 'esplora'")
            .fetch_one(&self.deps.pool)
            .await
            .unwrap()
    }

    async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.deps.pool).await.unwrap()
    }
}

/// The newest version of each daily value of Esplora: metric and day.
async fn days(database: &TestDatabase) -> BTreeMap<(String, String), Option<f64>> {
    let rows: Vec<(String, String, Option<f64>)> = sqlx::query_as(
        "select distinct on (metric, period_start) metric, period_start::date::text, value
         from observation join series using (series_id) where source = 'esplora'
         order by metric, period_start, known_at desc, batch desc",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    rows.into_iter().map(|(metric, day, value)| ((metric, day), value)).collect()
}

/// What the world says of a day, by adding up its coins that are no older than the window.
fn expected(day: Day, window_days: i64) -> Vec<(&'static str, f64)> {
    let world = world();
    let of_day = world.day(day).unwrap();
    let coins = Coins::of(&world);
    let (mut output, mut spend, mut aged, mut ages) = (0_u64, 0_u64, 0_u64, 0_u128);
    for height in of_day.height + 1 - of_day.block_count..=of_day.height {
        let time = world.block(height).unwrap().time;
        output += coinbase_satoshi(&world, height);
        for mined in coins.spent_at(height) {
            if world.block(mined).is_none_or(|block| time - block.time > window_days * 86_400) {
                continue;
            }
            let satoshi = coinbase_satoshi(&world, mined);
            spend += satoshi;
            ages += u128::from(satoshi) * u128::from(height - mined);
            aged += if mined >= 210_000 && height - mined >= AGED_BLOCKS { satoshi } else { 0 };
        }
    }
    let btc = |satoshi: u64| satoshi as f64 / 1e8;
    vec![
        ("coinbase_output_btc", btc(output)),
        ("coinbase_spend_btc", btc(spend)),
        ("coinbase_spend_aged_btc", btc(aged)),
        ("coinbase_spend_coin_blocks", ages as f64 / 1e8),
    ]
}

fn assert_day(stored: &BTreeMap<(String, String), Option<f64>>, day: Day, window_days: i64) {
    for (metric, value) in expected(day, window_days) {
        let found = stored.get(&(metric.to_owned(), day.to_string())).copied().flatten();
        let found = found.unwrap_or_else(|| panic!("{metric} of {day} is not known"));
        assert!((found - value).abs() <= 1e-12 * value, "{metric} of {day}: {found} and {value}");
    }
}

fn spend_days(stored: &BTreeMap<(String, String), Option<f64>>) -> Vec<String> {
    let spends = stored.iter().filter(|((metric, _), value)| metric == "coinbase_spend_btc" && value.is_some());
    spends.map(|((_, day), _)| day.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_what_moved_of_recent_coinbases_and_is_known_only_whole() {
    let database = TestDatabase::new().await;
    let watching = Watching::new(&database, WINDOW_DAYS);
    let mut watcher = watching.watcher();
    // Until the window is whole and looked at, there is no value and the ledger says how far the watch is.
    let mut shown = Vec::new();
    while let Step::Read(_) = watcher.step(&watching.stop).await.unwrap() {
        let (state, reason, detail) = watching.state().await;
        if spend_days(&days(&database).await).is_empty() {
            assert_eq!((state.as_str(), reason.as_deref()), ("gaps", Some("watching")), "{detail:?}");
            shown.push(detail.unwrap());
        }
    }
    for part in ["the first window is not whole", "read ", "looked at "] {
        assert!(shown.iter().any(|detail| detail.contains(part)), "{part}: {shown:?}");
    }
    let first_requests = watching.upstreams.requests(ESPLORA);
    let yesterday = watching.today().plus(-1);
    let stored = days(&database).await;
    assert_eq!(spend_days(&stored), [yesterday.to_string()], "no other day has a whole window");
    assert_day(&stored, yesterday, WINDOW_DAYS);
    let outputs = stored.keys().filter(|(metric, _)| metric == "coinbase_output_btc").count();
    assert_eq!(outputs, usize::try_from(WINDOW_DAYS).unwrap() + 1, "what was paid out is known of the window too");
    assert_eq!(watching.state().await.0, "ok", "{:?}", watching.state().await);

    // Two days later both are told, with one look each at those that could still move.
    watching.later(Span::DAY.times(2));
    watching.settle(&mut watcher).await;
    let stored = days(&database).await;
    for back in 1..=3 {
        assert_day(&stored, watching.today().plus(-back), WINDOW_DAYS);
    }
    let requests = watching.upstreams.requests(ESPLORA);
    let head = watching.count("select batch from head").await;
    watching.later(Span::MINUTE);
    watching.settle(&mut watcher).await;
    assert_eq!(watching.upstreams.requests(ESPLORA), requests, "nothing is due");
    watching.later(Span::HOUR);
    watching.settle(&mut watcher).await;
    assert_eq!(watching.count("select batch from head").await, head, "new blocks of today are no new day");
    eprintln!("{first_requests} requests for the first day, {} for the next two", requests - first_requests);

    let late = "select count(*) from observation join series using (series_id) where source = 'esplora'
        and (known_basis <> 'assumed' or known_at <> period_end + interval '1 day')";
    assert_eq!(watching.count(late).await, 0, "what was not seen to appear is assumed known after the usual lag");
    let answers = "select count(*) from quarantine where source = 'esplora'";
    assert_eq!(watching.count(answers).await, 0);
    let api = database.api().await;
    let shown = api.json("/v1/series/coinbase_spend_btc?source=esplora&last=1").await;
    assert_eq!(shown["data"][0]["source"], "esplora", "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_interrupted_goes_on_where_it_was() {
    let (database, plain) = (TestDatabase::new().await, TestDatabase::new().await);
    let undisturbed = Watching::new(&plain, SHORT_WINDOW_DAYS);
    undisturbed.settle(&mut undisturbed.watcher()).await;
    let needed = undisturbed.upstreams.requests(ESPLORA);

    let watching = Watching::new(&database, SHORT_WINDOW_DAYS);
    let mut restarts = 0;
    loop {
        // Each worker lives for some requests, and is stopped in the midst of a run.
        let stop = CancellationToken::new();
        let mut watcher = watching.watcher();
        let until = watching.upstreams.requests(ESPLORA) + 120;
        let (stopper, upstreams) = (stop.clone(), watching.upstreams.clone());
        let stopping = tokio::spawn(async move {
            while upstreams.requests(ESPLORA) < until {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            stopper.cancel();
        });
        let last = loop {
            match watcher.step(&stop).await.unwrap() {
                Step::Read(_) => {}
                other => break other,
            }
        };
        stopping.abort();
        restarts += 1;
        if last == Step::Idle {
            break;
        }
        assert!(matches!(last, Step::Failed { code: "stopped", .. }), "{last:?}");
        assert!(watching.state().await.0 != "failing", "to be stopped is no fault of the server");
    }
    let asked = watching.upstreams.requests(ESPLORA);
    // A new worker asks for the tip, and what was under way when the old one was stopped.
    assert!(
        restarts > 5 && asked <= needed + 4 * restarts,
        "{asked} requests with {restarts} workers, {needed} with one"
    );
    assert_eq!(days(&database).await, days(&plain).await);
    let open = "select count(*) from run where source = 'esplora' and finished_at is null";
    assert_eq!(watching.count(open).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spend_in_a_block_that_was_left_does_not_count() {
    let database = TestDatabase::new().await;
    let watching = Watching::new(&database, SHORT_WINDOW_DAYS);
    let mut watcher = watching.watcher();
    watching.settle(&mut watcher).await;
    let yesterday = watching.today().plus(-1);
    assert_day(&days(&database).await, yesterday, SHORT_WINDOW_DAYS);
    let spends = "select count(*) from watched_spend spend join watched_coinbase block on block.block_hash = spent_hash
        where block.is_member";
    let counted = watching.count(spends).await;

    // A branch that leaves the chain on the evening of yesterday: its blocks spend nothing.
    let above = world().day(yesterday).unwrap().height - 20;
    let before = spend_of(&days(&database).await, yesterday);
    watching.upstreams.branch_esplora(Some(Branch { above, number: 2, blocks: watching.tip() - above + 1 }));
    watching.later(Span::MINUTE.times(6));
    watching.settle(&mut watcher).await;
    let left = "select count(*) from watched_coinbase where not is_member";
    assert!(watching.count(left).await > 20);
    assert!(watching.count(spends).await < counted, "spends of the blocks that were left");
    assert!(spend_of(&days(&database).await, yesterday).unwrap() < before.unwrap(), "the day is told anew");

    // A shorter one takes the end of the day with it: what the day came to is not known any more.
    watching.upstreams.branch_esplora(Some(Branch { above, number: 3, blocks: 10 }));
    watching.later(Span::MINUTE.times(6));
    watching.settle(&mut watcher).await;
    assert_eq!(spend_of(&days(&database).await, yesterday), None);

    // Back on the chain, everything is as if nothing had been.
    watching.upstreams.branch_esplora(None);
    watching.later(Span::DAY);
    watching.settle(&mut watcher).await;
    let stored = days(&database).await;
    assert_day(&stored, yesterday, SHORT_WINDOW_DAYS);
    assert_day(&stored, yesterday.plus(1), SHORT_WINDOW_DAYS);
    assert_eq!(watching.state().await.0, "ok", "{:?}", watching.state().await);
}

fn spend_of(stored: &BTreeMap<(String, String), Option<f64>>, day: Day) -> Option<f64> {
    stored[&("coinbase_spend_btc".to_owned(), day.to_string())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coinbase_of_which_something_impossible_is_said_makes_its_day_wait() {
    for (fault, reason) in [
        (EsploraFault::OtherBlock as fn(u32) -> EsploraFault, "other_block"),
        (EsploraFault::MissingOutput, "output_count"),
        (EsploraFault::Immature, "immature_spend"),
        (EsploraFault::NotFound, "not_found"),
    ] {
        let database = TestDatabase::new().await;
        let watching = Watching::new(&database, SHORT_WINDOW_DAYS);
        let mut watcher = watching.watcher();
        watching.settle(&mut watcher).await;
        let day = watching.today();
        watching.later(Span::DAY);
        let mut watcher_of_blocks = watching.watcher();
        // The blocks and their coinbases are read well.
        while watching.count("select count(*) from watched_coinbase where txid is null").await > 5
            || watching.count("select max(height) from watched_coinbase").await < i64::from(watching.tip())
        {
            watcher_of_blocks.step(&watching.stop).await.unwrap();
        }
        // Of the youngest coins that could move on the day, some are lied about.
        let youngest = world().day(day).unwrap().height + 6 - 100;
        let deep = watching.tip() - 6;
        let coins = Coins::of(&world());
        let spent = coins.lives().filter(|&(spent, mined)| spent <= deep && mined <= youngest);
        let spent_one = spent.map(|(_, mined)| mined).max().unwrap();
        // A spend in another block needs a coin that is spent; of the others any will do.
        let from = if reason == "other_block" { spent_one } else { youngest - 1 };
        watching.upstreams.break_esplora(Some(fault(from)));
        let step = watching.step_until(&mut watcher).await;
        assert_eq!(step, Step::Idle, "{reason}");
        let (state, code, detail) = watching.state().await;
        assert_eq!((state.as_str(), code.as_deref()), ("quarantining", Some("postponed")), "{reason}: {detail:?}");
        assert!(!spend_days(&days(&database).await).contains(&day.to_string()), "{reason}: half a day is no day");
        let set_aside: i64 =
            sqlx::query_scalar("select count(*) from quarantine where source = 'esplora' and reason = $1")
                .bind(reason)
                .fetch_one(&database.pool)
                .await
                .unwrap();
        assert!((1..5).contains(&set_aside), "{reason}: {set_aside}");

        watching.upstreams.break_esplora(None);
        watching.settle(&mut watcher).await;
        assert!(
            !spend_days(&days(&database).await).contains(&day.to_string()),
            "{reason}: it is left alone for a while"
        );
        watching.later(Span::MINUTE.times(16));
        watching.settle(&mut watcher).await;
        assert_day(&days(&database).await, day, SHORT_WINDOW_DAYS);
        assert_eq!(watching.state().await.0, "ok", "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_wrong_throughout_is_left_alone_and_nothing_of_it_is_believed() {
    let database = TestDatabase::new().await;
    let watching = Watching::new(&database, SHORT_WINDOW_DAYS);
    let mut watcher = watching.watcher();
    watching.settle(&mut watcher).await;
    let before = days(&database).await;
    watching.later(Span::DAY);
    let first = watching.tip() - 140;
    for (fault, code) in [
        (EsploraFault::WrongPrevious(first), "broken_chain"),
        (EsploraFault::NegativeValue(first), "bad_body"),
        (EsploraFault::OtherTransaction(first), "other_transaction"),
        (EsploraFault::NotFound(first), "refused"),
    ] {
        watching.upstreams.break_esplora(Some(fault));
        let step = watching.step_until(&mut watcher).await;
        assert!(matches!(step, Step::Failed { code: found, .. } if found == code), "{fault:?}: {step:?}");
        assert_eq!(watching.state().await.0, "failing");
        assert_eq!(watching.step_until(&mut watcher).await, Step::Idle, "it is left alone");
        watching.later(Span::HOUR.times(7));
    }
    watching.upstreams.break_esplora(None);
    assert_eq!(days(&database).await, before);

    for (misbehaviour, code) in [
        (Misbehaviour::TooManyRequests { retry_after: Some(7_200) }, "rate_limited"),
        (Misbehaviour::ServerError, "server_error"),
        (Misbehaviour::HtmlWithStatus200, "not_json"),
        (Misbehaviour::Truncated, "truncated"),
        (Misbehaviour::EndlessRedirect, "redirects"),
    ] {
        watching.upstreams.misbehave(ESPLORA, Some(misbehaviour));
        let step = watching.step_until(&mut watcher).await;
        assert!(matches!(step, Step::Failed { code: found, .. } if found == code), "{misbehaviour:?}: {step:?}");
        if code == "rate_limited" {
            // Longer than any wait of our own, and a new worker keeps to it.
            watching.later(Span::MINUTE.times(119));
            let asked = watching.upstreams.requests(ESPLORA);
            assert_eq!(watching.watcher().step(&watching.stop).await.unwrap(), Step::Idle);
            assert_eq!(watching.upstreams.requests(ESPLORA), asked);
        }
        watching.later(Span::HOUR.times(7));
    }
    watching.upstreams.misbehave(ESPLORA, None);
    watching.settle(&mut watcher).await;
    let stored = days(&database).await;
    for back in 1..=3 {
        assert_day(&stored, watching.today().plus(-back), SHORT_WINDOW_DAYS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_keep_to_the_pace_across_runs() {
    let database = TestDatabase::new().await;
    let mut watching = Watching::new(&database, SHORT_WINDOW_DAYS);
    watching.watch.pace = Duration::from_millis(20);
    let mut watcher = watching.watcher();
    let begun = Instant::now();
    for _ in 0..4 {
        watcher.step(&watching.stop).await.unwrap();
    }
    let asked = u32::try_from(watching.upstreams.requests(ESPLORA)).unwrap();
    let (runs, took) = (watching.count("select count(*) from run where source = 'esplora'").await, begun.elapsed());
    assert!(asked > 40 && runs == 4, "{asked} requests in {runs} runs");
    assert!(took >= watching.watch.pace * (asked - 1), "{asked} requests within {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_never_ask_at_once() {
    let database = TestDatabase::new().await;
    let watching = Watching::new(&database, SHORT_WINDOW_DAYS);
    let (mut one, mut other) = (watching.watcher(), watching.watcher());
    let both = tokio::join!(one.step(&watching.stop), other.step(&watching.stop));
    let steps = [both.0.unwrap(), both.1.unwrap()];
    assert!(steps.contains(&Step::HeldElsewhere), "{steps:?}");
    let mut idle = 0;
    while idle < 2 {
        let both = tokio::join!(one.step(&watching.stop), other.step(&watching.stop));
        let steps = [both.0.unwrap(), both.1.unwrap()];
        idle = steps.iter().filter(|step| **step == Step::Idle).count();
    }
    assert_day(&days(&database).await, watching.today().plus(-1), SHORT_WINDOW_DAYS);
}

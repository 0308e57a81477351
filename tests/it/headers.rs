//! Block headers: from a mempool server into the store, and the chain that is read back.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use miner_signals::clock::Clock;
use miner_signals::domain::chain::{Header, HeaderLog};
use miner_signals::domain::observation::Moment;
use miner_signals::domain::retarget::RetargetState;
use miner_signals::domain::time::{Span, Timestamp};
use miner_signals::sources::{Addresses, Keys, feeds};
use miner_signals::store::feed_state::State as FeedState;
use miner_signals::store::stored::Stored;
use miner_signals::worker::poll::Outcome;
use sqlx::PgPool;

use crate::harness::TestDatabase;
use crate::upstream::{Surroundings, world};

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

async fn stored(database: &TestDatabase) -> Stored {
    Stored::read(&mut database.pool.acquire().await.unwrap()).await.unwrap()
}

/// Heights and hashes of the chain at a moment, the tip first.
fn chain(log: &HeaderLog, moment: Moment) -> Vec<(u32, [u8; 32])> {
    let view = log.view(moment, u32::MAX).unwrap();
    view.headers().map(|header| (header.height, header.hash)).collect()
}

fn newest(stored: &Stored) -> Moment {
    Moment { at: stored.head.recorded_at, batch: stored.head.number }
}

/// Headers whose `known_at` is not what their age at the time of storing makes it.
const WRONGLY_KNOWN: &str = "select count(*) from block_header join batch using (batch)
    where case when recorded_at - header_time <= interval '2 hours' then (known_at, known_basis) <> (recorded_at, 'observed')
          else (known_at, known_basis) <> (header_time + interval '1 hour', 'assumed') end";

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stores_the_headers_of_tip_and_epoch_once() {
    let database = TestDatabase::new().await;
    let around = Surroundings::frozen(database.pool.clone());
    let days = around.run("mempool", "days").await;
    let tip = around.run("mempool", "tip").await;
    assert_eq!((days.state, tip.state), (FeedState::Ok, FeedState::Ok), "{days:?} {tip:?}");

    let world = world();
    let tip_height = world.tip(around.deps.clock.now()).unwrap();
    let first = stored(&database).await;
    let state = RetargetState::at(&first.headers, newest(&first)).unwrap();
    assert_eq!(state.height, tip_height);
    let start = world.block(state.epoch_start_height).unwrap();
    assert_eq!(state.epoch_start_at, Timestamp::from_epoch_seconds(start.time));
    assert_eq!((state.bits, state.difficulty), (Some(start.bits), start.difficulty));
    let taken = world.block(tip_height).unwrap().time - start.time;
    assert_eq!(state.elapsed_seconds.map(|seconds| seconds.to_string()), Some(taken.to_string()));
    if state.blocks_into_epoch < 504 {
        let wanted = (504 - state.blocks_into_epoch).min(13);
        assert!(state.before.is_some_and(|before| before.intervals >= wanted), "{state:?}");
    }
    let view = first.headers.view(newest(&first), u32::MAX).unwrap();
    assert!(tip_height - view.contiguous_from_tip() >= 14);

    assert_eq!(count(&database.pool, WRONGLY_KNOWN).await, 0);
    let miscounted = count(
        &database.pool,
        "select count(*) from batch left join run using (run_id)
         where run.source = 'mempool' and row_count <>
             (select count(*) from block_header where block_header.batch = batch.batch)
             + (select count(*) from observation where observation.batch = batch.batch)",
    )
    .await;
    assert_eq!(miscounted, 0, "headers and values of a payload are one batch");
    let with_both = "select count(distinct batch) from block_header join observation using (batch)";
    assert!(count(&database.pool, with_both).await >= 1);

    around.make_due().await;
    let (days, tip) = (around.run("mempool", "days").await, around.run("mempool", "tip").await);
    assert_eq!((days.counts.stored, tip.counts.stored), (0, 0));
    assert!(tip.counts.unchanged >= 15);
    let second = stored(&database).await;
    assert_eq!((second.head, &second.headers), (first.head, &first.headers), "twice is without effect");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_is_stored_once_whoever_comes_first() {
    let database = TestDatabase::new().await;
    let headers: Vec<Header> = Branch::new(0, 20).headers();
    let before = count(&database.pool, "select batch from head").await;
    let writers = (0..4).map(|_| database.append_headers("mempool", &headers));
    let new: Vec<usize> = futures::future::join_all(writers).await;
    assert_eq!(new.iter().sum::<usize>(), headers.len(), "{new:?}");
    assert_eq!(count(&database.pool, "select batch from head").await, before + 1);
    assert_eq!(count(&database.pool, WRONGLY_KNOWN).await, 0);
    let bases = count(&database.pool, "select count(distinct known_basis) from block_header").await;
    assert_eq!(bases, 2, "twenty blocks go back more than two hours");

    // The same blocks of another source are rows of their own, and the same chain.
    assert_eq!(database.append_headers("another", &headers).await, headers.len());
    let stored = stored(&database).await;
    assert_eq!(stored.headers.len(), 2 * headers.len());
    assert_eq!(chain(&stored.headers, newest(&stored)).len(), headers.len());

    for statement in ["update block_header set height = 1", "delete from block_header", "truncate block_header"] {
        let refused = sqlx::query(statement).execute(&database.pool).await.unwrap_err().to_string();
        assert!(refused.contains("rows of block_header are never changed or removed"), "{refused}");
    }
    let workers = [(); 2].map(|()| Surroundings::frozen(database.pool.clone()));
    let two = tokio::join!(workers[0].try_run("mempool", "tip"), workers[1].try_run("mempool", "tip"));
    let ran = [&two.0, &two.1].into_iter().filter(|outcome| matches!(outcome, Outcome::Ran(_))).count();
    assert_eq!(ran, 1, "{two:?}");
}

/// The height of the first block of each scripted branch: 20 below a retarget, so that tips cross it.
const FIRST_HEIGHT: u32 = 300 * 2_016 - 20;

/// A chain of blocks ten minutes apart. The twentieth is five minutes old; later ones have a miner whose
/// clock is ahead.
#[derive(Clone)]
struct Branch {
    ids: Vec<String>,
    newest_at: i64,
}

impl Branch {
    fn new(letter: u8, blocks: u32) -> Self {
        let ids = (0..blocks).map(|place| id(FIRST_HEIGHT + place, letter)).collect();
        Self { ids, newest_at: Clock::System.now().since(Timestamp::MIN).seconds() - 300 }
    }

    /// The same without its last `depth` blocks, and with so many of another letter.
    fn forked(&self, depth: usize, letter: u8, blocks: usize) -> Self {
        let mut ids = self.ids[..self.ids.len() - depth].to_vec();
        let first = FIRST_HEIGHT + u32::try_from(ids.len()).unwrap();
        ids.extend((first..).take(blocks).map(|height| id(height, letter)));
        Self { ids, newest_at: self.newest_at }
    }

    fn tip(&self) -> u32 {
        FIRST_HEIGHT + u32::try_from(self.ids.len()).unwrap() - 1
    }

    /// Epoch seconds: the twentieth block is the newest of the first branch, and a fork keeps the times of
    /// heights.
    fn time(&self, place: usize) -> i64 {
        self.newest_at - 600 * (19 - i64::try_from(place).unwrap())
    }

    fn headers(&self) -> Vec<Header> {
        let hash = |id: &str| miner_signals::domain::chain::parse_block_hash(id).unwrap();
        let header = |(place, pair): (usize, &[String])| Header {
            hash: hash(&pair[1]),
            previous: hash(&pair[0]),
            height: FIRST_HEIGHT + u32::try_from(place).unwrap() + 1,
            time: Timestamp::from_epoch_seconds(self.time(place + 1)).unwrap(),
            bits: None,
            difficulty: 1e14,
            found_by: None,
        };
        self.ids.windows(2).enumerate().map(header).collect()
    }

    /// `/v1/blocks`: the newest fifteen, newest first.
    fn page(&self) -> String {
        let block = |(place, pair): (usize, &[String])| {
            let (height, time) = (FIRST_HEIGHT + u32::try_from(place).unwrap() + 1, self.time(place + 1));
            format!(
                r#"{{"id":"{}","previousblockhash":"{}","height":{height},"timestamp":{time},"bits":386218132,
                "difficulty":53911173001054.59,"extras":{{"totalFees":1000000,"reward":313500000}}}}"#,
                pair[1], pair[0]
            )
        };
        let blocks: Vec<String> = self.ids.windows(2).enumerate().map(block).rev().take(15).collect();
        format!("[{}]", blocks.join(","))
    }
}

/// A hash of a height and a branch.
fn id(height: u32, letter: u8) -> String {
    format!("{letter:064x}").replacen("00000000", &format!("{height:08x}"), 1)
}

/// A mempool server that says what it is told.
struct Scripted {
    branch: Arc<Mutex<Branch>>,
    around: Surroundings,
}

impl Scripted {
    async fn start(database: &TestDatabase, branch: Branch) -> Self {
        let branch = Arc::new(Mutex::new(branch));
        let blocks = async |State(branch): State<Arc<Mutex<Branch>>>| json(branch.lock().unwrap().page());
        let adjustment = async |State(branch): State<Arc<Mutex<Branch>>>| {
            let tip = branch.lock().unwrap().tip();
            let next = tip - tip % 2_016 + 2_016;
            json(format!(r#"{{"nextRetargetHeight":{next},"remainingBlocks":{}}}"#, next - tip))
        };
        let prices = async || json(r#"{"time":0,"USD":50000}"#.to_owned());
        let router = Router::new()
            .route("/v1/blocks", get(blocks))
            .route("/v1/difficulty-adjustment", get(adjustment))
            .route("/v1/prices", get(prices))
            .with_state(Arc::clone(&branch));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut around = Surroundings::frozen(database.pool.clone());
        around.feeds =
            feeds(&Addresses { mempool: address.parse().unwrap(), ..Addresses::default() }, &Keys::default());
        Self { branch, around }
    }

    /// Reads the newest blocks of this branch; gives what is stored then.
    async fn read(&self, database: &TestDatabase, branch: &Branch) -> Stored {
        *self.branch.lock().unwrap() = branch.clone();
        self.around.make_due().await;
        let report = self.around.run("mempool", "tip").await;
        assert_eq!(report.state, FeedState::Ok, "{report:?}");
        stored(database).await
    }
}

fn json(body: String) -> ([(&'static str, &'static str); 1], String) {
    ([("content-type", "application/json")], body)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tip_moves_and_a_longer_branch_wins_from_then_on() {
    let database = TestDatabase::new().await;
    let first = Branch::new(0xa, 20);
    let server = Scripted::start(&database, first.clone()).await;
    let hash = |branch: &Branch| miner_signals::domain::chain::parse_block_hash(branch.ids.last().unwrap()).unwrap();

    let one = server.read(&database, &first).await;
    let at_one = newest(&one);
    let shown: Vec<_> = first.headers().iter().rev().take(15).map(|header| (header.height, header.hash)).collect();
    assert_eq!(chain(&one.headers, at_one), shown);
    let again = server.read(&database, &first).await;
    assert_eq!((again.head, again.headers.len()), (one.head, 15), "the same page is nothing new");

    // Height 300 * 2016 is found: an epoch begins.
    let grown = first.forked(0, 0xa, 1);
    let two = server.read(&database, &grown).await;
    assert_eq!((two.head.number, two.headers.len()), (one.head.number + 1, 16));
    let state = RetargetState::at(&two.headers, newest(&two)).unwrap();
    assert_eq!((state.height, state.blocks_into_epoch, state.elapsed_seconds), (604_800, 0, Some(0.0)));
    assert_eq!(state.before.map(|before| (before.intervals, before.seconds)), Some((14, 8_400.0)));

    // As long as the branch is only as long, the one known first stands; one block more, and it is given up.
    let rival = grown.forked(3, 0xb, 3);
    let three = server.read(&database, &rival).await;
    let at_three = newest(&three);
    assert_eq!(chain(&three.headers, at_three)[0], (604_800, hash(&grown)));
    let longer = rival.forked(0, 0xb, 1);
    let four = server.read(&database, &longer).await;
    let at_four = newest(&four);
    let now = chain(&four.headers, at_four);
    assert_eq!(now[0], (604_801, hash(&longer)));
    assert_eq!((now.len(), four.headers.len()), (17, 20), "three given-up blocks are kept");
    let in_order: Vec<u32> = now.iter().map(|(height, _)| *height).collect();
    assert_eq!(in_order, (604_785..=604_801).rev().collect::<Vec<u32>>());
    let state = RetargetState::at(&four.headers, at_four).unwrap();
    assert_eq!((state.blocks_into_epoch, state.elapsed_seconds), (1, Some(600.0)));

    // What was the chain then is so for ever, whichever of the two clocks is turned back.
    assert_eq!(chain(&four.headers, at_one), shown);
    assert_eq!(chain(&four.headers, at_three), chain(&three.headers, at_three));
    let late = Moment { at: at_four.at, batch: at_three.batch };
    assert_eq!(chain(&four.headers, late), chain(&three.headers, at_three));
    let early = Moment { at: at_four.at.minus(Span::from_micros(1)), batch: at_four.batch };
    assert_eq!(chain(&four.headers, early)[0], (604_800, hash(&grown)));
    let read_at_once = Stored::read(&mut database.pool.acquire().await.unwrap()).await.unwrap();
    let read_on = one.read_on(&mut database.pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(read_on.headers, read_at_once.headers);
    let unchanged = read_on.read_on(&mut database.pool.acquire().await.unwrap()).await.unwrap();
    assert!(Arc::ptr_eq(&unchanged.headers, &read_on.headers), "snapshots share what did not change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_no_chain_is_set_aside_whole() {
    let database = TestDatabase::new().await;
    let mut torn = Branch::new(0xa, 20);
    torn.ids[12] = "no hash".to_owned();
    let server = Scripted::start(&database, torn).await;
    server.around.make_due().await;
    let report = server.around.run("mempool", "tip").await;
    assert_eq!((report.state, report.reason.as_deref()), (FeedState::Quarantining, Some("bad_hash")));
    assert_eq!(count(&database.pool, "select count(*) from block_header").await, 0);
    let set_aside = "select count(*) from quarantine where source = 'mempool' and reason = 'bad_hash'";
    assert_eq!(count(&database.pool, set_aside).await, 1);
    *server.branch.lock().unwrap() = Branch::new(0xa, 20);
    server.around.make_due().await;
    assert_eq!(server.around.run("mempool", "tip").await.state, FeedState::Ok);
    assert_eq!(count(&database.pool, "select count(*) from block_header").await, 15);
}

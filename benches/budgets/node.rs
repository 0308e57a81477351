//! An own node: how fast a block is read and in how much memory, how fast history is read, and how soon a new
//! block is in the answers.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use miner_signals::clock::Clock;
use miner_signals::domain::block::Network;
use miner_signals::domain::chain::parse_block_hash;
use miner_signals::domain::time::{Span, Timestamp};
use miner_signals::simulated::upstreams::NODE;
use miner_signals::simulated::upstreams::bitcoin_core::{PASSWORD, USER};
use miner_signals::simulated::{Upstreams, World};
use miner_signals::sources::bitcoin_core::normalize::{BlockReader, Proof, Wanted};
use miner_signals::sources::bitcoin_core::{Auth, Node};
use miner_signals::sources::feed::ApiKey;
use miner_signals::sources::http::{Http, Limits};
use miner_signals::worker::node::{Follower, Heights, Step, Watched, backfill, catch_up};
use miner_signals::worker::poll::Deps;
use tokio_util::sync::CancellationToken;

use super::facts::memory_mb;
use super::report::Finding;
use super::scratch::{Scratch, ScratchServer};
use super::serve::{body_of, service};
use super::timing::{Ratio, median};

/// A full block: as many inputs as the work asks for, and 4 MB of bytes.
const INPUTS: usize = 8_000;
const INPUTS_A_TRANSACTION: usize = 4;
/// Hexadecimal digits of one input's witness, so that the block has 4 MB.
const WITNESS_DIGITS: usize = 860;
const ROUNDS: usize = 15;
/// Pieces as a socket gives them.
const PIECE: usize = 64 * 1024;
const HISTORY_BLOCKS: u32 = 10_000;
const NEW_BLOCKS: u32 = 500;
/// As often as a serving process looks for a new batch.
const SERVED_EVERY: Duration = Duration::from_millis(200);
/// Told to the program as its only argument: read a full block and print the memory that took.
pub const MEMORY_CHILD: &str = "--memory-of-a-block";

const HASH: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

/// An answer of `getblock` to a full block, piece by piece: nothing of it is held.
fn full_block() -> impl Iterator<Item = String> {
    let count = INPUTS / INPUTS_A_TRANSACTION;
    let head = format!(
        r#"{{"result":{{"hash":"{HASH}","confirmations":1,"height":900000,"version":536870912,"merkleroot":"{HASH}","time":1700000000,"mediantime":1699999000,"nonce":1,"bits":"17053894","difficulty":1.0,"chainwork":"{HASH}","nTx":{},"previousblockhash":"{}","strippedsize":1000000,"size":3999000,"weight":3999000,"tx":[{}"#,
        count + 1,
        "b".repeat(64),
        r#"{"txid":"00","vin":[{"coinbase":"03a0bb0d2f706f6f6c2f","sequence":4294967295}],"vout":[{"value":3.12500000,"n":0,"scriptPubKey":{"asm":"0","hex":"0014aa","address":"bc1q","type":"witness_v0_keyhash"}}]}"#
    );
    let transactions = (0..count).map(|place| format!(",{}", transaction(place)));
    std::iter::once(head).chain(transactions).chain(std::iter::once("]},\"error\":null,\"id\":1}\n".to_owned()))
}

fn transaction(place: usize) -> String {
    let witness = "ab".repeat(WITNESS_DIGITS / 2);
    let script = "0014".to_owned() + &"cd".repeat(20);
    let mut text = format!(
        r#"{{"txid":"{0}","hash":"{0}","version":2,"size":2000,"vsize":700,"weight":2800,"locktime":0,"vin":["#,
        "e".repeat(64)
    );
    for input in 0..INPUTS_A_TRANSACTION {
        let separator = if input == 0 { "" } else { "," };
        let generated = (place + input).is_multiple_of(40);
        let _ = write!(
            text,
            r#"{separator}{{"txid":"{}","vout":{input},"scriptSig":{{"asm":"","hex":""}},"txinwitness":["{witness}"],"prevout":{{"generated":{generated},"height":{},"value":1.25000000,"scriptPubKey":{{"asm":"0 {script}","desc":"addr(bc1q)#00","hex":"{script}","address":"bc1q","type":"witness_v0_keyhash"}}}},"sequence":4294967293}}"#,
            "f".repeat(64),
            800_000 + place
        );
    }
    let outputs = format!(
        r#"{{"value":2.49999000,"n":0,"scriptPubKey":{{"asm":"0 {script}","desc":"addr(bc1q)#00","hex":"{script}","address":"bc1q","type":"witness_v0_keyhash"}}}}"#
    );
    let hex = "ab".repeat((WITNESS_DIGITS / 2 + 41) * INPUTS_A_TRANSACTION + 80);
    let _ = write!(text, r#"],"vout":[{outputs},{outputs}],"fee":0.00002000,"hex":"{hex}"}}"#);
    text
}

/// What a client that keeps it simple would parse the same answer into.
mod typed {
    use serde::Deserialize;

    #[derive(Deserialize)]
    pub struct Answer {
        pub result: Block,
    }

    #[derive(Deserialize)]
    pub struct Block {
        pub tx: Vec<Transaction>,
    }

    #[derive(Deserialize)]
    pub struct Transaction {
        pub vin: Vec<Input>,
        pub vout: Vec<Output>,
    }

    #[derive(Deserialize)]
    pub struct Input {
        pub prevout: Option<Prevout>,
    }

    #[derive(Deserialize)]
    pub struct Prevout {
        pub generated: bool,
        pub height: u32,
        pub value: f64,
    }

    #[derive(Deserialize)]
    pub struct Output {
        pub value: f64,
    }
}

/// What the block spends of coinbases, in satoshi.
fn ours(pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> anyhow::Result<u64> {
    let hash = parse_block_hash(HASH).context("a constant")?;
    let mut reader = BlockReader::default();
    for piece in pieces {
        reader.push(piece.as_ref())?;
    }
    let wanted = Wanted { network: Network::Main, proof: Proof::Simulated, hash };
    let flow = reader.finish(&wanted)?.block.flow;
    Ok(flow.map_err(|fault| anyhow::anyhow!("{}: {}", fault.reason, fault.detail))?.spend())
}

/// The same by the typed parse, in BTC.
fn plain(body: &[u8]) -> anyhow::Result<f64> {
    let answer: typed::Answer = serde_json::from_slice(body)?;
    let transactions = &answer.result.tx;
    anyhow::ensure!(
        transactions
            .iter()
            .map(|transaction| transaction.vout.iter().map(|output| output.value).sum::<f64>())
            .sum::<f64>()
            > 0.0
    );
    let inputs =
        transactions.iter().flat_map(|transaction| &transaction.vin).filter_map(|input| input.prevout.as_ref());
    Ok(inputs.filter(|prevout| prevout.generated && prevout.height > 0).map(|prevout| prevout.value).sum())
}

/// A full block from its bytes to what it moves, against a typed parse of the same bytes.
pub fn measure_reading() -> anyhow::Result<Vec<Finding>> {
    let body: Vec<u8> = full_block().flat_map(String::into_bytes).collect();
    let megabytes = body.len() as f64 / 1e6;
    let (mut ours_rate, mut plain_rate) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let btc = plain(&body)?;
        plain_rate.push(megabytes / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let satoshi = ours(body.chunks(PIECE))?;
        ours_rate.push(megabytes / begun.elapsed().as_secs_f64());
        anyhow::ensure!(satoshi > 0 && (satoshi as f64 / 1e8 - btc).abs() < 1e-6, "{satoshi} sat and {btc} BTC");
    }
    let ratio = Ratio::of(&ours_rate, &plain_rate);
    let held = memory_of_a_block()?;
    Ok(vec![
        Finding {
            work: format!("getblock of verbosity 3 → flow, {INPUTS} inputs, {megabytes:.1} MB of JSON"),
            limit: format!("typed serde parse: {:.0} MB/s", median(&plain_rate)),
            measured: format!("{:.0} MB/s", median(&ours_rate)),
            ratio: Some(ratio),
            target: "≥ 0.7".to_owned(),
            met: Some(ratio.median >= 0.7),
        },
        Finding {
            work: "memory to read that block".to_owned(),
            limit: "a block of 4 MB".to_owned(),
            measured: format!("{held:.1} MB"),
            ratio: Some(Ratio::of(&[held], &[4.0])),
            target: "≤ 3".to_owned(),
            met: Some(held <= 12.0),
        },
    ])
}

/// In a process of its own, since the highest is kept for the life of one.
fn memory_of_a_block() -> anyhow::Result<f64> {
    let output = std::process::Command::new(std::env::current_exe()?).arg(MEMORY_CHILD).output()?;
    let text = String::from_utf8(output.stdout)?;
    text.trim().parse().with_context(|| format!("the child said {text:?}"))
}

/// Prints how much the highest memory grew by reading a full block, in MB.
pub fn memory_child() -> anyhow::Result<()> {
    // The first reading of all takes what the program needs anyway.
    ours(full_block().take(0).map(String::into_bytes)).unwrap_or_default();
    let before = memory_mb("self", "VmHWM")?;
    ours(full_block().map(String::into_bytes))?;
    println!("{:.2}", memory_mb("self", "VmHWM")? - before);
    Ok(())
}

/// A simulated node and a worker on a database.
struct Home {
    world: Arc<World>,
    now: Arc<AtomicI64>,
    deps: Deps,
    watched: Watched,
    stop: CancellationToken,
    _upstreams: Upstreams,
}

impl Home {
    fn new(database: &Scratch) -> anyhow::Result<Self> {
        let world = Arc::new(World::generate(1, Clock::System.now().day()));
        let begin = world.anchor.plus(-5).start();
        let now = Arc::new(AtomicI64::new(begin.micros()));
        let clock = Arc::clone(&now);
        let time = move || Timestamp::from_micros(clock.load(Ordering::SeqCst));
        let upstreams = Upstreams::start(Arc::clone(&world), Arc::new(time))?;
        let auth = Auth::Password { user: USER.to_owned(), password: ApiKey::new(PASSWORD.to_owned()) };
        let node = Node::new(upstreams.base(NODE).parse()?, auth, Duration::from_secs(30))?;
        let deps = Deps {
            pool: database.pool.clone(),
            http: Http::local(Limits::default())?,
            clock: Clock::System,
            holder: "bench".to_owned(),
            lease: Duration::from_mins(1),
        };
        let watched = Watched { node, network: Network::Main, proof: Proof::Simulated };
        Ok(Self { world, now, deps, watched, stop: CancellationToken::new(), _upstreams: upstreams })
    }

    fn tip(&self) -> u32 {
        self.world.tip(Timestamp::from_micros(self.now.load(Ordering::SeqCst))).unwrap_or_default()
    }
}

pub async fn measure(server: &ScratchServer) -> anyhow::Result<Vec<Finding>> {
    let database = server.create_database("bench_node").await?;
    let home = Home::new(&database)?;
    catch_up(&home.deps, &home.watched, &home.stop).await?;
    let mut findings = history(&home).await?;
    findings.extend(new_blocks(&home, &database).await?);
    drop(home);
    server.drop_database(database).await?;
    Ok(findings)
}

/// Blocks of history a second, the making of their answers included, and memory on the way.
async fn history(home: &Home) -> anyhow::Result<Vec<Finding>> {
    let last = home.tip() - 1_000;
    let stretch = Heights { first: last + 1 - HISTORY_BLOCKS, last };
    let (mut early, mut late) = (0.0, 0.0);
    let begun = Instant::now();
    let mut look = |height: u32, _| {
        let resident = memory_mb("self", "VmRSS").unwrap_or_default();
        if height < stretch.first + HISTORY_BLOCKS / 4 {
            early = resident;
        }
        late = resident;
    };
    let counts = backfill(&home.deps, &home.watched, stretch, &mut look, &home.stop).await?;
    let seconds = begun.elapsed().as_secs_f64();
    anyhow::ensure!(counts.stored > u64::from(HISTORY_BLOCKS), "{counts:?}");
    Ok(vec![Finding {
        work: format!("backfill of {HISTORY_BLOCKS} simulated blocks, the node in the same process"),
        limit: "–".to_owned(),
        measured: format!(
            "{:.0} blocks/s, {early:.0} MB resident at a quarter, {late:.0} MB at the end",
            f64::from(HISTORY_BLOCKS) / seconds
        ),
        ratio: None,
        target: "memory flat".to_owned(),
        met: Some(late < early + 16.0),
    }])
}

/// From the look at the node that shows a block to the answer of `/v1/flows` that has it, with a service that
/// looks for new batches as often as ours does.
async fn new_blocks(home: &Home, database: &Scratch) -> anyhow::Result<Vec<Finding>> {
    let (service, published) = service(database).await?;
    let (pool, serving) = (database.pool.clone(), CancellationToken::new());
    let (told, kept) = (serving.clone(), Arc::clone(&published));
    let refreshing = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(SERVED_EVERY);
        while !told.is_cancelled() {
            ticks.tick().await;
            let _ = kept.refresh(&pool, &Clock::System).await;
        }
    });
    let mut follower = Follower::new(home.deps.clone(), home.watched.clone());
    let (mut stored, mut served) = (Vec::new(), Vec::new());
    while stored.len() < NEW_BLOCKS as usize {
        let next = home.world.block(home.tip() + 1).context("the world goes on")?;
        let found = Timestamp::from_epoch_seconds(next.found).context("a time")?;
        home.now.store(found.plus(Span::SECOND).micros(), Ordering::SeqCst);
        let begun = Instant::now();
        let step = follower.look(&home.stop).await?;
        anyhow::ensure!(matches!(step, Step::Moved { .. }), "{step:?}");
        stored.push(begun.elapsed().as_secs_f64());
        let wanted = format!("\"height\":{}", home.tip());
        while !String::from_utf8_lossy(&body_of(&service, "/v1/flows").await?).contains(&wanted) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        served.push(begun.elapsed().as_secs_f64());
    }
    serving.cancel();
    refreshing.await?;
    let (p50, p99) = (percentile(&mut served, 50), percentile(&mut served, 99));
    let stored = (percentile(&mut stored, 50), percentile(&mut stored, 99));
    Ok(vec![Finding {
        work: format!("own node: look that shows a block → its value in /v1/flows, {NEW_BLOCKS} blocks"),
        limit: format!("stored: p50 {:.0} ms, p99 {:.0} ms", stored.0 * 1e3, stored.1 * 1e3),
        measured: format!("p50 {:.0} ms, p99 {:.0} ms", p50 * 1e3, p99 * 1e3),
        ratio: None,
        target: "p99 < 250 ms".to_owned(),
        met: Some(p99 < 0.25),
    }])
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

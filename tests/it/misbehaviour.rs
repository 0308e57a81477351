//! Every way in which an upstream can misbehave, and what is seen of it: the table of
//! docs/misbehaviour.md is what these tests saw.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use miner_signals::clock::Clock;
use miner_signals::domain::time::Span;
use miner_signals::simulated::Misbehaviour;
use miner_signals::simulated::upstreams::{SIMULATED_KEY, SOURCES};
use serde_json::Value;

use crate::harness::{Api, Directory, TestDatabase};
use crate::upstream::Surroundings;

/// A source that misbehaves while the others do not, and what is looked at.
#[derive(Debug, Clone, Copy)]
struct Subject {
    source: &'static str,
    feed: &'static str,
    metric: &'static str,
    /// What the page calls it.
    heading: &'static str,
}

/// The format of Coinbase stands for all that are read without a key.
const SUBJECTS: [Subject; 3] = [
    Subject { source: "coinbase", feed: "days", metric: "price_usd", heading: "Coinbase, for all without a key" },
    Subject { source: "cryptoquant", feed: "outflow", metric: "miner_outflow_btc", heading: "CryptoQuant" },
    Subject { source: "glassnode", feed: "outflow", metric: "miner_outflow_btc", heading: "Glassnode" },
];

/// A source that behaves is done well before the deadline of one that does not.
const ON_TIME: Duration = Duration::from_millis(2_500);

/// What was seen of one misbehaviour.
#[derive(Debug)]
struct Seen {
    name: String,
    state: String,
    reason: String,
    /// What became of the values that were there before.
    values: &'static str,
    quarantined: bool,
}

impl Seen {
    fn row(&self) -> String {
        let quarantined = if self.quarantined { "yes" } else { "no" };
        format!("| {} | `{}` | {} | {} | {quarantined} |", self.name, self.state, self.reason, self.values)
    }
}

/// The served values of the source, newest last: date, value, revision.
async fn values_of(api: &Api, subject: Subject) -> Vec<(String, f64, i64)> {
    let Subject { source, metric, .. } = subject;
    let answer = api.json(&format!("/v1/series/{metric}?source={source}&last=12")).await;
    let rows = answer["data"].as_array().unwrap().iter();
    rows.map(|row| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("date"), row["value"].as_f64().unwrap(), row["revision"].as_i64().unwrap())
    })
    .collect()
}

async fn source_state(api: &Api, source: &str) -> Value {
    api.published.ledger.refresh(&api.pool).await.unwrap();
    let sources = api.json("/v1/sources").await;
    sources["data"].as_array().unwrap().iter().find(|row| row["source"] == source).unwrap().clone()
}

/// The state of the feed whose values are looked at.
async fn feed_state(api: &Api, subject: Subject) -> Value {
    let source = source_state(api, subject.source).await;
    source["feeds"].as_array().unwrap().iter().find(|row| row["feed"] == subject.feed).unwrap().clone()
}

async fn see(subject: Subject, misbehaviour: Misbehaviour) -> Seen {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    let name = match misbehaviour {
        Misbehaviour::TooManyRequests { retry_after: Some(seconds) } => {
            format!("{}, `Retry-After: {seconds}`", misbehaviour.name())
        }
        _ => misbehaviour.name().to_owned(),
    };
    around.run_all().await;
    let clock = Clock::manual(Clock::System.now());
    let api = Api::new(database.pool.clone(), clock.clone());
    api.refresh().await;
    let before = values_of(&api, subject).await;
    assert_eq!(feed_state(&api, subject).await["state"], "ok", "{name}: before");

    around.misbehave(subject.source, Some(misbehaviour));
    around.make_due().await;
    for (source, took) in around.run_all().await {
        assert!(source == subject.source || took < ON_TIME, "{name}: {source} waited {took:?} for another");
    }
    for other in SOURCES.into_iter().filter(|other| *other != subject.source) {
        assert_ne!(source_state(&api, other).await["state"], "failing", "{name}: {other}");
    }
    api.refresh().await;
    let state = feed_state(&api, subject).await;
    check_doctor(&doctor(&database).await, subject, &state, &name);
    let during = values_of(&api, subject).await;
    let values = match (during == before, during.len() == before.len()) {
        (true, _) => "kept, and age",
        (false, true) if during.iter().all(|(_, _, revision)| *revision <= 1) => "revised, seen from then on",
        _ => panic!("{name}: {before:?} became {during:?}"),
    };
    // Days pass; what is kept is said to be old.
    clock.advance(Span::DAY.times(3));
    api.refresh().await;
    let Subject { source, metric, .. } = subject;
    let old = api.json(&format!("/v1/series/{metric}?source={source}&last=1")).await;
    assert_eq!(old["meta"]["stale"], true, "{name}");
    assert_eq!(values_of(&api, subject).await.last(), during.last(), "{name}: the last good value stays");

    around.misbehave(source, None);
    around.make_due().await;
    around.run_all().await;
    let after = feed_state(&api, subject).await;
    assert_eq!((&after["state"], &after["failures"]), (&Value::from("ok"), &Value::from(0)), "{name}: recovers");
    let quarantined: i64 = sqlx::query_scalar("select count(*) from quarantine where source = $1")
        .bind(source)
        .fetch_one(&database.pool)
        .await
        .unwrap();
    Seen {
        name,
        state: state["state"].as_str().unwrap().to_owned(),
        reason: state["reason"].as_str().map_or_else(|| "none".to_owned(), |reason| format!("`{reason}`")),
        values,
        quarantined: quarantined > 0,
    }
}

/// `doctor` shows what `/v1/sources` showed, as long as it is so.
fn check_doctor(doctor: &str, subject: Subject, state: &Value, name: &str) {
    let what = format!("{} {} ", subject.source, subject.feed);
    let line = doctor.lines().find(|line| line.contains(&what)).unwrap();
    let (shown, reason) = (state["state"].as_str().unwrap(), state["reason"].as_str().unwrap_or_default());
    assert!(line.contains(shown) && line.contains(reason) && line.contains("last success 20"), "{name}: {line}");
    assert_eq!(line.starts_with("ok"), shown == "ok", "{name}: {line}");
}

async fn doctor(database: &TestDatabase) -> String {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_miner-signals"));
    command.arg("doctor").env("DATABASE_URL", database.url());
    command.env("CRYPTOQUANT_API_KEY", SIMULATED_KEY).env("GLASSNODE_API_KEY", SIMULATED_KEY);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "one source that fails is nothing that is needed");
    String::from_utf8(output.stdout).unwrap()
}

const HEADER: &str = "\
# When an upstream misbehaves

Written by a test (`tests/it/misbehaviour.rs`), which makes one simulated source misbehave in each of these ways while
the others do not, and looks at `/v1/sources` (`doctor` prints the same), at the values served, and at the quarantine.
In every case the other sources were read on time, the values went stale when their time was over, and the source was
`ok` again after its first good answer.
";

const TABLE: &str = "
| the upstream's answers | state | reason | values stored before | quarantined |
| --- | --- | --- | --- | --- |
";

const FOOTER: &str = "
`failing`: nothing of the answer was used, and the feed is asked again after a wait that grows (`worker/retry.rs`).
`quarantining`: the rest of the answer was used. `gaps`: periods are missing inside the answer; an absent period is never
taken as a withdrawal.

Flows of miners have no largest step from day to day: one that is 1,000 times as large is out of the metric's range.

A worker whose eight sources all answer with a gzip bomb, and then with bodies of 1 GiB, stays within 64 MiB of the memory
it has when idle (the same file, `memory_is_bounded_whatever_is_sent`).
";

#[tokio::test(flavor = "multi_thread")]
async fn every_misbehaviour_is_seen_and_harms_nothing_else() {
    let mut page = HEADER.to_owned();
    let mut kinds = vec![Misbehaviour::TooManyRequests { retry_after: None }];
    kinds.extend(Misbehaviour::ALL);
    for subject in SUBJECTS {
        write!(page, "\n## {}\n{TABLE}", subject.heading).unwrap();
        for chunk in kinds.chunks(3) {
            for seen in futures::future::join_all(chunk.iter().map(|&misbehaviour| see(subject, misbehaviour))).await {
                writeln!(page, "{}", seen.row()).unwrap();
            }
        }
    }
    page.push_str(FOOTER);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/misbehaviour.md");
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(page, written, "run the test with WRITE_DOCS=1 to renew docs/misbehaviour.md, and read what changed");
}

/// Resident bytes of a process.
fn resident(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_whatever_is_sent() {
    const ALLOWED: u64 = 64 << 20;
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    let directory = Directory::new("memory");
    let log = std::fs::File::create(directory.0.join("log")).unwrap();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_miner-signals"));
    worker.arg("worker").env("DATABASE_URL", database.url()).stdout(Stdio::null()).stderr(log);
    worker.env("CRYPTOQUANT_API_KEY", SIMULATED_KEY).env("GLASSNODE_API_KEY", SIMULATED_KEY);
    for source in SOURCES {
        let variable = format!("MINER_SIGNALS_{}_URL", source.to_uppercase());
        worker.env(variable, around.upstreams.base(source));
    }
    let mut worker = worker.spawn().unwrap();
    let until = async |query: &'static str| {
        let begun = Instant::now();
        while !sqlx::query_scalar::<_, bool>(query).fetch_one(&database.pool).await.unwrap() {
            assert!(begun.elapsed() < Duration::from_mins(1), "{query}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until("select count(*) = 17 from feed_state").await;
    // What it takes to write down the first snapshot is not of the answers.
    until("select coalesce((select batch from indicator_current_state), 0) >= (select batch from head)").await;
    let idle = resident(worker.id());
    let mut most = idle;
    for (misbehaviour, reason) in [(Misbehaviour::GzipBomb, "too_large"), (Misbehaviour::HugeBody, "too_large")] {
        for source in SOURCES {
            around.misbehave(source, Some(misbehaviour));
        }
        sqlx::query("update feed_state set next_due_at = now(), state = 'ok', reason = null")
            .execute(&database.pool)
            .await
            .unwrap();
        let begun = Instant::now();
        loop {
            most = most.max(resident(worker.id()));
            let failing: i64 = sqlx::query_scalar("select count(distinct source) from feed_state where reason = $1")
                .bind(reason)
                .fetch_one(&database.pool)
                .await
                .unwrap();
            if failing == 8 {
                break;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "{failing} of 8 after {misbehaviour:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
    println!("idle {} MiB, most {} MiB", idle >> 20, most >> 20);
    assert!(most - idle < ALLOWED, "from {} to {} MiB", idle >> 20, most >> 20);
}

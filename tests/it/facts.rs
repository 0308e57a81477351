//! Tables of facts: loaded once, corrected without a change of the past, refused as a whole.

use std::path::Path;
use std::process::{Command, Output};

use miner_signals::domain::facts::Fact;
use miner_signals::domain::observation::Moment;
use miner_signals::domain::pools::{Pools, attribute};
use miner_signals::domain::time::{Day, Timestamp};
use miner_signals::sources::facts::{TableFile, read_tables, shipped_facts};
use miner_signals::store::database::Mode;
use miner_signals::store::fact::FactCounts;
use miner_signals::store::stored::Stored;
use miner_signals::worker::facts::load_facts;
use miner_signals::worker::migrate::migrate;

use crate::harness::{Directory, TestDatabase};

const HEADER: &str = "observed_on,efficiency_j_per_th,known_at,publisher,title,source,note";

/// A table of averages, of rows like `2024-06-30,28.2,2025-04-28`.
fn table(rows: &[&str]) -> String {
    let rows = rows.iter().map(|row| format!("{row},Somebody,A report,https://example.com/a,\n"));
    format!("{HEADER}\n{}", rows.collect::<String>())
}

fn averages(rows: &[&str]) -> Vec<Fact> {
    let bytes = table(rows).into_bytes();
    read_tables(&[TableFile { name: "network_efficiency.csv".to_owned(), bytes }], instant("2026-01-01T00:00:00Z"))
        .unwrap()
}

fn instant(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

async fn load(database: &TestDatabase, facts: &[Fact]) -> FactCounts {
    load_facts(&mut database.pool.acquire().await.unwrap(), facts).await.unwrap()
}

async fn read(database: &TestDatabase) -> Stored {
    Stored::read(&mut database.pool.acquire().await.unwrap()).await.unwrap()
}

/// The average of a day as a moment shows it.
fn shown(stored: &Stored, day: &str, at: &str, batch: i64) -> Option<f64> {
    let moment = Moment { at: instant(at), batch };
    let day = Day::parse(day).unwrap();
    let found =
        stored.facts.network_efficiency_at(day.end(), moment).map(|found| found.row.fields().efficiency_j_per_th);
    assert_eq!(stored.facts.network_efficiency_column(day, 1, moment), [found], "{day:?} at {at} in {batch}");
    found
}

/// A database with rules, in batch 1, and no facts.
async fn without_facts() -> TestDatabase {
    let database = TestDatabase::new().await;
    let statements = "alter table fact disable trigger user; delete from fact; alter table fact enable trigger user";
    sqlx::raw_sql(statements).execute(&database.pool).await.unwrap();
    database
}

#[tokio::test]
async fn a_newcomer_has_the_shipped_tables_without_a_command() {
    let database = TestDatabase::new().await;
    let stored = read(&database).await;
    assert_eq!(stored.head.number, 1, "rules and facts are one batch");
    let at = Moment { at: instant("2026-01-01T00:00:00Z"), batch: 1 };
    assert!(!stored.facts.asic_models(at).is_empty());
    assert_eq!(shown(&stored, "2024-07-01", "2026-01-01T00:00:00Z", 1), Some(34.0), "as known on the day");
    assert_eq!(shown(&stored, "2025-06-01", "2026-01-01T00:00:00Z", 1), Some(28.2));

    migrate(&database.pool, Mode::Live).await.unwrap();
    let counts = load(&database, &shipped_facts()).await;
    assert_eq!((counts.stored, counts.unchanged, counts.absent), (0, counts.read, 0));
    assert_eq!(read(&database).await.head.number, 1, "nothing new is no batch");
}

#[tokio::test]
async fn an_efficiency_is_shown_from_its_publication_and_its_batch_on() {
    let database = without_facts().await;
    let rows = ["2023-12-31,34,2024-01-25T12:00:00Z", "2024-06-30,28.2,2025-04-28"];
    assert_eq!(load(&database, &averages(&rows[..1])).await.stored, 1);
    let earlier = read(&database).await;
    assert_eq!(load(&database, &averages(&rows)).await, FactCounts { read: 2, stored: 1, unchanged: 1, absent: 0 });
    let stored = earlier.read_on(&mut database.pool.acquire().await.unwrap()).await.unwrap();
    for stored in [&stored, &read(&database).await] {
        let late = "2026-01-01T00:00:00Z";
        let cases = [
            ("2024-01-24", late, 3, None),
            ("2024-01-25", late, 3, Some(34.0)),
            ("2024-01-25", "2024-01-25T11:59:59Z", 3, None),
            ("2024-01-25", "2024-01-25T12:00:00Z", 3, Some(34.0)),
            ("2024-12-31", late, 3, Some(34.0)),
            ("2025-04-28", late, 3, Some(28.2)),
            ("2025-04-28", late, 2, Some(34.0)),
            ("2025-05-28", "2025-04-28T23:59:59Z", 3, Some(34.0)),
            ("2025-05-28", late, 1, None),
        ];
        for (day, at, batch, expected) in cases {
            assert_eq!(shown(stored, day, at, batch), expected, "{day} at {at} in {batch}");
        }
    }
}

#[tokio::test]
async fn a_correction_changes_no_past_view() {
    let database = without_facts().await;
    load(&database, &averages(&["2024-06-30,28.2,2025-04-28"])).await;
    let corrected = averages(&["2024-06-30,27.5,2025-04-28"]);
    assert_eq!(load(&database, &corrected).await.stored, 1);
    assert_eq!(load(&database, &corrected).await.unchanged, 1, "twice is without effect");
    let stored = read(&database).await;
    assert_eq!(stored.head.number, 3);
    let recorded_at = stored.head.recorded_at.to_string();
    let today = stored.head.recorded_at.day().to_string();
    for batch in [2, 3] {
        assert_eq!(shown(&stored, "2025-06-01", "2025-07-01T00:00:00Z", batch), Some(28.2), "batch {batch}");
    }
    assert_eq!(shown(&stored, &today, &recorded_at, 2), Some(28.2), "a permanent link stays");
    assert_eq!(shown(&stored, &today, &recorded_at, 3), Some(27.5));
    assert_eq!(shown(&stored, "2025-06-01", &recorded_at, 3), Some(28.2), "nobody knew better on that day");

    let back = load(&database, &averages(&["2024-06-30,28.2,2025-04-28"])).await;
    assert_eq!(back.stored, 1, "a correction can be taken back");
    let gone = load(&database, &averages(&["2023-12-31,34,2024-01-25"])).await;
    assert_eq!((gone.stored, gone.absent), (1, 1), "a row that the file no longer has stays");
}

#[tokio::test]
async fn a_restart_does_not_undo_a_correction_of_a_shipped_row() {
    let database = TestDatabase::new().await;
    let shipped = "2024-06-30,28.2,2025-04-28";
    load(&database, &averages(&[&shipped.replace("28.2", "27.5")])).await;
    migrate(&database.pool, Mode::Live).await.unwrap();
    let stored = read(&database).await;
    assert_eq!(stored.head.number, 2);
    let now = stored.head.recorded_at;
    assert_eq!(shown(&stored, &now.day().to_string(), &now.to_string(), 2), Some(27.5));
}

/// Rows of pools, like `viabtc,ViaBTC,tag,/ViaBTC/,2021-05-17`.
fn pool_rows(rows: &[&str]) -> Vec<Fact> {
    let rows = rows.iter().map(|row| format!("{row},https://example.com/p,a note\n"));
    let bytes = format!("slug,name,kind,value,known_at,source,note\n{}", rows.collect::<String>()).into_bytes();
    read_tables(&[TableFile { name: "pools.csv".to_owned(), bytes }], instant("2026-01-01T00:00:00Z")).unwrap()
}

/// Slug and name of who mined a block with a script, as a moment shows it.
fn pool_shown(stored: &Stored, script: &[u8], at: &str, batch: i64) -> Option<(String, String)> {
    let pools = Pools::at(&stored.facts, Moment { at: instant(at), batch });
    attribute(&pools, script, std::iter::empty()).pool().map(|pool| (pool.slug.clone(), pool.name.clone()))
}

#[tokio::test]
async fn pools_are_shipped_and_a_correction_of_one_changes_no_past_view() {
    let database = TestDatabase::new().await;
    let script = b"\x03\x90\x12\x0d\x18/ViaBTC/Mined by asdl17/,";
    let via = |slug: &str, name: &str| Some((slug.to_owned(), name.to_owned()));
    let late = "2026-01-01T00:00:00Z";
    let shipped = read(&database).await;
    assert_eq!(pool_shown(&shipped, script, late, 1), via("viabtc", "ViaBTC"));
    assert_eq!(pool_shown(&shipped, script, "2021-05-17T23:59:59Z", 1), None, "a day counts from its end");

    let rows = ["other,Other,tag,/ViaBTC/,2021-05-17", "viabtc,Via,tag,viabtc.com deploy,2025-06-01"];
    assert_eq!(load(&database, &pool_rows(&rows)).await.stored, 2);
    assert_eq!(load(&database, &pool_rows(&rows)).await.unchanged, 2, "twice is without effect");
    migrate(&database.pool, Mode::Live).await.unwrap();
    let stored = shipped.read_on(&mut database.pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(stored.head.number, 2);
    for stored in [&stored, &read(&database).await] {
        let now = stored.head.recorded_at.to_string();
        assert_eq!(pool_shown(stored, script, &now, 1), via("viabtc", "ViaBTC"), "a permanent link stays");
        assert_eq!(pool_shown(stored, script, late, 2), via("viabtc", "Via"), "the tag was not corrected then");
        assert_eq!(pool_shown(stored, script, &now, 2), via("other", "Other"));
        assert_eq!(pool_shown(stored, b"viabtc.com deploy", &now, 2), via("viabtc", "Via"));
    }
}

#[tokio::test]
async fn stored_facts_cannot_be_changed() {
    let database = TestDatabase::new().await;
    for statement in ["update fact set known_at = now()", "delete from fact", "truncate fact"] {
        let error = sqlx::raw_sql(statement).execute(&database.pool).await.unwrap_err();
        assert!(error.to_string().contains("never changed or removed"), "{statement}: {error}");
    }
}

fn run(arguments: &[&str], directory: Option<&Path>, url: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_miner-signals"));
    command.arg("facts").args(arguments).args(directory).env_remove("DATABASE_URL");
    if let Some(url) = url {
        command.env("DATABASE_URL", url);
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn check_needs_no_database() {
    let output = run(&["check"], None, None);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), format!("{} rows in 15 files, no error\n", shipped_facts().len()));

    let directory = Directory::new("facts-check");
    let output = run(&["check"], Some(&directory.0), None);
    assert_eq!(output.status.code(), Some(1), "a directory without tables");
    assert!(text(&output.stderr).contains("no .csv file"), "{}", text(&output.stderr));

    directory.file("network_efficiency.csv", &table(&["2024-06-30,28.2 J/TH,2025-04-28", "2024-06-31,28,2025-04-28"]));
    directory.file("prices.csv", "a,b\n");
    let output = run(&["check"], Some(&directory.0), None);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let lines: Vec<&str> = text(&output.stderr).lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, start) in lines.iter().zip([
        "network_efficiency.csv:2: efficiency_j_per_th: found \"28.2 J/TH\"; ",
        "network_efficiency.csv:3: observed_on: found \"2024-06-31\"; ",
        "prices.csv:1: ",
    ]) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[tokio::test]
async fn an_error_anywhere_loads_nothing() {
    let database = TestDatabase::empty().await;
    let url = database.url();
    let directory = Directory::new("facts-load");
    let good = table(&["2019-06-30,60,2019-07-01"]);
    directory.file("network_efficiency.csv", &good);
    directory.file("asic_models.csv", "model_id\nm-1\n");
    let output = run(&["load"], Some(&directory.0), Some(&url));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("asic_models.csv:1: "), "{}", text(&output.stderr));
    let stored: i64 = sqlx::query_scalar("select count(*) from fact").fetch_one(&database.pool).await.unwrap();
    assert_eq!(stored, 0);

    // The release's rows come before those of the file.
    std::fs::remove_file(directory.0.join("asic_models.csv")).unwrap();
    for expected in ["1 rows read: 1 stored, 0 unchanged\n", "1 rows read: 0 stored, 1 unchanged\n"] {
        let output = run(&["load"], Some(&directory.0), Some(&url));
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with(expected), "{}", text(&output.stdout));
        assert!(text(&output.stdout).contains("they stay"), "{}", text(&output.stdout));
    }
    assert_eq!(read(&database).await.head.number, 2, "the release's rows, then the file's");
}

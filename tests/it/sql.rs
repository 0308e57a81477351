//! What SQL users meet: the views of `api_v1`, the cache behind them, and the role that reads them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use miner_signals::domain::catalog::find_metric;
use miner_signals::domain::time::{Day, Span};
use miner_signals::worker::publish::Publisher;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, PgConnection, PgPool, Row as _, TypeInfo as _,
};

use crate::harness::{TestDatabase, network_days, value, withdrawn};
use crate::upstream::Surroundings;

const VIEWS: [&str; 10] = [
    "batch",
    "indicator",
    "latest",
    "metric",
    "observation",
    "observation_version",
    "published",
    "series",
    "source_state",
    "status",
];

/// A database with history, revisions and what the simulated sources say, published.
async fn filled() -> (TestDatabase, Surroundings) {
    let database = TestDatabase::new().await;
    let mut days = network_days("2019-01-01", 450);
    days.extend((0..450).map(|day| {
        let date = Day::parse("2019-01-01").unwrap().plus(day).to_string();
        value("difficulty", "coinmetrics", &date, 1e13 + 1e10 * f64::from(day), None)
    }));
    database.append(&days).await;
    database.append(&[value("price_usd", "coinmetrics", "2019-03-01", 3_850.5, None)]).await;
    let around = Surroundings::new(&database);
    around.run_all().await;
    publish(&around).await;
    (database, around)
}

async fn publish(around: &Surroundings) {
    let mut publisher = Publisher::begin(&around.deps).await.unwrap().unwrap();
    publisher.catch_up(&around.deps).await.unwrap();
    publisher.end(&around.deps).await;
}

async fn one<T>(pool: &PgPool, query: &'static str) -> T
where
    T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
{
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

/// Runs `keys` on the database, with something on standard input; gives code, output and messages.
fn keys(options: &PgConnectOptions, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_miner-signals"));
    command.arg("keys").args(arguments).env_remove("MINER_SIGNALS_DATA_DIR");
    command.env("DATABASE_URL", options.to_url_lossy().as_str());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Makes a reader and connects as it, by the address that was printed.
async fn reader(database: &TestDatabase, name: &str) -> PgConnection {
    let (code, address, note) = keys(&database.options, &["reader", name], "");
    assert_eq!(code, Some(0), "{note}");
    connect(address.trim_end()).await.unwrap()
}

async fn connect(address: &str) -> sqlx::Result<PgConnection> {
    PgConnection::connect_with(&address.parse::<PgConnectOptions>().unwrap()).await
}

/// The code of the error with which the server refuses a statement.
async fn refusal(connection: &mut PgConnection, statement: &str) -> Option<String> {
    let outcome = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await;
    outcome.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()))
}

#[tokio::test]
async fn every_view_and_every_column_of_it_says_what_it_is() {
    let database = TestDatabase::new().await;
    let views: Vec<String> =
        sqlx::query_scalar("select viewname::text from pg_views where schemaname = 'api_v1' order by 1")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(views, VIEWS);
    let silent: Vec<String> = sqlx::query_scalar(
        "select relname || '.' || attname from pg_class
         join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
         where relnamespace = 'api_v1'::regnamespace
             and (col_description(pg_class.oid, attnum) is null or obj_description(pg_class.oid, 'pg_class') is null)",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(silent, Vec::<String>::new());
    // Arrays and composites become text in dashboards, and times without zone are misread.
    let unfit: Vec<String> = sqlx::query_scalar(
        "select concat_ws(' ', table_name, column_name, data_type) from information_schema.columns
         where table_schema = 'api_v1'
             and data_type not in ('text', 'bigint', 'integer', 'double precision', 'boolean', 'timestamp with time zone')",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(unfit, Vec::<String>::new());
    let on_time: i64 = one(
        &database.pool,
        "select count(*) from information_schema.columns where table_schema = 'api_v1' and column_name = 'time'
             and data_type = 'timestamp with time zone'",
    )
    .await;
    assert_eq!(on_time, 8, "all but the catalog and the state of sources");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_reads_the_views_and_nothing_else() {
    let (database, _around) = filled().await;
    let mut reader = reader(&database, "views").await;
    for view in VIEWS {
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {view}")))
            .fetch_one(&mut reader)
            .await
            .unwrap();
        assert!(rows > 0, "{view} has rows");
    }
    let tables: Vec<String> = sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public'")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert!(tables.len() >= 18, "{tables:?}");
    for table in tables {
        let denied = refusal(&mut reader, &format!("select from public.{table}")).await;
        assert_eq!(denied.as_deref(), Some("42501"), "{table}");
    }
    assert_eq!(refusal(&mut reader, "select from pg_authid").await.as_deref(), Some("42501"));
    let writes = [
        "insert into api_v1.metric (metric, unit, kind, method, definition) values ('x', 'x', 'x', 'x', 'x')",
        "update api_v1.metric set unit = 'x'",
        "delete from api_v1.source_state",
        "delete from public.indicator_current",
        "create table api_v1.mine (a int)",
        "create table public.mine (a int)",
        "create role mine",
        "create database mine",
    ];
    for write in writes {
        let refused = refusal(&mut reader, write).await;
        assert!(
            refused.as_deref().is_some_and(|code| ["25006", "42501", "25001", "55000"].contains(&code)),
            "{write}: {refused:?}"
        );
    }
    // What a session can lift is a limit; rights it has none.
    sqlx::raw_sql("set default_transaction_read_only = off; set statement_timeout = 0")
        .execute(&mut reader)
        .await
        .unwrap();
    for write in writes {
        let refused = refusal(&mut reader, write).await;
        assert!(refused.as_deref().is_some_and(|code| ["42501", "55000"].contains(&code)), "{write}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_limited_renewed_and_revoked() {
    let database = TestDatabase::new().await;
    let options = &database.options;
    let mut first = reader(&database, "limited").await;
    for (setting, expected) in [
        ("default_transaction_read_only", "on"),
        ("statement_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("TimeZone", "UTC"),
    ] {
        let found: String =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&mut first).await.unwrap();
        assert_eq!(found, expected, "{setting}");
    }
    let limits: (i32, bool, bool, bool, bool) = sqlx::query_as(
        "select rolconnlimit, rolsuper, rolcreaterole, rolcreatedb, rolreplication from pg_roles
         where rolname = 'miner_signals_reader_limited'",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(limits, (10, false, false, false, false));
    let stored: String =
        one(&database.pool, "select rolpassword from pg_authid where rolname = 'miner_signals_reader_limited'").await;
    assert!(stored.starts_with("SCRAM-SHA-256$4096:"), "no password is stored");

    let (code, address, note) = keys(options, &["reader", "limited", "--password-stdin"], "correct horse battery\n");
    assert_eq!(code, Some(0), "{note}");
    assert!(note.contains("has a new password"), "{note}");
    let address = address.trim_end();
    assert!(!address.contains("horse"), "a password that was given is not shown");
    let with_password = |password: &str| address.replace('@', &format!(":{password}@"));
    assert!(connect(&with_password("correct%20horse%20battery")).await.is_ok(), "{address}");
    assert!(connect(&with_password("another")).await.is_err());

    let (_, list, _) = keys(options, &["list"], "");
    assert!(list.contains("miner_signals_reader_limited"), "{list}");
    let other = TestDatabase::new().await;
    assert!(!keys(&other.options, &["list"], "").1.contains("miner_signals_reader_limited"));
    let (code, _, error) = keys(&other.options, &["reader", "limited"], "");
    assert_eq!((code, error.lines().count()), (Some(1), 1));
    assert!(error.contains("choose another name"), "{error}");

    let (code, _, note) = keys(options, &["reader", "limited", "--revoke"], "");
    assert_eq!(code, Some(0), "{note}");
    assert!(connect(&with_password("correct%20horse%20battery")).await.is_err());
    assert!(refusal(&mut first, "select from api_v1.metric").await.is_some(), "an open session reads nothing more");
    let (code, _, error) = keys(options, &["reader", "limited", "--revoke"], "");
    assert_eq!(code, Some(1));
    assert!(error.contains("there is no role"), "{error}");

    for wrong in [&["reader", "Bad-Name"][..], &["reader", "a", "--revoke", "--password-stdin"]] {
        assert_eq!(keys(options, wrong, "").0, Some(2), "{wrong:?}");
    }
    let (code, _, error) = keys(options, &["reader", "short", "--password-stdin"], "short\n");
    assert_eq!(code, Some(1));
    assert!(error.contains("12 to 128"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_make_roles_is_told_so() {
    let database = TestDatabase::new().await;
    sqlx::raw_sql(
        "create role test_plain_owner login password 'plain'; grant pg_read_all_data to test_plain_owner;
         create role test_other_maker login createrole password 'plain'; grant pg_read_all_data to test_other_maker",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    for (role, part) in
        [("test_plain_owner", "alter role test_plain_owner createrole"), ("test_other_maker", "connect as")]
    {
        let options = database.options.clone().username(role).password("plain");
        let (code, _, error) = keys(&options, &["reader", "nobody"], "");
        assert_eq!((code, error.lines().count()), (Some(1), 1), "{error}");
        assert!(error.contains(part), "{error}");
    }
    // An owner that is no superuser needs to make roles, and of a server where somebody else made the
    // group to give it on.
    assert_eq!(keys(&database.options, &["reader", "first"], "").0, Some(0));
    sqlx::raw_sql(
        "grant miner_signals_reader to test_other_maker with admin option;
         alter schema api_v1 owner to test_other_maker;
         do $$
         declare found record;
         begin
             for found in select viewname from pg_views where schemaname = 'api_v1' loop
                 execute format('alter view api_v1.%I owner to test_other_maker', found.viewname);
             end loop;
         end
         $$",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let options = database.options.clone().username("test_other_maker").password("plain");
    let (code, address, note) = keys(&options, &["reader", "second"], "");
    assert_eq!(code, Some(0), "{note}");
    let mut second = connect(address.trim_end()).await.unwrap();
    let metrics: i64 = sqlx::query_scalar("select count(*) from api_v1.metric").fetch_one(&mut second).await.unwrap();
    assert!(metrics > 10);
}

/// A row as the API and as SQL give it.
fn served(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or("-").trim_end_matches('Z').to_owned();
    let number = row["value"].as_f64().map_or_else(|| "null".to_owned(), |value| format!("{value:e}"));
    let known = text("known_at");
    let known = known.split('.').next().unwrap_or_default();
    format!("{} {number} {} {known} {} {}", text("date"), text("reason"), row["revision"], text("source"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_series_are_those_that_the_api_serves() {
    let (database, around) = filled().await;
    database.append(&[withdrawn("price_usd", "coinmetrics", "2019-05-01", "vendor error")]).await;
    publish(&around).await;
    let rows = sqlx::query(
        "select metric, to_char(time, 'YYYY-MM-DD') as date, period_end - time as length, value, reason, revision, source,
             to_char(known_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') as known_at
         from api_v1.series where subject = 'btc' order by metric, time",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let mut of_sql: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows {
        let row = serde_json::json!({
            "metric": row.get::<String, _>("metric"), "date": row.get::<String, _>("date"),
            "value": row.get::<Option<f64>, _>("value"), "reason": row.get::<Option<String>, _>("reason"),
            "revision": row.get::<i32, _>("revision"), "source": row.get::<String, _>("source"),
            "known_at": row.get::<Option<String>, _>("known_at"),
        });
        of_sql.entry(row["metric"].as_str().unwrap().to_owned()).or_default().push(served(&row));
    }
    assert!(of_sql.len() >= 15 && rows.len() > 5_000, "{} metrics, {} rows", of_sql.len(), rows.len());
    let api = database.api().await;
    for (metric, rows) in &of_sql {
        let of_api = api.json(&format!("/v1/series/{metric}?flat=true")).await;
        let of_api: Vec<String> = of_api.as_array().unwrap().iter().map(served).collect();
        assert_eq!(rows.len(), of_api.len(), "{metric}");
        for (of_sql, of_api) in rows.iter().zip(&of_api) {
            assert_eq!(of_sql, of_api, "{metric}");
        }
    }
    let withdrawn = &of_sql["price_usd"];
    assert!(withdrawn.iter().any(|row| row.starts_with("2019-05-01")), "a period without value has its row");
    let unit: bool = one(
        &database.pool,
        "select bool_and(series.unit = metric.unit and series.derived = (metric.method is not null) and not simulated
             and period_end = time + interval '24 hours') from api_v1.series join api_v1.metric using (metric)",
    )
    .await;
    assert!(unit);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changed_is_written_and_the_state_says_for_which_snapshot() {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 60)).await;
    let around = Surroundings::new(&database);
    let mut publisher = Publisher::begin(&around.deps).await.unwrap().unwrap();
    publisher.catch_up(&around.deps).await.unwrap();
    let state = "select batch from indicator_current_state where (batch, k) = (
                     select batch, k from publication order by batch desc, k desc limit 1)
                     and row_count = (select count(*) from indicator_current)";
    let first: i64 = one(&database.pool, state).await;
    let rows: i64 = one(&database.pool, "select count(*) from indicator_current").await;
    assert!(rows > 400, "{rows}");

    database.append(&[value("price_usd", "coinmetrics", "2020-02-27", 61_000.0, None)]).await;
    publisher.catch_up(&around.deps).await.unwrap();
    let second: i64 = one(&database.pool, state).await;
    assert_eq!(second, first + 1);
    // The price of 27 February, and what is derived from it on that day and on the two that follow.
    let written: Vec<String> = sqlx::query_scalar(
        "select distinct to_char(period_start, 'MM-DD') from indicator_current where batch = $1 order by 1",
    )
    .bind(second)
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(written, ["02-27", "02-28", "02-29"]);
    let prices: i64 =
        one(&database.pool, "select count(*) from indicator_current where metric = 'price_usd' and batch > 2").await;
    assert_eq!(prices, 1);
    assert_eq!(one::<i64>(&database.pool, "select count(*) from indicator_current").await, rows);

    // Emptied behind its back, and with a state that stands for another snapshot.
    let damages = [
        "truncate indicator_current",
        "truncate indicator_current_state",
        "update indicator_current_state set batch = 0",
    ];
    for (damage, fees) in damages.into_iter().zip([31.0, 32.0, 33.0]) {
        sqlx::raw_sql(damage).execute(&database.pool).await.unwrap();
        database.append(&[value("fees_btc", "coinmetrics", "2020-02-29", fees, None)]).await;
        publisher.catch_up(&around.deps).await.unwrap();
        let _: i64 = one(&database.pool, state).await;
        assert_eq!(one::<i64>(&database.pool, "select count(*) from indicator_current").await, rows, "{damage}");
    }
    // A row of a series that there is no more.
    sqlx::raw_sql(
        "insert into indicator_current select 'gone', subject, resolution, period_start, period_end, value, reason,
             known_at, revision, source, batch, recorded_at from indicator_current where metric = 'price_usd';
         update indicator_current set value = -1 where metric = 'fees_btc'",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    publisher.end(&around.deps).await;
    publish(&around).await;
    let wrong: i64 =
        one(&database.pool, "select count(*) from indicator_current where metric = 'gone' or value = -1").await;
    assert_eq!(wrong, 0, "whoever begins reads what is there and mends it");
    let _: i64 = one(&database.pool, state).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_goes_on_without_the_cache() {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 10)).await;
    let around = Surroundings::new(&database);
    sqlx::raw_sql("alter table indicator_current rename to away").execute(&database.pool).await.unwrap();
    let mut publisher = Publisher::begin(&around.deps).await.unwrap().unwrap();
    assert!(publisher.catch_up(&around.deps).await.unwrap() > 0);
    database.append(&network_days("2020-01-11", 1)).await;
    assert_eq!(publisher.catch_up(&around.deps).await.unwrap(), 1);
    publisher.end(&around.deps).await;
    assert_eq!(one::<i64>(&database.pool, "select count(*) from indicator_current_state").await, 0);
    sqlx::raw_sql("alter table away rename to indicator_current").execute(&database.pool).await.unwrap();
    publish(&around).await;
    assert_eq!(one::<i64>(&database.pool, "select count(*) from api_v1.series where metric = 'price_usd'").await, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_view_in_sql_is_that_of_the_api() {
    let database = TestDatabase::new().await;
    let known = |at| Some(at);
    database
        .append(&[
            value("price_usd", "mine", "2020-01-01", 100.0, known("2020-01-02T00:00:00Z")),
            value("price_usd", "mine", "2020-01-02", 110.0, known("2020-01-03T00:00:00Z")),
        ])
        .await;
    database.append(&[value("price_usd", "mine", "2020-01-01", 101.0, known("2020-01-05T00:00:00Z"))]).await;
    let versions: Vec<(f64, i64, Option<String>, i64)> = sqlx::query_as(
        "select value, revision, to_char(superseded_at at time zone 'UTC', 'MM-DD'), batch
         from api_v1.observation_version where source = 'mine' and time = '2020-01-01' order by revision",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(versions, [(100.0, 0, Some("01-05".to_owned()), 2), (101.0, 1, None, 3)]);
    let newest: Vec<(f64, i64)> =
        sqlx::query_as("select value, revision from api_v1.observation where source = 'mine' order by time")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(newest, [(101.0, 1), (110.0, 0)]);
    let api = database.api().await;
    for at in ["2020-01-02T12:00:00Z", "2020-01-04T00:00:00Z", "2020-01-05T00:00:00Z"] {
        let of_sql: Vec<f64> = sqlx::query_scalar(
            "select distinct on (time) value from api_v1.observation_version
             where source = 'mine' and known_at <= $1::timestamptz order by time, known_at desc, batch desc",
        )
        .bind(chrono::DateTime::parse_from_rfc3339(at).unwrap())
        .fetch_all(&database.pool)
        .await
        .unwrap();
        let of_api = api.json(&format!("/v1/series/price_usd?source=mine&flat=true&as_of={at}")).await;
        let of_api: Vec<f64> = of_api.as_array().unwrap().iter().map(|row| row["value"].as_f64().unwrap()).collect();
        assert_eq!(of_sql, of_api, "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_in_sql_is_what_the_log_says_last() {
    let (database, around) = filled().await;
    around.later(Span::DAY.times(3));
    database.set_clock("clock_timestamp() + interval '3 days'").await;
    publish(&around).await;
    let different: i64 = one(
        &database.pool,
        "with newest as (select distinct on (metric, subject, resolution) metric, subject, resolution, period_start, value,
                 reason, known_at, source, stale, batch, k
             from published order by metric, subject, resolution, batch desc, k desc)
         select (select count(*) from newest) - (select count(*) from api_v1.latest join newest
             using (metric, subject, resolution, stale, batch, k)
             where (latest.time, latest.value, latest.reason, latest.known_at, latest.source)
                 is not distinct from (newest.period_start, newest.value, newest.reason, newest.known_at, newest.source))",
    )
    .await;
    assert_eq!(different, 0);
    let stale: i64 = one(&database.pool, "select count(*) from api_v1.latest where stale and resolution = '1d'").await;
    assert!(stale > 10, "nobody read for three days: {stale}");
    let hourly: i64 = one(
        &database.pool,
        "select count(*) from api_v1.latest where resolution = '1h' and period_end = time + interval '1 hour'",
    )
    .await;
    assert!(hourly > 0);
}

/// Replaces Grafana's macros as its PostgreSQL data source does: `column BETWEEN 'from' AND 'to'`, in
/// RFC 3339.
fn expand(query: &str) -> String {
    let Some((before, after)) = query.split_once("$__timeFilter(") else { return query.to_owned() };
    let (column, rest) = after.split_once(')').expect("a macro is closed");
    format!("{before}{column} BETWEEN '2018-01-01T00:00:00Z' AND '2100-01-01T00:00:00.123Z'{}", expand(rest))
}

/// Metrics that a query names and that this release's catalog does not hold.
fn unknown_metrics(query: &str) -> (usize, usize) {
    let names = query.split('\'').skip(1).step_by(2).filter(|text| text.contains('_') || find_metric(text).is_some());
    let (known, unknown): (Vec<&str>, Vec<&str>) = names.partition(|name| find_metric(name).is_some());
    (known.len(), unknown.len())
}

/// Runs a query as a reader: it must return rows, times with their zone, and numbers as such. Empty may
/// be one that names only metrics which the catalog does not hold.
async fn run_as_reader(reader: &mut PgConnection, name: &str, query: &str) {
    let expanded = expand(query);
    assert!(!expanded.contains("$__"), "{name}: a macro that is not known here");
    let statement = sqlx::raw_sql(AssertSqlSafe(expanded));
    let rows: Vec<PgRow> =
        statement.fetch_all(&mut *reader).await.unwrap_or_else(|error| panic!("{name}: {error}\n{query}"));
    let (known, unknown) = unknown_metrics(query);
    if known == 0 && unknown > 0 {
        println!("{name}: no rows are expected, its metrics are not in this release's catalog");
        assert!(rows.is_empty(), "{name}");
    } else {
        assert!(!rows.is_empty(), "{name} returns rows");
    }
    for column in rows.first().into_iter().flat_map(sqlx::Row::columns) {
        let (column, kind) = (column.name(), column.type_info().name());
        let is_time = ["time", "period", "period_start", "now", "since", "first_day", "last_day"].contains(&column)
            || column.ends_with("_at")
            || column.ends_with("_instant");
        let is_number = ["value", "enter_at", "leave_below", "difference", "coinmetrics", "kraken"].contains(&column)
            || find_metric(column).is_some();
        if is_number {
            assert_eq!(kind, "FLOAT8", "{name}: {column}");
        } else if is_time {
            assert_eq!(kind, "TIMESTAMPTZ", "{name}: {column}");
        } else {
            assert!(
                ["TEXT", "BOOL", "INT4", "INT8", "FLOAT8", "TIMESTAMPTZ"].contains(&kind),
                "{name}: {column} is {kind}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_and_the_documentation_works() {
    let (database, _around) = filled().await;
    let mut reader = reader(&database, "documents").await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(root.join("dashboards/grafana.json")).unwrap()).unwrap();
    let inputs = dashboard["__inputs"].as_array().unwrap();
    let source = format!("${{{}}}", inputs[0]["name"].as_str().unwrap());
    assert_eq!((inputs.len(), inputs[0]["type"].as_str()), (1, Some("datasource")));
    let mut count = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert_eq!(panel["datasource"]["uid"], source, "{title}");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], source, "{title}");
            let query = target["rawSql"].as_str().unwrap();
            let reads = query.split_whitespace().filter(|word| word.starts_with("public.") || *word == "select *");
            assert_eq!(reads.count(), 0, "{title} reads views only");
            assert_eq!(target["format"] == "time_series", query.contains("$__timeFilter"), "{title}");
            run_as_reader(&mut reader, title, query).await;
            count += 1;
        }
    }
    assert_eq!(count, 9);
    let page = std::fs::read_to_string(root.join("docs/sql.md")).unwrap();
    let blocks: Vec<&str> = page.split("```sql\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert_eq!(blocks.len(), 9);
    for (number, block) in blocks.into_iter().enumerate() {
        run_as_reader(&mut reader, &format!("docs/sql.md, block {number}"), block).await;
    }
    for view in VIEWS {
        assert!(page.contains(&format!("| `{view}` |")), "docs/sql.md says what {view} is");
    }
}

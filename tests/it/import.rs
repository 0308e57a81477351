//! `import`: what is stored of a file, what is set aside and why, and what a second time does.

use std::path::Path;

use miner_signals::worker::import::{Format, Summary, import};

use crate::harness::{Directory, TestDatabase};

async fn import_file(database: &TestDatabase, format: Format, path: &Path) -> Summary {
    import(&database.pool, format, path, &mut |_| ()).await.unwrap()
}

async fn count(database: &TestDatabase, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&database.pool).await.unwrap()
}

#[tokio::test]
async fn good_lines_are_stored_and_bad_ones_set_aside_with_file_and_line() {
    let database = TestDatabase::new().await;
    let directory = Directory::new("import-bad-lines");
    let path = directory.file(
        "own.csv",
        "metric,source,period_start,value,reason,known_at\n\
         price_usd,desk,2020-01-01,7200.5,,\n\
         price_usd,desk,2020-01-02,abc,,\n\
         prise_usd,desk,2020-01-03,1,,\n\
         price_usd,desk,2020-01-04\n\
         price_usd,desk,2020-01-05,7300,,2020-01-06T00:10:00Z\n\
         price_usd,desk,2999-01-01,7300,,\n\
         price_usd,desk,2020-01-06,7300,,2999-01-01\n\
         price_usd,desk,2020-01-07,,,\n\
         price_usd,desk,2020-01-08,,exchange was down,\n",
    );
    let summary = import_file(&database, Format::ObservationsCsv, &path).await;
    assert_eq!((summary.lines, summary.counts.stored, summary.counts.quarantined), (9, 3, 6));
    let set_aside: Vec<(i64, String, String)> =
        sqlx::query_as("select line, reason, file from quarantine order by line")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    let expected = [
        (3, "not_a_number"),
        (4, "unknown_metric"),
        (5, "bad_record"),
        (7, "period_not_closed"),
        (8, "known_in_future"),
        (9, "empty_value"),
    ];
    let expected: Vec<_> = expected.map(|(line, reason)| (line, reason.to_owned(), "own.csv".to_owned())).to_vec();
    assert_eq!(set_aside, expected);
    assert_eq!(
        database.stored().await,
        [
            "price_usd btc desk 2020-01-01 2020-01-03 00:00:00+00 7200.5 assumed",
            "price_usd btc desk 2020-01-05 2020-01-06 00:10:00+00 7300 published",
            "price_usd btc desk 2020-01-08 2020-01-10 00:00:00+00 exchange was down assumed",
        ]
    );
}

#[tokio::test]
async fn a_second_time_is_without_effect() {
    let database = TestDatabase::new().await;
    let directory = Directory::new("import-twice");
    let path = directory.file("btc.csv", "time,PriceUSD,HashRate\n2020-01-01,7200.5,100.25\n2020-01-02,oops,101\n");
    let first = import_file(&database, Format::CoinmetricsCsv, &path).await;
    assert_eq!((first.counts.stored, first.counts.quarantined), (3, 1));
    let facts = async || {
        (
            count(&database, "select batch from head").await,
            count(&database, "select count(*) from observation").await,
            count(&database, "select count(*) from raw_answer").await,
            count(&database, "select count(*) from quarantine").await,
        )
    };
    let before = facts().await;
    let second = import_file(&database, Format::CoinmetricsCsv, &path).await;
    assert_eq!((second.counts.stored, second.counts.unchanged), (0, 3));
    assert_eq!(facts().await, before);
    assert_eq!(count(&database, "select times_seen::bigint from quarantine").await, 2);
}

#[tokio::test]
async fn raw_bytes_are_kept_whole() {
    let database = TestDatabase::new().await;
    let directory = Directory::new("import-raw");
    // Over two pieces of one mebibyte, so that a cut falls inside a line.
    let lines = (0..20_000).map(|line| format!("2020-01-01,{line},{}\n", "x".repeat(100)));
    let content = format!("time,PriceUSD,Note\n{}", lines.collect::<String>());
    let path = directory.file("big.csv", &content);
    import_file(&database, Format::CoinmetricsCsv, &path).await;
    let pieces: Vec<Vec<u8>> = sqlx::query_scalar(
        "select body_zstd from run_raw_answer join raw_answer using (raw_id) order by run_id, sequence",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(pieces.len() > 2);
    let whole: Vec<u8> = pieces.iter().flat_map(|piece| zstd::decode_all(piece.as_slice()).unwrap()).collect();
    assert!(whole == content.as_bytes(), "the pieces are the file");
}

#[tokio::test]
async fn ndjson_takes_numbers_and_text() {
    let database = TestDatabase::new().await;
    let directory = Directory::new("import-ndjson");
    let path = directory.file(
        "own.ndjson",
        "{\"metric\":\"fees_btc\",\"source\":\"desk\",\"period_start\":\"2020-01-01\",\"value\":12.5}\n\n\
         {\"metric\":\"fees_btc\",\"source\":\"desk\",\"period_start\":\"2020-01-02\",\"value\":\"13\",\"more\":true}\n\
         not json\n\
         {\"metric\":\"power_price_usd_per_mwh\",\"subject\":\"HB_HUBAVG\",\"source\":\"ercot\",\"resolution\":\"1h\",\"period_start\":\"2020-01-01T05:00:00Z\",\"value\":-3.1}\n",
    );
    let summary = import_file(&database, Format::ObservationsNdjson, &path).await;
    assert_eq!((summary.lines, summary.counts.stored, summary.counts.quarantined), (4, 3, 1));
    let line: i64 = count(&database, "select line from quarantine").await;
    assert_eq!(line, 4);
    let api = database.api().await;
    let hourly = api.json("/v1/series/power_price_usd_per_mwh?subject=HB_HUBAVG&resolution=1h").await;
    assert_eq!(hourly["data"][0]["date"], "2020-01-01T05:00:00Z");
    assert_eq!(hourly["data"][0]["value"], -3.1);
}

#[tokio::test]
async fn a_file_of_another_format_is_refused_with_what_was_found() {
    let database = TestDatabase::new().await;
    let directory = Directory::new("import-wrong");
    let cases = [
        (Format::CoinmetricsCsv, "date,price\n1,2\n", "no column `time`"),
        (Format::ObservationsCsv, "time,PriceUSD\n2020-01-01,5\n", "no column `metric`"),
        (Format::ObservationsCsv, "", "the file is empty"),
    ];
    for (format, content, expected) in cases {
        let path = directory.file("wrong.csv", content);
        let error = import(&database.pool, format, &path, &mut |_| ()).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
    let missing = import(&database.pool, Format::CoinmetricsCsv, &directory.0.join("none.csv"), &mut |_| ()).await;
    assert!(missing.unwrap_err().to_string().contains("none.csv"));
    assert_eq!(count(&database, "select count(*) from run where error is not null").await, 4);
}

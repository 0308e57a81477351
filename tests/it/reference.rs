//! Checks against published history, which is read where it lies and never copied.
//!
//! The folder is named by `REFERENCE_DATA`; without it these checks do not run, and `./dev test`
//! says how many.

use std::collections::BTreeMap;
use std::path::PathBuf;

use miner_signals::domain::append::Arrival;
use miner_signals::domain::chain::block_hash_text;
use miner_signals::domain::epochs::{COINMETRICS_OFFSET, daily_heights, epochs};
use miner_signals::domain::time::{Day, Span, Timestamp};
use miner_signals::sources::candles::{Candle, close};
use miner_signals::sources::feed::{Unusable, Window};
use miner_signals::sources::{
    Normalized, Refused, bitstamp, coinbase, coinmetrics, cryptoquant, glassnode, kraken, mempool,
};
use miner_signals::worker::import::{Format, import};

use crate::harness::{Api, TestDatabase};

/// A file of the reference folder; `None`, said on standard error, where there is no folder.
pub fn reference(file: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("REFERENCE_DATA") else {
        eprintln!("reference check not run: REFERENCE_DATA unset");
        return None;
    };
    let path = PathBuf::from(folder).join(file);
    assert!(path.exists(), "{} is not in REFERENCE_DATA", path.display());
    Some(path)
}

async fn imported(path: &std::path::Path) -> (TestDatabase, Api) {
    let database = TestDatabase::new().await;
    let summary = import(&database.pool, Format::CoinmetricsCsv, path, &mut |_| ()).await.unwrap();
    assert_eq!(summary.counts.quarantined, 0, "{:?}", summary.reasons);
    let again = import(&database.pool, Format::CoinmetricsCsv, path, &mut |_| ()).await.unwrap();
    assert_eq!(again.counts.stored, 0, "a second time stores nothing");
    let api = database.api().await;
    (database, api)
}

/// Date and value of a whole series.
async fn series(api: &Api, address: &str) -> BTreeMap<String, f64> {
    let csv = api.get(address).await.text();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows = reader.records().map(Result::unwrap);
    rows.filter_map(|row| Some((row[0].to_owned(), row[2].parse().ok()?))).collect()
}

#[tokio::test]
async fn hashprice_of_september_2023_is_the_published_one() {
    let Some(path) = reference("data/coinmetrics_btc.csv") else { return };
    let (_database, api) = imported(&path).await;
    let days = series(&api, "/v1/series/hashprice_usd_per_ph_day.csv?start=2023-09-01&end=2023-10-01").await;
    assert_eq!(days.len(), 30);
    let mean = days.values().sum::<f64>() / 30.0;
    // Hashrate Index published a mean of 61.71 USD per PH per day for the month.
    assert!((mean / 61.71 - 1.0).abs() < 0.01, "{mean}");
    eprintln!("mean hashprice of 2023-09: {mean:.3} USD/PH/day");
}

#[tokio::test]
async fn hashprice_agrees_with_an_independent_series() {
    let Some(path) = reference("data/coinmetrics_btc.csv") else { return };
    let Some(other) = reference("data/hashprice_bitinfocharts_daily.csv") else { return };
    let (_database, api) = imported(&path).await;
    let ours = series(&api, "/v1/series/hashprice_usd_per_ph_day.csv?start=2014-01-01&end=2020-01-01").await;
    let mut reader = csv::Reader::from_path(other).unwrap();
    let mut ratios: Vec<f64> = reader
        .records()
        .map(Result::unwrap)
        .filter_map(|row| Some(ours.get(&row[0])? / (row[1].parse::<f64>().ok()? * 1e3)))
        .collect();
    ratios.sort_by(f64::total_cmp);
    assert!(ratios.len() > 2_000, "{} days in common", ratios.len());
    let median = ratios[ratios.len() / 2];
    assert!((median - 1.0).abs() < 0.02, "{median}");
    eprintln!("median ratio over {} days: {median:.4}", ratios.len());
}

#[tokio::test]
async fn the_newer_column_set_is_read_by_name() {
    let Some(path) = reference("contracts/coinmetrics/community_csv_btc_2026-03-23.csv") else { return };
    let (database, api) = imported(&path).await;
    // Every day of the recorded tail has a completion stamp within a week, the first days of 2009
    // have one of 2021.
    let bases: Vec<(String, i64)> =
        sqlx::query_as("select known_basis::text, count(distinct period_start) from observation group by 1 order by 1")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(bases.iter().map(|(basis, _)| basis.as_str()).collect::<Vec<_>>(), ["assumed", "published"]);
    // The last row is of a day that had just begun: it has a reference rate and none of our columns.
    for metric in ["price_usd", "hashrate_h_per_s", "hashprice_usd_per_ph_day"] {
        let newest = api.json(&format!("/v1/series/{metric}?last=1")).await;
        assert_eq!(newest["data"][0]["date"], "2026-03-22", "{metric}");
    }
    // DiffMean is gone from this set.
    assert_eq!(api.json("/v1/series/difficulty").await["data"], serde_json::json!([]));
}

#[tokio::test]
async fn the_whole_history_keeps_the_publishers_digits() {
    let Some(path) = reference("data/coinmetrics_btc.csv") else { return };
    let (_database, api) = imported(&path).await;
    let prices = series(&api, "/v1/series/price_usd.csv").await;
    let mut reader = csv::Reader::from_path(path).unwrap();
    let place = reader.headers().unwrap().iter().position(|name| name == "PriceUSD").unwrap();
    let mut compared = 0;
    for row in reader.records().map(Result::unwrap).filter(|row| !row[place].is_empty()) {
        let published: f64 = row[place].parse().unwrap();
        assert_eq!(prices.get(&row[0]).map(|value| value.to_bits()), Some(published.to_bits()), "{}", &row[0]);
        compared += 1;
    }
    assert_eq!(compared, prices.len());
    assert!(compared > 5_000);
}

#[test]
fn epochs_of_daily_history_are_the_published_ones() {
    let Some(days) = reference("data/btc_network_daily.csv") else { return };
    let Some(published) = reference("data/difficulty_epochs.csv") else { return };
    let rows: Vec<csv::StringRecord> = csv::Reader::from_path(days).unwrap().records().map(Result::unwrap).collect();
    let column = |place: usize| -> Vec<Option<f64>> { rows.iter().map(|row| row[place].parse().ok()).collect() };
    let first_day = Day::parse(&rows[0][0]).unwrap();
    let heights = daily_heights(first_day, &column(4), COINMETRICS_OFFSET).unwrap();
    let found = epochs(&heights, &column(3));
    let published: Vec<_> = csv::Reader::from_path(published).unwrap().records().map(Result::unwrap).collect();
    assert_eq!((found.len(), published.len()), (433, 433));
    for (epoch, row) in found.iter().zip(&published) {
        assert_eq!((epoch.start_height.to_string(), epoch.day.to_string()), (row[1].to_owned(), row[2].to_owned()));
        // Percent with three decimals.
        let change = epoch.change.map(|change| 100.0 * change);
        let off = change.zip(row[4].parse::<f64>().ok()).map_or(0.0, |(ours, theirs)| (ours - theirs).abs());
        assert!(off < 5.01e-4 && change.is_some() != row[4].is_empty(), "{epoch:?} {row:?}");
    }
}

/// Where the recorded answers of publishers lie.
const RECORDINGS: &str = "contracts";

/// Recordings that a check below reads.
const READ: [&str; 31] = [
    "mempool/block_v1_mainnet.json",
    "mempool/block_v1_signet.json",
    "mempool/blocks_v1_730000.json",
    "mempool/difficulty-adjustment_2022-06_old-units.json",
    "mempool/difficulty-adjustment_2024-03-31.json",
    "mempool/difficulty-adjustment_2024-12-19.json",
    "mempool/mining_blocks_fees_1w_2022-05.json",
    "mempool/mining_blocks_fees_testnet.json",
    "mempool/mining_blocks_rewards_24h_2022-05.json",
    "mempool/mining_difficulty-adjustments_1m_2023-12.json",
    "mempool/mining_hashrate_3d_2022-05.json",
    "mempool/mining_hashrate_3d_testnet.json",
    "mempool/prices_2023-12-22.json",
    "mempool/ws_blocks_890440.json",
    "mempool/ws_init_mempool-blocks_stats.json",
    "coinmetrics/catalog-v2_asset-metrics.json",
    "coinmetrics/error_400_AssetNotFound.json",
    "coinmetrics/error_401_unauthorized.json",
    "coinmetrics/error_401_wrong_credentials.json",
    "coinmetrics/error_403_Forbidden.json",
    "coinmetrics/timeseries_asset-metrics_block_by_block_metrics.json",
    "coinmetrics/timeseries_asset-metrics_community_2026-02-17.json",
    "coinmetrics/timeseries_asset-metrics_daily_metrics.json",
    "cryptoquant/stablecoin_exchange-flows_transactions-count_nulls.json",
    "glassnode/market_price_usd_close_24h.json",
    "prices/bitstamp_ohlc_usdcusd_60s_zero-volume.json",
    "prices/bitstamp_ohlc_usdtusd_60s.json",
    "prices/coinbase_candles_DOT-USD_60.json",
    "prices/coinbase_candles_USDT-USD_60.json",
    "prices/kraken_*.json",
    "equities/yahoo_*.json",
];

/// Recordings of shapes that no adapter reads, and why not.
const NOT_READ: [(&str, &str); 16] = [
    ("mempool/blocks-bulk_100000_100000.json", "often switched off on the public service"),
    ("mempool/fees_mempool-blocks.json", "of blocks that are not mined"),
    ("mempool/fees_recommended.json", "an estimate, no observation"),
    ("mempool/historical-price_EUR_1500000000.json", "prices come from exchanges"),
    ("mempool/mining_blocks_fee-rates_1m_2022-05.json", "no metric of fee rates"),
    ("mempool/mining_blocks_timestamp_1672531200.json", "blocks come with their times"),
    ("mempool/mining_hashrate_pools_1m_2022-05.json", "no metric of pools"),
    ("mempool/mining_pool_foundryusa_hashrate_2022-05.json", "no metric of pools"),
    ("mempool/mining_pool_slushpool_2022-05.json", "no metric of pools"),
    ("mempool/mining_pools_1w_2025-04.json", "no metric of pools"),
    ("mempool/mining_reward-stats_100_2022-05.json", "of a number of blocks, not of a period"),
    ("mempool/mining_reward-stats_100_signet.json", "of a number of blocks, not of a period"),
    ("mempool/ws_live-2h-chart_2021-07.json", "of transactions that are not mined"),
    ("glassnode/market_price_usd_close_24h.headers.json", "no answer; its content type is simulated"),
    ("coinmetrics/community_csv_btc_2026-03-23.csv", "a file, read by the check of imports above"),
    ("coinmetrics/reference-data_asset-metrics.json", "descriptions; ours stand in the catalog"),
];

fn recording(file: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(reference(&format!("{RECORDINGS}/{file}"))?).unwrap())
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// All of time up to 2027.
fn always() -> (Window, Timestamp) {
    (Window { from: Timestamp::MIN, until: Timestamp::MAX }, at("2027-01-01"))
}

fn shown(arrivals: &[Arrival]) -> Vec<(String, String, f64)> {
    let show = |arrival: &Arrival| {
        (arrival.key.to_string(), arrival.period_start.to_string(), arrival.incoming.reading.value().unwrap())
    };
    arrivals.iter().map(show).collect()
}

fn reasons(refused: &[Refused]) -> Vec<&'static str> {
    refused.iter().map(|refused| refused.reason).collect()
}

#[tokio::test]
async fn every_recording_is_read_or_listed_with_the_reason() {
    for (folder, prefixes) in [
        ("mempool", [""].as_slice()),
        ("coinmetrics", &[""]),
        ("cryptoquant", &[""]),
        ("glassnode", &[""]),
        ("prices", &["bitstamp_", "coinbase_", "kraken_"]),
        ("equities", &["yahoo_"]),
    ] {
        let Some(path) = reference(&format!("{RECORDINGS}/{folder}")) else { return };
        for entry in std::fs::read_dir(path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let file = format!("{folder}/{name}");
            let is_read = READ.iter().any(|read| match read.split_once('*') {
                Some((start, end)) => file.starts_with(start) && file.ends_with(end),
                None => *read == file,
            });
            let is_listed = NOT_READ.iter().any(|(listed, _)| *listed == file);
            assert!(is_read != is_listed, "{file} is to be read by a check, or listed with the reason why not");
        }
    }
    for file in READ.iter().filter(|file| !file.contains('*')).chain(NOT_READ.iter().map(|(file, _)| file)) {
        reference(&format!("{RECORDINGS}/{file}"));
    }
}

#[tokio::test]
async fn recorded_hashrates_stand_at_the_end_of_their_days() {
    let Some(mainnet) = recording("mempool/mining_hashrate_3d_2022-05.json") else { return };
    let Some(testnet) = recording("mempool/mining_hashrate_3d_testnet.json") else { return };
    let (window, now) = always();
    let read = |body: &[u8]| mempool::normalize::hashrates(&mempool::wire::parse(body).unwrap(), window, now);
    let of = |normalized: Normalized| {
        assert!(normalized.refused.is_empty());
        shown(&normalized.arrivals).into_iter().map(|(_, start, value)| (start, value)).collect::<Vec<_>>()
    };
    // 1652486400 is the midnight that begins 14 May 2022, so it ends the 13th.
    assert_eq!(
        of(read(&mainnet)),
        [
            ("2022-05-13T00:00:00Z".to_owned(), 236_499_762_108_771_800_000.0),
            ("2022-05-14T00:00:00Z".to_owned(), 217_473_276_787_331_300_000.0),
            ("2022-05-15T00:00:00Z".to_owned(), 189_877_203_506_913_000_000.0),
        ]
    );
    assert_eq!(of(read(&testnet))[0], ("2022-05-16T00:00:00Z".to_owned(), 385_829_751_259_101.6));
}

#[tokio::test]
async fn recorded_buckets_are_read_and_make_no_day() {
    let Some(fees) = recording("mempool/mining_blocks_fees_1w_2022-05.json") else { return };
    let Some(testnet) = recording("mempool/mining_blocks_fees_testnet.json") else { return };
    let Some(rewards) = recording("mempool/mining_blocks_rewards_24h_2022-05.json") else { return };
    let Some(retargets) = recording("mempool/mining_difficulty-adjustments_1m_2023-12.json") else { return };
    let fees: Vec<mempool::wire::Fees> = mempool::wire::parse(&fees).unwrap();
    let testnet: Vec<mempool::wire::Fees> = mempool::wire::parse(&testnet).unwrap();
    let rewards: Vec<mempool::wire::Rewards> = mempool::wire::parse(&rewards).unwrap();
    let retargets: Vec<mempool::wire::Retarget> = mempool::wire::parse(&retargets).unwrap();
    assert_eq!(fees[0].avg_height.whole(), Some(735_644));
    assert_eq!(fees[0].avg_fees.whole(), Some(24_212_890));
    assert_eq!(testnet[1].timestamp.whole(), Some(1_652_346_850));
    assert_eq!(rewards[4].avg_rewards.whole(), Some(638_709_605));
    assert_eq!(retargets[0][1].whole(), Some(822_528));
    assert_eq!(retargets[0][2].decimal(0), Some(72_006_146_478_567.1));
    // Of these heights each stands in one of the lists only, so no day can be made of them.
    let (window, now) = always();
    let normalized = mempool::normalize::days(&fees, &rewards, &retargets, window, now);
    assert!(normalized.arrivals.is_empty());
    assert!(reasons(&normalized.refused).iter().all(|reason| *reason == "incomplete_day"));
}

#[tokio::test]
async fn recorded_adjustments_have_the_same_units_whatever_the_year() {
    let names = ["2022-06_old-units", "2024-03-31", "2024-12-19"];
    let mut read = Vec::new();
    for name in names {
        let Some(body) = recording(&format!("mempool/difficulty-adjustment_{name}.json")) else { return };
        read.push(mempool::normalize::Adjustment::of(&mempool::wire::parse(&body).unwrap()).unwrap());
    }
    let near = |value: Option<f64>, expected: f64| assert!((value.unwrap() - expected).abs() < 1e-9, "{value:?}");
    for ((adjustment, height), remaining) in read.iter().zip([741_888, 838_656, 876_960]).zip([1_121, 1_606, 1_361]) {
        assert_eq!((adjustment.next_height, adjustment.remaining_blocks), (height, remaining));
        let per_block = adjustment.remaining.unwrap().seconds() / i64::try_from(remaining).unwrap();
        assert!((560..600).contains(&per_block), "{per_block} s");
    }
    near(read[0].change, 0.984_593_201_838_168_7);
    near(read[1].change, 0.059_147_889_596_585_35);
    near(read[2].previous_change, 0.044_293_967_454_611_76);
    assert_eq!(read[0].estimated_at, Some(at("2021-07-31T20:14:38Z"))); // 1627762478 s
    assert_eq!(read[1].estimated_at, Some(at("2024-04-10T16:31:44Z"))); // 1712766704114 ms
    assert_eq!(read[0].block_time.unwrap().micros(), 302_328_000);
    assert_eq!(read[2].block_time.unwrap().micros(), 596_239_000);
}

#[tokio::test]
async fn recorded_blocks_make_the_one_hour_that_they_cover() {
    let Some(body) = recording("mempool/ws_blocks_890440.json") else { return };
    let Some(rest) = recording("mempool/ws_init_mempool-blocks_stats.json") else { return };
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let blocks: Vec<mempool::wire::Block> = mempool::wire::parse(message["blocks"].to_string().as_bytes()).unwrap();
    let adjustment = |text: &str| mempool::wire::parse(text.as_bytes()).unwrap();
    let (window, now) = always();
    // Tip 890447, so the next retarget is at 891072 = 442 * 2016, in 625 blocks.
    let right = adjustment(r#"{"nextRetargetHeight":891072,"remainingBlocks":625}"#);
    let normalized = mempool::normalize::hours(&blocks, &right, window, now);
    assert!(normalized.refused.is_empty(), "{:?}", normalized.refused);
    // 890444 to 890446 are of 20:29:07 to 20:58:27; 890443 is of the hour before, 890447 of the next.
    let hour = "2025-04-01T20:00:00Z";
    let expected = [
        ("block_count/btc/mempool/1h".to_owned(), hour.to_owned(), 3.0),
        ("fees_btc/btc/mempool/1h".to_owned(), hour.to_owned(), 0.148_024_92),
        ("issuance_btc/btc/mempool/1h".to_owned(), hour.to_owned(), 9.375),
        ("difficulty/btc/mempool/1h".to_owned(), hour.to_owned(), 113_757_508_810_854.0),
    ];
    assert_eq!(shown(&normalized.arrivals), expected);
    let headers: Vec<_> = normalized.headers.iter().map(|header| (header.height, header.bits)).collect();
    assert_eq!(headers, (890_440..890_448).map(|height| (height, Some(386_038_124))).collect::<Vec<_>>());
    let tip = normalized.headers[7];
    assert_eq!(block_hash_text(&tip.hash), "0000000000000000000004cc6260ec7065ee8f65591864fb4c720ec110e3e2ab");
    assert_eq!((tip.previous, tip.time), (normalized.headers[6].hash, at("2025-04-01T21:00:40Z")));
    // The adjustment of another recording is about another tip.
    let rest: serde_json::Value = serde_json::from_slice(&rest).unwrap();
    let other = mempool::normalize::hours(&blocks, &adjustment(&rest["da"].to_string()), window, now);
    assert_eq!((other.arrivals.len(), reasons(&other.refused)), (0, vec!["inconsistent_tip"]));
}

#[tokio::test]
async fn recorded_single_blocks_and_price_are_read() {
    let Some(page) = recording("mempool/blocks_v1_730000.json") else { return };
    let Some(mainnet) = recording("mempool/block_v1_mainnet.json") else { return };
    let Some(signet) = recording("mempool/block_v1_signet.json") else { return };
    let Some(prices) = recording("mempool/prices_2023-12-22.json") else { return };
    let page: Vec<mempool::wire::Block> = mempool::wire::parse(&page).unwrap();
    let mainnet: mempool::wire::Block = mempool::wire::parse(&mainnet).unwrap();
    let signet: mempool::wire::Block = mempool::wire::parse(&signet).unwrap();
    let coins =
        |block: &mempool::wire::Block| block.extras.reward.whole().unwrap() - block.extras.total_fees.whole().unwrap();
    assert_eq!([&page[0], &mainnet, &signet].map(coins), [625_000_000, 2_500_000_000, 5_000_000_000]);
    assert_eq!(page[0].difficulty.decimal(0), Some(28_587_155_782_195.1));
    // 2023-12-22T13:40:11Z is forty minutes after an hour: the price of no hour's end.
    let (window, now) = always();
    let prices: mempool::wire::Prices = mempool::wire::parse(&prices).unwrap();
    assert_eq!(prices.usd.decimal(0), Some(43_753.0));
    assert_eq!(mempool::normalize::price(&prices, window, now), Normalized::default());
}

#[tokio::test]
async fn recorded_coin_metrics_answers_are_read() {
    let read = |file: &str| recording(&format!("coinmetrics/{file}.json"));
    let Some(catalog) = read("catalog-v2_asset-metrics") else { return };
    let catalog: coinmetrics::api_wire::Catalog = coinmetrics::api_wire::parse(&catalog).unwrap();
    assert_eq!(catalog.data[0].metrics[0].metric, "AdrActCnt");
    assert!(catalog.data[0].metrics[0].frequencies[1].community);
    // The recording is of two metrics that we do not use.
    assert!(coinmetrics::api_normalize::offered(&catalog, true).is_empty());

    let (window, now) = always();
    let days = |file: &str| {
        let page: coinmetrics::api_wire::Page = coinmetrics::api_wire::parse(&read(file).unwrap()).unwrap();
        let mut all = Normalized::default();
        for row in &page.data {
            let of_row = coinmetrics::api_normalize::normalize(row, window, now);
            all.arrivals.extend(of_row.arrivals);
            all.refused.extend(of_row.refused);
        }
        (shown(&all.arrivals), reasons(&all.refused), page.next_page_token)
    };
    let price = "price_usd/btc/coinmetrics/1d".to_owned();
    let (values, refused, token) = days("timeseries_asset-metrics_daily_metrics");
    assert_eq!(
        values,
        [
            (price.clone(), "2020-02-29T00:00:00Z".to_owned(), 8_582.090_299_649_33),
            (price, "2020-03-01T00:00:00Z".to_owned(), 8_541.773_893_921_69),
        ]
    );
    assert!(refused.is_empty() && token.unwrap().starts_with("0.MjAy"));
    let (values, refused, token) = days("timeseries_asset-metrics_community_2026-02-17");
    assert_eq!(values, [("block_count/btc/coinmetrics/1d".to_owned(), "2026-02-17T00:00:00Z".to_owned(), 165.0)]);
    assert_eq!((refused.len(), token), (0, None));
    // Rows of blocks are no days.
    let (values, refused, _) = days("timeseries_asset-metrics_block_by_block_metrics");
    assert_eq!((values.len(), refused), (0, vec!["bad_time", "bad_time"]));

    for (file, said) in [
        ("error_400_AssetNotFound", "Bad parameter 'assets'. Value 'sdvwbtc' is not supported."),
        ("error_401_unauthorized", "Requested resource requires authorization."),
        ("error_401_wrong_credentials", "Supplied credentials are not valid."),
        (
            "error_403_Forbidden",
            "Requested metric 'SplyBMXNtv' with frequency '1d' for asset 'btc' is not available with supplied credentials.",
        ),
    ] {
        let error = coinmetrics::api_wire::parse::<coinmetrics::api_wire::Page>(&read(file).unwrap()).unwrap_err();
        assert_eq!(error, Unusable::Refused(said.to_owned()));
    }
}

/// Closes of recorded candles of a minute, and why others are none.
fn minutes(candles: &[Candle]) -> (Vec<f64>, Vec<&'static str>) {
    let (window, now) = always();
    let (mut closes, mut refused) = (Vec::new(), Vec::new());
    for candle in candles {
        match close(candle, Span::MINUTE, window, now) {
            Ok(over) => closes.push(over.unwrap().1),
            Err(why) => refused.push(why.reason),
        }
    }
    (closes, refused)
}

#[tokio::test]
async fn recorded_candles_close_and_fillers_are_refused() {
    let read = |file: &str| recording(&format!("prices/{file}.json"));
    let Some(first) = read("coinbase_candles_DOT-USD_60") else { return };
    let of_coinbase = |body: &[u8]| {
        let rows = coinbase::wire::parse(body).unwrap();
        minutes(&rows.into_iter().map(coinbase::normalize::candle).collect::<Vec<_>>())
    };
    let of_kraken = |body: &[u8]| {
        let rows = kraken::wire::parse(body).unwrap();
        minutes(&rows.into_iter().map(kraken::normalize::candle).collect::<Vec<_>>())
    };
    let of_bitstamp = |body: &[u8]| {
        let rows = bitstamp::wire::parse(body).unwrap();
        minutes(&rows.into_iter().map(bitstamp::normalize::candle).collect::<Vec<_>>())
    };
    // Each: number of closes, first and last close, number of fillers.
    for (file, (closes, refused), expected) in [
        ("DOT-USD", of_coinbase(&first), (15, 6.15, 6.133, 0)),
        ("USDT-USD", of_coinbase(&read("coinbase_candles_USDT-USD_60").unwrap()), (15, 1.000_05, 1.000_06, 0)),
        ("DOTUSD", of_kraken(&read("kraken_ohlc_DOTUSD_1m").unwrap()), (15, 6.1474, 6.1197, 0)),
        ("USDCUSD", of_kraken(&read("kraken_ohlc_USDCUSD_1m_zero-volume").unwrap()), (13, 1.0, 0.9999, 2)),
        ("USDTZUSD", of_kraken(&read("kraken_ohlc_USDTZUSD_1m").unwrap()), (15, 1.000_09, 1.000_08, 0)),
        ("XXBTZUSD", of_kraken(&read("kraken_ohlc_XXBTZUSD_docs").unwrap()), (1, 30_305.7, 30_305.7, 0)),
        ("usdcusd", of_bitstamp(&read("bitstamp_ohlc_usdcusd_60s_zero-volume").unwrap()), (2, 1.0, 1.000_01, 13)),
        ("usdtusd", of_bitstamp(&read("bitstamp_ohlc_usdtusd_60s").unwrap()), (14, 1.000_10, 1.000_10, 1)),
    ] {
        let found = (closes.len(), closes[0], closes[closes.len() - 1], refused.len());
        assert_eq!(found, expected, "{file}");
        assert!(refused.iter().all(|reason| *reason == "no_trades"), "{file}: {refused:?}");
    }
    for (file, said) in [
        ("kraken_error_unknown_pair", "EQuery:Unknown asset pair"),
        ("kraken_error_invalid_arguments", "EGeneral:Invalid arguments"),
    ] {
        assert_eq!(kraken::wire::parse(&read(file).unwrap()), Err(Unusable::Refused(said.to_owned())));
    }
}

/// Rows of a published table.
fn table(file: &str) -> Option<Vec<BTreeMap<String, String>>> {
    let mut reader = csv::Reader::from_path(reference(file)?).unwrap();
    Some(reader.deserialize().map(Result::unwrap).collect())
}

fn is_close(actual: f64, expected: f64, tolerance: f64) -> bool {
    (actual / expected - 1.0).abs() <= tolerance
}

#[tokio::test]
async fn ratios_of_issuance_and_the_ribbon_are_those_worked_out_elsewhere() {
    let Some(path) = reference("data/coinmetrics_btc.csv") else { return };
    let (_database, api) = imported(&path).await;
    let of = |metric: &str, day: &str| format!("/v1/series/{metric}.csv?start={day}&end={day}T12:00:00Z");
    // Worked out with other programs on the same file.
    for (metric, day, expected, tolerance) in [
        ("puell_multiple", "2016-07-08", 1.6313, 3e-5),
        ("puell_halving_adjusted", "2016-07-08", 1.6313, 3e-5),
        ("puell_multiple", "2016-07-10", 0.8559, 6e-5),
        ("puell_halving_adjusted", "2016-07-10", 1.7064, 3e-5),
        ("puell_multiple", "2016-07-15", 0.7591, 6e-5),
        ("puell_halving_adjusted", "2016-07-15", 1.4977, 3e-5),
        ("thermocap_usd", "2016-12-31", 2_058_149_387.0, 1e-9),
        ("thermocap_multiple", "2016-12-31", 7.5682, 1e-5),
        ("difficulty_ribbon_compression", "2016-09-01", 0.042_058, 1e-5),
        ("hash_ribbon_sma30_h_per_s", "2016-07-30", 1_485_351e12, 1e-6),
        ("hash_ribbon_sma60_h_per_s", "2016-07-30", 1_486_453e12, 1e-6),
    ] {
        let found = series(&api, &of(metric, day)).await;
        assert!(is_close(found[day], expected, tolerance), "{metric} of {day}: {} is not {expected}", found[day]);
    }
    let now = api.json("/v1/difficulty?date=2016-09-01&sd=sample").await;
    let sample = now["data"]["ribbon_compression"].as_f64().unwrap();
    assert!(is_close(sample, 0.042_058 * (8.0_f64 / 7.0).sqrt(), 2e-5), "{sample}");
}

#[tokio::test]
async fn hash_ribbons_have_the_events_of_the_author() {
    let Some(path) = reference("data/coinmetrics_btc.csv") else { return };
    let (_database, api) = imported(&path).await;
    let events = api.json("/v1/hash-ribbons/events?start=2009-01-01").await;
    let events = events["data"].as_array().unwrap();
    let days = |kind: &str| -> Vec<&str> {
        events.iter().filter(|event| event["event"] == kind).map(|event| event["date"].as_str().unwrap()).collect()
    };
    let (buys, until) = (days("buy"), |days: &[&str]| days.iter().filter(|day| **day < "2017").count());
    let published = [
        "2011-12-26",
        "2012-05-21",
        "2012-06-21",
        "2013-02-04",
        "2015-01-28",
        "2015-05-01",
        "2015-05-29",
        "2016-09-04",
    ];
    assert_eq!(buys[..until(&buys)], published);
    assert_eq!(buys.iter().filter(|day| **day >= "2014").count(), 15, "{buys:?}");
    assert!(days("inversion_start").contains(&"2016-07-30"));
    assert!(days("recovered").contains(&"2016-08-22"));
    eprintln!("buys of the hash ribbons: {buys:?}");
    // On the day after, from what was known then: whether the inversion only flickered is open for three days.
    let recovered = "/v1/hash-ribbons/events?start=2016-08-22&end=2016-08-23";
    let known = api.json(&format!("{recovered}&as_of=2016-08-24")).await;
    assert_eq!(
        (&known["data"][0]["event"], &known["data"][0]["merged"]),
        (&"recovered".into(), &serde_json::Value::Null)
    );
    let settled = api.json(&format!("{recovered}&as_of=2016-08-28")).await;
    assert_eq!(settled["data"][0]["merged"], false);
    let before = api.json("/v1/hash-ribbons/events?start=2016-09-01&as_of=2016-09-05").await;
    assert_eq!(before["data"], serde_json::json!([]));
}

#[tokio::test]
async fn epochs_and_estimates_agree_with_the_chain() {
    let Some(path) = reference("data/coinmetrics_btc.csv") else { return };
    let Some(published) = table("data/difficulty_epochs.csv") else { return };
    let (_database, api) = imported(&path).await;
    let epochs = api.json("/v1/difficulty/epochs?start=2009-01-01").await;
    let epochs = epochs["data"].as_array().unwrap();
    assert_eq!(epochs.len(), published.len());
    for (ours, theirs) in epochs.iter().zip(&published) {
        assert_eq!(ours["start_height"].to_string(), theirs["start_height"]);
        assert_eq!(ours["date"], theirs["start_date_utc"].as_str(), "epoch {}", ours["epoch"]);
        if let Ok(percent) = theirs["change_pct"].parse::<f64>() {
            let change = 100.0 * ours["change"].as_f64().unwrap();
            assert!((change - percent).abs() < 0.001, "epoch {}: {change} is not {percent}", ours["epoch"]);
        }
    }
    // The estimate a week into an epoch against what came: as far off as it says, in units of sigma.
    let mut scores = Vec::new();
    for pair in epochs.windows(2).skip(120) {
        let day = pair[0]["date"].as_str().unwrap();
        let day = Timestamp::parse(day).unwrap().plus(Span::DAY.times(7)).day();
        let then = api.json(&format!("/v1/difficulty?date={day}")).await;
        let data = &then["data"];
        if data["epoch"] != pair[0]["epoch"] || data["estimate_change"].is_null() {
            continue;
        }
        let missed = pair[1]["change"].as_f64().unwrap() - data["estimate_change"].as_f64().unwrap();
        scores.push(missed / data["estimate_sigma"].as_f64().unwrap());
    }
    let spread = (scores.iter().map(|score| score * score).sum::<f64>() / scores.len() as f64).sqrt();
    let wide = scores.iter().filter(|score| score.abs() > 3.0).count();
    eprintln!("{} estimates a week before: spread {spread:.2} sigma, {wide} beyond three", scores.len());
    assert!(scores.len() > 250);
    // Hashrate moves within an epoch too, so they miss by more than chance alone, not by much.
    assert!((0.8..2.0).contains(&spread) && wide * 10 < scores.len(), "{spread} {wide}");
}

#[tokio::test]
async fn squeezes_of_history_and_a_fleet_of_ones_own() {
    let Some(path) = reference("data/coinmetrics_btc.csv") else { return };
    let (_database, api) = imported(&path).await;
    // Every day's state as the view of that day shows it, with today's knowledge: spells of `squeeze`.
    let mut spells: Vec<(String, String)> = Vec::new();
    let scores = series(&api, "/v1/series/squeeze_score.csv").await;
    let mut inside = false;
    for day in scores.keys().filter(|day| day.as_str() < "2025") {
        let data = &api.json(&format!("/v1/hashprice/squeeze?date={day}")).await["data"];
        let shown = data["score"].as_f64().unwrap();
        assert_eq!(shown.to_bits(), scores[day].to_bits(), "{day}");
        let squeezed = data["state"] == "squeeze";
        match (squeezed, inside) {
            (true, false) => spells.push((day.clone(), day.clone())),
            (true, true) => spells.last_mut().unwrap().1.clone_from(day),
            _ => {}
        }
        inside = squeezed;
    }
    eprintln!("{} squeezes: {spells:?}", spells.len());
    let began = std::time::Instant::now();
    let address = "/v1/hashprice/squeeze?efficiency_j_per_th=98&power_usd_per_mwh=50&as_of=2019-02-01";
    let own = api.json(address).await;
    eprintln!("a fleet of one's own, as of 2019, cold: {:?}", began.elapsed());
    let reference = api.json("/v1/hashprice/squeeze?as_of=2019-02-01").await;
    let number = |answer: &serde_json::Value, field: &str| answer["data"][field].as_f64().unwrap();
    // The nine fleets one by one: their mean, least and greatest are what the default shows.
    let efficiency = number(&reference, "reference_efficiency_j_per_th");
    let (mut margins, mut all) = (Vec::new(), Vec::new());
    for factor in [0.8, 1.0, 1.25] {
        for power in [40, 50, 60] {
            let fleet = format!("efficiency_j_per_th={}&power_usd_per_mwh={power}", efficiency * factor);
            let answer = api.json(&format!("/v1/hashprice/squeeze?{fleet}&as_of=2019-02-01")).await;
            margins.push(number(&answer, "margin_part"));
            all.push(number(&answer, "score"));
            assert_eq!(answer["data"]["date"], reference["data"]["date"]);
            assert_eq!(answer["data"]["speed_part"], reference["data"]["speed_part"]);
        }
    }
    all.sort_by(f64::total_cmp);
    assert!((margins.iter().sum::<f64>() / 9.0 - number(&reference, "margin_part")).abs() < 1e-9);
    assert!((all[0] - number(&reference, "score_low")).abs() < 1e-7);
    assert!((all[8] - number(&reference, "score_high")).abs() < 1e-7);
    assert_eq!(own["data"]["fleets"], 1);
    assert_eq!(own["data"]["date"], "2019-01-30", "the day after is known a day after its end");
}

#[tokio::test]
async fn the_recorded_forms_of_vendors_are_read_whatever_they_are_about() {
    let Some(of_cryptoquant) = recording("cryptoquant/stablecoin_exchange-flows_transactions-count_nulls.json") else {
        return;
    };
    let Some(of_glassnode) = recording("glassnode/market_price_usd_close_24h.json") else { return };
    let (window, now) = always();
    // Neither is about miners, so the envelope and the rows are what is checked here.
    let rows = cryptoquant::wire::parse(&of_cryptoquant).unwrap();
    let counts = cryptoquant::wire::Flow { field: "transactions_count_inflow", ..cryptoquant::wire::FLOWS[0] };
    assert_eq!(rows.len(), 2);
    assert_eq!(cryptoquant::normalize::normalize(&counts, &rows, window, now).unwrap(), Normalized::default());
    let error = cryptoquant::normalize::normalize(&cryptoquant::wire::FLOWS[0], &rows, window, now).unwrap_err();
    assert!(error.to_string().ends_with("it has date, transactions_count_inflow, transactions_count_outflow"));

    let rows: Vec<glassnode::wire::Row> = glassnode::wire::parse(&of_glassnode).unwrap();
    let normalized = glassnode::normalize::normalize(&glassnode::wire::METRICS[0], &rows, window, now).unwrap();
    assert!(normalized.refused.is_empty(), "{:?}", normalized.refused);
    let shown = shown(&normalized.arrivals);
    // 1601596800 is the beginning of 2 October 2020.
    assert_eq!((shown.len(), shown[0].1.as_str(), shown[0].2), (15, "2020-10-02T00:00:00Z", 10_575.972_665_210_369));
}

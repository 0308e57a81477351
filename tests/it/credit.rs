//! Miners, their debt and its calendar as a client meets them, on the tables of the release and on tables of our own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use miner_signals::domain::facts::Fact;
use miner_signals::domain::time::Timestamp;
use miner_signals::sources::facts::{TableFile, read_tables};
use miner_signals::worker::facts::load_facts;
use serde_json::{Value, json};

use crate::harness::{Api, TestDatabase, value};

const INSTRUMENTS: &str = "instrument_id,facility_id,ticker,title,kind,obligor,recourse,purpose,security,principal_usd,\
    commitment_usd,issued_on,issued_precision,maturity_on,maturity_precision,coupon_kind,coupon_pct,benchmark,spread_pct,\
    floor_pct,interest_paid,conversion_rate_per_1000,conversion_price_usd,settlement,capped_call_usd,collateral_btc,\
    ltv_initial_pct,ltv_margin_call_pct,ltv_liquidation_pct,status,retired_on,retired_how,verification,known_at,source,note";
const ISSUERS: &str = "ticker,name,cik,filer_kind,fiscal_year_end,status,industry,known_at,source,note";
const FUNDAMENTALS: &str = "ticker,item,period_start,period_end,value,known_at,source,note";
const OPTIONS: &str = "instrument_id,kind,on,on_precision,price_pct,condition,known_at,source,note";

fn table(name: &str, header: &str, rows: &[String]) -> TableFile {
    TableFile { name: name.to_owned(), bytes: format!("{header}\n{}\n", rows.join("\n")).into_bytes() }
}

fn facts(files: &[TableFile]) -> Vec<Fact> {
    read_tables(files, Timestamp::parse("2026-11-24").unwrap()).unwrap()
}

async fn load(database: &TestDatabase, files: &[TableFile]) {
    load_facts(&mut database.pool.acquire().await.unwrap(), &facts(files)).await.unwrap();
}

/// A convertible of 100m with a put, written as a row of the table.
fn note(id: &str, ticker: &str, coupon: &str, maturity: &str, known: &str) -> String {
    format!(
        "{id},,{ticker},A note,convertible,A Corp,parent,mining,unsecured,100000000,,2024-06-15,day,{maturity},day,fixed,\
         {coupon},,,,cash,50,,either,,,,,,outstanding,,,verified,{known},https://example.com/{id},"
    )
}

fn figure(ticker: &str, item: &str, span: (&str, &str), value: &str) -> String {
    format!("{ticker},{item},{},{},{value},2026-02-20,https://example.com/10-k,", span.0, span.1)
}

/// Two miners of one size and debt; one pays 40 and the other 70 USD/MWh.
fn two_miners() -> Vec<TableFile> {
    let mut issuers = Vec::new();
    let (mut notes, mut figures, mut options) = (Vec::new(), Vec::new(), Vec::new());
    for (ticker, power) in [("ZZA", "40"), ("ZZB", "70")] {
        issuers.push(format!("{ticker},Miner {ticker},,domestic,12-31,listed,miner,2024-01-01,https://example.com/l,"));
        let id = format!("{}-8-2030", ticker.to_ascii_lowercase());
        notes.push(note(&id, ticker, "8", "2030-06-15", "2024-06-20"));
        options.push(format!("{id},put,2027-06-15,day,100,,2024-06-20,https://example.com/{id},"));
        let day = ("", "2025-12-31");
        for (item, span, value) in [
            ("energized_hashrate_eh_per_s", day, "10"),
            ("fleet_efficiency_j_per_th", day, "20"),
            ("power_cost_usd_per_mwh", day, power),
            ("uptime_pct", day, "90"),
            ("contracted_hpc_margin_usd_per_year", day, "0"),
            ("cash_sga_usd", ("2025-01-01", "2025-12-31"), "5000000"),
            ("cash_usd", day, "20000000"),
            ("btc_held", day, "100"),
            ("shares_outstanding", day, "50000000"),
        ] {
            figures.push(figure(ticker, item, span, value));
        }
    }
    vec![
        table("issuers.csv", ISSUERS, &issuers),
        table("instruments.csv", INSTRUMENTS, &notes),
        table("debt_options.csv", OPTIONS, &options),
        table("fundamentals.csv", FUNDAMENTALS, &figures),
    ]
}

async fn market(database: &TestDatabase) {
    let arrivals: Vec<_> = ["2026-02-27", "2026-02-28"]
        .into_iter()
        .flat_map(|day| {
            [
                value("price_usd", "coinmetrics", day, 100_000.0, None),
                value("hashrate_h_per_s", "coinmetrics", day, 1e21, None),
                value("issuance_btc", "coinmetrics", day, 450.0, None),
                value("fees_btc", "coinmetrics", day, 10.0, None),
                value("difficulty", "coinmetrics", day, 1.4e14, None),
                value("block_count", "coinmetrics", day, 144.0, None),
            ]
        })
        .collect();
    database.append(&arrivals).await;
}

async fn miner(api: &Api, query: &str, ticker: &str) -> Value {
    let rows = api.json(&format!("/v1/miners?ticker={ticker}&{query}")).await["data"].clone();
    rows[0].clone()
}

fn close(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap_or(f64::NAN);
    assert!((found / expected - 1.0).abs() < 1e-9, "{found} is not {expected}");
}

#[tokio::test]
async fn who_breaks_at_thirty_is_worked_out_by_hand() {
    let database = TestDatabase::new().await;
    market(&database).await;
    load(&database, &two_miners()).await;
    let api = database.api().await;

    // 10 EH/s at 90 %: 9,000 PH/s, 3,285,000 PH-days a year. Hashcost 20 * 0.024 * 40 = 19.2 and 33.6.
    let ph_days = 10.0 * 1_000.0 * 0.9 * 365.0;
    let (a, b) = (ph_days * (30.0 - 19.2) - 5e6, ph_days * (30.0 - 33.6) - 5e6);
    let interest = 8e6;
    let query = "hashprice_usd_per_ph_day=30";
    let (row_a, row_b) = (miner(&api, query, "ZZA").await, miner(&api, query, "ZZB").await);
    close(&row_a["coverage_at_scenario_x"], a / interest);
    close(&row_b["coverage_at_scenario_x"], b / interest);
    close(&row_a["hashprice_at_1x_coverage_usd_per_ph_day"], 19.2 + 13e6 / ph_days);
    close(&row_b["hashprice_at_1x_coverage_usd_per_ph_day"], 33.6 + 13e6 / ph_days);
    close(&row_a["cushion"], 30.0 / (19.2 + 13e6 / ph_days) - 1.0);
    close(&row_b["hashprice_at_zero_ebitda_usd_per_ph_day"], 33.6 + 5e6 / ph_days);
    assert!(row_b["flags"].as_array().unwrap().contains(&json!("not_covered")));

    let csv = api.get(&format!("/v1/miners.csv?{query}&put_within=P24M&coverage_below=1&ticker=ZZA,ZZB")).await;
    let lines: Vec<&str> = std::str::from_utf8(&csv.body).unwrap().lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("ticker,name,") && lines[1].starts_with("ZZB,Miner ZZB,"));
    let nobody = api.json(&format!("/v1/miners?{query}&put_within=P12M&ticker=ZZA,ZZB&as_of=2026-03-01")).await;
    assert_eq!(nobody["data"], json!([]), "the put is fifteen months away");

    // At 19.2 + 13m / 3.285m the first one is covered once, and bitcoin at half its price moves hashprice along.
    let market_hashprice = 460.0 * 100_000.0 / 1e6; // USD over PH/s of a day
    let halved = miner(&api, "btc_price_usd=50000", "ZZA").await;
    close(&halved["coverage_at_scenario_x"], (ph_days * (market_hashprice / 2.0 - 19.2) - 5e6) / interest);
    // 100m due within 24 months over 20m of cash and 80 % of 100 BTC.
    close(&halved["maturity_wall_24m_x"], 100.0 / (20.0 + 0.8 * 100.0 * 50_000.0 / 1e6));
    // 50 shares for 1,000 USD are 5m, of 50m.
    close(&halved["convert_overhang"], 0.1);
    let dear = miner(&api, "hashprice_usd_per_ph_day=30&power_usd_per_mwh=70", "ZZA").await;
    assert_eq!(dear["coverage_at_scenario_x"], row_b["coverage_at_scenario_x"]);
}

#[tokio::test]
async fn what_nobody_reports_is_null_with_its_reason_unless_it_may_be_assumed() {
    let database = TestDatabase::new().await;
    market(&database).await;
    let mut files = two_miners();
    let text = String::from_utf8(files[3].bytes.clone()).unwrap();
    let without_uptime: String =
        text.lines().filter(|line| !line.contains("uptime_pct")).fold(String::new(), |mut all, line| {
            writeln!(all, "{line}").unwrap();
            all
        });
    files[3].bytes = without_uptime.into_bytes();
    load(&database, &files).await;
    let api = database.api().await;
    let row = miner(&api, "hashprice_usd_per_ph_day=30", "ZZA").await;
    assert_eq!(
        (&row["coverage_at_scenario_x"], &row["reasons"]["coverage_at_scenario_x"]),
        (&Value::Null, &json!("no_uptime_pct"))
    );
    let row = miner(&api, "hashprice_usd_per_ph_day=30&assume=true", "ZZA").await;
    close(&row["coverage_at_scenario_x"], (10.0 * 1_000.0 * 365.0 * (30.0 - 19.2) - 5e6) / 8e6);
    assert!(row["flags"].as_array().unwrap().contains(&json!("assumed:uptime_pct")));

    // Every number opens the text that states it.
    let measures = api.json("/v1/miners/zza").await["data"].clone();
    let cash = &measures["cash_usd"];
    assert_eq!((&cash["value"], &cash["observed_on"]), (&json!(20_000_000), &json!("2025-12-31")));
    assert_eq!((&cash["known_at"], &cash["url"]), (&json!("2026-02-21T00:00:00Z"), &json!("https://example.com/10-k")));
    for (name, measure) in measures.as_object().unwrap() {
        let has_reason = measure["reason"].is_string();
        assert_eq!(measure["value"].is_null(), has_reason, "{name}: {measure}");
    }
    assert_eq!(measures["stress_score"]["reason"], json!("coverage below 60 %"));
    let wrong = api.get("/v1/miners/MARRA").await;
    assert_eq!(wrong.status, 404);
    assert!(String::from_utf8_lossy(&wrong.body).contains("did you mean MARA"));
}

#[tokio::test]
async fn a_correction_of_a_note_is_seen_from_its_batch_on_and_moves_its_event() {
    let database = TestDatabase::new().await;
    let files = |maturity: &str, known: &str| {
        let mut files = two_miners();
        files[1] = table("instruments.csv", INSTRUMENTS, &[note("zza-8-2030", "ZZA", "8", maturity, known)]);
        files.truncate(2);
        files
    };
    load(&database, &files("2030-06-15", "2024-06-20")).await;
    load(&database, &files("2031-06-15", "2025-03-01")).await;
    let api = database.api().await;
    let maturity = async |as_of: &str| {
        let rows = api.json(&format!("/v1/debt/calendar?ticker=ZZA&kind=maturity&as_of={as_of}")).await["data"].clone();
        rows.as_array().unwrap().iter().map(|row| row["date"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(maturity("2024-06-20").await, Vec::<String>::new(), "a day counts from its end");
    assert_eq!(maturity("2024-06-21").await, ["2030-06-15"]);
    assert_eq!(maturity("2025-03-01T23:59:59Z").await, ["2030-06-15"]);
    assert_eq!(maturity("2025-03-02").await, ["2031-06-15"], "one event, at its new day");

    let calendar = async |as_of: &str| {
        let body = api.get(&format!("/v1/debt/calendar.ics?ticker=ZZA&as_of={as_of}")).await;
        assert_eq!(body.header("content-type"), "text/calendar; charset=utf-8");
        String::from_utf8(body.body.clone()).unwrap()
    };
    let line = |text: &str, name: &str| {
        let found: Vec<String> =
            text.lines().filter(|line| line.starts_with(name)).map(|line| line.trim_end().to_owned()).collect();
        assert_eq!(found.len(), 1, "{name} in {text}");
        found[0].clone()
    };
    let (before, after) = (calendar("2024-06-21").await, calendar("2025-03-02").await);
    assert_eq!(line(&before, "UID:"), line(&after, "UID:"));
    assert_eq!(line(&before, "DTSTART"), "DTSTART;VALUE=DATE:20300615");
    assert_eq!(line(&after, "DTSTART"), "DTSTART;VALUE=DATE:20310615");
    let sequence = |text: &str| line(text, "SEQUENCE:")[9..].parse::<i64>().unwrap();
    assert!(sequence(&before) < sequence(&after), "the newer one replaces the other");
    assert!(after.lines().all(|line| line.len() <= 76) && after.contains("\r\n"));
}

/// What each issuer owes, in millions of dollars, by an answer of `/v1/debt/industry?by=issuer`.
async fn owed(api: &Api, as_of: &str, date: &str) -> (BTreeMap<String, f64>, f64, f64) {
    let rows = api.json(&format!("/v1/debt/industry?by=issuer&as_of={as_of}&flat=true")).await;
    let rows = rows.as_array().unwrap().iter().filter(|row| row["date"] == date).cloned().collect::<Vec<_>>();
    let millions = |row: &Value, field: &str| row[field].as_f64().unwrap() / 1e6;
    let each = rows.iter().map(|row| (row["ticker"].as_str().unwrap().to_owned(), millions(row, "total_debt_usd")));
    let total = rows.iter().map(|row| millions(row, "total_debt_usd")).sum();
    let issued = rows.iter().map(|row| millions(row, "issued_in_quarter_usd")).sum();
    (each.collect(), total, issued)
}

fn check(found: &BTreeMap<String, f64>, expected: &[(&str, &[f64])]) {
    for (ticker, parts) in expected {
        let sum: f64 = parts.iter().sum();
        let found = found.get(*ticker).copied().unwrap_or(0.0);
        assert!((found - sum).abs() < 0.01, "{ticker}: {found} is not {sum}");
    }
}

/// Van Eck (`data/industry.csv`) counted 2.1bn USD a year before October 2025 and 12.7bn then; no list of theirs by
/// issuer is public. The sums here are added up by hand from what each company filed or announced, in millions.
#[tokio::test]
async fn the_debt_of_the_industry_is_rebuilt_issuer_by_issuer_as_known_then() {
    let database = TestDatabase::new().await;
    let api = database.api().await;

    let (then, total, _) = owed(&api, "2024-10-31", "2024-09-30").await;
    let expected: &[(&str, &[f64])] = &[
        ("MARA", &[330.5, 300.0]), // 1.00 % 2026 after the exchanges of 2023, 2.125 % 2031
        ("BTDR", &[172.5, 23.0]),  // 8.50 % 2029, promissory note of 2021
        ("HUT", &[65.0, 150.0]),   // Coinbase, Coatue
        ("GREE", &[72.2]),         // 8.50 % 2026
        ("WULF", &[]),             // its term loan was repaid in July 2024, its first convert came in late October
        ("CIFR", &[]),
        ("RIOT", &[]),
    ];
    check(&then, expected);
    // 1.90bn where 2.1bn is stated: leases, the mortgages of Hut 8 and amounts that were not found lack.
    assert!((1_850.0..2_100.0).contains(&total), "{total}");

    let (then, total, _) = owed(&api, "2025-10-16", "2025-10-16").await;
    let expected: &[(&str, &[f64])] = &[
        ("MARA", &[48.1, 1_000.0, 925.0, 300.0, 950.0, 200.0]),
        ("WULF", &[500.0, 1_000.0]), // neither the 3.2bn of 23 October nor the 1.025bn of 31 October
        ("IREN", &[550.0, 440.0, 1_000.0]),
        ("CIFR", &[150.0, 1_300.0]),
        ("RIOT", &[594.4]),
        ("BITF", &[100.0]), // its 588m came on 21 October
        ("BTBT", &[150.0]),
    ];
    check(&then, expected);
    assert!((12_000.0..13_500.0).contains(&total), "{total} where 12.7bn is stated");

    // Nothing of it is there by accident of today's knowledge: what is over or came later is not in it.
    let (now, _, _) = owed(&api, "2025-11-05", "2025-11-05").await;
    check(&now, &[("WULF", &[500.0, 1_000.0, 3_200.0, 1_025.0]), ("BITF", &[100.0, 588.0])]);
}

/// The Miner Mag counts 4.6bn USD of debt and converts in the fourth quarter of 2024, of fifteen miners it does not name.
#[tokio::test]
async fn what_was_raised_at_the_end_of_2024_is_told_by_deal() {
    let database = TestDatabase::new().await;
    let api = database.api().await;
    let rows = api.json("/v1/debt/industry?by=issuer&as_of=2025-03-31&flat=true").await;
    let of = |ticker: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["date"] == "2024-12-31" && row["ticker"] == ticker);
        row.map_or(0.0, |row| row["issued_in_quarter_usd"].as_f64().unwrap() / 1e6)
    };
    let deals: [(&str, &[f64]); 8] = [
        ("MARA", &[1_000.0, 850.0, 75.0]),
        ("CLSK", &[650.0]),
        ("CORZ", &[550.0, 75.0]),
        ("RIOT", &[525.0, 69.4]),
        ("WULF", &[500.0]),
        ("IREN", &[440.0]),
        ("BTDR", &[360.0]),
        ("APLD", &[450.0, 166.5]), // a host, and a bridge note beside its convert
    ];
    let mut sum = 0.0;
    for (ticker, parts) in deals {
        let expected: f64 = parts.iter().sum();
        assert!((of(ticker) - expected).abs() < 0.01, "{ticker}: {} is not {expected}", of(ticker));
        sum += expected;
    }
    let (_, _, issued) = owed(&api, "2025-03-31", "2024-12-31").await;
    assert!((issued - sum).abs() < 0.01, "{issued} is not {sum}: another issuer raised something");
}

#[tokio::test]
async fn the_wall_is_what_the_notes_come_to() {
    let database = TestDatabase::new().await;
    load(&database, &two_miners()).await;
    let api = database.api().await;
    let rows = api.json("/v1/debt/wall?ticker=ZZA,ZZB&as_of=2026-03-01").await["data"].clone();
    let seen: Vec<(String, String, i64, i64, i64)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            let usd = |name: &str| row[name].as_i64().unwrap();
            (text("period"), text("ticker"), usd("stated_usd"), usd("all_puts_usd"), usd("rational_usd"))
        })
        .collect();
    let million = 100_000_000;
    let expected = [
        ("2027Q2", "ZZA", 0, million, million),
        ("2027Q2", "ZZB", 0, million, million),
        ("2030Q2", "ZZA", million, 0, 0),
        ("2030Q2", "ZZB", million, 0, 0),
    ];
    assert_eq!(seen, expected.map(|(period, ticker, a, b, c)| (period.to_owned(), ticker.to_owned(), a, b, c)));
    for (query, period) in [("bucket=month", "2027-06"), ("bucket=year", "2027")] {
        let rows = api.json(&format!("/v1/debt/wall?ticker=ZZA&as_of=2026-03-01&ladder=rational&{query}")).await;
        assert_eq!((&rows["data"][0]["period"], rows["data"].as_array().unwrap().len()), (&json!(period), 1));
    }
    for wrong in ["bucket=week", "ladder=none", "ticker=ZZA,ZZA"] {
        assert_eq!(api.get(&format!("/v1/debt/wall?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn every_convert_with_a_stated_rate_has_the_price_of_that_rate() {
    let database = TestDatabase::new().await;
    let api = database.api().await;
    let rows = api.json("/v1/debt/converts?flat=true").await;
    let rows = rows.as_array().unwrap();
    assert!(rows.len() >= 25, "{}", rows.len());
    for row in rows {
        let (Some(rate), Some(price)) =
            (row["conversion_rate_per_1000"].as_f64(), row["conversion_price_usd"].as_f64())
        else {
            assert_eq!(row["reason"], json!("no_conversion_rate"), "{row}");
            continue;
        };
        assert!((rate * price / 1_000.0 - 1.0).abs() <= 0.000_5, "{row}");
    }
    let riot = rows.iter().find(|row| row["instrument_id"] == "riot-0p75-2030").unwrap();
    // 67.2767 shares for 1,000 USD, 594.4m outstanding.
    close(&riot["shares"], 594_400_000.0 / 1_000.0 * 67.2767);
}

#[tokio::test]
async fn a_split_is_applied_to_terms_that_are_older_than_it() {
    let database = TestDatabase::new().await;
    load(&database, &two_miners()).await;
    // 50 shares for 1,000 USD of 2024. One new share for ten old ones on 2026-02-26: 500 USD are 50 of an old one.
    let shares = [("2026-02-25", "equity_close_usd", 25.0), ("2026-02-26", "equity_split_ratio", 0.1)];
    let closes = [("2026-02-26", "equity_close_usd", 500.0), ("2026-02-27", "equity_close_usd", 160.0)];
    let mut arrivals: Vec<_> =
        shares.iter().chain(&closes).map(|&(day, metric, number)| value(metric, "yahoo", day, number, None)).collect();
    for arrival in &mut arrivals {
        "ZZA".clone_into(&mut arrival.key.subject);
    }
    database.append(&arrivals).await;
    let api = database.api().await;
    let convert =
        async |as_of: &str| api.json(&format!("/v1/debt/converts?ticker=ZZA&as_of={as_of}")).await["data"][0].clone();
    let rational = async |as_of: &str, period: &str| {
        let rows = api.json(&format!("/v1/debt/wall?ticker=ZZA&ladder=rational&as_of={as_of}")).await;
        assert_eq!(rows["data"][0]["period"], json!(period), "{rows}");
    };
    // 50 * 25 / 1,000 - 1, then 5 * 500 / 1,000 - 1, then 5 * 160 / 1,000 - 1.
    let expected = [
        ("2026-02-26T12:00:00Z", 50.0, 0.25, 5e6),
        ("2026-02-27T12:00:00Z", 5.0, 1.5, 5e5),
        ("2026-03-01", 5.0, -0.2, 5e5),
    ];
    for (as_of, rate, money, into) in expected {
        let row = convert(as_of).await;
        close(&row["conversion_rate_per_1000"], rate);
        close(&row["conversion_price_usd"], 1_000.0 / rate);
        close(&row["moneyness"], money);
        close(&row["shares"], into);
    }
    rational("2026-02-27T12:00:00Z", "2030Q2").await;
    rational("2026-03-01", "2027Q2").await;
    // 50m shares stated for 2025-12-31 are 5m new ones.
    close(&convert("2026-03-01").await["overhang"], 0.1);
    close(&miner(&api, "as_of=2026-03-01", "ZZA").await["convert_overhang"], 0.1);
}

#[tokio::test]
async fn what_is_unknown_is_a_question_mark_on_the_pages_and_never_nothing() {
    let database = TestDatabase::new().await;
    let api = database.api().await;
    // Its only loan has no amount, and is due in April 2028.
    let row = miner(&api, "as_of=2026-11-01", "CANG").await;
    assert_eq!(
        (&row["maturities_24m_usd"], &row["reasons"]["maturities_24m_usd"]),
        (&Value::Null, &json!("no_outstanding:cang-hashrate-loan"))
    );
    let comparison = api.get("/miners").await.text();
    assert!(comparison.contains("<abbr title=\"no_outstanding:cang-hashrate-loan\">?</abbr>"), "{comparison}");
    let page = api.get("/miners/MARA").await.text();
    for part in ["<summary>6 inputs</summary>", "https://www.sec.gov/", "/v1/calendar?ticker=MARA"] {
        assert!(page.contains(part), "{part}");
    }
}

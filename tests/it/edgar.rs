//! Filings of issuers: recorded answers, and a simulated EDGAR that is read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use miner_signals::clock::Clock;
use miner_signals::domain::credit::figure::{Figure, Item, Origin};
use miner_signals::domain::filing::{Filing, StatedFigure};
use miner_signals::domain::observation::Moment;
use miner_signals::domain::time::{Day, Span, Timestamp};
use miner_signals::simulated::issuers::{Document, ISSUERS, Issuer, documents};
use miner_signals::simulated::upstreams::EDGAR;
use miner_signals::simulated::{Misbehaviour, Upstreams};
use miner_signals::sources::edgar::normalize::{ReadFigures, StampClock};
use miner_signals::sources::edgar::wire::{self, FilingColumns, Submissions};
use miner_signals::sources::edgar::{Edgar, normalize};
use miner_signals::sources::http::{Http, Limits};
use miner_signals::store::filing::{append_figures, append_filings, list_filers};
use miner_signals::store::head::{record_batch, take_head};
use miner_signals::store::stored::Stored;
use miner_signals::worker::edgar::{EVERY, Followed, Issuers, PACE, Step, Watch, Watcher};
use miner_signals::worker::poll::Deps;
use tokio_util::sync::CancellationToken;

use crate::harness::TestDatabase;
use crate::reference::reference;
use crate::upstream::world;

fn recording(file: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(reference(&format!("contracts/edgar/{file}"))?).unwrap())
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn filed(filings: &[Filing], accession: &str) -> Filing {
    filings.iter().find(|filing| &*filing.accession == accession).unwrap().clone()
}

#[test]
fn recorded_lists_of_filings_are_read_whole() {
    let Some(body) = recording("submissions_CIK0001050446_MSTR_2026-01-21.json") else { return };
    let list: Submissions = wire::parse(&body).unwrap();
    normalize::check_filer(&list.cik, 1_050_446).unwrap();
    let recent = &list.filings.recent;
    assert_eq!((recent.count().unwrap(), list.filings.files.len()), (1_000, 1));
    let stamps = recent.acceptance_date_time.iter().map(String::as_str);
    assert_eq!(StampClock::of(stamps), StampClock::NewYork);
    let read = normalize::filings(1_050_446, std::slice::from_ref(recent)).unwrap();
    assert!(read.refused.is_empty(), "{:?}", read.refused);
    // Of form 4 there are 415, of 144 118, of 3 18, of 144/A 3, of 5 and 3/A one each.
    assert_eq!(read.filings.len(), 1_000 - 556, "all but those of insiders");
    // Shown as 08:00:28Z, which is 03:00 in New York, when nothing is accepted.
    let newest = filed(&read.filings, "0001193125-26-016002");
    assert_eq!(
        (newest.known_at(), &newest.items[..]),
        (at("2026-01-20T13:00:28Z"), &["7.01".into(), "8.01".into()][..])
    );

    let list: Submissions = wire::parse(&recording("submissions_CIK0000749647_IMNN.json").unwrap()).unwrap();
    let older: FilingColumns =
        wire::parse(&recording("submissions_CIK0000749647-submissions-001.json").unwrap()).unwrap();
    assert_eq!((list.filings.recent.count().unwrap(), older.count().unwrap()), (60, 395));
    for page in [&list.filings.recent, &older] {
        let stamps = page.acceptance_date_time.iter().map(String::as_str);
        assert_eq!(StampClock::of(stamps), StampClock::Utc);
    }
    let read = normalize::filings(749_647, &[list.filings.recent, older]).unwrap();
    assert!(read.refused.is_empty(), "{:?}", read.refused);
    // 21:50 in New York: of the next business day.
    assert_eq!(filed(&read.filings, "0001172661-26-001255").known_at(), at("2026-02-18T11:00:00Z"));
    assert_eq!(filed(&read.filings, "0000749647-10-000032").known_at(), at("2010-07-09T21:16:54Z"));
}

fn recorded_figures(file: &str, cik: u64) -> Option<ReadFigures> {
    let body = recording(file)?;
    let facts = wire::parse_facts(&body).unwrap();
    normalize::check_filer(&facts.cik, cik).unwrap();
    for concept in facts.facts.values().flat_map(|concepts| concepts.values()) {
        wire::parse_concept(concept).unwrap();
    }
    Some(normalize::figures(cik, &facts).unwrap())
}

#[test]
fn recorded_figures_are_read_whole() {
    let Some(strategy) = recorded_figures("companyfacts_CIK0001050446_MSTR_2026-01-21.json", 1_050_446) else { return };
    assert_eq!(strategy.refused, []);
    let count = |read: &ReadFigures, item: Item| read.figures.iter().filter(|figure| figure.item == item).count();
    assert_eq!((count(&strategy, Item::Revenue), count(&strategy, Item::OperatingIncome)), (246, 190));
    let marathon = recorded_figures("companyfacts_CIK0001507605_MARA_2022-11_part.json", 1_507_605).unwrap();
    assert_eq!((marathon.refused.len(), count(&marathon, Item::Debt)), (0, 27));
    let foreign = recorded_figures("companyfacts_LPA_20-F_ifrs.json", 1_997_711).unwrap();
    assert_eq!(foreign.refused, []);
    assert!(count(&foreign, Item::Revenue) > 0 && count(&foreign, Item::Debt) > 0);
    assert!(foreign.figures.iter().all(|figure| matches!(&*figure.unit, "USD" | "shares")));
}

#[test]
fn recorded_errors_say_what_they_are() {
    let Some(page) = recording("error_rate-threshold.html") else { return };
    assert_eq!(wire::parse::<Submissions>(&page).unwrap_err().code(), "rate_limited");
    let missing = recording("error_404_NoSuchKey.xml").unwrap();
    assert_eq!(wire::parse::<Submissions>(&missing).unwrap_err().code(), "refused");
}

struct Reading {
    upstreams: Upstreams,
    deps: Deps,
    watch: Watch,
    stop: CancellationToken,
}

impl Reading {
    fn new(database: &TestDatabase, now: Timestamp) -> Self {
        let clock = Clock::manual(now);
        let time = clock.clone();
        let upstreams = Upstreams::start(world(), Arc::new(move || time.now())).unwrap();
        let deps = Deps {
            pool: database.pool.clone(),
            http: Http::local(Limits { deadline: Duration::from_secs(5), ..Limits::default() }).unwrap(),
            clock,
            holder: "test".to_owned(),
            lease: Duration::from_mins(1),
        };
        let watch = Watch {
            edgar: Edgar::new(upstreams.base(EDGAR).parse().unwrap(), upstreams.base(EDGAR).parse().unwrap()),
            issuers: Issuers::Named(named()),
            pace: Duration::ZERO,
            every: EVERY,
        };
        Self { upstreams, deps, watch, stop: CancellationToken::new() }
    }

    async fn step(&self) -> Step {
        Watcher::new(self.deps.clone(), self.watch.clone()).step(&self.stop).await.unwrap()
    }

    async fn stored_rows(&self) -> u64 {
        match self.step().await {
            Step::Read(counts) => counts.stored,
            other => panic!("{other:?}"),
        }
    }

    async fn stored(&self) -> Stored {
        Stored::read(&mut self.deps.pool.acquire().await.unwrap()).await.unwrap()
    }
}

fn named() -> Vec<Followed> {
    ISSUERS.iter().map(|one| Followed { ticker: one.ticker.into(), cik: one.cik }).collect()
}

fn issuer(ticker: &str) -> &'static Issuer {
    ISSUERS.iter().find(|issuer| issuer.ticker == ticker).unwrap()
}

/// The first document of an issuer that something is true of.
fn document(ticker: &str, is_it: impl Fn(&Document) -> bool) -> Document {
    documents(&world(), issuer(ticker)).into_iter().find(|document| is_it(document)).unwrap()
}

/// The first period whose revenue a later filing states otherwise, and when that filing was accepted.
fn restated() -> (Option<Day>, Day, Timestamp) {
    let mut stated: Vec<(Option<Day>, Day, f64)> = Vec::new();
    for document in documents(&world(), issuer("QORBX")) {
        for one in document.statements.iter().filter(|one| one.concept == "us-gaap:Revenues") {
            let of_period = stated.iter().find(|(start, end, _)| (*start, *end) == (one.start, one.end));
            match of_period {
                Some((.., value)) if value.to_bits() != one.value.to_bits() => {
                    return (one.start, one.end, document.accepted_at);
                }
                Some(_) => {}
                None => stated.push((one.start, one.end, one.value)),
            }
        }
    }
    panic!("nothing is restated");
}

#[tokio::test]
async fn a_restatement_is_seen_from_its_acceptance_on() {
    let (start, end, accepted_at) = restated();
    let database = TestDatabase::new().await;
    let reading = Reading::new(&database, accepted_at.plus(Span::HOUR));
    assert!(reading.stored_rows().await > 500);
    let stored = reading.stored().await;
    let value = |at: Timestamp, batch: i64| {
        let moment = Moment { at, batch };
        let reported = stored.figures.reported("QORBX", Item::Revenue, moment);
        reported.into_iter().find(|figure| (figure.start, figure.end) == (start, end)).map(|figure| figure.value)
    };
    let head = stored.head.number;
    let before = value(accepted_at.minus(Span::SECOND), head).unwrap();
    let after = value(accepted_at, head).unwrap();
    assert!((after / before - 0.97).abs() < 1e-6, "{before} {after}");
    assert_eq!(value(accepted_at, 0), None, "an earlier batch knows nothing");
    let figure = stored.figures.newest("QORBX", Item::InterestExpense, Moment { at: accepted_at, batch: head }, end);
    let Some(Figure { origin: Origin::Filing { concept, rank, .. }, url, .. }) = figure else { panic!("{figure:?}") };
    assert_eq!((&**concept, *rank), ("us-gaap:InterestExpenseNonoperating", 1));
    assert!(url.starts_with("https://simulated.invalid/"), "{url}");
}

#[tokio::test]
async fn a_report_of_the_evening_is_known_on_the_next_business_day() {
    let report = document("ASHEN", |document| document.form == "10-Q");
    let database = TestDatabase::new().await;
    let reading = Reading::new(&database, report.accepted_at.plus(Span::MINUTE.times(5)));
    reading.stored_rows().await;
    let stored = reading.stored().await;
    let find = |at: Timestamp| {
        let moment = Moment { at, batch: stored.head.number };
        stored.filings.visible("ASHEN", moment).any(|known| *known.filing.accession == *report.accession)
    };
    let all = Moment { at: Timestamp::MAX, batch: i64::MAX };
    let known_at = stored.filings.visible("ASHEN", all).last().unwrap().known_at;
    assert!(known_at.since(report.accepted_at) > Span::HOUR.times(11));
    assert_eq!((find(known_at.minus(Span::SECOND)), find(known_at)), (false, true));
    let moment = Moment { at: report.accepted_at, batch: stored.head.number };
    assert_eq!(stored.filings.next_known(moment), Some(known_at));
    let figures = stored.figures.versions("ASHEN", Item::Cash, all).filter(|figure| figure.known_at == known_at);
    assert!(figures.count() > 0, "figures are known with their filing");
}

#[tokio::test]
async fn an_agreement_becomes_a_candidate_that_is_known_with_its_filing() {
    let filing = document("ASHEN", |document| document.items.contains("2.03"));
    let database = TestDatabase::new().await;
    let reading = Reading::new(&database, filing.accepted_at.plus(Span::MINUTE));
    reading.stored_rows().await;
    let stored = reading.stored().await;
    let head = stored.head.number;
    let seen = |at: Timestamp, batch: i64| stored.candidates.visible("ASHEN", Moment { at, batch }).count();
    let second = Span::SECOND;
    assert_eq!((seen(filing.accepted_at.minus(second), head), seen(filing.accepted_at, head)), (0, 1));
    assert_eq!(seen(filing.accepted_at, 0), 0, "an earlier batch knows nothing");
    let known = stored.candidates.visible("ASHEN", Moment { at: filing.accepted_at, batch: head }).next().unwrap();
    let said = known.candidate.sentence.as_deref().unwrap();
    assert_eq!(
        said,
        "Under it the Company issued $150.0 million aggregate principal amount of 11.50% senior secured notes."
    );
    assert_eq!((known.candidate.amount_usd, known.candidate.is_about_debt), (Some(150e6), true));
    assert!(known.url.ends_with("/8-k.htm"), "{}", known.url);
    // It is read once.
    reading.deps.clock.advance(EVERY);
    let before = reading.upstreams.requests(EDGAR);
    assert_eq!(reading.stored_rows().await, 0);
    assert_eq!(reading.upstreams.requests(EDGAR) - before, 6);
}

#[tokio::test]
async fn the_comparison_of_two_moments_quotes_new_agreements() {
    let database = TestDatabase::new().await;
    sqlx::raw_sql(
        "insert into filing values (1507605, '0001507605-26-000099', 'MARA', '8-K', '2026-11-19',
             '2026-11-19T21:10:00Z', null, '{2.03}', 'a.htm', '2026-11-19T21:10:00Z', 1);
         insert into candidate_event values (1507605, '0001507605-26-000099', 'MARA', true, 'It borrowed.', null, 1)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let api = database.api().await;
    let quoted = async |from: &str, to: &str| {
        let diff = api.json(&format!("/v1/miners/diff?ticker=MARA&from={from}&to={to}")).await;
        let rows = diff["data"].as_array().unwrap().iter().filter(|row| row["kind"] == "candidate");
        rows.map(|row| format!("{} {}", row["to"].as_str().unwrap(), row["source"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let (before, at) = ("2026-11-19T21:09:59Z", "2026-11-19T21:10:00Z");
    let document = "https://www.sec.gov/Archives/edgar/data/1507605/000150760526000099/a.htm";
    assert_eq!(quoted(before, at).await, [format!("It borrowed. {document}")]);
    assert_eq!((quoted("2026-11-01", before).await.len(), quoted(at, "2026-11-20").await.len()), (0, 0));
    let page = api.get("/miners/MARA").await.text();
    assert!(page.contains("It borrowed.") && page.contains("candidate: not in the table"), "{page}");
}

#[tokio::test]
async fn a_document_that_is_not_there_leaves_a_candidate_to_look_at() {
    let database = TestDatabase::new().await;
    let reading = Reading::new(&database, world().anchor.start());
    reading.stored_rows().await;
    sqlx::query(
        "insert into filing select cik, '9900000004-99-000001', ticker, '8-K', filed_on, accepted_at, report_on,
             array['1.01'], 'gone.htm', known_at, batch from filing where ticker = 'ASHEN' limit 1",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    reading.deps.clock.advance(EVERY);
    assert_eq!(reading.stored_rows().await, 1);
    let query = "select is_about_debt, sentence from candidate_event where accession like '%-99-%'";
    let row: (bool, Option<String>) = sqlx::query_as(query).fetch_one(&database.pool).await.unwrap();
    assert_eq!(row, (false, None));
    let said: String = sqlx::query_scalar("select detail from quarantine").fetch_one(&database.pool).await.unwrap();
    assert!(said.starts_with("ASHEN: ") && said.contains("404"), "{said}");
}

#[tokio::test]
async fn the_table_of_issuers_says_whose_filings_are_read() {
    let database = TestDatabase::new().await;
    let mut connection = database.pool.acquire().await.unwrap();
    let filers = list_filers(&mut connection).await.unwrap();
    let cik = |ticker: &str| filers.iter().find(|(named, _)| named == ticker).map(|(_, cik)| *cik);
    // The first row of Galaxy has no number, its newest has.
    assert_eq!((cik("MARA"), cik("GLXY"), cik("QORBX")), (Some(1_507_605), Some(1_859_392), None));
    assert!(filers.len() >= 21, "{}", filers.len());
}

/// A filing of MARA that states its cash at the end of January 2026.
async fn file_cash(database: &TestDatabase, form: &str, number: u32, accepted: &str, filed_on: &str, usd: f64) {
    let accession: Arc<str> = format!("0001507605-26-{number:06}").into();
    let filing = Filing {
        cik: 1_507_605,
        accession: Arc::clone(&accession),
        form: form.into(),
        filed_on: Day::parse(filed_on).unwrap(),
        accepted_at: Some(at(accepted)),
        report_on: None,
        items: Vec::new(),
        primary_document: String::new(),
    };
    let figure = StatedFigure {
        cik: filing.cik,
        accession,
        form: form.into(),
        filed_on: filing.filed_on,
        item: Item::Cash,
        concept: "us-gaap:CashAndCashEquivalentsAtCarryingValue".into(),
        rank: 0,
        unit: "USD".into(),
        start: None,
        end: Day::parse("2026-01-31").unwrap(),
        value: usd,
    };
    let mut transaction = database.pool.begin().await.unwrap();
    let batch = take_head(&mut transaction).await.unwrap();
    append_filings(&mut transaction, batch, "MARA", &[filing]).await.unwrap();
    append_figures(&mut transaction, batch, "MARA", &[figure]).await.unwrap();
    record_batch(&mut transaction, batch, None, 2).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_restatement_of_friday_evening_is_seen_on_tuesday_to_the_second() {
    let database = TestDatabase::new().await;
    // 17:30:00 in New York on Friday, 13 February 2026, and a second later; the Monday is Presidents' Day.
    file_cash(&database, "10-Q", 901, "2026-02-13T22:30:00Z", "2026-02-13", 5e8).await;
    file_cash(&database, "10-Q/A", 902, "2026-02-13T22:30:01Z", "2026-02-17", 4e8).await;
    let api = database.api().await;
    let cash = async |as_of: &str| {
        let rows = api.json(&format!("/v1/miners/MARA/fundamentals?as_of={as_of}")).await;
        let rows = rows["data"].as_array().unwrap().clone();
        let of_january = |row: &&serde_json::Value| row["item"] == "cash_usd" && row["period_end"] == "2026-01-31";
        rows.iter().find(of_january).map(|row| {
            let flags: Vec<&str> = row["flags"].as_array().unwrap().iter().filter_map(|flag| flag.as_str()).collect();
            (row["value"].as_f64().unwrap(), row["accession"].as_str().unwrap().to_owned(), flags.join(","))
        })
    };
    let stated = Some((5e8, "0001507605-26-000901".to_owned(), String::new()));
    let restated = Some((4e8, "0001507605-26-000902".to_owned(), "restated".to_owned()));
    assert_eq!(cash("2026-02-13T22:29:59Z").await, None);
    assert_eq!(cash("2026-02-13T22:30:00Z").await, stated);
    assert_eq!(cash("2026-02-17T10:59:59Z").await, stated);
    assert_eq!(cash("2026-02-17T11:00:00Z").await, restated);
    let measure = api.json("/v1/miners/MARA?as_of=2026-02-17T11:00:00Z").await["data"]["cash_usd"].clone();
    assert_eq!((measure["value"].as_f64(), measure["accession"].as_str()), (Some(4e8), Some("0001507605-26-000902")));
}

#[tokio::test]
async fn nothing_is_stored_twice_and_figures_are_waited_for() {
    let report = document("VOLTQ", |document| document.form == "10-Q/A");
    let database = TestDatabase::new().await;
    let reading = Reading::new(&database, report.accepted_at.minus(Span::HOUR));
    reading.stored_rows().await;
    assert_eq!(reading.step().await, Step::NotDue);
    let head = reading.stored().await.head.number;
    reading.deps.clock.advance(EVERY);
    let before = reading.upstreams.requests(EDGAR);
    assert_eq!(reading.stored_rows().await, 0);
    assert_eq!(reading.upstreams.requests(EDGAR) - before, 6, "figures are asked for only after a filing");
    assert_eq!(reading.stored().await.head.number, head);
    // The filing is listed, and its figures are not there yet.
    reading.deps.clock.advance(Span::MINUTE.times(51));
    assert_eq!(reading.stored_rows().await, 1);
    reading.deps.clock.advance(EVERY);
    assert_eq!(reading.stored_rows().await, 2, "interest of the quarter and of the year to date");
    let stored = reading.stored().await;
    let moment = Moment { at: report.accepted_at, batch: stored.head.number };
    let versions = stored.figures.versions("VOLTQ", Item::InterestExpense, moment);
    let amended: BTreeSet<String> = versions
        .filter_map(|figure| match &figure.origin {
            Origin::Filing { form, .. } if **form == *"10-Q/A" => Some(figure.end.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(amended.len(), 1);
}

#[tokio::test]
async fn another_currency_is_left_out_and_a_half_year_is_a_half_year() {
    let database = TestDatabase::new().await;
    let reading = Reading::new(&database, world().anchor.start());
    reading.stored_rows().await;
    let stored = reading.stored().await;
    let all = Moment { at: Timestamp::MAX, batch: i64::MAX };
    let revenue = stored.figures.reported("TUNDR", Item::Revenue, all);
    assert!(revenue.len() >= 4);
    let lengths: BTreeSet<bool> = revenue.iter().map(|figure| figure.end.since(figure.start.unwrap()) < 190).collect();
    assert_eq!(lengths.len(), 2, "halves and years");
    let refused: i64 = sqlx::query_scalar("select count(*) from quarantine").fetch_one(&database.pool).await.unwrap();
    assert_eq!(refused, 0);
}

#[tokio::test]
async fn a_source_that_refuses_is_left_alone() {
    let database = TestDatabase::new().await;
    let reading = Reading::new(&database, world().anchor.start());
    reading.upstreams.misbehave(EDGAR, Some(Misbehaviour::TooManyRequests { retry_after: Some(60) }));
    let Step::Failed { code, .. } = reading.step().await else { panic!("it refuses") };
    assert_eq!(code, "rate_limited");
    assert_eq!(reading.upstreams.requests(EDGAR), 1, "nobody else is asked about");
    reading.upstreams.misbehave(EDGAR, None);
    assert_eq!(reading.step().await, Step::NotDue);
    reading.deps.clock.advance(Span::HOUR.times(2));
    assert!(reading.stored_rows().await > 500);
}

#[tokio::test]
async fn twenty_five_issuers_are_read_at_the_pace_that_is_allowed() {
    let database = TestDatabase::new().await;
    let mut reading = Reading::new(&database, world().anchor.start());
    let issuers = (0..25).map(|number| Followed { ticker: format!("T{number}").into(), cik: ISSUERS[0].cik + number });
    reading.watch.issuers = Issuers::Named(issuers.collect());
    reading.watch.pace = PACE;
    for round in ["first", "next"] {
        let (begun, before) = (Instant::now(), reading.upstreams.requests(EDGAR));
        let stored = reading.stored_rows().await;
        let (took, requests) = (begun.elapsed().as_secs_f64(), reading.upstreams.requests(EDGAR) - before);
        eprintln!("{round} round of 25 issuers: {requests} requests in {took:.2} s, {stored} rows stored");
        assert!((requests as f64 - 1.0) / took <= 8.0, "{requests} requests in {took} s");
        assert!(requests >= if round == "first" { 50 } else { 25 }, "lists, and figures of each at first: {requests}");
        reading.deps.clock.advance(EVERY);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    eprintln!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
}

#[tokio::test]
async fn stored_filings_cannot_be_changed() {
    let database = TestDatabase::new().await;
    let reading = Reading::new(&database, world().anchor.start());
    reading.stored_rows().await;
    for statement in ["update filing set form = 'x'", "delete from filing_figure", "truncate filing"] {
        assert!(sqlx::raw_sql(statement).execute(&database.pool).await.is_err(), "{statement}");
    }
}

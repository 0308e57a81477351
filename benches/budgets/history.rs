//! A generated history: seeded random walks, as long as the real one.

use miner_signals::clock::Clock;
use miner_signals::domain::append::{Arrival, Incoming};
use miner_signals::domain::catalog::find_metric;
use miner_signals::domain::facts::{Fact, FactVersion, Facts};
use miner_signals::domain::observation::{Basis, Reading, Resolution, SeriesKey, SeriesLog, StoredRow, Version};
use miner_signals::domain::time::{Day, Span, Timestamp};
use miner_signals::sources::facts::shipped_facts;
use miner_signals::store::head::MAX_ROWS_PER_BATCH;
use miner_signals::store::run::start_run;
use miner_signals::worker::ingest::append_payload;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

use super::scratch::Scratch;

/// 2009-01-03.
const FIRST_DAY: Day = Day::from_epoch_days(14_247);
const SOURCE: &str = "coinmetrics";
/// One period in so many is revised once, [`REVISED_AFTER`] its end.
const REVISED_EVERY: usize = 50;
const REVISED_AFTER: Span = Span::DAY.times(5);

/// The daily metrics, each with the level at which its walk begins.
const DAILY: [(&str, f64); 15] = [
    ("price_usd", 1_000.0),
    ("hashrate_h_per_s", 1e18),
    ("fees_btc", 50.0),
    ("issuance_btc", 900.0),
    ("difficulty", 1e12),
    ("block_count", 144.0),
    ("supply_btc", 1e7),
    ("exchange_inflow_btc", 40_000.0),
    ("coinbase_spend_btc", 400.0),
    ("coinbase_spend_aged_btc", 60.0),
    ("coinbase_spend_coin_blocks", 400_000.0),
    ("unspent_coinbase_btc", 1_700_000.0),
    ("miner_outflow_btc", 5_000.0),
    ("miner_reserve_btc", 1_800_000.0),
    ("miner_to_exchange_btc", 500.0),
];

/// The hourly ones, with their subject.
const HOURLY: [(&str, &str, f64); 3] = [
    ("price_usd", "btc", 1_000.0),
    ("power_price_usd_per_mwh", "hub-north", 40.0),
    ("power_price_usd_per_mwh", "hub-west", 35.0),
];

/// One series with the value of each period.
struct Walk {
    key: SeriesKey,
    first: Timestamp,
    values: Vec<f64>,
}

/// The first day that is not over.
pub fn end() -> Day {
    Clock::System.now().day()
}

fn walk(metric: &str, subject: &str, resolution: Resolution, level: f64, seed: u64) -> Walk {
    let metric = find_metric(metric).expect("every metric here is in the catalog");
    let key = SeriesKey { metric, subject: subject.to_owned(), source: SOURCE.to_owned(), resolution };
    let count = end().start().since(FIRST_DAY.start()).micros() / resolution.length().micros();
    let step = Normal::new(0.0, 0.01).expect("a deviation above zero");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut logarithm = 0.0_f64;
    let mut next = |_| {
        // Drawn back to its level, so that every value stays plausible however long the walk.
        logarithm = logarithm * 0.999 + step.sample(&mut random);
        let value = level * logarithm.exp();
        if metric.unit == "blocks" { value.round() } else { value }
    };
    Walk { key, first: FIRST_DAY.start(), values: (0..count).map(&mut next).collect() }
}

/// The facts of this release, as they were published.
pub fn facts() -> Facts {
    let version = |row: Fact| FactVersion { known_at: row.published_at(), batch: 1, row };
    Facts::default().with(shipped_facts().into_iter().map(version))
}

fn daily_walks() -> impl Iterator<Item = Walk> {
    DAILY.iter().zip(1..).map(|(&(metric, level), seed)| walk(metric, "btc", Resolution::Day, level, seed))
}

fn hourly_walks() -> impl Iterator<Item = Walk> {
    HOURLY
        .iter()
        .zip(101..)
        .map(|(&(metric, subject, level), seed)| walk(metric, subject, Resolution::Hour, level, seed))
}

impl Walk {
    fn period(&self, index: usize) -> (Timestamp, Timestamp) {
        let length = self.key.resolution.length();
        let start = self.first.plus(length.times(i64::try_from(index).expect("far fewer periods")));
        (start, start.plus(length))
    }

    /// The value that a period was revised to, and when.
    fn revision(&self, index: usize) -> Option<(Timestamp, f64)> {
        let known_at = self.period(index).1.plus(REVISED_AFTER);
        let is_revised = index.is_multiple_of(REVISED_EVERY) && known_at < end().start();
        is_revised.then(|| (known_at, self.values[index] * 1.001))
    }

    fn rows(&self) -> Vec<StoredRow> {
        let row = |index: usize, known_at: Timestamp, value: f64, basis: Basis| {
            let (period_start, period_end) = self.period(index);
            let version = Version { known_at, batch: 1, reading: Reading::Value(value), basis };
            StoredRow { period_start, period_end, version }
        };
        let mut rows = Vec::with_capacity(self.values.len());
        for (index, &value) in self.values.iter().enumerate() {
            rows.push(row(index, self.period(index).1.plus(Span::DAY), value, Basis::Assumed));
            rows.extend(self.revision(index).map(|(at, value)| row(index, at, value, Basis::Published)));
        }
        rows
    }

    fn arrivals(&self) -> impl Iterator<Item = Arrival> {
        let arrival = |index: usize, known_at: Option<Timestamp>, value: f64| {
            let (period_start, period_end) = self.period(index);
            let incoming = Incoming { reading: Reading::Value(value), known_at };
            Arrival { key: self.key.clone(), period_start, period_end, incoming }
        };
        let first = self.values.iter().enumerate().map(move |(index, &value)| arrival(index, None, value));
        let revised = (0..self.values.len())
            .filter_map(move |index| self.revision(index).map(|(at, value)| arrival(index, Some(at), value)));
        first.chain(revised)
    }
}

/// The logs of the daily series, stored as batch 1.
pub fn daily_logs() -> Vec<SeriesLog> {
    daily_walks().map(|walk| SeriesLog::empty(walk.key.clone()).with_rows(walk.rows())).collect()
}

/// Stores the whole history, daily and hourly.
///
/// # Errors
/// If the database does not answer.
pub async fn store(database: &Scratch) -> anyhow::Result<()> {
    let mut connection = database.pool.acquire().await?;
    let run = start_run(&mut connection, "import", SOURCE, Some("generated")).await?;
    for walk in daily_walks().chain(hourly_walks()) {
        let arrivals: Vec<Arrival> = walk.arrivals().collect();
        for payload in arrivals.chunks(MAX_ROWS_PER_BATCH) {
            let appended = append_payload(&mut connection, run, payload, None).await?;
            anyhow::ensure!(
                appended.refused.is_empty(),
                "the generated history was refused: {:?}",
                appended.refused[0]
            );
        }
    }
    Ok(())
}

/// New hourly rows for several hubs, as the payloads of one import: each has every hub's values
/// of a stretch of hours.
pub fn payload(number: usize, hubs: usize, hours: usize) -> Vec<Arrival> {
    let metric = find_metric("power_price_usd_per_mwh").expect("it is in the catalog");
    let arrival = |index: usize| {
        let (hour, hub) = (number * hours + index / hubs, index % hubs);
        let start = FIRST_DAY.start().plus(Span::HOUR.times(i64::try_from(hour).expect("far fewer hours")));
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let value = 20.0 + ((hour * 31 + hub * 7) % 997) as f64 / 10.0;
        Arrival {
            key: SeriesKey {
                metric,
                subject: format!("hub-{hub}"),
                source: "grid".to_owned(),
                resolution: Resolution::Hour,
            },
            period_start: start,
            period_end: start.plus(Span::HOUR),
            incoming: Incoming { reading: Reading::Value(value), known_at: None },
        }
    };
    (0..hubs * hours).map(arrival).collect()
}

//! Yahoo: `/v8/finance/chart/{ticker}`, for issuers that do not exist.
//!
//! Share prices follow the bitcoin of the world with leverage. New York trades from half past nine to four on
//! weekdays, but for three holidays. One issuer splits its shares, and then all of its history is shown in new
//! ones, as the real source does.

use std::fmt::Write as _;

use super::answer::{Asked, Reply};
use super::table::{Cell, Row, Shape, Table, TimeForm, ValueForm};
use crate::domain::time::{Day, Span, Timestamp};
use crate::simulated::blocks::epoch_seconds;
use crate::simulated::chance::{Topic, either_way, share};
use crate::simulated::prices::Venue;
use crate::simulated::world::World;

/// The tickers of the world's issuers.
pub const TICKERS: [&str; 6] = ["QORBX", "MIRZA", "VOLTQ", "ASHEN", "TUNDR", "KELPO"];

/// An issuer's shares on the first day of the world.
struct Shares {
    ticker: &'static str,
    usd: f64,
    /// How much more than bitcoin they move, as a power.
    leverage: f64,
    /// Shares of a usual session.
    volume: f64,
}

const SHARES: [Shares; 6] = [
    Shares { ticker: "QORBX", usd: 18.0, leverage: 1.6, volume: 30_000_000.0 },
    Shares { ticker: "MIRZA", usd: 12.5, leverage: 1.4, volume: 18_000_000.0 },
    Shares { ticker: "VOLTQ", usd: 42.0, leverage: 1.9, volume: 6_000_000.0 },
    Shares { ticker: "ASHEN", usd: 4.2, leverage: 1.2, volume: 9_000_000.0 },
    Shares { ticker: "TUNDR", usd: 7.7, leverage: 1.5, volume: 12_000_000.0 },
    Shares { ticker: "KELPO", usd: 2.9, leverage: 1.3, volume: 2_500_000.0 },
];

/// The issuer that splits, new shares for each old one, and how long before the anchor at least.
const SPLITTING: &str = "VOLTQ";
const SPLIT_RATIO: f64 = 4.0;
const SPLIT_DAYS_BEFORE_ANCHOR: i32 = 200;

/// How far a day's price lies beside what bitcoin makes of it, at most, as a power of e.
const WIDEST_OF_ITS_OWN: f64 = 0.04;
const LEAST_USD: f64 = 0.05;

const OPENING: Span = Span::MINUTE.times(9 * 60 + 30);
const CLOSING: Span = Span::HOUR.times(16);

pub(super) fn answer(asked: &Asked<'_>) -> Reply {
    if !asked.has_user_agent {
        return too_many();
    }
    let ticker = asked.path.strip_prefix("/v8/finance/chart/").unwrap_or_default();
    let Some((number, shares)) = (0..).zip(&SHARES).find(|(_, shares)| shares.ticker == ticker) else {
        return error(404, "Not Found", "No data found, symbol may be delisted");
    };
    let (Some(from), Some(until)) = (asked.whole("period1", 0), asked.whole("period2", i64::MAX)) else {
        return error(400, "Bad Request", "invalid period");
    };
    if asked.parameter("interval") != Some("1d") || from > until {
        return error(400, "Bad Request", "invalid interval or period");
    }
    let issuer = Issuer { world: asked.world, shares, number, now: asked.now };
    Reply::json(issuer.chart(asked, from, until))
}

fn too_many() -> Reply {
    Reply { content_type: "text/plain", ..Reply::with_status(429, "Too Many Requests\r\n".to_owned()) }
}

fn error(status: u16, code: &str, description: &str) -> Reply {
    let error = format!(r#"{{"code":"{code}","description":"{description}"}}"#);
    Reply::with_status(status, format!(r#"{{"chart":{{"result":null,"error":{error}}}}}"#))
}

/// An issuer as it is seen now.
struct Issuer<'a> {
    world: &'a World,
    shares: &'a Shares,
    number: u64,
    now: Timestamp,
}

impl Issuer<'_> {
    fn chart(&self, asked: &Asked<'_>, from: i64, until: i64) -> String {
        let first = self.world.first_day();
        let days = (0..=self.now.day().since(first)).map(|number| first.plus(number));
        let is_asked = |opening: i64| from <= opening && opening <= until;
        let shown =
            days.filter(|day| is_session(*day) && opening(*day) <= self.now && is_asked(epoch_seconds(opening(*day))));
        let table = Table { rows: shown.map(|day| self.row(day)).collect(), shape: Shape::Arrays };
        let table = table.distorted(asked.misbehaviour);
        let split = self.split_day().map(|day| epoch_seconds(opening(day))).filter(|at| is_asked(*at));
        let mut json = format!(
            r#"{{"chart":{{"result":[{{"meta":{{"currency":"USD","symbol":"{}","exchangeName":"SIM","instrumentType":"EQUITY","gmtoffset":{},"exchangeTimezoneName":"America/New_York","dataGranularity":"1d"}}"#,
            self.shares.ticker,
            offset(self.now.day()).seconds(),
        );
        // Writing to a string cannot fail.
        if table.rows.is_empty() {
            let _ = write!(json, r#","indicators":{{"quote":[{{}}]}}"#);
        } else {
            let column = |name: &str| format!(r#""{name}":{}"#, table.column_to_json(name));
            let _ = write!(json, ",{}", column("timestamp"));
            if let Some(at) = split {
                let _ = write!(
                    json,
                    r#","events":{{"splits":{{"{at}":{{"date":{at},"numerator":{SPLIT_RATIO},"denominator":1,"splitRatio":"{SPLIT_RATIO}:1"}}}}}}"#
                );
            }
            let columns = ["low", "close", "volume", "open", "high"].map(column).join(",");
            let adjusted = table.column_to_json("close");
            let _ = write!(json, r#","indicators":{{"quote":[{{{columns}}}],"adjclose":[{{"adjclose":{adjusted}}}]}}"#);
        }
        json.push_str(r#"}],"error":null}}"#);
        json
    }

    fn row(&self, day: Day) -> Row {
        let closing = opening(day).plus(CLOSING).minus(OPENING);
        let later = self.shares_for_each(day);
        // Adjusted prices are shown in single precision.
        #[expect(clippy::cast_possible_truncation, reason = "as the real source shows them")]
        let price = |usd: f64| Cell::Value(f64::from((usd / later) as f32), ValueForm::Number);
        let (open, close) = (self.traded_usd(opening(day)), self.traded_usd(closing.min(self.now)));
        let draw = share(self.world.seed, Topic::ShareVolume, self.draw(day));
        let volume = (self.shares.volume * (0.5 + draw) * (1.0 + 5.0 * (close / open).ln().abs())).round();
        Row(vec![
            ("timestamp", Cell::Time(epoch_seconds(opening(day)), TimeForm::Seconds)),
            ("open", price(open)),
            ("high", price(open.max(close) * 1.004)),
            ("low", price(open.min(close) * 0.996)),
            ("close", price(close)),
            ("volume", Cell::Value(volume * later, ValueForm::Number)),
        ])
    }

    /// What a share is traded for at an instant, in whole cents.
    fn traded_usd(&self, at: Timestamp) -> f64 {
        let bitcoin = |at: Timestamp| self.world.price_usd(Venue::Coinbase, epoch_seconds(at));
        let own = WIDEST_OF_ITS_OWN * either_way(self.world.seed, Topic::Share, self.draw(at.day()));
        let since_begin = bitcoin(at) / bitcoin(self.world.first_day().start());
        let unsplit = self.shares.usd * since_begin.powf(self.shares.leverage) * own.exp();
        let is_split = self.shares.ticker == SPLITTING && at.day() >= split_day(self.world);
        let traded = if is_split { unsplit / SPLIT_RATIO } else { unsplit };
        (traded.max(LEAST_USD) * 100.0).round() / 100.0
    }

    /// A number of its own for each issuer and day.
    fn draw(&self, day: Day) -> u64 {
        u64::from(day.epoch_days().unsigned_abs()) * SHARES.len() as u64 + self.number
    }

    /// The day of the issuer's split, once its session has begun.
    fn split_day(&self) -> Option<Day> {
        let day = split_day(self.world);
        (self.shares.ticker == SPLITTING && opening(day) <= self.now).then_some(day)
    }

    /// Shares of now for each one of a day.
    fn shares_for_each(&self, day: Day) -> f64 {
        if self.split_day().is_some_and(|split| day < split) { SPLIT_RATIO } else { 1.0 }
    }
}

/// The first session in new shares.
pub(super) fn split_day(world: &World) -> Day {
    let mut day = world.anchor.plus(-SPLIT_DAYS_BEFORE_ANCHOR);
    while !is_session(day) {
        day = day.plus(1);
    }
    day
}

/// Days since Sunday.
fn weekday(day: Day) -> i32 {
    // 1970-01-01 was a Thursday.
    (day.epoch_days() + 4).rem_euclid(7)
}

/// Whether New York trades.
pub(super) fn is_session(day: Day) -> bool {
    let date = day.to_string();
    let is_holiday = ["-01-01", "-07-04", "-12-25"].iter().any(|holiday| date.ends_with(holiday));
    (1..=5).contains(&weekday(day)) && !is_holiday
}

/// Seconds of New York from UTC: summer time from the second Sunday of March to the first of November.
fn offset(day: Day) -> Span {
    let date = day.to_string();
    // The Sunday of the week that the day is in, as month and day.
    let sunday = day.plus(-weekday(day)).to_string();
    let sunday = sunday.get(5..).unwrap_or_default();
    let is_summer = match date.get(5..7) {
        Some("03") => ("03-08"..="03-31").contains(&sunday),
        Some("11") => sunday.starts_with("10"),
        month => month.is_some_and(|month| ("04"..="10").contains(&month)),
    };
    Span::HOUR.times(if is_summer { -4 } else { -5 })
}

/// When a session opens.
fn opening(day: Day) -> Timestamp {
    day.start().plus(OPENING).minus(offset(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn new_york_opens_at_half_past_nine_by_its_own_clock() {
        let cases = [
            ("2024-01-02", "14:30"),
            ("2024-03-08", "14:30"),
            ("2024-03-11", "13:30"),
            ("2024-07-01", "13:30"),
            ("2024-11-01", "13:30"),
            ("2024-11-04", "14:30"),
            ("2026-03-06", "14:30"),
            ("2026-03-09", "13:30"),
            ("2026-10-30", "13:30"),
            ("2026-11-02", "14:30"),
        ];
        for (date, expected) in cases {
            assert_eq!(&opening(day(date)).to_string()[11..16], expected, "{date}");
        }
    }

    #[test]
    fn weekends_and_holidays_have_no_session() {
        let sessions: Vec<String> = (0..11)
            .map(|number| day("2024-12-20").plus(number))
            .filter(|day| is_session(*day))
            .map(|day| day.to_string())
            .collect();
        assert_eq!(sessions, ["2024-12-20", "2024-12-23", "2024-12-24", "2024-12-26", "2024-12-27", "2024-12-30"]);
    }
}

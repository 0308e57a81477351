//! A row of the community file to observations of one day.

use csv::StringRecord;

use super::super::observe::Observer;
use super::super::text::Text;
use super::super::{Normalized, Refused};
use super::wire::Columns;
use crate::domain::append::{Arrival, known_at_of_completion};
use crate::domain::observation::Resolution;
use crate::domain::time::{Day, Timestamp};

/// The name of the source in every series.
pub const SOURCE: &str = "coinmetrics";

/// The observations of one row. An empty cell says nothing; a cell that is no number, or is out of
/// range, is refused by itself and the rest of the row is used.
#[must_use]
pub fn normalize(columns: &Columns, record: &StringRecord) -> Normalized {
    let cell = |place: usize| record.get(place).unwrap_or_default().trim();
    let time = cell(columns.time);
    // Newer files write a date, some tools a full stamp of midnight.
    let Some(day) = Day::parse(time.get(..10).unwrap_or(time)).ok().filter(|_| is_midnight(time)) else {
        return Normalized::refused("bad_time", format!("time is {time:?}; write a day like 2024-01-31"));
    };
    let known_at = columns.completed.and_then(|place| completion(cell(place), day));
    let mut normalized = Normalized::default();
    for &(place, metric, power) in &columns.metrics {
        let text = cell(place);
        if text.is_empty() {
            continue;
        }
        normalized.add(observe(metric, text, power, day, known_at));
    }
    normalized
}

fn is_midnight(time: &str) -> bool {
    time.len() == 10
        || time.get(10..).is_some_and(|rest| rest.trim_end_matches(['0', ':', '.', 'T', ' ', 'Z']).is_empty())
}

fn completion(text: &str, day: Day) -> Option<Timestamp> {
    let stamp = Timestamp::from_epoch_seconds(text.parse().ok()?)?;
    known_at_of_completion(stamp, day.end())
}

fn observe(slug: &str, text: &str, power: i32, day: Day, known_at: Option<Timestamp>) -> Result<Arrival, Refused> {
    let observer = Observer { source: SOURCE, resolution: Resolution::Day };
    let mut arrival = observer.text(slug, &Text::from(text), power, day.start())?;
    arrival.incoming.known_at = known_at;
    Ok(arrival)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::observation::Reading;

    fn normalize_line(header: &str, line: &str) -> Normalized {
        let record = |text: &str| StringRecord::from(text.split(',').collect::<Vec<_>>());
        normalize(&Columns::of(&record(header)).unwrap(), &record(line))
    }

    #[test]
    fn columns_are_found_by_name_and_units_are_ours() {
        let row = normalize_line("HashRate,Other,time,IssTotNtv", "833912781.6,x,2030-01-02,");
        assert!(row.refused.is_empty());
        assert_eq!(row.arrivals.len(), 1);
        assert_eq!(row.arrivals[0].key.to_string(), "hashrate_h_per_s/btc/coinmetrics/1d");
        assert_eq!(row.arrivals[0].incoming.reading, Reading::Value(8.339_127_816e20));
        assert_eq!(row.arrivals[0].period_end.to_string(), "2030-01-03T00:00:00Z");
    }

    #[test]
    fn a_completion_stamp_tells_only_within_seven_days() {
        let header = "time,AssetEODCompletionTime,PriceUSD";
        let known = |stamp: i64| normalize_line(header, &format!("2030-01-01,{stamp},5")).arrivals[0].incoming.known_at;
        let end = Day::parse("2030-01-01").unwrap().end();
        let end_seconds = end.micros() / 1_000_000;
        assert_eq!(known(end_seconds + 600).unwrap().since(end).seconds(), 600);
        assert_eq!(known(end_seconds + 8 * 86_400), None);
    }

    #[test]
    fn a_bad_cell_is_refused_and_the_rest_is_used() {
        let row = normalize_line("time,PriceUSD,BlkCnt,FeeTotNtv", "2030-01-01,NaN,144,-1");
        assert_eq!(row.arrivals.len(), 1);
        let reasons: Vec<_> = row.refused.iter().map(|refused| refused.reason).collect();
        assert_eq!(reasons, ["not_a_number", "out_of_range"]);
    }

    #[test]
    fn a_time_that_is_no_day_refuses_the_row() {
        for time in ["", "yesterday", "2030-01-01T05:00:00Z", "2030-02-30"] {
            let row = normalize_line("time,PriceUSD", &format!("{time},5"));
            assert_eq!(row.refused[0].reason, "bad_time", "{time}");
        }
        assert_eq!(normalize_line("time,PriceUSD", "2030-01-01T00:00:00.000000000Z,5").arrivals.len(), 1);
    }
}

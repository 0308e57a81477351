//! Between parsing and storing: what of the arrivals is believed, and in which batches it is stored.

use std::collections::BTreeMap;

use sqlx::PgPool;

use crate::domain::append::Arrival;
use crate::domain::catalog::Occurrence;
use crate::domain::chain::Header;
use crate::domain::observation::SeriesKey;
use crate::domain::plausible::find_jumps;
use crate::domain::time::Timestamp;
use crate::sources::{Normalized, Refused};
use crate::store::StoreError;
use crate::store::evidence::Quarantined;
use crate::store::feed_state::State;
use crate::store::observation::find_value_before;

/// A batch is closed at the first change of period after this many rows.
const ROWS_BEFORE_CLOSING: usize = 40_000;

/// What a run's answers came to.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// The believed arrivals, by period; the rows of one period are never parted.
    pub(super) batches: Vec<Vec<Arrival>>,
    /// They go with the last batch.
    pub(super) headers: Vec<Header>,
    pub(super) set_aside: Vec<Refused>,
    /// Values met, believed or not.
    pub(super) read: u64,
    /// Periods missing between the first and the last of each series.
    gaps: usize,
}

/// How the feed fares after the run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) detail: Option<String>,
}

/// What a source gave that cannot be used, as the quarantine keeps it.
pub(super) fn quarantined(source: &str, set_aside: &[Refused]) -> Vec<Quarantined> {
    let record = |refused: &Refused| Quarantined {
        source: source.to_owned(),
        file: None,
        line: None,
        metric: refused.metric.clone(),
        reason: refused.reason,
        detail: refused.detail.clone(),
        record: refused.detail.clone(),
    };
    set_aside.iter().map(record).collect()
}

/// Sets aside what jumps too far from the value before, and cuts the rest into batches.
pub(super) async fn settle(pool: &PgPool, normalized: Normalized) -> Result<Settled, StoreError> {
    let Normalized { arrivals, headers, mut refused } = normalized;
    let read = (arrivals.len() + refused.len()) as u64;
    let mut jumped = vec![false; arrivals.len()];
    let mut gaps = 0;
    let mut connection = pool.acquire().await?;
    for (key, placed) in by_series(&arrivals) {
        gaps += count_gaps(&placed, key);
        let Some(first) = placed.iter().map(|(_, arrival)| arrival.period_start).min() else { continue };
        let baseline = match key.metric.largest_step {
            Some(_) => find_value_before(&mut connection, key, first).await?,
            None => None,
        };
        for jump in find_jumps(&placed, baseline) {
            jumped[jump.place] = true;
            let detail = format!(
                "{key} of {} is {}, after {}; live values step by a factor of {} at most, so this looks like a change \
                 of unit; import it if it is right",
                arrivals[jump.place].period_start, jump.value, jump.before, jump.largest_step
            );
            refused.push(Refused { metric: Some(key.metric.slug.to_owned()), reason: "implausible_step", detail });
        }
    }
    let believed = arrivals.into_iter().zip(jumped).filter_map(|(arrival, jumped)| (!jumped).then_some(arrival));
    Ok(Settled { batches: cut_into_batches(believed.collect()), headers, set_aside: refused, read, gaps })
}

/// A series with its arrivals and their places in the payload.
type Placed<'a> = (&'a SeriesKey, Vec<(usize, &'a Arrival)>);

fn by_series(arrivals: &[Arrival]) -> Vec<Placed<'_>> {
    let mut series: BTreeMap<String, Placed<'_>> = BTreeMap::new();
    for (place, arrival) in arrivals.iter().enumerate() {
        let slot = series.entry(arrival.key.to_string()).or_insert_with(|| (&arrival.key, Vec::new()));
        slot.1.push((place, arrival));
    }
    series.into_values().collect()
}

/// Days from one session to the next after which sessions must be missing: exchanges close for four at most.
const SESSIONS_APART: usize = 5;

/// Periods that have no row between the first and the last that have one. Of sessions only those beyond what
/// holidays explain, of events none.
fn count_gaps(placed: &[(usize, &Arrival)], key: &SeriesKey) -> usize {
    let mut starts: Vec<Timestamp> = placed.iter().map(|(_, arrival)| arrival.period_start).collect();
    starts.sort_unstable();
    starts.dedup();
    let expected_within = match key.metric.occurs {
        Occurrence::EveryPeriod => 1,
        Occurrence::Sessions => SESSIONS_APART,
        Occurrence::Events => return 0,
    };
    let missing = |pair: &[Timestamp]| {
        let apart = pair[1].since(pair[0]).micros() / key.resolution.length().micros();
        usize::try_from(apart).unwrap_or(0).saturating_sub(expected_within)
    };
    starts.windows(2).map(missing).sum()
}

fn cut_into_batches(mut arrivals: Vec<Arrival>) -> Vec<Vec<Arrival>> {
    arrivals.sort_by_key(|arrival| arrival.period_start);
    let mut batches: Vec<Vec<Arrival>> = Vec::new();
    for arrival in arrivals {
        match batches.last_mut() {
            Some(batch)
                if batch.len() < ROWS_BEFORE_CLOSING
                    || batch.last().is_some_and(|last| last.period_start == arrival.period_start) =>
            {
                batch.push(arrival);
            }
            _ => batches.push(vec![arrival]),
        }
    }
    batches
}

impl Settled {
    /// How the feed fares, given all that was set aside in the end.
    pub(super) fn verdict(&self, set_aside: &[Refused]) -> Verdict {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for refused in set_aside {
            *reasons.entry(refused.reason).or_default() += 1;
        }
        if let Some((&worst, _)) = reasons.iter().max_by_key(|(_, count)| **count) {
            let counts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            let first = set_aside.first().map(|refused| refused.detail.as_str()).unwrap_or_default();
            let detail = format!("{} set aside ({}); {first}", set_aside.len(), counts.join(", "));
            return Verdict { state: State::Quarantining, reason: Some(worst.to_owned()), detail: Some(detail) };
        }
        if self.gaps > 0 {
            let detail = format!("{} periods are missing inside what was read", self.gaps);
            return Verdict { state: State::Gaps, reason: Some("missing_periods".to_owned()), detail: Some(detail) };
        }
        Verdict { state: State::Ok, reason: None, detail: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::append::Incoming;
    use crate::domain::catalog::find_metric;
    use crate::domain::observation::{Reading, Resolution};
    use crate::domain::time::Day;

    fn gaps(metric: &str, days: &[i32]) -> usize {
        let key = SeriesKey {
            metric: find_metric(metric).unwrap(),
            subject: "any".to_owned(),
            source: "any".to_owned(),
            resolution: Resolution::Day,
        };
        let arrival = |&day: &i32| {
            let (day, incoming) =
                (Day::from_epoch_days(day), Incoming { reading: Reading::Value(1.0), known_at: None });
            Arrival { key: key.clone(), period_start: day.start(), period_end: day.end(), incoming }
        };
        let arrivals: Vec<Arrival> = days.iter().map(arrival).collect();
        let placed: Vec<(usize, &Arrival)> = arrivals.iter().enumerate().collect();
        count_gaps(&placed, &key)
    }

    #[test]
    fn weekends_are_no_gaps_of_sessions_and_a_fortnight_is() {
        assert_eq!(gaps("price_usd", &[10, 11, 14, 14, 16]), 3);
        assert_eq!(gaps("price_usd", &[]), 0);
        assert_eq!(gaps("equity_close_usd", &[10, 11, 14, 15, 19]), 0);
        assert_eq!(gaps("equity_close_usd", &[10, 24, 25]), 9);
        assert_eq!(gaps("equity_split_ratio", &[10, 2_000]), 0);
    }
}

//! Whether a live value can be believed, seen beside the one before it.
//!
//! A publisher that changes a unit, or is broken, sends numbers that are wrong by a power of ten and
//! may still lie inside the metric's range. Files that a person imports are not judged: history holds
//! jumps that a person can vouch for.

use super::append::Arrival;
use super::observation::Reading;

/// A value that stands too far from the one before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jump {
    /// Place of the arrival in the payload.
    pub place: usize,
    pub before: f64,
    pub value: f64,
    pub largest_step: f64,
}

/// The arrivals of *one* series that are more than the metric's largest step away from the value
/// before them, in the order of periods; `baseline` is the newest stored value before them all.
///
/// A value that is refused is not what the next one is compared with, and neither is a zero or a
/// negative value: ratios say nothing of those. Without a baseline the first value is believed.
#[must_use]
pub fn find_jumps(arrivals: &[(usize, &Arrival)], baseline: Option<f64>) -> Vec<Jump> {
    let mut ordered: Vec<(usize, &Arrival)> = arrivals.to_vec();
    ordered.sort_by_key(|(_, arrival)| arrival.period_start);
    let mut before = baseline.filter(|&value| value > 0.0);
    let mut jumps = Vec::new();
    for (place, arrival) in ordered {
        let (Some(largest_step), &Reading::Value(value)) = (arrival.key.metric.largest_step, &arrival.incoming.reading)
        else {
            continue;
        };
        if value <= 0.0 {
            continue;
        }
        match before {
            Some(last) if value / last > largest_step || last / value > largest_step => {
                jumps.push(Jump { place, before: last, value, largest_step });
            }
            _ => before = Some(value),
        }
    }
    jumps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::append::Incoming;
    use crate::domain::catalog::find_metric;
    use crate::domain::observation::{Resolution, SeriesKey};
    use crate::domain::time::Day;

    fn prices(values: &[f64]) -> Vec<Arrival> {
        let day = Day::parse("2030-01-01").unwrap();
        let arrival = |(number, &value): (i32, &f64)| Arrival {
            key: SeriesKey {
                metric: find_metric("price_usd").unwrap(),
                subject: "btc".into(),
                source: "somebody".into(),
                resolution: Resolution::Day,
            },
            period_start: day.plus(number).start(),
            period_end: day.plus(number).end(),
            incoming: Incoming { reading: Reading::Value(value), known_at: None },
        };
        (0..).zip(values).map(arrival).collect()
    }

    fn jumps(values: &[f64], baseline: Option<f64>) -> Vec<usize> {
        let arrivals = prices(values);
        let placed: Vec<_> = arrivals.iter().enumerate().collect();
        find_jumps(&placed, baseline).iter().map(|jump| jump.place).collect()
    }

    #[test]
    fn a_change_of_unit_is_seen_and_the_values_around_it_are_believed() {
        assert_eq!(jumps(&[60e3, 61e6, 62e3, 62.5, 63e3], Some(59e3)), [1, 3]);
        assert_eq!(jumps(&[60e6, 61e6], Some(59e3)), [0, 1]);
    }

    #[test]
    fn what_a_market_can_do_is_believed() {
        assert!(jumps(&[60e3, 20e3, 90e3], Some(59e3)).is_empty());
        assert!(jumps(&[60e6], None).is_empty(), "there is nothing to compare with");
        assert!(jumps(&[0.0, 60e3], Some(59e3)).is_empty());
    }
}

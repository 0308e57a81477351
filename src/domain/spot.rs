//! The spot price: the hourly price of bitcoin, out of the closes of several venues.
//!
//! Everything else is served from one chosen source and never averaged. An hour's price is the
//! stated exception: venues quote the same thing at the same instant, so the median of those that
//! have a close for the hour ([`median_of_fresh`]) is better than any of them, and is there as soon
//! as one is. It is computed on read from V(T, S), like everything derived; the closes are stored as
//! each venue states them and can be read by naming the source. The daily price is chosen among
//! sources as usual.
//!
//! A venue is fresh for an hour if its newest version of that very hour is a value. Nothing is
//! carried over from the hour before, and candles in which nobody traded were refused before they
//! were stored.

use std::collections::BTreeSet;
use std::ops::Range;

use super::choice::{Group, union_of_periods};
use super::indicators::spot::median_of_fresh;
use super::indicators::statistics::{Missing, round_significant};
use super::network::{DERIVED_DIGITS, DerivedRow};
use super::observation::{Moment, Resolution, SeriesKey, SeriesLog};
use super::rules::{RuleBook, Timing};
use super::time::{Span, Timestamp};

/// The venues whose closes count. Each is an exchange where dollars are traded for bitcoin. An
/// aggregate such as the hourly price of mempool.space is no venue: it is made of exchanges' prices,
/// so it would count some of them twice, and it is taken up to ten minutes beside the hour. Own
/// observations are none either: who imports prices can read them by naming the source.
pub const VENUES: [&str; 3] = ["coinbase", "kraken", "bitstamp"];

/// The method id of the spot price.
pub const METHOD: &str = "median_of_fresh_venues";

/// The subject of the spot price.
pub const SUBJECT: &str = "btc";

const METRIC: &str = "price_usd";

/// Whether a series without a named source is the spot price.
#[must_use]
pub fn is_spot(metric: &str, subject: &str, resolution: Resolution) -> bool {
    metric == METRIC && subject == SUBJECT && resolution == Resolution::Hour
}

/// Whether a stored series is an input of the spot price.
#[must_use]
pub fn is_input(key: &SeriesKey) -> bool {
    is_spot(key.metric.slug, &key.subject, key.resolution) && VENUES.contains(&key.source.as_str())
}

/// The hourly logs of the venues, laid out along one run of hours without gaps.
#[derive(Debug)]
pub struct SpotHistory<'a> {
    closes: Group<'a>,
    rules: &'a RuleBook,
}

/// The spot price as seen at one moment.
#[derive(Debug, Clone)]
pub struct SpotView<'h, 'a> {
    history: &'h SpotHistory<'a>,
    moment: Moment,
    life: Range<usize>,
}

/// The newest hour with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestHour {
    pub hour: usize,
    /// Its end.
    pub observed_until: Timestamp,
    pub timing: Timing,
}

impl<'a> SpotHistory<'a> {
    /// The history of the venues' logs among `logs`; `base` is the newest moment that views of it will
    /// be asked for.
    #[must_use]
    pub fn new(logs: impl Iterator<Item = &'a SeriesLog>, rules: &'a RuleBook, base: Moment) -> Self {
        let logs: Vec<&SeriesLog> = logs.filter(|log| is_input(&log.key)).collect();
        let stored = union_of_periods(logs.iter().copied(), base.batch);
        let bounds = stored.first().zip(stored.last()).map(|(first, last)| (first.0, last.0));
        let hours_of = |(first, last): (Timestamp, Timestamp)| {
            let hours = std::iter::successors(Some(first), |start| Some(start.plus(Span::HOUR)));
            hours.take_while(move |&start| start <= last).map(|start| (start, start.plus(Span::HOUR)))
        };
        let hours = bounds.into_iter().flat_map(hours_of).collect();
        Self { closes: Group::new(&[METRIC], logs.iter().copied(), hours, rules, base), rules }
    }

    /// Start and end of each hour, without gaps.
    #[must_use]
    pub fn hours(&self) -> &[(Timestamp, Timestamp)] {
        self.closes.periods()
    }

    /// The spot price as seen at a moment.
    #[must_use]
    pub fn view(&self, moment: Moment) -> SpotView<'_, 'a> {
        let mut hours = 0..self.hours().len();
        let life = match hours.find(|&hour| self.has_value(hour, moment)) {
            None => 0..0,
            Some(first) => {
                let is_known = |&hour: &usize| self.closes.known_times(hour, 0, moment).next().is_some();
                first..hours.rev().find(is_known).unwrap_or(first) + 1
            }
        };
        SpotView { history: self, moment, life }
    }

    /// T0 of an hour: the first instant at which at least one venue has a value; `None` if none has up
    /// to the moment.
    ///
    /// The first venue is enough because the hour is served from then on: a median of what is there
    /// is a price, and whoever waited for all three would have none for as long as one is away. The
    /// venues that come later count as revisions.
    #[must_use]
    pub fn first_served(&self, hour: usize, moment: Moment) -> Option<Timestamp> {
        self.first_among(&self.known_times(hour, moment), hour, moment)
    }

    /// The same, given every time of knowledge of the hour.
    fn first_among(&self, times: &[Timestamp], hour: usize, moment: Moment) -> Option<Timestamp> {
        times.iter().copied().find(|&at| self.has_value(hour, Moment { at, ..moment }))
    }

    /// The price of an hour on V(T, S) in USD: the only fresh venue's own digits, or the median of
    /// several to ten significant digits.
    ///
    /// # Errors
    /// [`Missing::NoData`] if no venue is fresh: none has said anything of the hour, or all have taken
    /// it back.
    pub fn value_at(&self, hour: usize, moment: Moment) -> Result<f64, Missing> {
        let closes: Vec<f64> = self.closes.values(hour, 0, moment).map(|(_, close)| close).collect();
        let median = median_of_fresh(&closes).ok_or(Missing::NoData)?;
        Ok(if closes.len() > 1 { round_significant(median, DERIVED_DIGITS) } else { median })
    }

    /// The rows of some hours as they were at their T0; hours that never had a value have none.
    #[must_use]
    pub fn first_rows(&self, hours: Range<usize>, moment: Moment) -> Vec<DerivedRow> {
        hours.filter_map(|hour| self.versions(hour, moment).next()).collect()
    }

    /// Every version of the rows of some hours: at T0, and at each later instant at which anything of
    /// any venue became known about the hour. Stops after `limit` rows.
    #[must_use]
    pub fn all_rows(&self, hours: Range<usize>, moment: Moment, limit: usize) -> Vec<DerivedRow> {
        hours.flat_map(|hour| self.versions(hour, moment)).take(limit).collect()
    }

    /// Each version is the row that a view of the instant shows, and when the next one came.
    fn versions(&self, hour: usize, moment: Moment) -> impl Iterator<Item = DerivedRow> {
        let mut instants = self.known_times(hour, moment);
        let first = self.first_among(&instants, hour, moment);
        instants.retain(|&at| first.is_some_and(|first| first <= at));
        (0..instants.len()).map(move |version| {
            let row = self.row(hour, Moment { at: instants[version], ..moment });
            DerivedRow { superseded_at: instants.get(version + 1).copied(), ..row }
        })
    }

    fn row(&self, hour: usize, moment: Moment) -> DerivedRow {
        let (start, end) = self.hours()[hour];
        let times = self.known_times(hour, moment);
        let after = |first: Timestamp| times.iter().filter(|&&at| at > first).count();
        DerivedRow {
            start,
            end,
            value: self.value_at(hour, moment),
            known_at: times.last().copied(),
            revision: self.first_among(&times, hour, moment).map_or(0, after),
            source: self.source(hour, moment),
            superseded_at: None,
        }
    }

    /// The fresh venues, joined by `+`.
    fn source(&self, hour: usize, moment: Moment) -> String {
        let venues: BTreeSet<&str> = self.closes.values(hour, 0, moment).map(|(venue, _)| venue).collect();
        venues.into_iter().collect::<Vec<_>>().join("+")
    }

    fn has_value(&self, hour: usize, moment: Moment) -> bool {
        self.closes.values(hour, 0, moment).next().is_some()
    }

    /// Every distinct `known_at` that the view holds for an hour, of all venues, ascending.
    fn known_times(&self, hour: usize, moment: Moment) -> Vec<Timestamp> {
        let mut times: Vec<Timestamp> = self.closes.known_times(hour, 0, moment).collect();
        times.sort_unstable();
        times.dedup();
        times
    }
}

impl SpotView<'_, '_> {
    /// The hours of the series: from the first with a value to the newest that anything is known of.
    /// Holes inside it have rows. Empty where there is no value.
    #[must_use]
    pub fn life(&self) -> Range<usize> {
        self.life.clone()
    }

    /// The rows of some hours, as known in this view.
    #[must_use]
    pub fn rows(&self, hours: Range<usize>) -> Vec<DerivedRow> {
        hours.map(|hour| self.history.row(hour, self.moment)).collect()
    }

    /// The newest hour with a value, and when the next is due: as soon as the promptest venue has it.
    ///
    /// The price is as fresh as the freshest venue, unlike a value that needs all of its inputs: one
    /// venue that is away takes nothing from the others.
    #[must_use]
    pub fn newest(&self) -> Option<NewestHour> {
        let hour = self.life().rev().find(|&hour| self.history.has_value(hour, self.moment))?;
        let rules = self.history.rules.in_force(self.moment);
        let timings = VENUES.map(|venue| rules.timing(venue, METRIC, Resolution::Hour));
        let [first, ..] = timings;
        let timing = timings.into_iter().fold(first, |best, timing| if timing.lag < best.lag { timing } else { best });
        Some(NewestHour { hour, observed_until: self.history.hours()[hour].1, timing })
    }

    /// Until when the newest hour counts as fresh; `None` where there is no value.
    #[must_use]
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.newest().map(|newest| newest.timing.valid_until(newest.observed_until))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::append::withdrawal;
    use super::super::catalog::find_metric;
    use super::super::observation::{Basis, Reading, StoredRow, Version};
    use super::super::rules::{LagRule, SourceRules, SourceRulesVersion};
    use super::*;

    fn book() -> RuleBook {
        let lag = |source: &str, lag| LagRule { source: Some(source.to_owned()), metric: None, lag };
        let rules = SourceRules {
            priority: Vec::new(),
            lags: vec![lag("coinbase", Span::HOUR), lag("bitstamp", Span::MINUTE)],
            restating: Vec::new(),
        };
        RuleBook::new(vec![SourceRulesVersion { version: 1, effective_at: Timestamp::MIN, batch: 1, rules }]).unwrap()
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::MIN.plus(Span::MINUTE.times(minutes))
    }

    /// What one venue says of one hour: the hour, minutes from its end, batch, and a close or a withdrawal.
    type Said = (i64, i64, i64, Option<u8>);

    fn log(source: &str, said: &[Said]) -> SeriesLog {
        let row = |&(hour, late, batch, close): &Said| StoredRow {
            period_start: at(hour * 60),
            period_end: at(hour * 60 + 60),
            version: Version {
                known_at: at(hour * 60 + 60 + late),
                batch,
                reading: close.map_or_else(|| withdrawal("busted"), |close| Reading::Value(f64::from(close))),
                basis: Basis::Published,
            },
        };
        let key = SeriesKey {
            metric: find_metric(METRIC).unwrap(),
            subject: SUBJECT.to_owned(),
            source: source.to_owned(),
            resolution: Resolution::Hour,
        };
        SeriesLog::empty(key).with_rows(said.iter().map(row).collect())
    }

    const LATE: Moment = Moment { at: Timestamp::MAX, batch: 9 };

    fn rows_at(logs: &[SeriesLog], moment: Moment) -> Vec<DerivedRow> {
        let book = book();
        let history = SpotHistory::new(logs.iter(), &book, LATE);
        let view = history.view(moment);
        view.rows(view.life())
    }

    #[test]
    fn only_venues_count_and_only_by_the_hour() {
        let venue = log("kraken", &[]).key;
        assert!(is_input(&venue));
        assert!(!is_input(&SeriesKey { source: "mempool".to_owned(), ..venue.clone() }));
        assert!(!is_input(&SeriesKey { resolution: Resolution::Day, ..venue.clone() }));
        assert!(!is_input(&SeriesKey { subject: "MARA".to_owned(), ..venue.clone() }));
        assert!(!is_input(&SeriesKey { metric: find_metric("difficulty").unwrap(), ..venue }));
        let rows = rows_at(&[log("mempool", &[(0, 0, 1, Some(9))]), log("kraken", &[(1, 0, 1, Some(5))])], LATE);
        assert_eq!((rows.len(), rows[0].value, rows[0].source.as_str()), (1, Ok(5.0), "kraken"));
        assert!(rows_at(&[log("mempool", &[(0, 0, 1, Some(9))])], LATE).is_empty());
    }

    #[test]
    fn a_mean_of_two_has_ten_digits_and_an_only_venue_its_own() {
        let close = |source: &str, close: f64| {
            let row = StoredRow {
                period_start: at(0),
                period_end: at(60),
                version: Version { known_at: at(60), batch: 1, reading: Reading::Value(close), basis: Basis::Assumed },
            };
            SeriesLog::empty(log(source, &[]).key).with_rows(vec![row])
        };
        let one = [close("kraken", 60_000.123_456_789)];
        assert_eq!(rows_at(&one, LATE)[0].value, Ok(60_000.123_456_789));
        let two = [close("kraken", 60_000.123_456_789), close("bitstamp", 60_001.0)];
        assert_eq!(rows_at(&two, LATE)[0].value, Ok(60_000.561_73)); // 60,000.5617283945
        let three = [close("coinbase", 7.0), close("kraken", 60_000.123_456_789), close("bitstamp", 60_001.0)];
        assert_eq!(rows_at(&three, LATE)[0].value, Ok(60_000.123_46));
    }

    #[test]
    fn it_is_fresh_as_long_as_the_promptest_venue_would_be() {
        // Bitstamp is a minute late by rule, coinbase an hour, kraken a day for want of a rule.
        let book = book();
        let logs = [log("coinbase", &[(3, 0, 1, Some(5))]), log("kraken", &[(4, 0, 1, None)])];
        let history = SpotHistory::new(logs.iter(), &book, LATE);
        let newest = history.view(LATE).newest().unwrap();
        assert_eq!((newest.hour, newest.observed_until, newest.timing.lag), (0, at(240), Span::MINUTE));
        assert_eq!(history.view(LATE).valid_until(), Some(at(240 + 60 + 1 + 15)));
        assert_eq!(history.view(LATE).life(), 0..2, "the withdrawal is a hole at the end");
        let before = Moment { at: at(239), ..LATE };
        assert_eq!((history.view(before).newest(), history.view(before).life()), (None, 0..0));
    }

    fn said() -> impl Strategy<Value = Vec<Said>> {
        prop::collection::vec((0_i64..6, 0_i64..8, 1_i64..4, prop::option::weighted(0.8, 1_u8..9)), 0..12)
    }

    proptest! {
        /// Every version is the row that a view of its instant shows, T0 is where the rows begin, and
        /// a row's revision is its place.
        #[test]
        fn versions_are_views(a in said(), b in said(), c in said(), batch in 1_i64..4) {
            let logs = [log("coinbase", &a), log("kraken", &b), log("bitstamp", &c)];
            let book = book();
            let history = SpotHistory::new(logs.iter(), &book, LATE);
            let whole = Moment { batch, ..LATE };
            for hour in 0..history.hours().len() {
                let versions = history.all_rows(hour..hour + 1, whole, usize::MAX);
                prop_assert_eq!(versions.first().cloned(), history.first_rows(hour..hour + 1, whole).pop());
                prop_assert_eq!(versions.first().and_then(|row| row.known_at), history.first_served(hour, whole));
                for (place, version) in versions.iter().enumerate() {
                    let then = Moment { at: version.known_at.unwrap(), batch };
                    let shown = history.view(then).rows(hour..hour + 1).pop().unwrap();
                    prop_assert_eq!(version.revision, place);
                    prop_assert_eq!(version, &DerivedRow { superseded_at: version.superseded_at, ..shown });
                    prop_assert_eq!(version.superseded_at, versions.get(place + 1).and_then(|next| next.known_at));
                }
                // Before T0 there was no value at any instant.
                let first = versions.first().and_then(|row| row.known_at).unwrap_or(Timestamp::MAX);
                for minute in (0..12 * 60).map(at).take_while(|&minute| minute < first) {
                    prop_assert_eq!(history.value_at(hour, Moment { at: minute, batch }), Err(Missing::NoData));
                }
            }
        }

        /// V(T, S) is the same whatever is stored after S, and in whichever order the logs come.
        #[test]
        fn what_is_stored_later_changes_no_earlier_view(a in said(), b in said(), c in said(), minute in 0_i64..500) {
            let logs = [log("coinbase", &a), log("kraken", &b), log("bitstamp", &c)];
            for batch in 1..4 {
                let stored = |said: &[Said]| said.iter().copied().filter(|row| row.2 <= batch).collect::<Vec<_>>();
                let before = [log("bitstamp", &stored(&c)), log("kraken", &stored(&b)), log("coinbase", &stored(&a))];
                for at in [at(minute), Timestamp::MAX] {
                    let moment = Moment { at, batch };
                    prop_assert_eq!(rows_at(&logs, moment), rows_at(&before, moment));
                }
            }
        }
    }
}

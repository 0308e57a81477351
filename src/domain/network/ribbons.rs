//! The hash ribbons along the days of a view: events, states and when each was known.

use super::known::KnownTimes;
use super::metric::{PRICE_AND_HASHRATE, RIBBON_READS, Reads};
use super::view::{Column, NetworkView};
use crate::domain::indicators::ribbons::{
    self, HASHRATE_DAYS, HashRibbons, PRICE_DAYS, RibbonAverages, RibbonEvent, RibbonEventKind, RibbonState,
};
use crate::domain::time::{Day, Timestamp};

/// The walk along the days, and the means that it went by.
#[derive(Debug)]
pub struct RibbonWalk {
    short: Vec<Option<f64>>,
    long: Vec<Option<f64>>,
    /// Whether both means of price are there.
    price: Vec<bool>,
    walked: HashRibbons,
}

/// The hash ribbons of a day. Hashrates are in H/s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RibbonDay {
    pub short_h_per_s: Option<f64>,
    pub long_h_per_s: Option<f64>,
    /// Short over long, less one.
    pub depth: Option<f64>,
    pub state: Option<RibbonState>,
    pub days_in_state: u32,
    /// Days since the merged inversion of this day began, as known on it.
    pub days_inverted_merged: Option<u32>,
}

/// An event with when it was known as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct RibbonEventRow {
    pub day: Day,
    pub kind: RibbonEventKind,
    /// Whether it lies inside a merged inversion; `None` while that is open.
    pub merged: Option<bool>,
    pub known_at: Option<Timestamp>,
    pub source: String,
}

impl NetworkView<'_, '_> {
    fn ribbon_walk(&self) -> &RibbonWalk {
        self.ribbons.get_or_init(|| {
            let means = |column, length| self.days().map(|day| self.mean(column, day, length).ok()).collect::<Vec<_>>();
            let [short, long] = HASHRATE_DAYS.map(|length| means(Column::Hashrate, length));
            let [price_short, price_long] = PRICE_DAYS.map(|length| means(Column::Price, length));
            // Days that nothing is known of yet do not pass: what waits for some days waits for these.
            let known = short.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
            let mut walked = ribbons::hash_ribbons(&RibbonAverages {
                sma30: &short[..known],
                sma60: &long,
                price_sma10: &price_short,
                price_sma20: &price_long,
            });
            walked.states.resize(short.len(), None);
            walked.days_in_state.resize(short.len(), 0);
            let price = price_short.iter().zip(&price_long).map(|(short, long)| short.is_some() && long.is_some());
            RibbonWalk { price: price.collect(), short, long, walked }
        })
    }

    /// The hash ribbons of a day. The view must hold the history from its first day. Whether a buy has come
    /// is not known without the means of price, so only an inversion has a state without them.
    #[must_use]
    pub fn hash_ribbons(&self, day: usize) -> RibbonDay {
        let RibbonWalk { short, long, price, walked } = self.ribbon_walk();
        let is_said = |state: &RibbonState| *state == RibbonState::Inverted || price[day];
        let depth = short[day].zip(long[day]).and_then(|(short, long)| ribbons::depth(short, long).ok());
        RibbonDay {
            short_h_per_s: short[day],
            long_h_per_s: long[day],
            depth,
            state: walked.states[day].filter(is_said),
            days_in_state: walked.days_in_state[day],
            days_inverted_merged: walked.days_inverted_merged(day),
        }
    }

    /// Every event of the hash ribbons, oldest first. The view must hold the history from its first day.
    #[must_use]
    pub fn hash_ribbon_events(&self) -> Vec<RibbonEventRow> {
        let reads: Reads = RIBBON_READS;
        let known = KnownTimes::new(self.history, &reads, self.days(), self.moment);
        let RibbonWalk { short, walked, .. } = self.ribbon_walk();
        let mut inversion = None;
        let row = |event: &RibbonEvent| {
            if event.kind == RibbonEventKind::InversionStart {
                inversion = Some(event.day);
            }
            // A crossing compares with the day before, and a recovery and a buy are of an inversion that
            // began earlier: everything since is part of what the event says.
            let begin = inversion.unwrap_or(event.day).min(event.day).saturating_sub(HASHRATE_DAYS[1]);
            // What waited for days to pass was seen when the next day with a value was known.
            let decided = event.merged_decided_on.unwrap_or(event.day);
            let seen = (decided..short.len()).find(|&day| short[day].is_some()).unwrap_or(event.day);
            RibbonEventRow {
                day: self.history.day(event.day),
                kind: event.kind,
                merged: event.merged,
                known_at: known.newest_own(begin, seen),
                source: self.source_of(PRICE_AND_HASHRATE, event.day),
            }
        };
        walked.events.iter().map(row).collect()
    }
}

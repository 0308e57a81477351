//! The daily network history and what is derived from it, computed on read from V(T, S).
//!
//! Price comes from one group of sources; hashrate, fees and issuance of a day come together from
//! one source, because publishers cut days differently. Formulas stand in
//! [`super::indicators::hashprice`]; this module says what each metric reads, when a value was
//! first computable, and how often its inputs changed since.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;

use super::choice::{Group, GroupView, Served, union_of_periods};
use super::indicators::hashprice;
use super::indicators::statistics::{HoleLimit, Minimum, Missing, Scratch, WindowRule, round_significant};
use super::observation::{Moment, Resolution, SeriesLog};
use super::rules::RuleBook;
use super::time::{Day, Timestamp};

/// Significant digits of every derived value.
pub const DERIVED_DIGITS: usize = 10;

/// The longest window of any metric here, in days.
const LONGEST_WINDOW: usize = hashprice::LEVEL_DAYS;

/// The metrics of a day that must come from one source, in the order of the chain group's fields.
const CHAIN: [&str; 3] = ["hashrate_h_per_s", "fees_btc", "issuance_btc"];
const PRICE: [&str; 1] = ["price_usd"];

/// One input series of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Price,
    Hashrate,
    Fees,
    Issuance,
}

impl Input {
    const EVERY: &[Self] = &[Self::Price, Self::Hashrate, Self::Fees, Self::Issuance];
    const OF_CHAIN: &[Self] = &[Self::Hashrate, Self::Fees, Self::Issuance];

    const fn field(self) -> usize {
        match self {
            Self::Price | Self::Hashrate => 0,
            Self::Fees => 1,
            Self::Issuance => 2,
        }
    }
}

/// A metric derived from the network history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkMetric {
    HashpriceUsd,
    HashpriceBtc,
    Ma7,
    RevenueOverHashrate7,
    Percentile,
    Drawdown,
    ZLog,
    ZRobust,
    Change7d,
}

/// Which days before its own a metric reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The own day and the days before it, so many in all.
    Window(WindowRule),
    /// The own day and the one so many days before, both needed.
    Pair { days: usize },
}

impl NetworkMetric {
    pub const ALL: [Self; 9] = [
        Self::HashpriceUsd,
        Self::HashpriceBtc,
        Self::Ma7,
        Self::RevenueOverHashrate7,
        Self::Percentile,
        Self::Drawdown,
        Self::ZLog,
        Self::ZRobust,
        Self::Change7d,
    ];

    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::HashpriceUsd => "hashprice_usd_per_ph_day",
            Self::HashpriceBtc => "hashprice_btc_per_ph_day",
            Self::Ma7 => "hashprice_ma7_usd_per_ph_day",
            Self::RevenueOverHashrate7 => "hashprice_rev_hr7_usd_per_ph_day",
            Self::Percentile => "hashprice_percentile_365d",
            Self::Drawdown => "hashprice_drawdown_365d",
            Self::ZLog => "hashprice_z_log_365d",
            Self::ZRobust => "hashprice_z_robust_365d",
            Self::Change7d => "hashprice_change_7d",
        }
    }

    #[must_use]
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.slug() == slug)
    }

    const fn reach(self) -> Reach {
        match self {
            Self::HashpriceUsd | Self::HashpriceBtc => Reach::Window(WindowRule::moving_average(1)),
            Self::Ma7 | Self::RevenueOverHashrate7 => Reach::Window(WindowRule::moving_average(hashprice::WEEK_DAYS)),
            Self::Percentile | Self::Drawdown => Reach::Window(hashprice::rank_rule(LONGEST_WINDOW)),
            Self::ZLog => Reach::Window(hashprice::mean_rule(LONGEST_WINDOW)),
            Self::ZRobust => Reach::Window(hashprice::median_rule(LONGEST_WINDOW)),
            Self::Change7d => Reach::Pair { days: 7 },
        }
    }

    /// What the metric reads of its own day.
    const fn own_inputs(self) -> &'static [Input] {
        match self {
            Self::HashpriceBtc => Input::OF_CHAIN,
            _ => Input::EVERY,
        }
    }

    /// What the metric reads of the other days in its reach.
    const fn reach_inputs(self) -> &'static [Input] {
        match self {
            Self::HashpriceBtc => Input::OF_CHAIN,
            Self::RevenueOverHashrate7 => &[Input::Hashrate],
            _ => Input::EVERY,
        }
    }

    const fn needs_price(self) -> bool {
        !matches!(self, Self::HashpriceBtc)
    }

    const fn reach_needs_price(self) -> bool {
        !matches!(self, Self::HashpriceBtc | Self::RevenueOverHashrate7)
    }

    /// The days read besides the own one, as indexes, oldest first.
    fn other_days(self, day: usize) -> Range<usize> {
        match self.reach() {
            Reach::Window(rule) => (day + 1).saturating_sub(rule.days)..day,
            Reach::Pair { days } => day.checked_sub(days).map_or(0..0, |earlier| earlier..earlier + 1),
        }
    }
}

/// The daily logs of the network, laid out along one run of days without gaps.
pub struct NetworkHistory<'a> {
    first_day: Day,
    days: usize,
    price: Group<'a>,
    chain: Group<'a>,
    base: Moment,
    /// The first day with a hashprice in USD in the base view.
    first_value: OnceCell<Option<usize>>,
}

/// One served row of a derived metric.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedRow {
    /// Where the period begins and ends.
    pub start: Timestamp,
    pub end: Timestamp,
    pub value: Result<f64, Missing>,
    /// The newest `known_at` among everything visible in the declared inputs; `None` where nothing
    /// is known of them.
    pub known_at: Option<Timestamp>,
    /// How many distinct later times of knowledge the inputs have had since the value was first
    /// computable.
    pub revision: usize,
    /// The sources of the period's own inputs, joined by `+`; empty where there are none.
    pub source: String,
    /// When the next version of the row became known, inside the same view.
    pub superseded_at: Option<Timestamp>,
}

impl<'a> NetworkHistory<'a> {
    /// The history of the daily `btc` logs among `logs`; `base` is the newest moment that views of it
    /// will be asked for.
    #[must_use]
    pub fn new(logs: impl Iterator<Item = &'a SeriesLog>, rules: &'a RuleBook, base: Moment) -> Self {
        let logs: Vec<&SeriesLog> = logs
            .filter(|log| log.key.subject == "btc" && log.key.resolution == Resolution::Day)
            .filter(|log| PRICE.contains(&log.key.metric.slug) || CHAIN.contains(&log.key.metric.slug))
            .collect();
        let stored = union_of_periods(logs.iter().copied(), base.batch);
        let (first_day, last_day) = match (stored.first(), stored.last()) {
            (Some(first), Some(last)) => (first.0.day(), last.0.day()),
            _ => (Day::from_epoch_days(0), Day::from_epoch_days(-1)),
        };
        let periods: Vec<_> = (first_day.epoch_days()..=last_day.epoch_days())
            .map(Day::from_epoch_days)
            .map(|day| (day.start(), day.end()))
            .collect();
        let days = periods.len();
        let price = Group::new(&PRICE, logs.iter().copied(), periods.clone(), rules, base);
        let chain = Group::new(&CHAIN, logs.iter().copied(), periods, rules, base);
        Self { first_day, days, price, chain, base, first_value: OnceCell::new() }
    }

    /// How many days the history spans, gaps included.
    #[must_use]
    pub const fn days(&self) -> usize {
        self.days
    }

    /// The day of an index.
    #[must_use]
    pub fn day(&self, index: usize) -> Day {
        self.first_day.plus(i32::try_from(index).unwrap_or(i32::MAX))
    }

    /// The index of a day, held to the ends of the history.
    #[must_use]
    pub fn index_of(&self, day: Day) -> usize {
        usize::try_from(day.since(self.first_day)).unwrap_or(0).min(self.days)
    }

    /// The whole history as seen at a moment.
    #[must_use]
    pub fn view(&self, moment: Moment) -> NetworkView<'_, 'a> {
        self.view_of(0..self.days, moment)
    }

    fn view_of(&self, days: Range<usize>, moment: Moment) -> NetworkView<'_, 'a> {
        let mut view = self.columns(days, moment);
        view.first_value = view.find_first_value();
        view
    }

    /// A view whose series' life is not known yet.
    fn columns(&self, days: Range<usize>, moment: Moment) -> NetworkView<'_, 'a> {
        let price = self.price.view_of(days.clone(), moment);
        let chain = self.chain.view_of(days.clone(), moment);
        let mut view = NetworkView {
            history: self,
            moment,
            from: days.start,
            price,
            chain,
            btc: Vec::with_capacity(days.len()),
            usd: Vec::with_capacity(days.len()),
            log_usd: Vec::with_capacity(days.len()),
            hashrate: Vec::with_capacity(days.len()),
            first_value: None,
        };
        for day in days {
            view.read_day(day);
        }
        view
    }

    /// The metric's rows as they were at the first instant each was computable.
    #[must_use]
    pub fn first_rows(&self, metric: NetworkMetric, days: Range<usize>, moment: Moment) -> Vec<DerivedRow> {
        self.versions(metric, days, moment, |instants| instants.truncate(1))
    }

    /// Every version of the metric's rows: at the first instant, and at each later one at which
    /// anything in the declared inputs became known. Stops after `limit` rows.
    #[must_use]
    pub fn all_rows(&self, metric: NetworkMetric, days: Range<usize>, moment: Moment, limit: usize) -> Vec<DerivedRow> {
        let mut left = limit;
        self.versions(metric, days, moment, |instants| {
            instants.truncate(left);
            left -= instants.len();
        })
    }

    fn versions(
        &self,
        metric: NetworkMetric,
        days: Range<usize>,
        moment: Moment,
        mut keep: impl FnMut(&mut Vec<Timestamp>),
    ) -> Vec<DerivedRow> {
        let mut scratch = Scratch::default();
        let known = KnownTimes::new(self, metric, days.clone(), moment);
        let first = FirstServed::new(self, metric, days.clone(), moment);
        let mut rows = Vec::new();
        for day in days {
            let Some(first_at) = first.computable(metric, day) else { continue };
            let later = known.after(metric, day, first_at);
            let mut instants: Vec<Timestamp> = std::iter::once(first_at).chain(later).collect();
            let known_instants = instants.clone();
            keep(&mut instants);
            for (revision, &at) in instants.iter().enumerate() {
                let view = self.view_of(day.saturating_sub(LONGEST_WINDOW - 1)..day + 1, Moment { at, ..moment });
                rows.push(DerivedRow {
                    start: self.day(day).start(),
                    end: self.day(day).end(),
                    value: view.value(metric, day, &mut scratch),
                    known_at: Some(at),
                    revision,
                    source: view.source(metric, day),
                    superseded_at: known_instants.get(revision + 1).copied(),
                });
            }
        }
        rows
    }

    /// When each day of a metric was first computable, in V(T, S); `None` where it never was.
    #[must_use]
    pub fn first_computable(
        &self,
        metric: NetworkMetric,
        days: Range<usize>,
        moment: Moment,
    ) -> Vec<Option<Timestamp>> {
        let first = FirstServed::new(self, metric, days.clone(), moment);
        days.map(|day| first.computable(metric, day)).collect()
    }

    /// One value on V(T, S), computed from the days in its reach alone.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn value_at(
        &self,
        metric: NetworkMetric,
        day: usize,
        moment: Moment,
        scratch: &mut Scratch,
    ) -> Result<f64, Missing> {
        let view = self.view_of(day.saturating_sub(LONGEST_WINDOW - 1)..day + 1, moment);
        view.value(metric, day, scratch)
    }
}

/// The history as seen at one moment, with hashprice of every day.
pub struct NetworkView<'h, 'a> {
    history: &'h NetworkHistory<'a>,
    moment: Moment,
    /// Index of the first day of the columns below.
    from: usize,
    pub price: GroupView<'h, 'a>,
    pub chain: GroupView<'h, 'a>,
    btc: Vec<Result<f64, Missing>>,
    usd: Vec<Option<f64>>,
    log_usd: Vec<Option<f64>>,
    hashrate: Vec<Option<f64>>,
    /// The first day of the whole history with a hashprice in USD: where the series' life begins.
    first_value: Option<usize>,
}

impl NetworkView<'_, '_> {
    fn read_day(&mut self, day: usize) {
        let btc = self.read_btc(day);
        let usd = btc.ok().zip(self.price.value(day, 0)).map(|(btc, price)| btc * price);
        self.btc.push(btc);
        self.usd.push(usd);
        self.log_usd.push(usd.map(f64::ln));
        self.hashrate.push(self.chain.value(day, Input::Hashrate.field()));
    }

    fn read_btc(&self, day: usize) -> Result<f64, Missing> {
        let of = |input: Input| self.chain.value(day, input.field()).ok_or(Missing::NoData);
        hashprice::day_btc_per_ph_day(of(Input::Issuance)?, of(Input::Fees)?, of(Input::Hashrate)?)
    }

    /// The first day of the whole history with a hashprice in USD, of which this view may hold only
    /// a part.
    fn find_first_value(&self) -> Option<usize> {
        let here = |view: &Self| view.usd.iter().position(Option::is_some).map(|place| view.from + place);
        if self.from == 0 {
            return here(self);
        }
        let history = self.history;
        let has_value = |day: usize| history.columns(day..day + 1, self.moment).usd(day).is_some();
        let of_base = *history.first_value.get_or_init(|| here(&history.columns(0..history.days, history.base)));
        match of_base.filter(|&day| day < self.from && has_value(day)) {
            Some(day) => Some(day),
            None => here(&history.columns(0..self.from, self.moment)).or_else(|| here(self)),
        }
    }

    fn column<'c, T>(&self, column: &'c [T], days: Range<usize>) -> &'c [T] {
        &column[days.start - self.from..days.end - self.from]
    }

    /// The window of so many days that ends with `day`, cut where the series' life begins.
    fn window(&self, day: usize, days: usize) -> Range<usize> {
        let begin = (day + 1).saturating_sub(days).max(self.first_value.unwrap_or(day)).min(day);
        begin..day + 1
    }

    /// Hashprice of a day in USD per PH per day.
    #[must_use]
    pub fn usd(&self, day: usize) -> Option<f64> {
        self.usd[day - self.from]
    }

    /// A value of the chain group: 0 hashrate, 1 fees, 2 issuance.
    #[must_use]
    pub fn chain_value(&self, day: usize, field: usize) -> Option<f64> {
        self.chain.value(day, field)
    }

    /// The value of a metric on a day, to ten significant digits.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn value(&self, metric: NetworkMetric, day: usize, scratch: &mut Scratch) -> Result<f64, Missing> {
        self.raw_value(metric, day, scratch).map(|value| round_significant(value, DERIVED_DIGITS))
    }

    fn raw_value(&self, metric: NetworkMetric, day: usize, scratch: &mut Scratch) -> Result<f64, Missing> {
        let usd = |days: Range<usize>| self.column(&self.usd, days);
        let logs = |days: Range<usize>| self.column(&self.log_usd, days);
        let level = self.window(day, LONGEST_WINDOW);
        match metric {
            NetworkMetric::HashpriceBtc => self.btc[day - self.from],
            NetworkMetric::HashpriceUsd => self.usd(day).ok_or_else(|| self.why_no_usd(day)),
            _ if self.usd(day).is_none() => Err(self.why_no_usd(day)),
            NetworkMetric::Ma7 => hashprice::ma7(usd(self.window(day, 7))),
            NetworkMetric::RevenueOverHashrate7 => self.revenue_over_hashrate_7(day),
            NetworkMetric::Percentile => hashprice::percentile_365d(usd(level)),
            NetworkMetric::Drawdown => hashprice::drawdown_365d(usd(level)),
            NetworkMetric::ZLog => hashprice::z_log_365d(logs(level)),
            NetworkMetric::ZRobust => hashprice::z_robust_365d(logs(level), scratch),
            NetworkMetric::Change7d => {
                let week_ago = day.checked_sub(7).filter(|&earlier| earlier >= self.from);
                let Some(week_ago) = week_ago else { return Err(Missing::InsufficientHistory) };
                hashprice::change_7d(self.usd(day), self.usd(week_ago))
            }
        }
    }

    fn why_no_usd(&self, day: usize) -> Missing {
        self.btc[day - self.from].err().unwrap_or(Missing::NoData)
    }

    fn revenue_over_hashrate_7(&self, day: usize) -> Result<f64, Missing> {
        let of = |input: Input| self.chain.value(day, input.field()).ok_or(Missing::NoData);
        let price = self.price.value(day, 0).ok_or(Missing::NoData)?;
        let revenue_usd = (of(Input::Issuance)? + of(Input::Fees)?) * price;
        let begin = (day + 1).saturating_sub(7).max(self.from);
        hashprice::rev_over_hr7(revenue_usd, self.column(&self.hashrate, begin..day + 1))
    }

    /// The sources of a day's own inputs, joined by `+`.
    #[must_use]
    pub fn source(&self, metric: NetworkMetric, day: usize) -> String {
        let price = self.price.source(day).filter(|_| metric.needs_price());
        let sources: BTreeSet<&str> = self.chain.source(day).into_iter().chain(price).collect();
        sources.into_iter().collect::<Vec<_>>().join("+")
    }

    /// Whether a day's row is withheld because one of its own inputs may still come.
    #[must_use]
    pub fn is_pending(&self, metric: NetworkMetric, day: usize) -> bool {
        self.chain.served(day) == Served::Pending || (metric.needs_price() && self.price.served(day) == Served::Pending)
    }

    /// Days of the metric's series in this view: from its first value to the newest day that
    /// anything is known of and nothing is waited for. Empty where there is no value.
    #[must_use]
    pub fn life(&self, metric: NetworkMetric) -> Range<usize> {
        let mut scratch = Scratch::default();
        let days = self.from..self.from + self.usd.len();
        let Some(first) = days.clone().find(|&day| self.value(metric, day, &mut scratch).is_ok()) else {
            return 0..0;
        };
        let inputs = metric.own_inputs();
        let is_over = |day: usize| {
            !self.is_pending(metric, day) && !known_times(self.history, inputs, day, self.moment).is_empty()
        };
        let last = days.rev().find(|&day| is_over(day)).unwrap_or(first);
        first..last + 1
    }

    /// The newest day on which the metric has a value.
    #[must_use]
    pub fn newest_with_value(&self, metric: NetworkMetric) -> Option<usize> {
        let mut scratch = Scratch::default();
        let days = self.from..self.from + self.usd.len();
        days.rev().find(|&day| self.value(metric, day, &mut scratch).is_ok())
    }

    /// The metric's rows for some days, as known in this view; days that are waited for are left out.
    #[must_use]
    pub fn rows(&self, metric: NetworkMetric, days: Range<usize>) -> Vec<DerivedRow> {
        let mut scratch = Scratch::default();
        let known = KnownTimes::new(self.history, metric, days.clone(), self.moment);
        let first = FirstServed::new(self.history, metric, days.clone(), self.moment);
        days.filter(|&day| !self.is_pending(metric, day))
            .map(|day| DerivedRow {
                start: self.history.day(day).start(),
                end: self.history.day(day).end(),
                value: self.value(metric, day, &mut scratch),
                known_at: known.newest(metric, day),
                revision: revision(&known, &first, metric, day),
                source: self.source(metric, day),
                superseded_at: None,
            })
            .collect()
    }
}

/// How many distinct later times of knowledge a day's inputs have had since it was first computable.
fn revision(known: &KnownTimes, first: &FirstServed, metric: NetworkMetric, day: usize) -> usize {
    // Nothing is computable before the own inputs are known, and mostly nothing came after them:
    // then there is no need to look for the instant itself, which takes a walk along the window.
    let Some(own) = first.own(day) else { return 0 };
    if known.newest(metric, day).is_none_or(|newest| newest <= own) {
        return 0;
    }
    first.computable(metric, day).map_or(0, |at| known.count_after(metric, day, at))
}

/// For each day, every distinct `known_at` of a metric's inputs, ascending.
struct KnownTimes {
    from: usize,
    own: Vec<Vec<Timestamp>>,
    reach: Vec<Vec<Timestamp>>,
    /// The last of each list of `own` and of `reach`.
    own_newest: Vec<Option<Timestamp>>,
    reach_newest: Vec<Option<Timestamp>>,
}

impl KnownTimes {
    fn new(history: &NetworkHistory<'_>, metric: NetworkMetric, days: Range<usize>, moment: Moment) -> Self {
        let from = if days.is_empty() { days.start } else { metric.other_days(days.start).start.min(days.start) };
        let of = |inputs: &'static [Input]| {
            (from..days.end.max(from)).map(|day| known_times(history, inputs, day, moment)).collect::<Vec<_>>()
        };
        let own = of(metric.own_inputs());
        let same = metric.own_inputs() == metric.reach_inputs();
        let reach = if same { Vec::new() } else { of(metric.reach_inputs()) };
        let newest = |lists: &[Vec<Timestamp>]| lists.iter().map(|times| times.last().copied()).collect();
        Self { from, own_newest: newest(&own), reach_newest: newest(&reach), own, reach }
    }

    fn lists(&self, metric: NetworkMetric, day: usize) -> impl Iterator<Item = &[Timestamp]> {
        let reach = if self.reach.is_empty() { &self.own } else { &self.reach };
        let others = metric.other_days(day).map(|other| reach[other - self.from].as_slice());
        others.chain(std::iter::once(self.own[day - self.from].as_slice()))
    }

    fn newest(&self, metric: NetworkMetric, day: usize) -> Option<Timestamp> {
        let reach = if self.reach.is_empty() { &self.own_newest } else { &self.reach_newest };
        let own = self.own_newest[day - self.from];
        let others = metric.other_days(day);
        if others.is_empty() {
            return own;
        }
        // One slice, so that its bounds are checked once and not for each of a year's days.
        reach[others.start - self.from..others.end - self.from].iter().copied().fold(own, Option::max)
    }

    fn after(&self, metric: NetworkMetric, day: usize, instant: Timestamp) -> BTreeSet<Timestamp> {
        self.lists(metric, day).flat_map(|times| times.iter().rev().take_while(|&&at| at > instant).copied()).collect()
    }

    fn count_after(&self, metric: NetworkMetric, day: usize, instant: Timestamp) -> usize {
        match self.newest(metric, day) {
            Some(newest) if newest > instant => self.after(metric, day, instant).len(),
            _ => 0,
        }
    }
}

fn known_times(history: &NetworkHistory<'_>, inputs: &[Input], day: usize, moment: Moment) -> Vec<Timestamp> {
    let mut times: Vec<Timestamp> = Vec::with_capacity(inputs.len());
    for &input in inputs {
        let group = if input == Input::Price { &history.price } else { &history.chain };
        times.extend(group.known_times(day, input.field(), moment));
    }
    times.sort_unstable();
    times.dedup();
    times
}

/// When the own and the other inputs of each day were first served.
struct FirstServed {
    from: usize,
    /// The first day of the history that was ever served.
    life_begins: usize,
    own: Vec<Option<Timestamp>>,
    reach: Vec<Option<Timestamp>>,
}

impl FirstServed {
    fn new(history: &NetworkHistory<'_>, metric: NetworkMetric, days: Range<usize>, moment: Moment) -> Self {
        let from = if days.is_empty() { days.start } else { metric.other_days(days.start).start.min(days.start) };
        let at = |day: usize, needs_price: bool| {
            let chain = history.chain.first_served(day, moment)?;
            if !needs_price {
                return Some(chain);
            }
            Some(chain.max(history.price.first_served(day, moment)?))
        };
        let of = |needs_price| (from..days.end.max(from)).map(|day| at(day, needs_price)).collect::<Vec<_>>();
        let own = of(metric.needs_price());
        let same = metric.needs_price() == metric.reach_needs_price();
        let reach = if same { Vec::new() } else { of(metric.reach_needs_price()) };
        // From the first day of the history, not of the range: a row must not depend on its page.
        let life_begins = (0..days.end).find(|&day| at(day, metric.reach_needs_price()).is_some()).unwrap_or(days.end);
        Self { from, life_begins, own, reach }
    }

    /// When the day's own inputs were first known.
    fn own(&self, day: usize) -> Option<Timestamp> {
        self.own[day - self.from]
    }

    /// Days from the first known one of the history to `day`, both included.
    fn life_until(&self, day: usize) -> usize {
        (day + 1).saturating_sub(self.life_begins)
    }

    /// The first instant at which the day's own inputs are known, and as many of the others as a
    /// value needs.
    fn computable(&self, metric: NetworkMetric, day: usize) -> Option<Timestamp> {
        let own = self.own(day)?;
        let reach = if self.reach.is_empty() { &self.own } else { &self.reach };
        let others = metric.other_days(day);
        let needed = match metric.reach() {
            Reach::Window(rule) => values_needed(rule, self.life_until(day)).saturating_sub(1),
            Reach::Pair { .. } => 1,
        };
        let mut later: Vec<Timestamp> = Vec::new();
        let mut known = 0;
        for at in others.filter_map(|other| reach[other - self.from]) {
            if at <= own {
                known += 1;
            } else {
                later.push(at);
            }
        }
        if known >= needed {
            return Some(own);
        }
        let missing = needed - known;
        later.sort_unstable();
        later.get(missing - 1).copied()
    }
}

/// How many days of a window must have a value, when the series has lived for `life` days.
fn values_needed(rule: WindowRule, life: usize) -> usize {
    if matches!(rule.minimum, Minimum::Days(days) if life < days) {
        return usize::MAX;
    }
    let window = life.min(rule.days);
    let minimum = match rule.minimum {
        Minimum::Days(days) => days.min(window),
        Minimum::Observations(count) => count,
    };
    match rule.holes {
        HoleLimit::Unlimited => minimum,
        HoleLimit::Percent(percent) => {
            let holes = window * usize::from(percent) / 100;
            (window - holes).max(if matches!(rule.minimum, Minimum::Observations(_)) { minimum } else { 0 })
        }
    }
}

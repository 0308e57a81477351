//! The history as seen at one moment: columns of days, and the value of every metric on every day.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;

use super::flows::FlowCells;
use super::known::{FirstServed, KnownTimes, known_times};
use super::metric::{GROUPS, Input, NetworkMetric, RIBBON_READS, Reads};
use super::ribbons::RibbonWalk;
use super::{DERIVED_DIGITS, DerivedRow, NetworkHistory, retarget, revision};
use crate::domain::choice::{GroupView, Served};
use crate::domain::indicators::collapse;
use crate::domain::indicators::hashprice::{self, LEVEL_DAYS, WEEK_DAYS};
use crate::domain::indicators::issuance::{self, PUELL_DAYS};
use crate::domain::indicators::ribbons::{self, HASHRATE_DAYS, RIBBON_DAYS, Spread};
use crate::domain::indicators::statistics::{self, Missing, Scratch, WindowRule, round_significant};
use crate::domain::observation::Moment;
use crate::domain::rules::Timing;
use crate::domain::time::{Day, Timestamp};

/// One value a day, out of the inputs of that day alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Price,
    Hashprice,
    LogHashprice,
    /// Hashprice without fees.
    SubsidyHashprice,
    /// The hashrate that goes with fees and issuance.
    ChainHashrate,
    Hashrate,
    Difficulty,
    BlockCount,
    IssuanceUsd,
    /// Blocks times price: issuance in USD, if every block paid one bitcoin.
    BlocksUsd,
}

/// How many columns there are.
pub(super) const COLUMNS: usize = 10;

/// The values of a column on the days of a view.
pub(super) type Days = Vec<Option<f64>>;

/// The history as seen at one moment. What is needed of it is computed when it is first asked for.
pub struct NetworkView<'h, 'a> {
    pub(super) history: &'h NetworkHistory<'a>,
    pub(super) moment: Moment,
    /// The days that it holds.
    days: Range<usize>,
    groups: [OnceCell<GroupView<'h, 'a>>; GROUPS.len()],
    columns: [OnceCell<Days>; COLUMNS],
    first_values: [OnceCell<Option<usize>>; COLUMNS],
    percentiles: OnceCell<Vec<Result<f64, Missing>>>,
    thermocap: OnceCell<Vec<Result<f64, Missing>>>,
    pub(super) efficiency: OnceCell<Days>,
    pub(super) heights: OnceCell<retarget::Heights>,
    pub(super) ribbons: OnceCell<RibbonWalk>,
    pub(super) flows: FlowCells,
}

impl<'h, 'a> NetworkView<'h, 'a> {
    pub(super) fn new(history: &'h NetworkHistory<'a>, days: Range<usize>, moment: Moment) -> Self {
        Self {
            history,
            moment,
            days,
            groups: Default::default(),
            columns: Default::default(),
            first_values: Default::default(),
            percentiles: OnceCell::new(),
            thermocap: OnceCell::new(),
            efficiency: OnceCell::new(),
            heights: OnceCell::new(),
            ribbons: OnceCell::new(),
            flows: FlowCells::default(),
        }
    }

    pub(super) fn days(&self) -> Range<usize> {
        self.days.clone()
    }

    pub(super) fn group(&self, group: usize) -> &GroupView<'h, 'a> {
        self.groups[group].get_or_init(|| self.history.group(group).view_of(self.days(), self.moment))
    }

    /// Every group of series that something is derived from.
    pub fn every_group(&self) -> impl Iterator<Item = &GroupView<'h, 'a>> {
        (0..GROUPS.len()).map(|group| self.group(group))
    }

    /// The groups of series that a metric reads.
    pub fn groups_of(&self, metric: NetworkMetric) -> impl Iterator<Item = &GroupView<'h, 'a>> + use<'_, 'h, 'a> {
        self.groups_read(&metric.reads())
    }

    /// The groups of series that states and events of the hash ribbons read.
    pub fn groups_of_ribbons(&self) -> impl Iterator<Item = &GroupView<'h, 'a>> {
        self.groups_read(&RIBBON_READS)
    }

    fn groups_read(&self, reads: &Reads) -> impl Iterator<Item = &GroupView<'h, 'a>> + use<'_, 'h, 'a> {
        reads.groups().collect::<Vec<_>>().into_iter().map(|group| self.group(group))
    }

    pub(super) fn input(&self, input: Input, day: usize) -> Option<f64> {
        let (group, field) = input.place();
        self.group(group).value(day, field)
    }

    /// The day of an index.
    #[must_use]
    pub fn date_of(&self, day: usize) -> Day {
        self.history.day(day)
    }

    /// Difficulty of a day (genesis = 1), as it is published.
    #[must_use]
    pub fn difficulty(&self, day: usize) -> Option<f64> {
        self.input(Input::Difficulty, day)
    }

    /// The price of a bitcoin on a day, in USD.
    #[must_use]
    pub fn price_usd(&self, day: usize) -> Option<f64> {
        self.input(Input::Price, day)
    }

    /// The hashrate that hashprice is reckoned with, in H/s.
    #[must_use]
    pub fn hashrate_h_per_s(&self, day: usize) -> Option<f64> {
        self.input(Input::ChainHashrate, day)
    }

    /// Fees as a share of the day's revenue.
    #[must_use]
    pub fn fee_share(&self, day: usize) -> Option<f64> {
        let (issuance, fees) = (self.input(Input::ChainIssuance, day)?, self.input(Input::ChainFees, day)?);
        hashprice::fee_share(issuance, fees).ok()
    }

    pub(super) fn column(&self, column: Column) -> &Days {
        self.columns[column as usize].get_or_init(|| {
            if column == Column::LogHashprice {
                return statistics::logarithms(self.column(Column::Hashprice));
            }
            self.days().map(|day| self.compute(column, day)).collect()
        })
    }

    /// The value of a column on a day of the view.
    pub(super) fn at(&self, column: Column, day: usize) -> Option<f64> {
        self.column(column)[day - self.days.start]
    }

    fn compute(&self, column: Column, day: usize) -> Option<f64> {
        let of = |input| self.input(input, day);
        match column {
            Column::Price => of(Input::Price),
            Column::Hashprice => Some(self.hashprice_btc(day).ok()? * of(Input::Price)?),
            Column::LogHashprice => self.compute(Column::Hashprice, day).map(f64::ln),
            Column::SubsidyHashprice => {
                let (issuance, hashrate) = (of(Input::ChainIssuance)?, of(Input::ChainHashrate)?);
                Some(hashprice::day_btc_per_ph_day(issuance, 0.0, hashrate).ok()? * of(Input::Price)?)
            }
            Column::ChainHashrate => of(Input::ChainHashrate),
            Column::Hashrate => of(Input::Hashrate),
            Column::Difficulty => of(Input::Difficulty),
            Column::BlockCount => of(Input::BlockCount),
            Column::IssuanceUsd => Some(of(Input::Issuance)? * of(Input::Price)?),
            Column::BlocksUsd => Some(of(Input::BlockCount)? * of(Input::Price)?),
        }
    }

    /// Realised hashprice of a day in BTC per PH/s.
    pub(super) fn hashprice_btc(&self, day: usize) -> Result<f64, Missing> {
        let of = |input| self.input(input, day).ok_or(Missing::NoData);
        hashprice::day_btc_per_ph_day(of(Input::ChainIssuance)?, of(Input::ChainFees)?, of(Input::ChainHashrate)?)
    }

    /// The first day of the whole history on which a column has a value in this view, which may hold
    /// only a part of the days.
    fn first_value(&self, column: Column) -> Option<usize> {
        *self.first_values[column as usize].get_or_init(|| {
            let here =
                |view: &Self| view.column(column).iter().position(Option::is_some).map(|place| view.days.start + place);
            if self.days.start == 0 {
                return here(self);
            }
            let history = self.history;
            let has_value = |day: usize| Self::new(history, day..day + 1, self.moment).compute(column, day).is_some();
            let in_base = || here(&Self::new(history, 0..history.days, history.base));
            let in_base = *history.first_values[column as usize].get_or_init(in_base);
            match in_base.filter(|&day| day < self.days.start && has_value(day)) {
                Some(day) => Some(day),
                None => here(&Self::new(history, 0..self.days.start, self.moment)).or_else(|| here(self)),
            }
        })
    }

    /// The window of so many days of a column that ends with a day, cut where the column's life begins.
    pub(super) fn window(&self, column: Column, day: usize, length: usize) -> &[Option<f64>] {
        let life_begins = self.first_value(if column == Column::LogHashprice { Column::Hashprice } else { column });
        let begin = (day + 1).saturating_sub(length).max(life_begins.unwrap_or(day)).min(day).max(self.days.start);
        &self.column(column)[begin - self.days.start..=day - self.days.start]
    }

    /// The mean of so many days of a column, where its rule admits it.
    pub(super) fn mean(&self, column: Column, day: usize, length: usize) -> Result<f64, Missing> {
        statistics::mean(self.window(column, day, length), &WindowRule::moving_average(length))
    }

    /// The value of a metric on a day, to ten significant digits.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn value(&self, metric: NetworkMetric, day: usize, scratch: &mut Scratch) -> Result<f64, Missing> {
        self.raw_value(metric, day, scratch).map(|value| round_significant(value, DERIVED_DIGITS))
    }

    fn raw_value(&self, metric: NetworkMetric, day: usize, scratch: &mut Scratch) -> Result<f64, Missing> {
        let level = |column| self.window(column, day, LEVEL_DAYS);
        match metric {
            NetworkMetric::HashpriceBtc => self.hashprice_btc(day),
            NetworkMetric::HashpriceUsd => self.hashprice_usd(day),
            NetworkMetric::Ma7
            | NetworkMetric::RevenueOverHashrate7
            | NetworkMetric::Percentile
            | NetworkMetric::Drawdown
            | NetworkMetric::ZLog
            | NetworkMetric::ZRobust
            | NetworkMetric::Change7d
                if self.at(Column::Hashprice, day).is_none() =>
            {
                self.hashprice_usd(day)
            }
            NetworkMetric::Ma7 => hashprice::ma7(self.window(Column::Hashprice, day, WEEK_DAYS)),
            NetworkMetric::RevenueOverHashrate7 => self.revenue_over_hashrate_7(day),
            NetworkMetric::Percentile => self.percentile(day),
            NetworkMetric::Drawdown => hashprice::drawdown_365d(level(Column::Hashprice)),
            NetworkMetric::ZLog => hashprice::z_log_365d(level(Column::LogHashprice)),
            NetworkMetric::ZRobust => hashprice::z_robust_365d(level(Column::LogHashprice), scratch),
            NetworkMetric::Change7d => {
                let week_ago = self.week_before(day)?;
                hashprice::change_7d(self.at(Column::Hashprice, day), self.at(Column::Hashprice, week_ago))
            }
            NetworkMetric::SqueezeScore => self.squeeze_score(day, scratch),
            NetworkMetric::RetargetEstimate => self.retarget_estimate(day).map(|estimate| estimate.change),
            NetworkMetric::RibbonCompression => ribbons::compression(&self.difficulty_ribbon(day)?, Spread::Population),
            NetworkMetric::HashRibbonShort => self.mean(Column::Hashrate, day, HASHRATE_DAYS[0]),
            NetworkMetric::HashRibbonLong => self.mean(Column::Hashrate, day, HASHRATE_DAYS[1]),
            NetworkMetric::HashRibbonDepth => ribbons::depth(
                self.mean(Column::Hashrate, day, HASHRATE_DAYS[0])?,
                self.mean(Column::Hashrate, day, HASHRATE_DAYS[1])?,
            ),
            NetworkMetric::Puell => issuance::puell_multiple(self.window(Column::IssuanceUsd, day, PUELL_DAYS)),
            NetworkMetric::PuellHalvingAdjusted => {
                issuance::puell_halving_adjusted(self.window(Column::BlocksUsd, day, PUELL_DAYS))
            }
            NetworkMetric::Thermocap => self.thermocap(day),
            NetworkMetric::ThermocapMultiple => {
                let of = |input| self.input(input, day).ok_or(Missing::NoData);
                issuance::thermocap_multiple(of(Input::Supply)? * of(Input::Price)?, self.thermocap(day)?)
            }
            NetworkMetric::SpendAge => self.spend_age(day),
            NetworkMetric::SpendRatio => self.outflow_ratio(Input::Spend, day),
            NetworkMetric::OutflowRatio => self.outflow_ratio(Input::MinerOutflow, day),
            NetworkMetric::Mpi => self.mpi(day),
            NetworkMetric::SpikeZ => self.spike_z(Input::AgedSpend, day),
            NetworkMetric::NetPositionChange => self.net_position_change(day),
            NetworkMetric::ShareOfExchangeInflow => self.share_of_exchange_inflow(day),
        }
    }

    /// Hashprice of a day in USD per PH/s, or why there is none.
    fn hashprice_usd(&self, day: usize) -> Result<f64, Missing> {
        let why = || self.hashprice_btc(day).err().unwrap_or(Missing::NoData);
        self.at(Column::Hashprice, day).ok_or_else(why)
    }

    /// The rank of a day's hashprice in its year, unrounded.
    pub(super) fn percentile(&self, day: usize) -> Result<f64, Missing> {
        let of_day = |day| hashprice::percentile_365d(self.window(Column::Hashprice, day, LEVEL_DAYS));
        if self.days.start > 0 {
            return of_day(day);
        }
        self.percentiles.get_or_init(|| self.days().map(of_day).collect())[day]
    }

    fn revenue_over_hashrate_7(&self, day: usize) -> Result<f64, Missing> {
        let of = |input| self.input(input, day).ok_or(Missing::NoData);
        let revenue_usd = (of(Input::ChainIssuance)? + of(Input::ChainFees)?) * of(Input::Price)?;
        hashprice::rev_over_hr7(revenue_usd, self.window(Column::ChainHashrate, day, WEEK_DAYS))
    }

    /// The eight means of the difficulty ribbon on a day.
    ///
    /// # Errors
    /// The reason why one of them is missing.
    pub fn difficulty_ribbon(&self, day: usize) -> Result<[f64; RIBBON_DAYS.len()], Missing> {
        ribbons::difficulty_ribbon(self.window(Column::Difficulty, day, RIBBON_DAYS[RIBBON_DAYS.len() - 1]))
    }

    /// Whether price over difficulty collapsed within a week before a day.
    ///
    /// # Errors
    /// The reason why it cannot be said.
    pub fn collapse(&self, day: usize) -> Result<bool, Missing> {
        let earlier = self.week_before(day)?;
        collapse::is_collapse(
            self.at(Column::Price, day),
            self.at(Column::Difficulty, day),
            self.at(Column::Price, earlier),
            self.at(Column::Difficulty, earlier),
        )
    }

    /// Whether price alone fell by a quarter within a week before a day.
    ///
    /// # Errors
    /// The reason why it cannot be said.
    pub fn price_fell_a_quarter(&self, day: usize) -> Result<bool, Missing> {
        let earlier = self.week_before(day)?;
        collapse::price_fell_a_quarter(self.at(Column::Price, day), self.at(Column::Price, earlier))
    }

    /// The day a week before, if the view holds it.
    fn week_before(&self, day: usize) -> Result<usize, Missing> {
        let earlier = day.checked_sub(WEEK_DAYS).filter(|earlier| self.days.contains(earlier));
        earlier.ok_or(Missing::InsufficientHistory)
    }

    /// What all coins cost at the prices of their days, up to a day.
    fn thermocap(&self, day: usize) -> Result<f64, Missing> {
        let sums = self.thermocap.get_or_init(|| {
            let issuance: Days = self.days().map(|day| self.input(Input::Issuance, day)).collect();
            let first = self.history.day(self.days.start);
            issuance::thermocap_running(first, &issuance, self.column(Column::Price))
        });
        sums[day - self.days.start]
    }

    /// The sources of a day's own inputs, joined by `+`.
    #[must_use]
    pub fn source(&self, metric: NetworkMetric, day: usize) -> String {
        self.source_of(metric.reads().own, day)
    }

    pub(super) fn source_of(&self, inputs: &[Input], day: usize) -> String {
        let sources: BTreeSet<&str> = inputs.iter().filter_map(|input| self.group(input.group()).source(day)).collect();
        sources.into_iter().collect::<Vec<_>>().join("+")
    }

    /// Whether a day's row is withheld because one of its own inputs may still come.
    #[must_use]
    pub fn is_pending(&self, metric: NetworkMetric, day: usize) -> bool {
        metric.reads().own.iter().any(|input| self.group(input.group()).served(day) == Served::Pending)
    }

    /// Days of the metric's series in this view: from its first value to the newest day that
    /// anything is known of and nothing is waited for. Empty where there is no value.
    #[must_use]
    pub fn life(&self, metric: NetworkMetric) -> Range<usize> {
        let mut scratch = Scratch::default();
        let Some(first) = self.days().find(|&day| self.value(metric, day, &mut scratch).is_ok()) else {
            return 0..0;
        };
        let own = metric.reads().own;
        let is_over =
            |day: usize| !self.is_pending(metric, day) && !known_times(self.history, own, day, self.moment).is_empty();
        let last = self.days().rev().find(|&day| is_over(day)).unwrap_or(first);
        first..last.max(first) + 1
    }

    /// The newest day on which the metric has a value.
    #[must_use]
    pub fn newest_with_value(&self, metric: NetworkMetric) -> Option<usize> {
        let mut scratch = Scratch::default();
        self.days().rev().find(|&day| self.value(metric, day, &mut scratch).is_ok())
    }

    /// Every day of the view, as indexes.
    #[must_use]
    pub fn every_day(&self) -> Range<usize> {
        self.days()
    }

    /// What the freshness of a metric follows from: the newest day of each group of series that it reads,
    /// and the newest day on which the metric itself has a value where holes have left that behind. Each
    /// with the end of the day and its timing; `None` for a group without a day.
    #[must_use]
    pub fn newest_days(&self, metric: NetworkMetric) -> Vec<Option<(Timestamp, Timing)>> {
        let of_group = |group: &GroupView<'_, '_>| group.newest().map(|newest| (newest.observed_until, newest.timing));
        let mut days: Vec<_> = self.groups_of(metric).map(of_group).collect();
        let slowest = days.iter().flatten().copied().max_by_key(|(_, timing)| timing.lag);
        let own = self.newest_with_value(metric).map(|day| self.date_of(day).end());
        if let (Some(end), Some((until, timing))) = (own, slowest)
            && end < until
        {
            days.push(Some((end, timing)));
        }
        days
    }

    /// The timing of the slowest group of series that a metric reads.
    #[must_use]
    pub fn timing_of(&self, metric: NetworkMetric) -> Option<Timing> {
        let timings = self.groups_of(metric).filter_map(|group| Some(group.newest()?.timing));
        timings.max_by_key(|timing| timing.lag)
    }

    /// The index of a day, if the view holds it.
    #[must_use]
    pub fn find_day(&self, day: Day) -> Option<usize> {
        Some(self.history.index_of(day)).filter(|&index| self.days.contains(&index) && self.history.day(index) == day)
    }

    /// The metric's rows for some days, as known in this view; days that are waited for are left out.
    #[must_use]
    pub fn rows(&self, metric: NetworkMetric, days: Range<usize>) -> Vec<DerivedRow> {
        let reads = metric.reads();
        let mut scratch = Scratch::default();
        let known = KnownTimes::new(self.history, &reads, days.clone(), self.moment);
        let first = FirstServed::new(self.history, &reads, days.clone(), self.moment);
        days.filter(|&day| !self.is_pending(metric, day))
            .map(|day| DerivedRow {
                start: self.history.day(day).start(),
                end: self.history.day(day).end(),
                value: self.value(metric, day, &mut scratch),
                known_at: known.newest(day),
                revision: revision(&known, &first, day),
                source: self.source(metric, day),
                superseded_at: None,
            })
            .collect()
    }
}

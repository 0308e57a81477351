//! What miners move, along the days of a view.
//!
//! Whoever says what moved on a day, its past is its own: sources count different coins, so a baseline is
//! never made of two of them, whichever served the days of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::known::KnownTimes;
use super::metric::{COINBASE_FLOWS, Input, Reach, ReachDays, Reads};
use super::view::NetworkView;
use crate::domain::indicators::flows::{self, OUTFLOW_YEAR_DAYS, POSITION_DAYS};
use crate::domain::indicators::spikes::{
    self, BASELINE_DAYS, Discoveries, FALSE_DISCOVERY_RATE, SEASON_DAYS, SpikeHeight, SpikeState,
};
use crate::domain::indicators::statistics::Missing;
use crate::domain::time::{Day, Timestamp};

/// A value or its absence for each day of the history.
type Column = Rc<Vec<Result<f64, Missing>>>;

/// A source's own values, for each day of the history.
type Days = Rc<Vec<Option<f64>>>;

/// What was computed of whole series, by group of series and source.
#[derive(Debug, Default)]
pub(super) struct FlowCells {
    zs: RefCell<BTreeMap<(usize, usize, usize), Column>>,
    ratios: RefCell<BTreeMap<(usize, usize), Rc<Ratios>>>,
    usd: RefCell<BTreeMap<(usize, usize), Days>>,
}

/// The ratios of a source, with why there is none, and as a column to take windows of.
#[derive(Debug)]
struct Ratios {
    of_days: Vec<Result<f64, Missing>>,
    column: Vec<Option<f64>>,
}

/// A series that spikes are looked for in, with its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpikeSeries {
    AgedSpend,
    Spend,
    MinerOutflow,
    MinerToExchange,
}

impl SpikeSeries {
    /// The family of a day: every series that is tested on it.
    pub const FAMILY: [Self; 4] = [Self::AgedSpend, Self::Spend, Self::MinerOutflow, Self::MinerToExchange];

    /// The metric whose days they are.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::AgedSpend => "coinbase_spend_aged_btc",
            Self::Spend => "coinbase_spend_btc",
            Self::MinerOutflow => "miner_outflow_btc",
            Self::MinerToExchange => "miner_to_exchange_btc",
        }
    }

    const fn input(self) -> Input {
        match self {
            Self::AgedSpend => Input::AgedSpend,
            Self::Spend => Input::Spend,
            Self::MinerOutflow => Input::MinerOutflow,
            Self::MinerToExchange => Input::MinerToExchange,
        }
    }

    /// A day is compared with all earlier ones.
    const fn reads(self) -> Reads {
        macro_rules! whole_past {
            ($inputs:expr) => {
                Reads { own: $inputs, reaches: &[Reach { inputs: $inputs, days: ReachDays::Anything }] }
            };
        }
        match self {
            Self::AgedSpend | Self::Spend => whole_past!(COINBASE_FLOWS),
            Self::MinerOutflow => whole_past!(&[Input::MinerOutflow]),
            Self::MinerToExchange => whole_past!(&[Input::MinerToExchange]),
        }
    }
}

/// What one series of the family shows on a day.
#[derive(Debug, Clone, PartialEq)]
pub struct SpikeRow {
    pub day: Day,
    pub series: SpikeSeries,
    /// The flow itself, in BTC.
    pub value: f64,
    /// How far it stands out, in robust standard deviations.
    pub z: f64,
    /// How often an earlier day stood out as much; `None` with too few of them.
    pub p: Option<f64>,
    /// Whether it is believed among the day's family.
    pub rejected: bool,
    /// How many series of the day have a `p`.
    pub family_size: usize,
    pub state: SpikeState,
    pub known_at: Option<Timestamp>,
    pub source: String,
}

impl NetworkView<'_, '_> {
    /// What a source served of a flow on a day, in BTC.
    fn flow(&self, input: Input, day: usize) -> Result<f64, Missing> {
        self.input(input, day).ok_or(Missing::NoData)
    }

    /// Coins of coinbases that moved for the first time on a day, in BTC.
    #[must_use]
    pub fn coinbase_spend_btc(&self, day: usize) -> Option<f64> {
        self.input(Input::Spend, day)
    }

    /// Those of them that had rested.
    #[must_use]
    pub fn coinbase_spend_aged_btc(&self, day: usize) -> Option<f64> {
        self.input(Input::AgedSpend, day)
    }

    /// Coins of coinbases that have never moved, in BTC.
    #[must_use]
    pub fn unspent_coinbase_btc(&self, day: usize) -> Option<f64> {
        self.input(Input::UnspentCoinbase, day)
    }

    /// What vendors say that miners sent, in BTC.
    #[must_use]
    pub fn miner_outflow_btc(&self, day: usize) -> Option<f64> {
        self.input(Input::MinerOutflow, day)
    }

    /// What vendors say that miners hold, in BTC.
    #[must_use]
    pub fn miner_reserve_btc(&self, day: usize) -> Option<f64> {
        self.input(Input::MinerReserve, day)
    }

    /// What vendors say that miners sent to exchanges, in BTC.
    #[must_use]
    pub fn miner_to_exchange_btc(&self, day: usize) -> Option<f64> {
        self.input(Input::MinerToExchange, day)
    }

    /// Who says what coins of coinbases moved on a day.
    #[must_use]
    pub fn coinbase_source(&self, day: usize) -> Option<&str> {
        self.group(Input::Spend.group()).source(day)
    }

    /// Who says what miners sent on a day.
    #[must_use]
    pub fn miner_source(&self, day: usize) -> Option<&str> {
        self.group(Input::MinerOutflow.group()).source(day)
    }

    /// The newest day of which anybody says what moved: the chain first, then vendors.
    #[must_use]
    pub fn newest_flow_day(&self) -> Option<usize> {
        let newest = |input| self.days().rev().find(|&day| self.input(input, day).is_some());
        newest(Input::Spend).or_else(|| newest(Input::MinerOutflow))
    }

    pub(super) fn spend_age(&self, day: usize) -> Result<f64, Missing> {
        let (spend, coin_blocks) = (self.flow(Input::Spend, day)?, self.flow(Input::SpendCoinBlocks, day)?);
        if spend == 0.0 { Err(Missing::DivisionByZero) } else { Ok(coin_blocks / spend) }
    }

    pub(super) fn share_of_exchange_inflow(&self, day: usize) -> Result<f64, Missing> {
        flows::share_of_exchange_inflow(self.flow(Input::AgedSpend, day)?, self.flow(Input::ExchangeInflow, day)?)
    }

    pub(super) fn net_position_change(&self, day: usize) -> Result<f64, Missing> {
        let (group, field) = Input::MinerReserve.place();
        let view = self.group(group);
        let candidate = view.candidate(day).ok_or(Missing::NoData)?;
        let month_ago = day.checked_sub(POSITION_DAYS).ok_or(Missing::InsufficientHistory)?;
        flows::net_position_change_30d(view.value_of(candidate, day, field), view.value_of(candidate, month_ago, field))
    }

    /// A day's flow in USD over its mean of a year, of the source that serves the day.
    pub(super) fn outflow_ratio(&self, input: Input, day: usize) -> Result<f64, Missing> {
        let candidate = self.group(input.group()).candidate(day).ok_or(Missing::NoData)?;
        match self.ratios(input, candidate) {
            Some(ratios) => ratios.of_days[day],
            None => self.ratio_of(input, candidate, day),
        }
    }

    fn ratio_of(&self, input: Input, candidate: usize, day: usize) -> Result<f64, Missing> {
        let begin = self.begin_of(input, candidate, day)?;
        let first = (day + 1).saturating_sub(OUTFLOW_YEAR_DAYS).max(begin);
        if self.days().start == 0 {
            return flows::outflow_ratio_365d(&self.usd(input, candidate)[first..=day]);
        }
        let usd: Vec<Option<f64>> = (first..=day).map(|day| self.usd_of(input, candidate, day)).collect();
        flows::outflow_ratio_365d(&usd)
    }

    /// A source's own series in USD, where the view holds the whole history.
    fn usd(&self, input: Input, candidate: usize) -> Days {
        let key = (input.group(), candidate);
        if let Some(known) = self.flows.usd.borrow().get(&key) {
            return Rc::clone(known);
        }
        let usd = Rc::new(self.days().map(|day| self.usd_of(input, candidate, day)).collect::<Vec<_>>());
        self.flows.usd.borrow_mut().insert(key, Rc::clone(&usd));
        usd
    }

    pub(super) fn mpi(&self, day: usize) -> Result<f64, Missing> {
        let input = Input::MinerOutflow;
        let candidate = self.group(input.group()).candidate(day).ok_or(Missing::NoData)?;
        // Before this no day has a ratio, by lack of history and not as a hole.
        let begin = self.begin_of(input, candidate, day)? + OUTFLOW_YEAR_DAYS - 1;
        let first = (day + 1).saturating_sub(OUTFLOW_YEAR_DAYS).max(begin);
        if first > day {
            return Err(Missing::InsufficientHistory);
        }
        if let Some(ratios) = self.ratios(input, candidate) {
            return flows::mpi(&ratios.column[first..=day]);
        }
        let ratios = (first..=day).map(|day| self.ratio_of(input, candidate, day).ok());
        flows::mpi(&ratios.collect::<Vec<_>>())
    }

    /// Every ratio of a source, computed once, where the view holds the whole history.
    fn ratios(&self, input: Input, candidate: usize) -> Option<Rc<Ratios>> {
        if self.days().start > 0 {
            return None;
        }
        let key = (input.group(), candidate);
        if let Some(known) = self.flows.ratios.borrow().get(&key) {
            return Some(Rc::clone(known));
        }
        let of_days: Vec<_> = self.days().map(|day| self.ratio_of(input, candidate, day)).collect();
        let column = of_days.iter().map(|ratio| ratio.ok()).collect();
        let ratios = Rc::new(Ratios { of_days, column });
        self.flows.ratios.borrow_mut().insert(key, Rc::clone(&ratios));
        Some(ratios)
    }

    /// The first day of the history of which a source says something; nothing before it is a hole.
    fn begin_of(&self, input: Input, candidate: usize, day: usize) -> Result<usize, Missing> {
        let begin = self.group(input.group()).first_of(candidate);
        begin.filter(|&begin| begin <= day).ok_or(Missing::NoData)
    }

    fn usd_of(&self, input: Input, candidate: usize, day: usize) -> Option<f64> {
        let (group, field) = input.place();
        Some(self.group(group).value_of(candidate, day, field)? * self.input(Input::Price, day)?)
    }

    /// How far a day's flow stands out of the past of the source that serves it.
    pub(super) fn spike_z(&self, input: Input, day: usize) -> Result<f64, Missing> {
        let candidate = self.group(input.group()).candidate(day).ok_or(Missing::NoData)?;
        if self.days().start == 0 {
            return self.spike_zs(input, candidate)[day];
        }
        // Where the series begins must not seem to be where this view begins.
        let begin = self.begin_of(input, candidate, day)?;
        let (group, field) = input.place();
        let value = |day: usize| self.group(group).value_of(candidate, day, field);
        let reach = day.saturating_sub(SEASON_DAYS + BASELINE_DAYS).max(begin);
        let first = (begin..=reach).rev().find(|&day| value(day).is_some()).unwrap_or(begin);
        let days: Vec<Option<f64>> = (first..=day).map(value).collect();
        spikes::spike_zs(&days).pop().unwrap_or(Err(Missing::NoData))
    }

    /// Every `z` of a source's own series, by day of the history.
    fn spike_zs(&self, input: Input, candidate: usize) -> Column {
        let (group, field) = input.place();
        let key = (group, field, candidate);
        if let Some(known) = self.flows.zs.borrow().get(&key) {
            return Rc::clone(known);
        }
        let view = self.group(group);
        let days: Vec<Option<f64>> = self.days().map(|day| view.value_of(candidate, day, field)).collect();
        let zs: Column = Rc::new(spikes::spike_zs(&days));
        self.flows.zs.borrow_mut().insert(key, Rc::clone(&zs));
        zs
    }

    /// What the aged spend of a day makes of it: a spike, strong, sustained. The view must hold the history
    /// from its first day.
    ///
    /// # Errors
    /// The reason why it cannot be said.
    pub fn spike_state(&self, day: usize) -> Result<SpikeState, Missing> {
        let input = Input::AgedSpend;
        let candidate = self.group(input.group()).candidate(day).ok_or(Missing::NoData)?;
        spikes::spike_state(&self.spike_zs(input, candidate)[..=day])
    }

    /// Every day on which a series of the family stands out or has done so for days, oldest first. The view
    /// must hold the history from its first day.
    #[must_use]
    pub fn spikes(&self) -> Vec<SpikeRow> {
        let family: Vec<(SpikeSeries, Vec<Option<SpikeDay>>)> =
            SpikeSeries::FAMILY.iter().map(|&series| (series, self.spike_days(series))).collect();
        let knowns: Vec<KnownTimes> = SpikeSeries::FAMILY
            .iter()
            .map(|series| KnownTimes::new(self.history, &series.reads(), self.days(), self.moment))
            .collect();
        let mut rows = Vec::new();
        for day in self.days() {
            let is_high = |of_day: &SpikeDay| of_day.state.height != SpikeHeight::Ordinary || of_day.state.sustained;
            if !family.iter().any(|(_, days)| days[day].as_ref().is_some_and(is_high)) {
                continue;
            }
            let ps: Vec<Option<f64>> = family.iter().map(|(_, days)| days[day].as_ref()?.p).collect();
            let Discoveries { believed, family_size } = spikes::discoveries(&ps, FALSE_DISCOVERY_RATE);
            for (place, (series, days)) in family.iter().enumerate() {
                let Some(of_day) = days[day].as_ref().filter(|of_day| is_high(of_day)) else { continue };
                rows.push(SpikeRow {
                    day: self.date_of(day),
                    series: *series,
                    value: of_day.value,
                    z: of_day.z,
                    p: of_day.p,
                    rejected: believed[place],
                    family_size,
                    state: of_day.state,
                    known_at: knowns[place].newest(day),
                    source: self.source_of(series.reads().own, day),
                });
            }
        }
        rows
    }

    /// A series of the family on each day, where it has a `z`.
    fn spike_days(&self, series: SpikeSeries) -> Vec<Option<SpikeDay>> {
        let input = series.input();
        let view = self.group(input.group());
        let mut of_source: BTreeMap<usize, (Column, Vec<Result<f64, Missing>>)> = BTreeMap::new();
        self.days()
            .map(|day| {
                let candidate = view.candidate(day)?;
                let (zs, ps) = of_source.entry(candidate).or_insert_with(|| {
                    let zs = self.spike_zs(input, candidate);
                    let ps = spikes::empirical_ps(&zs);
                    (zs, ps)
                });
                let state = spikes::spike_state(&zs[..=day]).ok()?;
                Some(SpikeDay { value: self.input(input, day)?, z: zs[day].ok()?, p: ps[day].ok(), state })
            })
            .collect()
    }
}

/// A series on a day.
struct SpikeDay {
    value: f64,
    z: f64,
    p: Option<f64>,
    state: SpikeState,
}

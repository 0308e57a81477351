//! Figures of issuers: single numbers that a company reported, each with the text that states it.
//!
//! A figure comes out of a filing that machines read, or out of the table `fundamentals.csv`. Both have the
//! two clocks of everything here, so a restatement is one more version and V(T, S) says which counts.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::observation::Moment;
use crate::domain::time::{Day, Timestamp};

/// What a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    Revenue,
    OperatingIncome,
    Depreciation,
    StockCompensation,
    Impairment,
    BtcFairValueGain,
    InterestExpense,
    CapitalisedInterest,
    AdjustedEbitda,
    NetIncome,
    CashSga,
    PowerCost,
    Capex,
    BtcMined,
    BtcSold,
    Cash,
    RestrictedCash,
    Debt,
    BtcHeld,
    BtcPledged,
    SharesOutstanding,
    UndrawnCommitted,
    CommittedCapex,
    EnergizedHashrate,
    OperatingHashrate,
    FleetEfficiency,
    PowerPrice,
    Uptime,
    EnergizedPower,
    ContractedHpcRevenue,
    ContractedHpcMargin,
}

/// How an item behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// Of a period, and adds up over periods.
    Flow,
    /// At a day; has no start.
    Balance,
    /// At a day or on average over a period; does not add up.
    Level,
}

impl Item {
    pub const ALL: [Self; 31] = [
        Self::Revenue,
        Self::OperatingIncome,
        Self::Depreciation,
        Self::StockCompensation,
        Self::Impairment,
        Self::BtcFairValueGain,
        Self::InterestExpense,
        Self::CapitalisedInterest,
        Self::AdjustedEbitda,
        Self::NetIncome,
        Self::CashSga,
        Self::PowerCost,
        Self::Capex,
        Self::BtcMined,
        Self::BtcSold,
        Self::Cash,
        Self::RestrictedCash,
        Self::Debt,
        Self::BtcHeld,
        Self::BtcPledged,
        Self::SharesOutstanding,
        Self::UndrawnCommitted,
        Self::CommittedCapex,
        Self::EnergizedHashrate,
        Self::OperatingHashrate,
        Self::FleetEfficiency,
        Self::PowerPrice,
        Self::Uptime,
        Self::EnergizedPower,
        Self::ContractedHpcRevenue,
        Self::ContractedHpcMargin,
    ];

    /// The name in tables and answers, with the unit at its end where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Revenue => "revenue_usd",
            Self::OperatingIncome => "operating_income_usd",
            Self::Depreciation => "depreciation_usd",
            Self::StockCompensation => "stock_compensation_usd",
            Self::Impairment => "impairment_usd",
            Self::BtcFairValueGain => "btc_fair_value_gain_usd",
            Self::InterestExpense => "interest_expense_usd",
            Self::CapitalisedInterest => "capitalised_interest_usd",
            Self::AdjustedEbitda => "adjusted_ebitda_usd",
            Self::NetIncome => "net_income_usd",
            Self::CashSga => "cash_sga_usd",
            Self::PowerCost => "power_cost_usd",
            Self::Capex => "capex_usd",
            Self::BtcMined => "btc_mined",
            Self::BtcSold => "btc_sold",
            Self::Cash => "cash_usd",
            Self::RestrictedCash => "restricted_cash_usd",
            Self::Debt => "debt_usd",
            Self::BtcHeld => "btc_held",
            Self::BtcPledged => "btc_pledged",
            Self::SharesOutstanding => "shares_outstanding",
            Self::UndrawnCommitted => "undrawn_committed_usd",
            Self::CommittedCapex => "committed_capex_usd",
            Self::EnergizedHashrate => "energized_hashrate_eh_per_s",
            Self::OperatingHashrate => "operating_hashrate_eh_per_s",
            Self::FleetEfficiency => "fleet_efficiency_j_per_th",
            Self::PowerPrice => "power_cost_usd_per_mwh",
            Self::Uptime => "uptime_pct",
            Self::EnergizedPower => "energized_power_mw",
            Self::ContractedHpcRevenue => "contracted_hpc_revenue_usd_per_year",
            Self::ContractedHpcMargin => "contracted_hpc_margin_usd_per_year",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|item| item.name() == name)
    }

    #[must_use]
    pub const fn kind(self) -> ItemKind {
        match self {
            Self::Revenue
            | Self::OperatingIncome
            | Self::Depreciation
            | Self::StockCompensation
            | Self::Impairment
            | Self::BtcFairValueGain
            | Self::InterestExpense
            | Self::CapitalisedInterest
            | Self::AdjustedEbitda
            | Self::NetIncome
            | Self::CashSga
            | Self::PowerCost
            | Self::Capex
            | Self::BtcMined
            | Self::BtcSold => ItemKind::Flow,
            Self::Cash
            | Self::RestrictedCash
            | Self::Debt
            | Self::BtcHeld
            | Self::BtcPledged
            | Self::SharesOutstanding
            | Self::UndrawnCommitted
            | Self::CommittedCapex => ItemKind::Balance,
            Self::EnergizedHashrate
            | Self::OperatingHashrate
            | Self::FleetEfficiency
            | Self::PowerPrice
            | Self::Uptime
            | Self::EnergizedPower
            | Self::ContractedHpcRevenue
            | Self::ContractedHpcMargin => ItemKind::Level,
        }
    }

    /// The unit of the value.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::BtcMined | Self::BtcSold | Self::BtcHeld | Self::BtcPledged => "BTC",
            Self::SharesOutstanding => "shares",
            Self::EnergizedHashrate | Self::OperatingHashrate => "EH/s",
            Self::FleetEfficiency => "J/TH",
            Self::PowerPrice => "USD/MWh",
            Self::Uptime => "percent",
            Self::EnergizedPower => "MW",
            Self::ContractedHpcRevenue | Self::ContractedHpcMargin => "USD/year",
            _ => "USD",
        }
    }
}

/// Where a figure was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A filing that machines read.
    Filing {
        /// Such as `0001507605-25-000028`.
        accession: Arc<str>,
        /// Such as `10-Q`.
        form: Arc<str>,
        /// Such as `us-gaap:InterestExpense`.
        concept: Arc<str>,
        /// Place of the concept in the list of those that mean the item: 0 is preferred.
        rank: u8,
    },
    /// A row of `fundamentals.csv`, which says when it was published.
    Table { published_at: Timestamp },
}

/// One version of one number of one issuer.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub ticker: Arc<str>,
    pub item: Item,
    /// First day of the period; `None` for a balance.
    pub start: Option<Day>,
    /// Last day of the period, or the day of the balance.
    pub end: Day,
    /// In the item's unit; finite.
    pub value: f64,
    pub known_at: Timestamp,
    pub batch: i64,
    pub origin: Origin,
    /// Address of the text that states it.
    pub url: Arc<str>,
}

impl Figure {
    /// Whether a view of `moment` has it.
    #[must_use]
    pub fn is_visible(&self, moment: Moment) -> bool {
        self.known_at <= moment.at && self.batch <= moment.batch
    }

    /// Among versions of one number: filings before tables, concepts in their order, then the newest.
    fn precedence(&self) -> (bool, Reverse<u8>, Timestamp, Timestamp, i64) {
        let (is_filing, rank, published_at) = match self.origin {
            Origin::Filing { rank, .. } => (true, rank, self.known_at),
            Origin::Table { published_at } => (false, 0, published_at),
        };
        (is_filing, Reverse(rank), published_at, self.known_at, self.batch)
    }
}

/// Every version of every figure, by issuer and item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    by_item: BTreeMap<(Arc<str>, Item), Vec<Arc<Figure>>>,
}

impl Figures {
    /// These and more versions; the order in which they are put in does not matter.
    #[must_use]
    pub fn with(mut self, figures: impl IntoIterator<Item = Figure>) -> Self {
        for figure in figures {
            let key = (Arc::clone(&figure.ticker), figure.item);
            self.by_item.entry(key).or_default().push(Arc::new(figure));
        }
        self
    }

    /// How many versions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_item.values().map(Vec::len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_item.is_empty()
    }

    /// Every version of an item that a view has, in no particular order.
    pub fn versions(&self, ticker: &str, item: Item, moment: Moment) -> impl Iterator<Item = &Figure> {
        let versions = self.by_item.get(&(Arc::from(ticker), item));
        versions.into_iter().flatten().map(AsRef::as_ref).filter(move |figure| figure.is_visible(moment))
    }

    /// What a view says of each period or day of an item: one figure for each, by end, then start.
    #[must_use]
    pub fn reported(&self, ticker: &str, item: Item, moment: Moment) -> Vec<&Figure> {
        reported_of(self.versions(ticker, item, moment))
    }

    /// The figure about the latest day up to `until`; of those about the same day, the shortest period.
    #[must_use]
    pub fn newest(&self, ticker: &str, item: Item, moment: Moment, until: Day) -> Option<&Figure> {
        let reported = self.reported(ticker, item, moment);
        reported.into_iter().filter(|figure| figure.end <= until).max_by_key(|figure| (figure.end, figure.start))
    }
}

/// Of several versions of each period, the one that counts, by end, then start.
#[must_use]
pub fn reported_of<'a>(versions: impl IntoIterator<Item = &'a Figure>) -> Vec<&'a Figure> {
    let mut chosen: BTreeMap<(Day, Option<Day>), &Figure> = BTreeMap::new();
    for figure in versions {
        let place = chosen.entry((figure.end, figure.start)).or_insert(figure);
        if figure.precedence() > place.precedence() {
            *place = figure;
        }
    }
    chosen.into_values().collect()
}

//! Every version of every row about issuers and their debt, and what a view of a moment sees of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::row::{
    Amortisation, CreditRow, DebtOption, EarningsDate, Entry, IndustryFigure, Instrument, Issuer, Outstanding, Revenue,
    RevenueLine, Site, Table,
};
use crate::domain::facts::FactVersion;
use crate::domain::observation::Moment;
use crate::domain::time::{Span, Timestamp};

/// Filings come every three months and up to six weeks late; after this long without news something was missed.
const VALID_FOR: Span = Span::DAY.times(140);

/// Until when tables count as fresh whose newest row was known at an instant.
#[must_use]
pub fn valid_until(known_at: Timestamp) -> Timestamp {
    known_at.plus(VALID_FOR)
}

/// Every version of every row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreditBook {
    /// By what the row is about. Versions are in the order in which they count: by publication, then version.
    versions: BTreeMap<(Table, String), Vec<Arc<FactVersion<CreditRow>>>>,
}

impl CreditBook {
    /// Takes in one more version; the order in which they are put in does not matter.
    pub fn push(&mut self, version: FactVersion<CreditRow>) {
        let versions = self.versions.entry((version.row.table(), version.row.key())).or_default();
        let place = versions.partition_point(|earlier| order(earlier) <= order(&version));
        versions.insert(place, Arc::new(version));
    }

    /// The rows that count in a view.
    #[must_use]
    pub fn view(&self, moment: Moment) -> CreditView<'_> {
        let mut view = CreditView::default();
        for versions in self.versions.values() {
            let visible = |version: &&Arc<FactVersion<CreditRow>>| version.is_visible(moment.at, moment);
            if let Some(version) = versions.iter().rev().find(visible) {
                view.take(version);
            }
        }
        view.sort();
        view
    }

    /// When the newest row that a view has was known; `None` without any.
    #[must_use]
    pub fn newest_known_at(&self, moment: Moment) -> Option<Timestamp> {
        let visible = self.versions.values().flatten().filter(|version| version.is_visible(moment.at, moment));
        visible.map(|version| version.known_at).max()
    }
}

fn order(version: &FactVersion<CreditRow>) -> (Timestamp, Timestamp, i64) {
    (version.row.published_at(), version.known_at, version.batch)
}

/// A row that a view has: what it means, and since when that is known.
#[derive(Debug)]
pub struct Known<'b, T> {
    pub entry: &'b T,
    pub row: &'b CreditRow,
    pub known_at: Timestamp,
}

// Derived, they would ask the same of `T`.
impl<T> Clone for Known<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Known<'_, T> {}

/// What a moment sees of the tables.
#[derive(Debug, Default)]
pub struct CreditView<'b> {
    issuers: BTreeMap<&'b str, Known<'b, Issuer>>,
    instruments: BTreeMap<&'b str, Known<'b, Instrument>>,
    outstanding: BTreeMap<&'b str, Vec<Known<'b, Outstanding>>>,
    options: BTreeMap<&'b str, Vec<Known<'b, DebtOption>>>,
    amortisation: BTreeMap<&'b str, Vec<Known<'b, Amortisation>>>,
    revenue: BTreeMap<&'b str, Vec<Known<'b, Revenue>>>,
    lines: BTreeMap<(&'b str, &'b str), Known<'b, RevenueLine>>,
    sites: BTreeMap<&'b str, Vec<Known<'b, Site>>>,
    industry: Vec<Known<'b, IndustryFigure>>,
    earnings: BTreeMap<&'b str, Vec<Known<'b, EarningsDate>>>,
}

impl<'b> CreditView<'b> {
    fn take(&mut self, version: &'b FactVersion<CreditRow>) {
        let (row, known_at) = (&version.row, version.known_at);
        macro_rules! known {
            ($entry:expr) => {
                Known { entry: $entry, row, known_at }
            };
        }
        match row.entry() {
            Entry::Issuer(entry) => _ = self.issuers.insert(&entry.ticker, known!(entry)),
            Entry::Instrument(entry) => _ = self.instruments.insert(&entry.instrument_id, known!(entry.as_ref())),
            Entry::Outstanding(entry) => self.outstanding.entry(&entry.instrument_id).or_default().push(known!(entry)),
            Entry::DebtOption(entry) => self.options.entry(&entry.instrument_id).or_default().push(known!(entry)),
            Entry::Amortisation(entry) => {
                self.amortisation.entry(&entry.instrument_id).or_default().push(known!(entry));
            }
            Entry::Revenue(entry) => self.revenue.entry(&entry.ticker).or_default().push(known!(entry)),
            Entry::RevenueLine(entry) => _ = self.lines.insert((&entry.ticker, &entry.line), known!(entry)),
            Entry::Site(entry) => self.sites.entry(&entry.ticker).or_default().push(known!(entry.as_ref())),
            Entry::Industry(entry) => self.industry.push(known!(entry)),
            Entry::Earnings(entry) => self.earnings.entry(&entry.ticker).or_default().push(known!(entry)),
            Entry::Fundamental(_) => {} // they stand among the figures
        }
    }

    fn sort(&mut self) {
        self.outstanding.values_mut().for_each(|rows| rows.sort_by_key(|known| known.entry.observed_on));
        self.options.values_mut().for_each(|rows| rows.sort_by_key(|known| known.entry.on.day));
        self.amortisation.values_mut().for_each(|rows| rows.sort_by_key(|known| known.entry.due.day));
        self.revenue.values_mut().for_each(|rows| rows.sort_by_key(|known| (known.entry.end, known.entry.start)));
        self.earnings.values_mut().for_each(|rows| rows.sort_by_key(|known| known.entry.report_on));
    }

    /// Every issuer by ticker.
    pub fn issuers(&self) -> impl Iterator<Item = Known<'b, Issuer>> {
        self.issuers.values().copied()
    }

    #[must_use]
    pub fn issuer(&self, ticker: &str) -> Option<Known<'b, Issuer>> {
        self.issuers.get(ticker).copied()
    }

    /// Everybody of whom something is known: issuers, and those with an instrument alone.
    #[must_use]
    pub fn tickers(&self) -> BTreeSet<&'b str> {
        let with_debt = self.instruments.values().map(|known| known.entry.ticker.as_str());
        self.issuers.keys().copied().chain(with_debt).collect()
    }

    /// Every instrument by its id, retired and announced ones too.
    pub fn instruments(&self) -> impl Iterator<Item = Known<'b, Instrument>> {
        self.instruments.values().copied()
    }

    pub fn instruments_of(&self, ticker: &str) -> impl Iterator<Item = Known<'b, Instrument>> {
        self.instruments().filter(move |known| known.entry.ticker == ticker)
    }

    /// What was outstanding of an instrument, by day.
    #[must_use]
    pub fn outstanding(&self, instrument_id: &str) -> &[Known<'b, Outstanding>] {
        self.outstanding.get(instrument_id).map_or(&[], Vec::as_slice)
    }

    /// Puts and calls of an instrument, by day.
    #[must_use]
    pub fn options(&self, instrument_id: &str) -> &[Known<'b, DebtOption>] {
        self.options.get(instrument_id).map_or(&[], Vec::as_slice)
    }

    /// Parts of the principal that are due before maturity, by day.
    #[must_use]
    pub fn amortisation(&self, instrument_id: &str) -> &[Known<'b, Amortisation>] {
        self.amortisation.get(instrument_id).map_or(&[], Vec::as_slice)
    }

    /// Lines of revenue, by the end of their period.
    #[must_use]
    pub fn revenue(&self, ticker: &str) -> &[Known<'b, Revenue>] {
        self.revenue.get(ticker).map_or(&[], Vec::as_slice)
    }

    /// What a reported line is.
    #[must_use]
    pub fn line(&self, ticker: &str, line: &str) -> Option<Known<'b, RevenueLine>> {
        self.lines.get(&(ticker, line)).copied()
    }

    #[must_use]
    pub fn sites(&self, ticker: &str) -> &[Known<'b, Site>] {
        self.sites.get(ticker).map_or(&[], Vec::as_slice)
    }

    /// Figures of the whole industry, as others stated them.
    #[must_use]
    pub fn industry(&self) -> &[Known<'b, IndustryFigure>] {
        &self.industry
    }

    /// Days of reports, by day.
    #[must_use]
    pub fn earnings(&self, ticker: &str) -> &[Known<'b, EarningsDate>] {
        self.earnings.get(ticker).map_or(&[], Vec::as_slice)
    }
}

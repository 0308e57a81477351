//! Facts: dated rows that people compile from publications, each with its source, and what of them a
//! view of the past may use.
//!
//! A row says when the public could know it (`published_at`). A version of it is used from
//! [`FactVersion::known_at`] on: that moment, or, for a correction of a row that was stored already, the
//! moment of storing the correction. So V(T, S) of facts holds the versions with `known_at <= T` and
//! `batch <= S`, and never changes. Which of the visible versions counts is decided by what the rows
//! say, not by when they were stored: a correction of a row of 2018 does not make it the newest.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::credit::book::CreditBook;
use super::credit::row::CreditRow;
use super::indicators::mining_cost::EfficiencyShare;
use super::observation::Moment;
use super::time::{Day, Timestamp};

/// A measure of a table of facts: its unit, and the least and greatest value that is believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantity {
    pub unit: &'static str,
    pub low: f64,
    pub high: f64,
}

/// Joules for a terahash. The best machine of 2026 takes 9.7, the first ones of 2013 about 1,200, and
/// nothing slower was ever built for the purpose.
pub const EFFICIENCY: Quantity = Quantity { unit: "J/TH", low: 1.0, high: 5_000.0 };
/// Of one machine.
pub const HASHRATE: Quantity = Quantity { unit: "TH/s", low: 0.01, high: 10_000.0 };
/// Of one machine.
pub const POWER: Quantity = Quantity { unit: "W", low: 10.0, high: 100_000.0 };
/// Of a machine, for each terahash a second.
pub const PRICE: Quantity = Quantity { unit: "USD/TH", low: 0.01, high: 100_000.0 };
/// Of the network's hashrate.
pub const SHARE: Quantity = Quantity { unit: "share", low: 0.0, high: 1.0 };

/// The shortest tag, in bytes. One of 3 letters in either case would be found by chance in about 40 of a
/// million coinbases with some 90 random bytes each, `90 * (2 / 256)^3 = 4e-5`; one of 4 in 0.3 of them.
const TAG_BYTES_LOW: usize = 4;
/// The longest tag, in bytes: no coinbase has more (Bitcoin Core, `src/consensus/tx_check.cpp`,
/// `bad-cb-length`).
const TAG_BYTES_HIGH: usize = 100;

/// Nameplates are rounded: power over hashrate and efficiency may differ by this share.
const NAMEPLATE_TOLERANCE: f64 = 0.05;
/// Shares of a distribution sum to 1 within this.
const SHARES_TOLERANCE: f64 = 1e-6;

impl Quantity {
    /// Whether a value can be believed; never one that is not finite.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "between {} and {} {}", self.low, self.high, self.unit)
    }
}

/// What is wrong with a row, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The column at fault.
    pub column: &'static str,
    pub advice: String,
}

/// A published average of the network's machines, before it is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkEfficiencyFields {
    /// The day that the figure is about.
    pub observed_on: Day,
    pub efficiency_j_per_th: f64,
    /// When the public could know it.
    pub published_at: Timestamp,
    pub publisher: String,
    pub title: String,
    /// Address of the text that states it.
    pub source: String,
    /// How it was read or computed; may be empty.
    pub note: String,
}

/// A published average of the network's machines, in joules for a terahash.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkEfficiency(NetworkEfficiencyFields);

/// How a machine sheds its heat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cooling {
    Air,
    Hydro,
    Immersion,
}

/// How exactly a date is known; the date itself is the first day of the month or year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatePrecision {
    Day,
    Month,
    Year,
}

/// A date that may be known to the month or the year only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoughDate {
    pub day: Day,
    pub precision: DatePrecision,
}

impl RoughDate {
    /// The last day that it may be.
    #[must_use]
    pub fn last_day(self) -> Day {
        match self.precision {
            DatePrecision::Day => self.day,
            DatePrecision::Month => self.day.plus_months(1).plus(-1),
            DatePrecision::Year => self.day.plus_months(12).plus(-1),
        }
    }
}

/// What a machine was sold for, on a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitPrice {
    pub usd_per_th: f64,
    pub on: Day,
}

/// A model of machine, before it is checked. `None` where no source says.
#[derive(Debug, Clone, PartialEq)]
pub struct AsicModelFields {
    /// Its name in addresses, such as `antminer-s21-pro`.
    pub model_id: String,
    pub model: String,
    pub manufacturer: String,
    pub hashrate_th_per_s: Option<f64>,
    pub power_w: Option<f64>,
    /// By its nameplate.
    pub efficiency_j_per_th: f64,
    pub cooling: Cooling,
    pub released: Option<RoughDate>,
    pub price: Option<UnitPrice>,
    /// When the public could know it.
    pub published_at: Timestamp,
    /// Address of the text that states it.
    pub source: String,
}

/// A model of machine.
#[derive(Debug, Clone, PartialEq)]
pub struct AsicModel(AsicModelFields);

/// How the network's hashrate is spread over efficiencies, before it is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct EfficiencyDistributionFields {
    /// The day that it is about.
    pub as_of: Day,
    pub shares: Vec<EfficiencyShare>,
    /// When the public could know it.
    pub published_at: Timestamp,
    /// Address of the text that states it.
    pub source: String,
}

/// How the network's hashrate is spread over efficiencies: the most efficient first, shares that sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct EfficiencyDistribution(EfficiencyDistributionFields);

/// By what a block is known to be a pool's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceKind {
    /// Text that the pool writes into the input of its coinbases.
    Tag,
    /// Where its coinbases pay to.
    Address,
}

/// A piece of evidence for a pool, before it is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolEvidenceFields {
    /// The pool's name in addresses, such as `braiins-pool`, which stays when the pool is renamed; or
    /// [`PoolEvidence::NOBODY`].
    pub slug: String,
    /// The pool's name for people, at that time.
    pub name: String,
    pub kind: EvidenceKind,
    /// The tag or the address.
    pub value: String,
    /// When the public could know it.
    pub published_at: Timestamp,
    /// Address of the text that states it.
    pub source: String,
    /// How it was read, or why it went to another pool; may be empty.
    pub note: String,
}

/// A tag or an address by which a block is known to be a pool's.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolEvidence(PoolEvidenceFields);

impl NetworkEfficiency {
    /// # Errors
    /// Every fault of the row: out of range, or known before the day it is about began.
    pub fn new(fields: NetworkEfficiencyFields) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        check(&mut faults, EFFICIENCY, "efficiency_j_per_th", fields.efficiency_j_per_th);
        check_known(&mut faults, "observed_on", fields.observed_on, fields.published_at);
        if faults.is_empty() { Ok(Self(fields)) } else { Err(faults) }
    }

    #[must_use]
    pub const fn fields(&self) -> &NetworkEfficiencyFields {
        &self.0
    }
}

impl AsicModel {
    /// # Errors
    /// Every fault of the row: out of range, a nameplate that contradicts itself, a name that does not
    /// fit an address, a price of after it was known.
    pub fn new(fields: AsicModelFields) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        if !is_slug(&fields.model_id) {
            let advice = "write lower case letters and digits with single hyphens between them, like antminer-s21-pro";
            faults.push(Fault { column: "model_id", advice: advice.to_owned() });
        }
        check(&mut faults, EFFICIENCY, "efficiency_j_per_th", fields.efficiency_j_per_th);
        for (column, quantity, value) in [
            ("hashrate_th_per_s", HASHRATE, fields.hashrate_th_per_s),
            ("power_w", POWER, fields.power_w),
            ("price_usd_per_th", PRICE, fields.price.map(|price| price.usd_per_th)),
        ] {
            if let Some(value) = value {
                check(&mut faults, quantity, column, value);
            }
        }
        if let Some(price) = fields.price {
            check_known(&mut faults, "price_on", price.on, fields.published_at);
        }
        if let (true, Some(hashrate), Some(power)) = (faults.is_empty(), fields.hashrate_th_per_s, fields.power_w) {
            let nameplate = power / hashrate;
            if (nameplate / fields.efficiency_j_per_th - 1.0).abs() > NAMEPLATE_TOLERANCE {
                let advice = format!(
                    "{power} W over {hashrate} TH/s is {nameplate:.1} J/TH; correct one of the three, or leave out what is not stated"
                );
                faults.push(Fault { column: "efficiency_j_per_th", advice });
            }
        }
        if faults.is_empty() { Ok(Self(fields)) } else { Err(faults) }
    }

    #[must_use]
    pub const fn fields(&self) -> &AsicModelFields {
        &self.0
    }
}

impl EfficiencyDistribution {
    /// # Errors
    /// Every fault: out of range, an efficiency twice, shares that do not sum to 1 within 1e-6, known
    /// before the day it is about began.
    pub fn new(mut fields: EfficiencyDistributionFields) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        for share in &fields.shares {
            check(&mut faults, EFFICIENCY, "efficiency_j_per_th", share.efficiency_j_per_th);
            check(&mut faults, SHARE, "share", share.share);
        }
        check_known(&mut faults, "as_of", fields.as_of, fields.published_at);
        fields.shares.sort_by(|a, b| a.efficiency_j_per_th.total_cmp(&b.efficiency_j_per_th));
        if fields.shares.windows(2).any(|pair| pair[0].efficiency_j_per_th == pair[1].efficiency_j_per_th) {
            let advice = "write each efficiency of a day once, with the whole of its share".to_owned();
            faults.push(Fault { column: "efficiency_j_per_th", advice });
        }
        let sum: f64 = fields.shares.iter().map(|share| share.share).sum();
        if (sum - 1.0).abs() > SHARES_TOLERANCE {
            let advice = format!("the shares of {} sum to {sum}; they must sum to 1", fields.as_of);
            faults.push(Fault { column: "share", advice });
        }
        if faults.is_empty() { Ok(Self(fields)) } else { Err(faults) }
    }

    #[must_use]
    pub const fn fields(&self) -> &EfficiencyDistributionFields {
        &self.0
    }
}

impl PoolEvidence {
    /// The slug of no pool: a row with it takes evidence back that an earlier row gave to one.
    pub const NOBODY: &'static str = "unknown";

    /// # Errors
    /// Every fault of the row: a slug that does not fit an address, a tag so short that chance writes it
    /// or longer than a coinbase can be, what is no address of Bitcoin's main network.
    pub fn new(fields: PoolEvidenceFields) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        if !is_slug(&fields.slug) {
            let advice = "write lower case letters and digits with single hyphens between them, like braiins-pool";
            faults.push(Fault { column: "slug", advice: advice.to_owned() });
        }
        let advice = match fields.kind {
            EvidenceKind::Tag => tag_advice(&fields.value),
            EvidenceKind::Address => address_advice(&fields.value),
        };
        faults.extend(advice.map(|advice| Fault { column: "value", advice }));
        if faults.is_empty() { Ok(Self(fields)) } else { Err(faults) }
    }

    #[must_use]
    pub const fn fields(&self) -> &PoolEvidenceFields {
        &self.0
    }

    /// The value as it is compared: a tag in any case is the same tag, an address is as it is written.
    #[must_use]
    pub fn compared_value(&self) -> String {
        match self.0.kind {
            EvidenceKind::Tag => self.0.value.to_ascii_lowercase(),
            EvidenceKind::Address => self.0.value.clone(),
        }
    }
}

/// What to write instead of a tag that cannot be used.
fn tag_advice(tag: &str) -> Option<String> {
    (!(TAG_BYTES_LOW..=TAG_BYTES_HIGH).contains(&tag.len())).then(|| {
        format!(
            "write a tag of {TAG_BYTES_LOW} to {TAG_BYTES_HIGH} bytes; shorter ones stand in coinbases by chance, and longer ones do not fit"
        )
    })
}

/// What to write instead of what is no address. Sums are not checked: a wrong one matches no block.
fn address_advice(address: &str) -> Option<String> {
    const BASE58: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    const BECH32: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let (alphabet, rest, lengths) = match address.strip_prefix("bc1") {
        // Programs of 20 bytes and of 32.
        Some(rest) => (BECH32, rest, [39..=39, 59..=59]),
        None if address.starts_with(['1', '3']) => (BASE58, address, [25..=35, 25..=35]),
        None => return Some("write an address that begins with 1, 3 or, in lower case, bc1".to_owned()),
    };
    if let Some(stranger) = rest.chars().find(|character| !alphabet.contains(*character)) {
        return Some(format!("no address of this kind has the character {stranger:?}; copy it from the chain"));
    }
    if !lengths.iter().any(|lengths| lengths.contains(&rest.len())) {
        return Some("copy the whole address: this one has too many or too few characters".to_owned());
    }
    None
}

fn check(faults: &mut Vec<Fault>, quantity: Quantity, column: &'static str, value: f64) {
    if !quantity.holds(value) {
        faults.push(Fault { column, advice: format!("write a number {quantity}") });
    }
}

/// Nobody knows a figure about a day before the day has begun.
fn check_known(faults: &mut Vec<Fault>, column: &str, about: Day, published_at: Timestamp) {
    if published_at < about.start() {
        let advice = format!("write a time that is not before {column}, {about}");
        faults.push(Fault { column: "known_at", advice });
    }
}

fn is_slug(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= 64 && text.split('-').all(part)
}

impl Cooling {
    pub const ALL: [Self; 3] = [Self::Air, Self::Hydro, Self::Immersion];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Air => "air",
            Self::Hydro => "hydro",
            Self::Immersion => "immersion",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cooling| cooling.name() == name)
    }
}

impl DatePrecision {
    pub const ALL: [Self; 3] = [Self::Day, Self::Month, Self::Year];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|precision| precision.name() == name)
    }
}

impl EvidenceKind {
    pub const ALL: [Self; 2] = [Self::Tag, Self::Address];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Address => "address",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A row of any table of facts.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    NetworkEfficiency(NetworkEfficiency),
    AsicModel(AsicModel),
    EfficiencyDistribution(EfficiencyDistribution),
    Pool(PoolEvidence),
    /// A row of one of the tables about issuers and their debt.
    Credit(CreditRow),
}

impl Fact {
    pub const NETWORK_EFFICIENCY: &'static str = "network_efficiency";
    pub const ASIC_MODELS: &'static str = "asic_models";
    pub const EFFICIENCY_DISTRIBUTION: &'static str = "efficiency_distribution";
    pub const POOLS: &'static str = "pools";

    /// Name of the table.
    #[must_use]
    pub const fn table(&self) -> &'static str {
        match self {
            Self::NetworkEfficiency(_) => Self::NETWORK_EFFICIENCY,
            Self::AsicModel(_) => Self::ASIC_MODELS,
            Self::EfficiencyDistribution(_) => Self::EFFICIENCY_DISTRIBUTION,
            Self::Pool(_) => Self::POOLS,
            Self::Credit(row) => row.table().name(),
        }
    }

    /// What the row is about, within its table: the same key with a later time of publication is news
    /// about the same thing.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::NetworkEfficiency(row) => format!("{} {}", row.0.observed_on, row.0.publisher),
            Self::AsicModel(row) => row.0.model_id.clone(),
            Self::EfficiencyDistribution(row) => row.0.as_of.to_string(),
            Self::Pool(row) => format!("{} {}", row.0.kind.name(), row.compared_value()),
            Self::Credit(row) => row.key(),
        }
    }

    /// When the public could know it, as the row says.
    #[must_use]
    pub const fn published_at(&self) -> Timestamp {
        match self {
            Self::NetworkEfficiency(row) => row.0.published_at,
            Self::AsicModel(row) => row.0.published_at,
            Self::EfficiencyDistribution(row) => row.0.published_at,
            Self::Pool(row) => row.0.published_at,
            Self::Credit(row) => row.published_at(),
        }
    }
}

/// One stored version of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct FactVersion<T> {
    /// From when on views use it; for a correction, later than the row's own time of publication.
    pub known_at: Timestamp,
    pub batch: i64,
    pub row: T,
}

impl<T> FactVersion<T> {
    /// Whether a view of `moment` has it at an instant.
    pub(super) fn is_visible(&self, at: Timestamp, moment: Moment) -> bool {
        self.known_at <= at.min(moment.at) && self.batch <= moment.batch
    }
}

type Versions<T> = Vec<Arc<FactVersion<T>>>;

/// Every version of every fact. The order in which rows were put in does not matter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// By time of publication, then day, then version: of those that a view sees, the last one counts.
    efficiencies: Versions<NetworkEfficiency>,
    /// By model, then time of publication, then version.
    models: Versions<AsicModel>,
    /// By day, then time of publication, then version.
    distributions: Versions<EfficiencyDistribution>,
    /// By time of publication, then version: of what a view sees about one tag, address or name, the last
    /// one counts.
    pool_evidence: Versions<PoolEvidence>,
    credit: CreditBook,
}

impl Facts {
    /// These and more versions.
    #[must_use]
    pub fn with(mut self, versions: impl IntoIterator<Item = FactVersion<Fact>>) -> Self {
        for FactVersion { known_at, batch, row } in versions {
            match row {
                Fact::NetworkEfficiency(row) => self.efficiencies.push(Arc::new(FactVersion { known_at, batch, row })),
                Fact::AsicModel(row) => self.models.push(Arc::new(FactVersion { known_at, batch, row })),
                Fact::EfficiencyDistribution(row) => {
                    self.distributions.push(Arc::new(FactVersion { known_at, batch, row }));
                }
                Fact::Pool(row) => self.pool_evidence.push(Arc::new(FactVersion { known_at, batch, row })),
                Fact::Credit(row) => {
                    self.credit.push(FactVersion { known_at, batch, row });
                }
            }
        }
        self.efficiencies.sort_by(|a, b| order_of(a).cmp(&order_of(b)));
        self.models.sort_by(|a, b| {
            let order =
                |version: &FactVersion<AsicModel>| (version.row.0.published_at, version.known_at, version.batch);
            (&a.row.0.model_id, order(a)).cmp(&(&b.row.0.model_id, order(b)))
        });
        self.distributions.sort_by_key(|version| {
            let row = &version.row.0;
            (row.as_of, row.published_at, version.known_at, version.batch)
        });
        self.pool_evidence.sort_by(|a, b| order_of_evidence(a).cmp(&order_of_evidence(b)));
        self
    }

    /// E(t): of the averages that a view of `moment` knew by `instant`, the one that was published last;
    /// of those published together, the one about the latest day. `None` before the first.
    ///
    /// Shipped: 98 J/TH on 2019-01-01, from August 2018; 70.6 J/TH a day after 2020-07-15.
    #[must_use]
    pub fn network_efficiency_at(&self, instant: Timestamp, moment: Moment) -> Option<&FactVersion<NetworkEfficiency>> {
        self.efficiencies.iter().rev().find(|version| version.is_visible(instant, moment)).map(AsRef::as_ref)
    }

    /// E(t) of `count` days running, as a view of `moment` knew it by the end of each: joules for a
    /// terahash, one for each day from `first` on; `None` before the first average.
    ///
    /// Takes time for each day and each version once.
    #[must_use]
    pub fn network_efficiency_column(&self, first: Day, count: usize, moment: Moment) -> Vec<Option<f64>> {
        let mut coming: Vec<(usize, &FactVersion<NetworkEfficiency>)> = self
            .efficiencies
            .iter()
            .enumerate()
            .filter(|(_, version)| version.is_visible(moment.at, moment))
            .map(|(place, version)| (place, version.as_ref()))
            .collect();
        coming.sort_by_key(|(_, version)| version.known_at);
        let mut coming = coming.into_iter().peekable();
        let mut newest: Option<(usize, &FactVersion<NetworkEfficiency>)> = None;
        (0..count)
            .map(|number| {
                let day = first.plus(i32::try_from(number).unwrap_or(i32::MAX));
                while let Some(next) = coming.next_if(|(_, version)| version.known_at <= day.end()) {
                    // Places follow the order in which versions count.
                    newest = newest.filter(|(place, _)| *place > next.0).or(Some(next));
                }
                newest.map(|(_, version)| version.row.0.efficiency_j_per_th)
            })
            .collect()
    }

    /// The newest row of each model that a view knows, by name in addresses.
    #[must_use]
    pub fn asic_models(&self, moment: Moment) -> Vec<&FactVersion<AsicModel>> {
        let visible = self.models.iter().filter(|version| version.is_visible(moment.at, moment));
        let newest: BTreeMap<&str, &FactVersion<AsicModel>> =
            visible.map(|version| (version.row.0.model_id.as_str(), version.as_ref())).collect();
        newest.into_values().collect()
    }

    /// The distribution about the latest day up to `day` that a view knew by the end of `day`; `None` if
    /// there is none. How old it may be, the caller judges.
    #[must_use]
    pub fn efficiency_distribution(&self, day: Day, moment: Moment) -> Option<&FactVersion<EfficiencyDistribution>> {
        let fits = |version: &&Arc<FactVersion<EfficiencyDistribution>>| {
            version.row.0.as_of <= day && version.is_visible(day.end(), moment)
        };
        self.distributions.iter().rev().find(fits).map(AsRef::as_ref)
    }

    /// Every version of evidence for pools that a view knows, by time of publication: of one tag, address
    /// or name, the last one counts. [`super::pools::Pools::at`] makes a lookup of them.
    pub fn pool_evidence(&self, moment: Moment) -> impl Iterator<Item = &FactVersion<PoolEvidence>> {
        self.pool_evidence.iter().map(AsRef::as_ref).filter(move |version| version.is_visible(moment.at, moment))
    }

    /// What people compiled about issuers and their debt.
    #[must_use]
    pub const fn credit(&self) -> &CreditBook {
        &self.credit
    }
}

/// A release's rows are one batch, published by the hundred at one time: what they are about decides
/// between them, so that the order of a file does not matter.
fn order_of_evidence(version: &FactVersion<PoolEvidence>) -> (Timestamp, Timestamp, i64, EvidenceKind, &str) {
    let row = &version.row.0;
    (row.published_at, version.known_at, version.batch, row.kind, &row.value)
}

fn order_of(version: &FactVersion<NetworkEfficiency>) -> (Timestamp, Day, Timestamp, i64, &str) {
    let row = &version.row.0;
    (row.published_at, row.observed_on, version.known_at, version.batch, &row.publisher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Span;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn average(observed_on: &str, efficiency: f64, published_at: &str) -> NetworkEfficiencyFields {
        NetworkEfficiencyFields {
            observed_on: day(observed_on),
            efficiency_j_per_th: efficiency,
            published_at: at(published_at),
            publisher: "somebody".into(),
            title: "a report".into(),
            source: "https://example.com/report".into(),
            note: String::new(),
        }
    }

    fn version(fields: NetworkEfficiencyFields, known_at: &str, batch: i64) -> FactVersion<Fact> {
        let row = Fact::NetworkEfficiency(NetworkEfficiency::new(fields).unwrap());
        FactVersion { known_at: at(known_at), batch, row }
    }

    fn three() -> Facts {
        Facts::default().with([
            version(average("2020-12-31", 60.0, "2021-03-10T12:00:00Z"), "2021-03-10T12:00:00Z", 1),
            version(average("2020-06-30", 70.0, "2020-09-01"), "2020-09-01", 1),
            // Published together: of two days, the later one counts.
            version(average("2021-12-31", 50.0, "2022-04-01"), "2022-04-01", 2),
            version(average("2021-03-31", 58.0, "2022-04-01"), "2022-04-01", 2),
        ])
    }

    fn efficiency(facts: &Facts, instant: &str, moment: Moment) -> Option<f64> {
        facts.network_efficiency_at(at(instant), moment).map(|version| version.row.fields().efficiency_j_per_th)
    }

    #[test]
    fn the_latest_publication_known_by_then_counts() {
        let now = Moment { at: at("2026-01-01"), batch: 9 };
        let facts = three();
        let known = |instant: &str| efficiency(&facts, instant, now);
        assert_eq!(known("2020-08-31"), None, "nothing was published");
        assert_eq!(known("2020-09-01"), Some(70.0));
        assert_eq!(known("2021-03-10T11:59:59Z"), Some(70.0));
        assert_eq!(known("2021-03-10T12:00:00Z"), Some(60.0));
        assert_eq!(known("2025-01-01"), Some(50.0), "held flat");
        let earlier = |at, batch| efficiency(&facts, "2025-01-01", Moment { at, batch });
        assert_eq!(earlier(at("2021-01-01"), 9), Some(70.0), "no instant after the view's");
        assert_eq!(earlier(at("2026-01-01"), 1), Some(60.0), "nothing that was stored later");
        assert_eq!(earlier(at("2026-01-01"), 0), None);
    }

    #[test]
    fn the_column_says_of_each_day_what_the_lookup_says_of_its_end() {
        let facts = three().with([version(average("2020-12-31", 61.0, "2021-03-10T12:00:00Z"), "2022-08-08", 3)]);
        let first = day("2020-08-25");
        for moment in [("2026-01-01", 9), ("2026-01-01", 1), ("2021-01-01", 9), ("2022-04-01", 2), ("2026-01-01", 0)] {
            let moment = Moment { at: at(moment.0), batch: moment.1 };
            let column = facts.network_efficiency_column(first, 800, moment);
            assert_eq!(column.len(), 800);
            for (number, value) in (0..).zip(&column) {
                let end = first.plus(number).end();
                let looked_up =
                    facts.network_efficiency_at(end, moment).map(|version| version.row.0.efficiency_j_per_th);
                assert_eq!(*value, looked_up, "{} {moment:?}", first.plus(number));
            }
        }
        let now = Moment { at: at("2026-01-01"), batch: 9 };
        // 2020-08-31 ends when 2020-09-01 begins, the moment of publication.
        assert_eq!(facts.network_efficiency_column(day("2020-08-30"), 3, now), [None, Some(70.0), Some(70.0)]);
        assert!(facts.network_efficiency_column(first, 0, now).is_empty());
    }

    #[test]
    fn a_correction_of_an_old_row_moves_that_row_only() {
        let facts = three().with([version(average("2020-06-30", 72.0, "2020-09-01"), "2023-01-01", 3)]);
        let now = Moment { at: at("2026-01-01"), batch: 3 };
        assert_eq!(efficiency(&facts, "2025-01-01", now), Some(50.0), "an old figure does not become the newest");
        assert_eq!(efficiency(&facts, "2020-10-01", now), Some(70.0), "nobody knew the correction");
        let corrected = three().with([version(average("2021-12-31", 51.0, "2022-04-01"), "2023-01-01", 3)]);
        assert_eq!(efficiency(&corrected, "2022-12-31", now), Some(50.0));
        assert_eq!(efficiency(&corrected, "2023-01-01", now), Some(51.0));
        assert_eq!(efficiency(&corrected, "2025-01-01", Moment { batch: 2, ..now }), Some(50.0));
    }

    fn model(model_id: &str, published_at: &str) -> AsicModelFields {
        AsicModelFields {
            model_id: model_id.into(),
            model: "Machine".into(),
            manufacturer: "Maker".into(),
            hashrate_th_per_s: Some(110.0),
            power_w: Some(3_250.0),
            efficiency_j_per_th: 29.5,
            cooling: Cooling::Air,
            released: None,
            price: None,
            published_at: at(published_at),
            source: "https://example.com/machine".into(),
        }
    }

    #[test]
    fn models_come_by_name_each_in_its_newest_version() {
        let row = |fields, batch| {
            let row = AsicModel::new(fields).unwrap();
            FactVersion { known_at: row.0.published_at, batch, row: Fact::AsicModel(row) }
        };
        let priced = AsicModelFields {
            price: Some(UnitPrice { usd_per_th: 14.0, on: day("2023-05-01") }),
            ..model("b", "2023-05-02")
        };
        let facts =
            Facts::default().with([row(priced, 2), row(model("b", "2022-01-01"), 1), row(model("a", "2022-06-01"), 1)]);
        let seen = |at_day: &str, batch| {
            let models = facts.asic_models(Moment { at: at(at_day), batch });
            let seen = models.iter().map(|version| {
                let fields = version.row.fields();
                (fields.model_id.clone(), fields.price.map(|price| price.usd_per_th))
            });
            seen.collect::<Vec<_>>()
        };
        assert_eq!(seen("2022-02-01", 9), [("b".to_owned(), None)]);
        assert_eq!(seen("2024-01-01", 9), [("a".to_owned(), None), ("b".to_owned(), Some(14.0))]);
        assert_eq!(seen("2024-01-01", 1), [("a".to_owned(), None), ("b".to_owned(), None)]);
    }

    fn distribution(as_of: &str, shares: &[(f64, f64)], published_at: &str) -> EfficiencyDistributionFields {
        let share = |&(efficiency_j_per_th, share): &(f64, f64)| EfficiencyShare { efficiency_j_per_th, share };
        EfficiencyDistributionFields {
            as_of: day(as_of),
            shares: shares.iter().map(share).collect(),
            published_at: at(published_at),
            source: "https://example.com/shares".into(),
        }
    }

    #[test]
    fn the_newest_distribution_known_by_then_counts() {
        let row = |fields, batch| {
            let row = EfficiencyDistribution::new(fields).unwrap();
            FactVersion { known_at: row.0.published_at, batch, row: Fact::EfficiencyDistribution(row) }
        };
        let facts = Facts::default().with([
            row(distribution("2023-05-31", &[(98.0, 0.25), (30.0, 0.75)], "2023-06-13"), 1),
            row(distribution("2024-05-31", &[(25.0, 1.0)], "2024-07-01"), 1),
        ]);
        let now = Moment { at: at("2026-01-01"), batch: 1 };
        let as_of =
            |of: &str| facts.efficiency_distribution(day(of), now).map(|version| version.row.0.as_of.to_string());
        assert_eq!(as_of("2023-06-11"), None);
        assert_eq!(as_of("2023-06-12").as_deref(), Some("2023-05-31"), "the day ends when it was published");
        assert_eq!(as_of("2024-06-15").as_deref(), Some("2023-05-31"), "the next one was not published");
        assert_eq!(as_of("2024-07-01").as_deref(), Some("2024-05-31"));
        let first = facts.efficiency_distribution(day("2023-06-13"), now).unwrap();
        assert_eq!(first.row.fields().shares[0].efficiency_j_per_th, 30.0, "the most efficient first");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_column() {
        let columns = |faults: Vec<Fault>| faults.iter().map(|fault| fault.column).collect::<Vec<_>>();
        let of_average = |fields| columns(NetworkEfficiency::new(fields).unwrap_err());
        for efficiency in [0.0, 0.999, 5_000.1, -3.0, f64::NAN, f64::INFINITY] {
            assert_eq!(of_average(average("2020-06-30", efficiency, "2020-09-01")), ["efficiency_j_per_th"]);
        }
        assert_eq!(of_average(average("2020-09-02", 70.0, "2020-09-01")), ["known_at"]);
        assert_eq!(of_average(average("2020-09-02", 0.0, "2020-09-01")).len(), 2, "every fault is named");

        let of_model = |change: fn(&mut AsicModelFields)| {
            let mut fields = model("machine", "2022-01-01");
            change(&mut fields);
            columns(AsicModel::new(fields).unwrap_err())
        };
        assert_eq!(of_model(|fields| fields.model_id = "S21 Pro".into()), ["model_id"]);
        assert_eq!(of_model(|fields| fields.model_id = "s21--pro".into()), ["model_id"]);
        assert_eq!(of_model(|fields| fields.hashrate_th_per_s = Some(0.0)), ["hashrate_th_per_s"]);
        assert_eq!(of_model(|fields| fields.power_w = Some(1e9)), ["power_w"]);
        // 3,250 W over 110 TH/s is 29.5 J/TH.
        assert_eq!(of_model(|fields| fields.efficiency_j_per_th = 34.0), ["efficiency_j_per_th"]);
        assert_eq!(
            of_model(|fields| fields.price = Some(UnitPrice { usd_per_th: 0.0, on: Day::from_epoch_days(0) })),
            ["price_usd_per_th"]
        );
        let later = |fields: &mut AsicModelFields| {
            let on = fields.published_at.plus(Span::DAY).day();
            fields.price = Some(UnitPrice { usd_per_th: 14.0, on });
        };
        assert_eq!(of_model(later), ["known_at"]);

        let of_shares = |shares: &[(f64, f64)]| {
            columns(EfficiencyDistribution::new(distribution("2023-05-31", shares, "2023-06-13")).unwrap_err())
        };
        assert_eq!(of_shares(&[(98.0, 0.25), (30.0, 0.74)]), ["share"]);
        assert_eq!(of_shares(&[(30.0, 0.25), (30.0, 0.75)]), ["efficiency_j_per_th"]);
        assert_eq!(of_shares(&[(30.0, 1.5), (31.0, -0.5)]), ["share", "share"]);
        assert_eq!(of_shares(&[]), ["share"]);
    }
}

//! Rows of the tables about issuers and their debt: what each table has for columns, and what a row of it
//! must be like. `data/README.md` describes them for people.
//!
//! A row is kept as its cells, the way it was written, with what they mean beside it: a table of a person,
//! a row of the database and a row of a release are read by the same code.

use std::sync::Arc;

use super::cells::{Cells, Reader};
use super::figure::{Figure, Item, ItemKind, Origin};
use super::word::{
    Benchmark, Cause, Certainty, Condition, CouponKind, FilerKind, Industry, IndustryMetric, InstrumentKind,
    InstrumentStatus, InterestPaid, IssuerStatus, LineKind, OptionKind, Purpose, Recourse, RetiredHow, Security,
    Settlement, SitePurpose, SiteStatus, Verification,
};
use crate::domain::facts::{Fault, RoughDate};
use crate::domain::time::{Day, Timestamp};

/// A conversion rate and a conversion price that are both stated agree within this share.
const CONVERSION_TOLERANCE: f64 = 0.000_5;
/// What a conversion rate counts shares for.
const CONVERSION_UNIT_USD: f64 = 1_000.0;

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    Issuers,
    Instruments,
    Outstanding,
    DebtOptions,
    Amortisation,
    Fundamentals,
    Revenue,
    RevenueLines,
    Sites,
    Industry,
    Earnings,
}

impl Table {
    pub const ALL: [Self; 11] = [
        Self::Issuers,
        Self::Instruments,
        Self::Outstanding,
        Self::DebtOptions,
        Self::Amortisation,
        Self::Fundamentals,
        Self::Revenue,
        Self::RevenueLines,
        Self::Sites,
        Self::Industry,
        Self::Earnings,
    ];

    /// The name of its file without the ending.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issuers => "issuers",
            Self::Instruments => "instruments",
            Self::Outstanding => "outstanding",
            Self::DebtOptions => "debt_options",
            Self::Amortisation => "amortisation",
            Self::Fundamentals => "fundamentals",
            Self::Revenue => "revenue",
            Self::RevenueLines => "revenue_lines",
            Self::Sites => "sites",
            Self::Industry => "industry",
            Self::Earnings => "earnings",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Every column; `known_at`, `source` and `note` are the last three.
    #[must_use]
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Issuers => &[
                "ticker",
                "name",
                "cik",
                "filer_kind",
                "fiscal_year_end",
                "status",
                "industry",
                "known_at",
                "source",
                "note",
            ],
            Self::Instruments => &[
                "instrument_id",
                "facility_id",
                "ticker",
                "title",
                "kind",
                "obligor",
                "recourse",
                "purpose",
                "security",
                "principal_usd",
                "commitment_usd",
                "issued_on",
                "issued_precision",
                "maturity_on",
                "maturity_precision",
                "coupon_kind",
                "coupon_pct",
                "benchmark",
                "spread_pct",
                "floor_pct",
                "interest_paid",
                "conversion_rate_per_1000",
                "conversion_price_usd",
                "settlement",
                "capped_call_usd",
                "collateral_btc",
                "ltv_initial_pct",
                "ltv_margin_call_pct",
                "ltv_liquidation_pct",
                "status",
                "retired_on",
                "retired_how",
                "verification",
                "known_at",
                "source",
                "note",
            ],
            Self::Outstanding => &[
                "instrument_id",
                "observed_on",
                "outstanding_usd",
                "carrying_usd",
                "cause",
                "known_at",
                "source",
                "note",
            ],
            Self::DebtOptions => {
                &["instrument_id", "kind", "on", "on_precision", "price_pct", "condition", "known_at", "source", "note"]
            }
            Self::Amortisation => {
                &["instrument_id", "due_on", "due_precision", "amount_usd", "known_at", "source", "note"]
            }
            Self::Fundamentals => {
                &["ticker", "item", "period_start", "period_end", "value", "known_at", "source", "note"]
            }
            Self::Revenue => {
                &["ticker", "line", "period_start", "period_end", "value_usd", "known_at", "source", "note"]
            }
            Self::RevenueLines => &["ticker", "line", "kind", "known_at", "source", "note"],
            Self::Sites => &[
                "site_id",
                "ticker",
                "site",
                "country",
                "state",
                "county",
                "grid",
                "gross_mw",
                "critical_it_mw",
                "purpose",
                "status",
                "observed_on",
                "known_at",
                "source",
                "note",
            ],
            Self::Industry => &[
                "metric",
                "period_start",
                "period_end",
                "value",
                "unit",
                "scope",
                "publisher",
                "known_at",
                "source",
                "note",
            ],
            Self::Earnings => &["ticker", "fiscal_period_end", "report_on", "certainty", "known_at", "source", "note"],
        }
    }

    /// The columns that say what a row is about: the same cells in them with a later time of publication
    /// are news about the same thing.
    const fn key_columns(self) -> &'static [&'static str] {
        match self {
            Self::Issuers => &["ticker"],
            Self::Instruments => &["instrument_id"],
            Self::Outstanding => &["instrument_id", "observed_on"],
            Self::DebtOptions => &["instrument_id", "kind", "on"],
            Self::Amortisation => &["instrument_id", "due_on"],
            Self::Fundamentals => &["ticker", "item", "period_start", "period_end"],
            Self::Revenue => &["ticker", "line", "period_start", "period_end"],
            Self::RevenueLines => &["ticker", "line"],
            Self::Sites => &["site_id"],
            Self::Industry => &["metric", "period_start", "period_end", "publisher", "scope"],
            Self::Earnings => &["ticker", "fiscal_period_end"],
        }
    }
}

/// A listed company that mines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    pub ticker: String,
    pub name: String,
    /// Number of the filer with the SEC.
    pub cik: Option<i64>,
    pub filer_kind: FilerKind,
    /// Month and day on which its fiscal year ends, such as `12-31`.
    pub fiscal_year_end: String,
    pub status: IssuerStatus,
    pub industry: Industry,
}

/// The SEC gives no numbers from here on: simulated issuers have them.
pub const FICTIONAL_CIK: i64 = 9_900_000_000;

impl Issuer {
    /// Whether it belongs to a simulated world.
    #[must_use]
    pub fn is_fictional(&self) -> bool {
        self.cik.is_some_and(|cik| cik >= FICTIONAL_CIK)
    }
}

/// A note, loan or line.
#[derive(Debug, Clone, PartialEq)]
pub struct Instrument {
    pub instrument_id: String,
    /// The loan of which this is an amendment or a tranche; itself where there is none.
    pub facility_id: String,
    pub ticker: String,
    pub title: String,
    pub kind: InstrumentKind,
    pub obligor: String,
    pub recourse: Option<Recourse>,
    pub purpose: Option<Purpose>,
    pub security: Option<Security>,
    /// Face amount issued so far.
    pub principal_usd: Option<i64>,
    /// Limit of a line.
    pub commitment_usd: Option<i64>,
    pub issued: Option<RoughDate>,
    pub maturity: Option<RoughDate>,
    pub coupon: Coupon,
    pub conversion: Option<Conversion>,
    pub collateral: Collateral,
    pub status: InstrumentStatus,
    pub retired: Option<Retirement>,
    pub verification: Verification,
}

/// What an instrument pays, in percent a year.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coupon {
    pub kind: Option<CouponKind>,
    /// All in, now.
    pub rate_pct: Option<f64>,
    pub benchmark: Option<Benchmark>,
    pub spread_pct: Option<f64>,
    pub floor_pct: Option<f64>,
    pub paid: Option<InterestPaid>,
}

/// Into how many shares a note turns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    /// Shares for each 1,000 USD of principal.
    pub rate_per_1000: f64,
    /// USD a share.
    pub price_usd: f64,
    pub settlement: Option<Settlement>,
    /// Up to this share price a capped call makes up for dilution.
    pub capped_call_usd: Option<f64>,
}

/// Bitcoin that secures a loan, and the loan-to-value ratios, in percent, of its terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Collateral {
    pub btc: Option<f64>,
    pub ltv_initial_pct: Option<f64>,
    pub ltv_margin_call_pct: Option<f64>,
    pub ltv_liquidation_pct: Option<f64>,
}

/// The end of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    pub on: Day,
    pub how: RetiredHow,
}

/// What is outstanding of an instrument after a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outstanding {
    pub instrument_id: String,
    pub observed_on: Day,
    /// Principal.
    pub outstanding_usd: Option<i64>,
    /// Book value.
    pub carrying_usd: Option<i64>,
    pub cause: Cause,
}

/// A right to end an instrument before its maturity.
#[derive(Debug, Clone, PartialEq)]
pub struct DebtOption {
    pub instrument_id: String,
    pub kind: OptionKind,
    pub on: RoughDate,
    /// Percent of principal.
    pub price_pct: Option<f64>,
    pub condition: Option<Condition>,
}

/// A part of the principal that is due before maturity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amortisation {
    pub instrument_id: String,
    pub due: RoughDate,
    pub amount_usd: i64,
}

/// A number that a company reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Fundamental {
    pub ticker: String,
    pub item: Item,
    pub start: Option<Day>,
    pub end: Day,
    pub value: f64,
}

/// A line of revenue as a company reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revenue {
    pub ticker: String,
    pub line: String,
    pub start: Day,
    pub end: Day,
    pub value_usd: i64,
}

/// What a reported line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevenueLine {
    pub ticker: String,
    pub line: String,
    pub kind: LineKind,
}

/// A place with machines, or for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    pub site_id: String,
    pub ticker: String,
    pub site: String,
    /// ISO 3166 alpha-2.
    pub country: String,
    /// Part of the country, such as `TX`; empty where it is not known.
    pub state: String,
    pub county: String,
    pub grid: String,
    pub gross_mw: Option<f64>,
    pub critical_it_mw: Option<f64>,
    pub purpose: SitePurpose,
    pub status: SiteStatus,
    pub observed_on: Day,
}

/// A figure of the whole industry, as somebody stated it.
#[derive(Debug, Clone, PartialEq)]
pub struct IndustryFigure {
    pub metric: IndustryMetric,
    pub start: Option<Day>,
    pub end: Day,
    pub value: f64,
    pub unit: String,
    pub scope: String,
    pub publisher: String,
}

/// The day on which a company reports a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarningsDate {
    pub ticker: String,
    pub fiscal_period_end: Day,
    pub report_on: Day,
    pub certainty: Certainty,
}

/// What a row means.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    Issuer(Issuer),
    Instrument(Box<Instrument>),
    Outstanding(Outstanding),
    DebtOption(DebtOption),
    Amortisation(Amortisation),
    Fundamental(Fundamental),
    Revenue(Revenue),
    RevenueLine(RevenueLine),
    Site(Box<Site>),
    Industry(IndustryFigure),
    Earnings(EarningsDate),
}

/// A row of one of the tables.
#[derive(Debug, Clone, PartialEq)]
pub struct CreditRow {
    table: Table,
    /// Without `known_at`.
    cells: Cells,
    published_at: Timestamp,
    entry: Entry,
}

impl CreditRow {
    /// A row out of its cells; `known_at`, which is read by the caller, is not among them.
    ///
    /// # Errors
    /// Every fault of the row.
    pub fn new(table: Table, cells: Cells, published_at: Timestamp) -> Result<Self, Vec<Fault>> {
        let entry = read_entry(table, &cells, published_at)?;
        Ok(Self { table, cells, published_at, entry })
    }

    #[must_use]
    pub const fn table(&self) -> Table {
        self.table
    }

    /// The cells that are not empty, without `known_at`.
    #[must_use]
    pub const fn cells(&self) -> &Cells {
        &self.cells
    }

    /// When the public could know it, as the row says.
    #[must_use]
    pub const fn published_at(&self) -> Timestamp {
        self.published_at
    }

    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// What the row is about, within its table.
    #[must_use]
    pub fn key(&self) -> String {
        let columns = self.table.key_columns().iter();
        columns.map(|column| self.cells.get(column).map_or("", String::as_str)).collect::<Vec<_>>().join(" ")
    }

    /// Address of the text that states it.
    #[must_use]
    pub fn source(&self) -> &str {
        self.cells.get("source").map_or("", String::as_str)
    }

    #[must_use]
    pub fn note(&self) -> &str {
        self.cells.get("note").map_or("", String::as_str)
    }

    /// A row of `fundamentals` as a figure; `None` for a row of another table.
    #[must_use]
    pub fn figure(&self, known_at: Timestamp, batch: i64) -> Option<Figure> {
        let Entry::Fundamental(row) = &self.entry else { return None };
        Some(Figure {
            ticker: Arc::from(row.ticker.as_str()),
            item: row.item,
            start: row.start,
            end: row.end,
            value: row.value,
            known_at,
            batch,
            origin: Origin::Table { published_at: self.published_at },
            url: Arc::from(self.source()),
        })
    }

    /// The instrument that the row names or describes.
    #[must_use]
    pub fn instrument_id(&self) -> Option<&str> {
        self.cells.get("instrument_id").map(String::as_str)
    }

    /// The issuer that the row names or describes.
    #[must_use]
    pub fn ticker(&self) -> Option<&str> {
        self.cells.get("ticker").map(String::as_str)
    }
}

fn read_entry(table: Table, cells: &Cells, published_at: Timestamp) -> Result<Entry, Vec<Fault>> {
    let mut reader = Reader::new(cells);
    let entry = match table {
        Table::Issuers => issuer(&mut reader).map(Entry::Issuer),
        Table::Instruments => instrument(&mut reader).map(Box::new).map(Entry::Instrument),
        Table::Outstanding => outstanding(&mut reader, published_at).map(Entry::Outstanding),
        Table::DebtOptions => debt_option(&mut reader).map(Entry::DebtOption),
        Table::Amortisation => amortisation(&mut reader).map(Entry::Amortisation),
        Table::Fundamentals => fundamental(&mut reader, published_at).map(Entry::Fundamental),
        Table::Revenue => revenue(&mut reader, published_at).map(Entry::Revenue),
        Table::RevenueLines => revenue_line(&mut reader).map(Entry::RevenueLine),
        Table::Sites => site(&mut reader, published_at).map(Box::new).map(Entry::Site),
        Table::Industry => industry_figure(&mut reader).map(Entry::Industry),
        Table::Earnings => earnings_date(&mut reader).map(Entry::Earnings),
    };
    reader.finish(entry)
}

fn issuer(reader: &mut Reader) -> Option<Issuer> {
    let ticker = reader.ticker();
    let name = reader.text("name");
    let cik = reader.optional_whole("cik", 1..=9_999_999_999, "without leading zeros, like 1507605");
    let filer_kind = reader.word("filer_kind", FilerKind::from_name, FilerKind::NAMES);
    let fiscal_year_end = reader.text("fiscal_year_end");
    if let Some(text) = &fiscal_year_end
        && Day::parse(&format!("2024-{text}")).is_err()
    {
        reader.fault("fiscal_year_end", "write month and day like 12-31");
    }
    let status = reader.word("status", IssuerStatus::from_name, IssuerStatus::NAMES);
    let industry = reader.word("industry", Industry::from_name, Industry::NAMES);
    Some(Issuer {
        ticker: ticker?,
        name: name?,
        cik,
        filer_kind: filer_kind?,
        fiscal_year_end: fiscal_year_end?,
        status: status?,
        industry: industry?,
    })
}

fn instrument(reader: &mut Reader) -> Option<Instrument> {
    let instrument_id = reader.slug("instrument_id");
    let facility_id = reader.optional_slug("facility_id");
    let ticker = reader.ticker();
    let [title, obligor] = ["title", "obligor"].map(|column| reader.text(column));
    let kind = reader.word("kind", InstrumentKind::from_name, InstrumentKind::NAMES);
    let recourse = reader.optional_word("recourse", Recourse::from_name, Recourse::NAMES);
    let purpose = reader.optional_word("purpose", Purpose::from_name, Purpose::NAMES);
    let security = reader.optional_word("security", Security::from_name, Security::NAMES);
    let principal_usd = reader.optional_money("principal_usd");
    let commitment_usd = reader.optional_money("commitment_usd");
    let issued = reader.optional_rough_date("issued_on", "issued_precision");
    let maturity = reader.optional_rough_date("maturity_on", "maturity_precision");
    if let (Some(issued), Some(maturity)) = (issued, maturity)
        && maturity.day < issued.day
    {
        reader.fault("maturity_on", format!("write a date that is not before issued_on, {}", issued.day));
    }
    let coupon = coupon(reader);
    let conversion = conversion(reader, kind);
    let collateral = collateral(reader);
    let status = reader.word("status", InstrumentStatus::from_name, InstrumentStatus::NAMES);
    let retired = retirement(reader, status, issued);
    let verification = reader.word("verification", Verification::from_name, Verification::NAMES);
    let instrument_id = instrument_id?;
    Some(Instrument {
        facility_id: facility_id.unwrap_or_else(|| instrument_id.clone()),
        instrument_id,
        ticker: ticker?,
        title: title?,
        kind: kind?,
        obligor: obligor?,
        recourse,
        purpose,
        security,
        principal_usd,
        commitment_usd,
        issued,
        maturity,
        coupon,
        conversion,
        collateral,
        status: status?,
        retired,
        verification: verification?,
    })
}

fn coupon(reader: &mut Reader) -> Coupon {
    let kind = reader.optional_word("coupon_kind", CouponKind::from_name, CouponKind::NAMES);
    let mut percent = |column| reader.optional_number(column, 0.0, 50.0, "percent a year");
    let [rate_pct, spread_pct, floor_pct] = ["coupon_pct", "spread_pct", "floor_pct"].map(&mut percent);
    let benchmark = reader.optional_word("benchmark", Benchmark::from_name, Benchmark::NAMES);
    if kind == Some(CouponKind::Fixed) && (benchmark.is_some() || spread_pct.is_some()) {
        reader.fault("coupon_kind", "write floating, or leave benchmark and spread_pct empty");
    }
    let paid = reader.optional_word("interest_paid", InterestPaid::from_name, InterestPaid::NAMES);
    Coupon { kind, rate_pct, benchmark, spread_pct, floor_pct, paid }
}

/// Rate and price of a conversion; one is computed of the other where one alone is stated.
fn conversion(reader: &mut Reader, kind: Option<InstrumentKind>) -> Option<Conversion> {
    if let Some(kind) = kind.filter(|kind| !kind.is_convertible())
        && (reader.has("conversion_rate_per_1000") || reader.has("conversion_price_usd"))
    {
        let advice = format!("write convertible or exchangeable, or leave the conversion of a {} out", kind.name());
        reader.fault("kind", advice);
    }
    // A filing may tag the rate for each dollar; a rate below 1 would be a share price above 1,000 USD.
    let rate = reader.optional_number("conversion_rate_per_1000", 1.0, 10_000.0, "shares for 1,000 USD");
    let price = reader.optional_number("conversion_price_usd", 0.1, 1_000.0, "USD a share");
    if let (Some(rate), Some(price)) = (rate, price)
        && (rate * price / CONVERSION_UNIT_USD - 1.0).abs() > CONVERSION_TOLERANCE
    {
        let advice = format!(
            "1000 over {rate} is {:.4} USD; correct one of the two, or leave one out",
            CONVERSION_UNIT_USD / rate
        );
        reader.fault("conversion_price_usd", advice);
    }
    let settlement = reader.optional_word("settlement", Settlement::from_name, Settlement::NAMES);
    let capped_call_usd = reader.optional_number("capped_call_usd", 0.1, 10_000.0, "USD a share");
    let (rate_per_1000, price_usd) = match (rate, price) {
        (Some(rate), Some(price)) => (rate, price),
        (Some(rate), None) => (rate, CONVERSION_UNIT_USD / rate),
        (None, Some(price)) => (CONVERSION_UNIT_USD / price, price),
        (None, None) => return None,
    };
    if capped_call_usd.is_some_and(|cap| cap <= price_usd) {
        reader.fault("capped_call_usd", format!("write a share price above the conversion price, {price_usd:.4} USD"));
    }
    Some(Conversion { rate_per_1000, price_usd, settlement, capped_call_usd })
}

fn collateral(reader: &mut Reader) -> Collateral {
    let btc = reader.optional_number("collateral_btc", 0.0, 1_000_000.0, "BTC");
    let mut percent = |column| reader.optional_number(column, 1.0, 200.0, "percent");
    let [ltv_initial_pct, ltv_margin_call_pct, ltv_liquidation_pct] =
        ["ltv_initial_pct", "ltv_margin_call_pct", "ltv_liquidation_pct"].map(&mut percent);
    let rising = [ltv_initial_pct, ltv_margin_call_pct, ltv_liquidation_pct].into_iter().flatten().collect::<Vec<_>>();
    if rising.windows(2).any(|pair| pair[0] >= pair[1]) {
        reader.fault("ltv_margin_call_pct", "write ratios that rise from initial over margin call to liquidation");
    }
    Collateral { btc, ltv_initial_pct, ltv_margin_call_pct, ltv_liquidation_pct }
}

fn retirement(reader: &mut Reader, status: Option<InstrumentStatus>, issued: Option<RoughDate>) -> Option<Retirement> {
    let on = reader.optional_day("retired_on");
    let how = reader.optional_word("retired_how", RetiredHow::from_name, RetiredHow::NAMES);
    let is_retired = status == Some(InstrumentStatus::Retired);
    if is_retired != reader.has("retired_on") || is_retired != reader.has("retired_how") {
        reader.fault("retired_on", "write retired in status, the day and how it ended, or none of the three");
    }
    if let (Some(on), Some(issued)) = (on, issued)
        && on < issued.day
    {
        reader.fault("retired_on", format!("write a day that is not before issued_on, {}", issued.day));
    }
    Some(Retirement { on: on?, how: how? })
}

fn outstanding(reader: &mut Reader, published_at: Timestamp) -> Option<Outstanding> {
    let instrument_id = reader.slug("instrument_id");
    let observed_on = reader.day("observed_on");
    check_known(reader, "observed_on", observed_on, published_at);
    let outstanding_usd = reader.optional_money("outstanding_usd");
    let carrying_usd = reader.optional_money("carrying_usd");
    if !reader.has("outstanding_usd") && !reader.has("carrying_usd") {
        reader.fault("outstanding_usd", "write the principal, or the book value in carrying_usd");
    }
    let cause = reader.word("cause", Cause::from_name, Cause::NAMES);
    Some(Outstanding {
        instrument_id: instrument_id?,
        observed_on: observed_on?,
        outstanding_usd,
        carrying_usd,
        cause: cause?,
    })
}

fn debt_option(reader: &mut Reader) -> Option<DebtOption> {
    let instrument_id = reader.slug("instrument_id");
    let kind = reader.word("kind", OptionKind::from_name, OptionKind::NAMES);
    let on = reader.rough_date("on", "on_precision");
    let price_pct = reader.optional_number("price_pct", 50.0, 200.0, "percent of principal");
    let condition = reader.optional_word("condition", Condition::from_name, Condition::NAMES);
    Some(DebtOption { instrument_id: instrument_id?, kind: kind?, on: on?, price_pct, condition })
}

fn amortisation(reader: &mut Reader) -> Option<Amortisation> {
    let instrument_id = reader.slug("instrument_id");
    let due = reader.rough_date("due_on", "due_precision");
    let amount_usd = reader.money("amount_usd");
    Some(Amortisation { instrument_id: instrument_id?, due: due?, amount_usd: amount_usd? })
}

fn fundamental(reader: &mut Reader, published_at: Timestamp) -> Option<Fundamental> {
    let ticker = reader.ticker();
    let item = reader.word("item", Item::from_name, &ITEM_NAMES);
    let start = reader.optional_day("period_start");
    let end = reader.day("period_end");
    check_known(reader, "period_end", end, published_at);
    match (item.map(Item::kind), reader.has("period_start")) {
        (Some(ItemKind::Flow), false) => reader.fault("period_start", "write the first day of the period"),
        (Some(ItemKind::Balance), true) => reader.fault("period_start", "leave it empty: a balance has a day alone"),
        _ => {}
    }
    if let (Some(start), Some(end)) = (start, end) {
        check_period(reader, start, end);
    }
    let (low, high) = item.map_or((f64::MIN, f64::MAX), item_range);
    let value = reader.number("value", low, high, item.map_or("", Item::unit));
    Some(Fundamental { ticker: ticker?, item: item?, start, end: end?, value: value? })
}

/// The names of [`Item::ALL`].
static ITEM_NAMES: [&str; Item::ALL.len()] = {
    let mut names = [""; Item::ALL.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = Item::ALL[place].name();
        place += 1;
    }
    names
};

/// The least and the greatest value of an item that is believed, in its unit.
const fn item_range(item: Item) -> (f64, f64) {
    match item {
        Item::OperatingIncome
        | Item::BtcFairValueGain
        | Item::AdjustedEbitda
        | Item::NetIncome
        | Item::ContractedHpcMargin
        | Item::Impairment
        | Item::PowerCost => (-1e11, 1e11),
        Item::BtcMined | Item::BtcSold | Item::BtcHeld | Item::BtcPledged => (0.0, 1e6),
        Item::EnergizedHashrate | Item::OperatingHashrate => (0.0, 1_000.0),
        Item::FleetEfficiency => (5.0, 500.0),
        Item::PowerPrice => (-200.0, 1_000.0),
        Item::Uptime => (0.0, 100.0),
        Item::EnergizedPower => (0.0, 50_000.0),
        _ => (0.0, 1e12),
    }
}

fn revenue(reader: &mut Reader, published_at: Timestamp) -> Option<Revenue> {
    let ticker = reader.ticker();
    let line = reader.text("line");
    let start = reader.day("period_start");
    let end = reader.day("period_end");
    check_known(reader, "period_end", end, published_at);
    if let (Some(start), Some(end)) = (start, end) {
        check_period(reader, start, end);
    }
    let value_usd = reader.money("value_usd");
    Some(Revenue { ticker: ticker?, line: line?, start: start?, end: end?, value_usd: value_usd? })
}

fn revenue_line(reader: &mut Reader) -> Option<RevenueLine> {
    let ticker = reader.ticker();
    let line = reader.text("line");
    let kind = reader.word("kind", LineKind::from_name, LineKind::NAMES);
    Some(RevenueLine { ticker: ticker?, line: line?, kind: kind? })
}

fn site(reader: &mut Reader, published_at: Timestamp) -> Option<Site> {
    let site_id = reader.slug("site_id");
    let ticker = reader.ticker();
    let site = reader.text("site");
    let country = reader.text("country");
    if country.as_ref().is_some_and(|text| text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_uppercase())) {
        reader.fault("country", "write the country's two capital letters, like US");
    }
    let [state, county, grid] = ["state", "county", "grid"].map(|column| reader.optional_text(column));
    let mut megawatts = |column| reader.optional_number(column, 0.0, 10_000.0, "MW");
    let [gross_mw, critical_it_mw] = ["gross_mw", "critical_it_mw"].map(&mut megawatts);
    if let (Some(gross), Some(critical)) = (gross_mw, critical_it_mw)
        && critical > gross
    {
        reader.fault("critical_it_mw", format!("write a part of gross_mw, {gross} MW"));
    }
    let purpose = reader.word("purpose", SitePurpose::from_name, SitePurpose::NAMES);
    let status = reader.word("status", SiteStatus::from_name, SiteStatus::NAMES);
    let observed_on = reader.day("observed_on");
    check_known(reader, "observed_on", observed_on, published_at);
    Some(Site {
        site_id: site_id?,
        ticker: ticker?,
        site: site?,
        country: country?,
        state,
        county,
        grid,
        gross_mw,
        critical_it_mw,
        purpose: purpose?,
        status: status?,
        observed_on: observed_on?,
    })
}

fn industry_figure(reader: &mut Reader) -> Option<IndustryFigure> {
    let metric = reader.word("metric", IndustryMetric::from_name, IndustryMetric::NAMES);
    let start = reader.optional_day("period_start");
    let end = reader.day("period_end");
    let value = reader.number("value", 0.0, 1e12, "in the unit of its cell");
    let [unit, scope, publisher] = ["unit", "scope", "publisher"].map(|column| reader.text(column));
    let wanted = metric.map(IndustryMetric::unit);
    if let (Some(wanted), Some(unit)) = (wanted, &unit)
        && wanted != unit
    {
        reader.fault("unit", format!("write {wanted}, and the value in it"));
    }
    Some(IndustryFigure {
        metric: metric?,
        start,
        end: end?,
        value: value?,
        unit: unit?,
        scope: scope?,
        publisher: publisher?,
    })
}

impl IndustryMetric {
    /// The unit of its values.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::TotalDebt | Self::DebtIssued | Self::ConvertiblesIssued => "USD",
            Self::SoldShareLow | Self::SoldShareHigh => "share",
            Self::BtcSold | Self::BtcMined => "BTC",
            Self::Hashcost => "USD/PH/day",
            Self::CashCost | Self::TotalCost => "USD/BTC",
        }
    }
}

fn earnings_date(reader: &mut Reader) -> Option<EarningsDate> {
    let ticker = reader.ticker();
    let fiscal_period_end = reader.day("fiscal_period_end");
    let report_on = reader.day("report_on");
    if let (Some(end), Some(on)) = (fiscal_period_end, report_on)
        && on <= end
    {
        reader.fault("report_on", format!("write a day after fiscal_period_end, {end}"));
    }
    let certainty = reader.word("certainty", Certainty::from_name, Certainty::NAMES);
    Some(EarningsDate {
        ticker: ticker?,
        fiscal_period_end: fiscal_period_end?,
        report_on: report_on?,
        certainty: certainty?,
    })
}

/// The longest period that a company reports is 53 weeks, the shortest four.
fn check_period(reader: &mut Reader, start: Day, end: Day) {
    if !(27..=372).contains(&end.since(start)) {
        reader.fault(
            "period_end",
            format!("write the last day of a month, quarter, half or year that begins on {start}"),
        );
    }
}

/// Nobody knows a figure of a day before the day has begun.
fn check_known(reader: &mut Reader, column: &'static str, about: Option<Day>, published_at: Timestamp) {
    if let Some(about) = about
        && published_at < about.start()
    {
        reader.fault("known_at", format!("write a time that is not before {column}, {about}"));
    }
}

//! Six listed miners that do not exist, and what they file.
//!
//! Their books follow the world: a quarter's revenue is the hashprice of its days times what they hash, and power,
//! debt and coins move with it. Their stories hold what readers of filings must bear: fiscal years of all kinds, a
//! filer of half-years by IFRS, a report in the evening, a late one, one that is corrected, and one in which the
//! figure of the year before has silently become another.

use chrono::{Datelike as _, NaiveDate};

use super::chance::{Topic, share};
use super::world::World;
use crate::domain::filing::new_york::{instant, is_business_day, local_time, next_business_day};
use crate::domain::time::{Day, Span, Timestamp};

/// How an issuer reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporting {
    /// 10-Q and 10-K by US rules.
    Quarters,
    /// 6-K for the first half and 20-F for the year, by IFRS.
    Halves,
}

/// A made-up issuer as it stands at the begin of the world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Issuer {
    pub ticker: &'static str,
    pub name: &'static str,
    /// Of a range that no real filer has.
    pub cik: u64,
    /// Month with whose end the fiscal year ends, 1 to 12.
    pub year_ends_in: u32,
    pub reporting: Reporting,
    /// What it hashes.
    pub hashrate_eh_per_s: f64,
    /// By how much that grows in a quarter, as a share.
    pub growth: f64,
    pub efficiency_j_per_th: f64,
    pub power_usd_per_mwh: f64,
    pub cash_usd: f64,
    /// Principal of its loans and notes.
    pub debt_usd: f64,
    /// Interest on it, as a share in a year.
    pub interest: f64,
    pub btc_held: f64,
    pub shares: f64,
}

/// All of them.
pub const ISSUERS: [Issuer; 6] = [
    Issuer {
        ticker: "QORBX",
        name: "Qorbex Imaginary Mining Corp.",
        cik: 9_900_000_001,
        year_ends_in: 12,
        reporting: Reporting::Quarters,
        hashrate_eh_per_s: 22.0,
        growth: 0.05,
        efficiency_j_per_th: 19.5,
        power_usd_per_mwh: 42.0,
        cash_usd: 310e6,
        debt_usd: 420e6,
        interest: 0.0225,
        btc_held: 9_400.0,
        shares: 280e6,
    },
    Issuer {
        ticker: "MIRZA",
        name: "Mirza Make-Believe Digital Inc.",
        cik: 9_900_000_002,
        year_ends_in: 9,
        reporting: Reporting::Quarters,
        hashrate_eh_per_s: 14.0,
        growth: 0.07,
        efficiency_j_per_th: 18.1,
        power_usd_per_mwh: 51.0,
        cash_usd: 95e6,
        debt_usd: 60e6,
        interest: 0.085,
        btc_held: 5_100.0,
        shares: 240e6,
    },
    Issuer {
        ticker: "VOLTQ",
        name: "Voltaque Fictional Holdings Ltd.",
        cik: 9_900_000_003,
        year_ends_in: 6,
        reporting: Reporting::Quarters,
        hashrate_eh_per_s: 9.0,
        growth: 0.10,
        efficiency_j_per_th: 16.5,
        power_usd_per_mwh: 36.0,
        cash_usd: 140e6,
        debt_usd: 300e6,
        interest: 0.035,
        btc_held: 300.0,
        shares: 190e6,
    },
    Issuer {
        ticker: "ASHEN",
        name: "Ashen Pretend Compute Corp.",
        cik: 9_900_000_004,
        year_ends_in: 12,
        reporting: Reporting::Quarters,
        hashrate_eh_per_s: 6.5,
        growth: 0.03,
        efficiency_j_per_th: 24.0,
        power_usd_per_mwh: 58.0,
        cash_usd: 40e6,
        debt_usd: 85e6,
        interest: 0.115,
        btc_held: 850.0,
        shares: 130e6,
    },
    Issuer {
        ticker: "TUNDR",
        name: "Tundra Nowhere Mining N.V.",
        cik: 9_900_000_005,
        year_ends_in: 12,
        reporting: Reporting::Halves,
        hashrate_eh_per_s: 8.0,
        growth: 0.04,
        efficiency_j_per_th: 21.0,
        power_usd_per_mwh: 33.0,
        cash_usd: 120e6,
        debt_usd: 75e6,
        interest: 0.06,
        btc_held: 2_300.0,
        shares: 410e6,
    },
    Issuer {
        ticker: "KELPO",
        name: "Kelpo Unreal Energy Inc.",
        cik: 9_900_000_006,
        year_ends_in: 3,
        reporting: Reporting::Quarters,
        hashrate_eh_per_s: 3.2,
        growth: 0.0,
        efficiency_j_per_th: 29.0,
        power_usd_per_mwh: 66.0,
        cash_usd: 18e6,
        debt_usd: 110e6,
        interest: 0.13,
        btc_held: 40.0,
        shares: 75e6,
    },
];

/// Something that an issuer filed.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Such as `9900000001-31-000004`.
    pub accession: String,
    pub form: &'static str,
    pub accepted_at: Timestamp,
    pub filed_on: Day,
    pub report_on: Option<Day>,
    /// Items of an 8-K, separated by commas.
    pub items: &'static str,
    pub statements: Vec<Statement>,
}

/// A figure that a document tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// With its taxonomy.
    pub concept: &'static str,
    pub unit: &'static str,
    /// `None` for a balance.
    pub start: Option<Day>,
    pub end: Day,
    /// Whole units.
    pub value: f64,
}

/// One quarter of an issuer. Money is in USD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quarter {
    pub start: Day,
    pub end: Day,
    /// Of the fiscal year, 1 to 4.
    pub number: usize,
    pub revenue: f64,
    pub power: f64,
    pub depreciation: f64,
    pub stock_compensation: f64,
    pub operating_income: f64,
    pub fair_value_gain: f64,
    pub interest: f64,
    pub net_income: f64,
    pub capex: f64,
    pub cash: f64,
    pub debt: f64,
    pub btc_held: f64,
    pub shares: f64,
}

const HASHES_PER_EH: f64 = 1_000.0; // PH
/// What new machines cost, in USD per TH/s, and the quarters over which they are written off.
const MACHINE_USD_PER_TH: f64 = 16.0;
const LIFE_QUARTERS: f64 = 14.0;
/// Salaries and the like: a base, and a share of the revenue; the same in stock.
const OVERHEAD_USD: f64 = 4e6;
const OVERHEAD_SHARE: f64 = 0.08;
const STOCK_SHARE: f64 = 0.06;
/// The share of the days' hashes that machines really make.
const UPTIME: f64 = 0.94;
/// Below this, new shares are sold.
const LEAST_CASH_USD: f64 = 8e6;
const SHARE_PRICE_USD: f64 = 6.0;
/// The notes that one issuer sells, and in which of its quarters.
pub const NOTES_USD: f64 = 150e6;
const NOTES_QUARTER: usize = 6;

/// The quarters of an issuer that lie in the world as a whole, oldest first.
#[must_use]
pub fn quarters(world: &World, issuer: &Issuer) -> Vec<Quarter> {
    let mut found = Vec::new();
    let mut hashrate = issuer.hashrate_eh_per_s;
    let (mut cash, mut debt, mut shares) = (issuer.cash_usd, issuer.debt_usd, issuer.shares);
    for (start, end, number) in fiscal_quarters(world, issuer.year_ends_in) {
        let days: Vec<_> = (0..=end.since(start)).filter_map(|count| world.day(start.plus(count))).collect();
        let (Some(first), Some(last)) = (days.first(), days.last()) else { continue };
        let hashprice: f64 = days.iter().map(|day| day.hashprice_usd_per_ph_day()).sum();
        let revenue = whole(hashprice * hashrate * HASHES_PER_EH * UPTIME);
        let hours = f64::from(end.since(start) + 1) * 24.0;
        let megawatts = hashrate * issuer.efficiency_j_per_th; // EH/s * J/TH = MW
        let power = whole(megawatts * hours * UPTIME * issuer.power_usd_per_mwh);
        let depreciation = whole(hashrate * 1e6 * MACHINE_USD_PER_TH / LIFE_QUARTERS);
        let stock_compensation = whole(revenue * STOCK_SHARE);
        let overhead = whole(OVERHEAD_USD + revenue * OVERHEAD_SHARE);
        if issuer.ticker == "ASHEN" && found.len() == NOTES_QUARTER {
            (debt, cash) = (debt + NOTES_USD, cash + NOTES_USD);
        }
        let interest = whole(debt * issuer.interest / 4.0);
        let operating_income = revenue - power - depreciation - stock_compensation - overhead;
        let fair_value_gain = whole(issuer.btc_held * (last.price_usd - first.price_usd));
        let capex = whole(hashrate * 1e6 * issuer.growth * MACHINE_USD_PER_TH);
        cash += operating_income + depreciation + stock_compensation - interest - capex;
        if cash < LEAST_CASH_USD {
            let missing = whole(2.0 * LEAST_CASH_USD - cash);
            (cash, shares) = (cash + missing, shares + whole(missing / SHARE_PRICE_USD));
        }
        found.push(Quarter {
            start,
            end,
            number,
            revenue,
            power,
            depreciation,
            stock_compensation,
            operating_income,
            fair_value_gain,
            interest,
            net_income: operating_income + fair_value_gain - interest,
            capex,
            cash,
            debt,
            btc_held: issuer.btc_held,
            shares,
        });
        hashrate *= 1.0 + issuer.growth;
    }
    found
}

/// First and last days of the fiscal quarters that lie in the world, with their numbers.
fn fiscal_quarters(world: &World, year_ends_in: u32) -> Vec<(Day, Day, usize)> {
    let last = world.later_days.last().or(world.days.last()).map_or(world.anchor, |day| day.day);
    let ends_quarter = |day: &Day| {
        let date = date_of(*day);
        date_of(day.plus(1)).day() == 1 && (date.month() + 12 - year_ends_in).is_multiple_of(3)
    };
    let first = world.first_day().plus(-1);
    let ends: Vec<Day> = (0..=last.since(first)).map(|count| first.plus(count)).filter(ends_quarter).collect();
    let number = |end: Day| match (date_of(end).month() + 12 - year_ends_in) % 12 / 3 {
        0 => 4,
        quarter => quarter as usize,
    };
    ends.windows(2).map(|pair| (pair[0].plus(1), pair[1], number(pair[1]))).collect()
}

fn date_of(day: Day) -> NaiveDate {
    let epoch = NaiveDate::default();
    epoch.checked_add_signed(chrono::Duration::days(i64::from(day.epoch_days()))).unwrap_or(epoch)
}

fn whole(value: f64) -> f64 {
    value.round()
}

/// Everything that an issuer files, in the order of acceptance.
#[must_use]
pub fn documents(world: &World, issuer: &Issuer) -> Vec<Document> {
    let quarters = quarters(world, issuer);
    let story = Story { seed: world.seed, issuer, quarters: &quarters };
    let mut documents: Vec<Document> = (0..quarters.len()).flat_map(|place| story.of_quarter(place)).collect();
    documents.sort_by_key(|document| document.accepted_at);
    for (number, document) in (1..).zip(&mut documents) {
        let year = date_of(document.filed_on).year().rem_euclid(100);
        document.accession = format!("{:010}-{year:02}-{number:06}", issuer.cik);
    }
    documents
}

struct Story<'a> {
    seed: u64,
    issuer: &'a Issuer,
    quarters: &'a [Quarter],
}

/// After the exchanges close.
const AFTERNOON: Span = Span::HOUR.times(16).plus(Span::MINUTE.times(8));
/// Too late to be of the same day.
const EVENING: Span = Span::HOUR.times(18).plus(Span::MINUTE.times(22));
/// A quarter that is corrected or late: the first from here on with the right number.
const TOLD_FROM: usize = 6;

impl Story<'_> {
    fn of_quarter(&self, place: usize) -> Vec<Document> {
        let quarter = &self.quarters[place];
        let mut documents = match self.issuer.reporting {
            Reporting::Quarters => self.us_report(place),
            Reporting::Halves => self.foreign_report(place),
        };
        // Every year one in the evening, by which a reader knows the clock of the stamps.
        if quarter.number == 1 {
            let (form, items) = match self.issuer.reporting {
                Reporting::Quarters => ("8-K", "8.01"),
                Reporting::Halves => ("6-K", ""),
            };
            documents.push(self.document(form, quarter.start.plus(20), EVENING, None, items, Vec::new()));
        }
        documents
    }

    fn is_told(&self, place: usize, ticker: &str, number: usize) -> bool {
        let is_it = |quarter: &Quarter| quarter.number == number;
        let first = self.quarters.iter().skip(TOLD_FROM).position(is_it).map(|found| found + TOLD_FROM);
        self.issuer.ticker == ticker && first == Some(place)
    }

    fn us_report(&self, place: usize) -> Vec<Document> {
        let quarter = &self.quarters[place];
        let (form, lag) = if quarter.number == 4 { ("10-K", 58) } else { ("10-Q", 38) };
        let time = if self.issuer.ticker == "ASHEN" { EVENING } else { AFTERNOON };
        let mut documents = Vec::new();
        let is_late = self.is_told(place, "MIRZA", 1);
        let on = quarter.end.plus(if is_late { 55 } else { lag });
        if is_late {
            documents.push(self.document(
                "NT 10-Q",
                quarter.end.plus(46),
                AFTERNOON,
                Some(quarter.end),
                "",
                Vec::new(),
            ));
        }
        documents.push(self.document(
            "8-K",
            on,
            AFTERNOON.plus(Span::MINUTE.times(-4)),
            Some(on),
            "2.02,9.01",
            Vec::new(),
        ));
        documents.push(self.document(form, on, time, Some(quarter.end), "", self.statements(place)));
        if self.is_told(place, "VOLTQ", 3) {
            let mut corrected = self.statements(place);
            corrected.retain(|one| one.concept == self.interest_concept() && one.end == quarter.end);
            for one in &mut corrected {
                one.value = whole(one.value * 1.12);
            }
            documents.push(self.document("10-Q/A", on.plus(21), AFTERNOON, Some(quarter.end), "", corrected));
        }
        if self.issuer.ticker == "ASHEN" && place == NOTES_QUARTER {
            let on = quarter.start.plus(30);
            documents.push(self.document("8-K", on, AFTERNOON, Some(on), "1.01,2.03,9.01", Vec::new()));
        }
        documents
    }

    fn foreign_report(&self, place: usize) -> Vec<Document> {
        let quarter = &self.quarters[place];
        let (form, lag) = match quarter.number {
            2 => ("6-K", 70),
            4 => ("20-F", 110),
            _ => return Vec::new(),
        };
        let statements = self.foreign_statements(place);
        vec![self.document(form, quarter.end.plus(lag), AFTERNOON, Some(quarter.end), "", statements)]
    }

    fn document(
        &self,
        form: &'static str,
        on: Day,
        time: Span,
        report_on: Option<Day>,
        items: &'static str,
        statements: Vec<Statement>,
    ) -> Document {
        let on = if is_business_day(on) { on } else { next_business_day(on) };
        let number = u64::from(on.epoch_days().unsigned_abs()) * 1_000 + self.issuer.cik % 1_000;
        #[expect(clippy::cast_possible_truncation, reason = "a minute")]
        let second = (share(self.seed, Topic::Filing, number) * 60.0) as i64;
        let accepted_at = instant(on, time.plus(Span::SECOND.times(second)));
        let is_of_next_day = local_time(accepted_at).time > Span::HOUR.times(17).plus(Span::MINUTE.times(30));
        let filed_on = if is_of_next_day { next_business_day(on) } else { on };
        Document { accession: String::new(), form, accepted_at, filed_on, report_on, items, statements }
    }

    fn revenue_concept(&self, place: usize) -> &'static str {
        match self.issuer.ticker {
            "KELPO" if place < TOLD_FROM => "us-gaap:RevenueFromContractWithCustomerExcludingAssessedTax",
            _ => "us-gaap:Revenues",
        }
    }

    fn interest_concept(&self) -> &'static str {
        match self.issuer.ticker {
            "KELPO" => "us-gaap:InterestExpenseDebt",
            "QORBX" => "us-gaap:InterestExpenseNonoperating",
            _ => "us-gaap:InterestExpense",
        }
    }

    /// The quarters of the fiscal year up to one; `None` if the world does not hold its begin.
    fn year_to_date(&self, place: usize) -> Option<&[Quarter]> {
        let number = self.quarters.get(place)?.number;
        self.quarters.get((place + 1).checked_sub(number)?..=place)
    }

    /// What a 10-Q or 10-K states: the quarter and the year to date, those of the year before, and balances.
    fn statements(&self, place: usize) -> Vec<Statement> {
        let mut statements = self.flows(place, place);
        if let Some(before) = place.checked_sub(4) {
            let mut compared = self.flows(before, place);
            if self.is_told(place, "QORBX", 2) {
                let revenue = self.revenue_concept(place);
                let restated = compared.iter_mut().filter(|one| one.concept == revenue);
                restated.for_each(|one| one.value = whole(one.value * 0.97));
            }
            statements.extend(compared);
        }
        statements.extend(self.balances(place, self.quarters[place].end));
        let year_before = place.checked_sub(self.quarters[place].number);
        statements.extend(year_before.into_iter().flat_map(|end| self.balances(end, self.quarters[end].end)));
        // The first statement stands there twice, as it does in some answers.
        statements.extend(statements.first().cloned());
        statements
    }

    /// Flows of the quarter at `place`, in the words of the filing of the quarter at `told_in`.
    fn flows(&self, place: usize, told_in: usize) -> Vec<Statement> {
        type Value = fn(&Quarter) -> f64;
        let of_income: [(&'static str, Value); 5] = [
            (self.revenue_concept(told_in), |quarter| quarter.revenue),
            ("us-gaap:OperatingIncomeLoss", |quarter| quarter.operating_income),
            ("us-gaap:CryptoAssetRealizedAndUnrealizedGainLossOperating", |quarter| quarter.fair_value_gain),
            (self.interest_concept(), |quarter| quarter.interest),
            ("us-gaap:NetIncomeLoss", |quarter| quarter.net_income),
        ];
        let of_cash: [(&'static str, Value); 3] = [
            ("us-gaap:DepreciationDepletionAndAmortization", |quarter| quarter.depreciation),
            ("us-gaap:ShareBasedCompensation", |quarter| quarter.stock_compensation),
            ("us-gaap:PaymentsToAcquirePropertyPlantAndEquipment", |quarter| quarter.capex),
        ];
        let quarter = &self.quarters[place..=place];
        let mut statements = Vec::new();
        // A yearly report does not state its last quarter.
        if self.quarters[place].number < 4 {
            statements.extend(of_income.iter().filter_map(|(concept, value)| flow(concept, quarter, *value)));
        }
        // The first quarter is the year to date.
        let to_date = self.year_to_date(place);
        if let Some(to_date) = to_date.filter(|quarters| quarters.len() > 1) {
            statements.extend(of_income.iter().filter_map(|(concept, value)| flow(concept, to_date, *value)));
        }
        if let Some(to_date) = to_date {
            statements.extend(of_cash.iter().filter_map(|(concept, value)| flow(concept, to_date, *value)));
        }
        statements
    }

    fn balances(&self, place: usize, end: Day) -> Vec<Statement> {
        let quarter = &self.quarters[place];
        let balance = |concept, unit, value| Statement { concept, unit, start: None, end, value };
        vec![
            balance("us-gaap:CashAndCashEquivalentsAtCarryingValue", "USD", quarter.cash),
            balance("us-gaap:LongTermDebt", "USD", quarter.debt),
            balance("us-gaap:CryptoAssetNumberOfUnits", "Bitcoin", quarter.btc_held),
            balance("dei:EntityCommonStockSharesOutstanding", "shares", quarter.shares),
        ]
    }

    /// What a 6-K or 20-F states, also in another currency, which nobody may take for dollars.
    fn foreign_statements(&self, place: usize) -> Vec<Statement> {
        type Value = fn(&Quarter) -> f64;
        let quarter = &self.quarters[place];
        let flows: [(&'static str, Value); 6] = [
            ("ifrs-full:Revenue", |quarter| quarter.revenue),
            ("ifrs-full:ProfitLossFromOperatingActivities", |quarter| quarter.operating_income),
            ("ifrs-full:AdjustmentsForDepreciationAndAmortisationExpense", |quarter| quarter.depreciation),
            ("ifrs-full:AdjustmentsForSharebasedPayments", |quarter| quarter.stock_compensation),
            ("ifrs-full:FinanceCosts", |quarter| quarter.interest),
            ("ifrs-full:ProfitLoss", |quarter| quarter.net_income),
        ];
        let years = [Some(place), place.checked_sub(4)];
        let to_date = years.into_iter().flatten().filter_map(|place| self.year_to_date(place));
        let mut statements: Vec<Statement> = to_date
            .flat_map(|to_date| flows.iter().filter_map(move |(concept, value)| flow(concept, to_date, *value)))
            .collect();
        let abroad: Vec<Statement> =
            statements.iter().filter(|one| one.concept == "ifrs-full:Revenue").cloned().collect();
        statements.extend(abroad.into_iter().map(|one| Statement {
            unit: "EUR",
            value: whole(one.value * 0.9),
            ..one
        }));
        let balance = |concept, unit, value| Statement { concept, unit, start: None, end: quarter.end, value };
        statements.extend([
            balance("ifrs-full:CashAndCashEquivalents", "USD", quarter.cash),
            balance("ifrs-full:Borrowings", "USD", quarter.debt),
            balance("ifrs-full:NumberOfSharesOutstanding", "shares", quarter.shares),
        ]);
        statements
    }
}

/// The sum over quarters without a gap.
fn flow(concept: &'static str, quarters: &[Quarter], value: fn(&Quarter) -> f64) -> Option<Statement> {
    let (first, last) = (quarters.first()?, quarters.last()?);
    let value = quarters.iter().map(value).sum();
    Some(Statement { concept, unit: "USD", start: Some(first.start), end: last.end, value })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn world() -> World {
        World::generate(7, Day::parse("2031-03-01").unwrap())
    }

    fn issuer(ticker: &str) -> &'static Issuer {
        ISSUERS.iter().find(|issuer| issuer.ticker == ticker).unwrap()
    }

    #[test]
    fn fiscal_years_are_those_of_the_issuer() {
        let world = world();
        for issuer in &ISSUERS {
            let quarters = quarters(&world, issuer);
            assert!(quarters.len() >= 18, "{}: {}", issuer.ticker, quarters.len());
            for pair in quarters.windows(2) {
                assert_eq!(pair[0].end.plus(1), pair[1].start);
                assert_eq!(pair[0].number % 4 + 1, pair[1].number);
            }
            for last in quarters.iter().filter(|quarter| quarter.number == 4) {
                assert_eq!(date_of(last.end).month(), issuer.year_ends_in);
            }
        }
    }

    #[test]
    fn revenue_follows_hashprice() {
        let world = world();
        let quarter = quarters(&world, issuer("KELPO"))[3];
        let days = (0..=quarter.end.since(quarter.start)).map(|count| world.day(quarter.start.plus(count)).unwrap());
        let hashprice: f64 = days.map(crate::simulated::WorldDay::hashprice_usd_per_ph_day).sum();
        // 3.2 EH/s that do not grow, 94 % of the time.
        assert!((quarter.revenue / (hashprice * 3_200.0 * 0.94) - 1.0).abs() < 1e-6);
        assert!(quarter.cash > 0.0 && quarter.debt > 0.0);
    }

    #[test]
    fn the_stories_hold_what_readers_must_bear() {
        let world = world();
        let forms = |ticker: &str, form: &str| {
            documents(&world, issuer(ticker)).into_iter().filter(|document| document.form == form).collect::<Vec<_>>()
        };
        assert_eq!((forms("MIRZA", "NT 10-Q").len(), forms("VOLTQ", "10-Q/A").len()), (1, 1));
        assert!(forms("ASHEN", "8-K").iter().any(|document| document.items.contains("2.03")));
        assert!(forms("ASHEN", "10-Q").iter().all(|document| document.filed_on > local_time(document.accepted_at).day));
        assert!(forms("TUNDR", "20-F").len() >= 3 && forms("TUNDR", "10-Q").is_empty());
        let mut stated: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        let quarterly = forms("QORBX", "10-Q").into_iter().flat_map(|document| document.statements);
        for one in quarterly.filter(|one| one.concept == "us-gaap:Revenues") {
            stated.entry((one.start, one.end)).or_default().insert(one.value.to_string());
        }
        assert_eq!(stated.values().filter(|values| values.len() == 2).count(), 2, "a quarter and a half are restated");
    }

    #[test]
    fn accession_numbers_are_in_order_and_dates_are_business_days() {
        let world = world();
        for issuer in &ISSUERS {
            let documents = documents(&world, issuer);
            assert!(documents.windows(2).all(|pair| pair[0].accepted_at <= pair[1].accepted_at));
            assert!(
                documents.iter().all(|document| is_business_day(document.filed_on) && document.accession.len() == 20)
            );
            let ends = documents
                .iter()
                .flat_map(|document| document.statements.iter().map(|one| (one.end, document.filed_on)));
            assert!(ends.into_iter().all(|(end, filed_on)| end < filed_on));
        }
    }
}

//! The measures of one issuer on a day, as a view knows them: what it owes, earns, holds, and where it breaks.

use super::book::CreditView;
use super::debt::{Basis, Due, DueKind, LadderKind, Position, positions};
use super::figure::{Figure, Figures, Item};
use super::measure::{Evidence, Gathering, Measured, Priced, evidence_of_row};
use super::periods::trailing_year;
use super::revenue::Mix;
use super::word::{Purpose, Recourse};
use crate::domain::equities::Closes;
use crate::domain::indicators::credit::{
    Burn, Coverage, Earnings, Leverage, Operations, Runway, StressInputs, StressParts, conversion_shares, cushion,
    liquidity_usd, net_debt_after_btc_usd, price_at_ltv_usd, weighted_mean, years_between,
};
use crate::domain::indicators::mining_cost::{gross_margin, hashcost_usd_per_ph_day};
use crate::domain::observation::Moment;
use crate::domain::time::Day;

/// How far ahead the maturity wall looks.
pub const WALL_MONTHS: i32 = 24;
/// A share of debt that costs no cash interest above which coverage says little.
const NEAR_ZERO_COUPON_PCT: f64 = 1.0;
const PERCENT: f64 = 100.0;
const DAYS_OF_YEAR: f64 = 365.0;
const PH_OF_EH: f64 = 1_000.0;

/// What a client supposes in place of the market.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scenario {
    pub hashprice_usd_per_ph_day: Option<f64>,
    pub btc_price_usd: Option<f64>,
    pub power_usd_per_mwh: Option<f64>,
    /// Whether inputs that nobody reports may be assumed.
    pub may_assume: bool,
}

/// What the measures are made of.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    pub credit: &'a CreditView<'a>,
    pub figures: &'a Figures,
    pub moment: Moment,
    /// The day for which everything is said.
    pub day: Day,
    /// Realised hashprice, USD per PH/s and day.
    pub hashprice: Option<&'a Priced>,
    pub btc_price: Option<&'a Priced>,
    /// Closes of the issuer's share up to the day.
    pub closes: &'a Closes,
    pub scenario: Scenario,
}

/// One issuer.
#[derive(Debug)]
pub struct Miner<'a> {
    pub ticker: &'a str,
    pub material: Material<'a>,
    /// Everything that it owes.
    pub positions: Vec<Position<'a>>,
}

impl<'a> Miner<'a> {
    #[must_use]
    pub fn new(ticker: &'a str, material: Material<'a>) -> Self {
        let mut owed = positions(material.credit, material.day);
        owed.retain(|position| position.instrument.entry.ticker == ticker);
        Self { ticker, material, positions: owed }
    }

    fn gather(&self) -> Gathering {
        Gathering::new(self.material.day, self.material.scenario.may_assume)
    }

    fn newest(&self, item: Item) -> Option<&'a Figure> {
        self.material.figures.newest(self.ticker, item, self.material.moment, self.material.day)
    }

    /// The newest value of an item as a measure.
    #[must_use]
    pub fn reported(&self, item: Item) -> Measured {
        let mut gathering = self.gather();
        let value = gathering.figure(item.name(), self.newest(item));
        gathering.finish(item.unit(), value)
    }

    /// The newest twelve months of an item.
    fn year(&self, gathering: &mut Gathering, item: Item) -> Option<f64> {
        let versions: Vec<&Figure> = self.material.figures.versions(self.ticker, item, self.material.moment).collect();
        let year = trailing_year(&versions, self.material.day)?;
        Some(gathering.year(&year))
    }

    fn needed_year(&self, gathering: &mut Gathering, item: Item) -> Option<f64> {
        let year = self.year(gathering, item);
        if year.is_none() {
            gathering.lack(&format!("{}_ttm", item.name()));
        }
        year
    }

    /// Twelve months of an item that need not occur; 0 where nobody reports any, which is flagged.
    fn year_or_zero(&self, gathering: &mut Gathering, item: Item) -> f64 {
        let year = self.year(gathering, item);
        if year.is_none() {
            gathering.flag(format!("none_reported:{}", item.name()));
        }
        year.unwrap_or(0.0)
    }

    /// Principal of the positions that `counts`; a position of unknown principal makes it a lower bound.
    fn principal_where(&self, counts: impl Fn(&Position<'a>) -> bool) -> Measured {
        let mut gathering = self.gather();
        let mut sum = None;
        for position in self.positions.iter().filter(|position| counts(position)) {
            push_position(&mut gathering, position);
            match position.principal_usd {
                Some(principal) => sum = Some(sum.unwrap_or(0) + principal),
                None => gathering.flag(format!("unknown_amount:{}", position.instrument.entry.instrument_id)),
            }
        }
        let has_instruments = self.material.credit.instruments_of(self.ticker).next().is_some();
        if sum.is_none() && has_instruments && self.positions.iter().all(|position| !counts(position)) {
            sum = Some(0);
        }
        if sum.is_none() {
            gathering.lack("instruments");
        }
        gathering.finish("USD", sum.map(|sum| sum as f64))
    }

    /// Principal of everything that is owed.
    #[must_use]
    pub fn total_debt(&self) -> Measured {
        self.principal_where(|_| true)
    }

    /// The part that the parent owes or guarantees. An instrument of which nobody says is counted here.
    #[must_use]
    pub fn debt_recourse(&self) -> Measured {
        self.principal_where(|position| matches!(position.instrument.entry.recourse, None | Some(Recourse::Parent)))
    }

    /// The part that is ring-fenced for AI and HPC sites, paid for by tenants.
    #[must_use]
    pub fn debt_hpc_project(&self) -> Measured {
        self.principal_where(|position| {
            let terms = position.instrument.entry;
            terms.purpose == Some(Purpose::Hpc) && matches!(terms.recourse, Some(Recourse::None | Recourse::Limited))
        })
    }

    /// What the table of instruments explains of the debt that the company reports for the same day, and the
    /// amount that is missing (below 0: the table has more, since book values are net of issue costs).
    #[must_use]
    pub fn ladder_coverage(&self) -> (Measured, Option<f64>) {
        let mut gathering = self.gather();
        let Some(reported) = self.newest(Item::Debt) else {
            gathering.lack(Item::Debt.name());
            return (gathering.finish("ratio", None), None);
        };
        gathering.figure(Item::Debt.name(), Some(reported));
        let then: i64 = positions(self.material.credit, reported.end)
            .iter()
            .filter(|position| position.instrument.entry.ticker == self.ticker)
            .filter_map(|position| position.principal_usd)
            .sum();
        let missing = reported.value - then as f64;
        if reported.value <= 0.0 {
            return (gathering.refuse("ratio", "no_reported_debt"), Some(missing));
        }
        (gathering.finish("ratio", Some(then as f64 / reported.value)), Some(missing))
    }

    /// Cash interest of a year at current coupons. A position with an unknown coupon makes it null, or, where
    /// assuming is allowed, counts at the mean of the others.
    #[must_use]
    pub fn interest_run_rate(&self) -> Measured {
        let mut gathering = self.gather();
        let mean = self.mean_coupon_pct();
        let mut sum = 0.0;
        for position in &self.positions {
            push_position(&mut gathering, position);
            let name = format!("coupon:{}", position.instrument.entry.instrument_id);
            let Some(principal) = position.principal_usd else {
                gathering.lack(&name);
                continue;
            };
            let rate = position.cash_coupon_pct().or_else(|| gathering.assume(&name, mean?));
            sum += principal as f64 * rate.unwrap_or(0.0) / PERCENT;
            if rate.is_none() {
                gathering.lack(&name);
            }
        }
        if self.positions.is_empty() && self.material.credit.instruments_of(self.ticker).next().is_none() {
            gathering.lack("instruments");
        }
        let value = (!gathering.lacks()).then_some(sum);
        if mean.is_some_and(|mean| mean < NEAR_ZERO_COUPON_PCT) {
            gathering.flag("near_zero_coupon");
        }
        gathering.finish("USD/year", value)
    }

    /// Principal-weighted cash coupon of the positions of which it is known, percent a year.
    #[must_use]
    pub fn mean_coupon_pct(&self) -> Option<f64> {
        let known = self.positions.iter().filter_map(|p| Some((p.principal_usd? as f64, p.cash_coupon_pct()?)));
        weighted_mean(known)
    }

    /// Principal-weighted years to what is due, by a ladder.
    #[must_use]
    pub fn mean_years(&self, kind: LadderKind) -> Option<f64> {
        let dues = self.dues(kind);
        let dated = dues.iter().filter_map(|due| Some((due.amount_usd as f64, due.on?.day)));
        weighted_mean(dated.map(|(amount, on)| (amount, years_between(on.since(self.material.day)))))
    }

    /// Everything that is due, instrument by instrument.
    #[must_use]
    pub fn dues(&self, kind: LadderKind) -> Vec<Due> {
        self.positions.iter().flat_map(|p| p.dues(self.material.day, kind, self.material.closes)).collect()
    }

    /// What is due within so many months, puts included that a holder would use; what is past due counts. A loan
    /// of an unknown amount is flagged, and where nothing else is due the sum is unknown.
    #[must_use]
    pub fn due_within(&self, months: i32) -> Measured {
        let mut gathering = self.gather();
        let until = self.material.day.plus_months(months);
        let (mut sum, mut unknown) = (0, None);
        for position in &self.positions {
            let terms = position.instrument.entry;
            let name = &terms.instrument_id;
            if position.principal_usd.is_none() {
                gathering.flag(format!("unknown_amount:{name}"));
                let may_be_due = terms.maturity.is_none_or(|maturity| maturity.day <= until);
                unknown = unknown.or(may_be_due.then_some(name));
            }
            for due in position.dues(self.material.day, LadderKind::Rational, self.material.closes) {
                match due.on {
                    None => gathering.flag(format!("undated:{name}")),
                    Some(on) if on.day <= until => {
                        push_position(&mut gathering, position);
                        sum += due.amount_usd;
                    }
                    Some(_) => {}
                }
                let puts = position.puts(self.material.day, self.material.closes);
                if due.kind == DueKind::Put && puts.iter().any(|put| put.would_be_used.is_none()) {
                    gathering.flag(format!("put_without_share_price:{name}"));
                }
            }
        }
        if self.positions.is_empty() && self.material.credit.instruments_of(self.ticker).next().is_none() {
            gathering.lack("instruments");
            return gathering.finish("USD", None);
        }
        if let (0, Some(name)) = (sum, unknown) {
            gathering.lack(&format!("outstanding:{name}"));
            return gathering.finish("USD", None);
        }
        gathering.finish("USD", Some(sum as f64))
    }

    /// Bitcoin that is not pledged.
    fn unencumbered_btc(&self, gathering: &mut Gathering) -> Option<f64> {
        let held = gathering.figure(Item::BtcHeld.name(), self.newest(Item::BtcHeld))?;
        let pledged = gathering.figure_or_zero(Item::BtcPledged.name(), self.newest(Item::BtcPledged));
        Some((held - pledged).max(0.0))
    }

    /// The price of bitcoin, of the scenario or of the market.
    fn btc_price(&self, gathering: &mut Gathering) -> Option<f64> {
        match self.material.scenario.btc_price_usd {
            Some(price) => {
                gathering.push(supposed("btc_price_usd", price, "USD"));
                Some(price)
            }
            None => gathering.market("price_usd", "USD", self.material.btc_price),
        }
    }

    /// The hashprice: the scenario's; or the market's, moved along with a supposed price of bitcoin.
    fn hashprice(&self, gathering: &mut Gathering) -> Option<f64> {
        let scenario = self.material.scenario;
        if let Some(hashprice) = scenario.hashprice_usd_per_ph_day {
            gathering.push(supposed("hashprice_usd_per_ph_day", hashprice, "USD/PH/day"));
            return Some(hashprice);
        }
        let now = gathering.market("hashprice_usd_per_ph_day", "USD/PH/day", self.material.hashprice)?;
        let Some(supposed_price) = scenario.btc_price_usd else { return Some(now) };
        let price = gathering.market("price_usd", "USD", self.material.btc_price)?;
        gathering.push(supposed("btc_price_usd", supposed_price, "USD"));
        (price > 0.0).then(|| now * supposed_price / price)
    }

    /// Cash, 80 percent of unpledged bitcoin, undrawn lines.
    #[must_use]
    pub fn liquidity(&self) -> Measured {
        let mut gathering = self.gather();
        let cash = gathering.figure(Item::Cash.name(), self.newest(Item::Cash));
        let btc = self.unencumbered_btc(&mut gathering);
        let price = self.btc_price(&mut gathering);
        let undrawn = gathering.figure_or_zero(Item::UndrawnCommitted.name(), self.newest(Item::UndrawnCommitted));
        let value = cash.zip(btc).zip(price).map(|((cash, btc), price)| liquidity_usd(cash, btc, price, undrawn));
        gathering.finish("USD", value)
    }

    /// What is due within 24 months over liquidity.
    #[must_use]
    pub fn maturity_wall(&self) -> Measured {
        let mut gathering = self.gather();
        let due = gathering.measured("maturities_24m_usd", &self.due_within(WALL_MONTHS));
        let liquidity = gathering.measured("liquidity_usd", &self.liquidity());
        let value =
            due.zip(liquidity).filter(|(_, liquidity)| *liquidity > 0.0).map(|(due, liquidity)| due / liquidity);
        gathering.finish("ratio", value)
    }

    /// Debt less cash and 80 percent of unpledged bitcoin.
    #[must_use]
    pub fn net_debt_after_btc(&self) -> Measured {
        let mut gathering = self.gather();
        let debt = gathering.measured("total_debt_usd", &self.total_debt());
        let cash = gathering.figure(Item::Cash.name(), self.newest(Item::Cash));
        let btc = self.unencumbered_btc(&mut gathering);
        let price = self.btc_price(&mut gathering);
        let value = debt
            .zip(cash)
            .zip(btc.zip(price))
            .map(|((debt, cash), (btc, price))| net_debt_after_btc_usd(debt, cash, btc, price));
        gathering.finish("USD", value)
    }

    /// Twelve months of earnings before interest, tax, depreciation, stock compensation, impairments and the
    /// fair value of bitcoin. Without a line for fair value it is null for whoever holds bitcoin, since the gain
    /// may stand in operating income.
    #[must_use]
    pub fn ebitda_core_ttm(&self) -> Measured {
        let mut gathering = self.gather();
        let operating_income = self.needed_year(&mut gathering, Item::OperatingIncome);
        let depreciation = self.needed_year(&mut gathering, Item::Depreciation);
        let stock_compensation_usd = self.year_or_zero(&mut gathering, Item::StockCompensation);
        let impairment_usd = self.year_or_zero(&mut gathering, Item::Impairment);
        let gain = match self.year(&mut gathering, Item::BtcFairValueGain) {
            Some(gain) => Some(gain),
            None if self.newest(Item::BtcHeld).is_some_and(|held| held.value == 0.0) => Some(0.0),
            None => gathering.assume("btc_fair_value_gain_usd_ttm", 0.0),
        };
        let earnings = operating_income.zip(depreciation).zip(gain).map(|((operating, depreciation), gain)| Earnings {
            operating_income_usd: operating,
            depreciation_usd: depreciation,
            stock_compensation_usd,
            impairment_usd,
            btc_fair_value_gain_usd: gain,
        });
        gathering.finish("USD", earnings.map(|earnings| earnings.ebitda_core_usd()))
    }

    /// Gross interest of twelve months, expensed and capitalised.
    #[must_use]
    pub fn interest_ttm(&self) -> Measured {
        let mut gathering = self.gather();
        let expense = self.needed_year(&mut gathering, Item::InterestExpense);
        let capitalised = self.year_or_zero(&mut gathering, Item::CapitalisedInterest);
        gathering.finish("USD", expense.map(|expense| expense + capitalised))
    }

    /// Earnings over interest of the last twelve months; null with `no_interest` where there is none.
    #[must_use]
    pub fn interest_coverage_ttm(&self) -> (Measured, Option<Coverage>) {
        let mut gathering = self.gather();
        let ebitda = gathering.measured("ebitda_core_ttm_usd", &self.ebitda_core_ttm());
        let interest = gathering.measured("interest_expense_ttm_usd", &self.interest_ttm());
        let coverage = ebitda.zip(interest).map(|(ebitda, interest)| Coverage::of(ebitda, interest));
        (finish_coverage(gathering, coverage), coverage)
    }

    /// Net debt over earnings of twelve months; null with `net_cash` or `neg_ebitda` where that says it better.
    #[must_use]
    pub fn leverage_after_btc(&self) -> (Measured, Option<Leverage>) {
        let mut gathering = self.gather();
        let net_debt = gathering.measured("net_debt_after_btc_usd", &self.net_debt_after_btc());
        if net_debt.is_some_and(|net_debt| net_debt <= 0.0) {
            return (gathering.refuse("x", "net_cash"), Some(Leverage::NetCash));
        }
        let ebitda = gathering.measured("ebitda_core_ttm_usd", &self.ebitda_core_ttm());
        let leverage = net_debt.zip(ebitda).map(|(net_debt, ebitda)| Leverage::of(net_debt, ebitda));
        let measured = match leverage {
            Some(Leverage::NegativeEbitda) => gathering.refuse("x", "neg_ebitda"),
            Some(Leverage::NetCash) => gathering.refuse("x", "net_cash"),
            Some(Leverage::Times(times)) => gathering.finish("x", Some(times)),
            None => gathering.finish("x", None),
        };
        (measured, leverage)
    }

    /// Cost of power for a PH/s and day by the company's efficiency and power price, or the scenario's.
    #[must_use]
    pub fn hashcost(&self) -> Measured {
        let mut gathering = self.gather();
        let efficiency = gathering.figure(Item::FleetEfficiency.name(), self.newest(Item::FleetEfficiency));
        let power = match self.material.scenario.power_usd_per_mwh {
            Some(power) => {
                gathering.push(supposed("power_usd_per_mwh", power, "USD/MWh"));
                Some(power)
            }
            None => gathering.figure(Item::PowerPrice.name(), self.newest(Item::PowerPrice)),
        };
        let value = efficiency.zip(power).and_then(|(e, power)| hashcost_usd_per_ph_day(e, power).ok());
        gathering.finish("USD/PH/day", value)
    }

    /// Gross margin of mining at the hashprice, as a share of revenue.
    #[must_use]
    pub fn mining_margin(&self) -> Measured {
        let mut gathering = self.gather();
        let cost = gathering.measured("hashcost_usd_per_ph_day", &self.hashcost());
        let hashprice = self.hashprice(&mut gathering);
        let value = cost.zip(hashprice).and_then(|(cost, hashprice)| gross_margin(hashprice, cost).ok());
        gathering.finish("share", value)
    }

    fn operations(&self, gathering: &mut Gathering) -> Option<Operations> {
        let energized = gathering.figure(Item::EnergizedHashrate.name(), self.newest(Item::EnergizedHashrate));
        let uptime = self.uptime(gathering);
        let hashcost = gathering.measured("hashcost_usd_per_ph_day", &self.hashcost());
        let hpc = self.hpc_margin(gathering);
        let sga = self.cash_sga(gathering);
        Some(Operations {
            energized_eh_per_s: energized?,
            uptime: uptime?,
            hashcost_usd_per_ph_day: hashcost?,
            contracted_hpc_margin_usd_per_year: hpc?,
            cash_sga_usd_per_year: sga?,
        })
    }

    /// As reported, or average operating over energized hashrate.
    fn uptime(&self, gathering: &mut Gathering) -> Option<f64> {
        if let Some(uptime) = self.newest(Item::Uptime) {
            return gathering.figure(Item::Uptime.name(), Some(uptime)).map(|percent| percent / PERCENT);
        }
        let operating = self.newest(Item::OperatingHashrate).filter(|figure| figure.start.is_some());
        let energized = self.newest(Item::EnergizedHashrate).filter(|figure| figure.value > 0.0);
        match operating.zip(energized) {
            Some((operating, energized)) if operating.end == energized.end && operating.value <= energized.value => {
                gathering.figure(Item::OperatingHashrate.name(), Some(operating)).map(|eh| eh / energized.value)
            }
            _ => gathering.assume(Item::Uptime.name(), 1.0),
        }
    }

    /// Contracted; 0 for whoever reports no such revenue.
    fn hpc_margin(&self, gathering: &mut Gathering) -> Option<f64> {
        if let Some(margin) = self.newest(Item::ContractedHpcMargin) {
            return gathering.figure(Item::ContractedHpcMargin.name(), Some(margin));
        }
        let mix = Mix::of(self.material.credit, self.material.figures, self.ticker, self.material.moment);
        match mix.newest(self.material.day) {
            Some(quarter) if quarter.hpc_usd == 0 => Some(0.0),
            _ => gathering.assume(Item::ContractedHpcMargin.name(), 0.0),
        }
    }

    fn cash_sga(&self, gathering: &mut Gathering) -> Option<f64> {
        self.year(gathering, Item::CashSga).or_else(|| gathering.assume("cash_sga_usd_ttm", 0.0))
    }

    /// Earnings of a year at the hashprice over a year's interest at current coupons.
    #[must_use]
    pub fn coverage_at_scenario(&self) -> Measured {
        let mut gathering = self.gather();
        let operations = self.operations(&mut gathering);
        let hashprice = self.hashprice(&mut gathering);
        let interest = gathering.measured("interest_run_rate_usd", &self.interest_run_rate());
        let coverage = operations
            .zip(hashprice)
            .zip(interest)
            .map(|((operations, h), interest)| Coverage::of(operations.ebitda_usd_per_year(h), interest));
        finish_coverage(gathering, coverage)
    }

    /// The hashprice at which a year's earnings pay a year's interest once.
    #[must_use]
    pub fn hashprice_at_1x_coverage(&self) -> Measured {
        let mut gathering = self.gather();
        let operations = self.operations(&mut gathering);
        let interest = gathering.measured("interest_run_rate_usd", &self.interest_run_rate());
        if interest == Some(0.0) {
            return gathering.refuse("USD/PH/day", "no_interest");
        }
        let value = operations.zip(interest).and_then(|(operations, interest)| operations.hashprice_for(interest).ok());
        gathering.finish("USD/PH/day", value)
    }

    /// The hashprice at which nothing is left before interest: what coupons near zero cannot hide.
    #[must_use]
    pub fn hashprice_at_zero_ebitda(&self) -> Measured {
        let mut gathering = self.gather();
        let operations = self.operations(&mut gathering);
        gathering.finish("USD/PH/day", operations.and_then(|operations| operations.hashprice_for(0.0).ok()))
    }

    /// How far the hashprice is above that at which interest is covered once.
    #[must_use]
    pub fn cushion(&self) -> Measured {
        let mut gathering = self.gather();
        let level = gathering.measured("hashprice_at_1x_coverage_usd_per_ph_day", &self.hashprice_at_1x_coverage());
        let hashprice = self.hashprice(&mut gathering);
        if level.is_some_and(|level| level <= 0.0) {
            return gathering.refuse("share", "never_below");
        }
        let value = hashprice.zip(level).and_then(|(hashprice, level)| cushion(hashprice, level).ok());
        gathering.finish("share", value)
    }

    /// Months that liquidity lasts; null with `self_funding` where nothing is burnt.
    #[must_use]
    pub fn liquidity_runway(&self) -> (Measured, Option<Runway>) {
        let mut gathering = self.gather();
        let liquidity = gathering.measured("liquidity_usd", &self.liquidity());
        let burn = self.burn(&mut gathering);
        let runway = liquidity.zip(burn).map(|(liquidity, burn)| Runway::of(liquidity, burn.usd_per_month()));
        let measured = match runway {
            Some(Runway::SelfFunding) => gathering.refuse("months", "self_funding"),
            Some(Runway::Months(months)) => gathering.finish("months", Some(months)),
            None => gathering.finish("months", None),
        };
        (measured, runway)
    }

    fn burn(&self, gathering: &mut Gathering) -> Option<Burn> {
        let interest = gathering.measured("interest_run_rate_usd", &self.interest_run_rate());
        let sga = self.cash_sga(gathering);
        let capex = match self.newest(Item::CommittedCapex) {
            Some(capex) => gathering.figure(Item::CommittedCapex.name(), Some(capex)),
            None => gathering.assume(Item::CommittedCapex.name(), 0.0),
        };
        let power = self.year(gathering, Item::PowerCost).or_else(|| self.power_by_fleet(gathering));
        let revenue = self.needed_year(gathering, Item::Revenue);
        Some(Burn {
            interest_usd_per_year: interest?,
            cash_sga_usd_per_year: sga?,
            committed_capex_usd_per_year: capex?,
            power_usd_per_year: power?,
            revenue_usd_per_year: revenue?,
        })
    }

    /// A year's power by hashrate and hashcost, where no bill is reported.
    fn power_by_fleet(&self, gathering: &mut Gathering) -> Option<f64> {
        let energized = gathering.figure(Item::EnergizedHashrate.name(), self.newest(Item::EnergizedHashrate))?;
        let uptime = self.uptime(gathering)?;
        let hashcost = gathering.measured("hashcost_usd_per_ph_day", &self.hashcost())?;
        Some(energized * PH_OF_EH * uptime * hashcost * DAYS_OF_YEAR)
    }

    /// The highest bitcoin price at which a loan calls for margin.
    #[must_use]
    pub fn margin_call_price(&self) -> Measured {
        let mut gathering = self.gather();
        let mut highest: Option<f64> = None;
        for position in &self.positions {
            let collateral = position.instrument.entry.collateral;
            let (Some(principal), Some(btc), Some(ltv)) =
                (position.principal_usd, collateral.btc, collateral.ltv_margin_call_pct)
            else {
                continue;
            };
            push_position(&mut gathering, position);
            if let Ok(price) = price_at_ltv_usd(principal as f64, btc, ltv) {
                highest = Some(highest.map_or(price, |highest| highest.max(price)));
            }
        }
        if highest.is_none() {
            gathering.lack("bitcoin_backed_loan_terms");
        }
        gathering.finish("USD", highest)
    }

    /// Shares of all converts over shares outstanding, and the part of converts that are out of the money.
    #[must_use]
    pub fn convert_overhang(&self) -> (Measured, Option<f64>) {
        let mut gathering = self.gather();
        let stated = self.newest(Item::SharesOutstanding);
        let since_split =
            stated.map_or(1.0, |figure| self.material.closes.shares_for_each(figure.end, self.material.day));
        let shares = gathering.figure(Item::SharesOutstanding.name(), stated).map(|shares| shares * since_split);
        let (mut all, mut out_of_the_money) = (0.0, 0.0);
        for position in &self.positions {
            let terms = position.instrument.entry;
            if !terms.kind.is_convertible() {
                continue;
            }
            push_position(&mut gathering, position);
            let rate = position.conversion_rate(self.material.day, self.material.closes);
            let Some((principal, rate)) = position.principal_usd.zip(rate) else {
                gathering.flag(format!("unknown_conversion:{}", terms.instrument_id));
                continue;
            };
            let into = conversion_shares(principal as f64, rate);
            all += into;
            // Without a share price a note counts as what it is worse for: one that must be repaid.
            if position.moneyness(self.material.closes).is_none_or(|money| money < 0.0) {
                out_of_the_money += into;
            }
        }
        let over = |into: f64| shares.filter(|shares| *shares > 0.0).map(|shares| into / shares);
        let overhang = over(all);
        let out_of_the_money = over(out_of_the_money);
        (gathering.finish("ratio", overhang), out_of_the_money)
    }

    /// The stress score with its parts.
    #[must_use]
    pub fn stress(&self) -> (Measured, StressParts) {
        let mut gathering = self.gather();
        let (coverage, class) = self.interest_coverage_ttm();
        let (leverage, leverage_class) = self.leverage_after_btc();
        let (runway, runway_class) = self.liquidity_runway();
        let (overhang, out_of_the_money) = self.convert_overhang();
        let (wall, margin) = (self.maturity_wall(), self.mining_margin());
        for measured in [&coverage, &leverage, &runway, &overhang, &wall, &margin] {
            measured.evidence.iter().for_each(|evidence| gathering.push_standing(evidence.clone()));
            measured.flags.iter().for_each(|flag| gathering.flag(flag.clone()));
        }
        let parts = StressParts::of(&StressInputs {
            coverage: class,
            leverage: leverage_class,
            runway: runway_class,
            wall: wall.value,
            margin: margin.value,
            overhang: out_of_the_money,
        });
        match parts.score() {
            Ok(score) => (gathering.finish("score", Some(score)), parts),
            Err(_) => (gathering.refuse("score", "coverage below 60 %"), parts),
        }
    }
}

fn finish_coverage(mut gathering: Gathering, coverage: Option<Coverage>) -> Measured {
    match coverage {
        Some(Coverage::NoInterest) => gathering.refuse("x", "no_interest"),
        Some(Coverage::NotCovered(times)) => {
            gathering.flag("not_covered");
            gathering.finish("x", Some(times))
        }
        Some(Coverage::Times(times)) => gathering.finish("x", Some(times)),
        None => gathering.finish("x", None),
    }
}

fn supposed(what: &str, value: f64, unit: &'static str) -> Evidence {
    Evidence {
        what: what.to_owned(),
        value: Some(value),
        unit,
        observed_on: None,
        known_at: None,
        source: "scenario".to_owned(),
        accession: None,
        url: None,
    }
}

fn push_position(gathering: &mut Gathering, position: &Position<'_>) {
    let terms = position.instrument.entry;
    let value = position.principal_usd.map(|principal| principal as f64);
    let evidence = match position.basis {
        Basis::Reported(known) => {
            evidence_of_row(&terms.instrument_id, value, "USD", Some(known.entry.observed_on), known)
        }
        Basis::Carrying(known) => {
            gathering.flag(format!("carrying:{}", terms.instrument_id));
            evidence_of_row(&terms.instrument_id, value, "USD", Some(known.entry.observed_on), known)
        }
        Basis::AtIssue => {
            evidence_of_row(&terms.instrument_id, value, "USD", position.observed_on, position.instrument)
        }
    };
    gathering.push_standing(evidence);
}

//! What the made-up issuers owe, as rows of the tables of facts: what filings that machines read do not say.

use super::issuers::{ISSUERS, Issuer};
use crate::domain::credit::cells::Cells;
use crate::domain::credit::row::{CreditRow, Table};
use crate::domain::facts::Fact;
use crate::domain::time::{Day, Timestamp};

const SOURCE: &str = "https://simulated.invalid/debt";
const NOTE: &str = "made up, like everything in this database";
/// Reports come so many days after their quarter.
const REPORTED_AFTER_DAYS: i32 = 40;
/// Of the time that machines run.
const UPTIME_PCT: &str = "93";

/// A part of an issuer's debt.
struct Part {
    ticker: &'static str,
    suffix: &'static str,
    title: &'static str,
    kind: &'static str,
    /// Of all that the issuer owes.
    share: f64,
    coupon_pct: &'static str,
    /// Months from the present of the world.
    matures_in_months: i32,
    /// Months from the present of the world at which holders may sell back.
    put_in_months: Option<i32>,
    /// For each 1,000 USD.
    conversion_rate: Option<&'static str>,
    /// Bitcoin in the hands of the lender.
    collateral_btc: Option<&'static str>,
}

/// A note that turns into shares.
const fn convert(
    ticker: &'static str,
    suffix: &'static str,
    title: &'static str,
    coupon_pct: &'static str,
    rate: &'static str,
    (matures_in_months, put_in_months): (i32, Option<i32>),
) -> Part {
    let conversion_rate = Some(rate);
    Part {
        ticker,
        suffix,
        title,
        kind: "convertible",
        share: 1.0,
        coupon_pct,
        matures_in_months,
        put_in_months,
        conversion_rate,
        collateral_btc: None,
    }
}

/// A loan.
const fn loan(
    ticker: &'static str,
    suffix: &'static str,
    title: &'static str,
    kind: &'static str,
    coupon_pct: &'static str,
    matures_in_months: i32,
) -> Part {
    Part {
        ticker,
        suffix,
        title,
        kind,
        share: 1.0,
        coupon_pct,
        matures_in_months,
        put_in_months: None,
        conversion_rate: None,
        collateral_btc: None,
    }
}

/// Everything that they owe.
const PARTS: [Part; 8] = [
    Part {
        share: 0.75,
        ..convert("QORBX", "converts", "0.00% convertible senior notes", "0", "38.46", (54, Some(14)))
    },
    Part { share: 0.25, ..loan("QORBX", "term", "Term loan", "term_loan", "9.0", 20) },
    Part {
        collateral_btc: Some("1400"),
        ..loan("MIRZA", "bitcoin", "Bitcoin-backed loan", "bitcoin_backed_loan", "8.5", 9)
    },
    convert("VOLTQ", "converts", "3.50% convertible senior notes", "3.5", "71.43", (66, Some(30))),
    loan("ASHEN", "notes", "11.50% senior notes", "senior_notes", "11.5", 16),
    loan("TUNDR", "equipment", "Equipment financing", "equipment_loan", "6.0", 28),
    Part { share: 0.6, ..loan("KELPO", "secured", "13.00% secured notes", "senior_secured_notes", "13.0", 7) },
    Part { share: 0.4, ..loan("KELPO", "bridge", "Bridge loan", "bridge_loan", "13.0", 4) },
];

/// Issuers, instruments, puts and the figures of operation, of a world from `first` to `present`.
#[must_use]
pub fn facts(first: Day, present: Day) -> Vec<Fact> {
    let mut rows = Rows { first, rows: Vec::new() };
    for issuer in &ISSUERS {
        rows.issuer(issuer);
        rows.operations(issuer, present);
    }
    for part in &PARTS {
        if let Some(issuer) = ISSUERS.iter().find(|issuer| issuer.ticker == part.ticker) {
            rows.part(part, issuer, present);
        }
    }
    rows.rows
}

/// Rows that are written down.
struct Rows {
    first: Day,
    rows: Vec<Fact>,
}

impl Rows {
    fn push(&mut self, table: Table, published_at: Timestamp, cells: &[(&'static str, &str)]) {
        let filled = cells.iter().chain(&[("source", SOURCE), ("note", NOTE)]).filter(|(_, cell)| !cell.is_empty());
        let cells: Cells = filled.map(|(column, cell)| (*column, (*cell).to_owned())).collect();
        // A test reads every row.
        self.rows.extend(CreditRow::new(table, cells, published_at).ok().map(Fact::Credit));
    }

    fn issuer(&mut self, issuer: &Issuer) {
        let last_day = Day::parse(&format!("2023-{:02}-01", issuer.year_ends_in))
            .map_or_else(|_| "12-31".to_owned(), |day| day.plus_months(1).plus(-1).to_string()[5..].to_owned());
        let kind = match issuer.reporting {
            super::issuers::Reporting::Quarters => "domestic",
            super::issuers::Reporting::Halves => "form_20f",
        };
        let cells = [
            ("ticker", issuer.ticker),
            ("name", issuer.name),
            ("cik", &issuer.cik.to_string()),
            ("filer_kind", kind),
            ("fiscal_year_end", &last_day),
            ("status", "listed"),
            ("industry", "miner"),
        ];
        self.push(Table::Issuers, self.first.start(), &cells);
    }

    /// What each quarter's report says of machines and costs.
    fn operations(&mut self, issuer: &Issuer, present: Day) {
        let mut start = first_of_quarter(self.first);
        let mut hashrate = issuer.hashrate_eh_per_s;
        loop {
            let end = start.plus_months(3).plus(-1);
            let published = end.plus(REPORTED_AFTER_DAYS).end();
            if published > present.start() {
                return;
            }
            hashrate *= 1.0 + issuer.growth;
            let (start_text, end_text) = (start.to_string(), end.to_string());
            let sga = (issuer.hashrate_eh_per_s * 450_000.0).to_string();
            for (item, begins, value) in [
                ("energized_hashrate_eh_per_s", "", format!("{hashrate:.2}")),
                ("fleet_efficiency_j_per_th", "", issuer.efficiency_j_per_th.to_string()),
                ("power_cost_usd_per_mwh", "", issuer.power_usd_per_mwh.to_string()),
                ("uptime_pct", "", UPTIME_PCT.to_owned()),
                ("contracted_hpc_margin_usd_per_year", "", "0".to_owned()),
                ("committed_capex_usd", "", "0".to_owned()),
                ("cash_sga_usd", start_text.as_str(), sga),
            ] {
                let cells = [
                    ("ticker", issuer.ticker),
                    ("item", item),
                    ("period_start", begins),
                    ("period_end", &end_text),
                    ("value", &value),
                ];
                self.push(Table::Fundamentals, published, &cells);
            }
            start = end.plus(1);
        }
    }

    fn part(&mut self, part: &Part, issuer: &Issuer, present: Day) {
        let id = format!("{}-{}", part.ticker.to_ascii_lowercase(), part.suffix);
        #[expect(clippy::cast_possible_truncation, reason = "whole dollars below 1e9")]
        let principal = ((issuer.debt_usd * part.share) as i64).to_string();
        let has_collateral = part.collateral_btc.is_some();
        let of_collateral = |text: &'static str| if has_collateral { text } else { "" };
        let cells = [
            ("instrument_id", id.as_str()),
            ("ticker", part.ticker),
            ("title", part.title),
            ("kind", part.kind),
            ("obligor", issuer.name),
            ("recourse", "parent"),
            ("purpose", "mining"),
            ("security", if has_collateral { "bitcoin" } else { "" }),
            ("principal_usd", &principal),
            ("issued_on", &self.first.to_string()),
            ("issued_precision", "day"),
            ("maturity_on", &present.plus_months(part.matures_in_months).to_string()),
            ("maturity_precision", "day"),
            ("coupon_kind", "fixed"),
            ("coupon_pct", part.coupon_pct),
            ("interest_paid", "cash"),
            ("conversion_rate_per_1000", part.conversion_rate.unwrap_or_default()),
            ("collateral_btc", part.collateral_btc.unwrap_or_default()),
            ("ltv_initial_pct", of_collateral("50")),
            ("ltv_margin_call_pct", of_collateral("65")),
            ("ltv_liquidation_pct", of_collateral("80")),
            ("status", "outstanding"),
            ("verification", "verified"),
        ];
        self.push(Table::Instruments, self.first.start(), &cells);
        if let Some(months) = part.put_in_months {
            let on = present.plus_months(months).to_string();
            let cells = [
                ("instrument_id", id.as_str()),
                ("kind", "put"),
                ("on", &on),
                ("on_precision", "day"),
                ("price_pct", "100"),
            ];
            self.push(Table::DebtOptions, self.first.start(), &cells);
        }
    }
}

fn first_of_quarter(day: Day) -> Day {
    let (_, month, of_month) = day.calendar();
    let back = i32::try_from((month - 1) % 3).unwrap_or(0);
    day.plus(1 - i32::try_from(of_month).unwrap_or(1)).plus_months(-back)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_a_row() {
        let day = |text: &str| Day::parse(text).unwrap();
        let facts = facts(day("2024-02-10"), day("2026-06-01"));
        // Quarters from that to 2024-03-31 on, the last of which was reported 40 days after 2026-03-31.
        let (issuers, parts, puts, quarters, items) = (6, 8, 2, 9, 7);
        assert_eq!(facts.len(), issuers + parts + puts + issuers * quarters * items);
        for issuer in &ISSUERS {
            let share: f64 = PARTS.iter().filter(|part| part.ticker == issuer.ticker).map(|part| part.share).sum();
            assert!((share - 1.0).abs() < 1e-12, "{}", issuer.ticker);
        }
    }
}

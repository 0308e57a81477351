//! What an issuer owes on a day, and when it is due.

use super::book::{CreditView, Known};
use super::row::{Amortisation, DebtOption, Instrument, Outstanding};
use super::word::{Cause, Condition, InstrumentKind, InstrumentStatus, InterestPaid, OptionKind};
use crate::domain::facts::RoughDate;
use crate::domain::indicators::credit::{moneyness, would_put};
use crate::domain::time::{Day, Timestamp};

/// By what the principal of a position is known.
#[derive(Debug, Clone, Copy)]
pub enum Basis<'b> {
    /// A balance that somebody reported.
    Reported(Known<'b, Outstanding>),
    /// Only the book value was reported; it stands in.
    Carrying(Known<'b, Outstanding>),
    /// No balance was found since the issue: all of it.
    AtIssue,
}

/// An instrument of which something is owed on a day.
#[derive(Debug, Clone)]
pub struct Position<'b> {
    pub instrument: Known<'b, Instrument>,
    /// Principal in USD; `None` where no source says.
    pub principal_usd: Option<i64>,
    /// Book value, of the day of the last balance.
    pub carrying_usd: Option<i64>,
    pub basis: Basis<'b>,
    /// The day on which the principal was observed.
    pub observed_on: Option<Day>,
    /// When all of it was known.
    pub known_at: Timestamp,
    amortisation: &'b [Known<'b, Amortisation>],
    options: &'b [Known<'b, DebtOption>],
}

/// Which dates count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LadderKind {
    /// Maturities as stated.
    Stated,
    /// The earliest put of each holder.
    AllPuts,
    /// A put where a holder would use it.
    Rational,
}

impl LadderKind {
    pub const NAMES: [&'static str; 3] = ["stated", "all_puts", "rational"];

    /// The kind of a name among [`LadderKind::NAMES`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "stated" => Self::Stated,
            "all_puts" => Self::AllPuts,
            _ => Self::Rational,
        }
    }
}

/// Why an amount is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DueKind {
    Amortisation,
    Put,
    Maturity,
}

/// An amount that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// `None` where no source says when.
    pub on: Option<RoughDate>,
    pub kind: DueKind,
    pub amount_usd: i64,
}

/// A put of a holder that lies ahead, and whether it would be used.
#[derive(Debug, Clone, Copy)]
pub struct Put<'b> {
    pub option: Known<'b, DebtOption>,
    /// `None` without a share price or a conversion price: then it counts, and nobody knows.
    pub would_be_used: Option<bool>,
}

/// Everything owed on `day` as a view knows it, by instrument.
#[must_use]
pub fn positions<'b>(view: &'b CreditView<'b>, day: Day) -> Vec<Position<'b>> {
    view.instruments().filter_map(|instrument| position(view, instrument, day)).collect()
}

/// What is owed of an instrument on a day; `None` if nothing is: not issued yet, or over, or a line that is
/// not drawn.
#[must_use]
pub fn position<'b>(view: &'b CreditView<'b>, instrument: Known<'b, Instrument>, day: Day) -> Option<Position<'b>> {
    let terms = instrument.entry;
    let is_over = terms.retired.is_some_and(|retired| retired.on <= day);
    let is_ahead = terms.issued.is_some_and(|issued| issued.day > day);
    if is_over || is_ahead || terms.status == InstrumentStatus::Announced {
        return None;
    }
    let balances = view.outstanding(&terms.instrument_id);
    let last = balances.iter().rev().find(|known| known.entry.observed_on <= day).copied();
    let (basis, stated) = match last {
        None if is_line(terms.kind) => return None, // what may be drawn is not owed
        None if !balances.is_empty() && terms.issued.is_none() => return None, // its first balance is later
        None => (Basis::AtIssue, terms.principal_usd),
        Some(balance) => match balance.entry.outstanding_usd {
            Some(principal) => (Basis::Reported(balance), Some(principal)),
            None => (Basis::Carrying(balance), balance.entry.carrying_usd),
        },
    };
    let since = last.map(|known| known.entry.observed_on).or(terms.issued.map(|issued| issued.day));
    let amortisation = view.amortisation(&terms.instrument_id);
    let paid: i64 = amortisation
        .iter()
        .filter(|known| since.is_some_and(|since| known.entry.due.day > since) && known.entry.due.day <= day)
        .map(|known| known.entry.amount_usd)
        .sum();
    let principal_usd = stated.map(|stated| stated.saturating_sub(paid).max(0));
    if principal_usd == Some(0) {
        return None;
    }
    Some(Position {
        instrument,
        principal_usd,
        carrying_usd: last.and_then(|known| known.entry.carrying_usd),
        basis,
        observed_on: since,
        known_at: last.map_or(instrument.known_at, |known| known.known_at.max(instrument.known_at)),
        amortisation,
        options: view.options(&terms.instrument_id),
    })
}

/// Whether only what is drawn is owed.
const fn is_line(kind: InstrumentKind) -> bool {
    matches!(kind, InstrumentKind::CreditLine | InstrumentKind::ProjectLoan)
}

impl<'b> Position<'b> {
    /// The puts of holders after a day, by date, judged by share closes in time order up to it.
    #[must_use]
    pub fn puts(&self, day: Day, closes: &[f64]) -> Vec<Put<'b>> {
        let conversion = self.instrument.entry.conversion;
        let wanted = conversion.and_then(|terms| would_put(terms.rate_per_1000, closes.iter().copied()));
        let below =
            conversion.and_then(|terms| closes.last().map(|&close| moneyness(terms.rate_per_1000, close) < 0.0));
        let ahead = self.options.iter().filter(|known| known.entry.kind == OptionKind::Put && known.entry.on.day > day);
        ahead
            .map(|&option| {
                let would_be_used = match option.entry.condition {
                    Some(Condition::PriceBelowConversion) => wanted.zip(below).map(|(wanted, below)| wanted && below),
                    _ => wanted,
                };
                Put { option, would_be_used }
            })
            .collect()
    }

    /// What is due after `day`, by date: amortisation as its own maturities, the rest at the put that counts
    /// or at maturity. A maturity that has passed without an end stays due. Calls of the issuer shorten nothing.
    #[must_use]
    pub fn dues(&self, day: Day, kind: LadderKind, closes: &[f64]) -> Vec<Due> {
        let Some(principal) = self.principal_usd else { return Vec::new() };
        let terms = self.instrument.entry;
        let puts = self.puts(day, closes);
        let put = puts.into_iter().find(|put| match kind {
            LadderKind::Stated => false,
            LadderKind::AllPuts => true,
            LadderKind::Rational => put.would_be_used != Some(false),
        });
        let put_on = put.map(|put| put.option.entry.on);
        let is_before_maturity = |on: &RoughDate| terms.maturity.is_none_or(|maturity| on.day < maturity.day);
        let (last_on, last_kind) = match put_on.filter(is_before_maturity) {
            Some(on) => (Some(on), DueKind::Put),
            None => (terms.maturity, DueKind::Maturity),
        };
        let mut rest = principal;
        let mut dues = Vec::new();
        for part in self.amortisation.iter().map(|known| known.entry).filter(|part| part.due.day > day) {
            if last_on.is_some_and(|last| part.due.day >= last.day) {
                break;
            }
            let amount_usd = part.amount_usd.min(rest);
            rest -= amount_usd;
            dues.push(Due { on: Some(part.due), kind: DueKind::Amortisation, amount_usd });
        }
        if rest > 0 {
            dues.push(Due { on: last_on, kind: last_kind, amount_usd: rest });
        }
        dues
    }

    /// Cash interest that the position costs a year now, USD: principal times the current cash coupon; `None`
    /// where either is not known. Interest that is paid in kind costs no cash.
    #[must_use]
    pub fn interest_usd_per_year(&self) -> Option<f64> {
        let rate = self.cash_coupon_pct()?;
        Some(self.principal_usd? as f64 * rate / 100.0)
    }

    /// Percent a year. A floating rate of which only the spread is stated costs at least floor and spread.
    #[must_use]
    pub fn cash_coupon_pct(&self) -> Option<f64> {
        let coupon = self.instrument.entry.coupon;
        if coupon.paid == Some(InterestPaid::Pik) {
            return Some(0.0);
        }
        coupon.rate_pct.or_else(|| Some(coupon.floor_pct? + coupon.spread_pct?))
    }
}

/// Money raised by issuing, reopening or drawing an instrument.
#[derive(Debug, Clone, Copy)]
pub struct Issuance<'b> {
    pub instrument: Known<'b, Instrument>,
    pub on: Day,
    pub amount_usd: i64,
    pub known_at: Timestamp,
}

/// Everything raised, instrument by instrument: each rise of the balance by issue, tap or draw. An
/// instrument without such rows was issued at its principal on the day of its issue. What replaced an older
/// note by exchange raised no money.
#[must_use]
pub fn issuances<'b>(view: &'b CreditView<'b>) -> Vec<Issuance<'b>> {
    let mut issuances = Vec::new();
    for instrument in view.instruments().filter(|known| known.entry.status != InstrumentStatus::Announced) {
        let terms = instrument.entry;
        let balances = view.outstanding(&terms.instrument_id);
        let is_raised = |cause| matches!(cause, Cause::Issue | Cause::Tap | Cause::Draw);
        if !balances.iter().any(|known| is_raised(known.entry.cause)) {
            let replaced = balances.iter().any(|known| known.entry.cause == Cause::Exchange);
            if let (Some(issued), Some(amount_usd), false, false) =
                (terms.issued, terms.principal_usd, is_line(terms.kind), replaced)
            {
                issuances.push(Issuance { instrument, on: issued.day, amount_usd, known_at: instrument.known_at });
            }
            continue;
        }
        let mut before = 0;
        for known in balances {
            let Some(after) = known.entry.outstanding_usd else { continue };
            if is_raised(known.entry.cause) && after > before {
                let amount_usd = after - before;
                issuances.push(Issuance {
                    instrument,
                    on: known.entry.observed_on,
                    amount_usd,
                    known_at: known.known_at,
                });
            }
            before = after;
        }
    }
    issuances
}

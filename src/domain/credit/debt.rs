//! What an issuer owes on a day, and when it is due.

use super::book::{CreditView, Known};
use super::row::{Amortisation, DebtOption, Instrument, Outstanding};
use super::word::{Cause, Condition, InstrumentKind, InstrumentStatus, InterestPaid, OptionKind};
use crate::domain::equities::Closes;
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
    /// The day for whose shares the terms of conversion are written: that of their publication. Splits after it are
    /// applied to them.
    #[must_use]
    pub fn terms_on(&self) -> Day {
        self.instrument.row.published_at().day()
    }

    /// Shares of `day` for each 1,000 USD; `None` without a rate.
    #[must_use]
    pub fn conversion_rate(&self, day: Day, closes: &Closes) -> Option<f64> {
        let terms = self.instrument.entry.conversion?;
        Some(terms.rate_per_1000 * closes.shares_for_each(self.terms_on(), day))
    }

    /// Parity over par, less 1, at the last close; `None` without a rate or a close.
    #[must_use]
    pub fn moneyness(&self, closes: &Closes) -> Option<f64> {
        let terms = self.instrument.entry.conversion?;
        Some(moneyness(terms.rate_per_1000, closes.in_shares_of(self.terms_on()).next_back()?))
    }

    /// The puts of holders after a day, by date, judged by share closes up to it.
    #[must_use]
    pub fn puts(&self, day: Day, closes: &Closes) -> Vec<Put<'b>> {
        let conversion = self.instrument.entry.conversion;
        let wanted = conversion.and_then(|terms| would_put(terms.rate_per_1000, closes.in_shares_of(self.terms_on())));
        let below = self.moneyness(closes).map(|money| money < 0.0);
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
    pub fn dues(&self, day: Day, kind: LadderKind, closes: &Closes) -> Vec<Due> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credit::book::CreditBook;
    use crate::domain::credit::row::{CreditRow, Table};
    use crate::domain::equities::Split;
    use crate::domain::facts::FactVersion;
    use crate::domain::indicators::credit::{weighted_mean, years_between};
    use crate::domain::observation::Moment;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    /// A row out of `column=cell` pairs, known at the end of a day.
    fn push(book: &mut CreditBook, table: Table, known: &str, cells: &[(&'static str, &str)]) {
        let mut cells: Vec<(&'static str, &str)> = cells.to_vec();
        cells.push(("source", "https://example.com/filing"));
        let cells = cells.into_iter().map(|(column, cell)| (column, cell.to_owned())).collect();
        let known_at = day(known).end();
        let row = CreditRow::new(table, cells, known_at).unwrap();
        book.push(FactVersion { known_at, batch: 1, row });
    }

    fn note(
        book: &mut CreditBook,
        id: &str,
        principal: &str,
        coupon: &str,
        maturity: &str,
        more: &[(&'static str, &str)],
    ) {
        let mut cells = vec![
            ("instrument_id", id),
            ("ticker", "AAAA"),
            ("title", "a note"),
            ("kind", "convertible"),
            ("obligor", "A Corp"),
            ("principal_usd", principal),
            ("issued_on", "2024-06-15"),
            ("issued_precision", "day"),
            ("maturity_on", maturity),
            ("maturity_precision", "day"),
            ("coupon_kind", "fixed"),
            ("coupon_pct", coupon),
            ("status", "outstanding"),
            ("verification", "verified"),
        ];
        cells.retain(|(column, _)| !more.iter().any(|(other, _)| other == column));
        cells.extend(more);
        push(book, Table::Instruments, "2024-06-15", &cells);
    }

    fn put(book: &mut CreditBook, id: &str, on: &str, condition: Option<&str>) {
        let mut cells =
            vec![("instrument_id", id), ("kind", "put"), ("on", on), ("on_precision", "day"), ("price_pct", "100")];
        cells.extend(condition.map(|condition| ("condition", condition)));
        push(book, Table::DebtOptions, "2024-06-15", &cells);
    }

    fn balance(book: &mut CreditBook, id: &str, on: &str, usd: &str, cause: &str, known: &str) {
        let cells = [("instrument_id", id), ("observed_on", on), ("outstanding_usd", usd), ("cause", cause)];
        push(book, Table::Outstanding, known, &cells);
    }

    fn now() -> Moment {
        Moment { at: day("2026-01-01").start(), batch: 1 }
    }

    /// Closes of days in a row.
    fn traded(closes: &[f64]) -> Closes {
        let sessions = (0..).zip(closes).map(|(number, &close)| (day("2024-12-01").plus(number), close)).collect();
        Closes { sessions, splits: Vec::new() }
    }

    #[test]
    fn a_split_changes_the_terms_and_not_what_a_holder_does() {
        let mut book = CreditBook::default();
        note(&mut book, "a-0-2032", "1000000", "0", "2032-08-01", &[("conversion_rate_per_1000", "50")]);
        put(&mut book, "a-0-2032", "2030-01-04", None);
        let view = book.view(now());
        let owed = positions(&view, day("2025-01-01"));
        let mut closes = traded(&[25.0, 6.25]);
        let used = |closes: &Closes| owed[0].puts(day("2025-01-01"), closes)[0].would_be_used;
        assert_eq!((used(&closes), owed[0].moneyness(&closes)), (Some(true), Some(-0.6875)));
        // The second session is the first of four new shares for one.
        closes.splits.push(Split { day: day("2024-12-02"), ratio: 4.0 });
        assert_eq!((used(&closes), owed[0].moneyness(&closes)), (Some(false), Some(0.25)));
        assert_eq!(owed[0].conversion_rate(day("2025-01-01"), &closes), Some(200.0));
    }

    /// The handbook of indicators: 400m 3.0 % 2029-06-15 with a put on 2027-06-15, 100m 9.5 % 2026-03-31.
    fn handbook() -> CreditBook {
        let mut book = CreditBook::default();
        note(&mut book, "a-3-2029", "400000000", "3", "2029-06-15", &[("conversion_rate_per_1000", "50")]);
        put(&mut book, "a-3-2029", "2027-06-15", None);
        note(&mut book, "a-9-2026", "100000000", "9.5", "2026-03-31", &[("kind", "senior_notes")]);
        book
    }

    #[test]
    fn the_ladder_of_the_handbook_three_ways() {
        let book = handbook();
        let view = book.view(now());
        let as_of = day("2025-01-01");
        let owed = positions(&view, as_of);
        let years = |kind, closes: &[f64]| {
            let closes = &traded(closes);
            let dues: Vec<Due> = owed.iter().flat_map(|owed| owed.dues(as_of, kind, closes)).collect();
            let parts = dues.iter().map(|due| (due.amount_usd as f64, years_between(due.on.unwrap().day.since(as_of))));
            (weighted_mean(parts).unwrap() * 1_000.0).round() / 1_000.0
        };
        assert_eq!(years(LadderKind::Stated, &[]), 3.813);
        assert_eq!(years(LadderKind::AllPuts, &[]), 2.210);
        assert_eq!(years(LadderKind::Rational, &[19.0]), 2.210, "below par the holder sells back");
        assert_eq!(years(LadderKind::Rational, &[25.0]), 3.813, "above par he does not");
        assert_eq!(years(LadderKind::Rational, &[]), 2.210, "without a price nobody knows, and it counts");
        let coupon =
            weighted_mean(owed.iter().map(|p| (p.principal_usd.unwrap() as f64, p.cash_coupon_pct().unwrap())));
        assert!((coupon.unwrap() - 4.30).abs() < 1e-12);
        let interest: f64 = owed.iter().map(|position| position.interest_usd_per_year().unwrap()).sum();
        assert!((interest - 21_500_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_conditional_put_counts_while_its_condition_holds() {
        let mut book = CreditBook::default();
        note(&mut book, "a-0-2032", "1000000", "0", "2032-08-01", &[("conversion_rate_per_1000", "50")]);
        put(&mut book, "a-0-2032", "2030-01-04", Some("price_below_conversion"));
        let view = book.view(now());
        let owed = positions(&view, day("2025-01-01"));
        let used = |closes: &[f64]| owed[0].puts(day("2025-01-01"), &traded(closes))[0].would_be_used;
        assert_eq!(used(&[19.0]), Some(true));
        // 20.5 is inside the band, where a plain put would go on counting; but its condition is gone.
        assert_eq!(used(&[19.0, 20.5]), Some(false));
        assert!(owed[0].puts(day("2031-01-01"), &traded(&[])).is_empty(), "a day that has passed");
    }

    #[test]
    fn amortisation_comes_first_and_is_paid_once_its_day_has_passed() {
        let mut book = CreditBook::default();
        note(&mut book, "a-7-2030", "1000", "7", "2030-11-15", &[("kind", "senior_secured_notes")]);
        for (on, usd) in [("2025-11-15", "100"), ("2027-11-15", "300")] {
            let cells = [("instrument_id", "a-7-2030"), ("due_on", on), ("due_precision", "day"), ("amount_usd", usd)];
            push(&mut book, Table::Amortisation, "2024-06-15", &cells);
        }
        let view = book.view(now());
        let amounts = |as_of: &str| {
            let owed = positions(&view, day(as_of));
            owed[0]
                .dues(day(as_of), LadderKind::Stated, &traded(&[]))
                .iter()
                .map(|due| due.amount_usd)
                .collect::<Vec<_>>()
        };
        assert_eq!(amounts("2025-01-01"), [100, 300, 600]);
        assert_eq!(amounts("2025-12-31"), [300, 600]);
    }

    #[test]
    fn balances_count_by_their_day_and_by_when_they_were_known() {
        let mut book = CreditBook::default();
        note(&mut book, "a-1-2026", "747500000", "1", "2026-12-01", &[]);
        balance(&mut book, "a-1-2026", "2024-11-20", "118500000", "repurchase", "2024-11-21");
        balance(&mut book, "a-1-2026", "2025-09-30", "48077000", "reported", "2025-11-04");
        let principal = |at: &str, on: &str| {
            let view = book.view(Moment { at: day(at).start(), batch: 1 });
            positions(&view, day(on)).first().and_then(|position| position.principal_usd)
        };
        assert_eq!(principal("2024-06-15", "2024-07-01"), None, "nobody knew the note");
        assert_eq!(principal("2024-07-01", "2024-07-01"), Some(747_500_000));
        assert_eq!(principal("2025-10-15", "2025-10-15"), Some(118_500_000), "the report came later");
        assert_eq!(principal("2025-11-05", "2025-10-15"), Some(48_077_000));
        assert_eq!(principal("2025-11-05", "2024-10-31"), Some(747_500_000));
    }

    #[test]
    fn what_is_over_announced_or_not_drawn_is_not_owed() {
        let mut book = CreditBook::default();
        let over = [("status", "retired"), ("retired_on", "2025-03-01"), ("retired_how", "repaid")];
        note(&mut book, "a-over", "100", "1", "2026-12-01", &over);
        note(&mut book, "a-announced", "100", "1", "2026-12-01", &[("status", "announced")]);
        note(&mut book, "a-line", "100", "1", "2026-12-01", &[("kind", "credit_line")]);
        let view = book.view(now());
        let owed = |on: &str| {
            positions(&view, day(on)).iter().map(|p| p.instrument.entry.instrument_id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(owed("2025-02-28"), ["a-over"]);
        assert_eq!(owed("2025-03-01"), Vec::<String>::new());
        let raised = issuances(&view);
        assert_eq!(raised.len(), 1, "neither a line nor an announcement raised anything");
    }

    #[test]
    fn money_is_raised_by_issue_tap_and_draw_alone() {
        let mut book = CreditBook::default();
        note(&mut book, "a-0-2031", "925000000", "0", "2031-06-01", &[]);
        for (on, usd, cause) in [
            ("2024-12-04", "850000000", "issue"),
            ("2024-12-31", "925000000", "tap"),
            ("2025-06-30", "900000000", "repurchase"),
            ("2025-09-30", "910000000", "reported"),
        ] {
            balance(&mut book, "a-0-2031", on, usd, cause, "2025-11-01");
        }
        let view = book.view(now());
        let raised: Vec<(String, i64)> =
            issuances(&view).iter().map(|sum| (sum.on.to_string(), sum.amount_usd)).collect();
        assert_eq!(raised, [("2024-12-04".to_owned(), 850_000_000), ("2024-12-31".to_owned(), 75_000_000)]);
    }
}

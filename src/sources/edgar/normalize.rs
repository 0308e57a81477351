//! Answers to filings and figures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::Refused;
use super::super::feed::Unusable;
use super::super::text::Text;
use super::concepts::{CONCEPTS, unit_of};
use super::wire::{CompanyFacts, FactRow, FilingColumns, parse_concept};
use crate::domain::credit::figure::{Item, ItemKind};
use crate::domain::filing::new_york::{instant, local_time};
use crate::domain::filing::{Filing, LARGEST_VALUE, StatedFigure};
use crate::domain::time::{Day, Span, Timestamp};

/// Filings, and what of an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadFilings {
    pub filings: Vec<Filing>,
    pub refused: Vec<Refused>,
}

/// Figures, and what of an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadFigures {
    pub figures: Vec<StatedFigure>,
    pub refused: Vec<Refused>,
}

/// Which clock stamps of acceptance show. All of them end in `Z`.
///
/// Recorded answers disagree. In those of filer 749647 the stamps are UTC: they lie between 10:00 and 02:50 the next
/// day, which is 06:00 to 22:00 in New York, the hours in which EDGAR accepts filings, and stamps of which only the
/// day is known are 04:00:00 in summer and 05:00:00 in winter. In those of filer 1050446 all 1,000 lie between 06:00
/// and 21:59 in winter and summer alike, half of them in the hour after the exchanges close: they are New York's
/// time with a `Z` behind it. So the stamps of a filer themselves say which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampClock {
    Utc,
    NewYork,
}

/// Accession numbers begin so that the SEC itself gave out.
const OF_THE_SEC: &str = "99999999";
/// EDGAR accepts filings from 06:00 to 22:00 in New York.
const OPENS: Span = Span::HOUR.times(6);
const CLOSES: Span = Span::HOUR.times(22).plus(Span::MINUTE);

impl StampClock {
    /// The clock by which fewer stamps lie outside the hours in which filings are accepted. Where both are as good,
    /// New York's: it gives the later instant, so nothing is ever known too early.
    #[must_use]
    pub fn of<'a>(stamps: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut not_utc, mut not_new_york) = (0_usize, 0_usize);
        for stamp in stamps.into_iter().filter_map(|stamp| Timestamp::parse(stamp).ok()) {
            let as_utc = local_time(stamp).time;
            let as_shown = stamp.since(stamp.day().start());
            // A midnight stands for a day without a time.
            if as_utc == Span::ZERO || as_shown == Span::ZERO {
                continue;
            }
            let is_outside = |time: Span| !(OPENS..=CLOSES).contains(&time);
            not_utc += usize::from(is_outside(as_utc));
            not_new_york += usize::from(is_outside(as_shown));
        }
        if not_utc < not_new_york { Self::Utc } else { Self::NewYork }
    }

    /// The instant of a stamp; `None` for a text that is none.
    #[must_use]
    pub fn read(self, stamp: &str) -> Option<Timestamp> {
        let shown = Timestamp::parse(stamp).ok()?;
        Some(match self {
            Self::Utc => shown,
            Self::NewYork => instant(shown.day(), shown.since(shown.day().start())),
        })
    }
}

/// Whether an answer is about the filer who was asked for.
///
/// # Errors
/// [`Unusable::BadBody`] if it is about another one.
pub fn check_filer(told: &Text, cik: u64) -> Result<(), Unusable> {
    if told.whole() == Some(cik) {
        return Ok(());
    }
    Err(Unusable::BadBody(format!("asked for the filer {cik} and told of {}", told.shown())))
}

/// Filings of pages of one filer, which must be read together so that their clock is the same; each accession
/// number once. Forms of insiders (3, 4, 5, 144) speak of people and are left out without a word.
///
/// # Errors
/// [`Unusable::BadBody`] if the columns of a page do not fit together.
pub fn filings(cik: u64, pages: &[FilingColumns]) -> Result<ReadFilings, Unusable> {
    let stamps = pages.iter().flat_map(|page| page.accession_number.iter().zip(&page.acceptance_date_time));
    // What the SEC itself files, such as its letters, comes at any hour.
    let of_filers = stamps.filter(|(accession, _)| !accession.starts_with(OF_THE_SEC));
    let clock = StampClock::of(of_filers.map(|(_, stamp)| stamp.as_str()));
    let mut read = ReadFilings::default();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for page in pages {
        for row in 0..page.count()? {
            if is_of_insiders(&page.form[row]) || !seen.insert(&page.accession_number[row]) {
                continue;
            }
            match filing(cik, page, row, clock) {
                Ok(filing) => read.filings.push(filing),
                Err(refused) => read.refused.push(refused),
            }
        }
    }
    Ok(read)
}

fn is_of_insiders(form: &str) -> bool {
    matches!(form.trim_end_matches("/A"), "3" | "4" | "5" | "144")
}

fn filing(cik: u64, page: &FilingColumns, row: usize, clock: StampClock) -> Result<Filing, Refused> {
    let accession = accession(&page.accession_number[row])?;
    let about = |reason, detail: String| refused(reason, format!("filing {accession}: {detail}"));
    let filed_on = Day::parse(&page.filing_date[row]).map_err(|error| about("bad_day", error.to_string()))?;
    let report_on = match page.report_date[row].as_str() {
        "" => None,
        text => Some(Day::parse(text).map_err(|error| about("bad_day", error.to_string()))?),
    };
    let accepted_at = match page.acceptance_date_time[row].as_str() {
        "" => None,
        text => {
            let stamp = clock.read(text).ok_or_else(|| about("bad_time", format!("{text:?} is no instant")));
            Some(stamp?)
        }
    };
    let form = page.form[row].trim();
    if form.is_empty() {
        return Err(about("bad_form", "it has no form".to_owned()));
    }
    let items = page.items[row].split(',').map(str::trim).filter(|item| !item.is_empty());
    Ok(Filing {
        cik,
        form: form.into(),
        filed_on,
        accepted_at,
        report_on,
        items: if form.starts_with("8-K") { items.map(str::to_owned).collect() } else { Vec::new() },
        primary_document: page.primary_document[row].trim().to_owned(),
        accession: accession.into(),
    })
}

/// An accession number: `0001507605-25-000028`.
fn accession(text: &str) -> Result<&str, Refused> {
    let shape = |(place, byte): (usize, u8)| match place {
        10 | 13 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    if text.len() == 20 && text.bytes().enumerate().all(shape) {
        return Ok(text);
    }
    Err(refused("bad_accession", format!("{} is no accession number", Text::from(text).shown())))
}

fn refused(reason: &'static str, detail: String) -> Refused {
    Refused { metric: None, reason, detail }
}

/// The figures of a filer that mean an item, in the units of the item; others are left out without a word.
///
/// A statement that comes twice in one filing is taken once; if the values differ, none is.
///
/// # Errors
/// [`Unusable::BadBody`] if a concept is in another shape.
pub fn figures(cik: u64, facts: &CompanyFacts<'_>) -> Result<ReadFigures, Unusable> {
    let mut read = ReadFigures::default();
    for (item, concepts) in CONCEPTS {
        for (rank, name) in (0_u8..).zip(concepts) {
            let Some((taxonomy, concept)) = name.split_once(':') else { continue };
            let Some(raw) = facts.facts.get(taxonomy).and_then(|concepts| concepts.get(concept)) else { continue };
            let units = parse_concept(raw)?.units;
            for (unit, rows) in units.iter().filter(|(unit, _)| unit_of(item).is(unit)) {
                let meaning = Meaning { cik, item, rank, concept: Arc::from(*name), unit: Arc::from(unit.as_str()) };
                meaning.read(rows, &mut read);
            }
        }
    }
    Ok(read)
}

/// What the rows of one unit of a concept are about.
struct Meaning {
    cik: u64,
    item: Item,
    rank: u8,
    concept: Arc<str>,
    unit: Arc<str>,
}

impl Meaning {
    fn read(&self, rows: &[FactRow], read: &mut ReadFigures) {
        let mut stated: BTreeMap<(Day, Option<Day>, Arc<str>), Option<StatedFigure>> = BTreeMap::new();
        for row in rows {
            // A balance where a period belongs, or the other way round, is another statement by the same name.
            if row.start.is_some() != (self.item.kind() == ItemKind::Flow) {
                continue;
            }
            let figure = match self.figure(row) {
                Ok(figure) => figure,
                Err(refused) => {
                    read.refused.push(refused);
                    continue;
                }
            };
            let key = (figure.end, figure.start, Arc::clone(&figure.accession));
            match stated.get_mut(&key) {
                None => {
                    stated.insert(key, Some(figure));
                }
                Some(known) if known.as_ref().is_some_and(|known| is_same(known.value, figure.value)) => {}
                Some(known) => {
                    if known.take().is_some() {
                        read.refused.push(self.about(row, "conflict_in_filing", "stated twice, with two values"));
                    }
                }
            }
        }
        read.figures.extend(stated.into_values().flatten());
    }

    fn figure(&self, row: &FactRow) -> Result<StatedFigure, Refused> {
        let day = |text: &str| Day::parse(text).map_err(|error| self.about(row, "bad_day", &error.to_string()));
        let (end, filed_on) = (day(&row.end)?, day(&row.filed)?);
        let start = row.start.as_deref().map(day).transpose()?;
        if start.is_some_and(|start| start > end) {
            return Err(self.about(row, "bad_period", "the period ends before it begins"));
        }
        if end > filed_on {
            return Err(self.about(row, "period_not_closed", "it was filed before the period was over"));
        }
        let value = row.val.decimal(0).filter(|value| value.abs() < LARGEST_VALUE);
        let value = value.ok_or_else(|| self.about(row, "bad_value", &format!("{} is no amount", row.val.shown())))?;
        Ok(StatedFigure {
            cik: self.cik,
            accession: accession(&row.accn)?.into(),
            form: row.form.as_deref().unwrap_or_default().into(),
            filed_on,
            item: self.item,
            concept: Arc::clone(&self.concept),
            rank: self.rank,
            unit: Arc::clone(&self.unit),
            start,
            end,
            value,
        })
    }

    fn about(&self, row: &FactRow, reason: &'static str, detail: &str) -> Refused {
        let (accession, end) = (Text::from(row.accn.as_str()).shown(), Text::from(row.end.as_str()).shown());
        let detail = format!("{} of {end} in {accession}: {detail}", self.concept);
        Refused { metric: Some(self.item.name().to_owned()), reason, detail }
    }
}

#[expect(clippy::float_cmp, reason = "the same digits are the same number")]
fn is_same(one: f64, other: f64) -> bool {
    one == other
}

#[cfg(test)]
mod tests {
    use super::super::wire::{parse, parse_facts};
    use super::*;

    #[test]
    fn the_stamps_say_which_clock_they_show() {
        let utc = ["2026-02-18T02:50:37.000Z", "2026-02-05T13:05:45.000Z", "2010-07-09T04:00:00.000Z"];
        assert_eq!(StampClock::of(utc), StampClock::Utc);
        let new_york = ["2026-01-20T08:00:28.000Z", "2026-01-14T06:48:40.000Z"];
        assert_eq!(StampClock::of(new_york), StampClock::NewYork);
        // By either clock in the hours of business: the later instant.
        assert_eq!(StampClock::of(["2026-01-12T16:10:03.000Z"]), StampClock::NewYork);
        assert_eq!(StampClock::of([]), StampClock::NewYork);
        let read = |clock: StampClock| clock.read("2026-01-20T16:10:03.000Z").unwrap().to_string();
        assert_eq!(read(StampClock::NewYork), "2026-01-20T21:10:03Z");
        assert_eq!(read(StampClock::Utc), "2026-01-20T16:10:03Z");
        assert_eq!(StampClock::Utc.read("yesterday"), None);
    }

    fn columns(accession: &str, form: &str, items: &str, filed: &str) -> FilingColumns {
        let body = format!(
            r#"{{"accessionNumber":["{accession}"],"filingDate":["{filed}"],"reportDate":["2025-03-31"],
            "acceptanceDateTime":["2025-05-08T21:05:00.000Z"],"form":["{form}"],"items":["{items}"],
            "primaryDocument":["a.htm"],"size":[1]}}"#
        );
        parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_filing_is_read_or_refused_with_its_reason() {
        let good = columns("0000000001-25-000001", "8-K", "1.01, 2.03", "2025-05-08");
        let read = filings(1, &[good.clone(), good]).unwrap();
        assert_eq!((read.filings.len(), read.refused.len()), (1, 0), "the same accession twice is one filing");
        assert_eq!(read.filings[0].items, ["1.01", "2.03"]);
        let reason = |page: FilingColumns| filings(1, &[page]).unwrap().refused[0].reason;
        assert_eq!(reason(columns("1", "10-Q", "", "2025-05-08")), "bad_accession");
        assert_eq!(reason(columns("0000000001-25-000001", "10-Q", "", "08.05.2025")), "bad_day");
        assert_eq!(reason(columns("0000000001-25-000001", "", "", "2025-05-08")), "bad_form");
        let insiders = filings(1, &[columns("0000000001-25-000001", "4/A", "", "2025-05-08")]).unwrap();
        assert_eq!(insiders, ReadFilings::default());
    }

    fn read_of(concept: &str, unit: &str, rows: &str) -> ReadFigures {
        let (taxonomy, concept) = concept.split_once(':').unwrap();
        let body = format!(
            r#"{{"cik":"0000000001","facts":{{"{taxonomy}":{{"{concept}":{{"units":{{"{unit}":[{rows}]}}}}}}}}}}"#
        );
        let facts = parse_facts(body.as_bytes()).unwrap();
        check_filer(&facts.cik, 1).unwrap();
        assert!(check_filer(&facts.cik, 2).is_err());
        figures(1, &facts).unwrap()
    }

    fn row(start: &str, end: &str, value: &str, accession: u8) -> String {
        let start = if start.is_empty() { String::new() } else { format!(r#""start":"{start}","#) };
        format!(
            r#"{{{start}"end":"{end}","val":{value},"accn":"0000000001-25-{accession:06}","fy":2025,"fp":"Q1","form":"10-Q","filed":"2025-05-08"}}"#
        )
    }

    #[test]
    fn a_figure_keeps_its_concept_and_its_rank() {
        let rows = row("2025-01-01", "2025-03-31", "12.5", 1);
        let read = read_of("us-gaap:SalesRevenueNet", "USD", &rows);
        let [figure] = &read.figures[..] else { panic!("{read:?}") };
        assert_eq!((figure.item, figure.rank, &*figure.concept), (Item::Revenue, 3, "us-gaap:SalesRevenueNet"));
        assert_eq!((figure.value, figure.start), (12.5, Some(Day::parse("2025-01-01").unwrap())));
        assert_eq!(read_of("us-gaap:SalesRevenueNet", "CAD", &rows), ReadFigures::default());
        assert_eq!(read_of("us-gaap:Unheard", "USD", &rows), ReadFigures::default());
        // A balance is no flow.
        assert_eq!(read_of("us-gaap:Revenues", "USD", &row("", "2025-03-31", "1", 1)), ReadFigures::default());
    }

    #[test]
    fn what_comes_twice_is_taken_once_or_not_at_all() {
        let one = row("2025-01-01", "2025-03-31", "12.5", 1);
        let read = read_of("us-gaap:Revenues", "USD", &format!("{one},{one}"));
        assert_eq!((read.figures.len(), read.refused.len()), (1, 0));
        let other = row("2025-01-01", "2025-03-31", "13", 1);
        let read = read_of("us-gaap:Revenues", "USD", &format!("{one},{other},{one}"));
        assert_eq!((read.figures.len(), read.refused[0].reason), (0, "conflict_in_filing"));
        // In another filing it is a restatement.
        let later = row("2025-01-01", "2025-03-31", "13", 2);
        assert_eq!(read_of("us-gaap:Revenues", "USD", &format!("{one},{later}")).figures.len(), 2);
    }

    #[test]
    fn a_figure_that_cannot_be_is_refused() {
        let reason = |rows: String| read_of("us-gaap:Revenues", "USD", &rows).refused[0].reason;
        assert_eq!(reason(row("2025-04-01", "2025-03-31", "1", 1)), "bad_period");
        assert_eq!(reason(row("2025-01-01", "2025-06-30", "1", 1)), "period_not_closed");
        assert_eq!(reason(row("2025-01-01", "2025-03-31", "1e15", 1)), "bad_value");
        assert_eq!(reason(row("2025-01-01", "2025-03-31", "\"a lot\"", 1)), "bad_value");
        assert_eq!(reason(row("2025-01-01", "31 March", "1", 1)), "bad_day");
    }
}

//! A measure of an issuer with what it was computed from: every number opens the text that states it.

use super::book::Known;
use super::figure::{Figure, Origin};
use super::periods::TrailingYear;
use crate::domain::time::{Day, Timestamp};

/// An input older than this is named.
const OLD_DAYS: i32 = 120;

/// One number that went into a measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The item, instrument or market price.
    pub what: String,
    pub value: Option<f64>,
    pub unit: &'static str,
    /// The day or the last day of the period that it is about.
    pub observed_on: Option<Day>,
    pub known_at: Option<Timestamp>,
    /// `edgar`, `facts` or the source of a market price.
    pub source: String,
    /// Number of the filing.
    pub accession: Option<String>,
    /// Address of the text that states it.
    pub url: Option<String>,
}

/// A market price with its day.
#[derive(Debug, Clone, PartialEq)]
pub struct Priced {
    pub value: f64,
    pub observed_on: Day,
    pub known_at: Option<Timestamp>,
    pub source: String,
}

/// A measure: a value, or why there is none; with what was noticed on the way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    pub value: Option<f64>,
    pub reason: Option<String>,
    pub unit: &'static str,
    /// Such as `restated`, `old:cash_usd`, `assumed:uptime_pct`.
    pub flags: Vec<String>,
    pub evidence: Vec<Evidence>,
}

impl Measured {
    /// The oldest day among the inputs.
    #[must_use]
    pub fn observed_on(&self) -> Option<Day> {
        self.evidence.iter().filter_map(|input| input.observed_on).min()
    }

    /// When the newest of the inputs was known.
    #[must_use]
    pub fn known_at(&self) -> Option<Timestamp> {
        self.evidence.iter().filter_map(|input| input.known_at).max()
    }
}

/// Takes inputs together for one measure, and remembers what lacks.
#[derive(Debug)]
pub struct Gathering {
    day: Day,
    may_assume: bool,
    flags: Vec<String>,
    evidence: Vec<Evidence>,
    lacking: Option<String>,
}

impl Gathering {
    #[must_use]
    pub const fn new(day: Day, may_assume: bool) -> Self {
        Self { day, may_assume, flags: Vec::new(), evidence: Vec::new(), lacking: None }
    }

    pub fn flag(&mut self, flag: impl Into<String>) {
        let flag = flag.into();
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }

    /// Notes that an input lacks; the first one is the reason.
    pub fn lack(&mut self, what: &str) {
        self.lacking.get_or_insert_with(|| format!("no_{what}"));
    }

    /// Whether an input lacked so far.
    #[must_use]
    pub const fn lacks(&self) -> bool {
        self.lacking.is_some()
    }

    /// A number that stands until something changes it, such as the principal of a note: never old.
    pub fn push_standing(&mut self, evidence: Evidence) {
        if !self.evidence.contains(&evidence) {
            self.evidence.push(evidence);
        }
    }

    pub fn push(&mut self, evidence: Evidence) {
        if evidence.observed_on.is_some_and(|on| self.day.since(on) > OLD_DAYS) {
            self.flag(format!("old:{}", evidence.what));
        }
        self.push_standing(evidence);
    }

    /// The value of a figure, which is needed.
    pub fn figure(&mut self, name: &'static str, figure: Option<&Figure>) -> Option<f64> {
        let Some(figure) = figure else {
            self.lack(name);
            return None;
        };
        self.push(evidence_of(figure));
        Some(figure.value)
    }

    /// The value of a figure of which 0 is meant where nobody reports any; then the measure is flagged.
    pub fn figure_or_zero(&mut self, name: &'static str, figure: Option<&Figure>) -> f64 {
        if figure.is_none() {
            self.flag(format!("none_reported:{name}"));
            return 0.0;
        }
        self.figure(name, figure).unwrap_or(0.0)
    }

    /// What stands in for an input that nobody reports, if the client allows it.
    pub fn assume(&mut self, name: &str, value: f64) -> Option<f64> {
        if !self.may_assume {
            self.lack(name);
            return None;
        }
        self.flag(format!("assumed:{name}"));
        Some(value)
    }

    /// The value of a year.
    pub fn year(&mut self, year: &TrailingYear<'_>) -> f64 {
        for figure in &year.period.figures {
            if figure.end == year.period.end {
                self.push(evidence_of(figure));
            } else {
                self.push_standing(evidence_of(figure)); // the first of four quarters is old by nature
            }
        }
        let flags = [
            (year.period.is_derived, "derived"),
            (year.period.is_restated, "restated"),
            (year.is_disputed, "disputed"),
        ];
        for (_, flag) in flags.into_iter().filter(|(holds, _)| *holds) {
            self.flag(flag);
        }
        year.period.value
    }

    /// A market price, which is needed.
    pub fn market(&mut self, name: &'static str, unit: &'static str, price: Option<&Priced>) -> Option<f64> {
        let Some(price) = price else {
            self.lack(name);
            return None;
        };
        self.push(Evidence {
            what: name.to_owned(),
            value: Some(price.value),
            unit,
            observed_on: Some(price.observed_on),
            known_at: price.known_at,
            source: price.source.clone(),
            accession: None,
            url: None,
        });
        Some(price.value)
    }

    /// Takes over what another measure was computed from, and its value.
    pub fn measured(&mut self, name: &str, measured: &Measured) -> Option<f64> {
        for flag in &measured.flags {
            self.flag(flag.clone());
        }
        for evidence in &measured.evidence {
            self.push_standing(evidence.clone());
        }
        if measured.value.is_none() {
            match &measured.reason {
                Some(reason) => self.lacking = self.lacking.take().or_else(|| Some(reason.clone())),
                None => self.lack(name),
            }
        }
        measured.value
    }

    /// The measure; without a value the first input that lacked is the reason.
    #[must_use]
    pub fn finish(self, unit: &'static str, value: Option<f64>) -> Measured {
        let value = value.filter(|value| value.is_finite());
        let reason = value.is_none().then(|| self.lacking.unwrap_or_else(|| "no_data".to_owned()));
        Measured { value, reason, unit, flags: self.flags, evidence: self.evidence }
    }

    /// The same with a reason of its own, for a value that has no meaning.
    #[must_use]
    pub fn refuse(self, unit: &'static str, reason: &str) -> Measured {
        Measured { value: None, reason: Some(reason.to_owned()), unit, flags: self.flags, evidence: self.evidence }
    }
}

/// A figure as evidence.
#[must_use]
pub fn evidence_of(figure: &Figure) -> Evidence {
    let (source, accession) = match &figure.origin {
        Origin::Filing { accession, .. } => ("edgar", Some(accession.to_string())),
        Origin::Table { .. } => ("facts", None),
    };
    Evidence {
        what: figure.item.name().to_owned(),
        value: Some(figure.value),
        unit: figure.item.unit(),
        observed_on: Some(figure.end),
        known_at: Some(figure.known_at),
        source: source.to_owned(),
        accession,
        url: Some(figure.url.to_string()),
    }
}

/// A row of a table as evidence of a number.
#[must_use]
pub fn evidence_of_row<T>(
    what: &str,
    value: Option<f64>,
    unit: &'static str,
    on: Option<Day>,
    known: Known<'_, T>,
) -> Evidence {
    Evidence {
        what: what.to_owned(),
        value,
        unit,
        observed_on: on,
        known_at: Some(known.known_at),
        source: "facts".to_owned(),
        accession: None,
        url: Some(known.row.source().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credit::figure::Item;
    use crate::domain::credit::periods::trailing_year;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn quarter(start: &str, end: &str) -> Figure {
        Figure {
            ticker: "QQQQQ".into(),
            item: Item::Revenue,
            start: Some(day(start)),
            end: day(end),
            value: 25.0,
            known_at: day(end).end(),
            batch: 1,
            origin: Origin::Table { published_at: day(end).end() },
            url: "https://example.com/10-q".into(),
        }
    }

    #[test]
    fn a_trailing_year_is_old_once_its_newest_quarter_is() {
        let quarters = [
            quarter("2025-01-01", "2025-03-31"),
            quarter("2025-04-01", "2025-06-30"),
            quarter("2025-07-01", "2025-09-30"),
            quarter("2025-10-01", "2025-12-31"),
        ];
        let versions: Vec<&Figure> = quarters.iter().collect();
        let flags = |on: &str| {
            let year = trailing_year(&versions, day(on)).unwrap();
            let mut gathering = Gathering::new(day(on), false);
            assert!((gathering.year(&year) - 100.0).abs() < 1e-12);
            let measured = gathering.finish("USD", Some(100.0));
            assert_eq!(measured.evidence.len(), 4);
            measured.flags.join(",")
        };
        // 120 days after the last of December, and a day more.
        assert!(!flags("2026-04-30").contains("old:"), "{}", flags("2026-04-30"));
        assert!(flags("2026-05-01").contains("old:revenue_usd"), "{}", flags("2026-05-01"));
    }
}

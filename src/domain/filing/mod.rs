//! Filings of issuers: documents with the time at which a regulator accepted them, and when they were known.

pub mod candidate;
pub mod new_york;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::new_york::{instant, is_business_day, local_time, next_business_day};
use crate::domain::credit::figure::Item;
use crate::domain::observation::Moment;
use crate::domain::time::{Day, Span, Timestamp};

/// A document that an issuer filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filing {
    /// Number of the filer at the SEC.
    pub cik: u64,
    /// Such as `0001507605-25-000028`; unique for a filer.
    pub accession: Arc<str>,
    /// Such as `10-Q`, with `/A` for an amendment.
    pub form: Arc<str>,
    /// The official date of filing, by New York's calendar.
    pub filed_on: Day,
    /// When it was accepted; `None` where nobody says.
    pub accepted_at: Option<Timestamp>,
    /// Last day of what is reported; `None` for forms that report no period.
    pub report_on: Option<Day>,
    /// Items of an 8-K, such as `2.03`; empty for other forms.
    pub items: Vec<String>,
    /// Name of the main document; empty if there is none.
    pub primary_document: String,
}

/// A filing accepted after this time in New York is of the next business day.
const LAST_TIME: Span = Span::HOUR.times(17).plus(Span::MINUTE.times(30));
/// From this time on in New York, filings are accepted and handed out.
const FIRST_TIME: Span = Span::HOUR.times(6);
/// The numbers of filers that are made up. No filer has them: the SEC has come to some two million.
pub const MADE_UP: std::ops::RangeInclusive<u64> = 9_900_000_001..=9_900_000_099;

impl Filing {
    /// When the public could know it.
    ///
    /// The instant of its acceptance, if that is on a business day, not before 06:00 and not after 17:30:00 in New
    /// York; else 06:00 of the business day on which it is handed out: the same one for a time before 06:00,
    /// the next one for a time after 17:30 or a day without business. Never before 06:00 of the official day of
    /// filing, so that letters that are published weeks after they were accepted are not known before. Where
    /// nobody says when it was accepted, the midnight in New York that ends the day of filing.
    ///
    /// Forms that are handed out on the same evening, such as those of insiders, are held to the same rule: it is
    /// never too early.
    #[must_use]
    pub fn known_at(&self) -> Timestamp {
        let official = instant(self.filed_on, FIRST_TIME);
        self.accepted_at.map_or_else(|| end_of(self.filed_on), |accepted_at| handed_out(accepted_at).max(official))
    }

    /// Whether it corrects an earlier one.
    #[must_use]
    pub fn is_amendment(&self) -> bool {
        self.form.ends_with("/A")
    }

    /// Whether it is one of the forms with a whole set of figures.
    #[must_use]
    pub fn is_periodic(&self) -> bool {
        is_periodic(&self.form)
    }

    /// Address of the filing's list of documents.
    #[must_use]
    pub fn url(&self) -> String {
        filing_url(self.cik, &self.accession)
    }
}

/// Whether a form comes with a whole set of figures that machines read.
#[must_use]
pub fn is_periodic(form: &str) -> bool {
    matches!(form.trim_end_matches("/A"), "10-Q" | "10-QT" | "10-K" | "10-KT" | "20-F" | "40-F")
}

/// Address of a filing's list of documents. That of a filer who is made up leads nowhere.
#[must_use]
pub fn filing_url(cik: u64, accession: &str) -> String {
    document_url(cik, accession, &format!("{accession}-index.htm"))
}

/// Address of a document of a filing, by its file name. That of a filer who is made up leads nowhere.
#[must_use]
pub fn document_url(cik: u64, accession: &str, name: &str) -> String {
    let host = if MADE_UP.contains(&cik) { "simulated.invalid" } else { "www.sec.gov" };
    format!("https://{host}/{}", document_path(cik, accession, name))
}

/// The part of that address behind the host.
#[must_use]
pub fn document_path(cik: u64, accession: &str, name: &str) -> String {
    let folder = accession.replace('-', "");
    format!("Archives/edgar/data/{cik}/{folder}/{name}")
}

/// The midnight in New York that ends a day: until then nobody may count on what was filed on it.
#[must_use]
pub fn end_of(day: Day) -> Timestamp {
    instant(day.plus(1), Span::ZERO)
}

/// When what was accepted at an instant is handed out.
fn handed_out(accepted_at: Timestamp) -> Timestamp {
    let local = local_time(accepted_at);
    let is_open = is_business_day(local.day);
    match local.time {
        time if !is_open || time > LAST_TIME => instant(next_business_day(local.day), FIRST_TIME),
        time if time < FIRST_TIME => instant(local.day, FIRST_TIME),
        _ => accepted_at,
    }
}

/// A number that a filing states, as the issuer tagged it.
#[derive(Debug, Clone, PartialEq)]
pub struct StatedFigure {
    pub cik: u64,
    pub accession: Arc<str>,
    /// Form of the filing.
    pub form: Arc<str>,
    pub filed_on: Day,
    pub item: Item,
    /// With its taxonomy, such as `us-gaap:Revenues`.
    pub concept: Arc<str>,
    /// Place of the concept among those that mean the item: 0 is preferred.
    pub rank: u8,
    /// As the filing writes it: `USD`, `shares`.
    pub unit: Arc<str>,
    /// First day of a period; `None` for a balance.
    pub start: Option<Day>,
    /// Last day of the period, or the day of the balance.
    pub end: Day,
    /// Finite and under [`LARGEST_VALUE`] either way.
    pub value: f64,
}

/// No issuer states a greater number; one that seems to is a mistake of scale.
pub const LARGEST_VALUE: f64 = 1e15;

/// A filing that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFiling {
    pub ticker: Arc<str>,
    pub filing: Filing,
    pub known_at: Timestamp,
    pub batch: i64,
}

/// Every stored filing, by ticker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filings {
    by_ticker: BTreeMap<Arc<str>, Vec<Arc<KnownFiling>>>,
}

impl Filings {
    /// These and more.
    #[must_use]
    pub fn with(mut self, filings: impl IntoIterator<Item = KnownFiling>) -> Self {
        for filing in filings {
            self.by_ticker.entry(Arc::clone(&filing.ticker)).or_default().push(Arc::new(filing));
        }
        for filings in self.by_ticker.values_mut() {
            filings.sort_by(|one, other| {
                let key = |known: &KnownFiling| (known.known_at, Arc::clone(&known.filing.accession));
                key(one).cmp(&key(other))
            });
        }
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_ticker.values().map(Vec::len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_ticker.is_empty()
    }

    /// What a view has of an issuer, in the order in which it was known.
    pub fn visible(&self, ticker: &str, moment: Moment) -> impl DoubleEndedIterator<Item = &KnownFiling> {
        let filings = self.by_ticker.get(ticker).into_iter().flatten().map(AsRef::as_ref);
        filings.filter(move |filing: &&KnownFiling| filing.known_at <= moment.at && filing.batch <= moment.batch)
    }

    /// The first instant after a moment at which a stored filing becomes known: filed in the evening, it is read
    /// at once and known on the next business day.
    #[must_use]
    pub fn next_known(&self, moment: Moment) -> Option<Timestamp> {
        let later = |filings: &Vec<Arc<KnownFiling>>| {
            let first = filings.partition_point(|filing| filing.known_at <= moment.at);
            filings.get(first).map(|filing| filing.known_at)
        };
        self.by_ticker.values().filter_map(later).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn known(accepted: &str, filed_on: &str) -> String {
        let filing = Filing {
            cik: 1,
            accession: "0000000001-25-000001".into(),
            form: "10-Q".into(),
            filed_on: Day::parse(filed_on).unwrap(),
            accepted_at: (!accepted.is_empty()).then(|| at(accepted)),
            report_on: None,
            items: Vec::new(),
            primary_document: String::new(),
        };
        filing.known_at().to_string()
    }

    #[test]
    fn a_filing_is_known_when_it_is_accepted() {
        assert_eq!(known("2025-05-08T20:05:17Z", "2025-05-08"), "2025-05-08T20:05:17Z");
        // 17:30:00 in New York is in time, one second later is not.
        assert_eq!(known("2025-05-08T21:30:00Z", "2025-05-08"), "2025-05-08T21:30:00Z");
        assert_eq!(known("2025-05-08T21:30:01Z", "2025-05-09"), "2025-05-09T10:00:00Z");
        assert_eq!(known("2025-01-08T22:30:00Z", "2025-01-08"), "2025-01-08T22:30:00Z");
        // 9 January 2025 was a day of mourning on which EDGAR was closed.
        assert_eq!(known("2025-01-08T22:30:01Z", "2025-01-10"), "2025-01-10T11:00:00Z");
        assert_eq!(known("2025-01-15T22:30:01Z", "2025-01-16"), "2025-01-16T11:00:00Z");
    }

    #[test]
    fn an_evening_before_days_off_is_known_after_them() {
        // Thursday evening before Independence Day on a Friday.
        assert_eq!(known("2025-07-03T21:45:00Z", "2025-07-07"), "2025-07-07T10:00:00Z");
        // Friday evening before the clock changes.
        assert_eq!(known("2025-03-07T23:00:00Z", "2025-03-10"), "2025-03-10T10:00:00Z");
        // Midnight stands for a day of which no time is known.
        assert_eq!(known("2010-01-04T05:00:00Z", "2010-01-04"), "2010-01-04T11:00:00Z");
    }

    #[test]
    fn what_is_published_later_or_without_a_time_is_not_known_before() {
        assert_eq!(known("2025-01-08T15:00:00Z", "2025-02-14"), "2025-02-14T11:00:00Z");
        assert_eq!(known("", "2025-05-08"), "2025-05-09T04:00:00Z");
    }

    #[test]
    fn a_made_up_filer_has_no_address_at_the_regulator() {
        assert_eq!(
            filing_url(1_507_605, "0001507605-25-000028"),
            "https://www.sec.gov/Archives/edgar/data/1507605/000150760525000028/0001507605-25-000028-index.htm"
        );
        assert!(filing_url(9_900_000_001, "9900000001-25-000001").starts_with("https://simulated.invalid/"));
    }
}

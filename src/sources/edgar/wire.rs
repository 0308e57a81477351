//! Answers of EDGAR. Days are `YYYY-MM-DD`, an absent text is `""`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::super::feed::Unusable;
use super::super::text::{Text, cut};

/// How much of an answer that makes no sense is shown.
const SHOWN: usize = 120;

/// `GET /submissions/CIK….json`: who files, and what was filed last.
#[derive(Debug, Clone, Deserialize)]
pub struct Submissions {
    /// A number, or a text with zeros before it.
    pub cik: Text,
    pub name: String,
    pub filings: Filings,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Filings {
    /// The newest first.
    pub recent: FilingColumns,
    /// Pages with older ones.
    pub files: Vec<OlderPage>,
}

/// A page of older filings: its columns stand at the top of the answer.
#[derive(Debug, Clone, Deserialize)]
pub struct OlderPage {
    pub name: String,
}

/// Filings as parallel columns. Columns that are not read here are not minded.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilingColumns {
    pub accession_number: Vec<String>,
    pub filing_date: Vec<String>,
    pub report_date: Vec<String>,
    pub acceptance_date_time: Vec<String>,
    pub form: Vec<String>,
    /// Separated by commas.
    pub items: Vec<String>,
    pub primary_document: Vec<String>,
}

impl FilingColumns {
    /// How many filings there are.
    ///
    /// # Errors
    /// [`Unusable::BadBody`] if the columns are not of the same length, so that nobody knows which values belong
    /// together.
    pub fn count(&self) -> Result<usize, Unusable> {
        let count = self.accession_number.len();
        let others = [
            &self.filing_date,
            &self.report_date,
            &self.acceptance_date_time,
            &self.form,
            &self.items,
            &self.primary_document,
        ];
        if others.iter().all(|column| column.len() == count) {
            return Ok(count);
        }
        let lengths: Vec<usize> = others.iter().map(|column| column.len()).collect();
        Err(Unusable::BadBody(format!("columns of filings have different lengths: {count} and {lengths:?}")))
    }
}

/// `GET /api/xbrl/companyfacts/CIK….json`: concepts by taxonomy, each read when it is wanted.
#[derive(Debug, Deserialize)]
pub struct CompanyFacts<'a> {
    pub cik: Text,
    #[serde(borrow)]
    pub facts: BTreeMap<String, BTreeMap<String, &'a RawValue>>,
}

/// Everything that was ever stated by one concept.
#[derive(Debug, Clone, Deserialize)]
pub struct Concept {
    pub units: BTreeMap<String, Vec<FactRow>>,
}

/// One statement. `fy` and `fp` speak of the filing and `frame` only stands on one of several: they are not read.
#[derive(Debug, Clone, Deserialize)]
pub struct FactRow {
    /// Absent for a balance.
    pub start: Option<String>,
    pub end: String,
    pub val: Text,
    /// The filing's accession number.
    pub accn: String,
    /// A few old ones have none.
    pub form: Option<String>,
    pub filed: String,
}

/// Reads an answer of any kind.
///
/// # Errors
/// [`Unusable::BadBody`] with what is wrong and how the answer begins; [`Unusable::RateLimited`] for the page
/// that says so, [`Unusable::Refused`] for an error of the storage behind.
pub fn parse<Body: DeserializeOwned>(body: &[u8]) -> Result<Body, Unusable> {
    markup(body).map_or_else(|| serde_json::from_slice(body).map_err(|error| bad(body, &error)), Err)
}

/// Reads figures; see [`parse`].
///
/// # Errors
/// As [`parse`].
pub fn parse_facts(body: &[u8]) -> Result<CompanyFacts<'_>, Unusable> {
    markup(body).map_or_else(|| serde_json::from_slice(body).map_err(|error| bad(body, &error)), Err)
}

/// Reads what was stated by one concept.
///
/// # Errors
/// [`Unusable::BadBody`] if it is in another shape.
pub fn parse_concept(raw: &RawValue) -> Result<Concept, Unusable> {
    serde_json::from_str(raw.get()).map_err(|error| bad(raw.get().as_bytes(), &error))
}

fn bad(body: &[u8], error: &serde_json::Error) -> Unusable {
    let begin = cut(&String::from_utf8_lossy(body), SHOWN);
    Unusable::BadBody(format!("not an answer of EDGAR: {error}; it begins {begin:?}"))
}

/// What an answer in HTML or XML says.
fn markup(body: &[u8]) -> Option<Unusable> {
    if body.trim_ascii_start().first() != Some(&b'<') {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    let said = between(&text, "<Message>", "</Message>").or_else(|| between(&text, "<title>", "</title>"));
    let said = cut(said.unwrap_or(&text), SHOWN);
    Some(if is_refusal(&text) {
        Unusable::RateLimited(format!(
            "EDGAR says {said:?}: too many requests, or a User-Agent without an address of who runs this"
        ))
    } else {
        Unusable::Refused(format!("EDGAR answers with markup: {said:?}"))
    })
}

/// Whether a page says that somebody asks too fast, or does not say who asks.
pub(super) fn is_refusal(page: &str) -> bool {
    page.contains("Request Rate Threshold") || page.contains("Undeclared Automated Tool")
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_no_answer_and_says_what_it_says() {
        let said = |body: &str| parse::<Submissions>(body.as_bytes()).unwrap_err();
        let page =
            "<!DOCTYPE html>\n<html><head><title>SEC.gov | Request Rate Threshold Exceeded</title></head></html>";
        assert_eq!(said(page).code(), "rate_limited");
        let missing = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>No such key.</Message></Error>";
        assert_eq!(said(missing), Unusable::Refused("EDGAR answers with markup: \"No such key.\"".into()));
        assert_eq!(said("[1]").code(), "bad_body");
    }

    #[test]
    fn columns_of_different_lengths_are_no_answer() {
        let columns = r#"{"accessionNumber":["a"],"filingDate":["2025-01-01","2025-01-02"],"reportDate":[""],
            "acceptanceDateTime":[""],"form":["4"],"items":[""],"primaryDocument":[""]}"#;
        let columns: FilingColumns = parse(columns.as_bytes()).unwrap();
        assert_eq!(columns.count().unwrap_err().code(), "bad_body");
    }
}

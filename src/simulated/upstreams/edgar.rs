//! EDGAR: lists of filings and figures of the issuers that do not exist.
//!
//! Documents are there of 8-Ks about a new debt. Stamps of acceptance are UTC. The newest filings stand on one page, the others on one more. Figures follow their
//! filing by some minutes. Who does not say who asks gets 403 and a page, what is not there 404 and XML.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::{Asked, Reply};
use crate::domain::filing::MADE_UP;
use crate::domain::time::Span;
use crate::simulated::issuers::{Document, ISSUERS, Issuer, NOTES_USD, documents};

/// Filings on the first page.
const RECENT: usize = 24;
/// How long figures take.
const FIGURES_AFTER: Span = Span::MINUTE.times(4);

pub(super) fn answer(asked: &Asked<'_>) -> Reply {
    if !asked.has_user_agent {
        return markup(403, "text/html", THROTTLED);
    }
    found(asked).unwrap_or_else(|| markup(404, "application/xml", MISSING))
}

fn found(asked: &Asked<'_>) -> Option<Reply> {
    if let Some(path) = asked.path.strip_prefix("/Archives/edgar/data/") {
        return document(asked, path);
    }
    let (folder, name) = asked.path.rsplit_once('/')?;
    let name = name.strip_prefix("CIK")?.strip_suffix(".json")?;
    let (number, page) = name.split_at_checked(10)?;
    let number: u64 = number.parse().ok()?;
    let issuer = &issuer(number)?;
    let filed = documents(asked.world, issuer);
    let body = match (folder, page) {
        ("/submissions", "") => submissions(issuer, &newest_first(&filed, asked, Span::ZERO)),
        ("/submissions", "-submissions-001") => {
            let all = newest_first(&filed, asked, Span::ZERO);
            columns(all.get(RECENT..).unwrap_or_default())
        }
        ("/api/xbrl/companyfacts", "") => {
            company_facts(issuer, filed.iter().filter(|one| one.accepted_at.plus(FIGURES_AFTER) <= asked.now))?
        }
        _ => return None,
    };
    Some(Reply::json(body.to_string()).tagged())
}

/// The issuer of a number; those after the six are their like, for who reads many at once.
fn issuer(cik: u64) -> Option<Issuer> {
    let place = MADE_UP.contains(&cik).then(|| cik - MADE_UP.start())?;
    let like = ISSUERS.iter().cycle().nth(usize::try_from(place).ok()?)?;
    Some(Issuer { cik, ..*like })
}

/// The document of a filing, by `cik/accession/name`.
fn document(asked: &Asked<'_>, path: &str) -> Option<Reply> {
    let mut steps = path.split('/');
    let (cik, folder, name) = (steps.next()?, steps.next()?, steps.next()?);
    let issuer = &issuer(cik.parse().ok()?)?;
    let filed = documents(asked.world, issuer);
    let accepted = filed.iter().filter(|one| one.accepted_at <= asked.now);
    let one = accepted.into_iter().find(|one| one.accession.replace('-', "") == folder && file_name(one) == name)?;
    let text = agreement(issuer, one)?;
    Some(markup(200, "text/html", &text))
}

/// An 8-K about new notes, as lawyers write it; `None` for other documents.
fn agreement(issuer: &Issuer, document: &Document) -> Option<String> {
    if !document.items.contains("2.03") {
        return None;
    }
    let (name, on, percent) = (issuer.name, document.report_on?, issuer.interest * 100.0);
    let millions = NOTES_USD / 1e6;
    Some(format!(
        "<html><head><title>8-K</title></head><body>\n<p>Item&#160;1.01 Entry into a Material Definitive Agreement.</p>\n\
         <p>On {on}, {name} (the &#8220;Company&#8221;) entered into an indenture with a trustee that does not exist. \
         Under it the Company issued ${millions:.1}&#160;million aggregate principal amount of {percent:.2}% senior \
         secured notes.</p>\n<p>Item&#160;2.03 Creation of a Direct Financial Obligation.</p>\n\
         <p>The information under Item 1.01 is incorporated by reference into this Item 2.03.</p>\n\
         <p>SIGNATURES</p></body></html>"
    ))
}

fn file_name(document: &Document) -> String {
    format!("{}.htm", document.form.to_lowercase().replace(['/', ' '], ""))
}

/// What was accepted so long ago, the newest first.
fn newest_first<'a>(filed: &'a [Document], asked: &Asked<'_>, ago: Span) -> Vec<&'a Document> {
    filed.iter().rev().filter(|document| document.accepted_at.plus(ago) <= asked.now).collect()
}

fn submissions(issuer: &Issuer, filed: &[&Document]) -> Value {
    let older = filed.get(RECENT..).filter(|older| !older.is_empty());
    let files: Vec<Value> = older
        .into_iter()
        .map(|older| {
            json!({
                "name": format!("CIK{:010}-submissions-001.json", issuer.cik),
                "filingCount": older.len(),
                "filingFrom": older.last().map(|document| document.filed_on.to_string()),
                "filingTo": older.first().map(|document| document.filed_on.to_string()),
            })
        })
        .collect();
    json!({
        "cik": format!("{:010}", issuer.cik),
        "name": issuer.name,
        "tickers": [issuer.ticker],
        "exchanges": ["Nowhere"],
        "fiscalYearEnd": "0000",
        "filings": {"recent": columns(&filed[..filed.len().min(RECENT)]), "files": files},
    })
}

fn columns(filed: &[&Document]) -> Value {
    let column = |value: &dyn Fn(&Document) -> String| filed.iter().map(|one| value(one)).collect::<Vec<_>>();
    let stamp = |one: &Document| one.accepted_at.to_string().replace('Z', ".000Z");
    let is_tagged: Vec<u8> = filed.iter().map(|one| u8::from(!one.statements.is_empty())).collect();
    json!({
        "accessionNumber": column(&|one| one.accession.clone()),
        "filingDate": column(&|one| one.filed_on.to_string()),
        "reportDate": column(&|one| one.report_on.map(|day| day.to_string()).unwrap_or_default()),
        "acceptanceDateTime": column(&stamp),
        "form": column(&|one| one.form.to_owned()),
        "items": column(&|one| one.items.to_owned()),
        "isXBRL": is_tagged,
        "primaryDocument": column(&file_name),
    })
}

/// `None` if nothing was tagged yet.
fn company_facts<'a>(issuer: &Issuer, filed: impl Iterator<Item = &'a Document>) -> Option<Value> {
    let mut taxonomies: BTreeMap<&str, BTreeMap<&str, BTreeMap<&str, Vec<Value>>>> = BTreeMap::new();
    for document in filed {
        for one in &document.statements {
            let (taxonomy, concept) = one.concept.split_once(':')?;
            let mut row = Map::new();
            if let Some(start) = one.start {
                row.insert("start".to_owned(), start.to_string().into());
            }
            row.insert("end".to_owned(), one.end.to_string().into());
            row.insert("val".to_owned(), one.value.into());
            row.insert("accn".to_owned(), document.accession.clone().into());
            row.insert("form".to_owned(), document.form.into());
            row.insert("filed".to_owned(), document.filed_on.to_string().into());
            let units = taxonomies.entry(taxonomy).or_default().entry(concept).or_default();
            units.entry(one.unit).or_default().push(row.into());
        }
    }
    if taxonomies.is_empty() {
        return None;
    }
    let facts: Map<String, Value> = taxonomies
        .into_iter()
        .map(|(taxonomy, concepts)| {
            let concepts: Map<String, Value> = concepts
                .into_iter()
                .map(|(concept, units)| (concept.to_owned(), json!({"label": concept, "units": units})))
                .collect();
            (taxonomy.to_owned(), concepts.into())
        })
        .collect();
    Some(json!({"cik": issuer.cik, "entityName": issuer.name, "facts": facts}))
}

fn markup(status: u16, content_type: &'static str, body: &str) -> Reply {
    Reply { content_type, ..Reply::with_status(status, body.to_owned()) }
}

const THROTTLED: &str = "<!DOCTYPE html>\n<html><head><title>SEC.gov | Request Rate Threshold Exceeded</title></head>\
    <body><h1>Your Request Originates from an Undeclared Automated Tool</h1></body></html>";
const MISSING: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The specified \
    key does not exist.</Message></Error>";

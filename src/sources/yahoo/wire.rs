//! `GET /v8/finance/chart/{ticker}?interval=1d`: an envelope with one result in columns, or an error.
//!
//! `timestamp` holds the openings of the sessions in epoch seconds; closes and volumes stand beside it and may be
//! null. Without any trading `timestamp` is absent and `quote` is `[{}]`. Splits are listed by their opening too.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::feed::Unusable;
use super::super::text::{Text, cut};

#[derive(Debug, Deserialize)]
struct Envelope {
    chart: Option<Outcome>,
    /// What refuses a request before it comes to the charts.
    finance: Option<Outcome>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    result: Option<Vec<Chart>>,
    error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    #[serde(default)]
    code: Text,
    #[serde(default)]
    description: Text,
}

/// The chart of a ticker.
#[derive(Debug, Clone, Deserialize)]
pub struct Chart {
    pub meta: Meta,
    timestamp: Option<Vec<Text>>,
    #[serde(default)]
    events: Events,
    indicators: Indicators,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// `USD`; `GBp` is pence.
    #[serde(default)]
    pub currency: Text,
    #[serde(default)]
    pub symbol: Text,
    /// Seconds that the exchange is ahead of UTC now, whatever it was at a session.
    #[serde(default, rename = "gmtoffset")]
    pub gmt_offset: Text,
    #[serde(default)]
    pub data_granularity: Text,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Events {
    #[serde(default)]
    splits: BTreeMap<String, SplitEvent>,
}

/// A split as it is listed: numerator new shares for denominator old ones.
#[derive(Debug, Clone, Deserialize)]
pub struct SplitEvent {
    /// The opening of its first session, epoch seconds.
    #[serde(default)]
    pub date: Text,
    #[serde(default)]
    pub numerator: Text,
    #[serde(default)]
    pub denominator: Text,
}

#[derive(Debug, Clone, Deserialize)]
struct Indicators {
    #[serde(default)]
    quote: Vec<Quote>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Quote {
    close: Option<Vec<Text>>,
    volume: Option<Vec<Text>>,
}

/// A session, adjusted for splits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its opening, epoch seconds.
    pub at: Text,
    /// In the currency of the chart; nothing where nobody traded.
    pub close: Text,
    /// In shares; nothing where nobody traded.
    pub volume: Text,
}

/// What an answer shows.
#[derive(Debug, Clone)]
pub enum Shown {
    Chart(Box<Chart>),
    /// There is no such ticker, or nothing of it in this time; what is said of it.
    Unknown(String),
}

/// The chart of an answer.
///
/// # Errors
/// [`Unusable::RateLimited`], [`Unusable::ServerError`] and [`Unusable::Refused`] by what the source says of
/// itself, [`Unusable::BadBody`] for anything that is no chart.
pub fn parse(body: &[u8]) -> Result<Shown, Unusable> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| not_json(body, &error))?;
    let outcome = envelope.chart.or(envelope.finance);
    let outcome = outcome.ok_or_else(|| Unusable::BadBody("neither a chart nor an error".to_owned()))?;
    if let Some(problem) = &outcome.error {
        return unknown(problem).map(Shown::Unknown).ok_or_else(|| unusable(problem));
    }
    let mut charts = outcome.result.unwrap_or_default().into_iter();
    match (charts.next(), charts.next()) {
        (Some(chart), None) => Ok(Shown::Chart(Box::new(chart))),
        _ => Err(Unusable::BadBody("not one chart; a chart for each request is expected".to_owned())),
    }
}

/// A demand to slow down comes as plain text.
fn not_json(body: &[u8], error: &serde_json::Error) -> Unusable {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    if asks_for_less(&text) {
        Unusable::RateLimited(cut(&text, 200))
    } else {
        Unusable::BadBody(format!("not a chart: {error}"))
    }
}

fn asks_for_less(text: &str) -> bool {
    text.to_ascii_lowercase().contains("too many requests")
}

/// What is said of a ticker that is unknown, or that was not traded in the time asked for.
fn unknown(problem: &Problem) -> Option<String> {
    let description = problem.description.get().unwrap_or_default();
    let is_unknown = problem.code.get() == Some("Not Found") || description.starts_with("Data doesn't exist for");
    is_unknown.then(|| cut(description, 200))
}

fn unusable(problem: &Problem) -> Unusable {
    let (code, description) = (problem.code.get().unwrap_or_default(), problem.description.get().unwrap_or_default());
    let said = cut(&format!("{code}: {description}"), 200);
    if asks_for_less(&said) {
        Unusable::RateLimited(said)
    } else if ["internal", "unavailable", "timeout"].iter().any(|word| code.to_ascii_lowercase().contains(word)) {
        Unusable::ServerError(said)
    } else {
        Unusable::Refused(said)
    }
}

impl Chart {
    /// Its sessions in the order shown; none where nobody traded.
    ///
    /// # Errors
    /// [`Unusable::BadBody`] if the columns are not of one length.
    pub fn sessions(&self) -> Result<Vec<Session>, Unusable> {
        let Some(stamps) = self.timestamp.as_ref().filter(|stamps| !stamps.is_empty()) else { return Ok(Vec::new()) };
        let quote = self.indicators.quote.first();
        let column = |column: Option<&Vec<Text>>, name: &str| {
            let length = column.map_or(0, Vec::len);
            column.filter(|_| length == stamps.len()).cloned().ok_or_else(|| {
                Unusable::BadBody(format!("{length} values of {name} beside {} timestamps", stamps.len()))
            })
        };
        let closes = column(quote.and_then(|quote| quote.close.as_ref()), "close")?;
        let volumes = column(quote.and_then(|quote| quote.volume.as_ref()), "volume")?;
        let values = closes.into_iter().zip(volumes);
        Ok(stamps.iter().zip(values).map(|(at, (close, volume))| Session { at: at.clone(), close, volume }).collect())
    }

    /// The splits from the begin of the time asked for on.
    pub fn splits(&self) -> impl Iterator<Item = &SplitEvent> {
        self.events.splits.values()
    }
}

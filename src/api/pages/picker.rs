//! The form of a metric's page: which stretch of it, and as known when.
//!
//! What it chooses is a query of `/v1/series/{metric}`, and is read as that, so page, chart and the
//! lines to copy show the same rows.

use std::sync::Arc;

use crate::api::answer::ApiState;
use crate::api::params::Params;
use crate::api::problem::Problem;
use crate::api::snapshot::Snapshot;
use crate::api::view::{VIEW_PARAMS, View};
use crate::domain::observation::Resolution;
use crate::domain::time::Timestamp;

/// The parameters of the page.
pub const PARAMS: [&str; 6] = ["subject", "resolution", "range", "start", "end", "as_of"];

/// The ranges with what each is called, and the `start` of the API that it stands for.
pub const RANGES: [(&str, &str, &str); 6] = [
    ("30d", "30 days", "-30d"),
    ("90d", "90 days", "-90d"),
    ("1y", "1 year", "-365d"),
    ("4y", "4 years", "-1461d"),
    ("all", "all", ""),
    ("custom", "custom", ""),
];

const DEFAULT_RANGE: &str = "1y";

/// What a reader chose, as the fields of the form show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub subject: String,
    pub resolution: Resolution,
    pub range: &'static str,
    /// As written; empty where none was given.
    pub start: String,
    pub end: String,
    /// In a form that the API takes; empty for the newest knowledge.
    pub as_of: String,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            subject: "btc".to_owned(),
            resolution: Resolution::Day,
            range: DEFAULT_RANGE,
            start: String::new(),
            end: String::new(),
            as_of: String::new(),
        }
    }
}

impl Choice {
    /// Reads the query of the page.
    ///
    /// # Errors
    /// 400 for unknown and repeated parameters, for words that are no range, and for dates beside a
    /// range that has none.
    pub fn read(raw_query: Option<&str>) -> Result<Self, Problem> {
        let params = Params::parse(raw_query, &PARAMS)?;
        let text = |name: &str| Ok::<_, Problem>(params.text(name)?.unwrap_or_default().to_owned());
        let (start, end) = (text("start")?, text("end")?);
        let has_dates = !start.is_empty() || !end.is_empty();
        let range = params.one_of("range", &RANGES.map(|(name, ..)| name))?;
        let range = range.unwrap_or(if has_dates { "custom" } else { DEFAULT_RANGE });
        if range != "custom" && has_dates {
            let detail =
                format!("start and end belong to the range “custom”, not to “{range}”: choose it, or empty them");
            return Err(Problem::bad_parameter("range", detail));
        }
        let resolution = params.one_of("resolution", &["1d", "1h"])?.and_then(Resolution::from_name);
        Ok(Self {
            subject: params.text("subject")?.unwrap_or("btc").to_owned(),
            resolution: resolution.unwrap_or(Resolution::Day),
            range,
            start,
            end,
            as_of: with_zone(&text("as_of")?),
        })
    }

    /// What the form's field for a moment shows: without the `Z`, which it has no place for.
    #[must_use]
    pub fn as_of_field(&self) -> &str {
        self.as_of.strip_suffix('Z').unwrap_or(&self.as_of)
    }

    /// Whether that is a moment as such a field takes it, to the second at most.
    #[must_use]
    pub fn has_plain_moment(&self) -> bool {
        self.as_of.is_empty() || (self.as_of.len() == 20 && self.as_of.ends_with('Z'))
    }

    /// The same as a query of `/v1/series/{metric}`.
    #[must_use]
    pub fn query(&self) -> String {
        let of_range = RANGES.iter().find(|(name, ..)| *name == self.range).map_or("", |(.., start)| *start);
        let start = if self.range == "custom" { &self.start } else { of_range };
        let resolution = if self.resolution == Resolution::Day { "" } else { self.resolution.name() };
        let subject = if self.subject == "btc" { "" } else { &self.subject };
        let given = [
            ("subject", subject),
            ("resolution", resolution),
            ("start", start),
            ("end", &self.end),
            ("as_of", &self.as_of),
        ];
        // No values of its own: only for the writing.
        Params::parse(None, &accepted()).map_or_else(|_| String::new(), |empty| empty.canonical_query(&[], &given))
    }

    /// The view and the range, as the API reads [`Choice::query`].
    ///
    /// # Errors
    /// 400 for what is no moment, for one in the future, and for a range that ends before it begins.
    pub fn resolve(&self, state: &ApiState, snapshot: Arc<Snapshot>) -> Result<Chosen, Problem> {
        let params = Params::parse(Some(&self.query()), &accepted())?;
        let view = View::of(&params, snapshot, &state.clock)?;
        let at = view.moment.at;
        let moment = |name| Ok::<_, Problem>(params.moment(name)?.map(|moment| moment.resolve(at)));
        let (start, end) = (moment("start")?, moment("end")?);
        if start.zip(end).is_some_and(|(start, end)| end <= start) {
            return Err(Problem::bad_parameter("end", "is not after start; the range is [start, end)"));
        }
        Ok(Chosen { view, start, end })
    }
}

/// What a choice comes to.
pub struct Chosen {
    pub view: View,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
}

fn accepted() -> Vec<&'static str> {
    ["subject", "resolution", "start", "end"].into_iter().chain(VIEW_PARAMS).collect()
}

/// A moment out of a form, `2024-12-02T10:30` or with seconds, is UTC; anything else stays as it is.
fn with_zone(text: &str) -> String {
    let is_moment = text.len() >= 16
        && text.as_bytes()[10] == b'T'
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"-:T.".contains(&byte));
    match text.len() {
        16 if is_moment => format!("{text}:00Z"),
        _ if is_moment => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query_of(page_query: &str) -> String {
        Choice::read(Some(page_query)).unwrap().query()
    }

    #[test]
    fn a_choice_is_a_query_of_the_api() {
        assert_eq!(query_of(""), "start=-365d");
        assert_eq!(query_of("range=all"), "");
        assert_eq!(query_of("range=30d&as_of="), "start=-30d");
        assert_eq!(query_of("range=90d&as_of=2024-12-02T10:30"), "start=-90d&as_of=2024-12-02T10:30:00Z");
        assert_eq!(query_of("as_of=2024-12-02T10%3A30%3A59"), "start=-365d&as_of=2024-12-02T10:30:59Z");
        assert_eq!(query_of("as_of=2024-12-02&range=4y"), "start=-1461d&as_of=2024-12-02");
        assert_eq!(query_of("range=custom&start=2024-01-01&end=2024-02-01"), "start=2024-01-01&end=2024-02-01");
        assert_eq!(query_of("start=2024-01-01"), "start=2024-01-01");
        assert_eq!(query_of("subject=MARA&resolution=1h&range=all"), "subject=MARA&resolution=1h");
    }

    #[test]
    fn the_field_shows_what_was_chosen() {
        let choice = Choice::read(Some("as_of=2024-12-02T10:30")).unwrap();
        assert_eq!((choice.as_of_field(), choice.has_plain_moment()), ("2024-12-02T10:30:00", true));
        assert!(!Choice::read(Some("as_of=2024-12-02T10:30:00.123456Z")).unwrap().has_plain_moment());
        assert!(!Choice::read(Some("as_of=-30d")).unwrap().has_plain_moment());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (query, word) in [
            ("range=week", "30d, 90d, 1y, 4y, all, custom"),
            ("range=30d&start=2024-01-01", "custom"),
            ("since=1", "since"),
            ("range=30d&range=90d", "more than once"),
        ] {
            let problem = Choice::read(Some(query)).unwrap_err();
            assert!(problem.detail().contains(word), "{query}: {}", problem.detail());
        }
    }
}

//! From a request to bytes: the question, the content an endpoint makes of it, and the cache.
//!
//! An endpoint is a pure function from a [`Question`] to a [`Content`]. Everything else is here:
//! strict parameters, the form, the view, the demand for freshness, rendering once, headers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, LINK};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use moka::sync::Cache;
use serde::Serialize;

use super::chart::{Chart, SIZE_PARAMS, Size};
use super::cursor::Cursor;
use super::form::{self, Asked, Form};
use super::guard::Guard;
use super::number::append_json;
use super::params::Params;
use super::problem::{Code, Problem};
use super::rendered::{ContentFacts, Rendered, ResponseFacts, respond};
use super::snapshot::{Published, Snapshot};
use super::v1::shapes::{Links, Meta};
use super::view::{Demand, Freshness, VIEW_PARAMS, View};
use crate::clock::Clock;

/// Rendered answers are kept up to this many bytes in all.
const CACHE_BYTES: u64 = 64 << 20;
/// A rendered answer that nobody asks for is dropped after this long.
const CACHE_IDLE: Duration = Duration::from_mins(30);

/// What every handler has at hand.
#[derive(Clone)]
pub struct ApiState {
    pub published: Arc<Published>,
    pub guard: Arc<Guard>,
    pub clock: Clock,
    /// Answers that can never change.
    permanent: Answers,
}

impl ApiState {
    #[must_use]
    pub fn new(published: Arc<Published>, guard: Arc<Guard>, clock: Clock) -> Self {
        Self { published, guard, clock, permanent: Answers::default() }
    }

    /// The current snapshot.
    ///
    /// # Errors
    /// 503 `starting` before the first one is loaded.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        self.published
            .snapshot()
            .ok_or_else(|| Problem::new(Code::Starting, "The first snapshot is not loaded yet; try again in a moment."))
    }
}

/// Rendered answers: those of one snapshot, which go with it, or those that can never change.
///
/// An answer of a snapshot may be slices of the snapshot's [`super::columns::Columns`], so it must not
/// outlive it: a page of a few rows would keep whole series in memory.
#[derive(Clone)]
pub struct Answers(Cache<String, Arc<Cached>>);

impl Default for Answers {
    fn default() -> Self {
        let weigh =
            |key: &String, cached: &Arc<Cached>| u32::try_from(key.len() + cached.rendered.size()).unwrap_or(u32::MAX);
        Self(Cache::builder().weigher(weigh).max_capacity(CACHE_BYTES).time_to_idle(CACHE_IDLE).build())
    }
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answers({} kept)", self.0.entry_count())
    }
}

/// An endpoint: what it takes, in which forms it comes, and how its content is made.
pub struct Endpoint {
    /// Parameters besides those that choose the view and the form.
    pub params: &'static [&'static str],
    /// The forms it comes in, the default first.
    pub forms: &'static [Form],
    /// Makes the content; `subject` of the path (a metric) is in the question.
    pub content: fn(&Question) -> Result<Content, Problem>,
    /// Whether `.txt` refuses stale values unless told otherwise.
    pub text_demands_fresh: bool,
}

/// What a client asked.
pub struct Question {
    pub params: Params,
    pub form: Form,
    /// Only the array, without envelope.
    pub flat: bool,
    pub view: View,
    /// The route's path, without suffix.
    pub path: String,
    /// The path as it was written.
    asked_path: String,
    /// The last step of the path, where the route has one (a metric).
    pub name: Option<String>,
    /// Where the page begins or ends; the view is at its moment.
    pub cursor: Option<Cursor>,
    /// Whether the path comes as a chart too.
    has_chart: bool,
}

/// What an endpoint has to say.
pub struct Content {
    pub data: Box<dyn Data + Send>,
    pub meta: Meta,
    pub freshness: Freshness,
    /// The cursor of the next page.
    pub next_cursor: Option<String>,
}

/// Data that can be written in every form.
pub trait Data {
    /// The member `data` of the envelope.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()>;
    /// The elements of an array that is written already, with the commas between them: shared
    /// bytes, which an answer need not copy.
    fn written_elements(&self) -> Option<Bytes> {
        None
    }
    /// A bare array.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn flat(&self) -> serde_json::Result<Vec<u8>>;
    /// CSV with a header line.
    ///
    /// # Errors
    /// When a row is not an object.
    fn csv(&self) -> serde_json::Result<Vec<u8>>;
    /// One object a line.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn ndjson(&self) -> serde_json::Result<Vec<u8>>;
    /// Plain text; `None` where there is none.
    fn text(&self) -> Option<String> {
        None
    }
    /// Events for a calendar (RFC 5545); `None` where there are none.
    fn calendar(&self) -> Option<String> {
        None
    }
    /// The picture of it; `None` where there is none. Its size is set by who shows it.
    fn chart(&self) -> Option<Chart> {
        None
    }
}

/// Data with its picture. An endpoint that offers [`Form::Svg`] makes its data so where
/// [`Question::form`] asks for the picture, and without it otherwise.
pub struct Charted {
    pub data: Box<dyn Data + Send>,
    pub chart: Chart,
}

impl Data for Charted {
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        self.data.write_json(out)
    }

    fn written_elements(&self) -> Option<Bytes> {
        self.data.written_elements()
    }

    fn flat(&self) -> serde_json::Result<Vec<u8>> {
        self.data.flat()
    }

    fn csv(&self) -> serde_json::Result<Vec<u8>> {
        self.data.csv()
    }

    fn ndjson(&self) -> serde_json::Result<Vec<u8>> {
        self.data.ndjson()
    }

    fn text(&self) -> Option<String> {
        self.data.text()
    }

    fn chart(&self) -> Option<Chart> {
        Some(self.chart.clone())
    }
}

/// A list: every form has the same rows.
pub struct Rows<T> {
    pub rows: Vec<T>,
    /// The columns of CSV, in order.
    pub columns: Vec<String>,
}

impl<T: Serialize> Data for Rows<T> {
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        append_json(out, &self.rows)
    }

    fn flat(&self) -> serde_json::Result<Vec<u8>> {
        form::render_flat(&self.rows)
    }

    fn csv(&self) -> serde_json::Result<Vec<u8>> {
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        form::render_csv(&self.rows, &columns)
    }

    fn ndjson(&self) -> serde_json::Result<Vec<u8>> {
        form::render_ndjson(&self.rows)
    }
}

/// One object: a *now* view. Row forms show one row of its scalars.
pub struct Object<T>(pub T);

impl<T: Serialize> Data for Object<T> {
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        append_json(out, &self.0)
    }

    fn flat(&self) -> serde_json::Result<Vec<u8>> {
        form::render_flat(&[form::scalars(&self.0)?])
    }

    fn csv(&self) -> serde_json::Result<Vec<u8>> {
        let rows = [form::scalars(&self.0)?];
        form::render_csv(&rows, &form::columns_of(&rows))
    }

    fn ndjson(&self) -> serde_json::Result<Vec<u8>> {
        form::render_ndjson(&[form::scalars(&self.0)?])
    }
}

/// A map of objects: row forms show one row for each key, the key first.
pub struct Keyed<T> {
    pub map: T,
    /// The name of the key's column.
    pub key_column: &'static str,
    /// What `.txt` says.
    pub text: Option<String>,
}

impl<T: Serialize> Data for Keyed<T> {
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        append_json(out, &self.map)
    }

    fn flat(&self) -> serde_json::Result<Vec<u8>> {
        form::render_flat(&form::keyed_rows(&self.map, self.key_column)?)
    }

    fn csv(&self) -> serde_json::Result<Vec<u8>> {
        let rows = form::keyed_rows(&self.map, self.key_column)?;
        form::render_csv(&rows, &form::columns_of(&rows))
    }

    fn ndjson(&self) -> serde_json::Result<Vec<u8>> {
        form::render_ndjson(&form::keyed_rows(&self.map, self.key_column)?)
    }

    fn text(&self) -> Option<String> {
        self.text.clone()
    }
}

/// A rendered answer with what its freshness is judged by.
struct Cached {
    rendered: Arc<Rendered>,
    freshness: Freshness,
}

const X_DEGRADED: HeaderName = HeaderName::from_static("x-degraded");
const X_OBSERVED_UNTIL: HeaderName = HeaderName::from_static("x-observed-until");
const X_SIMULATED: HeaderName = HeaderName::from_static("x-simulated");
const X_SNAPSHOT_ID: HeaderName = HeaderName::from_static("x-snapshot-id");
const X_STALE: HeaderName = HeaderName::from_static("x-stale");

/// Our own pages: style and script are files of ours, and nothing else is loaded or run.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Parameters that choose the form.
const FORM_PARAMS: [&str; 2] = ["format", "flat"];

impl Endpoint {
    /// Every parameter that the endpoint takes.
    #[must_use]
    pub fn accepted(&self) -> Vec<&'static str> {
        let of_chart: &[&str] = if self.has_chart() { &SIZE_PARAMS } else { &[] };
        self.params.iter().chain(&VIEW_PARAMS).chain(&FORM_PARAMS).chain(of_chart).copied().collect()
    }

    fn has_chart(&self) -> bool {
        self.forms.contains(&Form::Svg)
    }

    /// Answers a request.
    pub async fn answer(&'static self, state: ApiState, name: Option<String>, request: Request) -> Response {
        match self.try_answer(&state, name, request).await {
            Ok(response) => response,
            Err(problem) => refuse(&state, problem),
        }
    }

    async fn try_answer(
        &'static self,
        state: &ApiState,
        name: Option<String>,
        request: Request,
    ) -> Result<Response, Problem> {
        let question = self.read(state, name, &request)?;
        let demand = Demand::of(&question.params, self.text_demands_fresh && question.form == Form::Text)?;
        let view = question.view.clone();
        let cached = self.cached(state, question).await?;
        let now = state.clock.now().max(view.snapshot.instant);
        let facts = facts(state, &view, &cached, now);
        demand
            .check(&cached.freshness, view.as_of.unwrap_or(now))
            .map_err(|problem| problem.with_headers(observed_until(&cached.freshness).into_iter().collect()))?;
        Ok(respond(&cached.rendered, request.headers(), request.method(), &facts))
    }

    fn read(&self, state: &ApiState, name: Option<String>, request: &Request) -> Result<Question, Problem> {
        let params = Params::parse(request.uri().query(), &self.accepted())?;
        let asked = request.extensions().get::<Asked>();
        let suffix = asked.and_then(|asked| asked.form);
        let format = form::asked_by_parameter(&params, self.forms)?;
        let accept = request.headers().get(axum::http::header::ACCEPT);
        let form = form::choose(suffix, format, accept, self.forms)?;
        if self.has_chart() && form != Form::Svg {
            refuse_size(&params)?;
        }
        let path = request.uri().path().to_owned();
        let cursor = if self.params.contains(&"cursor") { params.text("cursor")? } else { None };
        let cursor = cursor.map(Cursor::parse).transpose()?;
        let mut view = View::of(&params, state.snapshot()?, &state.clock)?;
        if let Some(cursor) = cursor {
            let moment = cursor.check(&view, query_mark(&path, &params))?;
            view = view.at(moment);
        }
        Ok(Question {
            flat: params.flag("flat")?.unwrap_or(false),
            view,
            cursor,
            asked_path: asked.map_or_else(|| path.clone(), |asked| asked.path.clone()),
            params,
            form,
            path,
            name,
            has_chart: self.has_chart(),
        })
    }

    async fn cached(&'static self, state: &ApiState, question: Question) -> Result<Arc<Cached>, Problem> {
        let key = question.cache_key();
        let view = &question.view;
        let Answers(cache) = if view.is_permanent { &state.permanent } else { &view.snapshot.answers };
        if let Some(cached) = cache.get(&key) {
            return Ok(cached);
        }
        let content = self.content;
        let cache = cache.clone();
        // Some milliseconds of arithmetic: not on a thread that serves connections. The task puts its
        // result into the cache itself, so that one that outlasts the time limit of its request
        // answers the next one; and requests for the same wait for one of them to render.
        let rendering = tokio::task::spawn_blocking(move || {
            cache.try_get_with(key, || Ok(Arc::new(question.render(&content(&question)?)?)))
        });
        let cached = rendering.await.map_err(|error| Problem::internal(&error))?;
        cached.map_err(|problem: Arc<Problem>| Arc::unwrap_or_clone(problem))
    }
}

/// Refuses the parameters that only a chart has.
fn refuse_size(params: &Params) -> Result<(), Problem> {
    let Some(name) = SIZE_PARAMS.into_iter().find(|name| params.has(name)) else { return Ok(()) };
    let detail = format!("{name} is for charts; ask for one with the suffix .svg or format=svg.");
    Err(Problem::new(Code::ConflictingParameters, detail).at_parameter(name, "is for charts only"))
}

/// A page, or its text for agents: made of a view, and kept and sent as other answers are.
pub struct Page {
    pub body: String,
    pub media_type: &'static str,
    pub freshness: Freshness,
}

/// Answers with what `render` makes of a view; `key` names it among the pages of the view's snapshot.
///
/// # Errors
/// Those of `render`.
pub async fn answer_page(
    state: &ApiState,
    view: View,
    key: &str,
    request: &Parts,
    render: impl FnOnce(&View) -> Result<Page, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let key = format!("page {key}");
    let snapshot = Arc::clone(&view.snapshot);
    let Answers(cache) = snapshot.answers.clone();
    let cached = if let Some(cached) = cache.get(&key) {
        cached
    } else {
        let rendering = tokio::task::spawn_blocking(move || {
            cache.try_get_with(key, || Ok(Arc::new(render_page(&view, &render(&view)?))))
        });
        let cached = rendering.await.map_err(|error| Problem::internal(&error))?;
        cached.map_err(|problem: Arc<Problem>| Arc::unwrap_or_clone(problem))?
    };
    // Readers of pages reload them by hand and then want the newest.
    let facts = ResponseFacts { cache_control: "private, no-cache".to_owned(), extra: state_headers(state, &snapshot) };
    Ok(respond(&cached.rendered, &request.headers, &request.method, &facts))
}

fn render_page(view: &View, page: &Page) -> Cached {
    let mut extra = vec![(X_STALE, flag(page.freshness.is_stale(view.moment.at)))];
    extra.extend(observed_until(&page.freshness));
    if page.media_type.starts_with("text/html") {
        extra.push((CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY)));
    }
    let facts = ContentFacts { media_type: page.media_type, last_modified: view.snapshot.instant, extra };
    Cached { rendered: Arc::new(Rendered::new(page.body.clone(), facts)), freshness: page.freshness }
}

impl Question {
    /// The instant that staleness in the body is judged at, and relative times count from.
    #[must_use]
    pub const fn at(&self) -> crate::domain::time::Timestamp {
        self.view.moment.at
    }

    /// The cursor of a page that begins or ends at a row.
    #[must_use]
    pub fn cursor_at(&self, position: usize) -> Cursor {
        Cursor { moment: self.view.moment, position, query: query_mark(&self.path, &self.params) }
    }

    fn cache_key(&self) -> String {
        let query = self.params.canonical_query(&["require", "max_age"], &[]);
        format!("{} {} {query}", self.form.name(), self.asked_path)
    }

    fn render(&self, content: &Content) -> Result<Cached, Problem> {
        let links = self.links(content);
        let parts =
            match self.form {
                Form::Json if self.flat => vec![content.data.flat()?.into()],
                Form::Json => envelope(content, &links)?,
                Form::Csv => vec![content.data.csv()?.into()],
                Form::Ndjson => vec![content.data.ndjson()?.into()],
                Form::Text => {
                    vec![content.data.text().map(Bytes::from).ok_or_else(|| {
                        Problem::new(Code::Stale, "There is no value to give as text.").retry_after(60)
                    })?]
                }
                Form::Ics => {
                    vec![content.data.calendar().map(Bytes::from).ok_or_else(|| {
                        Problem::new(Code::NotAcceptable, "There is no calendar of this; it comes as .json and .csv.")
                    })?]
                }
                Form::Svg => {
                    let chart = content.data.chart().ok_or_else(|| {
                        Problem::new(Code::NotAcceptable, "There is no chart of this; it comes as .json and .csv.")
                    })?;
                    vec![chart.with_size(Size::of(&self.params)?).svg()?.into()]
                }
            };
        let view = &self.view;
        // What stays for long must not hold on to the columns of a snapshot.
        let parts = if view.is_permanent { vec![Bytes::from(parts.concat())] } else { parts };
        let facts = ContentFacts {
            media_type: self.form.media_type(),
            // A past moment can be known better with the next batch, so T says nothing of the last change.
            last_modified: if view.is_permanent { view.moment.at } else { view.snapshot.instant },
            extra: self.headers(&content.freshness, links.next.as_deref()),
        };
        Ok(Cached { rendered: Arc::new(Rendered::of_parts(parts, facts)), freshness: content.freshness })
    }

    fn headers(&self, freshness: &Freshness, next: Option<&str>) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = vec![(X_STALE, flag(freshness.is_stale(self.at())))];
        headers.extend(observed_until(freshness));
        if let Some(next) = next {
            headers.push((LINK, text(&format!("<{next}>; rel=\"next\""))));
        }
        headers
    }

    fn links(&self, content: &Content) -> Links {
        let address =
            |path: &str, query: String| if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let moment = self.view.moment;
        let (as_of, snapshot) = (moment.at.to_string(), moment.batch.to_string());
        let next = content.next_cursor.as_ref().map(|cursor| {
            // A relative as_of would mean another moment later, so the next page names the moment.
            let fixed = if self.view.as_of.is_some() { as_of.as_str() } else { "" };
            let with = [("as_of", fixed), ("cursor", cursor.as_str())];
            address(&self.asked_path, self.params.canonical_query(&["cursor", "as_of"], &with))
        });
        let permanent = [("as_of", as_of.as_str()), ("snapshot", snapshot.as_str())];
        Links {
            this: address(&self.asked_path, self.params.canonical_query(&[], &[])),
            permanent: address(
                &self.asked_path,
                self.params.canonical_query(&["basis", "require", "max_age"], &permanent),
            ),
            csv: address(
                &format!("{}.csv", self.path),
                self.params.canonical_query(&["format", "flat", "cursor", "width", "height"], &[]),
            ),
            svg: self.has_chart.then(|| {
                let query = self.params.canonical_query(&["format", "flat", "cursor", "columns"], &[]);
                address(&format!("{}.svg", self.path), query)
            }),
            next,
        }
    }
}

fn envelope(content: &Content, links: &Links) -> Result<Vec<Bytes>, Problem> {
    let mut parts = Vec::new();
    let mut out = b"{\"data\":".to_vec();
    match content.data.written_elements() {
        Some(elements) => {
            out.push(b'[');
            parts.push(Bytes::from(std::mem::take(&mut out)));
            parts.push(elements);
            out.push(b']');
        }
        None => content.data.write_json(&mut out)?,
    }
    out.extend_from_slice(b",\"meta\":");
    append_json(&mut out, &content.meta)?;
    out.extend_from_slice(b",\"links\":");
    append_json(&mut out, links)?;
    out.extend_from_slice(b"}\n");
    parts.push(out.into());
    Ok(parts)
}

fn facts(state: &ApiState, view: &View, cached: &Cached, now: crate::domain::time::Timestamp) -> ResponseFacts {
    let cache_control = if view.is_permanent {
        "private, max-age=31536000, immutable".to_owned()
    } else if view.as_of.is_some() {
        "private, max-age=60".to_owned()
    } else {
        format!("private, max-age={}", cached.freshness.max_age_seconds(now))
    };
    ResponseFacts { cache_control, extra: state_headers(state, &view.snapshot) }
}

fn observed_until(freshness: &Freshness) -> Option<(HeaderName, HeaderValue)> {
    freshness.observed_until.map(|at| (X_OBSERVED_UNTIL, text(&at.to_string())))
}

/// A problem with the headers that name the snapshot, as on answers.
fn refuse(state: &ApiState, problem: Problem) -> Response {
    let is_stale = problem.code() == Code::Stale;
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    if let Some(snapshot) = state.published.snapshot() {
        headers.extend(state_headers(state, &snapshot));
    }
    if is_stale {
        headers.extend([(X_STALE, flag(true))]);
    }
    response
}

/// Parameters that do not change which rows there are, nor their order in time. The moment is part
/// of the cursor itself.
const NOT_OF_THE_ROWS: [&str; 12] = [
    "cursor", "limit", "columns", "format", "flat", "width", "height", "as_of", "snapshot", "basis", "require",
    "max_age",
];

/// A mark of what a cursor counts: the path and the parameters that choose its rows.
fn query_mark(path: &str, params: &Params) -> u32 {
    let hash = blake3::hash(format!("{path}?{}", params.canonical_query(&NOT_OF_THE_ROWS, &[])).as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The headers that every answer about data carries, whatever its form.
#[must_use]
pub fn state_headers(state: &ApiState, snapshot: &Snapshot) -> Vec<(HeaderName, HeaderValue)> {
    let simulated = snapshot.stored.mode.is_simulated();
    let mut headers = vec![(X_SIMULATED, flag(simulated)), (X_SNAPSHOT_ID, text(&snapshot.id()))];
    if state.published.is_degraded() {
        headers.push((X_DEGRADED, HeaderValue::from_static("database")));
    }
    headers
}

const fn flag(set: bool) -> HeaderValue {
    HeaderValue::from_static(if set { "true" } else { "false" })
}

/// A value of our own making. All are numbers, times and percent-encoded addresses, so none can be
/// refused; an empty one stands in rather than a panic.
fn text(value: &str) -> HeaderValue {
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_the_rows_it_counts() {
        const ACCEPTED: &[&str] = &["start", "limit", "cursor", "as_of", "snapshot"];
        let mark = |path: &str, query: &str| query_mark(path, &Params::parse(Some(query), ACCEPTED).unwrap());
        let first = mark("/v1/series/price_usd", "start=2024-01-01&limit=5");
        let later = "as_of=2024-06-01&snapshot=3&start=2024-01-01&limit=9&cursor=x";
        assert_eq!(first, mark("/v1/series/price_usd", later));
        assert_ne!(first, mark("/v1/series/price_usd", "start=2024-01-02&limit=5"));
        assert_ne!(first, mark("/v1/series/fees_btc", "start=2024-01-01&limit=5"));
    }
}

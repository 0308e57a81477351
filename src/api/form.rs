//! The forms an answer comes in, how a request chooses one, and how rows are written in it.
//!
//! The path's suffix decides, then `format=`, then `Accept`. Suffixes are taken off before routing
//! by [`strip_suffix`], so a route is written once, without them.

use axum::extract::Request;
use axum::http::{HeaderValue, Uri};
use serde::Serialize;
use serde::ser::Error as _;
use serde_json::{Map, Value};

use super::number::{append_json, write_json_number};
use super::params::Params;
use super::problem::{Code, Problem, shorten};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// `application/json`, with `data`, `meta` and `links` unless flat.
    Json,
    /// `text/csv` with a header line.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Plain text, such as a bare decimal.
    Text,
    /// A chart.
    Svg,
    /// Events for a calendar (RFC 5545).
    Ics,
}

/// What most answers come in: rows of an object or a list.
pub const ROW_FORMS: &[Form] = &[Form::Json, Form::Csv, Form::Ndjson];

/// The same for what has dates.
pub const DATED_FORMS: &[Form] = &[Form::Json, Form::Csv, Form::Ndjson, Form::Ics];

/// The same for what can be drawn.
pub const DRAWN_FORMS: &[Form] = &[Form::Json, Form::Csv, Form::Ndjson, Form::Svg];

/// What [`strip_suffix`] found: in the extensions of every request behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The path as the client wrote it, suffix included.
    pub path: String,
    /// The form of the suffix, if the path had one.
    pub form: Option<Form>,
}

impl Form {
    pub const ALL: [Self; 6] = [Self::Json, Self::Csv, Self::Ndjson, Self::Text, Self::Svg, Self::Ics];

    /// The suffix without its dot, which is also the value of `format=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Text => "txt",
            Self::Svg => "svg",
            Self::Ics => "ics",
        }
    }

    /// The `Content-Type` of the form.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
            Self::Text => "text/plain; charset=utf-8",
            Self::Svg => "image/svg+xml",
            Self::Ics => "text/calendar; charset=utf-8",
        }
    }

    /// The form with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// The names by which `Accept` may ask for the form; the first is the one sent.
    const fn accepted_types(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            Self::Csv => &["text/csv"],
            Self::Ndjson => &["application/x-ndjson", "application/ndjson", "application/jsonl"],
            Self::Text => &["text/plain"],
            Self::Svg => &["image/svg+xml"],
            Self::Ics => &["text/calendar"],
        }
    }
}

/// Takes a known suffix off the last step of a path under `/v1/` and leaves what it was in
/// [`Asked`]. Other suffixes and other paths stay as they are.
///
/// It changes the path that is routed, so it must wrap the whole router.
#[must_use]
pub fn strip_suffix(mut request: Request) -> Request {
    let path = request.uri().path().to_owned();
    let found = split_suffix(&path);
    let form = found.map(|(_, form)| form);
    if let Some(uri) = found.and_then(|(stem, _)| with_path(request.uri(), stem)) {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(Asked { path, form });
    request
}

fn split_suffix(path: &str) -> Option<(&str, Form)> {
    if !path.starts_with("/v1/") {
        return None;
    }
    let (stem, name) = path.rsplit_once('.')?;
    let form = Form::from_name(name)?;
    // `/v1/.json` has no step that the suffix could belong to.
    (!stem.ends_with('/')).then_some((stem, form))
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// The form that the parameter `format` asks for.
///
/// # Errors
/// 406 for a name that is not among `offered`.
pub fn asked_by_parameter(params: &Params, offered: &[Form]) -> Result<Option<Form>, Problem> {
    let Some(name) = params.text("format")? else { return Ok(None) };
    match Form::from_name(name).filter(|form| offered.contains(form)) {
        Some(form) => Ok(Some(form)),
        None => Err(refuse(&format!("format={}", shorten(name)), offered)
            .at_parameter("format", format!("takes one of {}", name_forms(offered)))),
    }
}

/// The form to answer in: by the suffix, then by `format=`, then by `Accept`, in which the best
/// quality wins and the order of `offered` breaks ties. Without any of them, or with an `Accept`
/// that names nothing readable, it is the first of `offered`.
///
/// # Errors
/// 406 naming the forms offered, when the one asked for is not among them.
///
/// # Panics
/// When `offered` is empty: an endpoint without a form is a mistake in the program.
pub fn choose(
    extension: Option<Form>,
    format: Option<Form>,
    accept: Option<&HeaderValue>,
    offered: &[Form],
) -> Result<Form, Problem> {
    if let Some(form) = extension.or(format) {
        let asked = if extension.is_some() { format!(".{}", form.name()) } else { format!("format={}", form.name()) };
        return if offered.contains(&form) { Ok(form) } else { Err(refuse(&asked, offered)) };
    }
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let ranges: Vec<MediaRange<'_>> = accept.split(',').filter_map(MediaRange::read).collect();
    if ranges.is_empty() {
        return Ok(offered[0]);
    }
    let mut best: Option<(u16, Form)> = None;
    for &form in offered {
        let quality = quality_of(form, &ranges);
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, form));
        }
    }
    best.map(|(_, form)| form).ok_or_else(|| refuse(&format!("the media type {}", shorten(accept)), offered))
}

fn refuse(asked: &str, offered: &[Form]) -> Problem {
    Problem::new(
        Code::NotAcceptable,
        format!("This path does not come as {asked}; it comes as {}.", name_forms(offered)),
    )
}

fn name_forms(forms: &[Form]) -> String {
    let names: Vec<&str> = forms.iter().map(|form| form.name()).collect();
    names.join(", ")
}

/// One item of `Accept`: `text/*;q=0.5`.
struct MediaRange<'a> {
    kind: &'a str,
    subkind: &'a str,
    /// In thousandths.
    quality: u16,
}

impl<'a> MediaRange<'a> {
    fn read(item: &'a str) -> Option<Self> {
        let mut parts = item.split(';');
        let (kind, subkind) = parts.next()?.trim().split_once('/')?;
        Some(Self { kind, subkind, quality: read_quality(parts)? })
    }

    /// How closely the range names the form: 0 not at all, 1 `*/*`, 2 `text/*`, 3 exactly.
    fn closeness(&self, form: Form) -> u8 {
        let close = |name: &str| {
            let (kind, subkind) = name.split_once('/').unwrap_or((name, ""));
            match (self.kind.eq_ignore_ascii_case(kind), self.subkind.eq_ignore_ascii_case(subkind)) {
                (true, true) => 3,
                (true, _) if self.subkind == "*" => 2,
                _ if self.kind == "*" && self.subkind == "*" => 1,
                _ => 0,
            }
        };
        form.accepted_types().iter().map(|name| close(name)).max().unwrap_or(0)
    }
}

/// The quality given by the range that names the form most closely (RFC 9110, section 12.5.1).
fn quality_of(form: Form, ranges: &[MediaRange<'_>]) -> u16 {
    ranges
        .iter()
        .map(|range| (range.closeness(form), range.quality))
        .filter(|(closeness, _)| *closeness > 0)
        .max()
        .map_or(0, |(_, quality)| quality)
}

/// The weight among the parameters of an `Accept` item, in thousandths: 1,000 when there is none,
/// `None` when there is one that is not a number from 0 to 1.
pub(crate) fn read_quality<'a>(parameters: impl Iterator<Item = &'a str>) -> Option<u16> {
    for parameter in parameters {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("q") {
            let quality: f32 = value.trim().parse().ok()?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000 by the range")]
            return (0.0..=1.0).contains(&quality).then(|| (quality * 1000.0).round() as u16);
        }
    }
    Some(1000)
}

/// CSV (RFC 4180, lines end in a line feed): a header line of `columns`, then a line a row with
/// the fields of these names. Null and missing fields are empty, nested ones are JSON, numbers as
/// in JSON. Text that a spreadsheet would run as a formula (begins with `=`, `+`, `-`, `@`, tab or
/// carriage return) gets an apostrophe in front.
///
/// # Errors
/// When a row is not a JSON object.
pub fn render_csv<T: Serialize>(rows: &[T], columns: &[&str]) -> Result<Vec<u8>, serde_json::Error> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::with_capacity(64 * (rows.len() + 1)));
    writer.write_record(columns).map_err(serde_json::Error::custom)?;
    let mut cell = Vec::new();
    for row in rows {
        let row = to_object(row)?;
        for &column in columns {
            cell.clear();
            write_cell(&mut cell, row.get(column).unwrap_or(&Value::Null))?;
            writer.write_field(&cell).map_err(serde_json::Error::custom)?;
        }
        writer.write_record(None::<&[u8]>).map_err(serde_json::Error::custom)?;
    }
    writer.into_inner().map_err(serde_json::Error::custom)
}

/// One JSON object a line.
///
/// # Errors
/// When a row cannot be JSON.
pub fn render_ndjson<T: Serialize>(rows: &[T]) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(128 * rows.len());
    for row in rows {
        append_json(&mut out, row)?;
        out.push(b'\n');
    }
    Ok(out)
}

/// Rows that are JSON already, one object a line.
#[must_use]
pub fn join_lines<'a>(rows: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        out.extend_from_slice(row);
        out.push(b'\n');
    }
    out
}

/// A bare JSON array of the rows, one to a line so that `head` and `diff` work on it.
///
/// # Errors
/// When a row cannot be JSON.
pub fn render_flat<T: Serialize>(rows: &[T]) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(128 * rows.len() + 4);
    out.push(b'[');
    for (place, row) in rows.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b"\n" } else { b",\n" });
        append_json(&mut out, row)?;
    }
    out.extend_from_slice(b"\n]\n");
    Ok(out)
}

/// [`render_flat`] of rows that are JSON already.
#[must_use]
pub fn join_flat<'a>(rows: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for (place, row) in rows.enumerate() {
        out.extend_from_slice(if place == 0 { b"\n" } else { b",\n" });
        out.extend_from_slice(row);
    }
    out.extend_from_slice(b"\n]\n");
    out
}

/// An object as one row: its scalars in order, nulls included, without what is nested. The keys
/// are the columns.
///
/// # Errors
/// When `object` is not a JSON object.
pub fn scalars<T: Serialize>(object: &T) -> Result<Map<String, Value>, serde_json::Error> {
    let mut row = to_object(object)?;
    row.retain(|_, value| !value.is_object() && !value.is_array());
    Ok(row)
}

/// A map as rows: one for each key, which comes first under the name `key_column`, then the
/// scalars of its value (or the value itself as `value`, when it is a scalar).
///
/// # Errors
/// When `map` is not a JSON object.
pub fn keyed_rows<T: Serialize>(map: &T, key_column: &str) -> Result<Vec<Map<String, Value>>, serde_json::Error> {
    to_object(map)?
        .into_iter()
        .map(|(key, value)| {
            let mut row = Map::new();
            row.insert(key_column.to_owned(), Value::String(key));
            match value {
                Value::Object(object) => row.extend(scalars(&object)?),
                other => {
                    row.insert("value".to_owned(), other);
                }
            }
            Ok(row)
        })
        .collect()
}

/// The columns of rows that do not all have the same: each name once, in order of appearance.
#[must_use]
pub fn columns_of(rows: &[Map<String, Value>]) -> Vec<&str> {
    let mut seen = std::collections::HashSet::new();
    rows.iter().flat_map(Map::keys).map(String::as_str).filter(|name| seen.insert(*name)).collect()
}

fn to_object<T: Serialize>(row: &T) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::to_value(row)? {
        Value::Object(object) => Ok(object),
        other => Err(serde_json::Error::custom(format!("a row is not an object: {other}"))),
    }
}

fn write_cell(cell: &mut Vec<u8>, value: &Value) -> Result<(), serde_json::Error> {
    match value {
        Value::Null => {}
        Value::Number(number) => write_json_number(cell, number),
        Value::String(text) => {
            if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
                cell.push(b'\'');
            }
            cell.extend_from_slice(text.as_bytes());
        }
        other => append_json(cell, other)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde_json::json;

    use super::*;

    fn stripped(uri: &str) -> (String, Asked) {
        let request = strip_suffix(Request::builder().uri(uri).body(Body::empty()).unwrap());
        let asked = request.extensions().get::<Asked>().unwrap().clone();
        (request.uri().to_string(), asked)
    }

    #[test]
    fn known_suffixes_come_off_under_v1_only() {
        for (uri, routed, form) in [
            ("/v1/series/price_usd.csv?start=2024.json", "/v1/series/price_usd?start=2024.json", Some(Form::Csv)),
            ("/v1/latest/mpi.txt", "/v1/latest/mpi", Some(Form::Text)),
            ("/v1/series/mpi.svg?width=400", "/v1/series/mpi?width=400", Some(Form::Svg)),
            ("/v1/miners/BRK.B.ndjson", "/v1/miners/BRK.B", Some(Form::Ndjson)),
            ("/v1/miners/BRK.B", "/v1/miners/BRK.B", None),
            ("/v1/calendar.ics", "/v1/calendar", Some(Form::Ics)),
            ("/v1/.json", "/v1/.json", None),
            ("/v1/a.json/b", "/v1/a.json/b", None),
            ("/openapi.json", "/openapi.json", None),
            ("http://host/v1/pools.json", "http://host/v1/pools", Some(Form::Json)),
        ] {
            let (uri_after, asked) = stripped(uri);
            assert_eq!((uri_after.as_str(), asked.form), (routed, form));
        }
        assert_eq!(stripped("/v1/pools.json?x=1").1.path, "/v1/pools.json");
    }

    const OFFERED: &[Form] = &[Form::Json, Form::Csv, Form::Ndjson];

    fn by_accept(accept: &str) -> Result<Form, Code> {
        let accept = HeaderValue::from_str(accept).unwrap();
        choose(None, None, Some(&accept), OFFERED).map_err(|problem| problem.code())
    }

    #[test]
    fn suffix_comes_before_format_before_accept() {
        let csv = HeaderValue::from_static("text/csv");
        assert_eq!(choose(Some(Form::Ndjson), Some(Form::Json), Some(&csv), OFFERED).unwrap(), Form::Ndjson);
        assert_eq!(choose(None, Some(Form::Json), Some(&csv), OFFERED).unwrap(), Form::Json);
        assert_eq!(choose(None, None, Some(&csv), OFFERED).unwrap(), Form::Csv);
        assert_eq!(choose(None, None, None, OFFERED).unwrap(), Form::Json);
    }

    #[test]
    fn accept_is_weighed() {
        for (accept, form) in [
            ("*/*", Ok(Form::Json)),
            ("", Ok(Form::Json)),
            ("garbage", Ok(Form::Json)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Ok(Form::Json)),
            ("application/json;q=0.5, text/csv", Ok(Form::Csv)),
            ("text/*", Ok(Form::Csv)),
            ("Application/NDJSON", Ok(Form::Ndjson)),
            ("*/*;q=0.5, application/json;q=0", Ok(Form::Csv)),
            ("application/json;q=0.001", Ok(Form::Json)),
            ("application/json;q=2, text/csv;q=0.1", Ok(Form::Csv)),
            ("image/png", Err(Code::NotAcceptable)),
            ("application/json;q=0", Err(Code::NotAcceptable)),
            ("text/plain, */*;q=0", Err(Code::NotAcceptable)),
        ] {
            assert_eq!(by_accept(accept), form, "{accept}");
        }
    }

    #[test]
    fn a_form_that_is_not_offered_is_406_and_names_those_that_are() {
        for problem in [
            choose(Some(Form::Text), None, None, OFFERED).unwrap_err(),
            choose(None, Some(Form::Text), None, OFFERED).unwrap_err(),
            asked_by_parameter(&Params::parse(Some("format=xml"), &["format"]).unwrap(), OFFERED).unwrap_err(),
        ] {
            assert_eq!(problem.code(), Code::NotAcceptable);
            assert!(problem.detail().ends_with("it comes as json, csv, ndjson."), "{problem:?}");
        }
        let params = Params::parse(Some("format=csv"), &["format"]).unwrap();
        assert_eq!(asked_by_parameter(&params, OFFERED).unwrap(), Some(Form::Csv));
    }

    #[test]
    fn csv_has_the_columns_asked_for_and_no_formulas() {
        let rows = [
            json!({"date": "2024-01-01", "value": 8.339_127_816e20, "note": "a,\"b\"\nc", "x": [1, 2.0]}),
            json!({"note": "=1+1", "value": -5, "date": null, "x": true}),
            json!({"note": "-", "value": 1.0}),
        ];
        let csv = String::from_utf8(render_csv(&rows, &["date", "value", "note", "x"]).unwrap()).unwrap();
        assert_eq!(
            csv,
            "date,value,note,x\n\
             2024-01-01,8.339127816e20,\"a,\"\"b\"\"\nc\",\"[1,2]\"\n\
             ,-5,'=1+1,true\n\
             ,1,'-,\n"
        );
        assert_eq!(render_csv::<Value>(&[], &["date", "value"]).unwrap(), b"date,value\n");
        assert_eq!(render_csv(&[json!({"a": null})], &["a"]).unwrap(), b"a\n\"\"\n");
        assert!(render_csv(&[json!([1])], &["a"]).is_err());
    }

    #[test]
    fn ndjson_and_flat_have_a_row_a_line() {
        let rows = [json!({"a": 1.0}), json!({"a": null})];
        assert_eq!(render_ndjson(&rows).unwrap(), b"{\"a\":1}\n{\"a\":null}\n");
        let flat = render_flat(&rows).unwrap();
        assert_eq!(flat, b"[\n{\"a\":1},\n{\"a\":null}\n]\n");
        assert_eq!(serde_json::from_slice::<Value>(&render_flat::<Value>(&[]).unwrap()).unwrap(), json!([]));
    }

    #[test]
    fn an_object_is_one_row_of_its_scalars() {
        let row = scalars(&json!({"date": "2024-01-01", "spot": null, "bands": [1], "legs": {}, "score": 2})).unwrap();
        let columns = columns_of(std::slice::from_ref(&row));
        assert_eq!(columns, ["date", "spot", "score"]);
        assert_eq!(render_csv(&[&row], &columns).unwrap(), b"date,spot,score\n2024-01-01,,2\n");
    }

    #[test]
    fn a_map_is_one_row_a_key() {
        let rows =
            keyed_rows(&json!({"mpi": {"value": 1.5, "e": []}, "price_usd": {"value": null, "reason": "x"}}), "metric")
                .unwrap();
        let columns = columns_of(&rows);
        assert_eq!(columns, ["metric", "value", "reason"]);
        assert_eq!(render_csv(&rows, &columns).unwrap(), b"metric,value,reason\nmpi,1.5,\nprice_usd,,x\n");
        assert_eq!(render_ndjson(&keyed_rows(&json!({"a": 1}), "k").unwrap()).unwrap(), b"{\"k\":\"a\",\"value\":1}\n");
    }
}

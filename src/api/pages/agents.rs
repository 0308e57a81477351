//! The pages as text, for programs that read: `/llms.txt`, and a Markdown twin of each metric's page.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::Value;

use super::metric::families;
use super::{Reader, snippet, still_text};
use crate::api::answer::ApiState;
use crate::api::router;
use crate::domain::catalog::Metric;

const MARKDOWN: &str = "text/markdown; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// How to read it without mistakes, in a few lines.
const RULES: &str = "\
- Every path takes GET and HEAD. The form is chosen by a suffix: .json (data, meta, links), .csv, .ndjson, .svg for series and main views, \
.txt for one value.
- Ranges are [start, end). Times: RFC 3339, a date, epoch seconds or milliseconds, or a span back such as -30d. All times are UTC.
- Unknown values are null with a reason, never 0. Unknown parameters are refused with an error that names the accepted ones.
- as_of=T shows what the public could know at T, and nothing from after T. T is not later than now.
- as_of=T&basis=recorded shows what this installation had stored by T.
- as_of=T&snapshot=S never changes: links.permanent of any JSON answer is that address. Cite it.
- meta.stale and the header X-Stale say that a value is past its time; require=fresh refuses such values with 503. Treat 503 as \
no signal, not as calm.
- meta.simulated and the header X-Simulated say that the numbers are of a simulated world and not real.
- A row of a series has date (begin of the period), value, known_at (when the public could know it), revision, source.
- For a backtest take /v1/panel.csv with align=known: row d holds what became known in the day before d 00:00 UTC.
";

/// The endpoints, a line each, out of the document of the API.
static ENDPOINTS: LazyLock<String> = LazyLock::new(|| {
    let document = serde_json::to_value(router::document()).unwrap_or_default();
    let mut lines = String::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let operation = &item["get"];
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let names: Vec<&str> = parameters
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let taking = if names.is_empty() { String::new() } else { format!(" Takes {}.", names.join(", ")) };
        let summary = operation["summary"].as_str().unwrap_or_default();
        let _ = writeln!(lines, "- `{path}`: {summary}. {}{taking}", one_line(&operation["description"]));
    }
    lines
});

fn one_line(text: &Value) -> String {
    text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `/llms.txt`: what this is, every endpoint, every metric, and the rules.
pub async fn overview(State(state): State<ApiState>, parts: Parts) -> Response {
    let Reader { origin, simulated, .. } = Reader::of(&state, &parts);
    let mut text = String::from(
        "# miner-signals\n\n> Point-in-time stress indicators for the Bitcoin mining industry: stored series, derived \
         indicators, and what was known of them at any past moment.\n\n",
    );
    if simulated {
        text.push_str("**This server shows a simulated world: no number here is real.**\n\n");
    }
    let _ = write!(
        text,
        "The whole interface is at [{origin}/openapi.json]({origin}/openapi.json), errors are explained at \
         `/docs/errors/{{code}}`.\n\n## Rules\n\n{RULES}\n## Endpoints\n\n{}\n## Metrics\n",
        *ENDPOINTS,
    );
    list_metrics(&mut text, &origin);
    still_text(text, PLAIN)
}

/// `/docs/metrics.md`.
pub async fn metrics_text(State(state): State<ApiState>, parts: Parts) -> Response {
    let mut text = String::from("# Metrics\n");
    list_metrics(&mut text, &Reader::of(&state, &parts).origin);
    still_text(text, MARKDOWN)
}

fn list_metrics(text: &mut String, origin: &str) {
    for family in families() {
        let _ = write!(text, "\n### {}\n\n", family.name);
        for metric in family.metrics {
            let Metric { slug, unit, definition, .. } = metric;
            let _ = writeln!(text, "- [{slug}]({origin}/docs/metrics/{slug}.md) ({unit}): {definition}");
        }
    }
}

/// The Markdown twin of a metric's page.
pub fn metric_text(metric: &Metric, origin: &str) -> Response {
    let slug = metric.slug;
    let mut text =
        format!("# {slug}\n\n{}\n\n- unit: {}\n- kind: {}\n", metric.definition, metric.unit, metric.kind.name());
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "- {name}: {value}");
        }
    };
    fact(
        "method",
        Some(
            metric
                .method()
                .map_or("stored as its publisher states it".to_owned(), |id| format!("`{id}`, computed on read")),
        ),
    );
    fact("formula", metric.formula.map(|formula| format!("`{formula}`")));
    fact("worked example", metric.worked_example.map(str::to_owned));
    fact("source of the formula", metric.citation.map(str::to_owned));
    let (low, high) = metric.plausible;
    fact(
        "plausible range",
        metric.formula.is_none().then(|| format!("{low:e} to {high:e}; values outside are quarantined")),
    );
    fact("shown at", metric.shown_at.map(|view| format!("`{view}`")));
    let _ = write!(
        text,
        "- series: `/v1/series/{slug}`\n- newest value: `/v1/latest/{slug}.txt`\n- table for backtests: \
         `/v1/panel.csv?metrics={slug}&align=known`\n\n## Read it\n",
    );
    for snippet in snippet::of_series(origin, slug, "start=-365d") {
        let _ = write!(text, "\n{}:\n\n```\n{}\n```\n", snippet.tool, snippet.line);
    }
    text.push_str("\nAdd `as_of=T` for what was known at T.\n");
    still_text(text, MARKDOWN)
}

//! Pages for people: an index, a page for each metric, and a page for each error.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::response::{IntoResponse as _, Response};

use super::answer::ApiState;
use super::problem::{Code, Problem};
use super::readings::known_metric;
use super::route::LastStep;
use crate::domain::catalog::{METRICS, Metric};

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage {
    simulated: bool,
    metrics: &'static [Metric],
}

#[derive(Template)]
#[template(path = "metric.html")]
struct MetricPage {
    metric: &'static Metric,
    low: f64,
    high: f64,
    /// Scheme and host as the reader reached us.
    origin: String,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    code: Code,
}

/// `/`: what is here.
pub async fn index(State(state): State<ApiState>) -> Response {
    let simulated = state.published.snapshot().is_some_and(|snapshot| snapshot.stored.mode.is_simulated());
    page(&IndexPage { simulated, metrics: METRICS })
}

/// `/docs/metrics/{metric}`: definition, unit, formula, and how to read it.
pub async fn metric(slug: LastStep, request: Request) -> Response {
    let metric = match known_metric(&slug.0) {
        Ok(metric) => metric,
        Err(problem) => return problem.into_response(),
    };
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:8080");
    let (low, high) = metric.plausible;
    page(&MetricPage { metric, low, high, origin: format!("http://{host}") })
}

/// `/docs/errors/{code}`: what an error means and what to do.
pub async fn error(slug: LastStep) -> Response {
    if let Some(code) = Code::from_slug(&slug.0) {
        page(&ErrorPage { code })
    } else {
        let slugs: Vec<String> = Code::ALL.iter().map(|code| code.slug()).collect();
        Problem::unknown(Code::UnknownRoute, "error page", &slug.0, slugs.iter().map(String::as_str)).into_response()
    }
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = Response::new(html.into());
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=300"));
            response
        }
        Err(error) => Problem::internal(&error).into_response(),
    }
}

//! Pages for people, and the same as text for agents. Nothing here is part of the API's document.
//!
//! [`overview`] is `/`; [`miners`] the comparison of issuers and the page of each; [`metric`] the page of each metric, whose forms `picker` reads and whose lines
//! to copy `snippet` writes; [`agents`] has `/llms.txt` and the Markdown twins; [`assets`] the style
//! and the script. Templates are in `templates/`. Everything works without script, and nothing comes
//! from elsewhere.
//!
//! Pages need no key where data does: `Reader` says whether they may show values.

pub mod agents;
pub mod assets;
pub mod metric;
pub mod miners;
pub mod overview;
mod picker;
mod snippet;

use std::sync::Arc;

use askama::Template;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};

use super::answer::{ApiState, PAGE_POLICY, Page};
use super::chart::{Chart, Size};
use super::problem::{Code, Problem};
use super::route::LastStep;
use super::snapshot::Snapshot;
use super::view::Freshness;

const HTML: &str = "text/html; charset=utf-8";

/// What every page has around its content.
struct Frame {
    style: &'static str,
    script: &'static str,
    /// Whether the service shows a simulated world.
    simulated: bool,
}

impl Frame {
    fn of(simulated: bool) -> Self {
        Self { style: assets::style_path(), script: assets::script_path(), simulated }
    }
}

/// Who reads a page, and what can be shown.
struct Reader {
    /// The snapshot whose values the reader may see.
    shown: Option<Arc<Snapshot>>,
    /// Why there are no values.
    hidden: &'static str,
    simulated: bool,
    /// Scheme and host as the reader reached us.
    origin: String,
}

impl Reader {
    fn of(state: &ApiState, request: &Parts) -> Self {
        let snapshot = state.published.snapshot();
        let simulated = snapshot.as_ref().is_some_and(|snapshot| snapshot.stored.mode.is_simulated());
        let may_read = state.guard.may_read(&request.headers);
        let hidden = if may_read {
            "The service has just started and has no values yet; try again in a moment."
        } else {
            "Values need a key here: the header Authorization: Bearer …, or X-API-Key: …."
        };
        Self { shown: snapshot.filter(|_| may_read), hidden, simulated, origin: origin_of(request) }
    }
}

/// `http://host`, as in the address that was asked; `https` where a proxy says that it spoke so. A host
/// that is none, which could break out of a line to copy, gives the default address.
fn origin_of(request: &Parts) -> String {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let is_host = |host: &&str| {
        !host.is_empty()
            && host.len() <= 255
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
    };
    let host = header(HOST.as_str()).filter(is_host).unwrap_or("127.0.0.1:8080");
    let scheme = if header("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}")
}

/// One picture in two widths, of which the page shows the one that fits.
struct Picture {
    wide: String,
    narrow: String,
}

impl Picture {
    fn of(chart: &Chart) -> Result<Self, Problem> {
        let inline = |width, height| chart.clone().with_size(Size::new(width, height)).inline();
        Ok(Self { wide: inline(960, 360)?, narrow: inline(358, 340)? })
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    code: Code,
}

/// `/docs/errors/{code}`: what an error means and what to do.
pub async fn error(slug: LastStep) -> Response {
    if let Some(code) = Code::from_slug(&slug.0) {
        still(&ErrorPage { frame: Frame::of(false), code })
    } else {
        let slugs: Vec<String> = Code::ALL.iter().map(|code| code.slug()).collect();
        Problem::unknown(Code::UnknownRoute, "error page", &slug.0, slugs.iter().map(String::as_str)).into_response()
    }
}

/// A page that is made of no values.
fn still(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => still_text(html, HTML),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

fn still_text(text: String, media_type: &'static str) -> Response {
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if media_type == HTML {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    }
    response
}

/// A page that is made of values, as fresh as they are.
fn page(template: &impl Template, freshness: Freshness) -> Result<Page, Problem> {
    let body = template.render().map_err(|error| Problem::internal(&error))?;
    Ok(Page { body, media_type: HTML, freshness })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_a_host_or_the_default() {
        let origin = |headers: &[(&str, &str)]| {
            let request = headers
                .iter()
                .fold(axum::http::Request::get("/"), |request, (name, value)| request.header(*name, *value));
            origin_of(&request.body(()).unwrap().into_parts().0)
        };
        assert_eq!(origin(&[("host", "desk.example:8080")]), "http://desk.example:8080");
        assert_eq!(origin(&[("host", "[::1]:8080"), ("x-forwarded-proto", "https")]), "https://[::1]:8080");
        for bad in ["a'b", "a b", "", "a;b", "a\"b", "a/b"] {
            assert_eq!(origin(&[("host", bad)]), "http://127.0.0.1:8080", "{bad}");
        }
    }
}

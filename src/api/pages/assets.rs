//! The style and the script of the pages, served from the program itself under names that change with
//! their content, so that browsers may keep them for ever.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

use crate::api::chart;
use crate::api::problem::{Code, Problem};
use crate::api::route::LastStep;

struct Asset {
    path: String,
    media_type: &'static str,
    content: String,
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let content = format!("{}\n{}", include_str!("../../../templates/assets/pages.css"), chart::STYLE);
    Asset::new("pages", "css", "text/css; charset=utf-8", content)
});

static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!("../../../templates/assets/pages.js").to_owned();
    Asset::new("pages", "js", "text/javascript; charset=utf-8", content)
});

impl Asset {
    fn new(name: &str, suffix: &str, media_type: &'static str, content: String) -> Self {
        let hash = blake3::hash(content.as_bytes()).to_hex();
        Self { path: format!("/assets/{name}-{}.{suffix}", &hash[..16]), media_type, content }
    }
}

/// The address of the stylesheet.
#[must_use]
pub fn style_path() -> &'static str {
    &STYLE.path
}

/// The address of the script.
#[must_use]
pub fn script_path() -> &'static str {
    &SCRIPT.path
}

/// `/assets/{name}`.
pub async fn asset(name: LastStep) -> Response {
    let path = format!("/assets/{}", name.0);
    let Some(asset) = [&*STYLE, &*SCRIPT].into_iter().find(|asset| asset.path == path) else {
        return Problem::new(Code::UnknownRoute, "No such file; pages name the ones there are.").into_response();
    };
    let mut response = Response::new(asset.content.clone().into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

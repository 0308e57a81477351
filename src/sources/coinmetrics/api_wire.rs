//! The API, version 4: `GET /catalog-v2/asset-metrics` and `GET /timeseries/asset-metrics`. Values
//! are decimal strings or null. The address of the next page repeats the caller's key, so that only
//! its token is used.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::feed::Unusable;
use super::super::text::{Text, message_of};

/// What is published of which asset.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Catalog {
    pub data: Vec<CatalogAsset>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CatalogAsset {
    pub asset: String,
    #[serde(default)]
    pub metrics: Vec<CatalogMetric>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CatalogMetric {
    pub metric: String,
    #[serde(default)]
    pub frequencies: Vec<CatalogFrequency>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CatalogFrequency {
    /// `1b`, `1d`, `1h` and others.
    pub frequency: String,
    /// Whether it is served without a key; absent where it is not.
    #[serde(default)]
    pub community: bool,
}

/// One page of a time series.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Page {
    pub data: Vec<Row>,
    /// Absent on the last page.
    #[serde(default)]
    pub next_page_token: Option<String>,
}

/// One day: `asset`, `time` (its beginning), metrics under the publisher's names, and for some of
/// them `<metric>-status` and `<metric>-status-time`.
pub type Row = BTreeMap<String, Text>;

/// Reads an answer of either kind.
///
/// # Errors
/// [`Unusable::Refused`] for an error message, [`Unusable::BadBody`] for anything else.
pub fn parse<Body: DeserializeOwned>(body: &[u8]) -> Result<Body, Unusable> {
    serde_json::from_slice(body).map_err(|error| match message_of(body) {
        Some(message) if error.is_data() => Unusable::Refused(message),
        _ => Unusable::BadBody(format!("not an answer of the API: {error}")),
    })
}

//! Answers of the API to observations of days.

use super::super::feed::Window;
use super::super::observe::{Observer, Place, SUBJECT, ahead, place};
use super::super::text::Text;
use super::super::{Normalized, Refused};
use super::api_wire::{Catalog, Row};
use super::normalize::SOURCE;
use super::wire::METRICS;
use crate::domain::append::known_at_of_completion;
use crate::domain::observation::Resolution;
use crate::domain::time::{Span, Timestamp};

/// The publisher's names of the metrics that we use and that the catalog offers for days: without a
/// key those of the community, with one all. In the order of the catalog of our metrics.
#[must_use]
pub fn offered(catalog: &Catalog, has_key: bool) -> Vec<&'static str> {
    let frequencies = |name: &str| {
        let ours = catalog.data.iter().filter(|asset| asset.asset == SUBJECT);
        let metrics = ours.flat_map(|asset| &asset.metrics).filter(|metric| metric.metric == name);
        metrics
            .flat_map(|metric| &metric.frequencies)
            .any(|offer| offer.frequency == "1d" && (has_key || offer.community))
    };
    METRICS.iter().map(|(name, ..)| *name).filter(|name| frequencies(name)).collect()
}

/// The observations of one row. Null says nothing; a value that is no number, or is out of range, is
/// refused by itself and the rest of the row is used. Days that are not over are left out.
#[must_use]
pub fn normalize(row: &Row, window: Window, now: Timestamp) -> Normalized {
    let text = |name: &str| row.get(name).cloned().unwrap_or_default();
    if text("asset").get() != Some(SUBJECT) {
        return Normalized::refused(
            "other_asset",
            format!("asset is {}; {SUBJECT} was asked for", text("asset").shown()),
        );
    }
    let time = text("time");
    let Some(start) = time.get().and_then(|time| Timestamp::parse(time).ok()).filter(|start| start.is_midnight())
    else {
        return Normalized::refused(
            "bad_time",
            format!("time is {}; the beginning of a day is expected", time.shown()),
        );
    };
    let mut normalized = Normalized::default();
    match place(start, Span::DAY, window, now) {
        Place::Ahead => normalized.refused.push(ahead(None, start)),
        Place::LeftOut => {}
        Place::Wanted => {
            for (name, slug, power) in METRICS {
                let value = text(name);
                if value.get().is_some() {
                    let completed = text(&format!("{name}-status-time"));
                    normalized.add(observe(slug, &value, power, start, &completed));
                }
            }
        }
    }
    normalized
}

fn observe(
    slug: &str,
    value: &Text,
    power: i32,
    start: Timestamp,
    completed: &Text,
) -> Result<crate::domain::append::Arrival, Refused> {
    let observer = Observer { source: SOURCE, resolution: Resolution::Day };
    let mut arrival = observer.text(slug, value, power, start)?;
    let stamp = completed.get().and_then(|text| Timestamp::parse(text).ok());
    arrival.incoming.known_at = stamp.and_then(|stamp| known_at_of_completion(stamp, arrival.period_end));
    Ok(arrival)
}

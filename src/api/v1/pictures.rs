//! The charts of the main views: hashprice, squeeze, difficulty and hash ribbons over the last years.
//!
//! The endpoints give them as `.svg`, and the overview page shows the same.

use std::ops::Range;

use super::shapes::Meta;
use crate::api::chart::{Band, BandClass, Chart, Line, LineClass, Marker};
use crate::api::problem::Problem;
use crate::api::readings::{each_source, freshness_of_metric, known_metric};
use crate::api::view::View;
use crate::domain::indicators::ribbons::RibbonEventKind;
use crate::domain::indicators::spikes::SpikeHeight;
use crate::domain::indicators::squeeze::{SqueezeDay, SqueezeState};
use crate::domain::indicators::statistics::Scratch;
use crate::domain::network::{Fleets, NetworkMetric, NetworkView, SpikeSeries};
use crate::domain::time::{Day, Span, Timestamp};

/// Days that a picture shows, unless somebody chooses others.
pub const PICTURE_DAYS: usize = 730;

/// What a picture is made of.
pub struct Scene<'v, 'h, 'a> {
    pub view: &'v View,
    pub network: &'v NetworkView<'h, 'a>,
    /// The days that are shown, as indexes of the history.
    pub days: Range<usize>,
}

impl<'v, 'h, 'a> Scene<'v, 'h, 'a> {
    /// The days of a picture that ends with a day, or with the newest where nobody asked for one. Of a day
    /// that is asked for and not there, there is nothing to see.
    #[must_use]
    pub fn until(view: &'v View, network: &'v NetworkView<'h, 'a>, asked: Option<Day>, last: Option<usize>) -> Self {
        let end = match (asked, last) {
            (Some(_), None) => 0,
            (_, Some(last)) => last + 1,
            (None, None) => network.every_day().end,
        };
        Self { view, network, days: end.saturating_sub(PICTURE_DAYS)..end }
    }

    /// The days of a picture of the newest so many days.
    #[must_use]
    pub fn newest(view: &'v View, network: &'v NetworkView<'h, 'a>, days: usize) -> Self {
        let end = network.every_day().end;
        Self { view, network, days: end.saturating_sub(days)..end }
    }

    /// What a picture of a metric says of its values: their sources, and how fresh they are.
    ///
    /// # Errors
    /// None for a metric of the catalog.
    pub fn meta(&self, metric: NetworkMetric) -> Result<Meta, Problem> {
        let newest = self.network.newest_with_value(metric);
        let source = newest.map_or_else(String::new, |day| self.network.source(metric, day));
        let freshness = freshness_of_metric(self.network, metric);
        let sources = each_source(std::iter::once(source.as_str()));
        Ok(Meta::of(Some(known_metric(metric.slug())?), Some("btc"), self.view, &freshness, sources))
    }

    fn chart(&self, title: &str, unit: &str, meta: &Meta) -> Chart {
        let chart = Chart::about(title, meta, self.view);
        Chart { unit: unit.to_owned(), span: self.span(), ..chart }
    }

    fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let last = self.days.end.checked_sub(1).filter(|_| !self.days.is_empty())?;
        Some((self.network.date_of(self.days.start).start(), self.network.date_of(last).end()))
    }

    fn line(&self, label: &str, class: LineClass, value: impl Fn(usize) -> Option<f64>) -> Line {
        let period = |day: usize| {
            let date = self.network.date_of(day);
            (date.start(), date.end(), value(day))
        };
        Line::of_periods(label, class, self.days.clone().map(period))
    }

    fn metric(&self, label: &str, class: LineClass, metric: NetworkMetric) -> Line {
        self.line(label, class, |day| self.network.value(metric, day, &mut Scratch::default()).ok())
    }

    /// The stretches of days for which something holds.
    fn bands(&self, label: &str, class: BandClass, holds: impl Fn(usize) -> bool) -> Vec<Band> {
        let mut bands: Vec<Band> = Vec::new();
        for day in self.days.clone().filter(|&day| holds(day)) {
            let date = self.network.date_of(day);
            match bands.last_mut().filter(|band| band.to == date.start()) {
                Some(band) => band.to = date.end(),
                None => bands.push(Band { from: date.start(), to: date.end(), label: label.to_owned(), class }),
            }
        }
        bands
    }

    /// When there was a squeeze, and when it was tight.
    fn squeeze_bands(&self, days: &[SqueezeDay]) -> Vec<Band> {
        let of = |wanted, label: &str, class| self.bands(label, class, |day| days[day].state == Some(wanted));
        let mut bands = of(SqueezeState::Squeeze, "squeeze", BandClass::Alarm);
        bands.extend(of(SqueezeState::Tight, "tight", BandClass::Caution));
        bands
    }

    /// Hashprice and its weekly mean, with the squeezes shaded.
    #[must_use]
    pub fn hashprice(&self, meta: &Meta) -> Chart {
        self.chart("Hashprice", "USD/PH/day", meta)
            .with_line(self.metric("realised day", LineClass::First, NetworkMetric::HashpriceUsd))
            .with_line(self.metric("7-day mean", LineClass::Reference, NetworkMetric::Ma7))
            .with_bands(self.squeeze_bands(&self.network.squeeze_days(Fleets::Reference)))
    }

    /// The squeeze score with the thresholds of each day.
    #[must_use]
    pub fn squeeze(&self, meta: &Meta, fleets: Fleets) -> Chart {
        let days = self.network.squeeze_days(fleets);
        let score = |day| self.network.squeeze(fleets, day).ok().map(|reading| reading.score);
        self.chart("Hashprice squeeze score", "points", meta)
            .with_line(self.line("score", LineClass::First, score))
            .with_line(self.line("enter squeeze at", LineClass::Reference, |day| days[day].enter_at))
            .with_line(self.line("leave squeeze below", LineClass::Reference, |day| days[day].leave_below))
            .with_bands(self.squeeze_bands(&days))
    }

    /// Difficulty, and where an estimate puts the next retarget: instant and difficulty.
    #[must_use]
    pub fn difficulty(&self, meta: &Meta, next: Option<Retarget>) -> Chart {
        let line = self.line("difficulty, daily", LineClass::First, |day| self.network.difficulty(day));
        let mut chart = self.chart("Difficulty", "1", meta).with_line(line);
        // A source may show the last days alone: then they get all of the room.
        let first = self.days.clone().find(|&day| self.network.difficulty(day).is_some());
        if let (Some(first), Some((_, end))) = (first, chart.span) {
            chart.span = Some((self.network.date_of(first).start(), end));
        }
        if let Some(next) = next {
            let flat = |difficulty| vec![(next.now, Some(difficulty)), (next.at, Some(difficulty))];
            let step =
                |label: &str, class, difficulty| Line { label: label.to_owned(), points: flat(difficulty), class };
            chart.span = chart.span.map(|(from, to)| (from, to.max(next.at.plus(Span::DAY))));
            chart = chart.with_line(step("estimate of the next", LineClass::Second, next.difficulty));
            if let Some((low, high)) = next.band {
                chart = chart.with_line(step("one sigma lower", LineClass::Reference, low)).with_line(step(
                    "one sigma higher",
                    LineClass::Reference,
                    high,
                ));
            }
        }
        chart
    }

    /// Mined coins that moved for the first time, the rested ones apart, with the spikes of those marked.
    #[must_use]
    pub fn flows(&self, meta: &Meta) -> Chart {
        let span = self.span();
        let is_inside = |at: Timestamp| span.is_some_and(|(from, to)| from <= at && at < to);
        let spikes = self.network.spikes().into_iter().filter(|spike| {
            let is_spike = spike.state.height != SpikeHeight::Ordinary;
            spike.series == SpikeSeries::AgedSpend && is_spike && is_inside(spike.day.start())
        });
        self.chart("Mined coins that moved for the first time", "BTC", meta)
            .with_line(self.line("all", LineClass::Second, |day| self.network.coinbase_spend_btc(day)))
            .with_line(
                self.line("at rest for two weeks", LineClass::First, |day| self.network.coinbase_spend_aged_btc(day)),
            )
            .with_markers(spikes.map(|spike| Marker { at: spike.day.start(), label: "spike".to_owned() }))
    }

    /// Both hash ribbons, with inversions shaded and buys marked.
    #[must_use]
    pub fn hash_ribbons(&self, meta: &Meta) -> Chart {
        let ribbons = |day| self.network.hash_ribbons(day);
        let is_inverted = |day| {
            let means = ribbons(day);
            means.short_h_per_s.zip(means.long_h_per_s).is_some_and(|(short, long)| short < long)
        };
        let span = self.span();
        let is_inside = |at: Timestamp| span.is_some_and(|(from, to)| from <= at && at < to);
        let buys = self.network.hash_ribbon_events();
        let buys = buys.into_iter().filter(|event| event.kind == RibbonEventKind::Buy && is_inside(event.day.start()));
        self.chart("Hash ribbons", "H/s", meta)
            .with_line(self.line("30-day mean", LineClass::First, |day| ribbons(day).short_h_per_s))
            .with_line(self.line("60-day mean", LineClass::Second, |day| ribbons(day).long_h_per_s))
            .with_bands(self.bands("inverted", BandClass::Caution, is_inverted))
            .with_markers(buys.map(|buy| Marker { at: buy.day.start(), label: "buy".to_owned() }))
    }
}

/// Where an estimate puts the next retarget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retarget {
    /// The newest block.
    pub now: Timestamp,
    /// When it is expected, and at which difficulty.
    pub at: Timestamp,
    pub difficulty: f64,
    /// Difficulty one standard deviation lower and higher.
    pub band: Option<(f64, f64)>,
}

//! What the *now* views of the network's days have in common: which day they show, and how they knew.

use super::pictures::Scene;
use super::shapes::Meta;
use crate::api::answer::{Charted, Content, Data, Question};
use crate::api::chart::Chart;
use crate::api::form::Form;
use crate::api::problem::Problem;
use crate::api::readings::{each_source, freshness_of_metric, known_metric};
use crate::api::time_format::Date;
use crate::api::view::{Freshness, Knowledge, View};
use crate::domain::indicators::hashprice::{HALVING_DAYS, NEXT_HALVING_NOT_BEFORE, post_halving};
use crate::domain::indicators::statistics::{Missing, Scratch, round_significant};
use crate::domain::network::{DERIVED_DIGITS, NetworkHistory, NetworkMetric, NetworkView};
use crate::domain::time::Day;

/// The network as a *now* view sees it, and the day that it shows.
pub(super) struct Now<'v, 'h, 'a> {
    pub view: &'v View,
    pub network: &'v NetworkView<'h, 'a>,
    /// The day as an index; `None` where the history does not hold the day asked for, or no day has a
    /// value.
    pub day: Option<usize>,
    date: Option<Day>,
}

impl Now<'_, '_, '_> {
    /// The day as it is shown: the one asked for, or the one found.
    pub fn date(&self) -> Option<Date> {
        self.date.map(Date)
    }

    /// Why a metric has no value on the day.
    pub fn why_none(&self, metric: NetworkMetric) -> &'static str {
        let value = self.day.map(|day| self.network.value(metric, day, &mut Scratch::default()));
        value.and_then(Result::err).unwrap_or(Missing::NoData).code()
    }

    /// Whether the values are simulated: true or absent.
    pub fn simulated(&self) -> Option<bool> {
        self.view.is_simulated().then_some(true)
    }

    /// Whether a halving lies less than a year before the day. The dates of real halvings say nothing
    /// about a simulated chain.
    pub fn post_halving(&self) -> Option<bool> {
        let is_known = |day: &Day| self.day.is_some() && !self.view.is_simulated() && *day < NEXT_HALVING_NOT_BEFORE;
        let day = self.date.filter(is_known)?;
        Some(post_halving(day, &HALVING_DAYS))
    }
}

/// Answers a question about the day of `date`, or about the newest for which `newest` finds something.
///
/// Sources and definition are those of the metric `main`. `draw` makes the picture, where that is asked for.
///
/// # Errors
/// 400 for a wrong `date`, and those of `write`.
pub(super) fn answer_now(
    question: &Question,
    main: NetworkMetric,
    newest: impl FnOnce(&NetworkView<'_, '_>) -> Option<usize>,
    freshness: impl FnOnce(&NetworkView<'_, '_>) -> Freshness,
    write: impl FnOnce(&Now<'_, '_, '_>) -> Result<Box<dyn Data + Send>, Problem>,
    draw: impl FnOnce(&Scene<'_, '_, '_>, &Meta) -> Chart,
) -> Result<Content, Problem> {
    let asked = question.params.day("date")?;
    let mut view: View = question.view.clone();
    if asked.is_some() && view.as_of.is_none() {
        view.knowledge = Knowledge::Hindsight;
    }
    let stored = &view.snapshot.stored;
    let history = NetworkHistory::new(stored.logs(), &stored.rules, &stored.facts, view.moment);
    let network = history.view(view.moment);
    let day = match asked {
        Some(date) => network.find_day(date),
        None => newest(&network),
    };
    let date = asked.or_else(|| Some(history.day(day?)));
    let mut data = write(&Now { view: &view, network: &network, day, date })?;
    let source = day.map_or_else(String::new, |day| network.source(main, day));
    let freshness = freshness(&network);
    let metric = known_metric(main.slug())?;
    let meta = Meta::of(Some(metric), Some("btc"), &view, &freshness, each_source(std::iter::once(source.as_str())));
    if question.form == Form::Svg {
        data = Box::new(Charted { data, chart: draw(&Scene::until(&view, &network, asked, day), &meta) });
    }
    Ok(Content { data, meta, freshness, next_cursor: None })
}

/// The freshness of everything that a metric reads.
pub(super) fn of_metric(metric: NetworkMetric) -> impl FnOnce(&NetworkView<'_, '_>) -> Freshness {
    move |network| freshness_of_metric(network, metric)
}

/// A derived number as it is shown.
pub(super) fn shown(value: f64) -> f64 {
    round_significant(value, DERIVED_DIGITS)
}

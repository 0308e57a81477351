//! The hashprice squeeze on the days of a view: for the reference fleets, or for a fleet of one's own.

use super::metric::NetworkMetric;
use super::view::{Column, NetworkView};
use crate::domain::facts::NetworkEfficiencyFields;
use crate::domain::indicators::squeeze::{self, Fleet, SPEED_DAYS, SqueezeDay, SqueezeReading, reference_fleets};
use crate::domain::indicators::statistics::{Missing, Scratch};

/// Whose margins the score looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fleets {
    /// The nine reference fleets around the network's average of each day.
    Reference,
    Own(Fleet),
}

impl NetworkView<'_, '_> {
    /// The published average efficiency of the network that was known by the end of a day, in J/TH.
    #[must_use]
    pub fn network_efficiency(&self, day: usize) -> Option<f64> {
        let column = self.efficiency.get_or_init(|| {
            let history = self.history;
            history.facts.network_efficiency_column(history.day(self.days().start), self.days().len(), self.moment)
        });
        column[day - self.days().start]
    }

    /// The published average that [`NetworkView::network_efficiency`] is of.
    #[must_use]
    pub fn network_efficiency_fact(&self, day: usize) -> Option<&NetworkEfficiencyFields> {
        let end = self.date_of(day).end();
        Some(self.history.facts.network_efficiency_at(end, self.moment)?.row.fields())
    }

    /// The squeeze of a day, unrounded.
    ///
    /// # Errors
    /// The reason why there is none: that of the day's hashprice, `NoFacts` before the first published
    /// efficiency, that of the percentile or of the windows of the speed.
    pub fn squeeze(&self, fleets: Fleets, day: usize) -> Result<SqueezeReading, Missing> {
        let hashprice = self.at(Column::Hashprice, day).ok_or(Missing::NoData)?;
        let level = squeeze::level_part(self.percentile(day)?);
        let speed = squeeze::speed_part(self.window(Column::SubsidyHashprice, day, SPEED_DAYS))?;
        match fleets {
            Fleets::Own(fleet) => squeeze::reading(hashprice, &[fleet], speed, level),
            Fleets::Reference => {
                let efficiency = self.network_efficiency(day).ok_or(Missing::NoFacts)?;
                squeeze::reading(hashprice, &reference_fleets(efficiency), speed, level)
            }
        }
    }

    /// State and thresholds of every day of the view, which must hold the history from its first day. A
    /// state is not carried on behind the newest score.
    #[must_use]
    pub fn squeeze_days(&self, fleets: Fleets) -> Vec<SqueezeDay> {
        let score = |day| self.squeeze(fleets, day).ok().map(|reading| reading.score);
        let scores: Vec<Option<f64>> = self.days().map(score).collect();
        let known = scores.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let mut days = squeeze::walk(&scores[..known]);
        days.resize(scores.len(), SqueezeDay::default());
        days
    }

    pub(super) fn squeeze_score(&self, day: usize, scratch: &mut Scratch) -> Result<f64, Missing> {
        if self.at(Column::Hashprice, day).is_none() {
            return self.value(NetworkMetric::HashpriceUsd, day, scratch);
        }
        Ok(self.squeeze(Fleets::Reference, day)?.score)
    }
}

//! How the revenue of a quarter splits into mining, HPC and the rest, by lines as they were reported.

use std::collections::BTreeMap;

use super::book::{CreditView, Known};
use super::figure::{Figure, Figures, Item};
use super::periods::quarters;
use super::row::Revenue;
use super::word::LineKind;
use crate::domain::indicators::credit::{RevenueMix, trend_per_quarter};
use crate::domain::observation::Moment;
use crate::domain::time::{Day, Timestamp};

/// Days of the shortest and the longest quarter, both ends counted.
const QUARTER_DAYS: std::ops::RangeInclusive<i32> = 80..=100;
/// Two fiscal quarters end at least so many days apart.
const QUARTER_APART_DAYS: i32 = 80;

/// The revenue of one quarter.
#[derive(Debug, Clone)]
pub struct QuarterMix<'b> {
    pub start: Day,
    pub end: Day,
    pub hpc_usd: i64,
    /// By kind of line.
    pub by_kind: BTreeMap<LineKind, i64>,
    /// Lines that the table has no meaning for.
    pub unmapped: Vec<&'b str>,
    /// Reported, or the sum of the lines where no total is known.
    pub total_usd: f64,
    pub total_is_reported: bool,
    /// `None` without revenue.
    pub mix: Option<RevenueMix>,
    pub lines: Vec<Known<'b, Revenue>>,
    pub known_at: Timestamp,
}

/// The quarters of an issuer, by their end.
#[derive(Debug, Clone, Default)]
pub struct Mix<'b> {
    pub quarters: Vec<QuarterMix<'b>>,
}

impl<'b> Mix<'b> {
    /// Every quarter of which lines are known.
    #[must_use]
    pub fn of(view: &'b CreditView<'b>, figures: &Figures, ticker: &str, moment: Moment) -> Self {
        let versions: Vec<&Figure> = figures.versions(ticker, Item::Revenue, moment).collect();
        let totals = quarters(&versions);
        let mut lines: BTreeMap<(Day, Day), Vec<Known<'b, Revenue>>> = BTreeMap::new();
        for known in view.revenue(ticker) {
            let entry = known.entry;
            if QUARTER_DAYS.contains(&(entry.end.since(entry.start) + 1)) {
                lines.entry((entry.end, entry.start)).or_default().push(*known);
            }
        }
        let quarters = lines.into_iter().map(|((end, start), lines)| {
            let total = totals.iter().find(|total| total.end == end).map(|total| (total.value, total.known_at));
            quarter_mix(view, (start, end), lines, total)
        });
        Self { quarters: quarters.collect() }
    }

    /// The quarter that ended last, up to a day.
    #[must_use]
    pub fn newest(&self, until: Day) -> Option<&QuarterMix<'b>> {
        self.quarters.iter().rev().find(|quarter| quarter.end <= until)
    }

    /// Change of the HPC share a quarter over the last six that follow each other without a gap.
    #[must_use]
    pub fn trend_per_quarter(&self) -> Option<f64> {
        trend_per_quarter(&self.newest_shares()).ok()
    }

    /// Change of the HPC share against four quarters before.
    #[must_use]
    pub fn change_4_quarters(&self) -> Option<f64> {
        let shares = self.newest_shares();
        let last = shares.len().checked_sub(1)?;
        Some(shares[last] - shares[last.checked_sub(4)?])
    }

    /// Shares of the newest quarters, oldest first, back to the first gap.
    fn newest_shares(&self) -> Vec<f64> {
        let mut shares = Vec::new();
        let mut next: Option<Day> = None;
        for quarter in self.quarters.iter().rev() {
            let follows = next.is_none_or(|next| (1..=QUARTER_APART_DAYS / 8).contains(&next.since(quarter.end)));
            let (true, Some(mix)) = (follows, quarter.mix) else { break };
            shares.push(mix.hpc_share);
            next = Some(quarter.start);
        }
        shares.reverse();
        shares
    }
}

fn quarter_mix<'b>(
    view: &'b CreditView<'b>,
    (start, end): (Day, Day),
    lines: Vec<Known<'b, Revenue>>,
    total: Option<(f64, Timestamp)>,
) -> QuarterMix<'b> {
    let mut by_kind: BTreeMap<LineKind, i64> = BTreeMap::new();
    let mut unmapped = Vec::new();
    let mut known_at = total.map_or(Timestamp::MIN, |(_, known_at)| known_at);
    for known in &lines {
        let kind = view.line(&known.entry.ticker, &known.entry.line);
        known_at = known_at.max(known.known_at).max(kind.map_or(Timestamp::MIN, |kind| kind.known_at));
        match kind {
            Some(kind) => *by_kind.entry(kind.entry.kind).or_default() += known.entry.value_usd,
            None => unmapped.push(known.entry.line.as_str()),
        }
    }
    let sum: i64 = lines.iter().map(|known| known.entry.value_usd).sum();
    let hpc_usd = by_kind.get(&LineKind::Hpc).copied().unwrap_or(0);
    let total_usd = total.map_or(sum as f64, |(total, _)| total);
    let mix = RevenueMix::of(hpc_usd as f64, sum as f64, total_usd).ok();
    QuarterMix {
        start,
        end,
        hpc_usd,
        by_kind,
        unmapped,
        total_usd,
        total_is_reported: total.is_some(),
        mix,
        lines,
        known_at,
    }
}

//! Splits of shares: from adjusted closes to those that were traded, and back.
//!
//! A publisher that adjusts restates all of history at each split. As-traded values never move, so those are
//! stored, and a split is a value of its own on its day. Adjusting is then a question of a view: "as of" which day.

use super::time::Day;

/// A split of one issuer's shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// The first session that is traded in new shares.
    pub day: Day,
    /// New shares for each old one: 4 for four to one, 0.1 for one to ten. Finite and above zero.
    pub ratio: f64,
}

/// Today's shares, at the end of `as_of`, for each share that was traded on `day`: the product of the ratios of
/// the splits after `day` up to `as_of`, 1 without any.
#[must_use]
pub fn shares_for_each(splits: &[Split], day: Day, as_of: Day) -> f64 {
    splits.iter().filter(|split| day < split.day && split.day <= as_of).map(|split| split.ratio).product()
}

/// The close in USD that was traded on `day`, in shares of `as_of`.
///
/// 400 USD before a split of four to one are 100 USD from its day on, and 400 USD as of any day before it.
#[must_use]
pub fn split_adjusted_close(traded_usd: f64, day: Day, splits: &[Split], as_of: Day) -> f64 {
    traded_usd / shares_for_each(splits, day, as_of)
}

/// The volume of `day`, in shares of `as_of`.
#[must_use]
pub fn split_adjusted_volume(traded_shares: f64, day: Day, splits: &[Split], as_of: Day) -> f64 {
    traded_shares * shares_for_each(splits, day, as_of)
}

/// Closes of one issuer's share as they were traded, in time order, with its splits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Closes {
    /// Day and USD.
    pub sessions: Vec<(Day, f64)>,
    pub splits: Vec<Split>,
}

impl Closes {
    /// The closes in USD, in shares of a day: those for which terms of that day were written.
    #[must_use]
    pub fn in_shares_of(&self, day: Day) -> impl DoubleEndedIterator<Item = f64> {
        self.sessions.iter().map(move |&(session, traded)| {
            // One of the two is 1: splits lie between the day and the session, or the session and the day.
            traded * shares_for_each(&self.splits, day, session) / shares_for_each(&self.splits, session, day)
        })
    }

    /// Shares of `as_of` for each share of `day`.
    #[must_use]
    pub fn shares_for_each(&self, day: Day, as_of: Day) -> f64 {
        shares_for_each(&self.splits, day, as_of)
    }
}

/// From this price on, closes are taken to be whole cents.
const WHOLE_CENTS_FROM_USD: f64 = 100.0;

/// The close in USD as it was traded on `day`, out of one that is adjusted for every split up to `as_of`.
///
/// Adjusted closes come in single precision, about seven digits. Rounding to a hundredth of a cent (to a cent
/// from 100 USD on) takes their noise away, so a close is the same number before and after a split.
#[must_use]
pub fn as_traded_close(adjusted_usd: f64, day: Day, splits: &[Split], as_of: Day) -> f64 {
    let traded = adjusted_usd * shares_for_each(splits, day, as_of);
    let steps_of_a_dollar = if traded < WHOLE_CENTS_FROM_USD { 10_000.0 } else { 100.0 };
    (traded * steps_of_a_dollar).round() / steps_of_a_dollar
}

/// The whole shares that were traded on `day`, out of a volume that is adjusted for every split up to `as_of`.
///
/// Exact after splits that make more shares of one. After a reverse split of one to N the adjusted volume was
/// rounded to whole new shares, so this is right to within N / 2 shares.
#[must_use]
pub fn as_traded_volume(adjusted_shares: f64, day: Day, splits: &[Split], as_of: Day) -> f64 {
    (adjusted_shares / shares_for_each(splits, day, as_of)).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    /// One to ten in 2023, four to one in 2025.
    fn splits() -> [Split; 2] {
        [Split { day: day("2023-06-01"), ratio: 0.1 }, Split { day: day("2025-03-03"), ratio: 4.0 }]
    }

    #[test]
    fn a_close_is_seen_in_the_shares_of_the_day_asked_for() {
        let adjusted = |as_of: &str| split_adjusted_close(0.5, day("2023-05-31"), &splits(), day(as_of));
        assert_eq!(adjusted("2023-05-31"), 0.5);
        assert_eq!(adjusted("2023-06-01"), 5.0);
        assert_eq!(adjusted("2025-03-02"), 5.0);
        assert_eq!(adjusted("2025-03-03"), 1.25);
        let on_its_day = split_adjusted_close(5.25, day("2023-06-01"), &splits(), day("2023-12-31"));
        assert_eq!(on_its_day, 5.25, "the day of a split is traded in new shares");
        assert_eq!(split_adjusted_volume(1_000.0, day("2023-05-31"), &splits(), day("2025-03-03")), 400.0);
    }

    #[test]
    fn what_was_traded_comes_back_whatever_came_after() {
        let today = day("2026-01-01");
        for traded in [0.4321, 4.37, 96.99, 499.23] {
            for before in ["2023-01-03", "2024-01-03", "2025-06-03"].map(day) {
                let adjusted = split_adjusted_close(traded, before, &splits(), today);
                #[expect(clippy::cast_possible_truncation, reason = "single precision is what is shown")]
                let shown = f64::from(adjusted as f32);
                assert_eq!(as_traded_close(shown, before, &splits(), today), traded);
            }
        }
        assert_eq!(as_traded_volume(400.0, day("2025-03-02"), &splits(), today), 100.0);
        // 1,234,567 old shares are 123,456.7 new ones, shown as 123,457, and then 493,828.
        let restored = as_traded_volume(493_828.0, day("2023-05-31"), &splits(), today);
        assert!((restored - 1_234_567.0).abs() <= 5.0, "{restored}");
    }
    #[test]
    fn closes_are_told_in_the_shares_of_any_day() {
        let sessions = vec![(day("2022-01-03"), 5.0), (day("2024-01-03"), 60.0), (day("2026-01-05"), 16.0)];
        let closes = Closes { sessions, splits: splits().to_vec() };
        let told = |on: &str| closes.in_shares_of(day(on)).collect::<Vec<_>>();
        // Terms of 2022: a share of 2024 is ten of them, one of 2026 two and a half.
        assert_eq!(told("2022-06-01"), [5.0, 6.0, 6.4]);
        assert_eq!(told("2024-06-01"), [50.0, 60.0, 64.0]);
        assert_eq!(told("2026-06-01"), [12.5, 15.0, 16.0]);
    }
}

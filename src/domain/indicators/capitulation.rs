//! Capitulation: one score, from 0 to 100, of what several indicators say about miners in distress.
//!
//! | part | weight | from 0 to 1 |
//! |---|---|---|
//! | squeeze | 30 | [`squeeze_part`] |
//! | hash ribbons | 20 | [`hash_ribbons_part`] |
//! | difficulty | 10 | [`difficulty_part`] |
//! | Puell multiple | 15 | [`puell_part`] |
//! | miner flow | 15 | of the unusual outflows |
//! | miner credit | 10 | of the debts of listed miners |
//!
//! ```text
//! score = 100 × Σ weight × part / Σ weight, over the parts that are present
//! ```
//!
//! A part that is absent or too old ([`Part::max_age_days`]) leaves the sum, and the others share its
//! weight. With less than 60 of 100 present there is no score. All of it is our choice.

use super::statistics::{Missing, finite, ratio};

/// The weight that has to be present, of 100.
pub const MINIMUM_WEIGHT: f64 = 60.0;

/// How far below the 60-day mean the 30-day mean of hashrate is when its share of the part is full.
pub const FULL_RIBBON_DEPTH: f64 = 0.08;

/// How much of the ribbons' part their depth is; the rest is for an inversion that lasts.
pub const RIBBON_DEPTH_SHARE: f64 = 0.7;

/// Days after which an inversion of the ribbons lasts.
pub const LASTING_INVERSION_DAYS: u32 = 10;

/// The fall of difficulty over three epochs at which its part is full.
pub const FULL_DIFFICULTY_FALL: f64 = 0.20;

/// How far below 1 the Puell multiple is when its part is full.
pub const FULL_PUELL_SHORTFALL: f64 = 0.65;

/// What the score is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    Squeeze,
    HashRibbons,
    Difficulty,
    Puell,
    MinerFlow,
    MinerCredit,
}

impl Part {
    pub const ALL: [Self; 6] =
        [Self::Squeeze, Self::HashRibbons, Self::Difficulty, Self::Puell, Self::MinerFlow, Self::MinerCredit];

    /// The stable name of the part, in `snake_case`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Squeeze => "squeeze",
            Self::HashRibbons => "hash_ribbons",
            Self::Difficulty => "difficulty",
            Self::Puell => "puell",
            Self::MinerFlow => "miner_flow",
            Self::MinerCredit => "miner_credit",
        }
    }

    /// The weight of the part; all together are 100.
    #[must_use]
    pub const fn weight(self) -> f64 {
        match self {
            Self::Squeeze => 30.0,
            Self::HashRibbons => 20.0,
            Self::Puell | Self::MinerFlow => 15.0,
            Self::Difficulty | Self::MinerCredit => 10.0,
        }
    }

    /// Days after which the part counts as absent: what is read off the chain is due daily, what is
    /// read in filings every quarter.
    #[must_use]
    pub const fn max_age_days(self) -> u32 {
        match self {
            Self::MinerCredit => 120,
            Self::Squeeze | Self::HashRibbons | Self::Difficulty | Self::Puell | Self::MinerFlow => 2,
        }
    }
}

/// The part of the squeeze: `score / 100`, of the score of the reference fleets.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::capitulation::squeeze_part;
/// assert_eq!(squeeze_part(75.0), 0.75);
/// ```
#[must_use]
pub fn squeeze_part(squeeze_score: f64) -> f64 {
    clamp(squeeze_score / 100.0)
}

/// The part of the hash ribbons: `0.7 × clamp(−depth / 0.08)`, and 0.3 more once they have been
/// inverted for 10 days.
///
/// `depth` is the 30-day mean of hashrate over the 60-day mean, less 1; below 0 when they are inverted.
/// `inverted_days` counts from the start of the inversion, short recoveries joined, as it was known on
/// the day; 0 when they are not inverted.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::capitulation::hash_ribbons_part;
/// assert_eq!(hash_ribbons_part(-0.04, 9), 0.35);
/// assert_eq!(hash_ribbons_part(-0.04, 10), 0.65);
/// ```
#[must_use]
pub fn hash_ribbons_part(depth: f64, inverted_days: u32) -> f64 {
    let lasting = if inverted_days >= LASTING_INVERSION_DAYS { 1.0 - RIBBON_DEPTH_SHARE } else { 0.0 };
    RIBBON_DEPTH_SHARE * clamp(-depth / FULL_RIBBON_DEPTH) + lasting
}

/// The part of difficulty: `clamp(−(last two changes + the estimate of the next) / 0.20)`, each as a
/// fraction of the difficulty before it.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::capitulation::difficulty_part;
/// assert!((difficulty_part([-0.05, 0.02], -0.07) - 0.5).abs() < 1e-12); // 0.10 of 0.20
/// ```
#[must_use]
pub fn difficulty_part(last_changes: [f64; 2], estimated_change: f64) -> f64 {
    clamp(-(last_changes[0] + last_changes[1] + estimated_change) / FULL_DIFFICULTY_FALL)
}

/// The part of the Puell multiple: `clamp((1 − x) / 0.65)`, with `x` the 7-day mean of the multiple as
/// adjusted for halvings. A halving would otherwise pass for distress.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::capitulation::puell_part;
/// assert!((puell_part(0.48) - 0.8).abs() < 1e-12); // 0.52 of 0.65
/// ```
#[must_use]
pub fn puell_part(halving_adjusted_puell_ma7: f64) -> f64 {
    clamp((1.0 - halving_adjusted_puell_ma7) / FULL_PUELL_SHORTFALL)
}

/// The score, from 0 to 100.
///
/// `parts` are in any order; one that is not among them is absent, and of one that is there twice the
/// first counts.
///
/// # Errors
/// `InputMissing` when the parts that are present weigh less than 60; `OutOfRange` for one below 0 or
/// above 1; `NotFinite`.
///
/// # Examples
/// Without flow and credit, (30 × 0.8 + 20 × 0.65 + 10 × 0.5 + 15 × 0.4) / 75 = 48 / 75.
/// ```
/// use miner_signals::domain::indicators::capitulation::{Part, score};
/// let parts = [
///     (Part::Squeeze, Some(0.8)),
///     (Part::HashRibbons, Some(0.65)),
///     (Part::Difficulty, Some(0.5)),
///     (Part::Puell, Some(0.4)),
///     (Part::MinerFlow, None),
/// ];
/// assert!((score(&parts).unwrap() - 64.0).abs() < 1e-12);
/// ```
pub fn score(parts: &[(Part, Option<f64>)]) -> Result<f64, Missing> {
    let mut weighted = 0.0;
    for (part, value) in present(parts) {
        if !(0.0..=1.0).contains(&finite(value)?) {
            return Err(Missing::OutOfRange);
        }
        weighted += part.weight() * value;
    }
    let weight = weight_present(parts);
    if weight < MINIMUM_WEIGHT {
        return Err(Missing::InputMissing);
    }
    Ok(100.0 * ratio(weighted, weight)?)
}

/// How much weight is present, of 100. Below [`MINIMUM_WEIGHT`] there is no [`score`].
#[must_use]
pub fn weight_present(parts: &[(Part, Option<f64>)]) -> f64 {
    present(parts).map(|(part, _)| part.weight()).sum()
}

fn present(parts: &[(Part, Option<f64>)]) -> impl Iterator<Item = (Part, f64)> {
    Part::ALL.into_iter().filter_map(|part| {
        let &(_, value) = parts.iter().find(|(other, _)| *other == part)?;
        Some((part, value?))
    })
}

fn clamp(value: f64) -> f64 {
    value.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Part::{Difficulty, HashRibbons, MinerCredit, MinerFlow, Puell, Squeeze};
    use super::*;

    #[track_caller]
    fn assert_close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{actual} is not {expected}");
    }

    #[test]
    fn weights_and_ages() {
        let weights = [30.0, 20.0, 10.0, 15.0, 15.0, 10.0];
        assert_eq!(Part::ALL.map(Part::weight), weights);
        assert_eq!(weights.iter().sum::<f64>(), 100.0);
        assert_eq!(Part::ALL.map(Part::max_age_days), [2, 2, 2, 2, 2, 120]);
        let names = ["squeeze", "hash_ribbons", "difficulty", "puell", "miner_flow", "miner_credit"];
        assert_eq!(Part::ALL.map(Part::name), names);
    }

    #[test]
    fn parts_by_hand() {
        assert_close(squeeze_part(73.5), 0.735);
        assert_close(hash_ribbons_part(-0.02, 3), 0.175); // 0.7 of a quarter
        assert_close(hash_ribbons_part(-0.02, 10), 0.475);
        assert_close(hash_ribbons_part(-0.02, 9), 0.175);
        assert_close(hash_ribbons_part(-0.16, 40), 1.0);
        assert_close(hash_ribbons_part(0.03, 0), 0.0);
        assert_close(hash_ribbons_part(0.0, 12), 0.3);
        assert_close(difficulty_part([-0.02, -0.03], -0.01), 0.3); // 0.06 of 0.20
        assert_close(difficulty_part([-0.28, -0.05], 0.10), 1.0); // 0.23 of 0.20
        assert_close(difficulty_part([-0.05, 0.03], 0.02), 0.0);
        assert_close(difficulty_part([0.05, 0.03], -0.02), 0.0);
        assert_close(puell_part(0.35), 1.0);
        assert_close(puell_part(0.2), 1.0);
        assert_close(puell_part(0.74), 0.4); // 0.26 of 0.65
        assert_close(puell_part(1.7064), 0.0);
    }

    #[test]
    fn a_score_of_all_parts() {
        // 30 × 0.7 + 20 × 0.5 + 10 × 0.2 + 15 × 0.6 + 15 × 0.4 + 10 × 0.1 = 21 + 10 + 2 + 9 + 6 + 1.
        let parts = [
            (MinerCredit, Some(0.1)),
            (MinerFlow, Some(0.4)),
            (Puell, Some(0.6)),
            (Difficulty, Some(0.2)),
            (HashRibbons, Some(0.5)),
            (Squeeze, Some(0.7)),
        ];
        assert_close(score(&parts).unwrap(), 49.0);
        assert_eq!(weight_present(&parts), 100.0);
    }

    #[test]
    fn parts_that_are_absent_leave_their_weight_to_the_others() {
        // 21 + 10 + 2 of 60, which is just enough.
        let enough = [(Squeeze, Some(0.7)), (HashRibbons, Some(0.5)), (Difficulty, Some(0.2)), (Puell, None)];
        assert_close(score(&enough).unwrap(), 55.0);
        assert_close(score(&enough[..3]).unwrap(), 55.0);
        // A part of 0 is present, one that is absent is not 0.
        let zero = [(Squeeze, Some(0.7)), (HashRibbons, Some(0.5)), (Difficulty, Some(0.2)), (Puell, Some(0.0))];
        assert_close(score(&zero).unwrap(), 44.0); // 33 of 75
        // 50 and 55.
        assert_eq!(score(&enough[..2]), Err(Missing::InputMissing));
        let little = [(HashRibbons, Some(1.0)), (Difficulty, Some(1.0)), (Puell, Some(1.0)), (MinerCredit, Some(1.0))];
        assert_eq!(score(&little), Err(Missing::InputMissing));
        assert_eq!(weight_present(&little), 55.0);
        assert_eq!(score(&[]), Err(Missing::InputMissing));
    }

    #[test]
    fn a_part_counts_once() {
        let twice = [(Squeeze, Some(0.7)), (Squeeze, Some(0.7))];
        assert_eq!(weight_present(&twice), 30.0);
        assert_eq!(score(&twice), Err(Missing::InputMissing));
    }

    #[test]
    fn a_part_is_a_share() {
        let with = |value| score(&[(Squeeze, Some(value)), (HashRibbons, Some(0.5)), (Puell, Some(0.5))]);
        assert!(with(1.0).is_ok() && with(0.0).is_ok());
        assert_eq!(with(73.5), Err(Missing::OutOfRange));
        assert_eq!(with(-0.1), Err(Missing::OutOfRange));
        assert_eq!(with(f64::NAN), Err(Missing::NotFinite));
    }

    fn values() -> impl Strategy<Value = [Option<f64>; 6]> {
        prop::array::uniform6(prop::option::weighted(0.8, 0.0_f64..=1.0))
    }

    proptest! {
        #[test]
        fn a_score_lies_between_its_parts(values in values()) {
            let parts: Vec<_> = Part::ALL.into_iter().zip(values).collect();
            let present = || values.iter().flatten().copied();
            match score(&parts) {
                Ok(score) => {
                    prop_assert!(weight_present(&parts) >= MINIMUM_WEIGHT);
                    prop_assert!(score >= 100.0 * present().fold(1.0, f64::min) - 1e-9);
                    prop_assert!(score <= 100.0 * present().fold(0.0, f64::max) + 1e-9);
                }
                Err(missing) => {
                    prop_assert_eq!(missing, Missing::InputMissing);
                    prop_assert!(weight_present(&parts) < MINIMUM_WEIGHT);
                }
            }
        }

        #[test]
        fn the_order_of_the_parts_does_not_matter(
            (values, shuffled) in values().prop_flat_map(|values| {
                let parts: Vec<_> = Part::ALL.into_iter().zip(values).collect();
                (Just(parts.clone()), Just(parts).prop_shuffle())
            }),
        ) {
            prop_assert_eq!(score(&shuffled), score(&values));
        }

        #[test]
        fn every_part_is_a_share(x in -10.0_f64..10.0, y in -10.0_f64..10.0, days in 0_u32..40) {
            let parts =
                [squeeze_part(x * 10.0), hash_ribbons_part(x, days), difficulty_part([x, y], y), puell_part(x)];
            for part in parts {
                prop_assert!((0.0..=1.0).contains(&part), "{part}");
            }
        }
    }
}

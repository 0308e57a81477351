//! The spot price out of the closes of several venues.
//!
//! Which venues there are, and which closes were known when, stands in [`crate::domain::spot`].

use super::statistics::{Scratch, median_of};

/// The median of the closes of one hour, in their own unit, in any order: one for each venue that is
/// fresh, which is to say has a close for that very hour. `None` where none is.
///
/// With three venues one that is wrong, by however much, moves the result no further than to the
/// next close; a mean would follow it. Two cannot say which of them is wrong, and then it is their
/// mean.
///
/// | closes | median |
/// | --- | --- |
/// | none | `None` |
/// | 60,000 | 60,000: the only venue's own |
/// | 60,000, 60,100 | 60,050: the mean of both |
/// | 60,000, 63,000, 60,100 | 60,100: the middle one; 63,000 is 5 % off |
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::spot::median_of_fresh;
/// assert_eq!(median_of_fresh(&[60_000.0, 63_000.0, 60_100.0]), Some(60_100.0));
/// ```
#[must_use]
pub fn median_of_fresh(closes: &[f64]) -> Option<f64> {
    median_of(closes.iter().copied(), &mut Scratch::default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn worked_numbers() {
        assert_eq!(median_of_fresh(&[]), None);
        assert_eq!(median_of_fresh(&[60_000.123_456_789]), Some(60_000.123_456_789));
        assert_eq!(median_of_fresh(&[60_000.0, 60_100.0]), Some(60_050.0));
        assert_eq!(median_of_fresh(&[60_000.0, 60_200.0, 60_100.0]), Some(60_100.0));
        // Four would be the mean of the two in the middle.
        assert_eq!(median_of_fresh(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn a_venue_five_percent_off_does_not_move_it() {
        assert_eq!(median_of_fresh(&[60_000.0, 60_100.0, 60_200.0]), Some(60_100.0));
        assert_eq!(median_of_fresh(&[60_000.0, 60_100.0, 60_200.0 * 1.05]), Some(60_100.0));
        // From the other side it moves to the next close and no further, wherever the wrong one goes.
        assert_eq!(median_of_fresh(&[60_000.0 * 1.05, 60_100.0, 60_200.0]), Some(60_200.0));
        assert_eq!(median_of_fresh(&[1e9, 60_100.0, 60_200.0]), Some(60_200.0));
    }

    proptest! {
        #[test]
        fn the_order_of_the_venues_does_not_matter(
            (closes, shuffled) in prop::collection::vec(1.0_f64..1e6, 0..6)
                .prop_flat_map(|closes| (Just(closes.clone()), Just(closes).prop_shuffle())),
        ) {
            prop_assert_eq!(median_of_fresh(&shuffled), median_of_fresh(&closes));
        }

        #[test]
        fn it_lies_between_the_least_and_the_greatest(closes in prop::collection::vec(1.0_f64..1e6, 1..6)) {
            let median = median_of_fresh(&closes).unwrap();
            let least = closes.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = closes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(least <= median && median <= greatest, "{median} of {closes:?}");
        }
    }
}

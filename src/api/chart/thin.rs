//! Fewer points, the same picture: within a column of pixels only the extremes can be seen.

use crate::domain::time::Timestamp;

/// A piece of a line without holes: one point or more.
pub type Piece = Vec<(Timestamp, f64)>;

/// The pieces of a line, broken at its holes, with at most four points for each piece in each column:
/// its first, least, greatest and last there, in order of time. So no extreme is lost.
///
/// Of pieces that lie within one and the same column, which is narrower than any hole between them,
/// only the least and the greatest point remain, as pieces of their own: they are dots, and bridge
/// nothing. That bounds the points by the columns, however many holes there are.
///
/// `column_of` must not decrease with time. Values that are not finite are holes.
pub fn thin(points: &[(Timestamp, Option<f64>)], column_of: impl Fn(Timestamp) -> i64) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    // Pieces within one column, and the column.
    let mut narrow: (i64, Vec<Piece>) = (0, Vec::new());
    for run in points.split(|(_, value)| !value.is_some_and(f64::is_finite)).filter(|run| !run.is_empty()) {
        let column = column_of(run[0].0);
        let piece = thin_run(run, &column_of);
        if column != column_of(run[run.len() - 1].0) {
            settle(&mut pieces, &mut narrow.1);
            pieces.push(piece);
            continue;
        }
        if column != narrow.0 {
            settle(&mut pieces, &mut narrow.1);
        }
        narrow.0 = column;
        narrow.1.push(piece);
    }
    settle(&mut pieces, &mut narrow.1);
    pieces
}

/// Moves the pieces of one column to the others, in so far as they can be seen.
fn settle(pieces: &mut Vec<Piece>, narrow: &mut Vec<Piece>) {
    if narrow.len() < 2 {
        pieces.append(narrow);
        return;
    }
    let all: Piece = narrow.drain(..).flatten().collect();
    pieces.extend(extremes(&all).map(|point| vec![point]));
}

/// A run of values, none of which is missing.
fn thin_run(run: &[(Timestamp, Option<f64>)], column_of: impl Fn(Timestamp) -> i64) -> Piece {
    let run: Piece = run.iter().filter_map(|&(at, value)| Some((at, value?))).collect();
    let mut piece: Piece = Vec::new();
    for column in run.chunk_by(|a, b| column_of(a.0) == column_of(b.0)) {
        let (first, last) = (column[0], column[column.len() - 1]);
        let mut kept: Piece = [first].into_iter().chain(extremes(column)).chain([last]).collect();
        kept.dedup_by_key(|point| point.0);
        piece.extend(kept);
    }
    piece
}

/// The least and the greatest of some points, in order of time; one point where they are the same.
fn extremes(points: &[(Timestamp, f64)]) -> impl Iterator<Item = (Timestamp, f64)> {
    let least = points.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
    let greatest = points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    let mut both: Piece = least.into_iter().chain(greatest).collect();
    both.sort_by_key(|point| point.0);
    both.dedup_by_key(|point| point.0);
    both.into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_epoch_seconds(second).unwrap()
    }

    fn line(values: &[Option<f64>]) -> Vec<(Timestamp, Option<f64>)> {
        (0..).zip(values).map(|(second, value)| (at(second), *value)).collect()
    }

    /// Ten seconds are a column.
    fn column(instant: Timestamp) -> i64 {
        instant.micros() / 10_000_000
    }

    #[test]
    fn a_column_keeps_first_least_greatest_and_last() {
        let values = [5.0, 9.0, 4.0, 6.0, 1.0, 7.0, 8.0, 2.0, 3.0, 6.0].map(Some);
        let pieces = thin(&line(&values), column);
        assert_eq!(pieces, [vec![(at(0), 5.0), (at(1), 9.0), (at(4), 1.0), (at(9), 6.0)]]);
    }

    #[test]
    fn a_hole_breaks_the_line() {
        let mut values = vec![Some(1.0); 40];
        values[20] = None;
        values[30] = Some(f64::NAN);
        let pieces = thin(&line(&values), column);
        let ends: Vec<_> = pieces.iter().map(|piece| (piece[0].0, piece[piece.len() - 1].0)).collect();
        assert_eq!(ends, [(at(0), at(19)), (at(21), at(29)), (at(31), at(39))]);
    }

    #[test]
    fn many_holes_in_a_column_leave_two_dots() {
        let values: Vec<Option<f64>> = (0..10).map(|second| (second % 2 == 0).then_some(f64::from(second))).collect();
        assert_eq!(thin(&line(&values), column), [vec![(at(0), 0.0)], vec![(at(8), 8.0)]]);
        assert!(thin(&[], column).is_empty() && thin(&line(&[None, None]), column).is_empty());
    }

    proptest! {
        #[test]
        fn every_column_keeps_its_extremes_and_few_points(
            values in proptest::collection::vec(proptest::option::weighted(0.8, -1e6..1e6_f64), 0..300),
        ) {
            let points = line(&values);
            let kept: Piece = thin(&points, column).concat();
            for index in 0..30 {
                let of_column = |point: &&(Timestamp, f64)| column(point.0) == index;
                let before = points.iter().filter_map(|&(at, value)| Some((at, value?))).collect::<Piece>();
                let before: Vec<f64> = before.iter().filter(of_column).map(|point| point.1).collect();
                let after: Vec<f64> = kept.iter().filter(of_column).map(|point| point.1).collect();
                let bounds = |values: &[f64]| (
                    values.iter().copied().min_by(f64::total_cmp),
                    values.iter().copied().max_by(f64::total_cmp),
                );
                prop_assert_eq!(bounds(&before), bounds(&after));
                prop_assert!(after.len() <= 12, "two pieces that leave the column, and dots");
            }
        }
    }
}

//! When a feed that failed is asked again.
//!
//! | failure | first wait | grows | at most |
//! | --- | --- | --- | --- |
//! | no answer, a broken one, 5xx | 5 s | doubles | 10 min |
//! | 429 | what `Retry-After` says, else 60 s | doubles | 1 h |
//! | an answer that is wrong in itself: HTML, garbage, too large, a redirect | 60 s | doubles | 1 h |
//! | refused: 4xx | 15 min | doubles | 6 h |
//!
//! Up to half of each wait is taken off at random, so that many installations that failed together do
//! not come back together; a wait that the source asked for is only ever lengthened.

use std::time::Duration;

use crate::domain::time::Span;

/// The first wait and the longest for a failure's code.
fn bounds(code: &str) -> (Span, Span) {
    match code {
        "refused" => (Span::MINUTE.times(15), Span::HOUR.times(6)),
        "unreachable" | "timeout" | "truncated" | "server_error" | "abandoned" | "stopped" => {
            (Span::SECOND.times(5), Span::MINUTE.times(10))
        }
        // "rate_limited" among them.
        _ => (Span::MINUTE, Span::HOUR),
    }
}

/// How long to wait after a failure, the `failures`-th in a row counted from 1.
///
/// `asked` is what `Retry-After` said; `chance` is drawn evenly from 0 to 1.
#[must_use]
pub fn wait_after(code: &str, failures: u32, asked: Option<Duration>, chance: f64) -> Span {
    let (first, longest) = bounds(code);
    let grown = first.times(1 << failures.saturating_sub(1).min(20)).min(longest);
    #[expect(clippy::cast_possible_truncation, reason = "a share of at most six hours in microseconds")]
    let share = |span: Span, share: f64| Span::from_micros((span.micros() as f64 * share) as i64);
    // No source is believed for longer than a day.
    let asked = asked.map(|asked| asked.min(Duration::from_hours(24)));
    match asked.and_then(|asked| i64::try_from(asked.as_micros()).ok()) {
        Some(micros) => Span::from_micros(micros).max(Span::SECOND).plus(share(Span::SECOND.times(10), chance)),
        None => share(grown, 1.0 - 0.5 * chance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_spread() {
        assert_eq!(wait_after("timeout", 1, None, 0.0), Span::SECOND.times(5));
        assert_eq!(wait_after("timeout", 2, None, 0.0), Span::SECOND.times(10));
        assert_eq!(wait_after("timeout", 2, None, 1.0), Span::SECOND.times(5));
        assert_eq!(wait_after("timeout", 40, None, 0.0), Span::MINUTE.times(10));
        assert_eq!(wait_after("refused", 1, None, 0.0), Span::MINUTE.times(15));
        assert_eq!(wait_after("not_json", u32::MAX, None, 0.0), Span::HOUR);
    }

    #[test]
    fn what_the_source_asks_for_is_never_shortened() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wait_after("rate_limited", 5, asked(120), 0.0), Span::SECOND.times(120));
        assert_eq!(wait_after("rate_limited", 5, asked(120), 1.0), Span::SECOND.times(130));
        assert_eq!(wait_after("rate_limited", 1, asked(0), 0.0), Span::SECOND);
        assert_eq!(wait_after("rate_limited", 1, asked(u64::MAX / 2), 0.0), Span::DAY);
    }
}

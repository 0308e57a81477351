//! When the next request may be sent.

use std::time::{Duration, Instant};

/// Spreads requests: the begins of two are never closer than `every`.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    next: Option<Instant>,
}

impl Pace {
    pub(super) const fn new(every: Duration) -> Self {
        Self { every, next: None }
    }

    /// Takes the next turn, and says how long to wait for it. Time that nobody used is not saved up.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        let turn = self.next.map_or(now, |next| next.max(now));
        self.next = Some(turn + self.every);
        turn - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_and_lost_time_is_not_made_up_for() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(Duration::from_secs(2));
        let waits = [0, 0, 0, 5, 60, 60].map(|now| pace.wait(at(now)).as_secs());
        assert_eq!(waits, [0, 2, 4, 1, 0, 2]);
    }

    #[test]
    fn a_day_of_requests_is_what_the_pace_allows() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(2));
        let (mut now, mut sent) = (start, 0);
        loop {
            now += pace.wait(now);
            if now >= start + Duration::from_hours(24) {
                break;
            }
            sent += 1;
            // Each answer takes 0.3 s.
            now += Duration::from_millis(300);
        }
        assert_eq!(sent, 43_200);
    }
}

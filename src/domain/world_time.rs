//! The time of a simulated world, which may run faster than the computer's.

use super::time::{Span, Timestamp};

/// Where the world's time began and how fast it runs. The database computes the same in its function
/// `service_clock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorldTime {
    /// The instant at which both times were the same.
    pub began: Timestamp,
    /// Seconds of the world for each second of the computer, at least 1.
    pub speed: u32,
}

impl WorldTime {
    /// The world's time at an instant of the computer's clock.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Timestamp {
        let passed = now.since(self.began).micros().saturating_mul(i64::from(self.speed));
        self.began.plus(Span::from_micros(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_at_sixty_times_is_two_and_a_half_days() {
        let began = Timestamp::parse("2030-01-01").unwrap();
        let world = WorldTime { began, speed: 60 };
        assert_eq!(world.at(began.plus(Span::HOUR)), Timestamp::parse("2030-01-03T12:00:00Z").unwrap());
        assert_eq!(world.at(began), began);
    }
}

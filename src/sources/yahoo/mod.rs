//! Yahoo: closes, volumes and splits of the shares of listed miners, by the session.
//!
//! Its chart is unofficial and free for personal use; leave it out with `--without yahoo`. It shows history in
//! today's shares, so all of it moves at each split. What is stored is what was traded: closes and volumes are
//! brought back by the splits that the same answer lists, which are stored beside them.

mod client;
pub mod normalize;
pub mod wire;

pub use client::Days;

use crate::domain::credit::word::IssuerStatus;
use crate::domain::facts::{Fact, FactVersion, Facts};
use crate::domain::observation::Moment;
use crate::domain::time::Timestamp;

/// Whose shares are read: the issuers of these facts that are listed by the newest row about them.
#[must_use]
pub fn listed_tickers(facts: Vec<Fact>) -> Vec<String> {
    let versions = facts.into_iter().map(|row| FactVersion { known_at: row.published_at(), batch: 1, row });
    let facts = Facts::default().with(versions);
    let view = facts.credit().view(Moment { at: Timestamp::MAX, batch: i64::MAX });
    let listed = view.issuers().filter(|known| known.entry.status == IssuerStatus::Listed);
    listed.map(|known| known.entry.ticker.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::facts::shipped_facts;

    #[test]
    fn shares_of_who_was_taken_over_are_not_asked_for() {
        let tickers = listed_tickers(shipped_facts());
        let asked = |ticker: &str| tickers.iter().any(|listed| listed == ticker);
        assert!(asked("MARA") && asked("CANG") && tickers.len() >= 20, "{tickers:?}");
        // Listed by its row of 2024, taken over by that of 2025.
        assert!(!asked("SDIG"));
    }
}

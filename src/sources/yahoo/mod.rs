//! Yahoo: closes, volumes and splits of the shares of listed miners, by the session.
//!
//! Its chart is unofficial and free for personal use; leave it out with `--without yahoo`. It shows history in
//! today's shares, so all of it moves at each split. What is stored is what was traded: closes and volumes are
//! brought back by the splits that the same answer lists, which are stored beside them.

mod client;
pub mod normalize;
pub mod wire;

pub use client::Days;

use std::collections::BTreeMap;

use crate::domain::credit::row::Entry;
use crate::domain::credit::word::IssuerStatus;
use crate::domain::facts::Fact;
use crate::domain::time::Timestamp;

/// Whose shares are read: the issuers of these facts that are listed by the newest row about them.
#[must_use]
pub fn listed_tickers(facts: &[Fact]) -> Vec<String> {
    let mut newest: BTreeMap<&str, (Timestamp, IssuerStatus)> = BTreeMap::new();
    for fact in facts {
        let Fact::Credit(row) = fact else { continue };
        let Entry::Issuer(issuer) = row.entry() else { continue };
        let known = newest.entry(&issuer.ticker).or_insert((row.published_at(), issuer.status));
        if row.published_at() >= known.0 {
            *known = (row.published_at(), issuer.status);
        }
    }
    let listed = newest.into_iter().filter(|(_, (_, status))| *status == IssuerStatus::Listed);
    listed.map(|(ticker, _)| ticker.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::facts::shipped_facts;

    #[test]
    fn shares_of_who_was_taken_over_are_not_asked_for() {
        let tickers = listed_tickers(&shipped_facts());
        let asked = |ticker: &str| tickers.iter().any(|listed| listed == ticker);
        assert!(asked("MARA") && asked("CANG") && tickers.len() >= 20, "{tickers:?}");
        // Listed by its row of 2024, taken over by that of 2025.
        assert!(!asked("SDIG"));
    }
}

//! When each feed is read, and why: the one list.

use crate::domain::time::Span;

/// How one feed is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub source: &'static str,
    pub feed: &'static str,
    /// From the begin of one good run to the next.
    pub every: Span,
    /// How far back the very first run reads.
    pub first_reach: Span,
    /// How far each later run reads back before the last good one, to see revisions.
    pub overlap: Span,
    /// How far back the source shows anything; `None` for all of its history.
    pub shows: Option<Span>,
    /// How much of history one step of a backfill asks for.
    pub backfill_step: Span,
    /// How long raw answers are kept; `None` for ever.
    pub keep_raw: Option<Span>,
    /// Why so, for people.
    pub why: &'static str,
}

const DAYS_OF_HISTORY: Span = Span::DAY.times(20 * 366);

/// A day of Glassnode: two requests, the list of metrics and one of them.
const fn glassnode(feed: &'static str, why: &'static str) -> Entry {
    Entry {
        source: "glassnode",
        feed,
        every: Span::MINUTE.times(30),
        first_reach: DAYS_OF_HISTORY,
        overlap: Span::DAY.times(30),
        shows: None,
        backfill_step: Span::DAY.times(5_000),
        keep_raw: None,
        why,
    }
}

/// A day of CryptoQuant: one request.
const fn cryptoquant(feed: &'static str, why: &'static str) -> Entry {
    Entry {
        source: "cryptoquant",
        feed,
        every: Span::HOUR,
        first_reach: DAYS_OF_HISTORY,
        overlap: Span::DAY.times(90),
        shows: None,
        backfill_step: Span::DAY.times(5_000),
        keep_raw: None,
        why,
    }
}

/// Every feed that a worker reads, grouped by source: the feeds of a source take turns, so that its
/// rate limit is kept by construction.
pub const SCHEDULE: &[Entry] = &[
    Entry {
        source: "coinmetrics",
        feed: "days",
        every: Span::MINUTE.times(20),
        first_reach: DAYS_OF_HISTORY,
        overlap: Span::DAY.times(14),
        shows: None,
        backfill_step: Span::DAY.times(1_000),
        keep_raw: None,
        why: "a day appears up to a day after its end and is reviewed in the days after; two requests of ten allowed in six seconds",
    },
    Entry {
        source: "mempool",
        feed: "days",
        every: Span::MINUTE.times(10),
        first_reach: Span::DAY.times(30),
        overlap: Span::DAY.times(3),
        shows: Some(Span::DAY.times(3)),
        backfill_step: Span::DAY.times(30),
        keep_raw: None,
        why: "a day is complete soon after midnight, and its blocks may change for some hours; the page of blocks below the last retarget is asked here and not for each tip, because the tip shows those blocks itself unless there was a gap; five requests of an unpublished fair-use limit",
    },
    Entry {
        source: "mempool",
        feed: "tip",
        every: Span::MINUTE.times(5),
        first_reach: Span::HOUR.times(3),
        overlap: Span::HOUR.times(3),
        shows: Some(Span::HOUR.times(2)),
        backfill_step: Span::DAY,
        keep_raw: Some(Span::DAY.times(30)),
        why: "fifteen blocks are shown, about two and a half hours; the price is taken within ten minutes of the hour",
    },
    Entry {
        source: "coinbase",
        feed: "hours",
        every: Span::MINUTE.times(5),
        first_reach: Span::DAY.times(30),
        overlap: Span::DAY,
        shows: None,
        backfill_step: Span::DAY.times(12),
        keep_raw: None,
        why: "spot price: an hour's close is known at its end; one request of ten allowed a second",
    },
    Entry {
        source: "coinbase",
        feed: "days",
        every: Span::MINUTE.times(15),
        first_reach: Span::DAY.times(1_200),
        overlap: Span::DAY.times(5),
        shows: None,
        backfill_step: Span::DAY.times(300),
        keep_raw: None,
        why: "a day's close is known at midnight",
    },
    Entry {
        source: "kraken",
        feed: "hours",
        every: Span::MINUTE.times(5),
        first_reach: Span::DAY.times(30),
        overlap: Span::DAY,
        shows: Some(Span::DAY.times(30)),
        backfill_step: Span::DAY.times(30),
        keep_raw: None,
        why: "spot price; about one request a second is allowed, and only the newest 720 hours are shown",
    },
    Entry {
        source: "kraken",
        feed: "days",
        every: Span::MINUTE.times(15),
        first_reach: Span::DAY.times(720),
        overlap: Span::DAY.times(5),
        shows: Some(Span::DAY.times(720)),
        backfill_step: Span::DAY.times(720),
        keep_raw: None,
        why: "a day's close is known at midnight; only the newest 720 days are shown",
    },
    Entry {
        source: "bitstamp",
        feed: "hours",
        every: Span::MINUTE.times(5),
        first_reach: Span::DAY.times(30),
        overlap: Span::DAY,
        shows: None,
        backfill_step: Span::DAY.times(40),
        keep_raw: None,
        why: "spot price; a thin hour is filled with the last price and refused",
    },
    Entry {
        source: "bitstamp",
        feed: "days",
        every: Span::MINUTE.times(15),
        first_reach: Span::DAY.times(1_200),
        overlap: Span::DAY.times(5),
        shows: None,
        backfill_step: Span::DAY.times(1_000),
        keep_raw: None,
        why: "a day's close is known at midnight",
    },
    glassnode(
        "outflow",
        "a day of miners appears between midnight and 05:00 UTC, and changes in the weeks after as clusters are found; two requests of 600 allowed a minute, or of 30 with a small plan",
    ),
    glassnode("inflow", "as its outflow"),
    glassnode("balance", "as its outflow; the balance is that of the day's end"),
    cryptoquant(
        "outflow",
        "it is not said when a day appears; labels are renewed every Tuesday and all history with them, of which the last 90 days are read again, and the rest by `backfill`; the limit depends on the plan and is not published, so four requests an hour for all feeds",
    ),
    cryptoquant("inflow", "as its outflow"),
    cryptoquant("reserve", "as its outflow"),
    cryptoquant("miner-to-exchange", "as its outflow; labels of exchanges are renewed too"),
    Entry {
        source: "yahoo",
        feed: "days",
        every: Span::HOUR.times(3),
        first_reach: Span::DAY.times(2_000),
        overlap: Span::DAY.times(14),
        shows: None,
        // An answer goes on to the newest session whatever the step, to show the splits after it.
        backfill_step: DAYS_OF_HISTORY,
        keep_raw: None,
        why: "a session is over hours before its UTC day, and volumes are corrected in the days after; one request for each ticker, about 120 a day of an unpublished limit",
    },
];

/// The entry of a feed; `None` for a feed that no worker reads.
#[must_use]
pub fn find_entry(source: &str, feed: &str) -> Option<&'static Entry> {
    SCHEDULE.iter().find(|entry| entry.source == source && entry.feed == feed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sources::tests::every_key;
    use crate::sources::{Addresses, feeds};

    #[test]
    fn every_feed_stands_in_the_list_once_and_the_list_names_no_other() {
        let listed: Vec<_> = SCHEDULE.iter().map(|entry| (entry.source, entry.feed)).collect();
        let unique: BTreeSet<_> = listed.iter().copied().collect();
        assert_eq!(unique.len(), listed.len());
        let built: BTreeSet<_> =
            feeds(&Addresses::default(), &every_key("k")).iter().map(|feed| (feed.source(), feed.name())).collect();
        assert_eq!(unique, built);
    }

    #[test]
    fn every_run_reaches_back_over_the_one_before() {
        for entry in SCHEDULE {
            assert!(entry.overlap >= entry.every && entry.first_reach >= entry.overlap, "{}", entry.source);
        }
    }
}

//! Which upstream misbehaves when, in a demo or a long run: the same faults for the same seed.

use super::chance::{Topic, whole_below};
use super::upstreams::{Misbehaviour, SOURCES};

/// The faults of a long run, slot by slot; how long a slot lasts is the caller's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    seed: u64,
}

/// Slots of which one has a fault.
const SLOTS_OF_FAULT: u64 = 2;

impl FaultPlan {
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The one source that misbehaves in a slot, and how; `None` in half of the slots.
    ///
    /// Each 34 slots have every kind once, in an order of their own. The demand to slow down comes with a
    /// wait and without one in turn.
    #[must_use]
    pub fn at(self, slot: u64) -> Option<(&'static str, Misbehaviour)> {
        let fault = slot / SLOTS_OF_FAULT;
        if slot % SLOTS_OF_FAULT != u64::from(whole_below(self.seed, Topic::Fault, fault, 2)) {
            return None;
        }
        let source = SOURCES[pick(self.seed, Topic::FaultSource, fault, SOURCES.len())];
        let kinds = Misbehaviour::ALL.len();
        let (round, place) = (fault / kinds as u64, usize::try_from(fault % kinds as u64).unwrap_or(0));
        // The number of kinds is a prime, so any step but 0 visits each of them once.
        let first = pick(self.seed, Topic::FaultKind, 2 * round, kinds);
        let step = 1 + pick(self.seed, Topic::FaultKind, 2 * round + 1, kinds - 1);
        let kind = match Misbehaviour::ALL[(first + place * step) % kinds] {
            Misbehaviour::TooManyRequests { .. } if round.is_multiple_of(2) => {
                Misbehaviour::TooManyRequests { retry_after: None }
            }
            kind => kind,
        };
        Some((source, kind))
    }
}

/// An index into `count` things.
fn pick(seed: u64, topic: Topic, number: u64, count: usize) -> usize {
    whole_below(seed, topic, number, u32::try_from(count).unwrap_or(1)) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn half_of_the_slots_have_a_fault_and_all_kinds_and_sources_occur() {
        for seed in 0..20 {
            let plan = FaultPlan::new(seed);
            let faults: Vec<_> = (0..200).filter_map(|slot| plan.at(slot)).collect();
            assert_eq!(faults.len(), 100, "seed {seed}");
            let sources: BTreeSet<&str> = faults.iter().map(|(source, _)| *source).collect();
            let kinds: BTreeSet<&str> = faults.iter().map(|(_, kind)| kind.name()).collect();
            assert_eq!(sources.len(), SOURCES.len(), "seed {seed}");
            assert_eq!(kinds.len(), Misbehaviour::ALL.len(), "seed {seed}: {kinds:?}");
        }
    }

    #[test]
    fn each_34_slots_have_every_kind_once() {
        let kinds: Vec<&str> =
            (34..68).filter_map(|slot| FaultPlan::new(3).at(slot)).map(|(_, kind)| kind.name()).collect();
        assert_eq!(kinds.len(), 17);
        assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), 17);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let faults = |seed| (0..100).map(|slot| FaultPlan::new(seed).at(slot)).collect::<Vec<_>>();
        assert_eq!(faults(1), faults(1));
        assert_ne!(faults(1), faults(2));
    }
}

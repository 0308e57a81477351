//! Which pool mined a block, by the evidence that a view of the past knows, and how many blocks each
//! pool mined. The evidence comes from [`Facts`]; how it is compiled, `data/README.md` says.

use std::collections::{BTreeMap, HashMap};

use super::facts::{EvidenceKind, Facts, PoolEvidence};
use super::observation::Moment;

/// A mining pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name in addresses, which stays when it is renamed.
    pub slug: String,
    /// Its name for people, as a view knows it.
    pub name: String,
}

/// The pools that a view knows, to be found by tag or address.
#[derive(Debug, Clone, Default)]
pub struct Pools {
    /// By slug.
    all: Vec<Pool>,
    /// The place in `all`.
    addresses: HashMap<String, usize>,
    /// By the first byte in lower case; with one first byte, the longest tag first.
    tags: BTreeMap<u8, Vec<Tag>>,
}

#[derive(Debug, Clone)]
struct Tag {
    text: String,
    /// The place in `all`.
    pool: usize,
}

impl Pools {
    /// What a view of `moment` knows: each tag and each address belongs to the pool that the latest row
    /// about it names, and each pool has the name of the latest row about it. What the latest row takes
    /// back ([`PoolEvidence::NOBODY`]) belongs to none.
    #[must_use]
    pub fn at(facts: &Facts, moment: Moment) -> Self {
        let (mut names, mut owners) = (BTreeMap::new(), BTreeMap::new());
        for version in facts.pool_evidence(moment) {
            let fields = version.row.fields();
            owners.insert((fields.kind, version.row.compared_value()), fields);
            names.insert(fields.slug.as_str(), fields.name.as_str());
        }
        names.remove(PoolEvidence::NOBODY);
        let places: BTreeMap<&str, usize> = names.keys().copied().zip(0..).collect();
        let mut found = Self::default();
        for ((kind, _), fields) in owners {
            let Some(&pool) = places.get(fields.slug.as_str()) else { continue };
            match kind {
                EvidenceKind::Address => {
                    found.addresses.insert(fields.value.clone(), pool);
                }
                EvidenceKind::Tag => {
                    let text = fields.value.clone();
                    let Some(first) = text.bytes().next() else { continue };
                    found.tags.entry(first.to_ascii_lowercase()).or_default().push(Tag { text, pool });
                }
            }
        }
        found.tags.values_mut().for_each(|tags| tags.sort_by_key(|tag| std::cmp::Reverse(tag.text.len())));
        let pool = |(slug, name): (&str, &str)| Pool { slug: slug.to_owned(), name: name.to_owned() };
        found.all = names.into_iter().map(pool).collect();
        found
    }

    /// By slug; those without a tag or an address too, if they had one before.
    #[must_use]
    pub fn all(&self) -> &[Pool] {
        &self.all
    }

    fn by_address(&self, address: &str) -> Option<Attribution<'_>> {
        let (value, &pool) = self.addresses.get_key_value(address)?;
        Some(Attribution::Mined { pool: &self.all[pool], by: EvidenceKind::Address, value })
    }

    fn by_tag(&self, script: &[u8]) -> Option<Attribution<'_>> {
        (0..script.len()).find_map(|start| {
            let rest = &script[start..];
            let tags = self.tags.get(&rest[0].to_ascii_lowercase())?;
            let is_here = |tag: &&Tag| {
                rest.get(..tag.text.len()).is_some_and(|piece| piece.eq_ignore_ascii_case(tag.text.as_bytes()))
            };
            let tag = tags.iter().find(is_here)?;
            Some(Attribution::Mined { pool: &self.all[tag.pool], by: EvidenceKind::Tag, value: &tag.text })
        })
    }
}

/// Who mined a block, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribution<'a> {
    Mined {
        pool: &'a Pool,
        by: EvidenceKind,
        /// The tag or the address, as the table of facts has it.
        value: &'a str,
    },
    /// Neither a tag nor an address is known: a pool that hides, a new one, or a miner alone.
    Unknown,
}

impl<'a> Attribution<'a> {
    #[must_use]
    pub const fn pool(self) -> Option<&'a Pool> {
        match self {
            Self::Mined { pool, .. } => Some(pool),
            Self::Unknown => None,
        }
    }
}

/// The pool of a block: `script` is the whole input script of its coinbase (2 to 100 bytes, of any
/// kind), `addresses` are those that the coinbase pays to, **greatest value first**; outputs without an
/// address are left out.
///
/// An address counts before a tag, and of the addresses the first known one. A tag is found in any case
/// of ASCII letters, at any place between any bytes. Of several tags the one that begins first counts,
/// and of those that begin together the longest.
///
/// Why so
/// - A tag costs nothing to write; an address costs whoever writes it the reward. Of an address that is
///   paid a little that does not hold, so the order is by value: a pool that pays its members out of the
///   coinbase is not taken for a pool among them.
/// - `bitcoin-pool-identification` does the same: addresses of all pools first, "as it is harder to fake
///   than the coinbase tag" (`PoolIdentification::identify_pool` of version 0.3.8,
///   <https://docs.rs/bitcoin-pool-identification/0.3.8/src/bitcoin_pool_identification/lib.rs.html>), and
///   <https://github.com/bitcoin-data/mining-pools/pull/44> has a block where the two disagree. mempool
///   goes through the pools in the order of its list, of each first the addresses, then the tags without
///   regard to case (`matchBlockMiner` in `backend/src/api/pools-parser.ts` of mempool/mempool at commit
///   4de2f2e, read 2026-11-25), so that with it an early pool's tag comes before a late pool's address.
/// - Pools write first and let their miners write behind them: `/ViaBTC/Mined by leehoo4444/`,
///   `< OCEAN.XYZ >` and then the miner's words. So a miner who calls himself after another pool does not
///   move the block there.
///
/// ```
/// use miner_signals::domain::pools::{Attribution, Pools, attribute};
///
/// let nothing_known = Pools::default();
/// let script = b"\x03\xc5\xbd\x0e/Foundry USA Pool #dropgold/";
/// assert_eq!(attribute(&nothing_known, script, std::iter::empty()), Attribution::Unknown);
/// ```
#[must_use]
pub fn attribute<'a, 'b>(
    pools: &'a Pools,
    script: &[u8],
    mut addresses: impl Iterator<Item = &'b str>,
) -> Attribution<'a> {
    addresses
        .find_map(|address| pools.by_address(address))
        .or_else(|| pools.by_tag(script))
        .unwrap_or(Attribution::Unknown)
}

/// Counts blocks, rewards and spends by pool. Nothing of it is an estimate but [`Share`].
#[derive(Debug, Clone, Default)]
pub struct PoolTally<'a> {
    pools: BTreeMap<&'a str, (&'a Pool, Counts)>,
    unknown: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    blocks: u64,
    reward_satoshi: u64,
    spent_satoshi: u64,
}

/// What one pool mined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolRow<'a> {
    /// `None`: the blocks that no pool is known of.
    pub pool: Option<&'a Pool>,
    pub blocks: u64,
    /// Of all blocks, those of no known pool among them; `None` without any block.
    pub share: Option<Share>,
    /// What its coinbases paid: subsidy and fees.
    pub reward_satoshi: u64,
    /// What was spent of coinbases that it mined at whatever time.
    pub spent_satoshi: u64,
}

/// A share of blocks, and the share of hashrate that it speaks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Of blocks, 0 to 1: counted, so exact.
    pub value: f64,
    /// The [`wilson_interval`] of the share of hashrate: who finds a block is luck, and a day has but 144.
    pub low: f64,
    pub high: f64,
}

impl<'a> PoolTally<'a> {
    /// A block, of a pool or of no known one, and what its coinbase paid in satoshi.
    pub fn add_block(&mut self, pool: Option<&'a Pool>, reward_satoshi: u64) {
        let counts = self.counts_of(pool);
        counts.blocks += 1;
        counts.reward_satoshi += reward_satoshi;
    }

    /// An output of a coinbase that was spent, in satoshi, by who mined the block of that coinbase.
    pub fn add_spend(&mut self, pool: Option<&'a Pool>, spent_satoshi: u64) {
        self.counts_of(pool).spent_satoshi += spent_satoshi;
    }

    /// A row for each pool that has something, the most blocks first and equal ones by slug; at the end
    /// always one for the blocks of no known pool.
    #[must_use]
    pub fn rows(&self) -> Vec<PoolRow<'a>> {
        let all = self.pools.values().map(|(_, counts)| counts.blocks).sum::<u64>() + self.unknown.blocks;
        let row = |pool, counts: &Counts| PoolRow {
            pool,
            blocks: counts.blocks,
            share: Share::of(counts.blocks, all),
            reward_satoshi: counts.reward_satoshi,
            spent_satoshi: counts.spent_satoshi,
        };
        let mut rows: Vec<_> = self.pools.values().map(|(pool, counts)| row(Some(*pool), counts)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.blocks)); // stable, so equal ones stay by slug
        rows.push(row(None, &self.unknown));
        rows
    }

    fn counts_of(&mut self, pool: Option<&'a Pool>) -> &mut Counts {
        match pool {
            Some(pool) => &mut self.pools.entry(&pool.slug).or_insert((pool, Counts::default())).1,
            None => &mut self.unknown,
        }
    }
}

impl Share {
    fn of(blocks: u64, all: u64) -> Option<Self> {
        let (low, high) = wilson_interval(blocks, all)?;
        Some(Self { value: blocks as f64 / all as f64, low, high })
    }
}

/// The point that a standard normal variable is within with probability 0.95, on both sides of zero.
const NORMAL_97_5: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a share after `found` of `all` tries, by Wilson's score method without
/// correction for continuity: low and high, from 0 to 1. `None` without a try.
///
/// ```text
/// (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)
/// ```
///
/// with `n` tries, `p` the share found, and `z` = 1.96. It is never empty, also where nothing was found,
/// and right for few tries. That of one pool; of many pools at once some lie outside theirs.
///
/// Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22
/// (1927); R. G. Newcombe, Two-sided confidence intervals for the single proportion, Statistics in
/// Medicine 17 (1998), method 3,
/// <https://studylib.net/doc/7960426/two-sided-confidence-intervals-for-the-single-proportion>.
///
/// ```
/// use miner_signals::domain::pools::wilson_interval;
///
/// // A quarter of a day's blocks speaks for 19 to 33 percent of the hashrate.
/// let (low, high) = wilson_interval(36, 144).unwrap();
/// assert_eq!((format!("{low:.3}"), format!("{high:.3}")), ("0.186".to_owned(), "0.327".to_owned()));
/// ```
#[must_use]
pub fn wilson_interval(found: u64, all: u64) -> Option<(f64, f64)> {
    if all == 0 {
        return None;
    }
    let tries = all as f64;
    let share = found as f64 / tries;
    let squared = NORMAL_97_5 * NORMAL_97_5;
    let centre = share + squared / (2.0 * tries);
    let half = NORMAL_97_5 * (share * (1.0 - share) / tries + squared / (4.0 * tries * tries)).sqrt();
    let scale = 1.0 + squared / tries;
    // At the ends the two terms are equal, and rounding would step over the end.
    Some((((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0)))
}

#[cfg(test)]
mod tests;

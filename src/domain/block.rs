//! Blocks as an own node shows them: what each moves of the coins that miners were paid.
//!
//! A coin fresh from a coinbase is counted once in its life, in the block whose transaction spends it.
//! What it does after that is not seen here, and change of later hops is not counted twice: this is no
//! outflow of addresses.
//!
//! Money is in whole satoshi throughout.

use super::chain::Header;
use super::indicators::hashprice::{FIRST_SUBSIDY_SATOSHI, subsidy_satoshi};
use super::time::Timestamp;

/// The source of everything that an own node says.
pub const OWN_NODE: &str = "bitcoin-core";
/// Blocks that must stand on a coinbase before its coins may move. Source: Bitcoin Core,
/// `src/consensus/consensus.h`, `COINBASE_MATURITY`.
pub const COINBASE_MATURITY: u32 = 100;
/// From this age on a spend is no routine payout of a pool: one difficulty epoch, about two weeks.
pub const AGED_BLOCKS: u32 = 2016;
/// Coins mined below this height, the first halving, are of the era of 50 BTC: a dormant wallet that
/// moves them says nothing of today's miners.
pub const OLD_ERA_BELOW: u32 = 210_000;
/// All coins there can be, which bounds every amount. Source: Bitcoin Core, `src/consensus/amount.h`,
/// `MAX_MONEY`.
pub const MAX_MONEY: u64 = 2_100_000_000_000_000;

/// Which chain a node follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    Main,
    /// A private chain for tests, which halves every 150 blocks.
    Regtest,
}

impl Network {
    /// The name that nodes use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Regtest => "regtest",
        }
    }

    /// The new coins that a block may claim.
    #[must_use]
    pub fn subsidy_satoshi(self, height: u32) -> u64 {
        match self {
            Self::Main => subsidy_satoshi(height),
            Self::Regtest => FIRST_SUBSIDY_SATOSHI.checked_shr(height / 150).unwrap_or(0),
        }
    }
}

/// One block of an own node.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub header: Header,
    /// Median of the times of this block and the ten below: never runs back.
    pub median_time: Timestamp,
    /// All the work in the chain up to here, in hashes, big-endian.
    pub chain_work: [u8; 32],
    /// What it moves, or why that cannot be known.
    pub flow: Result<BlockFlow, Unavailable>,
}

/// Every reason that [`Unavailable`] gives.
pub const UNAVAILABLE_REASONS: [&str; 13] = [
    // The node cannot give the block, or what it spends.
    "no_prevout",
    "pruned",
    "not_downloaded",
    "undo_missing",
    // What it gave contradicts itself.
    "bad_amount",
    "bad_transaction",
    "fee_mismatch",
    "negative_fee",
    "transactions_missing",
    // What it gave breaks a rule that every block keeps.
    "immature_spend",
    "coinbase_too_large",
    "spends_more_than_mined",
    "unavailable",
];

/// Why the flow of a block cannot be known, which is not the same as none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// Code of the reason.
    pub reason: &'static str,
    /// The same for people.
    pub detail: String,
}

/// What the transactions of a block do with coins of coinbases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockFlow {
    pub transactions: u32,
    pub fees: u64,
    /// What the block's own coinbase pays out: its realised reward. It may be less than it could claim.
    pub coinbase_output: u64,
    /// The part of it that can ever be spent: without outputs that provably cannot, and nothing of the
    /// first block, whose coins are in no set of unspent ones.
    pub spendable_output: u64,
    pub coinbase_outputs: u32,
    pub spendable_outputs: u32,
    /// Inputs that spend an output of a coinbase, and all others.
    pub coinbase_inputs: u32,
    pub ordinary_inputs: u32,
    /// The coins of coinbases that are spent, by the height that mined them, lowest first; one for each.
    pub spends: Vec<CoinbaseSpend>,
    /// The script of the coinbase, in which pools write their names.
    pub tag: Vec<u8>,
    /// Where the coinbase pays to, the greatest payment first; outputs without an address are left out.
    pub payout_addresses: Vec<String>,
}

/// Coins of one height's coinbase that a block spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoinbaseSpend {
    pub mined_height: u32,
    pub satoshi: u64,
}

impl BlockFlow {
    /// Everything that is spent of coinbases.
    #[must_use]
    pub fn spend(&self) -> u64 {
        self.sum_where(|_| true)
    }

    /// The part of [`BlockFlow::spend`] that was mined at least [`AGED_BLOCKS`] before `height`, and not
    /// in the old era: the stress series.
    #[must_use]
    pub fn aged_spend(&self, height: u32) -> u64 {
        self.sum_where(|mined| mined >= OLD_ERA_BELOW && height.saturating_sub(mined) >= AGED_BLOCKS)
    }

    /// The part of [`BlockFlow::spend`] that was mined below [`OLD_ERA_BELOW`].
    #[must_use]
    pub fn old_era_spend(&self) -> u64 {
        self.sum_where(|mined| mined < OLD_ERA_BELOW)
    }

    /// The spent coins times their ages: satoshi times blocks. Over [`BlockFlow::spend`] it is the mean
    /// age of what moved. At most 2.1e15 satoshi times 2^32 blocks, under 2^84.
    #[must_use]
    pub fn coin_blocks(&self, height: u32) -> u128 {
        let of =
            |spend: &CoinbaseSpend| u128::from(spend.satoshi) * u128::from(height.saturating_sub(spend.mined_height));
        self.spends.iter().map(of).sum()
    }

    /// New coins that the block claimed. Negative where a coinbase paid out less than the fees.
    #[must_use]
    pub fn issuance(&self) -> i64 {
        self.coinbase_output.cast_signed() - self.fees.cast_signed()
    }

    fn sum_where(&self, counts: impl Fn(u32) -> bool) -> u64 {
        self.spends.iter().filter(|spend| counts(spend.mined_height)).map(|spend| spend.satoshi).sum()
    }

    /// Holds the flow of a block at `height` to what no block of the chain can break.
    ///
    /// # Errors
    /// The first rule that it breaks. Then the block is not what it says, and nothing of it may be used.
    pub fn check(&self, network: Network, height: u32) -> Result<(), BrokenRule> {
        if let Some(spend) = self
            .spends
            .iter()
            .find(|spend| height.checked_sub(spend.mined_height).is_none_or(|age| age < COINBASE_MATURITY))
        {
            return Err(BrokenRule::Immature { mined: spend.mined_height, spent: height });
        }
        let claimable = network.subsidy_satoshi(height).saturating_add(self.fees);
        if self.coinbase_output > claimable {
            return Err(BrokenRule::ClaimsTooMuch { claimed: self.coinbase_output, claimable });
        }
        Ok(())
    }

    /// What is left unspent of all coinbases after this block, from what was after the one below.
    ///
    /// # Errors
    /// If more is spent than there ever was.
    pub fn unspent_after(&self, before: u64) -> Result<u64, BrokenRule> {
        let spent = self.spend();
        let left = before.checked_sub(spent).ok_or(BrokenRule::SpendsTooMuch { spent, unspent: before })?;
        Ok(left + self.spendable_output)
    }
}

/// A rule that every block of the chain keeps, and this one does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    #[error("it spends a coinbase of height {mined} at height {spent}, before {COINBASE_MATURITY} blocks stand on it")]
    Immature { mined: u32, spent: u32 },
    #[error("its coinbase pays {claimed} satoshi, more than subsidy and fees, {claimable}")]
    ClaimsTooMuch { claimed: u64, claimable: u64 },
    #[error("it spends {spent} satoshi of coinbases, and only {unspent} were unspent")]
    SpendsTooMuch { spent: u64, unspent: u64 },
}

impl BrokenRule {
    /// The code in the quarantine.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Immature { .. } => "immature_spend",
            Self::ClaimsTooMuch { .. } => "coinbase_too_large",
            Self::SpendsTooMuch { .. } => "spends_more_than_mined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(spends: &[(u32, u64)]) -> BlockFlow {
        let spends = spends.iter().map(|&(mined_height, satoshi)| CoinbaseSpend { mined_height, satoshi }).collect();
        BlockFlow { spends, coinbase_output: 312_500_000, spendable_output: 312_500_000, ..BlockFlow::default() }
    }

    #[test]
    fn what_is_spent_is_told_apart_by_age_and_era() {
        // At height 900,000: a payout of two days, coins of one epoch to the block, one of less, and an
        // old wallet.
        let flow = flow(&[(209_999, 5_000_000_000), (897_984, 7), (897_985, 11), (899_700, 312_500_000)]);
        assert_eq!(flow.spend(), 5_312_500_018);
        assert_eq!(flow.aged_spend(900_000), 7);
        assert_eq!(flow.old_era_spend(), 5_000_000_000);
        let ages = 5_000_000_000_u128 * 690_001 + 7 * 2016 + 11 * 2015 + 312_500_000 * 300;
        assert_eq!(flow.coin_blocks(900_000), ages);
    }

    #[test]
    fn a_coinbase_moves_after_a_hundred_blocks_and_not_before() {
        assert_eq!(flow(&[(899_900, 1)]).check(Network::Main, 900_000), Ok(()));
        for mined in [899_901, 900_000, 900_001, u32::MAX] {
            let broken = flow(&[(mined, 1)]).check(Network::Main, 900_000);
            assert_eq!(broken, Err(BrokenRule::Immature { mined, spent: 900_000 }));
        }
    }

    #[test]
    fn a_coinbase_may_claim_subsidy_and_fees_or_less() {
        let claims = |coinbase_output| BlockFlow { fees: 5, coinbase_output, ..BlockFlow::default() };
        assert_eq!(claims(312_500_005).check(Network::Main, 900_000), Ok(()));
        assert_eq!(claims(0).check(Network::Main, 900_000), Ok(()));
        assert_eq!(claims(0).issuance(), -5);
        let broken = claims(312_500_006).check(Network::Main, 900_000);
        assert_eq!(broken, Err(BrokenRule::ClaimsTooMuch { claimed: 312_500_006, claimable: 312_500_005 }));
    }

    #[test]
    fn no_more_is_spent_than_was_mined() {
        assert_eq!(flow(&[(1, 40), (2, 2)]).unspent_after(50), Ok(8 + 312_500_000));
        let broken = flow(&[(1, 40), (2, 2)]).unspent_after(41);
        assert_eq!(broken, Err(BrokenRule::SpendsTooMuch { spent: 42, unspent: 41 }));
    }

    #[test]
    fn subsidies_halve() {
        let main = |height| Network::Main.subsidy_satoshi(height);
        assert_eq!((main(0), main(209_999), main(210_000)), (5_000_000_000, 5_000_000_000, 2_500_000_000));
        assert_eq!((main(840_000), main(6_930_000), main(u32::MAX)), (312_500_000, 0, 0));
        assert_eq!(
            (Network::Regtest.subsidy_satoshi(149), Network::Regtest.subsidy_satoshi(900)),
            (5_000_000_000, 78_125_000)
        );
    }
}

//! Which concepts mean which item.
//!
//! A filer uses one or two of the concepts that can mean an item, and changes between them over the years. For each
//! item they stand here in one fixed order, the one that says exactly it first; a figure keeps the place of its
//! concept, and a view takes the first that is there. An item that no concept of the standard taxonomies means,
//! such as the price of power, is not here: absent is not zero. Sums that leave out a part, such as a debt without
//! what is due within a year, come last, and only where the whole has no concept of its own in most filings.
//!
//! All are stated as positive numbers where they are costs, outflows or amounts owed.

use crate::domain::credit::figure::Item;

/// In what a concept's value is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Usd,
    Shares,
    Btc,
}

impl Unit {
    /// Whether a unit, as a filing writes it, is this one. Other currencies are never taken for dollars. Coins have
    /// no standard name, so filers make one up.
    #[must_use]
    pub fn is(self, text: &str) -> bool {
        match self {
            Self::Usd => text == "USD",
            Self::Shares => text == "shares",
            Self::Btc => ["btc", "bitcoin", "bitcoins"].iter().any(|name| text.eq_ignore_ascii_case(name)),
        }
    }
}

/// The unit in which an item is stated.
#[must_use]
pub const fn unit_of(item: Item) -> Unit {
    match item {
        Item::SharesOutstanding => Unit::Shares,
        Item::BtcHeld => Unit::Btc,
        _ => Unit::Usd,
    }
}

/// The concepts of each item, the preferred one first.
pub const CONCEPTS: [(Item, &[&str]); 17] = [
    (
        Item::Revenue,
        &[
            "us-gaap:Revenues",
            "us-gaap:RevenueFromContractWithCustomerExcludingAssessedTax",
            "us-gaap:RevenueFromContractWithCustomerIncludingAssessedTax",
            "us-gaap:SalesRevenueNet",
            "ifrs-full:Revenue",
            "ifrs-full:RevenueFromContractsWithCustomers",
        ],
    ),
    (Item::OperatingIncome, &["us-gaap:OperatingIncomeLoss", "ifrs-full:ProfitLossFromOperatingActivities"]),
    (
        Item::Depreciation,
        &[
            "us-gaap:DepreciationDepletionAndAmortization",
            "us-gaap:DepreciationAndAmortization",
            "us-gaap:DepreciationAmortizationAndAccretionNet",
            "us-gaap:Depreciation",
            "ifrs-full:AdjustmentsForDepreciationAndAmortisationExpense",
            "ifrs-full:DepreciationAndAmortisationExpense",
            "ifrs-full:DepreciationExpense",
        ],
    ),
    (
        Item::StockCompensation,
        &[
            "us-gaap:ShareBasedCompensation",
            "us-gaap:AllocatedShareBasedCompensationExpense",
            "ifrs-full:AdjustmentsForSharebasedPayments",
        ],
    ),
    (
        Item::Impairment,
        &[
            "us-gaap:AssetImpairmentCharges",
            "us-gaap:ImpairmentOfLongLivedAssetsHeldForUse",
            "us-gaap:ImpairmentOfIntangibleAssetsIndefinitelivedExcludingGoodwill",
            "ifrs-full:ImpairmentLossReversalOfImpairmentLossRecognisedInProfitOrLoss",
        ],
    ),
    (
        Item::BtcFairValueGain,
        &[
            "us-gaap:CryptoAssetRealizedAndUnrealizedGainLossOperating",
            "us-gaap:CryptoAssetRealizedAndUnrealizedGainLossNonoperating",
        ],
    ),
    (
        Item::InterestExpense,
        &[
            "us-gaap:InterestExpense",
            "us-gaap:InterestExpenseNonoperating",
            "us-gaap:InterestExpenseDebt",
            "ifrs-full:InterestExpense",
            "ifrs-full:FinanceCosts",
        ],
    ),
    (
        Item::CapitalisedInterest,
        &["us-gaap:InterestCostsCapitalized", "us-gaap:InterestPaidCapitalized", "ifrs-full:BorrowingCostsCapitalised"],
    ),
    (
        Item::NetIncome,
        &[
            "us-gaap:NetIncomeLoss",
            "us-gaap:ProfitLoss",
            "ifrs-full:ProfitLossAttributableToOwnersOfParent",
            "ifrs-full:ProfitLoss",
        ],
    ),
    (
        Item::Capex,
        &[
            "us-gaap:PaymentsToAcquirePropertyPlantAndEquipment",
            "us-gaap:PaymentsToAcquireProductiveAssets",
            "ifrs-full:PurchaseOfPropertyPlantAndEquipmentClassifiedAsInvestingActivities",
        ],
    ),
    (
        Item::Cash,
        &["us-gaap:CashAndCashEquivalentsAtCarryingValue", "us-gaap:Cash", "ifrs-full:CashAndCashEquivalents"],
    ),
    (
        Item::RestrictedCash,
        &[
            "us-gaap:RestrictedCash",
            "us-gaap:RestrictedCashAndCashEquivalentsAtCarryingValue",
            "ifrs-full:RestrictedCashAndCashEquivalents",
        ],
    ),
    (
        Item::Debt,
        &[
            "us-gaap:DebtLongtermAndShorttermCombinedAmount",
            "us-gaap:LongTermDebt",
            "us-gaap:DebtInstrumentCarryingAmount",
            "us-gaap:ConvertibleNotesPayable",
            "us-gaap:NotesPayable",
            "us-gaap:ConvertibleLongTermNotesPayable",
            "us-gaap:LongTermNotesPayable",
            "ifrs-full:Borrowings",
        ],
    ),
    (Item::BtcHeld, &["us-gaap:CryptoAssetNumberOfUnits"]),
    (
        Item::SharesOutstanding,
        &[
            "dei:EntityCommonStockSharesOutstanding",
            "us-gaap:CommonStockSharesOutstanding",
            "ifrs-full:NumberOfSharesOutstanding",
        ],
    ),
    (
        Item::UndrawnCommitted,
        &["us-gaap:LineOfCreditFacilityRemainingBorrowingCapacity", "ifrs-full:UndrawnBorrowingFacilities"],
    ),
    (
        Item::CommittedCapex,
        &[
            "us-gaap:PurchaseObligation",
            "us-gaap:LongTermPurchaseCommitmentAmount",
            "ifrs-full:ContractualCommitmentsForAcquisitionOfPropertyPlantAndEquipment",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_item_and_every_concept_stands_here_once() {
        let items: BTreeSet<Item> = CONCEPTS.iter().map(|(item, _)| *item).collect();
        assert_eq!(items.len(), CONCEPTS.len());
        let concepts: Vec<&str> = CONCEPTS.iter().flat_map(|(_, concepts)| *concepts).copied().collect();
        assert_eq!(concepts.iter().collect::<BTreeSet<_>>().len(), concepts.len());
        for concept in concepts {
            assert!(
                ["us-gaap:", "ifrs-full:", "dei:"].iter().any(|taxonomy| concept.starts_with(taxonomy)),
                "{concept}"
            );
        }
    }

    #[test]
    fn another_currency_is_no_dollar() {
        assert!(Unit::Usd.is("USD"));
        for unit in ["CAD", "COP", "USD/shares", "usd", "EUR"] {
            assert!(!Unit::Usd.is(unit), "{unit}");
        }
        assert!(Unit::Btc.is("Bitcoin") && !Unit::Btc.is("ETH"));
    }
}

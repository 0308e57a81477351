//! Closed lists of words, as the tables and the answers write them.

/// An enum whose variants have a word each: `ALL`, `name` and `from_name`.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$variant_about:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_about])* $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub const NAMES: &'static [&'static str] = &[$($word),+];

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// What an issuer files with the SEC.
    FilerKind { Domestic = "domestic", Form20F = "form_20f", Form40F = "form_40f" }
}
words! {
    /// Whether an issuer's shares are traded.
    IssuerStatus { Listed = "listed", Acquired = "acquired", Delisted = "delisted" }
}
words! {
    /// Whether an issuer counts in the sums of the industry.
    Industry {
        /// Mines, or hosts those who do.
        Miner = "miner",
        /// Mines beside a greater business of another kind.
        Other = "other",
    }
}
words! {
    /// What kind of debt an instrument is.
    InstrumentKind {
        Convertible = "convertible",
        Exchangeable = "exchangeable",
        SeniorNotes = "senior_notes",
        SeniorSecuredNotes = "senior_secured_notes",
        TermLoan = "term_loan",
        ProjectLoan = "project_loan",
        BitcoinBackedLoan = "bitcoin_backed_loan",
        CreditLine = "credit_line",
        EquipmentLoan = "equipment_loan",
        Mortgage = "mortgage",
        BridgeLoan = "bridge_loan",
        DipLoan = "dip_loan",
        FinanceLease = "finance_lease",
        Loan = "loan",
    }
}
words! {
    /// Who answers for an instrument beyond its collateral.
    Recourse {
        /// The parent owes or guarantees it.
        Parent = "parent",
        /// The parent guarantees a part, such as completion.
        Limited = "limited",
        /// Ring-fenced.
        None = "none",
    }
}
words! {
    /// What the money was for.
    Purpose { Mining = "mining", Hpc = "hpc", Treasury = "treasury", General = "general" }
}
words! {
    Security { Unsecured = "unsecured", Secured = "secured", Bitcoin = "bitcoin" }
}
words! {
    CouponKind { Fixed = "fixed", Floating = "floating" }
}
words! {
    /// What a floating rate follows.
    Benchmark { Sofr = "sofr", FedFunds = "fed_funds", Prime = "prime", Other = "other" }
}
words! {
    /// In what interest is paid.
    InterestPaid { Cash = "cash", Pik = "pik", Either = "either" }
}
words! {
    /// In what the principal is paid when a note is converted.
    Settlement { Cash = "cash", Shares = "shares", Either = "either" }
}
words! {
    InstrumentStatus { Announced = "announced", Outstanding = "outstanding", Retired = "retired" }
}
words! {
    /// How an instrument ended.
    RetiredHow {
        Repaid = "repaid",
        Converted = "converted",
        Exchanged = "exchanged",
        Refinanced = "refinanced",
        Discharged = "discharged",
        Amended = "amended",
    }
}
words! {
    /// Whether the terms were read in a filing or a release, or only in reports.
    Verification { Verified = "verified", Candidate = "candidate" }
}
words! {
    /// What changed the amount that is outstanding.
    Cause {
        Issue = "issue",
        Tap = "tap",
        Draw = "draw",
        Repurchase = "repurchase",
        Conversion = "conversion",
        Exchange = "exchange",
        Repayment = "repayment",
        Reported = "reported",
    }
}
words! {
    OptionKind {
        /// The holder may sell back on that day.
        Put = "put",
        /// The issuer may redeem from that day on.
        Call = "call",
    }
}
words! {
    /// What must hold for a put or a call.
    Condition {
        PriceBelowConversion = "price_below_conversion",
        PriceAbove130Pct = "price_above_130_pct",
        Other = "other",
    }
}
words! {
    /// What a line of revenue is earned with.
    LineKind {
        Mining = "mining",
        Hosting = "hosting",
        Hpc = "hpc",
        Power = "power",
        Equipment = "equipment",
        Other = "other",
    }
}
words! {
    SitePurpose { Mining = "mining", Hpc = "hpc", Mixed = "mixed", Hosting = "hosting", Power = "power" }
}
words! {
    SiteStatus {
        Operating = "operating",
        Building = "building",
        Contracted = "contracted",
        Announced = "announced",
        Closed = "closed",
    }
}
words! {
    /// Whether a date was announced, or is expected.
    Certainty { Confirmed = "confirmed", Estimated = "estimated" }
}
words! {
    /// What a figure of the whole industry is about.
    IndustryMetric {
        TotalDebt = "total_debt_usd",
        DebtIssued = "debt_issued_usd",
        ConvertiblesIssued = "convertibles_issued_usd",
        SoldShareLow = "sold_share_of_production_low",
        SoldShareHigh = "sold_share_of_production_high",
        BtcSold = "btc_sold",
        BtcMined = "btc_mined",
        Hashcost = "hashcost_usd_per_ph_day",
        CashCost = "cash_cost_usd_per_btc",
        TotalCost = "total_cost_usd_per_btc",
    }
}

impl InstrumentKind {
    /// Whether holders may take shares for it.
    #[must_use]
    pub const fn is_convertible(self) -> bool {
        matches!(self, Self::Convertible | Self::Exchangeable)
    }
}

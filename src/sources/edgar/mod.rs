//! EDGAR, where issuers file with the SEC: which filings there are, and the figures that they tag.
//!
//! | file | what |
//! | --- | --- |
//! | `client.rs` | `Edgar`: the addresses that are asked |
//! | `wire.rs` | what it answers: lists of filings, figures by concept, and errors as HTML or XML |
//! | `concepts.rs` | which concepts mean which item, in a fixed order |
//! | `normalize.rs` | answers to filings and figures, or why not |
//!
//! It wants a User-Agent with the name of the program and an address of who runs it, and at most ten requests a
//! second from one address; who asks faster gets 403 for some ten minutes. There is no key, and the data is in the
//! public domain.
//!
//! Source: <https://www.sec.gov/search-filings/edgar-application-programming-interfaces>, read 2026-11-25, and
//! recorded answers.

mod client;
pub mod concepts;
pub mod normalize;
pub mod wire;

pub use client::Edgar;

/// The name of the source in ledgers and configuration.
pub const SOURCE: &str = "edgar";

/// The publisher's own address for lists and figures.
pub const USUAL_ADDRESS: &str = "https://data.sec.gov";

/// Somebody whose filings are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issuer {
    pub ticker: &'static str,
    /// Number of the filer.
    pub cik: u64,
}

const fn issuer(ticker: &'static str, cik: u64) -> Issuer {
    Issuer { ticker, cik }
}

/// The miners that are read. Tickers and numbers as in the SEC's own list of 2024-05; a company that changed its
/// name stands under its present one.
pub const ISSUERS: [Issuer; 22] = [
    issuer("ABTC", 1_755_953),
    issuer("APLD", 1_144_879),
    issuer("ARBK", 1_841_675),
    issuer("BITF", 1_812_477),
    issuer("BTBT", 1_710_350),
    issuer("BTCM", 1_517_496),
    issuer("BTDR", 1_899_123),
    issuer("CAN", 1_780_652),
    issuer("CANG", 1_725_123),
    issuer("CIFR", 1_819_989),
    issuer("CLSK", 827_876),
    issuer("CORZ", 1_839_341),
    issuer("FUFU", 1_921_158),
    issuer("GREE", 1_844_971),
    issuer("HIVE", 1_720_424),
    issuer("HUT", 1_964_789),
    issuer("IREN", 1_878_848),
    issuer("MARA", 1_507_605),
    issuer("RIOT", 1_167_419),
    issuer("SDIG", 1_856_028),
    issuer("SLNH", 64_463),
    issuer("WULF", 1_083_301),
];

//! EDGAR, where issuers file with the SEC: which filings there are, and the figures that they tag.
//!
//! | file | what |
//! | --- | --- |
//! | `client.rs` | `Edgar`: the addresses that are asked |
//! | `wire.rs` | what it answers: lists of filings, figures by concept, and errors as HTML or XML |
//! | `document.rs` | what the document of a filing says about debt |
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
pub mod document;
pub mod normalize;
pub mod wire;

pub use client::Edgar;

/// The name of the source in ledgers and configuration.
pub const SOURCE: &str = "edgar";

/// The publisher's own address for lists and figures.
pub const USUAL_ADDRESS: &str = "https://data.sec.gov";

/// The publisher's own address for documents.
pub const USUAL_DOCUMENTS: &str = "https://www.sec.gov";

//! An own Bitcoin Core node, over JSON-RPC: the chain as it was checked at home, and what each block
//! moves of the coins that miners were paid.
//!
//! `getblock` of verbosity 3 names the output that each input spends, and whether a coinbase made it.
//! The node must be of version 23 or later, and have the block and its undo data. What it cannot show is
//! unknown and never zero: a block without `prevout` is [`crate::domain::block::Unavailable`].
//!
//! | file | what |
//! | --- | --- |
//! | `client.rs` | `Node`: calls with a name and a password or a cookie; errors that say what to do |
//! | `wire.rs` | what the node answers, in its own words and units |
//! | `stream.rs` | an answer of `getblock` in pieces, a transaction at a time |
//! | `normalize.rs` | transactions to what they move; headers, and whether they are what they claim |
//!
//! Shapes: recorded answers of nodes of version 30.99 and 31.99 on a private chain. Source of units and
//! codes: the node's own help and `src/rpc` of Bitcoin Core (<https://github.com/bitcoin/bitcoin>).

pub mod client;
pub mod normalize;
mod stream;
pub mod wire;

pub use client::{Auth, Node, NodeError};

/// The name of the source in series, ledgers and configuration.
pub const SOURCE: &str = crate::domain::block::OWN_NODE;

/// Verbosity 3 of `getblock` is there from this version on.
pub const OLDEST_VERSION: u32 = 230_000;

//! An Esplora server, public or of one's own: which coinbases were mined, and where their outputs were spent.
//!
//! For those without an own node. It is asked for the newest blocks, for each block's coinbase, and again and
//! again for what became of the outputs of each. What moves coins that are older than the watch is not seen.
//!
//! | file | what |
//! | --- | --- |
//! | `client.rs` | `Server`: the addresses that are asked |
//! | `wire.rs` | what the server answers, strictly typed: an amount that is no whole satoshi is no answer |
//! | `normalize.rs` | answers to blocks, coinbases and spends, or why not |
//!
//! A coinbase takes two small requests, its txid and its transaction. `/block/:hash/txs` would take one, and
//! have the server look up every input of 25 transactions to show us the first.
//!
//! Source: <https://github.com/Blockstream/esplora/blob/master/API.md>, read 2026-11-25, and recorded answers.

mod client;
pub mod normalize;
pub mod wire;

pub use client::Server;

/// The name of the source in series, ledgers and configuration.
pub const SOURCE: &str = "esplora";

/// The public server that is asked where none is named.
pub const USUAL_ADDRESS: &str = "https://mempool.space/api";

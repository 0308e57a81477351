//! CryptoQuant: what miners hold, receive and send, by the day, for holders of a key.
//!
//! Paths, parameters and the weekly renewal of labels are documented
//! (<https://userguide.cryptoquant.com/ko/docs/btc-inter-entity-flows>; likewise `btc-miner-flows`).
//! **Not verified**, because no recorded answer was at hand: the names of the value fields
//! (`wire::FLOWS`, taken from that page and from clients that others published), whether the running
//! day is shown, whether `to` is the last day or the one behind it, and how soon a day appears. So a
//! row without the expected field makes the answer unusable, with the names that were found.

mod client;
pub mod normalize;
pub mod wire;

pub use client::Days;

//! Kraken: candles of XBT/USD.

mod client;
pub mod normalize;
pub mod wire;

pub use client::Candles;

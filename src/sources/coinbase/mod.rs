//! Coinbase Exchange: candles of BTC-USD.

mod client;
pub mod normalize;
pub mod wire;

pub use client::Candles;

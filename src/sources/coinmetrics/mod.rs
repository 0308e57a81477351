//! Coin Metrics: the community's daily file of one asset (`wire.rs`, `normalize.rs`), and the API,
//! with or without a key (`client.rs`, `api_wire.rs`, `api_normalize.rs`).

pub mod api_normalize;
pub mod api_wire;
mod client;
pub mod normalize;
pub mod wire;

pub use client::Days;

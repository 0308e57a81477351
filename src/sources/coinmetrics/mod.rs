//! Coin Metrics: the community's daily file of one asset.

pub mod normalize;
pub mod wire;

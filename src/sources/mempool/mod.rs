//! mempool.space: the explorer's REST interface, of the public service or of one's own server.

pub mod chain;
mod client;
pub mod normalize;
pub mod wire;

pub use client::{Days, Tip};

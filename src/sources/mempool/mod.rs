//! mempool.space: the explorer's REST interface, of the public service or of one's own.

mod client;

pub use client::{Days, Tip};

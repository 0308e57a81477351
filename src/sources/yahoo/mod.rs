//! Yahoo: closes, volumes and splits of the shares of listed miners, by the session.
//!
//! Its chart is unofficial and free for personal use; leave it out with `--without yahoo`. It shows history in
//! today's shares, so all of it moves at each split. What is stored is what was traded: closes and volumes are
//! brought back by the splits that the same answer lists, which are stored beside them.

mod client;
pub mod normalize;
pub mod wire;

pub use client::Days;

/// Whose shares are read.
pub const TICKERS: [&str; 15] = [
    "MARA", "RIOT", "CLSK", "CIFR", "WULF", "CORZ", "IREN", "HUT", "BITF", "BTDR", "BTBT", "HIVE", "GREE", "APLD",
    "GLXY",
];

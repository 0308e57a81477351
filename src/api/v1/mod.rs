//! The endpoints of version 1, one resource a file.

pub mod breakeven;
pub mod credit;
pub mod difficulty;
pub mod flows;
pub mod hash_ribbons;
pub mod hashprice;
pub mod latest;
mod now;
pub mod panel;
pub mod pictures;
pub mod pools;
pub mod series;
pub mod shapes;
pub mod sources;
pub mod squeeze;
pub mod status;

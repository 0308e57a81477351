//! The endpoints of version 1, one resource a file.

pub mod hashprice;
pub mod latest;
pub mod panel;
pub mod series;
pub mod shapes;
pub mod sources;
pub mod status;

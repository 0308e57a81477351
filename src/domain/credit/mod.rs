//! Balance sheets of listed miners, as filed and as known: instruments, figures, and what follows of them.

pub mod book;
pub mod cells;
pub mod debt;
pub mod figure;
pub mod measure;
pub mod miner;
pub mod periods;
pub mod revenue;
pub mod row;
pub mod word;

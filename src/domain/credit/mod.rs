//! Balance sheets of listed miners, as filed and as known: instruments, figures, and what follows of them.

pub mod book;
pub mod cells;
pub mod figure;
pub mod periods;
pub mod row;
pub mod word;

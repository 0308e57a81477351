//! What the service knows about mining, as pure data and pure functions.
//!
//! Nothing here does I/O, reads a clock, draws a random number, or knows SQL, HTTP or JSON: time,
//! parameters and data come in as arguments. Everything else in the crate may use this module.
//!
//! Reading order: [`time`] and [`catalog`]; [`observation`] for the two clocks and V(T, S);
//! [`plausible`] and [`append`] for what is stored; [`facts`] for what people compile, [`pools`] for whose blocks are whose by it; [`rules`] and
//! [`choice`] for which source serves; [`network`] for what is derived from days, [`spot`] for the hourly
//! price, with formulas in [`indicators`]; [`equities`] for splits of shares; [`served`] and [`served_series`] for what the newest view shows. Of
//! the blocks themselves: [`chain`] for headers and which of them are the chain, [`retarget`] and [`epochs`]
//! for what estimates of the next difficulty are made of.

pub mod append;
pub mod block;
pub mod block_days;
pub mod block_log;
pub mod block_tail;
pub mod catalog;
pub mod chain;
pub mod choice;
pub mod coinbase_watch;
pub mod credit;
pub mod epochs;
pub mod equities;
pub mod facts;
pub mod filing;
pub mod indicators;
pub mod network;
pub mod observation;
pub mod plausible;
pub mod pools;
pub mod retarget;
pub mod rules;
pub mod served;
pub mod served_series;
pub mod spot;
pub mod time;
pub mod world_time;

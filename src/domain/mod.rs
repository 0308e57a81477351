//! What the service knows about mining, as pure data and pure functions.
//!
//! Nothing here does I/O, reads a clock, draws a random number, or knows SQL, HTTP or JSON: time,
//! parameters and data come in as arguments. Everything else in the crate may use this module.

pub mod time;

//! What miners owe, by instrument, by issuer and by date, as known at any moment.

pub mod calendar;
pub mod debt;
pub(in crate::api) mod desk;
pub mod diff;
mod events;
pub mod industry;
pub mod miners;

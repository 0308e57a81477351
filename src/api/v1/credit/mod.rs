//! What miners owe, by instrument, by issuer and by date, as known at any moment.

pub mod calendar;
pub mod debt;
mod desk;
mod events;
pub mod industry;
pub mod miners;

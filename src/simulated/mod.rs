//! A seeded world, so that the whole service can be shown and tested without real data.
//!
//! Every number here is invented: three years of a price, a chain, a mining industry and its flows
//! follow from one seed and one anchor day. Nothing is copied from a real day, and nothing of it may
//! ever be presented as real.
//!
//! This module knows no clock, no database, no file and no network: the anchor comes in as an
//! argument. The demo and the fault tests call it to learn what their simulated upstreams answer.
//!
//! `world` puts together what the others make: `chance` (all randomness), `market` (price),
//! `fleet` (how hashrate answers profit), `chain` (blocks, difficulty, subsidy) and `flows` (fees and
//! exchange inflow).

pub mod blocks;
mod chain;
mod chance;
mod fleet;
mod flows;
mod market;
pub mod prices;
pub mod upstreams;
pub mod world;

pub use blocks::{Block, Retarget};
pub use upstreams::{Misbehaviour, Upstreams};
pub use world::{World, WorldDay};

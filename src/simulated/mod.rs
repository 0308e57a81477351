//! A seeded world, so that the whole service can be shown and tested without real data.
//!
//! Every number here is invented: three years of a price, a chain, a mining industry and its flows, and
//! two more that follow them, come from one seed and one anchor day. Nothing is copied from a real day, and
//! nothing of it may ever be presented as real.
//!
//! This module knows no clock, no database and no file: the anchor and the time come in as arguments. Its
//! only network is the loopback on which [`upstreams`] answers. The demo and the fault tests call it.
//!
//! `world` puts together what the others make: `chance` (all randomness), `market` (price),
//! `fleet` (how hashrate answers profit), `chain` (difficulty, subsidy) and `flows` (fees, exchange
//! inflow and what miners hold and send). `coins` says which block spends which mined coin, `issuers` who files what. `blocks` and
//! `prices` show the world from block to block and from hour to hour; `upstreams` answers
//! out of it as real publishers do, and `faults` plans when one of them does not.

pub mod blocks;
mod chain;
mod chance;
pub mod coins;
pub mod credit;
pub mod faults;
mod fleet;
mod flows;
pub mod issuers;
mod market;
pub mod prices;
pub mod upstreams;
pub mod world;

pub use blocks::{Block, Retarget};
pub use faults::FaultPlan;
pub use upstreams::{Misbehaviour, Upstreams};
pub use world::{World, WorldDay};

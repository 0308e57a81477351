//! Point-in-time stress indicators for the Bitcoin mining industry.
//!
//! The modules in reading order; dependencies run one way, down this list:
//! `domain` (pure) ← `sources`, `store`, `simulated` ← `worker`, `api` ← `cli`.

pub mod api;
pub mod clock;
pub mod domain;
pub mod sources;
pub mod store;
pub mod worker;

//! Point-in-time stress indicators for the Bitcoin mining industry.
//!
//! The modules in reading order; dependencies run one way, down this list:
//! `domain` (pure) ← `sources`, `store`, `simulated` ← `worker`, `api` ← `cli`.

pub mod domain;

pub mod simulated;
pub mod sources;
pub mod store;

pub mod worker;

pub mod api;

pub mod cli;

pub mod clock;
pub mod config;
pub mod telemetry;

//! Observations that a user already has, in our own columns: CSV, NDJSON and later POST.

pub mod normalize;
pub mod wire;

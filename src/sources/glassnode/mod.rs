//! Glassnode: what miners hold, receive and send, by the day, for holders of a key.
//!
//! Documented: a stamp is the beginning of its interval
//! (<https://docs.glassnode.com/data/timestamps-and-resolutions>); daily values appear between 00:00 and
//! 03:00 UTC, those of miners up to two hours later
//! (<https://docs.glassnode.com/data/general-information/data-availability>); point-in-time variants end
//! in `_pit`, never change and carry `computed_at` (<https://docs.glassnode.com/data/point-in-time-metrics>);
//! `/v1/metadata/metrics` lists the paths there are (<https://docs.glassnode.com/basic-api/metadata>).
//! The paths of `wire::METRICS` stand in clients that others published.
//!
//! **Not verified**, because no recorded answer was at hand: whether any of these three has a `_pit`
//! variant, which is why the list is asked each time, and whether `computed_at` is in epoch seconds or
//! RFC 3339, which is why both are read. Flows to exchanges are not read: it is not clear which of the
//! published series is the sum of all exchanges.

mod client;
pub mod normalize;
pub mod wire;

pub use client::Days;

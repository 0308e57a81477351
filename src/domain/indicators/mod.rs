//! Values that are computed from other values: one file per family, one function per indicator.
//!
//! An indicator here is a pure function of numbers that somebody else selected. It never decides
//! which observations were known at some time, never rounds, and never reads a clock; whoever
//! selects the inputs, names the method and stores or serves the result calls it.
//!
//! Three rules hold in every file:
//!
//! - **Absent is typed.** A value that cannot be computed is a [`statistics::Missing`] with a
//!   stable code, or `None` where there can be one reason only. It is never 0, NaN or infinity, and
//!   nothing is carried forward over a hole.
//! - **Windows** are slices with one element per calendar day, oldest first, whose last element is
//!   the day in question. A hole inside the life of the series is `None`; days before the first
//!   value of the series are not in the slice at all.
//! - **Sums** are taken afresh over each window, oldest first. The same window gives the same bits
//!   whatever was computed before it, and at whatever day a computation began.

pub mod capitulation;
pub mod collapse;
pub mod credit;
pub mod difficulty;
pub mod flows;
pub mod hashprice;
pub mod issuance;
pub mod mining_cost;
pub mod ribbons;
pub mod spikes;
pub mod spot;
pub mod squeeze;
pub mod statistics;

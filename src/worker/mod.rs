//! Taking data in: from files now, from live sources on a schedule later.
//!
//! The worker keeps raw bytes, normalizes them through [`crate::sources`], and appends what is new.
//! It knows nothing of the API.

pub mod import;
pub mod ingest;
pub mod simulate;

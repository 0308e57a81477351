//! What a mempool server is asked, in which order.

use url::Url;

use super::super::feed::{Answer, Ask, Feed, Unusable, Window};
use super::super::{Normalized, address};
use crate::domain::time::Timestamp;

/// The name of the source in every series.
pub const SOURCE: &str = "mempool";

/// Daily observations: hashrate, and what the blocks of the last days came to.
#[derive(Debug, Clone)]
pub struct Days {
    base: Url,
}

/// Hourly observations from the newest blocks, and the price at the last full hour.
#[derive(Debug, Clone)]
pub struct Tip {
    base: Url,
}

const DAYS: [&str; 4] = [
    "v1/mining/hashrate/1m",
    "v1/mining/blocks/fees/3d",
    "v1/mining/blocks/rewards/3d",
    "v1/mining/difficulty-adjustments/3m",
];

const TIP: [&str; 3] = ["v1/blocks", "v1/difficulty-adjustment", "v1/prices"];

impl Days {
    #[must_use]
    pub const fn new(base: Url) -> Self {
        Self { base }
    }
}

impl Tip {
    #[must_use]
    pub const fn new(base: Url) -> Self {
        Self { base }
    }
}

impl Feed for Days {
    fn source(&self) -> &'static str {
        SOURCE
    }

    fn name(&self) -> &'static str {
        "days"
    }

    fn ask(&self, _window: Window, answers: &[Answer]) -> Result<Option<Ask>, Unusable> {
        Ok(DAYS.get(answers.len()).map(|path| Ask::open(address(&self.base, path, &[]))))
    }

    fn normalize(&self, _window: Window, _answers: &[Answer], _now: Timestamp) -> Result<Normalized, Unusable> {
        Ok(Normalized::default())
    }
}

impl Feed for Tip {
    fn source(&self) -> &'static str {
        SOURCE
    }

    fn name(&self) -> &'static str {
        "tip"
    }

    fn ask(&self, _window: Window, answers: &[Answer]) -> Result<Option<Ask>, Unusable> {
        Ok(TIP.get(answers.len()).map(|path| Ask::open(address(&self.base, path, &[]))))
    }

    fn normalize(&self, _window: Window, _answers: &[Answer], _now: Timestamp) -> Result<Normalized, Unusable> {
        Ok(Normalized::default())
    }
}

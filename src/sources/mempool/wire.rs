//! Answers of a mempool server. Money is in satoshi, stamps are epoch seconds unless said otherwise.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::feed::Unusable;
use super::super::text::{Text, message_of};

/// `GET /v1/mining/hashrate/:interval`, also in the shape of 2022.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Hashrates {
    pub hashrates: Vec<Hashrate>,
}

/// One day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Hashrate {
    /// The midnight that ENDS the day; some answers call it `time`.
    pub timestamp: Text,
    pub time: Text,
    /// H/s, an integer literal above 2^64; 0 while the server's node is down.
    #[serde(rename = "avgHashrate")]
    pub avg_hashrate: Text,
}

/// One row of `GET /v1/mining/blocks/fees/:interval`, unordered. For 24h and 3d it is one block,
/// unless two blocks have the same header time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Fees {
    pub avg_height: Text,
    /// Header time, a mean where a row is several blocks.
    pub timestamp: Text,
    /// Satoshi per block.
    pub avg_fees: Text,
}

/// One row of `GET /v1/mining/blocks/rewards/:interval`; as [`Fees`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rewards {
    pub avg_height: Text,
    pub timestamp: Text,
    /// Satoshi per block, subsidy and fees together.
    pub avg_rewards: Text,
}

/// One row of `GET /v1/mining/difficulty-adjustments/:interval`, newest first:
/// `[time, height, difficulty, ratio to the one before]`.
pub type Retarget = Vec<Text>;

/// One block of `GET /v1/blocks[/:height]`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Block {
    pub id: Text,
    pub height: Text,
    /// Header time.
    pub timestamp: Text,
    pub difficulty: Text,
    /// The target in compact form.
    pub bits: Text,
    pub previousblockhash: Text,
    pub extras: Extras,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Extras {
    /// Satoshi.
    pub total_fees: Text,
    /// Satoshi, subsidy and fees together.
    pub reward: Text,
    pub pool: Pool,
}

/// Who found a block, by its coinbase.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// The name in addresses; `unknown` where nobody can be named.
    pub slug: Text,
}

/// `GET /v1/difficulty-adjustment`. Shares are in percent. Dates and spans are in milliseconds, at
/// older servers some of them in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adjustment {
    pub next_retarget_height: Text,
    pub remaining_blocks: Text,
    /// Expected change at the next retarget, percent.
    #[serde(default)]
    pub difficulty_change: Text,
    /// Change at the last one, percent.
    #[serde(default)]
    pub previous_retarget: Text,
    /// Date, ms or s.
    #[serde(default)]
    pub estimated_retarget_date: Text,
    /// Span to the next retarget, ms or s.
    #[serde(default)]
    pub remaining_time: Text,
    /// Mean time of a block in this epoch, ms or s.
    #[serde(default)]
    pub time_avg: Text,
}

/// `GET /v1/prices`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Prices {
    pub time: Text,
    /// US dollars; -1 where unknown.
    #[serde(default, rename = "USD")]
    pub usd: Text,
}

/// Reads an answer of any kind.
///
/// # Errors
/// [`Unusable::Refused`] for an error message, [`Unusable::BadBody`] for anything else.
pub fn parse<Body: DeserializeOwned>(body: &[u8]) -> Result<Body, Unusable> {
    serde_json::from_slice(body).map_err(|error| match message_of(body) {
        Some(message) if error.is_data() => Unusable::Refused(message),
        _ => Unusable::BadBody(format!("not an answer of a mempool server: {error}")),
    })
}

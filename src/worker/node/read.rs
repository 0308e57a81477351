//! Blocks of the node's chain, each naming the one below it.

use futures::StreamExt as _;

use super::{Trouble, Watched};
use crate::domain::block::{Block, Unavailable};
use crate::domain::chain::BlockHash;
use crate::sources::bitcoin_core::NodeError;
use crate::sources::bitcoin_core::normalize::{Place, ReadBlock, Wanted, header};

/// Requests under way at the same time.
const IN_FLIGHT: usize = 4;

/// A block as far as the node gave it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) block: Block,
    /// Length of the node's answer; `None` where it did not give the block.
    pub(super) answer_bytes: Option<u64>,
}

/// The blocks of the node's chain from `first` to `last`, each naming the one before it; `below` is the hash
/// of the block under the first.
pub(super) async fn read_blocks(
    watched: &Watched,
    first: u32,
    last: u32,
    below: Option<BlockHash>,
) -> Result<Vec<Shown>, Trouble> {
    let requests = (first..=last).map(|height| {
        let watched = watched.clone();
        // A task of its own, so that the parsing of several goes on side by side.
        tokio::spawn(async move { read_block(&watched, height).await })
    });
    let mut answers = futures::stream::iter(requests).buffered(IN_FLIGHT);
    let mut blocks: Vec<Shown> = Vec::new();
    while let Some(answer) = answers.next().await {
        let read =
            answer.map_err(|error| Trouble::chain("bad_body", format!("reading a block broke off: {error}")))??;
        let place = read.block.header;
        let wanted = blocks.last().map(|before| before.block.header.hash).or(below);
        let height = first + u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        if place.height != height || wanted.is_some_and(|wanted| wanted != place.previous) {
            let detail = format!(
                "the block at height {height} does not name the one below it: the chain was reorganised while it was \
                 read, or the node is wrong"
            );
            return Err(Trouble::chain("broken_chain", detail));
        }
        blocks.push(read);
    }
    Ok(blocks)
}

/// The chain's block at a height. Where the node can give its header only, the flow is unknown.
async fn read_block(watched: &Watched, height: u32) -> Result<Shown, NodeError> {
    let Watched { node, network, proof } = watched;
    let wanted = Wanted { network: *network, proof: *proof, hash: node.block_hash(height).await? };
    match node.block(&wanted).await {
        Ok(ReadBlock { block, answer_bytes }) => Ok(Shown { block, answer_bytes: Some(answer_bytes) }),
        Err(error) if error.is_of_one_block() => {
            let said = node.block_header(&wanted.hash).await?;
            let place = header(&said, &wanted).map_err(|error| NodeError::Untrue(error.to_string()))?;
            let Place { header, median_time, chain_work } = place;
            let flow = Err(Unavailable { reason: error.code(), detail: error.to_string() });
            Ok(Shown { block: Block { header, median_time, chain_work, flow }, answer_bytes: None })
        }
        Err(error) => Err(error),
    }
}

//! One answer at a time: asked for, held to what is known, and written down at once.

use std::time::Instant;

use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

use super::{Claim, Trouble, Watcher};
use crate::domain::chain::BlockHash;
use crate::domain::coinbase_watch::{WatchedBlock, judge_look};
use crate::domain::time::Span;
use crate::sources::Refused;
use crate::sources::esplora::wire::{Block, BlockStatus, Outspend, Transaction, parse};
use crate::sources::esplora::{SOURCE, normalize};
use crate::sources::feed::{Answer, Ask};
use crate::sources::http::{FetchError, Fetched};
use crate::store::coinbase_watch::{
    DueCoinbase, add_blocks, find_edges, keep_coinbase, keep_look, leave_blocks, postpone, read_blocks, read_spends,
};
use crate::store::evidence::{keep_raw, quarantine};
use crate::store::lease::hold;
use crate::worker::settle::quarantined;

/// A reorganisation is followed this deep; a deeper one is another chain, which a person must judge.
const DEEPEST_REORGANISATION: u32 = 100;
/// Pages of one run.
const RUN_PAGES: u32 = 20;
/// A page has ten blocks at least.
const PAGE_BLOCKS: u32 = 10;
/// A coinbase of which an answer could not be used is left alone for so long.
const POSTPONED: Span = Span::MINUTE.times(15);
/// So many in a row, and it is the server.
const IN_A_ROW: u32 = 5;
/// Raw answers outlive the watch of their coinbase by a month.
const KEEP_RAW: Span = Span::DAY.times(90);

/// What an answer came to, that is written down.
enum Said {
    Blocks(Vec<WatchedBlock>),
    Left { above: u32 },
    Coinbase { hash: BlockHash, txid: [u8; 32], outputs: Vec<u64> },
}

impl Watcher {
    /// Follows the chain up to the newest block, through reorganisations.
    pub(super) async fn read_newest(&mut self, claim: &mut Claim, stop: &CancellationToken) -> Result<(), Trouble> {
        let mut answer = self.fetch(claim, &self.watch.server.newest_blocks(), stop).await?;
        let mut page = self.page(&answer)?;
        let Some(top) = page.last().copied() else { return Ok(()) };
        for _ in 0..RUN_PAGES {
            let edges = find_edges(&mut *self.deps.pool.acquire().await?).await?;
            match edges.map_or(Meeting::Joins, |edges| meeting(&page, &edges.tip)) {
                Meeting::Joins => {
                    let reached = edges.map(|edges| edges.tip.height);
                    let above = page.iter().copied().filter(|block| reached.is_none_or(|tip| block.height > tip));
                    let above: Vec<WatchedBlock> = above.collect();
                    let reached = above.last().map_or(reached, |block| Some(block.height));
                    if !above.is_empty() {
                        self.write(claim, Some(&answer), Said::Blocks(above)).await?;
                    }
                    if reached.is_some_and(|reached| reached >= top.height) {
                        break;
                    }
                }
                Meeting::TooHigh => {}
                Meeting::Parts => {
                    let Some(tip) = edges.map(|edges| edges.tip) else { break };
                    if self.is_of_chain(claim, &tip, stop).await? {
                        if top.height <= tip.height {
                            // One of several servers at the address, and it is behind the one asked before.
                            break;
                        }
                        let detail = format!(
                            "the newest blocks do not stand on that of height {}, which is said to be of the chain",
                            tip.height
                        );
                        return Err(Trouble::Answer { code: "broken_chain", detail });
                    }
                    self.leave(claim, tip, stop).await?;
                    // The same page may join what is left.
                    continue;
                }
            }
            let tip = find_edges(&mut *self.deps.pool.acquire().await?).await?.map_or(0, |edges| edges.tip.height);
            let ask = self.watch.server.blocks_down_from(tip.saturating_add(PAGE_BLOCKS).min(top.height));
            answer = self.fetch(claim, &ask, stop).await?;
            page = self.page(&answer)?;
        }
        let tip = find_edges(&mut *self.deps.pool.acquire().await?).await?.map_or(0, |edges| edges.tip.height);
        // Otherwise there is more to follow at once.
        if tip >= top.height {
            self.newest_at = Some(self.deps.clock.now());
        }
        Ok(())
    }

    /// Leaves the tip and those blocks below that are not of the chain any more.
    async fn leave(&mut self, claim: &mut Claim, tip: WatchedBlock, stop: &CancellationToken) -> Result<(), Trouble> {
        let lowest = tip.height.saturating_sub(DEEPEST_REORGANISATION);
        let ours = read_blocks(&mut *self.deps.pool.acquire().await?, lowest, tip.height.saturating_sub(1)).await?;
        for block in ours.iter().rev() {
            if self.is_of_chain(claim, block, stop).await? {
                tracing::info!(source = SOURCE, left = tip.height - block.height, "the chain was reorganised");
                self.is_news = true;
                return self.write(claim, None, Said::Left { above: block.height }).await;
            }
        }
        let detail = format!(
            "the server's chain parts from the watched one more than {DEEPEST_REORGANISATION} blocks below height {}; \
             is it a server of another chain?",
            tip.height
        );
        Err(Trouble::Answer { code: "other_chain", detail })
    }

    async fn is_of_chain(
        &mut self,
        claim: &mut Claim,
        block: &WatchedBlock,
        stop: &CancellationToken,
    ) -> Result<bool, Trouble> {
        match self.fetch(claim, &self.watch.server.block_status(&block.hash), stop).await {
            Ok(answer) => Ok(parse::<BlockStatus>(&answer.body)?.in_best_chain),
            Err(Trouble::Fetch(FetchError::Refused { status: 404, .. })) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Reads blocks below the lowest, some pages of them.
    pub(super) async fn read_further(
        &mut self,
        claim: &mut Claim,
        mut lowest: WatchedBlock,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        for _ in 0..RUN_PAGES {
            let edges = find_edges(&mut *self.deps.pool.acquire().await?).await?;
            let is_whole = edges.is_none_or(|edges| lowest.time < self.first_window_begin(&edges));
            let Some(below) = lowest.height.checked_sub(1).filter(|_| !is_whole) else { break };
            let answer = self.fetch(claim, &self.watch.server.blocks_down_from(below), stop).await?;
            let blocks = self.page(&answer)?;
            let Some(first) = blocks.first().copied().filter(|_| blocks.last().is_some_and(|top| lowest.is_above(top)))
            else {
                let detail = format!("the blocks shown below height {} are not those it stands on", lowest.height);
                return Err(Trouble::Answer { code: "broken_chain", detail });
            };
            self.write(claim, Some(&answer), Said::Blocks(blocks)).await?;
            lowest = first;
        }
        Ok(())
    }

    fn page(&self, answer: &Answer) -> Result<Vec<WatchedBlock>, Trouble> {
        Ok(normalize::blocks(&parse::<Vec<Block>>(&answer.body)?, self.deps.clock.now())?)
    }

    /// Reads the coinbases of some blocks.
    pub(super) async fn read_coinbases(
        &mut self,
        claim: &mut Claim,
        blocks: &[WatchedBlock],
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let mut in_a_row = 0;
        for block in blocks {
            let outcome = self.read_coinbase(claim, block, stop).await;
            self.tolerate(claim, &block.hash, block.height, outcome, &mut in_a_row).await?;
        }
        Ok(())
    }

    async fn read_coinbase(
        &mut self,
        claim: &mut Claim,
        block: &WatchedBlock,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let answer = self.fetch(claim, &self.watch.server.coinbase_txid(&block.hash), stop).await?;
        let txid = normalize::txid(&answer.body)?;
        let answer = self.fetch(claim, &self.watch.server.transaction(&txid), stop).await?;
        let outputs = match parse::<Transaction>(&answer.body) {
            Ok(transaction) => normalize::coinbase(&transaction, &txid, block).map_err(Trouble::from),
            Err(unusable) => Err(unusable.into()),
        };
        match outputs {
            Ok(outputs) => {
                // Days that are over may have waited for it.
                self.is_news |= block.time.day() < self.deps.clock.now().day();
                self.write(claim, Some(&answer), Said::Coinbase { hash: block.hash, txid, outputs }).await
            }
            Err(trouble) => {
                self.keep_evidence(claim, &answer).await?;
                Err(trouble)
            }
        }
    }

    /// Looks at the outputs of some coinbases, by the chain up to `tip`.
    pub(super) async fn look(
        &mut self,
        claim: &mut Claim,
        due: &[DueCoinbase],
        tip: &WatchedBlock,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let mut in_a_row = 0;
        for coinbase in due {
            let outcome = self.look_at(claim, coinbase, tip, stop).await;
            self.tolerate(claim, &coinbase.hash, coinbase.height, outcome, &mut in_a_row).await?;
        }
        Ok(())
    }

    async fn look_at(
        &mut self,
        claim: &mut Claim,
        coinbase: &DueCoinbase,
        tip: &WatchedBlock,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let answer = self.fetch(claim, &self.watch.server.outspends(&coinbase.txid), stop).await?;
        let said = match parse::<Vec<Outspend>>(&answer.body) {
            Ok(rows) => normalize::spends(&rows, &coinbase.outputs).map_err(Trouble::from),
            Err(unusable) => Err(unusable.into()),
        };
        let mut connection = self.deps.pool.acquire().await?;
        let outcome = match said {
            Ok(said) => {
                let (first, last) = (said.iter().map(|spend| spend.height).min(), tip.height);
                let blocks = match first {
                    Some(first) => read_blocks(&mut connection, first, last).await?,
                    None => Vec::new(),
                };
                let block_at = |height| blocks.iter().find(|block| block.height == height).copied();
                let known = read_spends(&mut connection, &coinbase.hash).await?;
                judge_look(coinbase.height, &coinbase.outputs, &said, &known, tip.height, block_at).map_err(
                    |disbelief| Trouble::Answer {
                        code: disbelief.code(),
                        detail: format!("coinbase of block {}: {disbelief}", coinbase.height),
                    },
                )
            }
            Err(trouble) => Err(trouble),
        };
        drop(connection);
        let look = match outcome {
            Ok(look) => look,
            Err(trouble) => {
                self.keep_evidence(claim, &answer).await?;
                return Err(trouble);
            }
        };
        // An answer without news is not kept: that it was looked at, and with which height, is written down.
        let kept = (!look.new.is_empty()).then_some(&answer);
        let mut connection = self.deps.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &claim.lease, self.deps.lease).await?;
        if let Some(answer) = kept {
            keep_raw(&mut transaction, claim.run_id, claim.kept, SOURCE, &answer.body, Some(KEEP_RAW)).await?;
            claim.kept += 1;
        }
        keep_look(&mut transaction, &coinbase.hash, tip.height, look.is_done, &look.new).await?;
        transaction.commit().await?;
        self.is_news = true;
        claim.counts.stored += look.new.len() as u64;
        claim.counts.unchanged += u64::from(look.new.is_empty());
        Ok(())
    }

    /// Goes on after trouble with one coinbase: it is set aside with its reason and asked for again later, unless
    /// there was trouble with some in a row.
    async fn tolerate(
        &self,
        claim: &mut Claim,
        hash: &BlockHash,
        height: u32,
        outcome: Result<(), Trouble>,
        in_a_row: &mut u32,
    ) -> Result<(), Trouble> {
        let trouble = match outcome {
            Ok(()) => {
                *in_a_row = 0;
                return Ok(());
            }
            Err(trouble) => trouble,
        };
        let (reason, detail) = match &trouble {
            Trouble::Answer { code, detail } => (*code, detail.clone()),
            // The server knows no such block or transaction: a branch that was left, or a gap in its index.
            Trouble::Fetch(error @ FetchError::Refused { status: 400 | 404, .. }) => ("not_found", error.to_string()),
            _ => return Err(trouble),
        };
        let refused = Refused { metric: None, reason, detail: format!("block {height}: {detail}") };
        let until = self.deps.clock.now().plus(POSTPONED);
        let mut connection = self.deps.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &claim.lease, self.deps.lease).await?;
        quarantine(&mut transaction, claim.run_id, &quarantined(SOURCE, std::slice::from_ref(&refused))).await?;
        postpone(&mut transaction, hash, until).await?;
        transaction.commit().await?;
        claim.counts.quarantined += 1;
        claim.set_aside.push(refused);
        *in_a_row += 1;
        if *in_a_row == IN_A_ROW { Err(trouble) } else { Ok(()) }
    }

    /// Keeps an answer that cannot be used.
    async fn keep_evidence(&self, claim: &mut Claim, answer: &Answer) -> Result<(), Trouble> {
        let mut connection = self.deps.pool.acquire().await?;
        keep_raw(&mut connection, claim.run_id, claim.kept, SOURCE, &answer.body, Some(KEEP_RAW)).await?;
        claim.kept += 1;
        Ok(())
    }

    async fn write(&mut self, claim: &mut Claim, answer: Option<&Answer>, said: Said) -> Result<(), Trouble> {
        let mut connection = self.deps.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &claim.lease, self.deps.lease).await?;
        if let Some(answer) = answer {
            keep_raw(&mut transaction, claim.run_id, claim.kept, SOURCE, &answer.body, Some(KEEP_RAW)).await?;
            claim.kept += 1;
        }
        claim.counts.stored += match said {
            Said::Blocks(blocks) => {
                add_blocks(&mut transaction, &blocks).await?;
                blocks.len() as u64
            }
            Said::Left { above } => leave_blocks(&mut transaction, above).await?,
            Said::Coinbase { hash, txid, outputs } => {
                keep_coinbase(&mut transaction, &hash, &txid, &outputs).await?;
                1
            }
        };
        transaction.commit().await?;
        Ok(())
    }

    /// Waits for the next turn and asks, and holds the lease meanwhile.
    async fn fetch(&mut self, claim: &mut Claim, ask: &Ask, stop: &CancellationToken) -> Result<Answer, Trouble> {
        let wait = self.pace.wait(Instant::now());
        let asking = async {
            tokio::time::sleep(wait).await;
            self.deps.http.fetch(ask, None).await
        };
        tokio::pin!(asking);
        let mut renewals = tokio::time::interval(self.deps.lease / 3);
        renewals.tick().await;
        let fetched = loop {
            tokio::select! {
                fetched = &mut asking => break fetched?,
                _ = renewals.tick() => hold(&mut *self.deps.pool.acquire().await?, &claim.lease, self.deps.lease).await?,
                () = stop.cancelled() => return Err(Trouble::Stopped),
            }
        };
        match fetched {
            Fetched::Answer { answer, .. } => {
                claim.counts.read += 1;
                Ok(answer)
            }
            // Nothing was sent that an answer could be the same as.
            Fetched::NotModified => {
                let detail = format!("{} answered 304 to a request without conditions", ask.address);
                Err(Trouble::Answer { code: "bad_body", detail })
            }
        }
    }
}

/// How a page of blocks and the watched tip stand to each other.
enum Meeting {
    /// The page has the tip, or stands on it.
    Joins,
    /// There are blocks between.
    TooHigh,
    /// The page has another block where the tip is, or ends below it.
    Parts,
}

fn meeting(page: &[WatchedBlock], tip: &WatchedBlock) -> Meeting {
    let joins = |block: &WatchedBlock| block.hash == tip.hash || block.is_above(tip);
    match page.first() {
        _ if page.iter().any(joins) => Meeting::Joins,
        Some(low) if low.height > tip.height.saturating_add(1) => Meeting::TooHigh,
        _ => Meeting::Parts,
    }
}

//! Block headers, and the chain as it was known at a moment.
//!
//! Headers are stored as they become known, those of branches that were given up too, and are never
//! removed. Which of them are the chain follows from the moment V(T, S) alone: the greatest height
//! wins, and the chain is followed down from there. So a reorganisation is no event: a longer branch
//! wins from the moment it is known, and views of before keep the other one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Deref;
use std::sync::Arc;

use super::indicators::difficulty::RETARGET_BLOCKS;
use super::observation::{Basis, Moment};
use super::rules::Timing;
use super::time::{Span, Timestamp};

/// A header younger than this when it is first stored was seen to appear: the newest blocks of a
/// source that is read every few minutes. One that is older was public before us.
pub const SEEN_APPEARING: Span = Span::HOUR.times(2);

/// When the next header is due, and until when the newest counts as fresh: half an hour passes without a
/// block in one of twenty cases, two hours in one of 160,000.
pub const HEADER_TIMING: Timing =
    Timing { lag: Span::MINUTE.times(10), cadence: Span::MINUTE.times(10), grace: Span::MINUTE.times(100) };

/// The hash of a block in the order in which nodes and explorers write it, zeros first.
pub type BlockHash = [u8; 32];

/// What a block's header says, as far as difficulty goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Header {
    pub hash: BlockHash,
    /// The hash of the block below; zeros for the first block of all.
    pub previous: BlockHash,
    pub height: u32,
    /// The header's own time, whole seconds. Its miner's clock: it may run against heights, and be up
    /// to two hours ahead.
    pub time: Timestamp,
    /// The target in compact form; `None` where a source leaves it out.
    pub bits: Option<u32>,
    /// Relative to the first block's, `65535 * 2^208 / target`.
    pub difficulty: f64,
    /// Who found the block, as an explorer says; `None` where nobody does.
    pub found_by: Option<FoundBy>,
}

/// What an explorer says of the finder of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundBy {
    pub pool: PoolSlug,
    /// Subsidy and fees, in satoshi.
    pub reward: u64,
}

/// The name of a pool in addresses, as an explorer writes it: short, so that headers stay small.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PoolSlug([u8; PoolSlug::LENGTH]);

impl PoolSlug {
    /// Bytes of the longest name.
    const LENGTH: usize = 24;

    /// A name of ASCII letters, digits and hyphens; `None` for anything else, and for a longer one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if text.is_empty() || text.len() > Self::LENGTH || !text.bytes().all(fits) {
            return None;
        }
        let mut bytes = [0; Self::LENGTH];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self(bytes))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(Self::LENGTH);
        // Only ASCII goes in.
        std::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

impl std::fmt::Debug for PoolSlug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

/// A header as stored: by whom it was shown, and since when it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredHeader {
    pub header: Header,
    pub source: Arc<str>,
    pub known_at: Timestamp,
    pub batch: i64,
}

impl Deref for StoredHeader {
    type Target = Header;

    fn deref(&self) -> &Header {
        &self.header
    }
}

impl StoredHeader {
    /// Whether V(T, S) holds it.
    #[must_use]
    pub fn is_visible(&self, moment: Moment) -> bool {
        self.known_at <= moment.at && self.batch <= moment.batch
    }
}

/// When the public could know a header that is stored for the first time at `recorded_at`, of a
/// source that is usually late by `lag`.
///
/// Within [`SEEN_APPEARING`] of the header's time we saw it appear, so it is that moment, even where
/// the miner's clock is ahead of it. Later (a first run, a gap) it is assumed: the header's time and
/// the lag, and never after `recorded_at`. A header of 08:00 that is stored at 09:10 is known at 09:10;
/// one that is stored at 14:00, with a lag of an hour, at 09:00.
#[must_use]
pub fn header_known_at(time: Timestamp, lag: Span, recorded_at: Timestamp) -> (Timestamp, Basis) {
    if recorded_at.since(time) <= SEEN_APPEARING {
        return (recorded_at, Basis::Observed);
    }
    (time.plus(lag).min(recorded_at), Basis::Assumed)
}

/// Reads 64 hexadecimal digits.
#[must_use]
pub fn parse_block_hash(text: &str) -> Option<BlockHash> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

/// The 64 digits of a hash; the inverse of [`parse_block_hash`].
#[must_use]
pub fn block_hash_text(hash: &BlockHash) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The stored headers of one epoch.
#[derive(Debug, Clone, PartialEq)]
struct EpochHeaders {
    /// No view of before holds any of them.
    first_known_at: Timestamp,
    /// By height; of one height the one that was known first, then the one with the smaller hash.
    headers: Vec<StoredHeader>,
}

/// Every stored header of every source.
///
/// A header takes 168 bytes, and a year has about 53,000 of them: 9 MB a year for each source. Logs of
/// successive snapshots share the epochs that did not change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeaderLog {
    epochs: BTreeMap<u32, Arc<EpochHeaders>>,
}

impl HeaderLog {
    /// Adds headers in any order. Cost: the size of the epochs that they are of.
    #[must_use]
    pub fn with_headers(&self, headers: Vec<StoredHeader>) -> Self {
        let mut touched: BTreeMap<u32, Vec<StoredHeader>> = BTreeMap::new();
        for header in headers {
            touched.entry(header.height / RETARGET_BLOCKS).or_default().push(header);
        }
        let mut epochs = self.epochs.clone();
        for (epoch, mut headers) in touched {
            headers.extend(self.epochs.get(&epoch).into_iter().flat_map(|known| known.headers.iter().cloned()));
            headers.sort_by(|a, b| {
                let order = |header: &StoredHeader| (header.height, header.known_at, header.hash, header.batch);
                order(a).cmp(&order(b)).then_with(|| a.source.cmp(&b.source))
            });
            let first_known_at = headers.iter().map(|header| header.known_at).min().unwrap_or(Timestamp::MAX);
            epochs.insert(epoch, Arc::new(EpochHeaders { first_known_at, headers }));
        }
        Self { epochs }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.epochs.is_empty()
    }

    /// How many headers are stored; the same block of two sources counts twice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.epochs.values().map(|epoch| epoch.headers.len()).sum()
    }

    /// The newest `reach` heights of the chain in V(T, S); `None` if no header is visible.
    #[must_use]
    pub fn view(&self, moment: Moment, reach: u32) -> Option<ChainView<'_>> {
        let mut view: Option<ChainView<'_>> = None;
        for rivals in self.rivals(moment) {
            let visible = rivals.iter().filter(|header| header.is_visible(moment));
            let Some(first) = visible.clone().next() else { continue };
            match &mut view {
                None => view = Some(ChainView { members: vec![first], known_at: first.known_at }),
                Some(view) if view.tip().height - first.height >= reach => break,
                Some(view) => view.go_down(visible.clone()),
            }
            if let Some(view) = &mut view {
                view.known_at = visible.fold(view.known_at, |newest, header| newest.max(header.known_at));
            }
        }
        view
    }

    /// The headers of each height that has any, the greatest height first.
    fn rivals(&self, moment: Moment) -> impl Iterator<Item = &[StoredHeader]> {
        let epochs = self.epochs.values().rev().filter(move |epoch| epoch.first_known_at <= moment.at);
        epochs.flat_map(|epoch| epoch.headers.chunk_by(|a, b| a.height == b.height).rev())
    }
}

/// The chain as known at a moment, from its tip down.
///
/// The tip is the visible header of the greatest height; of several the one that was known first, then
/// the one with the smaller hash. Below it stand the headers that each next one names as `previous`.
/// Where that one is missing, the chain has a hole at its height, even if another header of the height
/// is there: that one is known not to be of the chain. Below a hole nothing says which header the
/// chain goes on with; the only visible one of its height is taken, or of several the one that was known
/// first. So below a hole a branch that was given up may be taken for the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainView<'a> {
    /// The greatest height first; never empty.
    members: Vec<&'a StoredHeader>,
    known_at: Timestamp,
}

impl<'a> ChainView<'a> {
    #[must_use]
    pub fn tip(&self) -> &'a StoredHeader {
        self.members[0]
    }

    /// The same chain up to its last header with a time before an instant; `None` if none has.
    #[must_use]
    pub fn before(mut self, instant: Timestamp) -> Option<Self> {
        let place = self.members.iter().position(|member| member.time < instant)?;
        self.members.drain(..place);
        Some(self)
    }

    /// The header of the chain at a height; `None` above the tip, below the reach, and in a hole.
    #[must_use]
    pub fn at_height(&self, height: u32) -> Option<&'a StoredHeader> {
        let place = self.members.binary_search_by(|member| height.cmp(&member.height)).ok()?;
        Some(self.members[place])
    }

    /// The header's time at a height; `None` as in [`ChainView::at_height`].
    #[must_use]
    pub fn time_at(&self, height: u32) -> Option<Timestamp> {
        Some(self.at_height(height)?.time)
    }

    /// The chain's headers, the greatest height first.
    #[must_use]
    pub fn headers(&self) -> impl DoubleEndedIterator<Item = &'a StoredHeader> + ExactSizeIterator {
        self.members.iter().copied()
    }

    /// The lowest height that is reached from the tip without a hole.
    #[must_use]
    pub fn contiguous_from_tip(&self) -> u32 {
        self.contiguous_from(self.tip().height).unwrap_or(self.tip().height)
    }

    /// The lowest height that is reached from `height` without a hole; `None` if `height` is in one.
    #[must_use]
    pub fn contiguous_from(&self, height: u32) -> Option<u32> {
        let first = self.members.binary_search_by(|member| height.cmp(&member.height)).ok()?;
        let below = self.members[first..].windows(2).take_while(|pair| pair[0].height == pair[1].height + 1).count();
        Some(self.members[first + below].height)
    }

    /// The newest `known_at` among all visible headers of the heights in reach, of the chain or not.
    #[must_use]
    pub const fn known_at(&self) -> Timestamp {
        self.known_at
    }

    /// Takes the next header down from those that are visible at its height, if one of them may be it.
    fn go_down(&mut self, mut visible: impl Iterator<Item = &'a StoredHeader>) {
        let Some(first) = visible.next() else { return };
        let child = self.members[self.members.len() - 1];
        let next = if child.height == first.height + 1 {
            std::iter::once(first).chain(visible).find(|header| header.hash == child.previous)
        } else {
            Some(first)
        };
        self.members.extend(next);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Seconds after the world began.
    pub(in super::super) fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + Span::SECOND.times(seconds).micros())
    }

    /// A hash that names a height and a branch.
    pub(in super::super) fn hash(height: u32, branch: u8) -> BlockHash {
        let mut hash = [0; 32];
        hash[31] = branch;
        hash[20..24].copy_from_slice(&height.to_be_bytes());
        hash
    }

    /// A header ten minutes after the one below, known a minute after its time and stored in a batch of
    /// its height. Branch 0 grows on itself.
    pub(in super::super) fn header(height: u32, branch: u8, parent: u8) -> StoredHeader {
        let time = at(600 * i64::from(height));
        StoredHeader {
            header: Header {
                hash: hash(height, branch),
                previous: hash(height.wrapping_sub(1), parent),
                height,
                time,
                bits: Some(0x1705_3894),
                difficulty: 53_911_173_001_054.59,
                found_by: None,
            },
            source: "test".into(),
            known_at: time.plus(Span::MINUTE),
            batch: i64::from(height),
        }
    }

    fn known(mut header: StoredHeader, seconds: i64) -> StoredHeader {
        header.known_at = at(seconds);
        header
    }

    pub(in super::super) fn log(headers: impl IntoIterator<Item = StoredHeader>) -> HeaderLog {
        HeaderLog::default().with_headers(headers.into_iter().collect())
    }

    pub(in super::super) const END: Moment = Moment { at: Timestamp::MAX, batch: i64::MAX };

    /// Height and branch of the chain's headers, the tip first.
    fn chain(log: &HeaderLog, moment: Moment) -> Vec<(u32, u8)> {
        let view = log.view(moment, u32::MAX);
        view.map(|view| view.headers().map(|header| (header.height, header.hash[31])).collect()).unwrap_or_default()
    }

    fn by(seconds: i64) -> Moment {
        Moment { at: at(seconds), batch: i64::MAX }
    }

    #[test]
    fn a_chain_is_followed_from_its_tip() {
        let log = log((5..9).map(|height| header(height, 0, 0)));
        let view = log.view(END, u32::MAX).unwrap();
        assert_eq!((view.tip().height, view.contiguous_from_tip()), (8, 5));
        assert_eq!(view.time_at(6), Some(at(3_600)));
        assert_eq!((view.at_height(4), view.at_height(9)), (None, None));
        assert_eq!(view.known_at(), at(4_860));
        let newest = log.view(END, 2).unwrap();
        assert_eq!((newest.contiguous_from_tip(), newest.at_height(6)), (7, None));
        assert_eq!(log.view(END, 0).unwrap().headers().len(), 1, "a chain has a tip");
        assert_eq!(HeaderLog::default().view(END, u32::MAX), None);
    }

    #[test]
    fn a_longer_branch_wins_from_the_moment_it_is_known_at_every_depth() {
        for depth in 1..=5_u32 {
            // Branch 0 up to height 10; branch 1 leaves it `depth` blocks below and is one block longer.
            let fork = 10 - depth;
            let old = (1..=10).map(|height| header(height, 0, 0));
            let new = (fork + 1..=11).map(|height| {
                let parent = u8::from(height > fork + 1);
                known(header(height, 1, parent), 7_000 + i64::from(height))
            });
            let log = log(old.chain(new));
            let before: Vec<_> = (1..=10).rev().map(|height| (height, 0)).collect();
            assert_eq!(chain(&log, by(7_010)), before, "as long is not longer");
            let after: Vec<_> = (1..=11).rev().map(|height| (height, u8::from(height > fork))).collect();
            assert_eq!(chain(&log, by(7_011)), after, "depth {depth}");
            assert_eq!(log.view(END, u32::MAX).unwrap().contiguous_from_tip(), 1);
        }
    }

    #[test]
    fn of_two_tips_the_one_known_first_stands_and_then_the_smaller_hash() {
        let fork =
            |first, second| log([header(1, 0, 0), known(header(2, 7, 0), first), known(header(2, 3, 0), second)]);
        assert_eq!(chain(&fork(1_300, 1_301), END)[0], (2, 7));
        assert_eq!(chain(&fork(1_301, 1_300), END)[0], (2, 3));
        assert_eq!(chain(&fork(1_300, 1_300), END)[0], (2, 3));
        assert_eq!(chain(&fork(1_301, 1_300), by(1_299)), [(1, 0)]);
        assert_eq!(fork(1_300, 1_305).view(END, u32::MAX).unwrap().known_at(), at(1_305), "the loser was looked at");
    }

    #[test]
    fn below_a_hole_the_only_or_first_known_one_counts() {
        // Height 3 is missing; of height 2 there are two, of which branch 4 was known first.
        let rows = [header(5, 0, 0), header(4, 0, 0), header(2, 0, 0), known(header(2, 4, 0), 1_210), header(1, 0, 0)];
        let log = log(rows);
        assert_eq!(chain(&log, END), [(5, 0), (4, 0), (2, 4), (1, 0)]);
        let view = log.view(END, u32::MAX).unwrap();
        assert_eq!((view.contiguous_from_tip(), view.contiguous_from(2), view.contiguous_from(3)), (4, Some(1), None));
    }

    #[test]
    fn a_header_that_its_child_contradicts_is_a_hole() {
        // The child of branch 0 at height 4 names branch 0 below, and only branch 9 is there.
        let log = log([header(4, 0, 0), header(3, 9, 9), header(2, 0, 0), header(1, 0, 0)]);
        assert_eq!(chain(&log, END), [(4, 0), (2, 0), (1, 0)]);
    }

    #[test]
    fn earlier_blocks_may_become_known_later() {
        // The start of the epoch was read after the tip.
        let start = known(header(2_016, 0, 0), 9_999_999);
        let log = log([header(2_020, 0, 0), start]);
        let before = log.view(by(9_999_998), u32::MAX).unwrap();
        assert_eq!((before.tip().height, before.at_height(2_016)), (2_020, None));
        assert_eq!(log.view(by(9_999_999), u32::MAX).unwrap().at_height(2_016).unwrap().height, 2_016);
    }

    #[test]
    fn a_block_of_two_sources_is_one_block() {
        let mut twice = header(2, 0, 0);
        twice.source = "another".into();
        twice.known_at = at(1_230);
        let log = log([header(1, 0, 0), header(2, 0, 0), twice]);
        assert_eq!(log.len(), 3);
        let view = log.view(END, u32::MAX).unwrap();
        assert_eq!((view.headers().len(), view.tip().source.as_ref()), (2, "another"));
    }

    #[test]
    fn logs_share_epochs_that_did_not_change() {
        let log = log([header(1, 0, 0), header(2_016, 0, 0)]);
        let more = log.with_headers(vec![header(2_017, 0, 0)]);
        assert!(Arc::ptr_eq(&log.epochs[&0], &more.epochs[&0]));
        assert_eq!((log.len(), more.len()), (2, 3));
        assert_eq!(size_of::<StoredHeader>(), 168);
    }

    /// A stored header of a small tree: any branch on any branch, known and stored at any time.
    fn any_header() -> impl Strategy<Value = StoredHeader> {
        (2_010_u32..2_022, 0_u8..3, 0_u8..3, 0_i64..20, 0_i64..20).prop_map(
            |(height, branch, parent, known_at, batch)| StoredHeader {
                batch,
                ..known(header(height, branch, parent), known_at)
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_stored_or_known_later_changes_no_earlier_view(
            headers in prop::collection::vec(any_header(), 0..40), seconds in 0_i64..20, batch in 0_i64..20,
        ) {
            let moment = Moment { at: at(seconds), batch };
            let visible = headers.iter().filter(|header| header.is_visible(moment)).cloned();
            let (whole, part) = (log(headers.clone()), log(visible));
            prop_assert_eq!(whole.view(moment, u32::MAX), part.view(END, u32::MAX));
        }

        #[test]
        fn order_and_parts_of_what_is_stored_do_not_matter(headers in prop::collection::vec(any_header(), 0..30)) {
            let mut parts = HeaderLog::default();
            for header in headers.iter().rev() {
                parts = parts.with_headers(vec![header.clone()]);
            }
            let whole = log(headers);
            prop_assert_eq!(chain(&whole, END), chain(&parts, END));
        }

        #[test]
        fn a_chain_goes_down_by_links_or_over_holes(headers in prop::collection::vec(any_header(), 1..40)) {
            let log = log(headers);
            let view = log.view(END, u32::MAX).unwrap();
            let members: Vec<_> = view.headers().collect();
            for pair in members.windows(2) {
                let gap = pair[0].height - pair[1].height;
                prop_assert!(gap > 1 || (gap == 1 && pair[0].previous == pair[1].hash));
            }
        }
    }

    #[test]
    fn hashes_are_read_and_written_in_the_same_order() {
        let genesis = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        let read = parse_block_hash(genesis).unwrap();
        assert_eq!((read[5], read[31]), (0x19, 0x6f));
        assert_eq!(block_hash_text(&read), genesis);
        assert_eq!(parse_block_hash(&genesis.to_uppercase()), Some(read));
        for refused in ["", "00", &genesis[1..], &format!("+{}", &genesis[1..]), &format!("é{}", &genesis[2..])] {
            assert_eq!(parse_block_hash(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_header_is_known_when_it_appears_and_an_old_one_after_the_lag() {
        let known = |recorded: i64| header_known_at(at(0), Span::HOUR, at(recorded));
        assert_eq!(known(7_200), (at(7_200), Basis::Observed));
        assert_eq!(known(7_201), (at(3_600), Basis::Assumed));
        assert_eq!(known(-60), (at(-60), Basis::Observed), "the miner's clock is ahead");
        assert_eq!(header_known_at(at(0), Span::DAY, at(9_000)), (at(9_000), Basis::Assumed));
    }
}

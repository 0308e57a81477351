//! Opaque cursors: a place in an answer that cannot change, because T and S are part of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::{Code, Problem};
use super::view::{Knowledge, View};
use crate::domain::observation::Moment;
use crate::domain::time::Timestamp;

/// A place among the rows of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub moment: Moment,
    /// Rows before this one in time order belong to one page, it and later ones to another.
    pub position: usize,
    /// Which rows are counted: a mark of the path and of the parameters that choose among them.
    pub query: u32,
}

/// First byte of every cursor; a later layout gets another.
const LAYOUT: u8 = 1;
const LENGTH: usize = 1 + 3 * 8 + 4;

impl Cursor {
    /// The text for the parameter `cursor`.
    #[must_use]
    pub fn text(self) -> String {
        let mut bytes = vec![LAYOUT];
        bytes.extend(self.moment.at.micros().to_be_bytes());
        bytes.extend(self.moment.batch.to_be_bytes());
        bytes.extend((self.position as u64).to_be_bytes());
        bytes.extend(self.query.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the text back.
    ///
    /// # Errors
    /// 400 `bad_cursor` for what was not made here.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        Self::read(text).ok_or_else(bad)
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == LENGTH && bytes[0] == LAYOUT)?;
        let number = |place: usize| Some(i64::from_be_bytes(bytes.get(place..place + 8)?.try_into().ok()?));
        let at = Timestamp::from_micros(number(1)?);
        if !(Timestamp::MIN..=Timestamp::MAX).contains(&at) {
            return None;
        }
        let position = usize::try_from(number(17)?).ok()?;
        let query = u32::from_be_bytes(bytes.get(25..29)?.try_into().ok()?);
        Some(Self { moment: Moment { at, batch: number(9)? }, position, query })
    }

    /// The moment to read the page at. A request with `as_of` must be for the moment that the
    /// cursor was made for, and one that fixes the batch for its batch; `query` is the mark of the
    /// request.
    ///
    /// # Errors
    /// 400 `bad_cursor` for rows or a moment that are not this request's, or a moment that has not
    /// come yet.
    pub fn check(self, view: &View, query: u32) -> Result<Moment, Problem> {
        let newest = view.snapshot.moment();
        let has_been =
            self.moment.batch <= newest.batch && (self.moment.at <= newest.at || view.as_of == Some(self.moment.at));
        let same_moment = view.as_of.is_none_or(|as_of| as_of == self.moment.at);
        let batch_is_fixed = view.is_permanent || view.knowledge == Knowledge::Recorded;
        let same_batch = !batch_is_fixed || self.moment.batch == view.moment.batch;
        if has_been && same_moment && same_batch && self.query == query { Ok(self.moment) } else { Err(bad()) }
    }
}

fn bad() -> Problem {
    Problem::new(Code::BadCursor, "The cursor does not belong to this query; begin again without it.")
        .at_parameter("cursor", "takes the text from links.next, unchanged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let cursor = Cursor {
            moment: Moment { at: Timestamp::from_micros(1_700_000_000_000_001), batch: 812 },
            position: 77,
            query: 0xfeed,
        };
        assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
        for text in ["", "x", "AAAA", &cursor.text()[1..], "////"] {
            assert!(Cursor::parse(text).is_err(), "{text}");
        }
    }
}

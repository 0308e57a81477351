//! An answer of `getblock`, taken in pieces as they come, a transaction at a time.
//!
//! The answer to a full block has 20 MB and more, most of it scripts and witnesses that nobody here
//! reads. So it is never held whole: each transaction of `result.tx` is parsed out of the bytes that are
//! there, and forgotten; one of which the end has not come waits for more. What is left, the envelope and
//! the fields of the header, is small and is parsed at the end.

/// What is left of an answer without its transactions is smaller than this.
const REST_LIMIT: usize = 1024 * 1024;
/// One transaction may fill a block; its text is not longer than this.
const TRANSACTION_LIMIT: usize = 48 * 1024 * 1024;

/// Why an answer is not one of `getblock`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("brackets do not match")]
    Brackets,
    #[error("the answer broke off")]
    Truncated,
    #[error("it is larger than any block: {0}")]
    TooLarge(&'static str),
    #[error("a transaction is no JSON: {0}")]
    NotJson(String),
}

/// What became of the bytes that begin with a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was taken; so many bytes are its own.
    Whole(usize),
    /// Its end is not there.
    Partly,
}

/// Where the scanner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of the list of transactions.
    Outside,
    /// In the list, between two transactions.
    Between,
    /// At the begin of a transaction, whose first bytes may be pending.
    Inside,
}

/// How much of `"tx": [` was met, in the object of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    No,
    Name,
    Colon,
}

/// Parts an answer. Feed it with [`Splitter::push`], then take the rest with [`Splitter::finish`].
#[derive(Debug)]
pub struct Splitter {
    place: Place,
    in_string: bool,
    escaped: bool,
    /// Brackets that are open outside of the list.
    depth: u32,
    key: Key,
    /// The answer with an empty list of transactions.
    rest: Vec<u8>,
    /// Where the newest string began in `rest`.
    string_began: usize,
    /// The begin of a transaction of which the end has not come.
    pending: Vec<u8>,
    /// It is tried again when there are so many bytes of it: twice as many as the last time, so that a
    /// transaction that fills a block is not read anew with every piece.
    try_at: usize,
    seen_list: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            place: Place::Outside,
            in_string: false,
            escaped: false,
            depth: 0,
            key: Key::No,
            rest: Vec::new(),
            string_began: 0,
            pending: Vec::new(),
            try_at: 0,
            seen_list: false,
        }
    }
}

impl Splitter {
    /// Takes the next piece of the answer. `take` is given bytes that begin with a transaction, and says
    /// whether that was whole.
    ///
    /// # Errors
    /// [`Unreadable`], also of `take`.
    pub fn push(
        &mut self,
        piece: &[u8],
        take: impl FnMut(&[u8]) -> Result<Taken, Unreadable>,
    ) -> Result<(), Unreadable> {
        if self.pending.is_empty() {
            return self.read(piece, take);
        }
        if self.pending.len() + piece.len() > TRANSACTION_LIMIT {
            return Err(Unreadable::TooLarge("one transaction"));
        }
        self.pending.extend_from_slice(piece);
        if self.pending.len() < self.try_at {
            return Ok(());
        }
        self.read_pending(take)
    }

    /// The answer without its transactions, and whether there was a list of them.
    ///
    /// # Errors
    /// If the answer is not over; those of `take`.
    pub fn finish(
        mut self,
        take: impl FnMut(&[u8]) -> Result<Taken, Unreadable>,
    ) -> Result<(Vec<u8>, bool), Unreadable> {
        self.read_pending(take)?;
        if self.place == Place::Outside && self.depth == 0 && !self.in_string && !self.rest.is_empty() {
            Ok((self.rest, self.seen_list))
        } else {
            Err(Unreadable::Truncated)
        }
    }

    fn read_pending(&mut self, take: impl FnMut(&[u8]) -> Result<Taken, Unreadable>) -> Result<(), Unreadable> {
        let pending = std::mem::take(&mut self.pending);
        self.read(&pending, take)
    }

    fn read(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<Taken, Unreadable>,
    ) -> Result<(), Unreadable> {
        while let Some(&first) = bytes.first() {
            match self.place {
                Place::Inside => match take(bytes)? {
                    Taken::Whole(length) => {
                        self.place = Place::Between;
                        bytes = &bytes[length..];
                    }
                    Taken::Partly => {
                        self.pending = bytes.to_vec();
                        self.try_at = 2 * bytes.len();
                        return Ok(());
                    }
                },
                Place::Between => match first {
                    b'{' => self.place = Place::Inside,
                    b']' => {
                        self.place = Place::Outside;
                        self.rest.push(b']');
                        bytes = &bytes[1..];
                    }
                    b',' | b' ' | b'\n' | b'\r' | b'\t' => bytes = &bytes[1..],
                    _ => return Err(Unreadable::Brackets),
                },
                Place::Outside => {
                    self.step_outside(first)?;
                    bytes = &bytes[1..];
                }
            }
        }
        Ok(())
    }

    fn step_outside(&mut self, byte: u8) -> Result<(), Unreadable> {
        if self.rest.len() == REST_LIMIT {
            return Err(Unreadable::TooLarge("the fields of the header"));
        }
        self.rest.push(byte);
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    let is_name = self.depth == 2 && &self.rest[self.string_began..] == b"\"tx\"";
                    self.key = if is_name { Key::Name } else { Key::No };
                }
                _ => {}
            }
            return Ok(());
        }
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'"' => {
                self.in_string = true;
                self.string_began = self.rest.len() - 1;
            }
            b':' if self.key == Key::Name => self.key = Key::Colon,
            b'[' if self.key == Key::Colon && !self.seen_list => {
                self.place = Place::Between;
                self.seen_list = true;
                self.key = Key::No;
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.key = Key::No;
            }
            b'}' | b']' => self.depth = self.depth.checked_sub(1).ok_or(Unreadable::Brackets)?,
            _ => self.key = Key::No,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    /// The objects of the list and the rest, of bytes that come in pieces.
    fn split(text: &str, piece: usize) -> Result<(Vec<String>, String), Unreadable> {
        let mut splitter = Splitter::default();
        let mut taken = Vec::new();
        let mut take = |bytes: &[u8]| {
            let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
            match values.next() {
                Some(Ok(_)) => {
                    let length = values.byte_offset();
                    taken.push(String::from_utf8(bytes[..length].to_vec()).unwrap());
                    Ok(Taken::Whole(length))
                }
                Some(Err(error)) if !error.is_eof() => Err(Unreadable::NotJson(error.to_string())),
                _ => Ok(Taken::Partly),
            }
        };
        for piece in text.as_bytes().chunks(piece) {
            splitter.push(piece, &mut take)?;
        }
        let (rest, _) = splitter.finish(&mut take)?;
        Ok((taken, String::from_utf8(rest).unwrap()))
    }

    const ANSWER: &str = r#"{"result":{"hash":"00","tx" : [ {"a":"}]\"{","b":{"c":[1,2]}} , {"d":1}],"tx2":[{"e":2}],"n":"tx"},"error":null,"id":"\"tx\":["}"#;

    #[test]
    fn transactions_are_parted_from_the_rest_however_the_bytes_come() {
        for piece in 1..=ANSWER.len() {
            let (taken, rest) = split(ANSWER, piece).unwrap();
            assert_eq!(taken, [r#"{"a":"}]\"{","b":{"c":[1,2]}}"#, r#"{"d":1}"#]);
            let expected =
                r#"{"result":{"hash":"00","tx" : [],"tx2":[{"e":2}],"n":"tx"},"error":null,"id":"\"tx\":["}"#;
            assert_eq!(rest, expected);
        }
    }

    #[test]
    fn what_breaks_off_or_is_no_object_is_refused() {
        for length in 0..ANSWER.len() {
            assert_eq!(split(&ANSWER[..length], 7), Err(Unreadable::Truncated), "{length}");
        }
        assert_eq!(split(r#"{"result":{"tx":[1]}}"#, 5), Err(Unreadable::Brackets));
        assert_eq!(split("}", 5), Err(Unreadable::Brackets));
    }

    #[test]
    fn a_rest_without_end_is_refused() {
        let endless = format!("{{\"a\":\"{}", "x".repeat(2 * REST_LIMIT));
        assert!(matches!(split(&endless, 4096), Err(Unreadable::TooLarge(_))));
    }

    proptest! {
        /// Whatever comes, it ends without a panic, and what is taken are objects.
        #[test]
        fn noise_does_no_harm(text in r#"[{}\[\]",:\\tx0 ]{0,60}"#, piece in 1..9_usize) {
            let noise = format!(r#"{{"result":{{"tx":[{text}"#);
            if let Ok((taken, _)) = split(&noise, piece) {
                let are_objects = taken.iter().all(|object| object.starts_with('{') && object.ends_with('}'));
                prop_assert!(are_objects);
            }
        }
    }
}

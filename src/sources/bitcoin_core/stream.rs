//! An answer of `getblock`, taken in pieces as they come, a transaction at a time.
//!
//! The answer to a full block has 20 MB and more, most of it scripts and witnesses that nobody here
//! reads. So it is never held whole: a scanner that knows strings and brackets finds where each
//! transaction of `result.tx` ends, hands its bytes over, and forgets them. What is left, the envelope
//! and the fields of the header, is small and is parsed at the end.

use memchr::{memchr2, memchr3};

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
}

/// Where the scanner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of the list of transactions.
    Outside,
    /// In the list, between two transactions.
    Between,
    /// In a transaction, so many brackets deep.
    Inside(u32),
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
            seen_list: false,
        }
    }
}

impl Splitter {
    /// Takes the next piece of the answer and hands every transaction that ends in it to `take`.
    ///
    /// # Errors
    /// [`Unreadable`], or what `take` says.
    pub fn push<E: From<Unreadable>>(
        &mut self,
        mut piece: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !piece.is_empty() {
            match self.place {
                Place::Inside(depth) => {
                    let (end, depth) = self.scan(piece, depth);
                    let (of_transaction, later) = piece.split_at(end);
                    piece = later;
                    if depth > 0 {
                        self.keep(of_transaction)?;
                        self.place = Place::Inside(depth);
                    } else {
                        self.place = Place::Between;
                        if self.pending.is_empty() {
                            take(of_transaction)?;
                        } else {
                            self.keep(of_transaction)?;
                            take(&self.pending)?;
                            self.pending.clear();
                        }
                    }
                }
                Place::Between => {
                    let first = piece[0];
                    match first {
                        b'{' => self.place = Place::Inside(0),
                        b']' => {
                            self.place = Place::Outside;
                            self.rest.push(first);
                            piece = &piece[1..];
                        }
                        b',' | b' ' | b'\n' | b'\r' | b'\t' => piece = &piece[1..],
                        _ => return Err(Unreadable::Brackets.into()),
                    }
                }
                Place::Outside => {
                    self.step_outside(piece[0])?;
                    piece = &piece[1..];
                }
            }
        }
        Ok(())
    }

    /// The answer without its transactions, and whether there was a list of them.
    ///
    /// # Errors
    /// If the answer is not over.
    pub fn finish(self) -> Result<(Vec<u8>, bool), Unreadable> {
        if self.place == Place::Outside && self.depth == 0 && !self.in_string && !self.rest.is_empty() {
            Ok((self.rest, self.seen_list))
        } else {
            Err(Unreadable::Truncated)
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        if self.pending.len() + bytes.len() > TRANSACTION_LIMIT {
            return Err(Unreadable::TooLarge("one transaction"));
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Goes on to the end of the transaction, or of the piece: where that is, and how many brackets are
    /// open there.
    fn scan(&mut self, piece: &[u8], mut depth: u32) -> (usize, u32) {
        let mut at = 0;
        while at < piece.len() {
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                    at += 1;
                    continue;
                }
                let Some(next) = memchr2(b'"', b'\\', &piece[at..]) else { return (piece.len(), depth) };
                match piece[at + next] {
                    b'"' => self.in_string = false,
                    _ => self.escaped = true,
                }
                at += next + 1;
                continue;
            }
            let Some(next) = memchr3(b'"', b'{', b'}', &piece[at..]) else { return (piece.len(), depth) };
            at += next + 1;
            match piece[at - 1] {
                b'"' => self.in_string = true,
                b'{' => depth += 1,
                _ => {
                    // It began with a bracket, so there is one to close.
                    depth -= 1;
                    if depth == 0 {
                        return (at, 0);
                    }
                }
            }
        }
        (at, depth)
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

    use super::*;

    fn split(text: &str, piece: usize) -> Result<(Vec<String>, String), Unreadable> {
        let mut splitter = Splitter::default();
        let mut taken = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            splitter.push(piece, |bytes| {
                taken.push(String::from_utf8(bytes.to_vec()).unwrap());
                Ok::<(), Unreadable>(())
            })?;
        }
        let (rest, _) = splitter.finish()?;
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

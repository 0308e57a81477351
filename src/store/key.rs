//! Keys to the API: how they look, and the table of them.
//!
//! A key is `ms_live_<43 characters>_<6 characters>`: a random part of 256 bits, and the CRC-32 of
//! everything before the last underscore. So a double click selects all of it, and a scanner of
//! leaked secrets can tell a key from a chance likeness without asking us. Only a hash is stored.

use std::fmt;
use std::str::FromStr;

use flate2::Crc;
use rand::Rng as _;
use rand::distr::Alphanumeric;
use sqlx::PgConnection;
use subtle::ConstantTimeEq as _;

use super::StoreError;
use crate::domain::time::{Span, Timestamp};

const PREFIX: &str = "ms_live_";
/// 62^43 is a little more than 2^256.
const RANDOM_LENGTH: usize = 43;
const LOOKUP_LENGTH: usize = 8;
/// 62^6 is more than 2^32.
const CHECKSUM_LENGTH: usize = 6;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Read,
    Write,
    /// Everything.
    Admin,
}

/// A whole key. It is never printed by accident: only [`KeyText::reveal`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

/// The hash of a key.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

/// A key that was not revoked, as requests are checked against it.
#[derive(Debug, Clone)]
pub struct UsableKey {
    pub key_id: i64,
    pub lookup: String,
    pub hash: KeyHash,
    pub scopes: Vec<Scope>,
    /// From when it is no longer taken.
    pub expires_at: Option<Timestamp>,
}

/// A key as people see it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    pub key_id: i64,
    pub name: String,
    pub lookup: String,
    pub scopes: Vec<Scope>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl Scope {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A word that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope; scopes are read, write and admin")]
pub struct NotAScope(String);

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(word: &str) -> Result<Self, NotAScope> {
        let known = [Self::Read, Self::Write, Self::Admin];
        known.into_iter().find(|scope| scope.name() == word).ok_or_else(|| NotAScope(word.to_owned()))
    }
}

impl KeyText {
    /// A new key from the system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let random: String = rand::rng().sample_iter(Alphanumeric).take(RANDOM_LENGTH).map(char::from).collect();
        let body = format!("{PREFIX}{random}");
        let checksum = checksum(&body);
        Self(format!("{body}_{checksum}"))
    }

    /// Reads what may be a key; `None` if the form or the checksum is wrong.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (body, sum) = text.rsplit_once('_')?;
        let random = body.strip_prefix(PREFIX)?;
        let is_formed = random.len() == RANDOM_LENGTH && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_formed && sum == checksum(body)).then(|| Self(text.to_owned()))
    }

    /// The characters by which the key is found; no secret.
    #[must_use]
    pub fn lookup(&self) -> &str {
        &self.0[PREFIX.len()..][..LOOKUP_LENGTH]
    }

    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash(*blake3::hash(self.0.as_bytes()).as_bytes())
    }

    /// The key itself, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl KeyHash {
    /// Whether the two are the same, in a time that does not tell how much of them is.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// CRC-32 (that of gzip) in six digits of base 62, most significant first.
fn checksum(body: &str) -> String {
    let mut crc = Crc::new();
    crc.update(body.as_bytes());
    let mut rest = crc.sum();
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest as usize % DIGITS.len()];
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

/// Whether the database has the table of keys.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn has_key_table(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(r#"/* has_key_table */ select to_regclass('api_key') is not null as "is_there!""#);
    Ok(query.fetch_one(connection).await?)
}

/// Stores a new key and gives its number; `lifetime` counts from now.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn create_key(
    connection: &mut PgConnection,
    key: &KeyText,
    name: &str,
    scopes: &[Scope],
    lifetime: Option<Span>,
) -> Result<i64, StoreError> {
    let scopes: Vec<String> = scopes.iter().map(|scope| scope.name().to_owned()).collect();
    let key_id = sqlx::query_scalar!(
        "/* create_key */ insert into api_key (name, lookup, hash, scopes, expires_at)
         values ($1, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 second') returning key_id",
        name,
        key.lookup(),
        &key.hash().0,
        &scopes,
        lifetime.map(Span::seconds)
    )
    .fetch_one(connection)
    .await?;
    Ok(key_id)
}

/// Every key there ever was, oldest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_keys(connection: &mut PgConnection) -> Result<Vec<KeyFacts>, StoreError> {
    let rows = sqlx::query!(
        "/* list_keys */ select key_id, name, lookup, scopes, created_at, expires_at, revoked_at
         from api_key order by key_id"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(KeyFacts {
                key_id: row.key_id,
                name: row.name,
                lookup: row.lookup,
                scopes: parse_scopes(&row.scopes)?,
                created_at: row.created_at.into(),
                expires_at: row.expires_at.map(Into::into),
                revoked_at: row.revoked_at.map(Into::into),
            })
        })
        .collect()
}

/// Revokes a key, once and for all; says whether there is one of this number.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn revoke_key(connection: &mut PgConnection, key_id: i64) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* revoke_key */ update api_key set revoked_at = coalesce(revoked_at, clock_timestamp()) where key_id = $1",
        key_id
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Every key that was not revoked. Whether one has expired is for the reader to say: that changes
/// by the passing of time alone.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_usable_keys(connection: &mut PgConnection) -> Result<Vec<UsableKey>, StoreError> {
    let rows = sqlx::query!(
        "/* read_usable_keys */ select key_id, lookup, hash, scopes, expires_at from api_key where revoked_at is null"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let hash = <[u8; 32]>::try_from(row.hash).map_err(|hash| StoreError::Unexpected {
                table: "api_key",
                column: "hash",
                found: format!("{} bytes", hash.len()),
            })?;
            Ok(UsableKey {
                key_id: row.key_id,
                lookup: row.lookup,
                hash: KeyHash(hash),
                scopes: parse_scopes(&row.scopes)?,
                expires_at: row.expires_at.map(Into::into),
            })
        })
        .collect()
}

fn parse_scopes(words: &[String]) -> Result<Vec<Scope>, StoreError> {
    let unexpected = |NotAScope(found)| StoreError::Unexpected { table: "api_key", column: "scopes", found };
    words.iter().map(|word| word.parse().map_err(unexpected)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_shows_itself_to_nobody() {
        let key = KeyText::generate();
        let text = key.reveal();
        assert_eq!(text.len(), 8 + 43 + 1 + 6);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "a double click selects it");
        assert_eq!(KeyText::parse(text), Some(key.clone()));
        assert_eq!(key.lookup(), &text[8..16]);
        assert!(key.hash().matches(&KeyText::parse(text).unwrap().hash()));
        assert!(!key.hash().matches(&KeyText::generate().hash()));
        assert!(!format!("{key:?} {:?}", key.hash()).contains(key.lookup()));
    }

    #[test]
    fn the_checksum_is_that_of_gzip_in_base_62() {
        // The check value of CRC-32 for "123456789" is 0xCBF43926 = 3,421,780,262, which is
        // 3*62^5 + 45*62^4 + 35*62^3 + 27*62^2 + 22*62 + 14.
        let parts = [3_u64, 45, 35, 27, 22, 14];
        assert_eq!(parts.iter().fold(0, |sum, part| sum * 62 + part), 3_421_780_262);
        let expected: String = parts.iter().map(|&part| char::from(DIGITS[usize::try_from(part).unwrap()])).collect();
        assert_eq!(checksum("123456789"), expected);
    }

    #[test]
    fn what_is_no_key_is_not_read() {
        let key = KeyText::generate();
        let text = key.reveal();
        let other = if text.ends_with('0') { "1" } else { "0" };
        for wrong in [
            "",
            "ms_live_",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{}{other}", &text[..text.len() - 1]),
            &text.replace("live", "test"),
            &format!("{text} "),
            &text.replacen('_', "-", 1),
        ] {
            assert_eq!(KeyText::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn scopes_are_named() {
        for scope in [Scope::Read, Scope::Write, Scope::Admin] {
            assert_eq!(scope.name().parse(), Ok(scope));
        }
        assert_eq!(
            "root".parse::<Scope>().unwrap_err().to_string(),
            "\"root\" is not a scope; scopes are read, write and admin"
        );
    }
}

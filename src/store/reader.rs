//! Roles of SQL users: who may read the views of `api_v1`, and nothing else.
//!
//! Roles belong to the whole server, so they are made by a command and not by a migration. Every
//! reader is a login role in the group [`GROUP`], which has the rights; a comment on the role says for
//! which database it was made, so that no other role of the server is ever taken for one.
//!
//! The server is sent the verifier of a password, never the password itself, so neither its log nor
//! ours can hold it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::Rng as _;
use rand::distr::Alphanumeric;
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::StoreError;

/// The role that has the rights on the views.
pub const GROUP: &str = "miner_signals_reader";

/// Roles of readers are called this and the reader's name.
const ROLE_PREFIX: &str = "miner_signals_reader_";
/// With the prefix below the 63 bytes that PostgreSQL keeps of a name.
const LONGEST_NAME: usize = 40;
/// 62^32 is more than 2^190.
const GENERATED_LENGTH: usize = 32;
const SHORTEST_PASSWORD: usize = 12;
const LONGEST_PASSWORD: usize = 128;
/// The count of RFC 7677, and PostgreSQL's own.
const SCRAM_ITERATIONS: u32 = 4096;

/// What can go wrong with a reader.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the role {role} may not make roles; as a superuser of the server run: alter role {role} createrole")]
    MayNotMakeRoles { role: String },
    #[error("the schema api_v1 belongs to {owner}, not to {role}; connect as {owner}, who ran `migrate`")]
    NotTheOwner { role: String, owner: String },
    #[error("the database has no schema api_v1 yet; run `miner-signals migrate`")]
    NotMigrated,
    #[error("the server has a role {role} that is no reader of this database; choose another name")]
    Taken { role: String },
}

impl From<sqlx::Error> for ReaderError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The name of a reader: small letters, digits and underscores, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderName(String);

impl ReaderName {
    /// Reads a name.
    ///
    /// # Errors
    /// What a name takes.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        let is_plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if begins && is_plain && text.len() <= LONGEST_NAME {
            Ok(Self(text.to_owned()))
        } else {
            Err("takes up to 40 of a-z, 0-9 and _, beginning with a letter, such as grafana")
        }
    }

    /// The role on the server.
    #[must_use]
    pub fn role(&self) -> String {
        format!("{ROLE_PREFIX}{}", self.0)
    }
}

/// A reader's password. It is never printed by accident: only [`ReaderPassword::reveal`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct ReaderPassword(String);

impl fmt::Debug for ReaderPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReaderPassword(…)")
    }
}

impl ReaderPassword {
    /// A new one from the system's randomness: letters and digits.
    #[must_use]
    pub fn generate() -> Self {
        Self(rand::rng().sample_iter(Alphanumeric).take(GENERATED_LENGTH).map(char::from).collect())
    }

    /// Takes one that somebody chose. Only printable ASCII, because clients prepare anything else in
    /// ways that differ.
    ///
    /// # Errors
    /// What a password takes.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let fits = (SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            Ok(Self(text.to_owned()))
        } else {
            Err("a password takes 12 to 128 printable ASCII characters")
        }
    }

    /// The password itself, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the server stores in place of the password, in the form of PostgreSQL's `rolpassword`:
    /// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
    ///
    /// `StoredKey = H(HMAC(S, "Client Key"))` and `ServerKey = HMAC(S, "Server Key")`, where S is the
    /// password salted by PBKDF2 with HMAC-SHA-256 (RFC 5802, section 3; RFC 7677).
    #[must_use]
    fn verifier(&self, salt: &[u8; 16]) -> String {
        let salted = pbkdf2(self.0.as_bytes(), salt, SCRAM_ITERATIONS);
        let stored_key = Sha256::digest(hmac_sha256(&salted, b"Client Key"));
        let server_key = hmac_sha256(&salted, b"Server Key");
        let [salt, stored_key, server_key] = [&salt[..], &stored_key[..], &server_key[..]].map(|b| BASE64.encode(b));
        format!("SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt}${stored_key}:{server_key}")
    }
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The first block of PBKDF2 with HMAC-SHA-256, which RFC 5802 calls Hi.
fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut round = hmac_sha256(password, &[salt, &1_u32.to_be_bytes()].concat());
    let mut block = round;
    for _ in 1..iterations {
        round = hmac_sha256(password, &round);
        block.iter_mut().zip(round).for_each(|(sum, byte)| *sum ^= byte);
    }
    block
}

/// Makes the reader, or gives one that is there a new password and everything else anew. Sessions that
/// are open go on. Says whether it was there.
///
/// # Errors
/// [`ReaderError`] says what to do.
pub async fn make_reader(
    connection: &mut PgConnection,
    name: &ReaderName,
    password: &ReaderPassword,
) -> Result<bool, ReaderError> {
    let mut transaction = connection.begin().await?;
    let was_there = prepare(&mut transaction, name).await?;
    make_group(&mut transaction).await?;
    let role = name.role();
    if !was_there {
        execute_with(&mut transaction, "create role %1$I", &role, "").await?;
    }
    let verifier = password.verifier(&rand::rng().random());
    // Limits that keep one careless query or dashboard from harming the service. A session may lift
    // the settings, but not its rights.
    for statement in [
        "alter role %1$I with login nocreatedb nocreaterole connection limit 10 password %2$L",
        "alter role %1$I set default_transaction_read_only = on",
        "alter role %1$I set statement_timeout = '30s'",
        "alter role %1$I set idle_in_transaction_session_timeout = '60s'",
        "alter role %1$I set search_path = api_v1",
        "alter role %1$I set timezone = 'UTC'",
        "grant miner_signals_reader to %1$I",
    ] {
        execute_with(&mut transaction, statement, &role, &verifier).await?;
    }
    let comment = comment_of_readers(&mut transaction).await?;
    execute_with(&mut transaction, "comment on role %1$I is %2$L", &role, &comment).await?;
    transaction.commit().await?;
    Ok(was_there)
}

/// Drops the reader; says whether there was one. A session that is open has no rights any more.
///
/// # Errors
/// [`ReaderError`] says what to do.
pub async fn drop_reader(connection: &mut PgConnection, name: &ReaderName) -> Result<bool, ReaderError> {
    let mut transaction = connection.begin().await?;
    let was_there = prepare(&mut transaction, name).await?;
    if was_there {
        execute_with(&mut transaction, "drop role %1$I", &name.role(), "").await?;
    }
    transaction.commit().await?;
    Ok(was_there)
}

/// The roles of this database's readers, by name.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_readers(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let comment = comment_of_readers(connection).await?;
    let roles = sqlx::query_scalar!(
        r#"/* list_readers */ select rolname::text as "role!" from pg_roles
           where starts_with(rolname::text, $1) and shobj_description(oid, 'pg_authid') = $2 order by rolname"#,
        ROLE_PREFIX,
        comment
    )
    .fetch_all(connection)
    .await?;
    Ok(roles)
}

/// Where the server listens, as it says itself: addresses separated by commas, and the port.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_listening(connection: &mut PgConnection) -> Result<(String, String, String), StoreError> {
    let row = sqlx::query!(
        r#"/* read_listening */ select current_setting('listen_addresses') as "addresses!",
             current_setting('port') as "port!", current_database()::text as "database!""#
    )
    .fetch_one(connection)
    .await?;
    Ok((row.addresses, row.port, row.database))
}

/// Checks that readers can be made here, keeps others who make some out until the transaction ends,
/// and says whether the reader is there.
async fn prepare(connection: &mut PgConnection, name: &ReaderName) -> Result<bool, ReaderError> {
    sqlx::query!("/* lock_readers */ select pg_advisory_xact_lock(hashtextextended($1, 0))", GROUP)
        .execute(&mut *connection)
        .await?;
    let role = sqlx::query!(
        r#"/* find_own_rights */ select rolname::text as "role!", rolsuper or rolcreaterole as "may_make_roles!"
           from pg_roles where rolname = current_user"#
    )
    .fetch_one(&mut *connection)
    .await?;
    let schema = sqlx::query!(
        r#"/* find_api_schema */ select pg_get_userbyid(nspowner)::text as "owner!",
             pg_has_role(current_user, nspowner, 'usage') as "is_owner!"
           from pg_namespace where nspname = 'api_v1'"#
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(schema) = schema else { return Err(ReaderError::NotMigrated) };
    if !role.may_make_roles {
        return Err(ReaderError::MayNotMakeRoles { role: role.role });
    }
    if !schema.is_owner {
        return Err(ReaderError::NotTheOwner { role: role.role, owner: schema.owner });
    }
    let role = name.role();
    let found = sqlx::query_scalar!(
        r#"/* find_reader */ select coalesce(shobj_description(oid, 'pg_authid'), '') as "comment!"
           from pg_roles where rolname = $1"#,
        role
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(comment) = found else { return Ok(false) };
    if comment == comment_of_readers(connection).await? { Ok(true) } else { Err(ReaderError::Taken { role }) }
}

/// Makes the group if the server has none yet, and gives it its rights in this database. Two databases
/// of a server share it, and may make it at once.
async fn make_group(connection: &mut PgConnection) -> Result<(), ReaderError> {
    sqlx::raw_sql(
        "/* make_reader_group */
         do $$
         begin
             if not exists (select from pg_roles where rolname = 'miner_signals_reader') then
                 create role miner_signals_reader nologin;
             end if;
         exception when duplicate_object or unique_violation then null;
         end
         $$;
         grant usage on schema api_v1 to miner_signals_reader;
         grant select on all tables in schema api_v1 to miner_signals_reader;
         alter default privileges in schema api_v1 grant select on tables to miner_signals_reader",
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn comment_of_readers(connection: &mut PgConnection) -> Result<String, StoreError> {
    let query = sqlx::query_scalar!(
        r#"/* name_database */ select 'miner-signals: reads api_v1 of the database ' || current_database() as "comment!""#
    );
    Ok(query.fetch_one(connection).await?)
}

/// Runs a statement that takes no parameters, with `%1$I` for an identifier and `%2$L` for a literal,
/// both quoted by the server.
async fn execute_with(
    connection: &mut PgConnection,
    template: &'static str,
    identifier: &str,
    literal: &str,
) -> Result<(), ReaderError> {
    let statement = sqlx::query_scalar!(
        r#"/* quote_statement */ select format($1::text, $2::text, $3::text) as "statement!""#,
        template,
        identifier,
        literal
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain() {
        let longest = "a".repeat(40);
        for good in ["grafana", "a", "team_2", &longest] {
            assert_eq!(ReaderName::parse(good).unwrap().role(), format!("miner_signals_reader_{good}"));
        }
        let too_long = "a".repeat(41);
        for wrong in ["", "Grafana", "2x", "_x", "a-b", "a b", "a\"b", "a'b", "é", &too_long] {
            assert!(ReaderName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_shows_itself_to_nobody() {
        let password = ReaderPassword::generate();
        assert_eq!(password.reveal().len(), 32);
        assert!(password.reveal().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(password, ReaderPassword::generate());
        assert!(!format!("{password:?}").contains(password.reveal()));
        for wrong in ["", "short", "with\nnew line", "an umlaut: ä", &"x".repeat(129)] {
            assert!(ReaderPassword::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(ReaderPassword::parse("twelve chars").is_ok());
    }

    /// The exchange of RFC 7677, section 3: its server signature follows from the server key.
    #[test]
    fn the_verifier_is_that_of_the_rfc() {
        let salt: [u8; 16] = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let verifier = ReaderPassword("pencil".to_owned()).verifier(&salt);
        let rest = verifier.strip_prefix("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$").unwrap();
        let (stored_key, server_key) = rest.split_once(':').unwrap();
        let [stored_key, server_key] = [stored_key, server_key].map(|text| BASE64.decode(text).unwrap());
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = hmac_sha256(&server_key, message.as_bytes());
        assert_eq!(BASE64.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        // The client's proof is its key under a mask, and the stored key is the hash of the client's key.
        let mask = hmac_sha256(&stored_key, message.as_bytes());
        let proof = BASE64.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let client_key: Vec<u8> = proof.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(Sha256::digest(client_key).as_slice(), stored_key);
    }
}

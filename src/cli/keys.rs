//! `keys`: who may ask the API, and who may read the database by SQL, in a live database or a simulated
//! one.

mod reader;

use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

use super::database;
use crate::clock::Clock;
use crate::config::DatabaseArgs;
use crate::domain::time::{Span, Timestamp};
use crate::store::database::find_mode;
use crate::store::key::{KeyFacts, KeyText, Scope, create_key, has_key_table, list_keys, revoke_key};

/// A longer name would only spoil the table.
const LONGEST_NAME: usize = 64;

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, this once
    Create {
        /// Who it is for
        #[arg(value_parser = parse_name)]
        name: String,
        /// What it may do: read, write, admin; several separated by commas
        #[arg(long, required = true, value_delimiter = ',', value_name = "SCOPES")]
        scope: Vec<Scope>,
        /// How long it is good, in hours, days or weeks, such as 90d; for ever without it
        #[arg(long, value_name = "SPAN")]
        expires: Option<Lifetime>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the keys, never what they are
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Revoke a key for ever, by the id that `list` shows
    Revoke {
        #[arg(value_name = "ID")]
        key_id: i64,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Make a role that reads the views of `api_v1` by SQL, or give it a new password; prints how to connect
    Reader {
        #[command(flatten)]
        reader: reader::ReaderArgs,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// How long a key is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime(Span);

impl FromStr for Lifetime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "takes a whole number of hours, days or weeks up to 100 years, such as 12h, 90d or 52w";
        let longest = Span::DAY.times(36_525);
        let unit = match text.chars().last() {
            Some('h') => Span::HOUR,
            Some('d') => Span::DAY,
            Some('w') => Span::DAY.times(7),
            _ => return Err(WRONG),
        };
        let count: u16 = text[..text.len() - 1].parse().map_err(|_| WRONG)?;
        Some(unit.times(count.into())).filter(|span| count > 0 && *span <= longest).map(Self).ok_or(WRONG)
    }
}

fn parse_name(text: &str) -> Result<String, &'static str> {
    let is_fit = (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if is_fit { Ok(text.to_owned()) } else { Err("takes 1 to 64 characters on one line") }
}

/// Runs the command on the database that it names.
///
/// # Errors
/// If the database does not answer or has no tables yet, or there is no key of the number.
pub async fn run(command: KeysCommand) -> anyhow::Result<()> {
    let (KeysCommand::Create { database, .. }
    | KeysCommand::List { database }
    | KeysCommand::Revoke { database, .. }
    | KeysCommand::Reader { database, .. }) = &command;
    let database = database::open(database.live()?).await?;
    let options = database.pool.connect_options();
    let outcome = match database.pool.acquire().await {
        Ok(mut connection) => carry_out(&command, &mut connection, &options).await,
        Err(error) => Err(error).context("the database does not answer"),
    };
    database.finish(outcome).await
}

async fn carry_out(
    command: &KeysCommand,
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> anyhow::Result<()> {
    let mode = if has_key_table(connection).await? { find_mode(connection).await? } else { None };
    let Some(mode) = mode else { bail!("the database is not at this release's schema; run `miner-signals migrate`") };
    match command {
        KeysCommand::Create { name, scope, expires, .. } => {
            let key = KeyText::generate();
            let scopes = once_each(scope);
            let key_id = create_key(connection, &key, name, &scopes, expires.map(|lifetime| lifetime.0)).await?;
            println!("{}", key.reveal());
            eprintln!(
                "key {key_id} for {name}, {} database; send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`; it is \
                 not shown again",
                mode.name()
            );
        }
        KeysCommand::List { .. } => {
            eprintln!("keys of the {} database", mode.name());
            print_table(&list_keys(connection).await?);
            reader::print_list(connection).await?;
        }
        KeysCommand::Reader { reader, .. } => reader::run(reader, connection, options, mode).await?,
        KeysCommand::Revoke { key_id, .. } => {
            if !revoke_key(connection, *key_id).await? {
                bail!("there is no key {key_id} in the {} database; `miner-signals keys list` shows them", mode.name());
            }
            println!(
                "key {key_id} of the {} database is revoked; a running service refuses it within seconds",
                mode.name()
            );
        }
    }
    Ok(())
}

fn once_each(scopes: &[Scope]) -> Vec<Scope> {
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

fn print_table(keys: &[KeyFacts]) {
    let now = Clock::System.now();
    let width = keys.iter().map(|key| key.name.chars().count()).max().unwrap_or(0).max("name".len());
    let print = |id: &str, name: &str, [lookup, scopes, created, expires, state]: [&str; 5]| {
        println!("{id:>4}  {name:width$}  {lookup:8}  {scopes:16}  {created:20}  {expires:20}  {state}");
    };
    print("id", "name", ["lookup", "scopes", "created", "expires", "state"]);
    for key in keys {
        let scopes = key.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(",");
        let created = whole_second(key.created_at);
        let expires = key.expires_at.map_or_else(|| "never".to_owned(), whole_second);
        let cells = [&key.lookup, scopes.as_str(), &created, &expires, state_of(key, now)];
        print(&key.key_id.to_string(), &key.name, cells);
    }
}

fn state_of(key: &KeyFacts, now: Timestamp) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|expiry| expiry <= now) {
        "expired"
    } else {
        "active"
    }
}

fn whole_second(at: Timestamp) -> String {
    at.minus(Span::from_micros(at.micros().rem_euclid(Span::SECOND.micros()))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_with_a_unit() {
        assert_eq!("90d".parse(), Ok(Lifetime(Span::DAY.times(90))));
        assert_eq!("12h".parse(), Ok(Lifetime(Span::HOUR.times(12))));
        assert_eq!("2w".parse(), Ok(Lifetime(Span::DAY.times(14))));
        for wrong in ["", "d", "0d", "-1d", "90", "90m", "36526d", "9999999999d", "1.5d", "9€"] {
            assert!(wrong.parse::<Lifetime>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_active_until_it_is_not() {
        let at = |day: &str| Timestamp::parse(day).unwrap();
        let key = KeyFacts {
            key_id: 1,
            name: "bot".to_owned(),
            lookup: "abcdefgh".to_owned(),
            scopes: vec![Scope::Read],
            created_at: at("2026-01-01"),
            expires_at: Some(at("2026-02-01")),
            revoked_at: None,
        };
        assert_eq!(state_of(&key, at("2026-01-31")), "active");
        assert_eq!(state_of(&key, at("2026-02-01")), "expired");
        let revoked = KeyFacts { revoked_at: Some(at("2026-01-02")), ..key };
        assert_eq!(state_of(&revoked, at("2026-01-31")), "revoked");
    }
}

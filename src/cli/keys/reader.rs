//! `keys reader`: roles for those who read by SQL, and the address that they connect to.

use std::io::Read as _;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::store::database::Mode;
use crate::store::reader::{ReaderName, ReaderPassword, drop_reader, list_readers, make_reader, read_listening};

/// More than any password takes.
const LONGEST_INPUT: u64 = 4096;

#[derive(Debug, Args)]
pub struct ReaderArgs {
    /// Who it is for; a name of the server's, so it must differ between its databases
    #[arg(value_parser = ReaderName::parse)]
    name: ReaderName,
    /// Take the password from standard input in place of making one
    #[arg(long)]
    password_stdin: bool,
    /// Drop the role
    #[arg(long, conflicts_with = "password_stdin")]
    revoke: bool,
}

/// Makes, renews or drops the role.
pub(super) async fn run(
    args: &ReaderArgs,
    connection: &mut PgConnection,
    options: &PgConnectOptions,
    mode: Mode,
) -> anyhow::Result<()> {
    let (role, mode) = (args.name.role(), mode.name());
    if args.revoke {
        if !drop_reader(connection, &args.name).await? {
            bail!("there is no role {role}; `miner-signals keys list` shows the readers");
        }
        println!("the role {role} is gone from the {mode} database; its open sessions can read nothing more");
        return Ok(());
    }
    let password = if args.password_stdin { password_from(std::io::stdin())? } else { ReaderPassword::generate() };
    let was_there = make_reader(connection, &args.name, &password).await?;
    let server = Server::of(connection, options).await?;
    let shown = (!args.password_stdin).then(|| password.reveal());
    println!("{}", server.address(&role, shown));
    let done = if was_there { "has a new password" } else { "is new" };
    let once = if shown.is_some() { "; the password in the address is not shown again" } else { "" };
    eprintln!("the role {role} {done}; it reads the views of api_v1 in the {mode} database, and nothing else{once}");
    if server.is_by_socket {
        eprintln!("the server says itself where it listens; a private one does so only while miner-signals uses it");
    }
    Ok(())
}

/// Prints the readers of this database, if there are any.
pub(super) async fn print_list(connection: &mut PgConnection) -> anyhow::Result<()> {
    for role in list_readers(connection).await? {
        println!("SQL   {role}");
    }
    Ok(())
}

/// What is given, without the end of its line.
fn password_from(input: impl std::io::Read) -> anyhow::Result<ReaderPassword> {
    let mut text = String::new();
    input.take(LONGEST_INPUT).read_to_string(&mut text).context("the password could not be read")?;
    ReaderPassword::parse(text.trim_end_matches(['\r', '\n'])).map_err(|wrong| anyhow!(wrong))
}

/// Where the server is, for somebody else than us.
#[derive(Debug, PartialEq, Eq)]
struct Server {
    host: String,
    port: String,
    database: String,
    ssl_mode: Option<&'static str>,
    /// Whether we came by a socket, so that the server itself had to say where it listens.
    is_by_socket: bool,
}

impl Server {
    async fn of(connection: &mut PgConnection, options: &PgConnectOptions) -> anyhow::Result<Self> {
        let (addresses, port, database) = read_listening(connection).await?;
        let socket = options.get_socket().map(|directory| directory.display().to_string());
        let socket = socket.or_else(|| Some(options.get_host().to_owned()).filter(|host| host.starts_with('/')));
        let (host, port) = match &socket {
            Some(directory) => (host_of(&addresses, directory), port),
            None => (options.get_host().to_owned(), options.get_port().to_string()),
        };
        let ssl_mode = match options.get_ssl_mode() {
            PgSslMode::Require => Some("require"),
            PgSslMode::VerifyCa => Some("verify-ca"),
            PgSslMode::VerifyFull => Some("verify-full"),
            _ => None,
        };
        Ok(Self { host, port, database, ssl_mode, is_by_socket: socket.is_some() })
    }

    /// The address as `psql` and Grafana take it.
    fn address(&self, role: &str, password: Option<&str>) -> String {
        let escape =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let password = password.map(|password| format!(":{}", escape(password))).unwrap_or_default();
        let (port, database) = (&self.port, escape(&self.database));
        let mut parameters: Vec<String> = self.ssl_mode.iter().map(|mode| format!("sslmode={mode}")).collect();
        let host = if self.host.starts_with('/') {
            parameters.push(format!("host={}", escape(&self.host)));
            String::new()
        } else if self.host.contains(':') {
            format!("[{}]", self.host.trim_matches(['[', ']']))
        } else {
            self.host.clone()
        };
        let parameters = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
        format!("postgres://{role}{password}@{host}:{port}/{database}{parameters}")
    }
}

/// The host under which a server is reached that we came to by a socket: the first address at which it
/// listens, this computer where it listens at all of them, the socket where it listens at none.
fn host_of(addresses: &str, socket: &str) -> String {
    match addresses.split(',').next().map(str::trim).unwrap_or_default() {
        "" => socket.to_owned(),
        "*" | "0.0.0.0" | "::" => "localhost".to_owned(),
        first => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str, database: &str, ssl_mode: Option<&'static str>) -> Server {
        let (host, database) = (host.to_owned(), database.to_owned());
        Server { host, port: "5433".to_owned(), database, ssl_mode, is_by_socket: false }
    }

    #[test]
    fn the_address_is_one_that_clients_take() {
        let of = |server: Server| server.address("r", Some("p4ss"));
        assert_eq!(of(server("db.example.org", "live", None)), "postgres://r:p4ss@db.example.org:5433/live");
        assert_eq!(
            of(server("::1", "my data", Some("require"))),
            "postgres://r:p4ss@[::1]:5433/my%20data?sslmode=require"
        );
        assert_eq!(of(server("/run/pg", "live", None)), "postgres://r:p4ss@:5433/live?host=%2Frun%2Fpg");
        assert_eq!(server("h", "d", None).address("r", None), "postgres://r@h:5433/d");
    }

    #[test]
    fn a_server_behind_a_socket_says_where_it_listens() {
        assert_eq!(host_of("127.0.0.1", "/tmp"), "127.0.0.1");
        assert_eq!(host_of("192.0.2.1, ::1", "/tmp"), "192.0.2.1");
        assert_eq!(host_of("*", "/tmp"), "localhost");
        assert_eq!(host_of("", "/tmp"), "/tmp");
    }

    #[test]
    fn a_password_is_one_line() {
        assert_eq!(password_from(&b"twelve chars\r\n"[..]).unwrap().reveal(), "twelve chars");
        assert!(password_from(&b"twelve chars\nand more\n"[..]).is_err());
        assert!(password_from(&b"\n"[..]).is_err());
    }
}

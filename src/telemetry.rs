//! Logs on standard error, as text for people or as JSON for machines.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// The environment variable that sets which messages are logged, as `RUST_LOG` would.
pub const LOG_VARIABLE: &str = "MINER_SIGNALS_LOG";

const DEFAULT_FILTER: &str = "info,sqlx=warn";

/// How log lines and errors look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts logging; called once, by `main`.
pub fn start(format: LogFormat) {
    let wanted = std::env::var(LOG_VARIABLE).ok().filter(|text| !text.is_empty());
    let filter = match wanted.as_deref().map(EnvFilter::try_new) {
        None => EnvFilter::new(DEFAULT_FILTER),
        Some(Ok(filter)) => filter,
        Some(Err(error)) => {
            eprintln!("warning: {LOG_VARIABLE} is not a filter such as info,sqlx=warn: {error}");
            EnvFilter::new(DEFAULT_FILTER)
        }
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.with_target(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

/// The one line on standard error that a failed command ends with.
pub fn print_failure(format: LogFormat, error: &anyhow::Error) {
    let message = one_line(error);
    match format {
        LogFormat::Text => eprintln!("error: {message}"),
        LogFormat::Json => eprintln!("{}", serde_json::json!({ "level": "ERROR", "message": message })),
    }
}

/// The error and its causes, leaving out a cause whose text was said already.
fn one_line(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.contains(&cause) {
            continue;
        }
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&cause.replace('\n', "; "));
    }
    message
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow::anyhow!("pool timed out").context("migration: pool timed out").context("cannot start");
        assert_eq!(super::one_line(&error), "cannot start: migration: pool timed out");
    }
}

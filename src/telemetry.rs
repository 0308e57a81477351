//! Logs on standard error, as text for people or as JSON for machines.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// The environment variable that sets which messages are logged, as `RUST_LOG` would.
pub const LOG_VARIABLE: &str = "MINER_SIGNALS_LOG";

/// How log lines and errors look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts logging; called once, by `main`.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.with_target(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

/// The one line on standard error that a failed command ends with.
pub fn print_failure(format: LogFormat, error: &anyhow::Error) {
    let message = format!("{error:#}");
    match format {
        LogFormat::Text => eprintln!("error: {message}"),
        LogFormat::Json => eprintln!("{}", serde_json::json!({ "level": "ERROR", "message": message })),
    }
}

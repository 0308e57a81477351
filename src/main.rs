//! Parse, call, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use miner_signals::cli::Cli;
use miner_signals::telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start(cli.log_format);
    let log_format = cli.log_format;
    match cli.run().await {
        Ok(code) => code,
        Err(error) => {
            telemetry::print_failure(log_format, &error);
            ExitCode::FAILURE
        }
    }
}

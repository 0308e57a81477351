//! The lines that pages and documents offer to be copied, run as they are written.
//!
//! `tests/contract/run_snippets.py` runs them. It needs pandas and `DuckDB`, which `./dev test` installs
//! into `.dev/venv`; without them this check does not run, and `./dev test` says so.

use std::path::Path;
use std::time::Duration;

use miner_signals::clock::Clock;

use crate::harness::{TestDatabase, network_days};

#[tokio::test(flavor = "multi_thread")]
async fn every_line_to_copy_runs_as_it_is_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = |file: &str| std::fs::read_to_string(root.join(file)).ok();
    // Written when all of them are installed.
    if packages(".dev/venv/requirements.txt") != packages("tests/contract/requirements.txt") {
        eprintln!("snippet check not run: .dev/venv is missing or old; ./dev test makes it");
        return;
    }
    let database = TestDatabase::new().await;
    // Up to yesterday, so that the bare numbers of documents are fresh.
    let first = Clock::System.now().day().plus(-60);
    database.append(&network_days(&first.to_string(), 60)).await;
    let address = database.api().await.serve();
    let mut command = tokio::process::Command::new(root.join(".dev/venv/bin/python"));
    command.arg(root.join("tests/contract/run_snippets.py")).arg(address).env("PYTHONDONTWRITEBYTECODE", "1");
    let run = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_mins(3), run).await.expect("three minutes are enough").unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("lines of pages and"), "{said}");
}

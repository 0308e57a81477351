//! The program as a process: how soon it answers, and what it holds when idle.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sqlx::ConnectOptions as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::facts::memory_mb;
use super::load::Client;
use super::report::Finding;
use super::scratch::Scratch;
use super::serve::{body_of, service};
use super::timing::{median, show};

const ROUNDS: usize = 5;
const START: Duration = Duration::from_millis(1_500);
const RESIDENT_MB: f64 = 150.0;
/// A start that takes longer is an error, not a slow start.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the process is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

pub async fn measure(database: &Scratch) -> anyhow::Result<Vec<Finding>> {
    let (service, _) = service(database).await?;
    let expected = data_of(&String::from_utf8_lossy(&body_of(&service, "/v1/hashprice").await?))?;
    drop(service);
    let (mut starts, mut resident, mut highest) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut child = start(database)?;
        let answered = tokio::time::timeout(PATIENCE, first_answer(&mut child, &expected)).await;
        starts.push(begun.elapsed().as_secs_f64());
        answered.context("no answer from the process")??;
        tokio::time::sleep(IDLE).await;
        let process = child.id().context("the process ended by itself")?.to_string();
        resident.push(memory_mb(&process, "VmRSS")?);
        highest.push(memory_mb(&process, "VmHWM")?);
        child.kill().await?;
    }
    let start = Duration::from_secs_f64(median(&starts));
    let (resident, highest) = (median(&resident), median(&highest));
    Ok(vec![
        Finding {
            work: "start with an existing database → first correct answer".to_owned(),
            limit: "PostgreSQL runs already".to_owned(),
            measured: show(start),
            ratio: None,
            target: "< 1.5 s".to_owned(),
            met: Some(start < START),
        },
        Finding {
            work: "resident memory, daily and hourly columns of full history, idle".to_owned(),
            limit: "–".to_owned(),
            measured: format!("{resident:.0} MB, highest {highest:.0} MB"),
            ratio: None,
            target: "< 150 MB".to_owned(),
            met: Some(resident < RESIDENT_MB),
        },
    ])
}

fn start(database: &Scratch) -> anyhow::Result<Child> {
    Command::new(env!("CARGO_BIN_EXE_miner-signals"))
        .args([
            "up",
            "--port",
            "0",
            "--without",
            "mempool,coinmetrics,coinbase,kraken,bitstamp,cryptoquant,glassnode,yahoo",
        ])
        .env("DATABASE_URL", database.options.to_url_lossy().as_str())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("the program cannot be started")
}

/// Waits until the process gives the expected hashprice.
async fn first_answer(child: &mut Child, expected: &str) -> anyhow::Result<()> {
    let output = child.stdout.take().context("no standard output")?;
    let mut lines = BufReader::new(output).lines();
    let address: SocketAddr = loop {
        let line = lines.next_line().await?.context("the process ended before it served")?;
        let Some((_, rest)) = line.split_once("http://") else { continue };
        break rest.trim_end_matches('/').parse()?;
    };
    loop {
        // Before the first snapshot the answer is a 503.
        if let Ok(body) = Client::connect(address).await?.text("/v1/hashprice").await {
            anyhow::ensure!(data_of(&body)? == expected, "a wrong first answer: {body}");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The member `data` as text.
fn data_of(body: &str) -> anyhow::Result<String> {
    let body: serde_json::Value = serde_json::from_str(body)?;
    Ok(body["data"].to_string())
}

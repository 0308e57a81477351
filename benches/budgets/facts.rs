//! What the figures were measured on.

use miner_signals::clock::Clock;
use miner_signals::domain::time::Day;

use super::scratch::ScratchServer;

/// The machine and the server.
pub struct Machine {
    pub cores: usize,
    pub processor: String,
    pub kernel: String,
    pub postgresql: String,
    pub date: Day,
}

impl Machine {
    pub async fn read(server: &ScratchServer) -> anyhow::Result<Self> {
        let mut connection = server.connect().await?;
        let postgresql = sqlx::query_scalar("show server_version").fetch_one(&mut connection).await?;
        let processor = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: processor.unwrap_or_else(|| "unknown".to_owned()),
            kernel: kernel.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned()),
            postgresql,
            date: Clock::System.now().day(),
        })
    }
}

/// Megabytes of a process's memory under a name of `/proc/<pid>/status`: `VmRSS` or `VmHWM`.
pub fn memory_mb(process: &str, name: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)).map(str::parse::<f64>);
    kilobytes
        .ok_or_else(|| anyhow::anyhow!("no {name} in the status of process {process}"))?
        .map(|kb| kb / 1_024.0)
        .map_err(Into::into)
}

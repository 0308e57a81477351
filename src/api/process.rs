//! What the system says of this process, for Prometheus. Only Linux is asked; elsewhere nothing is said.

use std::fs::{read_dir, read_to_string};

/// Clock ticks in a second in `/proc`: 100 on every architecture that Linux shows to programs
/// (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// The state of this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ProcessFacts {
    pub resident_bytes: f64,
    pub open_files: f64,
    /// Time of processors used, of the program and of the system on its behalf.
    pub cpu_seconds: f64,
    /// Seconds since 1970.
    pub started_at: f64,
}

impl ProcessFacts {
    /// Reads them; `None` where the system does not say.
    pub(super) fn read() -> Option<Self> {
        let [status, stat, system] =
            ["/proc/self/status", "/proc/self/stat", "/proc/stat"].map(|path| read_to_string(path).ok());
        // Less the one that the counting itself opens.
        let open_files = read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        Self::parse(&status?, &stat?, &system?, open_files)
    }

    fn parse(status: &str, stat: &str, system: &str, open_files: usize) -> Option<Self> {
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: f64 = resident.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        // The second field is the program's name in brackets and may hold anything, brackets too.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // Fields 14, 15 and 22 of proc(5), of which the first here is the third.
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        let booted_at: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(Self {
            resident_bytes: kibibytes * 1024.0,
            open_files: open_files as f64,
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            started_at: booted_at + ticks(22)? / TICKS_PER_SECOND,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_manual() {
        let status = "Name:\tminer\nVmPeak:\t  999 kB\nVmRSS:\t   20480 kB\nThreads:\t4\n";
        let stat = "7 (miner ) (x) S 1 7 7 0 -1 4194560 100 0 2 0 250 50 0 0 20 0 4 0 12345 0 0";
        let system = "cpu  1 2 3\nbtime 1700000000\nprocesses 9\n";
        let facts = ProcessFacts::parse(status, stat, system, 12).unwrap();
        assert_eq!(facts.resident_bytes, 20_971_520.0);
        assert_eq!(facts.open_files, 12.0);
        assert_eq!(facts.cpu_seconds, 3.0);
        assert_eq!(facts.started_at, 1_700_000_123.45);
        assert_eq!(ProcessFacts::parse("", stat, system, 12), None);
        assert_eq!(ProcessFacts::parse(status, "7 (miner)", system, 12), None);
    }
}

//! The table, on a terminal and as a page.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;

use super::facts::Machine;
use super::timing::Ratio;

/// One budget with what was measured.
pub struct Finding {
    pub work: String,
    /// What it is measured against, with its figure.
    pub limit: String,
    pub measured: String,
    /// Measured over limit, in the direction that the target speaks of; `None` without a limit.
    pub ratio: Option<Ratio>,
    pub target: String,
    /// `None` where the figure is only for the reader.
    pub met: Option<bool>,
}

impl Finding {
    const fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "–",
        }
    }

    fn cells(&self) -> [String; 6] {
        [
            self.work.clone(),
            self.limit.clone(),
            self.measured.clone(),
            self.ratio.map_or_else(|| "–".to_owned(), |ratio| ratio.to_string()),
            self.target.clone(),
            self.verdict().to_owned(),
        ]
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [work, limit, measured, ratio, target, verdict] = self.cells();
        write!(f, "{work}: {measured} against {limit}, ratio {ratio}, target {target}: {verdict}")
    }
}

const HEADER: [&str; 6] = ["work", "limit", "measured", "ratio", "target", "met?"];

/// The findings as a Markdown table, aligned so that a terminal shows it too.
pub fn table(findings: &[Finding]) -> String {
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(findings.iter().map(Finding::cells));
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut lines: Vec<String> = rows.iter().map(|row| line(row, &widths)).collect();
    lines.insert(1, line(&widths.map(|width| "-".repeat(width)), &widths));
    lines.join("\n")
}

fn line(row: &[String; 6], widths: &[usize; 6]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
    format!("| {} |", cells.join(" | "))
}

/// Writes the page.
pub fn write(path: &Path, machine: &Machine, findings: &[Finding]) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(path, page(machine, findings)).with_context(|| format!("cannot write {}", path.display()))
}

fn page(machine: &Machine, findings: &[Finding]) -> String {
    let missed = findings.iter().filter(|finding| finding.met == Some(false)).count();
    let reading = match missed {
        0 => "Every budget that applies today is met.".to_owned(),
        missed => format!("Missed: {missed}; the table says which."),
    };
    format!(
        "# Performance

This page is written by `./dev bench --write`, which takes the server of `DATABASE_URL` for
scratch databases, or starts one of its own. Each budget is measured beside its limit in the same run,
in turns: the ratio is the median of that of each round, with the least and the greatest beside it.
Times alone would say more about the machine than about the program. Nothing here is a test: a
missed budget fails no build.

Measured on {date}: {cores} cores of {processor}, Linux {kernel}, release profile,
PostgreSQL {postgresql} on the same machine.

{table}

## Reading

{reading}

- The history is generated: a seeded random walk of daily values since 2009-01-03, one day in
  fifty revised once, and three hourly series of the same span.
- What only computes shows its fastest run, everything else the median of its rounds. A wide range
  of ratios tells of a busy machine.
- Ratios of requests and rows are ours over the limit, so more is better; ratios of times are ours
  over the limit, so less is better.
- The server, the client that loads it and PostgreSQL share the cores, for ours and for the limit
  alike. The bare route is wrapped in the same middleware, so a ratio shows what parameters, view,
  cache and headers cost, not what HTTP costs.
- A first time is an address that nobody asked for since the last batch; after that its bytes are in
  memory. The series behind it is laid out by the first answer after each batch, whatever its
  address: what that one answer takes is shown without a target.
- A start counts from the start of our process, with PostgreSQL running and the schema in place, to
  the first answer of `/v1/hashprice` that equals the one computed here.
",
        date = machine.date,
        cores = machine.cores,
        processor = machine.processor,
        kernel = machine.kernel,
        postgresql = machine.postgresql,
        table = table(findings),
    )
}

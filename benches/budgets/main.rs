//! Measures every performance budget beside its limit, in the same run.
//!
//! `cargo bench --bench budgets` prints a table; words after `--` choose budgets by the beginning
//! of their group (`node-read`, `node-follow`, `append`, `derive`, `past`, `serve-ranges`, `serve-latest`, `process`), and `--write` writes
//! `docs/performance.md`. A missed budget is printed as MISSED and is no failure: times depend on
//! the machine, so the exit code tells of errors only.

mod append;
mod derive;
mod facts;
mod history;
mod load;
mod node;
mod past;
mod process;
mod report;
mod scratch;
mod serve;
mod timing;

use std::process::ExitCode;

use report::Finding;
use scratch::ScratchServer;

/// What to measure and whether to write it down.
struct Wanted {
    /// Whether Cargo runs us as a benchmark. `cargo test --all-targets` runs benchmarks too, without
    /// saying so, and only wants to know that they build.
    bench: bool,
    groups: Vec<String>,
    write: bool,
}

impl Wanted {
    fn from_arguments() -> Self {
        let mut wanted = Self { bench: false, groups: Vec::new(), write: false };
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--bench" => wanted.bench = true,
                "--write" => wanted.write = true,
                group => wanted.groups.push(group.to_owned()),
            }
        }
        wanted
    }

    fn has(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|wanted| group.starts_with(wanted.as_str()))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == node::MEMORY_CHILD) {
        return exit_of(node::memory_child());
    }
    let wanted = Wanted::from_arguments();
    if !wanted.bench {
        println!("nothing measured: run `cargo bench --bench budgets`");
        return ExitCode::SUCCESS;
    }
    exit_of(Box::pin(run(&wanted)).await)
}

fn exit_of(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("budgets: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(wanted: &Wanted) -> anyhow::Result<()> {
    let server = scratch::scratch_server().await?;
    let outcome = measure(wanted, &server).await;
    let stopped = server.stop().await;
    let (findings, machine) = outcome?;
    stopped?;
    println!("\n{}", report::table(&findings));
    if wanted.write {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");
        report::write(path.as_ref(), &machine, &findings)?;
        println!("wrote {path}");
    }
    Ok(())
}

async fn measure(wanted: &Wanted, server: &ScratchServer) -> anyhow::Result<(Vec<Finding>, facts::Machine)> {
    let machine = facts::Machine::read(server).await?;
    let mut findings = Vec::new();
    let mut note = |found: Vec<Finding>| {
        for finding in &found {
            println!("{finding}");
        }
        findings.extend(found);
    };
    // The order keeps what wants a quiet heap before what fills it.
    if wanted.has("node-read") {
        note(node::measure_reading()?);
    }
    if wanted.has("node-follow") {
        note(node::measure(server).await?);
    }
    if wanted.has("append") {
        note(append::measure(server).await?);
    }
    if wanted.has("derive") {
        note(derive::measure());
    }
    if ["past", "serve-ranges", "serve-latest", "process"].into_iter().any(|group| wanted.has(group)) {
        let database = server.create_database("bench_history").await?;
        history::store(&database).await?;
        if wanted.has("past") {
            note(past::measure(&database).await?);
        }
        if wanted.has("serve-ranges") {
            note(serve::measure_ranges(&database).await?);
        }
        if wanted.has("serve-latest") {
            note(serve::measure_latest(&database).await?);
        }
        if wanted.has("process") {
            note(process::measure(&database).await?);
        }
        server.drop_database(database).await?;
    }
    Ok((findings, machine))
}

//! What a reader may rely on about the tree itself.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Which modules and crates each part of the program must never use.
const FORBIDDEN: [(&str, &[&str]); 5] = [
    (
        "domain",
        &[
            "crate::api",
            "crate::store",
            "crate::sources",
            "crate::worker",
            "crate::simulated",
            "crate::clock",
            "crate::cli",
            "crate::config",
            "serde",
            "sqlx",
            "axum",
            "reqwest",
            "tokio",
            "rand",
        ],
    ),
    ("sources", &["crate::store", "crate::api", "crate::worker", "crate::cli", "crate::clock", "sqlx", "axum"]),
    ("simulated", &["crate::store", "crate::api", "crate::worker", "crate::cli", "crate::clock", "sqlx"]),
    ("store", &["crate::sources", "crate::api", "crate::worker", "crate::cli", "axum", "reqwest"]),
    ("api", &["crate::sources", "crate::worker", "crate::cli", "reqwest"]),
];

fn rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Whether a line of code names a path as a whole word: `tokio::` or `use tokio`, not `autotokio`.
fn names(line: &str, path: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(path).any(|(place, _)| {
        let before = code[..place].chars().next_back();
        let after = &code[place + path.len()..];
        let begins = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':');
        begins
            && (after.starts_with("::")
                || (code.trim_start().starts_with("use ")
                    && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')))
    })
}

#[test]
fn dependencies_run_one_way() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for (part, forbidden) in FORBIDDEN {
        let mut files = Vec::new();
        rust_files(&source.join(part), &mut files);
        assert!(!files.is_empty(), "{part} has files");
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let lines = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
            for (number, line) in lines {
                for path in forbidden.iter().filter(|path| names(line, path)) {
                    found.push(format!("{}:{}: {part} must not use {path}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_check_sees_a_forbidden_use() {
    assert!(names("use sqlx::PgPool;", "sqlx"));
    assert!(names("    let x = crate::store::head::read_head();", "crate::store"));
    assert!(!names("// sqlx::PgPool is not used here", "sqlx"));
    assert!(!names("use crate::store_of_value::X;", "crate::store"));
}

#[test]
fn openapi_document_equals_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let stored = std::fs::read_to_string(&path).unwrap();
    let generated = miner_signals::api::router::document().to_pretty_json().unwrap();
    assert!(stored.trim_end() == generated.trim_end(), "openapi/openapi.json differs from the code; run ./dev openapi");
}

/// The variables that flags read, and those that have no flag.
fn variables_read() -> Vec<String> {
    let mut files = Vec::new();
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut names = ["MINER_SIGNALS_LOG", "PG_BIN", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"].map(str::to_owned).to_vec();
    let without_flag = names.len();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        names.extend(text.split("env = \"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    }
    assert!(names.len() > without_flag, "flags have variables");
    names
}

#[test]
fn sample_environment_is_accepted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.sample");
    let sample = std::fs::read_to_string(path).unwrap();
    let lines = sample.lines().map(|line| line.trim_start_matches("# ")).filter(|line| !line.starts_with('#'));
    let variables: Vec<(&str, &str)> = lines
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .collect();
    for needed in variables_read() {
        assert!(variables.iter().any(|(name, _)| *name == needed), "{needed} is missing from .env.sample");
    }
    // With every value of the sample set, the command line is read and its help is printed.
    let output = Command::new(env!("CARGO_BIN_EXE_miner-signals"))
        .arg("openapi")
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn wrong_usage_exits_with_two() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_miner-signals"));
        command.args(arguments).env_remove("DATABASE_URL").output().unwrap()
    };
    assert_eq!(run(&["--no-such-flag"]).status.code(), Some(2));
    assert_eq!(run(&["import", "coinmetrics-csv"]).status.code(), Some(2));
    assert_eq!(run(&["keys", "create", "bot", "--scope", "root"]).status.code(), Some(2));
    assert_eq!(run(&["keys", "create", "bot", "--scope", "read", "--expires", "soon"]).status.code(), Some(2));
}

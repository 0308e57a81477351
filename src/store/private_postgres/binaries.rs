//! Finds the programs of a PostgreSQL server: where to look, and which version to take.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The major versions we run and test against.
pub(super) const SUPPORTED: RangeInclusive<u16> = 15..=18;

/// The `bin` directory of one PostgreSQL installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    directory: PathBuf,
    pub(super) version: u16,
}

/// Nothing suitable, with the supported versions that were there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoneFound {
    pub(super) versions: BTreeSet<u16>,
}

/// Where to look, best first.
#[derive(Debug, Clone)]
pub(super) struct Search {
    candidates: Vec<PathBuf>,
}

impl Search {
    /// `PG_BIN`, then `PATH`, then the places where packages put servers below `root` (`/` outside
    /// tests), newest first.
    pub(super) fn new(environment: impl Fn(&str) -> Option<OsString>, root: &Path) -> Self {
        let mut candidates: Vec<PathBuf> = environment("PG_BIN").map(PathBuf::from).into_iter().collect();
        if let Some(path) = environment("PATH") {
            candidates.extend(std::env::split_paths(&path));
        }
        for (parent, prefix) in [
            ("usr/lib/postgresql", ""),
            ("usr", "pgsql-"),
            ("opt/homebrew/opt", "postgresql@"),
            ("usr/local/opt", "postgresql@"),
            ("home/linuxbrew/.linuxbrew/opt", "postgresql@"),
            ("Applications/Postgres.app/Contents/Versions", ""),
        ] {
            candidates.extend(versions_below(&root.join(parent), prefix));
        }
        // Programs run with the working directory `/`, where a relative path means something else.
        candidates.retain(|candidate| candidate.is_absolute());
        Self { candidates }
    }

    /// The first installation of version `wanted`, or of any supported version.
    pub(super) fn find(&self, wanted: Option<u16>) -> Result<Binaries, NoneFound> {
        let mut versions = BTreeSet::new();
        for directory in &self.candidates {
            let Some(version) = version_of(directory).filter(|version| SUPPORTED.contains(version)) else { continue };
            if wanted.is_none_or(|wanted| wanted == version) {
                return Ok(Binaries { directory: directory.clone(), version });
            }
            versions.insert(version);
        }
        Err(NoneFound { versions })
    }
}

impl Binaries {
    pub(super) fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }
}

/// `parent/{prefix}{number}/bin` for every number there, highest first.
fn versions_below(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<(u16, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The major version of the server in `directory`, if a whole server is there.
fn version_of(directory: &Path) -> Option<u16> {
    let postgres = directory.join("postgres");
    if !postgres.is_file() || !directory.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(postgres).arg("-V").output().ok()?;
    parse_version(std::str::from_utf8(&output.stdout).ok()?)
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` is 15.
fn parse_version(output: &str) -> Option<u16> {
    let (_, version) = output.split_once("(PostgreSQL) ")?;
    let digits = version.find(|character: char| !character.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

/// The command that installs a server on this platform.
pub(super) fn install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        return "brew install postgresql@17";
    }
    install_command_for(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
}

fn install_command_for(os_release: &str) -> &'static str {
    let families: Vec<&str> = os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split(' '))
        .collect();
    for (family, command) in [
        ("debian", "apt install postgresql"),
        ("fedora", "dnf install postgresql-server"),
        ("rhel", "dnf install postgresql-server"),
        ("suse", "zypper install postgresql-server"),
        ("arch", "pacman -S postgresql"),
        ("alpine", "apk add postgresql"),
    ] {
        if families.contains(&family) {
            return command;
        }
    }
    "the package is called postgresql or postgresql-server"
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::test_directory::TestDirectory;
    use super::*;

    fn install(bin: &Path, version: &str) {
        std::fs::create_dir_all(bin).unwrap();
        for program in ["postgres", "initdb"] {
            let script = format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n");
            std::fs::write(bin.join(program), script).unwrap();
            std::fs::set_permissions(bin.join(program), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn search(root: &Path, variables: &[(&str, PathBuf)]) -> Search {
        let get = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.clone().into_os_string())
        };
        Search::new(get, root)
    }

    #[test]
    fn versions_are_read_from_the_program() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_version("postgres (PostgreSQL) 9.6.24\n"), Some(9));
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn the_newest_package_is_taken_and_the_version_of_a_directory_wins() {
        let root = TestDirectory::new();
        install(&root.path().join("usr/lib/postgresql/15/bin"), "15.4");
        install(&root.path().join("usr/lib/postgresql/16/bin"), "16.1");
        install(&root.path().join("usr/lib/postgresql/14/bin"), "14.9");
        let search = search(root.path(), &[]);
        assert_eq!(search.find(None).unwrap().version, 16);
        assert_eq!(search.find(Some(15)).unwrap().postgres(), root.path().join("usr/lib/postgresql/15/bin/postgres"));
        assert_eq!(search.find(Some(17)), Err(NoneFound { versions: [15, 16].into() }));
    }

    #[test]
    fn pg_bin_comes_before_path_and_path_before_packages() {
        let root = TestDirectory::new();
        let [named, on_path] = ["named", "on-path"].map(|name| root.path().join(name));
        install(&named, "15.1");
        install(&on_path, "17.0");
        install(&root.path().join("opt/homebrew/opt/postgresql@18/bin"), "18.0");
        let path = ("PATH", on_path);
        assert_eq!(search(root.path(), &[("PG_BIN", named), path.clone()]).find(None).unwrap().version, 15);
        assert_eq!(search(root.path(), &[path]).find(None).unwrap().version, 17);
        assert_eq!(search(root.path(), &[]).find(None).unwrap().version, 18);
    }

    #[test]
    fn an_empty_machine_has_none() {
        let root = TestDirectory::new();
        assert_eq!(search(root.path(), &[]).find(None), Err(NoneFound { versions: BTreeSet::new() }));
    }

    #[test]
    fn the_install_command_follows_the_distribution() {
        assert_eq!(install_command_for("NAME=x\nID=ubuntu\nID_LIKE=debian\n"), "apt install postgresql");
        assert_eq!(
            install_command_for("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            "dnf install postgresql-server"
        );
        assert!(install_command_for("").contains("postgresql"));
    }
}

//! Finds the PostgreSQL server of the machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::{PrivatePgError, Result};
use super::setup::bare;

/// The lowest major version that Tributary supports.
const OLDEST: u32 = 15;

/// Where packages put one directory per major version: parent, what comes before the number, and
/// what comes after it.
const VERSIONED: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// A directory with the programs of a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    /// The directory that holds `initdb` and `postgres`.
    pub(super) dir: PathBuf,
    /// The major version, such as 15.
    pub(super) major: u32,
}

/// Finds the server to use for the data in `cluster`.
///
/// `named` is the directory that the operator named; then no other is looked at. Otherwise the first
/// that will do of: `pg_config`, the search path, the usual places of packages (highest version
/// first). `wanted` is the major version that wrote the data, if there are data; without, any from
/// [`OLDEST`] on will do.
pub(super) async fn find(named: Option<&Path>, wanted: Option<u32>, cluster: &Path) -> Result<Binaries> {
    let mut found = Vec::new();
    let candidates = match named {
        Some(dir) => vec![std::path::absolute(dir).map_err(PrivatePgError::io("use", dir))?],
        None => usual_places().await,
    };
    for dir in candidates {
        let Some(major) = major_version(&dir).await else {
            continue;
        };
        let candidate = Binaries { dir, major };
        if wanted.map_or(major >= OLDEST, |wanted| major == wanted) {
            return Ok(candidate);
        }
        if !found.contains(&candidate) {
            found.push(candidate);
        }
    }
    Err(match (named, wanted) {
        (Some(dir), _) if found.is_empty() => PrivatePgError::NotServerBinaries { dir: dir.to_path_buf() },
        (_, Some(wanted)) => PrivatePgError::MajorVersionMissing {
            cluster: cluster.to_path_buf(),
            wanted,
            found: list(&found),
        },
        (_, None) => PrivatePgError::NoServer { oldest: OLDEST, found: list(&found) },
    })
}

/// The directories to look into, best first; they need not exist.
async fn usual_places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = pg_config_dir().await.into_iter().collect();
    if let Some(path) = env::var_os("PATH") {
        places.extend(env::split_paths(&path));
    }
    for (parent, before, after) in VERSIONED {
        places.extend(versioned(Path::new(parent), before, after));
    }
    places.push(PathBuf::from("/usr/local/pgsql/bin"));
    places
}

/// The directories `<parent>/<before><number>/<after>`, highest number first.
fn versioned(parent: &Path, before: &str, after: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut numbers: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(before)?.parse().ok())
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.into_iter().map(|number| parent.join(format!("{before}{number}")).join(after)).collect()
}

/// What the `pg_config` in the search path says; it may belong to the client library alone.
async fn pg_config_dir() -> Option<PathBuf> {
    let output = bare("pg_config").arg("--bindir").output().await.ok()?;
    let dir = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !dir.trim().is_empty()).then(|| PathBuf::from(dir.trim()))
}

/// The major version of the server in `dir`; `None` if there is none that works.
async fn major_version(dir: &Path) -> Option<u32> {
    let postgres = dir.join("postgres");
    if !dir.is_absolute() || !postgres.is_file() || !dir.join("initdb").is_file() {
        return None;
    }
    let output = bare(postgres).arg("--version").output().await.ok()?;
    parse_version(&String::from_utf8(output.stdout).ok()?)
}

/// Reads "postgres (PostgreSQL) 15.18 (Debian …)" as 15, and "… 19beta1" as 19.
fn parse_version(output: &str) -> Option<u32> {
    let (_, version) = output.split_once("(PostgreSQL) ")?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..end].parse().ok()
}

fn list(found: &[Binaries]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let each: Vec<String> =
        found.iter().map(|b| format!("PostgreSQL {} in {}", b.major, b.dir.display())).collect();
    format!(" (only {})", each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Scratch;
    use super::*;

    /// A directory with programs that answer `--version` as a server of that version does.
    fn install(dir: &Path, version: &str) {
        fs::create_dir_all(dir).unwrap();
        for program in ["initdb", "postgres"] {
            let script = format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n");
            // Written by another process: were the file open for writing in this one, a child that
            // another test forks in this moment would inherit it, and the kernel refuse to run it.
            let status = std::process::Command::new("sh")
                .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
                .arg(dir.join(program))
                .arg(script)
                .status()
                .unwrap();
            assert!(status.success());
        }
    }

    #[test]
    fn versions_are_read_as_distributions_write_them() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(parse_version("postgres (PostgreSQL) 18\n"), Some(18));
        assert_eq!(parse_version("mysqld  Ver 8.0"), None);
    }

    #[test]
    fn the_highest_installed_version_comes_first() {
        let scratch = Scratch::new();
        for version in ["9.6", "14", "9", "17", "postgresql"] {
            fs::create_dir_all(scratch.path().join(version).join("bin")).unwrap();
        }
        let expected: Vec<PathBuf> =
            ["17", "14", "9"].iter().map(|v| scratch.path().join(v).join("bin")).collect();
        assert_eq!(versioned(scratch.path(), "", "bin"), expected);
    }

    #[tokio::test]
    async fn the_named_directory_is_taken_and_no_other() {
        let scratch = Scratch::new();
        let dir = scratch.path().join("seventeen");
        install(&dir, "17.2");
        let found = find(Some(&dir), None, Path::new("/data")).await.unwrap();
        assert_eq!(found, Binaries { dir: dir.clone(), major: 17 });

        let empty = scratch.path().join("empty");
        let error = find(Some(&empty), None, Path::new("/data")).await.unwrap_err();
        assert!(matches!(error, PrivatePgError::NotServerBinaries { dir } if dir == empty));
    }

    #[tokio::test]
    async fn data_of_another_major_version_need_that_version() {
        let scratch = Scratch::new();
        install(scratch.path(), "17.2");
        let error = find(Some(scratch.path()), Some(16), Path::new("/data")).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("written by PostgreSQL 16"), "{text}");
        assert!(text.contains("(only PostgreSQL 17 in "), "{text}");
    }

    #[tokio::test]
    async fn a_server_that_is_too_old_is_refused_with_what_to_do() {
        let scratch = Scratch::new();
        install(scratch.path(), "14.9");
        let error = find(Some(scratch.path()), None, Path::new("/data")).await.unwrap_err();
        let text = error.to_string();
        for part in ["15 or later", "PostgreSQL 14 in", "apt install", "brew install", "DATABASE_URL"] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }

    #[tokio::test]
    async fn the_machine_s_own_server_is_found_for_the_data_it_wrote() {
        let any = find(None, None, Path::new("/data")).await.unwrap();
        let again = find(None, Some(any.major), Path::new("/data")).await.unwrap();
        assert_eq!(again.major, any.major);
        let error = find(None, Some(1), Path::new("/data")).await.unwrap_err();
        assert!(matches!(error, PrivatePgError::MajorVersionMissing { wanted: 1, .. }));
    }
}

//! The reference files that may stand beside a checkout, in `../shared` of the workspace or where
//! `TRIBUTARY_SHARED` says: recordings of Formance, OpenAPI files of providers. They do not ship, so what
//! needs them runs where they are; CI has them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The reference file or folder of this name, such as `formance/traces.jsonl`; `None` where there is none,
/// which is said on standard error whatever the test harness captures.
///
/// # Panics
/// Where `CI` or `TRIBUTARY_SHARED` is set and there is no such file: what is to be checked there
/// must not pass unchecked.
pub fn reference(name: &str) -> Option<PathBuf> {
    let named = std::env::var_os("TRIBUTARY_SHARED");
    let insists = named.is_some() || std::env::var_os("CI").is_some();
    let folder = named.map_or_else(beside_the_workspace, PathBuf::from);
    let file = folder.join(name);
    if file.exists() {
        return Some(file);
    }
    assert!(!insists, "the reference file {name} is not in {}", folder.display());
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(
        std::io::stderr(),
        "NOT CHECKED: {test} needs {}, which does not ship; TRIBUTARY_SHARED may name another folder",
        file.display()
    );
    None
}

fn beside_the_workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared")
}

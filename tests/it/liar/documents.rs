//! The tests that docs/upstream-faults.md names.

use std::collections::BTreeSet;
use std::path::Path;

/// The names of all functions in the Rust files below `folder`.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.match_indices("fn ").filter_map(|(at, _)| text[at + 3..].split('(').next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn every_fault_of_a_provider_has_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    for folder in ["src", "crates", "tests"] {
        functions(&root.join(folder), &mut known);
    }
    let text = std::fs::read_to_string(root.join("docs/upstream-faults.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| the provider"));
    let mut rows_seen = 0;
    for row in rows.filter(|row| !row.starts_with("| ---")) {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for name in named {
            assert!(known.contains(name), "there is no test {name}: {row}");
        }
        rows_seen += 1;
    }
    assert!(rows_seen > 30, "{rows_seen} rows were found");
}

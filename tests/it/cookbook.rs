//! docs/cookbook.md and docs/first-file.md: every piece of a file in them is one that `validate` takes, and the
//! first file reads its stand-in.

use std::sync::Arc;

use tributary::config::Provider;
use tributary_standin::kit::{self, Standin, StandinConfig};
use tributary_standin::mercury::Mercury;

use crate::support::process::Place;

const COOKBOOK: &str = include_str!("../../docs/cookbook.md");
const FIRST_FILE: &str = include_str!("../../docs/first-file.md");
/// What every file has, by the section that says it.
const USUAL: [(&str, &str); 6] = [
    ("provider", "provider: acme\n"),
    ("api", "api: https://api.acme.example\n"),
    ("auth", "auth: none\n"),
    ("every", "every: 10m\n"),
    ("money", "money: { decimal: .amount, currency: .currency }\n"),
    ("pull", "pull: { accounts: { get: /accounts, rows: ., id: .id, name: .name } }\n"),
];

/// The pieces in YAML of a page, with the line in which each begins.
fn pieces(page: &str) -> Vec<(usize, String)> {
    let mut pieces = Vec::new();
    let mut piece: Option<(usize, String)> = None;
    for (n, line) in page.lines().enumerate() {
        match (&mut piece, line) {
            (None, "```yaml") => piece = Some((n + 2, String::new())),
            (Some(_), "```") => pieces.extend(piece.take()),
            (Some((_, text)), line) => *text += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    pieces
}

/// `piece` with what every file has and it does not say.
fn completed(piece: &str) -> String {
    let says = |name: &str| piece.lines().any(|line| line.starts_with(&format!("{name}:")));
    let whole = says("push") || says("uses");
    let missing = USUAL.iter().filter(|(name, _)| !whole && !says(name)).map(|(_, text)| *text);
    missing.chain([piece]).collect()
}

#[test]
fn every_piece_of_the_documents_is_one_that_validate_takes() {
    let mut seen = 0;
    for (name, page) in [("cookbook.md", COOKBOOK), ("first-file.md", FIRST_FILE)] {
        for (line, piece) in pieces(page) {
            seen += 1;
            // what depends on a variable is looked at, too
            let set = |variable: &str| {
                let standard = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
                if variable.ends_with("_URL") || variable.ends_with("_CURRENCIES") {
                    // what the file says where they are not set
                    return None;
                }
                Some(
                    if variable.ends_with("WEBHOOK_SECRET") { standard } else { "a-secret-of-the-test" }
                        .to_owned(),
                )
            };
            for lookup in [&set as &(dyn Fn(&str) -> Option<String> + Sync), &|_| None] {
                let provider = Provider::parse(&completed(&piece), lookup);
                let provider =
                    provider.unwrap_or_else(|error| panic!("{name}, line {line}: {error}\n{piece}"));
                assert!(provider.questions.is_empty());
            }
            let warnings = Provider::parse(&completed(&piece), &set).unwrap().warnings;
            assert_eq!(warnings, Vec::<String>::new(), "{name}, line {line}");
        }
    }
    assert!(seen >= 35, "{seen} pieces: where are the others?");
}

#[tokio::test]
async fn the_first_file_reads_its_stand_in_as_the_page_says() {
    let mut config = StandinConfig::new(7, "demo");
    config.items = 40;
    let running = kit::start(Arc::new(Standin::new(&Mercury, config).unwrap())).await.unwrap();
    let place = Place::new("first_file");
    let mut files = pieces(FIRST_FILE).into_iter().map(|(_, piece)| piece);
    for file in files.by_ref() {
        std::fs::write(place.0.join("providers/first.yaml"), file).unwrap();
        for (args, told) in [
            (&["manifest", "validate", "providers/first.yaml"][..], "valid; it pulls"),
            (&["manifest", "check", "first"], "The credentials work."),
            (&["manifest", "read", "first", "--limit-pages", "1", "--oldest"], "transactions  "),
        ] {
            let mut command = place.command(args);
            command.env("FIRST_URL", format!("{}/api/v1", running.url)).env("FIRST_TOKEN", "demo");
            let output = command.output().await.unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(output.status.success() && text.contains(told), "{args:?}: {text}");
        }
    }
}

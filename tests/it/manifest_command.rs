//! `tributary manifest`, typed as whoever connects a provider would type it.

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::Arc;

use serde_json::Value;
use tributary_standin::kit::{self, Running, Standin, StandinConfig};
use tributary_standin::mercury::Mercury;

use crate::support::edited;
use crate::support::process::Place;

const TOKEN: &str = "the-token-of-the-test";

struct Setup {
    running: Running,
    place: Place,
}

impl Setup {
    /// The manifest of Mercury, over its stand-in.
    async fn new(name: &str) -> Self {
        let mut config = StandinConfig::new(7, TOKEN);
        config.items = 120;
        let standin = Arc::new(Standin::new(&Mercury, config).unwrap());
        let running = kit::start(standin).await.unwrap();
        let place = Place::new(name);
        let file = edited(include_str!("../../providers/mercury.yaml"), "pace: 5/s", "pace: 500/s");
        std::fs::write(place.0.join("providers/mercury.yaml"), file).unwrap();
        Self { running, place }
    }

    /// Exit code and what was printed.
    async fn run_as(&self, token: &str, args: &[&str]) -> (i32, String) {
        let mut command = self.place.command(args);
        command.env("MERCURY_URL", &self.running.url).env("MERCURY_TOKEN", token);
        text_of(&command.output().await.unwrap())
    }

    async fn run(&self, args: &[&str]) -> (i32, String) {
        self.run_as(TOKEN, args).await
    }
}

fn text_of(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_new_provider_file_validates_and_a_mistake_in_it_is_named_with_its_line() {
    let place = Place::new("manifest_new");
    let run = async |args: &[&str]| text_of(&place.command(args).output().await.unwrap());
    let (code, text) = run(&["manifest", "new", "newbank"]).await;
    assert_eq!(code, 0, "{text}");
    let path = place.0.join("providers/newbank.yaml");
    let (code, text) = run(&["manifest", "validate"]).await;
    assert!(code == 0 && text.contains("newbank.yaml: valid") && text.contains("NEWBANK_TOKEN"), "{text}");
    let (code, text) = run(&["manifest", "new", "newbank"]).await;
    assert!(code == 2 && text.contains("exists already"), "{text}");
    let good = std::fs::read_to_string(&path).unwrap();
    for (right, wrong, at, about) in [
        ("late: 1h", "lte: 1h", "late: 1h", ["changes.lte", "`late`"]),
        ("late: 1h", "late: 1 hour", "late: 1h", ["changes.late", "30s"]),
        ("size: { limit: 100 }", "ends: .end |", "size: {", ["page.ends", "expected"]),
        ("    changes:", "    creations:", "  transactions:", ["refresh", "transactions"]),
        ("rows: .transactions", "rows: .transactions[", "rows: .transactions", ["rows", "transactions"]),
        ("statuses: { PENDING: pending", "statuses: { WAITING: pending", "statuses:", ["WAITING", "PENDING"]),
    ] {
        let line = good.lines().position(|line| line.contains(at)).unwrap() + 1;
        std::fs::write(&path, edited(&good, right, wrong)).unwrap();
        let (code, text) = run(&["manifest", "validate", path.to_str().unwrap()]).await;
        assert_eq!(code, 1, "{text}");
        assert!(about.iter().all(|part| text.contains(part)), "{wrong}: {text}");
        let told: usize = text
            .split("line ")
            .nth(1)
            .and_then(|rest| rest.split([',', ' ', ':']).next())
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("no line: {text}"));
        assert!(told.abs_diff(line) <= 7, "{wrong}: line {told} and not {line}: {text}");
    }
}

#[tokio::test]
async fn a_payout_whose_request_does_not_carry_the_key_is_refused_by_validate_and_at_start() {
    let place = Place::new("manifest_keyless");
    let keyless = edited(
        include_str!("../../providers/mercury.yaml"),
        "paymentMethod: ach, idempotencyKey: $key, note: $note",
        "paymentMethod: ach, idempotencyKey: .idempotencyKey",
    );
    std::fs::write(place.0.join("providers/mercury.yaml"), keyless).unwrap();
    // whether the variables of the file are set or not
    for token in [None, Some("a-token-of-sixteen-and-more")] {
        for args in [&["manifest", "validate"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let mut command = place.command(args);
            command.env_remove("MERCURY_TOKEN");
            command.envs(token.map(|token| ("MERCURY_TOKEN", token)));
            let (code, text) = text_of(&command.output().await.unwrap());
            let told = text.contains("payouts.request: its request does not carry the key");
            assert!(code == 1 && told, "{args:?} {token:?}: {code}: {text}");
        }
    }
}

#[tokio::test]
async fn credentials_are_proven_or_their_refusal_explained_without_showing_them() {
    let setup = Setup::new("manifest_check").await;
    let (code, text) = setup.run(&["manifest", "check", "mercury"]).await;
    assert!(code == 0 && text.contains("The credentials work"), "{text}");
    let (code, text) = setup.run_as("a-wrong-token", &["manifest", "check", "mercury"]).await;
    assert!(code == 1 && text.contains("401") && text.contains("`auth`"), "{text}");
    assert!(!text.contains("a-wrong-token"), "{text}");
}

#[tokio::test]
async fn a_look_shows_requests_answers_rows_and_from_where_it_goes_on() {
    let setup = Setup::new("manifest_read").await;
    let args = ["manifest", "read", "mercury", "--stream", "transactions", "--limit-pages", "1"];
    let (code, text) = setup.run(&args).await;
    assert_eq!(code, 0, "{text}");
    for part in [
        "> GET http",
        "/api/v1/transactions?",
        "< 200 in",
        "= transactions: ",
        "\"currency\":\"USD/2\"",
        "goes on from",
        "STREAM        PARTITIONS  PAGES  ROWS  NOT MAPPED",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(TOKEN) && !text.contains("/api/v1/accounts"), "{text}");
    let (code, text) = setup.run(&["manifest", "read", "mercury", "--stream", "nothing"]).await;
    assert!(code == 2 && text.contains("accounts, balances"), "{text}");
}

#[tokio::test]
async fn a_look_for_machines_is_one_document() {
    let setup = Setup::new("manifest_read_json").await;
    let (code, text) = setup.run(&["manifest", "read", "mercury", "--output", "json", "--rows", "1"]).await;
    let read: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!((code, &read["failures"]), (0, &serde_json::json!([])));
    let of = |stream: &str| {
        let streams = read["streams"].as_array().unwrap();
        streams
            .iter()
            .find(|found| found["stream"] == stream)
            .unwrap_or_else(|| panic!("{stream}: {text}"))
            .clone()
    };
    assert_eq!((&of("accounts")["pages"], &of("accounts")["notMapped"]), (&1.into(), &0.into()));
    assert!(
        of("transactions")["rows"].as_u64() > Some(0) && read["rows"].as_array().unwrap().len() >= 3,
        "{text}"
    );
}

#[tokio::test]
async fn a_row_that_does_not_map_is_told_with_its_field_what_it_holds_and_the_line() {
    let setup = Setup::new("manifest_read_why").await;
    let file = setup.place.0.join("providers/mercury.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let broken = edited(&text, "name: .nickname // .name", "name: .id | length");
    std::fs::write(&file, &broken).unwrap();
    let line = broken.lines().position(|line| line.contains("name: .id | length")).unwrap() + 1;
    let (code, text) = setup.run(&["manifest", "read", "mercury", "--stream", "accounts"]).await;
    let why = "NOT MAPPED: name: accountName: is integer `";
    assert!(code == 1 && text.contains(why) && text.contains(", and not a text"), "{text}");
    assert!(text.contains(&format!("pull.accounts.name is in line {line} of the file")), "{text}");
}

#[tokio::test]
async fn a_look_of_which_only_the_beginning_is_wanted_ends_well_and_leaves_no_server_behind() {
    let setup = Setup::new("manifest_read_head").await;
    let file = setup.place.0.join("providers/mercury.yaml");
    // a budget is counted in the database, which is a private PostgreSQL here
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, edited(&text, "pace: 500/s", "pace: 500/s, budgets: [100000/d]")).unwrap();
    let mut command = setup.place.command(&["manifest", "read", "mercury", "--answer-chars", "100000"]);
    command.env("MERCURY_URL", &setup.running.url).env("MERCURY_TOKEN", TOKEN);
    command.stdout(crate::printing::closed()).stderr(std::process::Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("panic"), "{said}");
    assert_eq!(crate::printing::processes_below(&setup.place.0.join("data")), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_recorded_is_mapped_again_without_the_provider_and_compared() {
    let setup = Setup::new("manifest_cassette").await;
    let path = |name: &str| setup.place.0.join(name).to_str().unwrap().to_owned();
    let (cassette, golden) = (path("mercury.cassette.json"), path("mercury.rows.json"));
    let (code, text) = setup.run(&["manifest", "record", "mercury", "--to", &cassette]).await;
    assert_eq!(code, 0, "{text}");
    let recorded = std::fs::read_to_string(&cassette).unwrap();
    assert!(!recorded.contains(TOKEN), "a cassette holds a secret");
    // no address and no token: what is played needs none
    let run = async |args: &[&str]| text_of(&setup.place.command(args).output().await.unwrap());
    let (code, text) = run(&["manifest", "replay", &cassette, "--golden", &golden]).await;
    assert!(code == 2 && text.contains("is not there: --update writes the rows of now to it"), "{text}");
    let (code, text) = run(&["manifest", "replay", &cassette, "--golden", &golden, "--update"]).await;
    assert_eq!(code, 0, "{text}");
    let rows: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&golden).unwrap()).unwrap();
    assert!(rows.iter().any(|row| row["stream"] == "transactions"), "{rows:?}");
    let (code, text) = run(&["manifest", "replay", &cassette, "--golden", &golden]).await;
    assert!(code == 0 && text.contains("the expected ones"), "{text}");
    let file = setup.place.0.join("providers/mercury.yaml");
    let manifest = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, edited(&manifest, ".nickname // .name", ".name")).unwrap();
    let (code, text) = run(&["manifest", "replay", &cassette, "--golden", &golden]).await;
    // a line for each row, with the field
    let changed: Vec<&str> = text.lines().filter(|line| line.starts_with("~ accounts ")).collect();
    assert!(code == 1 && changed.iter().all(|line| line.contains(": accountName \"")), "{text}");
    let told = format!("{} of {} rows differ", changed.len(), rows.len());
    assert!(!changed.is_empty() && text.contains(&told), "{told}: {text}");
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../providers/provider.schema.json")).unwrap()
}

#[test]
fn the_schema_that_editors_take_is_the_one_of_the_code() {
    assert_eq!(
        schema(),
        tributary::config::schema(),
        "write it anew: cargo run -- manifest schema > providers/provider.schema.json"
    );
}

#[test]
fn the_reference_is_the_one_of_the_code() {
    assert!(
        include_str!("../../docs/provider-file.md") == tributary::config::reference(),
        "write it anew: cargo run -- manifest schema --reference > docs/provider-file.md"
    );
}

/// Calls `see` with each object of `schema` that describes properties, and where it is.
fn each_object(schema: &Value, path: &str, see: &mut dyn FnMut(&str, &serde_json::Map<String, Value>)) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        see(path, properties);
    }
    match schema {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| each_object(member, &format!("{path}/{name}"), see));
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| each_object(item, &format!("{path}/{index}"), see)),
        _ => {}
    }
}

#[test]
fn every_property_of_the_schema_has_a_description_of_its_own() {
    let (mut seen, mut wrong) = (0, Vec::new());
    each_object(&tributary::config::schema(), "", &mut |path, properties| {
        let mut said = BTreeMap::new();
        for (name, property) in properties {
            seen += 1;
            match property["description"].as_str().map(str::trim).filter(|text| !text.is_empty()) {
                None => wrong.push(format!("{path}/{name} has no description")),
                Some(text) => {
                    if let Some(other) = said.insert(text.to_owned(), name) {
                        wrong.push(format!("{path}: {other} and {name} both say {text:?}"));
                    }
                }
            }
        }
    });
    assert!(wrong.is_empty(), "{} of {seen}: {wrong:#?}", wrong.len());
    assert!(seen > 200, "{seen} properties: where are the others?");
}

#[test]
fn the_schema_takes_every_file_that_ships_and_refuses_mistakes() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/providers");
    let files = tributary::config::provider_files(folder.as_ref()).unwrap();
    assert!(files.len() >= 4);
    let mut texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    texts.push(include_str!("../../src/cli/manifest/new/templates/basic.yaml").to_owned());
    for text in &texts {
        let value: Value = serde_saphyr::from_str(text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{text}");
    }
    let template = texts.pop().unwrap();
    for (right, wrong) in [
        ("late: 1h", "lte: 1h"),
        ("late: 1h", "late: 1 hour"),
        ("  balances:", "  balance:"),
        ("PENDING: pending", "WAITING: pending"),
        ("provider: acme", ""),
    ] {
        let value: Value = serde_saphyr::from_str(&edited(&template, right, wrong)).unwrap();
        assert!(!validator.is_valid(&value), "{wrong}");
    }
}

/// Manifests of providers that have no stand-in. To take rows as they are now for right:
/// `tributary manifest replay tests/cassettes/x.json --golden tests/cassettes/x.rows.json --update`.
#[tokio::test]
async fn recorded_answers_become_the_rows_that_they_should() {
    let place = Place::new("manifest_cassettes");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let path = |path: &str| format!("{root}{path}");
    for provider in ["gocardless"] {
        let cassette = path(&format!("tests/cassettes/{provider}.json"));
        let golden = path(&format!("tests/cassettes/{provider}.rows.json"));
        let file = path(&format!("providers/{provider}.yaml"));
        let args = ["manifest", "replay", &cassette, "--golden", &golden, "--file", &file];
        let (code, text) = text_of(&place.command(&args).output().await.unwrap());
        assert!(code == 0 && !text.contains("not asked for"), "{provider}: {text}");
    }
}

//! `tributary doctor`: it finds what is wrong, from the files to Formance, and says what to type.

use axum::http::StatusCode;
use serde_json::Value;
use tributary_domain::Role;

use crate::console::{Browser, Shown};
use crate::support::process::{FILE_KEY, Place, free_addresses};
use crate::support::server;

/// Runs the doctor in `place` on a new database; gives whether all is well, and what was found.
async fn examine(place: &Place, url: &str, listen: &str) -> (bool, Vec<Value>) {
    let mut command = place.command(&["doctor", "--output", "json", "--listen", listen]);
    command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", url);
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let found = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), found)
}

fn about<'a>(found: &'a [Value], about: &str) -> &'a Value {
    found.iter().find(|finding| finding["about"] == about).unwrap_or_else(|| panic!("{about} in {found:?}"))
}

#[tokio::test]
async fn it_finds_what_is_wrong_with_files_server_and_database() {
    let place = Place::new("doctor");
    let url = server::new_database().await;
    let [listen] = free_addresses();
    let (well, found) = examine(&place, &url, &listen).await;
    assert!(!well, "{found:?}");
    assert_eq!(about(&found, "server")["command"], "tributary serve");
    assert!(about(&found, "acme")["what"].as_str().unwrap().contains("nobody has polled yet"));

    std::fs::write(place.0.join("providers/acme.yaml"), "provider: acme\npush: some\n").unwrap();
    let (well, found) = examine(&place, &url, &listen).await;
    let files = about(&found, "files");
    assert!(!well && files["what"].as_str().unwrap().contains("acme.yaml"), "{found:?}");
    assert_eq!(files["command"], "tributary manifest validate");

    let nowhere = url.replace("/tributary_test", "/tributary_nowhere");
    let (well, found) = examine(&place, &nowhere, &listen).await;
    assert!(
        !well && about(&found, "database")["what"].as_str().unwrap().contains("DATABASE_URL"),
        "{found:?}"
    );
}

#[tokio::test]
async fn it_says_of_each_provider_what_lasts_and_what_to_type() {
    let shown = Shown::new().await;
    let browser = Browser::of(&shown.app, Role::Viewer).await;
    let answer = browser.get("/admin/v1/doctor").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let found: Vec<Value> = serde_json::from_str(&answer.text).unwrap();
    let said = |what: &str| {
        let found = found.iter().find(|finding| finding["what"].as_str().unwrap().contains(what));
        found.unwrap_or_else(|| panic!("{what} in {}", answer.text))
    };
    let failed = said("runs of payments failed");
    assert_eq!(
        (&failed["severity"], &failed["command"]),
        (&"wrong".into(), &"tributary runs --provider acme".into())
    );
    assert_eq!(said("5 records are in quarantine")["command"], "tributary quarantine groups --provider acme");
    assert_eq!(
        said("1 payments wait for approval")["command"],
        "tributary payouts list --provider acme --state held"
    );
    assert_eq!(said("has not been served")["severity"], "note");
    // what somebody has to see to goes first
    let severities: Vec<_> = found.iter().map(|finding| finding["severity"].as_str().unwrap()).collect();
    assert!(severities.is_sorted_by(|one, other| one >= other), "{severities:?}");
    assert_eq!(browser.get("/admin/v1/doctor?provider=nobody").await.status, StatusCode::NOT_FOUND);
}

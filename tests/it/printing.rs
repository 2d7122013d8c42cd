//! What becomes of commands whose output nobody reads to its end.

use std::path::Path;
use std::process::Stdio;

use nix::fcntl::OFlag;

use crate::support::TestApp;
use crate::support::process::{FILE_KEY, PROGRAM, Place, stop};

/// An output that nobody reads any more.
pub fn closed() -> Stdio {
    let (reading, writing) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    drop(reading);
    Stdio::from(writing)
}

/// The processes that work in `folder` or below it: PostgreSQL works in its own.
pub fn processes_below(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let below = processes.filter(|process| {
        std::fs::read_link(process.path().join("cwd")).is_ok_and(|works_in| works_in.starts_with(&folder))
    });
    below.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
}

/// Runs a command with a closed standard output; gives whether it succeeded, and what it said.
async fn unread(place: &Place, args: &[&str]) -> (bool, String) {
    let mut command = place.command(args);
    command.env("ACME_KEY", FILE_KEY).stdout(closed()).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().await.unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn a_command_whose_output_is_closed_ends_well_and_leaves_no_server_behind() {
    let place = Place::new("unread");
    let new_api_key = ["keys", "create", "--provider", "acme", "--name", "one", "--scope", "connector"];
    for args in [
        &new_api_key[..],
        &["keys", "list"],
        &["runs"],
        &["quarantine", "list"],
        &["payouts", "list", "--all"],
        &["payouts", "list", "--refused"],
        &["openapi"],
        &["manifest", "schema"],
        &["manifest", "validate"],
        &["manifest", "new", "another"],
        &["conformance", "serve-naive", "--list"],
    ] {
        let (well, said) = unread(&place, args).await;
        assert!(well && said.is_empty(), "{args:?}: {said}");
        assert_eq!(processes_below(&place.0.join("data")), Vec::<String>::new(), "after {args:?}");
    }
    let listed = place.stdout(&["keys", "list"]).await;
    assert_eq!(listed.lines().count(), 2, "what was to be done was done: {listed}");
}

#[tokio::test]
async fn a_command_that_can_neither_print_nor_complain_ends_all_the_same() {
    let place = Place::new("mute");
    let args = ["quarantine", "show", "1"];
    let mut command = place.command(&args);
    let status = command.stdout(closed()).stderr(closed()).status().await.unwrap();
    assert_eq!(status.code(), Some(1), "an error, and no panic");
    assert_eq!(processes_below(&place.0.join("data")), Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_printed_is_an_error_where_somebody_would_have_read_it() {
    let place = Place::new("full");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = place.command(&["keys", "list"]);
    let output =
        command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not everything could be printed"), "{said}");
    assert_eq!(processes_below(&place.0.join("data")), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_whose_log_nobody_reads_serves_on() {
    let place = Place::new("unread-log");
    let (server, address) = place
        .serve_as(|command| {
            command.env("ACME_KEY", FILE_KEY).env("TRIBUTARY_LOG", "debug").stderr(closed());
        })
        .await;
    place.stdout(&["health", "--listen", &address]).await;
    stop(server).await;
    assert_eq!(processes_below(&place.0.join("data")), Vec::<String>::new());
}

#[tokio::test]
async fn what_others_wrote_does_nothing_to_a_terminal_and_is_exact_elsewhere() {
    let app = TestApp::new().await;
    let hostile = "{\"id\":\"\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\"}";
    let (_, answer) = app.post("/ingest/accounts", "application/x-ndjson", hostile).await;
    assert_eq!(answer["quarantined"].as_array().unwrap().len(), 1, "{answer}");
    let id: i64 = sqlx::query_scalar("select id from quarantine").fetch_one(&app.pool).await.unwrap();
    let (place, id) = (Place::new("terminal"), id.to_string());
    let shown = async |command: &mut tokio::process::Command| {
        let output = command.env("DATABASE_URL", &app.url).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let exact = shown(&mut place.command(&["quarantine", "show", &id])).await;
    assert!(exact.contains(hostile), "{exact:?}");
    let show = format!("{PROGRAM} quarantine show {id}");
    let on_a_terminal =
        shown(&mut place.command_of(Path::new("script"), &["-qec", &show, "/dev/null"])).await;
    assert!(on_a_terminal.contains("]0;owned"), "{on_a_terminal:?}");
    for obeyed in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}'] {
        assert!(!on_a_terminal.contains(obeyed), "{obeyed:?} in {on_a_terminal:?}");
    }
}

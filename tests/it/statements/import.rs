//! Files of years, taken by a command; and what other commands say of files.

use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tributary::sync::{Imported, Importer, files_in};

use super::{FILE, balance, booked, camt, day, transactions};
use crate::support::TestApp;
use crate::support::jobs::count;
use crate::support::logins;
use crate::support::process::Place;

/// Writes the statements of so many days into `history`, in folders of three days each, with the names that a bank gives.
fn write_history(place: &Place, days: u32) {
    let mut opening = 0;
    for number in 1..=days {
        let cut = day(number, opening, &[i128::from(number) + 100]);
        opening = cut.closing();
        let folder = place.0.join(format!("history/{}", (number - 1) / 3));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{number:02}.xml")), camt(&cut)).unwrap();
    }
}

async fn run(app: &TestApp, place: &Place, args: &[&str]) -> (i32, String, String) {
    let mut command = place.command(args);
    let Output { status, stdout, stderr } =
        command.env("DATABASE_URL", logins::service(&app.url).await).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A folder with the file of the provider, in which `more` stands among its files.
fn place(name: &str, more: &str) -> Place {
    let place = Place::new(name);
    std::fs::write(place.0.join("providers/acme.yaml"), format!("{FILE}{more}")).unwrap();
    place
}

#[tokio::test]
async fn folders_of_years_are_taken_by_one_command_and_known_the_next_time() {
    let (app, place) = (TestApp::with_file(FILE).await, place("import-years", ""));
    write_history(&place, 8);
    std::fs::write(place.0.join("history/0/.hidden.xml"), "<").unwrap();
    std::fs::write(place.0.join("history/1/notes.txt"), "Dear customer").unwrap();
    let command = ["statement", "import", "acme", "history", "--name", "*.xml"];
    let (code, out, err) = run(&app, &place, &command).await;
    assert_eq!(code, 0, "{out}{err}");
    for told in
        ["DE1/EUR", "2026-03-02", "2026-03-09", "8 files taken, 0 known already, 0 not read", "8 entries"]
    {
        assert!(out.contains(told), "{told}: {out}");
    }
    assert_eq!(booked(&transactions(&app).await), (101..=108).collect::<Vec<i64>>());
    assert_eq!(balance(&app).await, Some((101..=108).sum()));
    let history = "select count(*) from changes where backfill";
    assert!(count(&app.pool, history).await > 8, "it is marked as history");
    let (code, out, _) = run(&app, &place, &[&command[..], &["--output", "json"]].concat()).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &told["files"], &told["known"], &told["stopped"]),
        (0, &0.into(), &8.into(), &Value::Null)
    );
    let audited = "select count(*) from operator_audit where verb = 'statement import' and subject = 'acme'";
    assert_eq!(count(&app.pool, audited).await, 2);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_and_the_others_are_taken() {
    let (app, place) = (TestApp::with_file(FILE).await, place("import-unread", ""));
    write_history(&place, 3);
    std::fs::write(place.0.join("history/0/02.xml"), "Dear customer").unwrap();
    let (code, out, err) = run(&app, &place, &["statement", "import", "acme", "history"]).await;
    assert!(code == 1 && out.contains("2 files taken, 0 known already, 1 not read"), "{out}{err}");
    assert!(err.contains("history/0/02.xml: "), "{err}");
    assert!(err.contains("does not open where that of"), "and what is missing is told: {err}");
    assert_eq!(booked(&transactions(&app).await), [101, 103]);
    write_history(&place, 3);
    let (code, out, err) = run(&app, &place, &["statement", "import", "acme", "history/0/02.xml"]).await;
    assert!(code == 0 && out.contains("1 files taken"), "{out}{err}");
    let (code, _, err) = run(&app, &place, &["statement", "import", "acme", "nowhere"]).await;
    assert!(code == 2 && err.contains("cannot read nowhere"), "{err}");
}

#[tokio::test]
async fn a_statement_that_is_put_aside_is_told_with_its_file_and_its_reason() {
    let (app, place) = (TestApp::with_file(FILE).await, place("import-aside", ""));
    write_history(&place, 2);
    let path = place.0.join("history/0/02.xml");
    let text = std::fs::read_to_string(&path).unwrap().replace("1.02", "1.03");
    std::fs::write(&path, text).unwrap();
    let command = ["statement", "import", "acme", "history", "--output", "json"];
    let (code, out, err) = run(&app, &place, &command).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["accounts"]["DE1/EUR"]["putAside"]), (4, &1.into()), "{out}{err}");
    let aside = &told["putAside"][0];
    assert!(aside["file"].as_str().unwrap().ends_with("02.xml"), "{aside}");
    assert!(aside["why"].as_str().unwrap().contains("statement 2 of DE1/EUR: "), "{aside}");
}

#[tokio::test]
async fn an_import_that_is_stopped_goes_on_where_it_was() {
    let (app, place) = (TestApp::with_file(FILE).await, place("import-stopped", ""));
    write_history(&place, 9);
    let importer = |app: &TestApp| Importer {
        pool: app.service.clone(),
        provider: app.name().clone(),
        files: app.provider.files.clone().unwrap(),
        decides: true,
    };
    let paths = files_in(&[place.0.join("history")], &[]).unwrap();
    let (stop, over) = (CancellationToken::new(), AtomicBool::new(false));
    let stop_in_the_middle = |done: &Imported| {
        if done.files == 4 {
            over.store(true, Ordering::Relaxed);
            stop.cancel();
        }
    };
    let (imported, ended) = importer(&app).import(paths.clone(), &stop, &stop_in_the_middle).await;
    assert!(over.load(Ordering::Relaxed) && ended.unwrap_err().to_string().starts_with("interrupted"));
    let done = imported.files;
    assert!((4..9).contains(&done), "{imported:?}");
    let (imported, ended) = importer(&app).import(paths, &CancellationToken::new(), &|_| {}).await;
    ended.unwrap();
    assert_eq!((imported.known, imported.files), (done, 9 - done));
    assert_eq!(booked(&transactions(&app).await), (101..=109).collect::<Vec<i64>>());
}

#[tokio::test]
async fn rules_that_changed_stop_an_import_and_say_at_which_file() {
    let (app, place) = (TestApp::with_file(FILE).await, place("import-rules", ""));
    write_history(&place, 2);
    let first = ["statement", "import", "acme", "history/0/01.xml"];
    assert_eq!(run(&app, &place, &first).await.0, 0);
    std::fs::write(place.0.join("providers/acme.yaml"), format!("{FILE}  references: false\n")).unwrap();
    let (code, out, err) = run(&app, &place, &["statement", "import", "acme", "history"]).await;
    assert!(code == 1 && out.contains("0 files taken, 1 known already"), "{out}");
    assert!(
        err.contains("02.xml could not be taken: the movements of DE1/EUR were told apart by other rules"),
        "{err}"
    );
}

#[tokio::test]
async fn a_sync_fetches_the_files_of_a_provider() {
    let app = TestApp::with_file(FILE).await;
    let place = Place::new("sync-files");
    let from = format!("{FILE}  from: {{ folder: {}, settle: 0s }}\n", place.0.join("history/0").display());
    std::fs::write(place.0.join("providers/acme.yaml"), &from).unwrap();
    write_history(&place, 3);
    let (code, out, err) = run(&app, &place, &["sync", "acme"]).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(out, "3 statement files taken: 5 created, 2 updated, 0 unchanged, 0 quarantined\n");
    std::fs::write(place.0.join("history/0/04.xml"), "Dear customer").unwrap();
    let (code, out, err) = run(&app, &place, &["sync", "acme", "--stream", "statement files"]).await;
    assert!(code == 4 && out.starts_with("0 statement files taken") && out.contains("1 warning"), "{out}");
    assert!(err.contains("warning: statement files: unread, 1 times; the first: 04.xml"), "{err}");
    app.sql("update sync_leases set holder = 'the other', expires_at = now() + interval '1 h'").await;
    let (code, _, err) = run(&app, &place, &["sync", "acme", "--no-wait"]).await;
    assert!(code == 3 && err.contains("statement files is being read by the other"), "{err}");
    app.sql("update sync_leases set holder = null, expires_at = null").await;
    std::fs::remove_dir_all(place.0.join("history")).unwrap();
    let (code, _, err) = run(&app, &place, &["sync", "acme"]).await;
    assert!(code == 1 && err.contains("cannot be listed"), "{err}");
    std::fs::write(place.0.join("providers/acme.yaml"), FILE).unwrap();
    for (args, advice) in [
        (&["sync", "acme"][..], "acme is not pulled: its file has `files`, and no API"),
        (&["sync", "acme", "--stream", "statement files"], "its file has no `files.from`"),
        (&["sync", "acme", "--stream", "payments"], "acme is not pulled"),
    ] {
        let (code, _, err) = run(&app, &place, args).await;
        assert!(code == 2 && err.contains(advice), "{args:?}: {err}");
    }
}

#[tokio::test]
async fn validate_says_where_the_files_of_a_provider_come_from() {
    let bucket = "  from: { s3: { bucket: b, prefix: in, region: eu-central-1, access_key: a, secret_key: \"${BANK_SECRET}\" } }\n";
    // the line behind those of the file
    let mistaken =
        format!("line {}, column 11: files.from.folder: write an absolute path", FILE.lines().count() + 1);
    for (more, told) in [
        ("", "valid; statement files are taken as they are posted"),
        (
            "  from: { folder: /srv/in, every: 1h }\n",
            "valid; statement files are fetched from /srv/in, every 3600 s, and taken as they are posted",
        ),
        (
            bucket,
            "valid; statement files are taken as they are posted\n  note: files are taken only as they are posted: the \
                  environment variable BANK_SECRET must be set",
        ),
        ("  from: { folder: in }\n", mistaken.as_str()),
    ] {
        let place = place("validate-files", more);
        let output = place.run(&["manifest", "validate", "providers/acme.yaml"]).await;
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(out.contains(told), "{told}: {out}");
        assert_eq!(output.status.code(), Some(i32::from(out.contains(&mistaken))), "{out}");
    }
}

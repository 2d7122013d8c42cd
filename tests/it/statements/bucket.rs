//! Files in a bucket.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tributary::config::Provider;
use tributary::sync::FileFetcher;

use super::{FILE, booked, camt, day, fetch, statements, transactions, warnings};
use crate::support::TestApp;
use crate::support::jobs::{count, instance, until};
use crate::support::s3::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};

/// What fetches from `bucket` of `server` into the database of `app`, as who the `environment` says; `more` is what its
/// file says besides.
fn fetcher_as(
    app: &TestApp,
    server: &S3Server,
    (bucket, environment): (&str, &[(&str, &str)]),
    more: &str,
) -> FileFetcher {
    let keys = match environment.iter().any(|(name, _)| *name == "BANK_SECRET") {
        true => ", access_key: \"${BANK_KEY}\", secret_key: \"${BANK_SECRET}\"",
        false => "",
    };
    let settle = if more.contains("settle:") { "" } else { "    settle: 0s\n" };
    let file = format!(
        "{FILE}  from:\n    s3: {{ bucket: {bucket}, prefix: in, endpoint: {}{keys} }}\n    every: 1s\n{settle}{more}",
        server.url
    );
    let environment: HashMap<&str, &str> = environment.iter().copied().collect();
    let lookup = |name: &str| environment.get(name).map(|value| (*value).to_owned());
    let provider = Provider::parse(&file, &lookup).unwrap();
    let instance = instance("test", Duration::from_secs(3600));
    FileFetcher::new(
        app.service.clone(),
        provider.name,
        provider.files.unwrap(),
        provider.file_source.unwrap(),
        instance,
    )
}

const KEYS: [(&str, &str); 2] = [("BANK_KEY", ACCESS_KEY), ("BANK_SECRET", SECRET_KEY)];

fn fetcher(app: &TestApp, server: &S3Server, more: &str) -> FileFetcher {
    fetcher_as(app, server, (BUCKET, &KEYS), more)
}

#[tokio::test]
async fn objects_are_taken_page_by_page_and_moved_once_they_are_committed() {
    let app = TestApp::with_file(FILE).await;
    let server = S3Server::start("moved", 2).await;
    for (name, text) in statements(5) {
        server.put(&format!("in/{name}"), text);
    }
    let others =
        ["06.xml", "in/.hidden.xml", "in/04.xml.filepart", "in/notes.txt", "in/old/07.xml", "inn/08.xml"];
    for other in others {
        server.put(other, "not to be read");
    }
    let fetcher = fetcher(&app, &server, "    names: [\"*.xml\"]\n    after: { move: done }\n");
    let run = fetch(&fetcher).await;
    assert_eq!((run.files, run.warnings(), &run.error), (5, 0, &None), "{run:?}");
    assert!(server.asked("list") >= 4, "a page has two objects");
    assert_eq!(booked(&transactions(&app).await), [101, 102, 103, 104, 105]);
    let mut keys: Vec<String> = (1..=5).map(|number| format!("in/done/{number:02}.xml")).collect();
    keys.extend(others.map(str::to_owned));
    keys.sort();
    assert_eq!(server.keys(), keys);
    // the bank puts one there again, and another one of the same name
    server.put("in/01.xml", server.get("in/done/01.xml").unwrap());
    let run = fetch(&fetcher).await;
    assert_eq!((run.files, run.tally.created), (0, 0), "the same bytes are known");
    server.put("in/02.xml", camt(&day(6, 515, &[7])));
    assert_eq!(fetch(&fetcher).await.files, 1);
    assert!(server.get("in/02.xml").is_none() && server.get("in/01.xml").is_none());
    assert_eq!(
        server.get("in/done/02.xml").unwrap(),
        statements(2)[1].1.as_bytes(),
        "nothing is put over it"
    );
    assert!(server.get("in/done/02.xml.1").is_some());
    assert!(server.get("in/done/01.xml.1").is_none(), "what is there already is not put there again");
}

#[tokio::test]
async fn objects_that_are_left_are_not_read_again_until_they_change() {
    for server in [S3Server::start("left", 1_000).await, S3Server::plain("left-plain").await] {
        let app = TestApp::with_file(FILE).await;
        for (name, text) in statements(3) {
            server.put(&format!("in/{name}"), text);
        }
        let fetcher = fetcher(&app, &server, "");
        assert_eq!(fetch(&fetcher).await.files, 3);
        assert_eq!(server.asked("get"), 3);
        assert_eq!(fetch(&fetcher).await.files, 0);
        assert_eq!((server.asked("get"), server.asked("head")), (0, 0), "what is known of them is enough");
        let longer = format!("{}\n", camt(&day(4, 306, &[7])));
        server.put("in/03.xml", longer);
        assert_eq!(fetch(&fetcher).await.files, 1);
        assert_eq!(server.asked("get"), 1);
    }
}

#[tokio::test]
async fn an_object_waits_until_it_has_been_the_same_for_as_long_as_it_has_to() {
    let app = TestApp::with_file(FILE).await;
    let server = S3Server::start("settles", 1_000).await;
    let text = camt(&day(1, 0, &[100]));
    server.put("in/a.xml", &text[..text.len() / 2]);
    let fetcher = fetcher(&app, &server, "    settle: 1h\n");
    let older = "update statement_sightings set first_seen = first_seen - interval '1 hour'";
    assert_eq!(fetch(&fetcher).await.files, 0);
    app.sql(older).await;
    server.put("in/a.xml", &text);
    assert_eq!((fetch(&fetcher).await.files, server.asked("get")), (0, 0), "it changed since");
    app.sql(older).await;
    assert_eq!((fetch(&fetcher).await.files, server.asked("get")), (1, 1));
}

#[tokio::test]
async fn a_kill_between_commit_and_deletion_neither_loses_nor_doubles() {
    for (name, more) in
        [("killed-moving", "    after: { move: done }\n"), ("killed-deleting", "    after: delete\n")]
    {
        let app = TestApp::with_file(FILE).await;
        let server = S3Server::start(name, 1_000).await;
        for (name, text) in statements(2) {
            server.put(&format!("in/{name}"), text);
        }
        let deleting = server.hang_at_deletions();
        // dropped where it stands, as a process that is killed
        let killed = fetcher(&app, &server, more);
        let stop = CancellationToken::new();
        tokio::select! {
            ended = killed.fetch_now(&stop) => panic!("{ended:?}"),
            () = deleting.notified() => {}
        }
        drop(killed);
        until(&app.pool, "select count(*) from sync_leases where holder is not null", 0).await;
        assert_eq!(booked(&transactions(&app).await), [101], "it has committed");
        assert!(server.get("in/01.xml").is_some(), "and was not deleted yet");
        server.delete_again();
        let run = fetch(&fetcher(&app, &server, more)).await;
        assert_eq!((run.files, run.tally.created, run.warnings()), (1, 1, 0), "{run:?}");
        assert_eq!(booked(&transactions(&app).await), [101, 102]);
        assert!(server.get("in/01.xml").is_none() && server.get("in/02.xml").is_none());
        assert!(server.get("in/done/01.xml.1").is_none(), "and it was moved once");
        assert_eq!(count(&app.pool, "select count(*) from statement_files").await, 2);
    }
}

#[tokio::test]
async fn an_object_that_is_replaced_after_it_was_listed_is_taken_as_it_is_then() {
    for server in [S3Server::start("replaced", 1_000).await, S3Server::plain("replaced-plain").await] {
        let app = TestApp::with_file(FILE).await;
        let [first, second] = <[_; 2]>::try_from(statements(2)).unwrap();
        server.put("in/a.xml", &first.1);
        // of another length: a store without ETags tells it by that
        let second = format!("{}\n", second.1);
        server.replace_before("get", "in/a.xml", &second);
        let fetcher = fetcher(&app, &server, "    after: delete\n");
        let run = fetch(&fetcher).await;
        assert_eq!(
            (run.files, run.warnings(), &run.error),
            (0, 0, &None),
            "it is not what was listed: {run:?}"
        );
        assert_eq!(fetch(&fetcher).await.files, 1);
        assert_eq!(booked(&transactions(&app).await), [102]);
        assert!(server.get("in/a.xml").is_none());
    }
}

#[tokio::test]
async fn an_object_that_is_replaced_once_it_was_taken_is_not_deleted_for_it() {
    for (name, operation) in [("late", "head"), ("last", "delete")] {
        let app = TestApp::with_file(FILE).await;
        let server = S3Server::start(name, 1_000).await;
        let [first, second] = <[_; 2]>::try_from(statements(2)).unwrap();
        server.put("in/a.xml", &first.1);
        server.replace_before(operation, "in/a.xml", &second.1);
        let fetcher = fetcher(&app, &server, "    after: delete\n");
        let run = fetch(&fetcher).await;
        assert_eq!((run.files, run.warnings()), (1, 0), "{run:?}");
        assert_eq!(server.get("in/a.xml").unwrap(), second.1.as_bytes(), "{operation}");
        assert_eq!(fetch(&fetcher).await.files, 1);
        assert_eq!(booked(&transactions(&app).await), [101, 102]);
        assert!(server.get("in/a.xml").is_none());
    }
}

#[tokio::test]
async fn one_object_that_may_not_be_read_is_a_warning_and_the_others_are_taken() {
    let app = TestApp::with_file(FILE).await;
    let server = S3Server::start("denied", 1_000).await;
    for (name, text) in statements(3) {
        server.put(&format!("in/{name}"), text);
    }
    server.forbid("get", "in/03.xml");
    let fetcher = fetcher(&app, &server, "");
    for files in [2, 0] {
        let run = fetch(&fetcher).await;
        assert_eq!((run.files, run.warnings(), &run.error), (files, 1, &None), "and it is told in each run");
    }
    let told = warnings(&app).await;
    assert!(told[0].starts_with("03.xml: AccessDenied"), "{told:?}");
    server.allow();
    assert_eq!(fetch(&fetcher).await.files, 1);
    assert_eq!(booked(&transactions(&app).await), [101, 102, 103]);
}

#[tokio::test]
async fn an_object_that_may_not_be_deleted_is_a_warning_and_tried_again() {
    for (name, forbidden, more) in [
        ("kept", ("delete", "in/01.xml"), "    after: delete\n"),
        ("kept-moving", ("delete", "in/01.xml"), "    after: { move: done }\n"),
        ("kept-putting", ("put", "in/done/01.xml"), "    after: { move: done }\n"),
    ] {
        let app = TestApp::with_file(FILE).await;
        let server = S3Server::start(name, 1_000).await;
        server.put("in/01.xml", &statements(1)[0].1);
        server.forbid(forbidden.0, forbidden.1);
        let fetcher = fetcher(&app, &server, more);
        for files in [1, 0, 0] {
            let run = fetch(&fetcher).await;
            assert_eq!((run.files, run.warnings(), &run.error), (files, 1, &None), "{name}: {run:?}");
        }
        let told = warnings(&app).await;
        assert!(
            told[0].contains("01.xml: was taken, and can be neither moved nor deleted (AccessDenied"),
            "{told:?}"
        );
        server.allow();
        assert_eq!(fetch(&fetcher).await.warnings(), 0);
        assert!(server.get("in/01.xml").is_none());
        assert!(server.get("in/done/01.xml.1").is_none(), "and it was moved once");
        assert_eq!(booked(&transactions(&app).await), [101]);
    }
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_downloaded() {
    let app = TestApp::with_file(FILE).await;
    let server = S3Server::start("large", 1_000).await;
    server.put_large("in/large.xml", 64 * 1024 * 1024 + 1);
    let run = fetch(&fetcher(&app, &server, "")).await;
    assert_eq!((run.files, run.warnings(), server.asked("get")), (0, 1, 0));
    assert!(warnings(&app).await[0].starts_with("large.xml: is larger than 64 MiB"));
}

#[tokio::test]
async fn a_bucket_that_cannot_be_listed_fails_the_run_and_says_what_to_do() {
    let app = TestApp::with_file(FILE).await;
    let server = S3Server::start("unlisted", 1_000).await;
    let wrong = [("BANK_KEY", ACCESS_KEY), ("BANK_SECRET", "another-secret-of-somebody")];
    for (bucket, environment, told) in [
        (
            "nowhere",
            &KEYS,
            "s3://nowhere/in cannot be listed (NoSuchBucket): write the name of a bucket that is there",
        ),
        (BUCKET, &wrong, "s3://statements/in cannot be listed (SignatureDoesNotMatch"),
    ] {
        let run = fetch(&fetcher_as(&app, &server, (bucket, environment), "")).await;
        let error = run.error.unwrap();
        assert!(error.starts_with(told), "{error}");
        assert!(!error.contains(SECRET_KEY) && !error.contains("another-secret"), "{error}");
    }
    server.forbid("list", "");
    let error = fetch(&fetcher(&app, &server, "")).await.error.unwrap();
    assert!(
        error.contains("(AccessDenied") && error.ends_with("look at the keys, and allow them s3:ListBucket")
    );
    let error = fetch(&fetcher(&app, &server.gone(), "")).await.error.unwrap();
    assert!(error.contains("(Connection refused") && error.contains("look at its region"), "{error}");
    assert_eq!(count(&app.pool, "select count(*) from sync_runs where status = 'failed'").await, 4);
}

#[tokio::test]
async fn without_an_access_key_the_role_of_the_machine_is_used() {
    let app = TestApp::with_file(FILE).await;
    let server = S3Server::start("role", 1_000).await;
    server.put("in/01.xml", &statements(1)[0].1);
    // as an agent on the machine answers a container, and only that one
    let answer = serde_json::json!({
        "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": "a-session", "Expiration": "2099-01-01T00:00:00Z",
    });
    let agent = axum::Router::new().route(
        "/role",
        axum::routing::get(move |headers: axum::http::HeaderMap| async move {
            match headers.get("authorization").is_some_and(|token| token == "who-the-container-is") {
                true => Ok(axum::Json(answer.clone())),
                false => Err(axum::http::StatusCode::FORBIDDEN),
            }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/role", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, agent).await });
    let token =
        std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("role-{}", std::process::id()));
    std::fs::write(&token, "who-the-container-is").unwrap();
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()),
    ];
    let run = fetch(&fetcher_as(&app, &server, (BUCKET, &environment), "")).await;
    assert_eq!((run.files, &run.error), (1, &None), "{run:?}");
}

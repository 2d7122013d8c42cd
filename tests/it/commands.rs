//! The commands, typed as a person would type them, on the private PostgreSQL.

use std::os::unix::fs::PermissionsExt;

use crate::support::process::{FILE_KEY, Place, stop};

async fn status(address: &str, path: &str, key: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("http://{address}{path}")).bearer_auth(key).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_whether_the_server_runs_or_not() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = Place::new("keys");
    let create = |name| ["keys", "create", "--provider", "acme", "--name", name, "--scope", "connector"];
    let before = place.stdout(&create("before")).await;
    assert_eq!(before.lines().count(), 1, "the key alone is on standard output");
    let key_file = std::fs::metadata(place.0.join("data/encryption.key")).unwrap();
    assert_eq!(key_file.permissions().mode() & 0o777, 0o600, "the key for tokens is its owner's alone");
    let (server, address) = place.serve(None).await;
    let during = place.stdout(&create("during")).await;
    for key in [before.trim(), during.trim(), FILE_KEY] {
        assert_eq!(status(&address, "/accounts", key).await, (200, "[]".to_owned()));
    }
    let listed = place.stdout(&["keys", "list"]).await;
    assert!(!listed.contains(before.trim()), "a list shows no key");
    let id = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    place.stdout(&["keys", "revoke", id]).await;
    assert_eq!(status(&address, "/accounts", before.trim()).await.0, 401);
    assert_eq!(status(&address, "/accounts", during.trim()).await.0, 200);

    let (_, metrics) = status(&place.operator(&address), "/metrics", "").await;
    for metric in [
        "tributary_http_requests_total{method=\"GET\",route=\"/accounts\",status=\"200\"}",
        "tributary_http_request_seconds_bucket",
        "tributary_pages_total{provider=\"acme\",feed=\"accounts\"}",
        "tributary_changes_queued{provider=\"acme\",feed=\"transactions\"}",
        "tributary_changes_oldest_age_seconds{provider=\"acme\",feed=\"transactions\"}",
    ] {
        assert!(metrics.contains(metric), "{metric} in\n{metrics}");
    }
    stop(server).await;
    assert!(!place.run(&["health", "--listen", &address]).await.status.success(), "nobody answers any more");
}

#[tokio::test]
async fn mistakes_are_answered_with_what_to_do() {
    let place = Place::new("mistakes");
    for (args, advice) in [
        (
            &["keys", "create", "--provider", "nobody", "--name", "one", "--scope", "ingest"][..],
            "provider: nobody",
        ),
        (&["serve", "--providers", "nowhere"], "--providers"),
        (
            &["keys", "create", "--provider", "acme", "--name", "one", "--scope", "root"],
            "connector, read, pay, ingest]",
        ),
        (&["serve", "--database-url", "nonsense"], "DATABASE_URL"),
    ] {
        let output = place.run(args).await;
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && message.contains(advice), "{args:?}: {message}");
        assert!(output.stdout.is_empty());
    }
    std::fs::write(place.0.join("providers/bad.yaml"), "provider: bad\nsource: pull\n").unwrap();
    let output = place.run(&["serve"]).await;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("bad.yaml") && message.contains("line 2"), "{message}");
}

#[tokio::test]
async fn help_has_examples() {
    let place = Place::new("help");
    for args in [&["--help"][..], &["serve", "--help"], &["keys", "--help"], &["demo", "--help"]] {
        let help = place.stdout(args).await;
        assert!(help.contains("Example"), "{args:?}");
    }
}

#[tokio::test]
async fn a_shell_completes_the_commands_and_man_explains_them() {
    let place = Place::new("shell");
    for shell in ["bash", "zsh", "fish"] {
        let script = place.stdout(&["completions", shell]).await;
        assert!(script.contains("quarantine") && script.contains("approve"), "{shell}: {script}");
    }
    let folder = place.0.join("man/man1");
    place.stdout(&["man", folder.to_str().unwrap()]).await;
    for page in ["tributary.1", "tributary-serve.1", "tributary-payouts-approve.1"] {
        let page =
            std::fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(page.contains(".SH NAME"), "{page}");
    }
}

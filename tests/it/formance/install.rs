//! The connector's configuration: printed only if it would work, and without the key unless somebody asks for it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use serde_json::{Value, json};

use super::command;
use crate::support::{TestApp, records};

async fn install_config(key: Option<&str>, args: &[&str]) -> Output {
    let mut command = command(&["install-config", "--provider", "acme"]);
    command.args(args).envs(key.map(|key| ("TRIBUTARY_CONNECTOR_KEY", key)));
    command.output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn the_configuration_is_that_of_the_connector_and_keeps_the_key_to_itself() {
    let app = TestApp::new().await;
    app.push("accounts", &[records::account("acc_1", "2026-03-01T12:00:00Z")]).await;
    app.push("transactions", &records::transactions("t", 3)).await;
    app.publish_all().await;
    let (url, key) = (app.listen().await, &*app.connector_key);
    let shown = install_config(Some(key), &["--endpoint", &format!("{url}/")]).await;
    let (out, err) = (text(&shown.stdout), text(&shown.stderr));
    assert!(shown.status.success() && !out.contains(key) && !err.contains(key), "{out}{err}");
    assert!(err.contains("1 accounts, 0 beneficiaries and 3 transactions"), "{err}");
    let expected =
        |key: &str| json!({"name": "acme", "endpoint": url, "apiKey": key, "pollingPeriod": "30m"});
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected("$TRIBUTARY_CONNECTOR_KEY"));

    let shown = install_config(Some(key), &["--endpoint", &url, "--show-key"]).await;
    assert_eq!(serde_json::from_slice::<Value>(&shown.stdout).unwrap(), expected(key));

    let folder = std::env::temp_dir().join(format!("install-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("acme.json");
    let to_file = ["--endpoint", &*url, "-o", file.to_str().unwrap(), "--period", "1h", "--page-size", "25"];
    let written = install_config(Some(key), &to_file).await;
    assert!(written.status.success() && written.stdout.is_empty(), "{}", text(&written.stderr));
    assert!(!text(&written.stderr).contains(key));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut of_file = expected(key);
    (of_file["pollingPeriod"], of_file["pageSize"]) = (json!("1h"), json!(25));
    assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap(), of_file);
    // nobody's file is written over
    let again = install_config(Some(key), &to_file).await;
    assert!(!again.status.success() && text(&again.stderr).contains("is there already"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn what_would_not_work_is_refused_with_what_to_do() {
    let app = TestApp::new().await;
    let url = app.listen().await;
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let prefixed = format!("{url}/prefix");
    let (connector, ingest) = (&*app.connector_key, &*app.ingest_key);
    for (key, endpoint, advice) in [
        (Some("trb_wrong"), &url, "keys create"),
        (Some(ingest), &url, "scope connector"),
        (None, &url, "TRIBUTARY_CONNECTOR_KEY is not set"),
        (Some(connector), &prefixed, "path prefix"),
        (Some(connector), &nobody, "does not answer"),
        (Some(connector), &"ftp://x".to_owned(), "write http://host"),
    ] {
        let refused = install_config(key, &["--endpoint", endpoint]).await;
        let (out, err) = (text(&refused.stdout), text(&refused.stderr));
        assert!(!refused.status.success() && out.is_empty() && err.contains(advice), "{advice}: {out}{err}");
        assert!(key.is_none_or(|key| !err.contains(key)), "{err}");
    }
    let unchecked = install_config(None, &["--endpoint", "https://tributary.example", "--no-check"]).await;
    assert!(unchecked.status.success(), "{}", text(&unchecked.stderr));
}

#[tokio::test]
async fn a_period_that_formance_refuses_is_refused_unless_it_was_told_otherwise() {
    let run = async |args: &[&str]| {
        let with = [&["--endpoint", "https://t.example", "--no-check"], args].concat();
        let output = install_config(None, &with).await;
        (output.status.success(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    let (taken, text) = run(&["--period", "5m"]).await;
    assert!(!taken && text.contains("--period 20m or more") && text.contains("--minimum"), "{text}");
    let (taken, text) = run(&["--period", "5m", "--minimum", "1m"]).await;
    assert!(taken && text.contains(r#""pollingPeriod": "5m""#), "{text}");
    assert!(run(&["--period", "20m"]).await.0);
    let (taken, text) = run(&["--name", "ab"]).await;
    assert!(!taken && text.contains("3 to 500"), "{text}");
}

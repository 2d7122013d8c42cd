//! The check of any server: it has nothing to say of a running Tributary, and the command tells
//! by its exit code what it found.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tributary_conformance::{Check, Options, Report, Silent, Verdict, run};

use crate::support::{TestApp, records};

fn beneficiary(id: &str, created_at: &str) -> Value {
    json!({"id": id, "ownerName": format!("Payee {id}"), "createdAt": created_at, "metadata": {}})
}

fn minute(i: usize) -> String {
    format!("2026-03-01T{:02}:{:02}:00Z", i / 60, i % 60)
}

/// A business with everything that records can go through: later versions, refunds, a payment
/// that changes after its refund, accounts with awkward ids and without balances.
async fn business() -> TestApp {
    let app = TestApp::new().await;
    let mut accounts: Vec<_> = (0..7).map(|i| records::account(&format!("acc_{i}"), &minute(i))).collect();
    accounts.push(records::account("branch/07 #1?50%", &minute(7)));
    app.push("accounts", &accounts).await;
    let beneficiaries: Vec<_> = (0..120).map(|i| beneficiary(&format!("ben_{i}"), &minute(i))).collect();
    app.push("beneficiaries", &beneficiaries).await;
    app.push("balances", &[records::balances("acc_1", &minute(9), &[("EUR/2", "5"), ("USD/2", "-7")])]).await;
    app.push("transactions", &records::transactions("t", 350)).await;
    let refund = |i: usize, status: &str| {
        let mut refund = records::transaction(&format!("r{i}"), status);
        refund["relatedTransactionID"] = format!("t{i}").into();
        refund["createdAt"] = "2026-03-02T12:00:00Z".into();
        refund
    };
    app.push("transactions", &(0..20).map(|i| refund(i, "REFUNDED")).collect::<Vec<_>>()).await;
    app.push(
        "transactions",
        &(0..10).map(|i| records::transaction(&format!("t{i}"), "DISPUTE")).collect::<Vec<_>>(),
    )
    .await;
    app.publish_all().await;
    app
}

/// Checks a running Tributary that goes on changing meanwhile.
async fn check_while_it_changes(app: &TestApp, options: &Options) -> Report {
    let url = app.listen().await;
    let changes = async {
        for i in 0_usize.. {
            let status = ["PENDING", "SUCCEEDED", "DISPUTE"][i % 3];
            app.push("transactions", &[records::transaction(&format!("live{}", i / 3), status)]).await;
            app.push(
                "balances",
                &[records::balances("acc_2", &minute(i.min(700)), &[("EUR/2", &i.to_string())])],
            )
            .await;
            app.publish().await;
        }
    };
    tokio::select! {
        report = run(&url, &app.connector_key, options, &Silent) => report.unwrap(),
        () = changes => unreachable!("changes go on"),
    }
}

#[tokio::test]
async fn it_has_nothing_to_say_of_tributary_however_it_changes_meanwhile() {
    let app = business().await;
    let options = Options {
        watch: Duration::from_millis(300),
        poll_every: Duration::from_millis(50),
        // a busy machine is not a slow server
        slow: Duration::from_secs(9),
        ..Options::default()
    };
    let report = check_while_it_changes(&app, &options).await;
    println!("{}", report.to_table());
    let problems: Vec<_> = report.findings.iter().filter(|finding| finding.verdict > Verdict::Ok).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    // all that a list of many rows can show was seen
    let of_transactions = report.findings.iter().filter(|finding| finding.subject == "transactions");
    assert!(of_transactions.clone().count() >= 20);
    for finding in of_transactions {
        assert_eq!(finding.verdict, Verdict::Ok, "{finding:?}");
    }
    let changed = report.of(Check::BalancesAt).next().unwrap();
    assert!(changed.seen.contains("1 account changed"), "{changed:?}");
}

#[tokio::test]
async fn it_has_nothing_to_say_of_an_empty_tributary() {
    let app = TestApp::new().await;
    let report = run(&app.listen().await, &app.connector_key, &Options::default(), &Silent).await.unwrap();
    assert_eq!(report.verdict, Verdict::Ok, "{}", report.to_table());
    assert_eq!(report.with(Verdict::Warning).count(), 0, "{}", report.to_table());
}

const KEY: &str = "a-secret-of-the-test";

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command
        .args(args)
        .current_dir(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .env_remove("TRIBUTARY_CONFORMANCE_KEY");
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// `serve-naive` with a defect, on a port of its own; gives the process and its address.
async fn naive(defect: &str) -> (Child, String) {
    let args =
        ["conformance", "serve-naive", "--defect", defect, "--listen", "127.0.0.1:0", "--api-key", KEY];
    let mut server = command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(url) = line.split(' ').find(|word| word.starts_with("http://")) {
            return (server, url.to_owned());
        }
    }
    panic!("serve-naive says where it listens");
}

async fn check(url: &str, args: &[&str]) -> Output {
    let mut command = command(&["conformance", url]);
    let output = command.args(args).env("TRIBUTARY_CONFORMANCE_KEY", KEY).output().await.unwrap();
    for text in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(text).contains(KEY), "the key is printed");
    }
    output
}

#[tokio::test]
async fn the_exit_code_tells_what_was_found() {
    let (_right, right) = naive("none").await;
    let output = check(&right, &[]).await;
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert!(table.contains("ok: 0 failed, 0 warnings"), "{table}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("polling as Formance does"), "progress is told");

    let (_wrong, wrong) = naive("late-commit").await;
    let output = check(&wrong, &["--format", "json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "fail");
    let findings = report["findings"].as_array().unwrap();
    let late =
        findings.iter().find(|finding| finding["check"] == "late-rows" && finding["verdict"] == "fail");
    let late = late.unwrap_or_else(|| panic!("{report:#}"));
    assert!(
        late["subject"] == "transactions" && late["why"].is_string() && late["example"].is_string(),
        "{late}"
    );

    // what only warns is no failure
    let (_html, html) = naive("html-errors").await;
    assert_eq!(check(&html, &[]).await.status.code(), Some(0));
}

#[tokio::test]
async fn what_cannot_be_checked_has_an_exit_code_of_its_own() {
    let (mut server, url) = naive("none").await;
    let refused = command(&["conformance", &url, "--api-key", "another"]).output().await.unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("refuses the API key"));
    let keyless = command(&["conformance", &url]).output().await.unwrap();
    assert_eq!(keyless.status.code(), Some(2));
    server.kill().await.unwrap();
    let gone = check("not a url", &[]).await;
    assert_eq!(gone.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("http://host"));
}

#[tokio::test]
async fn defects_are_listed_and_help_has_examples() {
    let list = command(&["conformance", "serve-naive", "--list"]).output().await.unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.lines().count() > 22 && list.contains("moving-rows "), "{list}");
    for args in [&["conformance", "--help"][..], &["conformance", "serve-naive", "--help"]] {
        let help = command(args).output().await.unwrap();
        assert!(String::from_utf8_lossy(&help.stdout).contains("Example"), "{args:?}");
    }
}

//! `tributary sync`, `runs` and `quarantine`, typed as a person would type them.

use std::process::Output;
use std::time::Duration;

use serde_json::json;

use crate::support::jobs::{count, file, record, stream};
use crate::support::logins;
use crate::support::process::{Place, stop};
use crate::support::{TestApp, Upstream, edited};

struct Setup {
    upstream: Upstream,
    app: TestApp,
    place: Place,
}

impl Setup {
    async fn new(name: &str) -> Self {
        let (upstream, app, place) = (Upstream::start().await, TestApp::new().await, Place::new(name));
        let streams = [stream("payments", ""), stream("payouts", "")].concat();
        std::fs::write(place.0.join("providers/acme.yaml"), file(&upstream, "", &streams)).unwrap();
        upstream.set("/payments", json!([record("a"), record("b")]));
        upstream.set("/payouts", json!([record("c")]));
        Self { upstream, app, place }
    }

    async fn run(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = self.place.command(args);
        let Output { status, stdout, stderr } =
            command.env("DATABASE_URL", logins::service(&self.app.url).await).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }
}

#[tokio::test]
async fn the_exit_code_of_a_sync_says_how_it_ended() {
    let setup = Setup::new("sync_exit_codes").await;
    let (code, out, err) = setup.run(&["sync", "acme"]).await;
    assert_eq!(
        (code, out.trim()),
        (0, "3 created, 0 updated, 0 unchanged, 0 quarantined; 2 requests"),
        "{err}"
    );
    let (code, out, _) = setup.run(&["sync", "acme", "--stream", "payouts"]).await;
    assert!(code == 0 && out.contains("1 unchanged"), "{out}");
    assert_eq!(setup.upstream.asked("/payments"), 1);
    setup.upstream.refuse("/payouts", 404);
    let (code, _, err) = setup.run(&["sync", "acme"]).await;
    assert!(code == 1 && err.contains("404"), "{err}");
    for (args, advice) in [
        (&["sync", "nobody"][..], "nobody"),
        (&["sync", "acme", "--stream", "nothing"], "payments, payouts"),
        (&["sync", "acme", "--full"], "--yes"),
    ] {
        let (code, _, err) = setup.run(args).await;
        assert!(code == 2 && err.contains(advice), "{args:?}: {err}");
    }
    setup.app.sql("update sync_leases set holder = 'the other', expires_at = now() + interval '1 h'").await;
    let (code, _, err) = setup.run(&["sync", "acme", "--no-wait"]).await;
    assert!(code == 3 && err.contains("the other"), "{err}");
}

#[tokio::test]
async fn a_sync_that_had_to_warn_says_so_by_its_exit_code() {
    let setup = Setup::new("sync_warns").await;
    let streams = stream("payments", "      errors: [{ on: 403, do: skip_partition }]\n");
    std::fs::write(setup.place.0.join("providers/acme.yaml"), file(&setup.upstream, "", &streams)).unwrap();
    setup.upstream.refuse("/payments", 403);
    let (code, out, err) = setup.run(&["sync", "acme"]).await;
    assert_eq!(code, 4, "{out} {err}");
    assert!(out.contains("1 warning") && err.contains("partition_skipped"), "{out} {err}");
    let (code, out, _) = setup.run(&["runs"]).await;
    assert!(code == 0 && out.contains("partition_skipped"), "{out}");
}

#[tokio::test]
async fn an_operator_lifts_a_limit_that_a_provider_told_of() {
    let setup = Setup::new("limits_lifted").await;
    assert_eq!(setup.run(&["sync", "acme"]).await.0, 0);
    let closed = "insert into closed_lanes (provider, lane, closed_until)
                  values ('acme', 'records/payments', now() + interval '12 h'), ('acme', 'payments', now() + interval '12 h'),
                         ('acme', 'records/payouts', now() - interval '1 h')";
    setup.app.sql(closed).await;
    let asked = setup.upstream.asked("/payments");
    let (code, _, err) = setup.run(&["sync", "acme"]).await;
    assert!(code == 1 && err.contains("no request before") && err.contains("tributary limits"), "{err}");
    assert_eq!((setup.upstream.asked("/payments"), setup.upstream.asked("/payouts")), (asked, 2));
    let (code, out, _) = setup.run(&["limits", "list"]).await;
    assert!(code == 0 && out.contains("records/payments") && !out.contains("records/payouts"), "{out}");
    let (code, out, err) = setup.run(&["limits", "lift", "acme", "--requests", "records/payments"]).await;
    assert_eq!((code, out.trim()), (0, "acme: records/payments are sent again"), "{err}");
    assert_eq!(setup.run(&["sync", "acme"]).await.0, 0);
    let (code, _, err) = setup.run(&["limits", "lift", "acme", "--requests", "records/payments"]).await;
    assert!(code == 1 && err.contains("nothing is closed"), "{err}");
    assert_eq!(setup.run(&["limits", "lift", "acme"]).await.1.trim(), "acme: payments are sent again");
}

#[tokio::test]
async fn a_full_sync_forgets_the_cursors_of_what_it_reads() {
    let setup = Setup::new("sync_full").await;
    for name in ["payments", "payouts"] {
        let sql = format!(
            "insert into sync_cursors (provider, stream, partition, cursor) values ('acme', '{name}', '', '\"x\"')"
        );
        setup.app.sql(&sql).await;
    }
    assert_eq!(setup.run(&["sync", "acme", "--stream", "payouts", "--full", "--yes"]).await.0, 0);
    let left: Vec<String> =
        sqlx::query_scalar("select stream from sync_cursors").fetch_all(&setup.app.pool).await.unwrap();
    assert_eq!(left, ["payments"]);
}

#[tokio::test]
async fn the_history_tells_what_each_stream_brought() {
    let setup = Setup::new("runs").await;
    setup.upstream.refuse("/payouts", 404);
    setup.run(&["sync", "acme"]).await;
    let (code, out, _) = setup.run(&["runs", "--provider", "acme"]).await;
    assert_eq!(code, 0);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = out.lines().map(words).collect();
    assert!(lines.iter().any(|line| line.contains("acme payments succeeded 1 2 0 0 0 0")), "{out}");
    assert!(lines.iter().any(|line| line == "- payments 1 2 0 0 0 0"), "{out}");
    assert!(lines.iter().any(|line| line.contains("acme payouts failed 1 0 0 0 0 0")), "{out}");
    assert!(out.contains("404"), "{out}");
}

#[tokio::test]
async fn a_partition_that_was_skipped_is_told_by_the_command_the_log_the_history_and_the_metric() {
    // whatever ran before in this process
    rustls::crypto::ring::default_provider().install_default().ok();
    let setup = Setup::new("skipped").await;
    let rule = "      errors: [{ on: 403, do: skip_partition, says: the account is closed }]\n";
    let streams = [stream("payments", ""), stream("payouts", rule)].concat();
    let yaml = file(&setup.upstream, "", &streams);
    std::fs::write(setup.place.0.join("providers/acme.yaml"), yaml).unwrap();
    setup.upstream.refuse("/payouts", 403);

    let (code, out, err) = setup.run(&["sync", "acme"]).await;
    assert!(code == 4 && out.contains("2 created") && out.contains("; 1 warning"), "{out}{err}");
    let told = "partition_skipped, 1 times; the first: a partition was skipped: the account is closed";
    assert!(err.contains(&format!("tributary: warning: payouts: {told}")), "{err}");
    let logged = err.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let logged: Vec<_> = logged.filter(|line| line["kind"] == "partition_skipped").collect();
    assert!(logged.len() == 1 && logged[0]["stream"] == "payouts" && logged[0]["level"] == "WARN", "{err}");

    let (_, out, _) = setup.run(&["runs", "--provider", "acme"]).await;
    assert!(out.contains(&format!("warning: {told}")), "{out}");
    let last = |line: &&str| line.trim_end().ends_with('1');
    assert_eq!(out.lines().filter(|line| line.contains("payouts")).filter(last).count(), 2, "{out}");

    setup.app.sql("update sync_tasks set due_at = now()").await;
    let (server, address) = setup.place.serve(Some(&setup.app.url)).await;
    let operator = setup.place.operator(&address);
    let counted =
        "tributary_sync_warnings_total{provider=\"acme\",stream=\"payouts\",kind=\"partition_skipped\"} 1";
    let counts = async {
        let metrics =
            || async { reqwest::get(format!("http://{operator}/metrics")).await.unwrap().text().await };
        while !metrics().await.unwrap().contains(counted) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), counts).await.expect("it is counted");
    stop(server).await;
}

/// A stream of pages of two, each telling the path of the next one by `next`.
fn paged(next: &str) -> String {
    let page = format!("      page: {{ url: {next}, size: 2 }}\n");
    edited(&stream("payments", &page), "rows: .\n", "rows: .items\n")
}

#[tokio::test]
async fn a_full_page_is_the_end_only_of_a_stream_that_told_a_next_one_before() {
    let setup = Setup::new("next_known").await;
    let page = |next: Option<&str>| json!({"items": [record("a"), record("b")], "next": next});
    let write = |next: &str| {
        let yaml = file(&setup.upstream, "", &paged(next));
        std::fs::write(setup.place.0.join("providers/acme.yaml"), yaml).unwrap();
    };
    write(".next");
    setup.upstream.set("/payments", page(None));
    let (code, _, err) = setup.run(&["sync", "acme"]).await;
    // in the words of the file, and where it says so
    let yaml = std::fs::read_to_string(setup.place.0.join("providers/acme.yaml")).unwrap();
    let line = yaml.lines().position(|line| line.contains("page: { url: .next")).unwrap() + 1;
    let told = format!("(line {line} of the file that describes it)");
    assert!(code == 1 && err.contains("page.url: ") && err.contains("may_end_full: true"), "{err}");
    assert!(err.contains(&told), "{told}: {err}");
    assert_eq!(count(&setup.app.pool, "select count(*) from sync_cursors").await, 0);

    setup.upstream.set("/payments", page(Some("/rest")));
    setup.upstream.set("/rest", json!({"items": [record("c")]}));
    assert_eq!(setup.run(&["sync", "acme"]).await.0, 0);
    setup.upstream.set("/payments", page(None));
    assert_eq!(setup.run(&["sync", "acme"]).await.0, 0, "each command is a process of its own");
    assert_eq!(setup.run(&["sync", "acme", "--full", "--yes"]).await.0, 0);

    write(".nxt");
    let (code, _, err) = setup.run(&["sync", "acme"]).await;
    assert!(code == 1 && err.contains("page.url: "), "{err}");
}

#[tokio::test]
async fn the_quarantine_is_looked_at_replayed_and_emptied() {
    let setup = Setup::new("quarantine").await;
    setup
        .upstream
        .set("/payments", json!([{"id": "a", "status": "NOBODY KNOWS"}, {"id": "", "status": "PENDING"}]));
    setup.run(&["sync", "acme"]).await;
    let (code, out, _) = setup.run(&["quarantine", "list", "--provider", "acme"]).await;
    assert!(code == 0 && out.contains("NOBODY KNOWS"), "{out}");
    let line = out.lines().find(|line| line.contains("NOBODY KNOWS")).unwrap();
    let id = line.split_whitespace().next().unwrap();
    let (_, out, err) = setup.run(&["quarantine", "show", id]).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["id"], "a");
    assert!(err.contains("of the stream payments"), "{err}");
    let path = setup.place.0.join("providers/acme.yaml");
    let wrong = stream("payments", "");
    let right = edited(&wrong, "id, status,", "id, status: \"PENDING\",");
    std::fs::write(&path, edited(&std::fs::read_to_string(&path).unwrap(), &wrong, &right)).unwrap();
    let (code, out, _) = setup.run(&["quarantine", "replay"]).await;
    assert!(code == 0 && out.contains("1 freed (1 created") && out.contains("1 stay"), "{out}");
    let discard = ["quarantine", "discard", "--provider", "acme", "--reason", "a test"];
    let (code, _, err) = setup.run(&discard).await;
    assert!(code != 0 && err.contains("--yes"), "it asks first: {err}");
    let (_, out, _) = setup.run(&[&discard[..], &["--yes"]].concat()).await;
    assert_eq!(out.trim(), "1 discarded");
    assert_eq!(count(&setup.app.pool, "select count(*) from quarantine").await, 0);
    assert_eq!(setup.run(&["remap", "acme"]).await.0, 2, "nothing was kept");
}

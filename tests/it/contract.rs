//! The contract with Formance: our model of its connector does what the recorded one did, and
//! gets everything from a running Tributary, once and in order.

mod payments;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use private_pg::PrivatePostgres;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tributary_formance::replay::replay_file;
use tributary_formance::{Client, En1095State, Kind, Row, State, Watermark};

fn reproduce(recording: &Path) {
    let report = replay_file(recording).unwrap();
    println!("{}: reproduced {:?}", recording.display(), report.agreed);
    for (case, kind, why) in &report.disagreements {
        println!("case {case} ({kind:?}): {why}");
    }
    assert!(report.disagreements.is_empty(), "{} calls are not reproduced", report.disagreements.len());
    assert!(report.agreed.values().sum::<usize>() > 150, "{:?}", report.agreed);
}

#[test]
fn the_model_reproduces_the_recorded_selection() {
    reproduce(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("crates/tributary-formance/tests/fixtures/traces-selection.jsonl"),
    );
}

#[test]
fn the_model_reproduces_the_whole_recording_where_it_is_at_hand() {
    if let Some(recording) = tributary_reference::reference("formance/traces.jsonl") {
        reproduce(&recording);
    }
}

/// `tributary demo` in a folder of its own.
struct Demo {
    process: Child,
    endpoint: String,
    key: String,
    folder: PathBuf,
}

impl Demo {
    async fn start() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-{}", std::process::id()));
        let mut process = Command::new(env!("CARGO_BIN_EXE_tributary"))
            .args([
                "demo",
                "--listen",
                "127.0.0.1:0",
                "--changes-per-second",
                "20",
                "--log",
                "warn",
                "--data",
            ])
            .arg(&folder)
            .env_remove("DATABASE_URL")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut endpoint, mut key) = (None, None);
        let printed = async move {
            while endpoint.is_none() || key.is_none() {
                let line = lines.next_line().await.unwrap().expect("the demo prints how to reach it");
                if let Some(text) = line.strip_prefix("Tributary:") {
                    endpoint = Some(text.trim().to_owned());
                } else if let Some(text) = line.strip_prefix("Key:") {
                    key = Some(text.trim().to_owned());
                }
            }
            (endpoint, key)
        };
        let (endpoint, key) =
            tokio::time::timeout(Duration::from_secs(300), printed).await.expect("the demo starts");
        Self { process, endpoint: endpoint.unwrap(), key: key.unwrap(), folder }
    }

    /// Polls to the end `rounds` times while the bank changes; gives all rows and requests.
    async fn poll<S: Watermark>(&self, kind: Kind, rounds: usize) -> (Vec<Row>, u64) {
        let client = Client::new(&self.endpoint, &self.key);
        let mut state = S::default();
        let mut rows = Vec::new();
        for round in 0..rounds {
            let before = rows.len();
            let more_came = async {
                loop {
                    rows.extend(client.drain(kind, &mut state).await.expect("a poll that Formance accepts"));
                    if rows.len() > before || kind != Kind::Transactions {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(120), more_came).await.expect("changes keep flowing");
            println!("{kind:?} round {round}: {} rows, {} requests", rows.len(), client.requests());
        }
        (rows, client.requests())
    }

    /// What the feed holds: (position, id, published_at in µs).
    async fn feed(&self, kind: Kind) -> Vec<(i64, String, i64)> {
        let private = PrivatePostgres::open(&self.folder.join("demo")).await.unwrap();
        let pool = sqlx::PgPool::connect(&private.url()).await.unwrap();
        let feed = sqlx::query_as(
            "select position, body ->> 'id', (extract(epoch from published_at) * 1000000)::bigint
             from feed where resource = $1 order by position",
        )
        .bind(kind.as_str())
        .fetch_all(&pool)
        .await
        .unwrap();
        pool.close().await;
        private.close().await.unwrap();
        feed
    }

    async fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.process.id().unwrap() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let status = tokio::time::timeout(Duration::from_secs(60), self.process.wait())
            .await
            .expect("it stops")
            .unwrap();
        assert!(status.success(), "{status}");
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Lost, doubled or out of order: any difference between what came and the feed up to there.
fn check(rows: &[Row], feed: &[(i64, String, i64)]) {
    let came: Vec<(String, i64)> =
        rows.iter().map(|row| (row.reference.clone(), (row.watermark.unix_nanos() / 1000) as i64)).collect();
    let held: Vec<(String, i64)> = feed[..came.len()].iter().map(|(_, id, at)| (id.clone(), *at)).collect();
    assert!(
        feed.iter().zip(1..).all(|((position, _, _), expected)| *position == expected),
        "positions are dense"
    );
    assert!(came == held, "what came is the feed, entry by entry");
}

#[tokio::test]
async fn a_running_tributary_delivers_every_version_once_and_in_order() {
    let demo = Demo::start().await;
    let (accounts, _) = demo.poll::<State>(Kind::Accounts, 1).await;
    assert!(accounts.len() >= 5);
    let (released, requests) = demo.poll::<State>(Kind::Transactions, 6).await;
    let (rewrite, _) = demo.poll::<En1095State>(Kind::Transactions, 3).await;
    let feed = demo.feed(Kind::Transactions).await;
    check(&released, &feed);
    check(&rewrite, &feed);
    check(&accounts, &demo.feed(Kind::Accounts).await);
    let per_hundred = requests as f64 * 100.0 / released.len() as f64;
    println!(
        "{} versions of {} accounts: lost 0, doubled 0, out of order 0; {per_hundred:.2} requests per 100 rows",
        released.len(),
        accounts.len()
    );
    assert!(released.len() >= 20_000, "{}", released.len());
    assert!(per_hundred <= 2.5, "{per_hundred}");
    demo.stop().await;
}

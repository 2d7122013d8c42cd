//! The commands, typed as a person would type them, on the private PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// A folder with a provider file, in which commands run.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("providers")).unwrap();
        let file = "provider: acme\nsource: push\nkeys:\n  - { scope: connector, key: \"${ACME_KEY}\" }\n";
        std::fs::write(folder.join("providers/acme.yaml"), file).unwrap();
        Self(folder)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command.args(args).current_dir(&self.0).env_remove("DATABASE_URL").env("TRIBUTARY_LOG", "warn");
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }

    async fn stdout(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts `serve` on a free port and waits until it is up.
    async fn serve(&self) -> (Child, String) {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        // the flag goes before the variable
        let server = self
            .command(&["serve", "--listen", &address])
            .env("TRIBUTARY_LISTEN", "127.0.0.1:1")
            .env("ACME_KEY", "a-key-of-the-environment")
            .spawn()
            .unwrap();
        let up = async {
            while !self.run(&["health", "--listen", &address]).await.status.success() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), up).await.expect("it is up");
        (server, address)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

async fn status(address: &str, path: &str, key: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("http://{address}{path}")).bearer_auth(key).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn stop(mut server: Child) {
    kill(Pid::from_raw(server.id().unwrap() as i32), Signal::SIGTERM).unwrap();
    let status =
        tokio::time::timeout(Duration::from_secs(60), server.wait()).await.expect("it stops").unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_whether_the_server_runs_or_not() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = Place::new("keys");
    let before = place.stdout(&["keys", "create", "--provider", "acme", "--scope", "connector"]).await;
    assert_eq!(before.lines().count(), 1, "the key alone is on standard output");
    let (server, address) = place.serve().await;
    let during = place.stdout(&["keys", "create", "--provider", "acme", "--scope", "connector"]).await;
    for key in [before.trim(), during.trim(), "a-key-of-the-environment"] {
        assert_eq!(status(&address, "/accounts", key).await, (200, "[]".to_owned()));
    }
    let listed = place.stdout(&["keys", "list"]).await;
    assert!(!listed.contains(before.trim()), "a list shows no key");
    let id = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    place.stdout(&["keys", "revoke", id]).await;
    assert_eq!(status(&address, "/accounts", before.trim()).await.0, 401);
    assert_eq!(status(&address, "/accounts", during.trim()).await.0, 200);

    let (_, metrics) = status(&address, "/metrics", "").await;
    for metric in [
        "tributary_http_requests_total{method=\"GET\",route=\"/accounts\",status=\"200\"}",
        "tributary_http_request_seconds_bucket",
        "tributary_pages_total{provider=\"acme\",feed=\"accounts\"}",
        "tributary_last_poll_timestamp_seconds{provider=\"acme\",feed=\"accounts\"}",
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
        (&["keys", "create", "--provider", "nobody", "--scope", "ingest"][..], "provider: nobody"),
        (&["serve", "--providers", "nowhere"], "--providers"),
        (&["keys", "create", "--provider", "acme", "--scope", "root"], "connector, ingest, admin"),
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

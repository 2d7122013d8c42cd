//! What goes on behind the API and fails: it begins again, and the instance says so meanwhile.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Child;
use tributary::store;
use tributary_domain::Scope;

use crate::support::app::new_test_key;
use crate::support::process::{FILE_KEY, PROGRAM, Place, free_addresses, stop};
use crate::support::{records, server};

const PULLED: &str = "provider: pulled\napi: http://127.0.0.1:9\nauth: { bearer: token }\nevery: 1h\n\
                      pull: { accounts: { list: { get: /list, rows: ., map: . } } }\n";
const TASKS: [&str; 5] = ["publisher", "payments", "housekeeping", "metrics", "sync/pulled"];

struct Scene {
    server: Child,
    address: String,
    operator: String,
    http: reqwest::Client,
    url: String,
    _place: Place,
}

impl Scene {
    /// A server in which tasks fail as `panics` says: `publisher:2`.
    async fn start(name: &str, panics: &str) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let place = Place::new(name);
        std::fs::write(place.0.join("providers/pulled.yaml"), PULLED).unwrap();
        let url = server::new_database().await;
        let (server, address) = place
            .serve_as(|command| {
                command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", &url).env("TRIBUTARY_PANIC_IN", panics);
                command.stderr(Stdio::null());
            })
            .await;
        let operator = place.operator(&address);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, address, operator, http, url, _place: place }
    }

    async fn get(&self, address: &str, path: &str) -> (u16, String) {
        let asked = self.http.get(format!("http://{address}{path}")).bearer_auth(FILE_KEY).send();
        let answer = asked.await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn metric(&self, series: &str) -> Option<String> {
        let (_, metrics) = self.get(&self.operator, "/metrics").await;
        metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))
    }

    /// Pushes records as somebody else.
    async fn push(&self, count: usize) {
        let pool = store::connect(&self.url, 2).await.unwrap();
        let key = new_test_key(&pool, &"acme".parse().unwrap(), Scope::Ingest).await;
        let request = self.http.post(format!("http://{}/ingest/transactions", self.address)).bearer_auth(key);
        let answer = request.json(&records::transactions("t", count)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        pool.close().await;
    }
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking)
        .await
        .unwrap_or_else(|_| panic!("{what}: waited in vain"))
}

fn panics(task: &str) -> String {
    format!("tributary_task_panics_total{{task=\"{task}\"}}")
}

#[tokio::test]
async fn every_task_that_panics_is_counted_and_begun_again_and_the_instance_is_ready_afterwards() {
    let all = TASKS.map(|task| format!("{task}:1")).join(",");
    let scene = Scene::start("panics", &all).await;
    for task in TASKS {
        until(task, async || scene.metric(&panics(task)).await.filter(|count| count == "1")).await;
    }
    until("readiness", async || {
        (scene.get(&scene.operator, "/readyz").await == (200, "ready".into())).then_some(())
    })
    .await;
    scene.push(3).await;
    let page = until("publication", async || {
        let (status, page) = scene.get(&scene.address, "/transactions").await;
        assert_eq!(status, 200);
        (page != "[]").then_some(page)
    });
    assert!(page.await.contains("\"t0\""), "the publisher works");
    stop(scene.server).await;
}

#[tokio::test]
async fn without_a_publisher_an_instance_is_not_ready_says_why_to_operators_and_serves_what_it_has() {
    let scene = Scene::start("no_publisher", "publisher:1000000").await;
    let told = until("the operator is told", async || {
        let (status, told) = scene.get(&scene.operator, "/readyz").await;
        (status == 503).then_some(told)
    });
    assert!(told.await.contains("the task publisher failed"));
    let (status, told) = scene.get(&scene.address, "/readyz").await;
    assert!(status == 503 && !told.contains("publisher"), "strangers are not told why: {told}");
    assert_eq!(scene.get(&scene.address, "/healthz").await, (200, "ok".into()));
    assert_eq!(scene.get(&scene.address, "/accounts").await, (200, "[]".into()));
    // what is measured comes from the database, whoever works or does not
    scene.push(3).await;
    let queued = "tributary_changes_queued{provider=\"acme\",feed=\"transactions\"}";
    until("the queue is measured", async || scene.metric(queued).await.filter(|queued| queued == "3")).await;
    assert_eq!(scene.metric("tributary_database_up").await.as_deref(), Some("1"));
    stop(scene.server).await;
}

#[tokio::test]
async fn an_instance_that_cannot_pull_one_provider_is_ready_and_says_so() {
    let scene = Scene::start("no_sync", "sync/pulled:1000000").await;
    until("the operator is told", async || {
        let (status, told) = scene.get(&scene.operator, "/readyz").await;
        assert_eq!(status, 200);
        told.contains("sync/pulled").then_some(())
    })
    .await;
    assert_eq!(scene.get(&scene.address, "/readyz").await, (200, "ready".into()));
    stop(scene.server).await;
}

#[tokio::test]
async fn a_process_that_accepts_no_connections_any_more_ends_with_an_error() {
    let place = Place::new("deaf");
    let [address] = free_addresses();
    let mut command = place.command_of(PROGRAM.as_ref(), &["serve", "--listen", &address]);
    command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", server::new_database().await);
    command.env("TRIBUTARY_PANIC_IN", "accept:1").env("TRIBUTARY_DRAIN", "1s").stderr(Stdio::piped());
    let server = command.spawn().unwrap();
    let knocking = async {
        loop {
            // the first one that is accepted is the last
            let _ = tokio::net::TcpStream::connect(&address).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let output = tokio::select! {
        output = server.wait_with_output() => output.unwrap(),
        () = knocking => unreachable!("it has no end"),
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("it goes on"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("no connections are accepted any more"), "{said}");
}

//! Restarts of the real program under continuous requests, payouts and pushes in turn. Formance
//! takes a refused or reset connection for a final "no": there must be none, and each key moves
//! money once.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixDatagram};
use tokio::process::Command;
use tributary::config::{Provider, Source};
use tributary::store;
use tributary::sync::{RunOutcome, run_once};
use tributary_domain::Scope;
use tributary_manifest::CompiledProvider;
use tributary_standin::kit::{Running, Standin};

use crate::support::app::new_test_key;
use crate::support::load::Load;
use crate::support::logins;
use crate::support::process::{self, FILE_KEY, PROGRAM, Place, free_addresses};
use crate::support::till::{MANIFEST, SECRET, TOKEN, impatient, small_bank};
use crate::support::{edited, records, server};

const RESTARTS: usize = 20;
/// Requests that are answered between two restarts, at least.
const BETWEEN: u64 = 30;

/// Everything but the servers: a bank that pays, a database, keys, and what a service manager has.
struct Scene {
    place: Place,
    bank: Arc<Standin>,
    bank_running: Running,
    /// Who pays, and who is paid.
    account: String,
    payee: String,
    url: String,
    pool: PgPool,
    key: String,
    paying_key: String,
    address: String,
    /// What servers tell their service manager.
    told: UnixDatagram,
    told_at: PathBuf,
}

impl Scene {
    async fn new(name: &str) -> Self {
        let place = Place::new(name);
        let url = server::new_database().await;
        let pool = store::connect(&url, 4).await.unwrap();
        let key = new_test_key(&pool, &"acme".parse().unwrap(), Scope::Ingest).await;
        let paying_key = new_test_key(&pool, &"starling".parse().unwrap(), Scope::Connector).await;
        let (bank, bank_running) = small_bank().await;
        let mut file = edited(&impatient(MANIFEST), "pace: 5/s", "pace: 1000/s");
        file.push_str("\ncallers: { payments: 1000/s }\n");
        std::fs::write(place.0.join("providers/starling.yaml"), &file).unwrap();
        read_bank(&pool, &file, &bank_running.url).await;
        let first = |sql: &'static str| sqlx::query_scalar::<_, String>(sql).fetch_one(&pool);
        let account = first("select min(id) from accounts where provider = 'starling'").await.unwrap();
        let payee = first("select min(id) from beneficiaries where provider = 'starling'").await.unwrap();
        let [address] = free_addresses();
        let told_at = place.0.join("notify");
        let told = UnixDatagram::bind(&told_at).unwrap();
        let url = logins::service(&url).await;
        Self { place, bank, bank_running, account, payee, url, pool, key, paying_key, address, told, told_at }
    }

    fn dress(&self, command: &mut Command) {
        command
            .env("DATABASE_URL", &self.url)
            .env("ACME_KEY", FILE_KEY)
            .env("STARLING_URL", &self.bank_running.url)
            .env("STARLING_TOKEN", TOKEN)
            .env("TRIBUTARY_PAYMENT_SECRET", SECRET)
            .env("NOTIFY_SOCKET", &self.told_at)
            .env("TRIBUTARY_LISTEN", &self.address)
            .env("TRIBUTARY_LAME_DUCK", "0s")
            .env("TRIBUTARY_LOG", "info");
    }

    /// Starts a server that binds by itself; waits until it serves.
    async fn start(&self, args: &[&str]) -> Server {
        let mut command = self.place.command(&[&["serve"], args].concat());
        self.dress(&mut command);
        self.serving(command).await
    }

    /// Starts a server as systemd does: it finds `socket` as its descriptor 3.
    async fn activate(&self, socket: &TcpListener) -> Server {
        let mut command = self.place.command_of("/bin/sh".as_ref(), &[]);
        let hand_over =
            "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_FDNAMES=http LISTEN_PID=$$ exec \"$0\" serve";
        self.dress(&mut command);
        command
            .args(["-c", hand_over, PROGRAM])
            .stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
        // it would be refused: whoever gets a socket does not bind one
        command.env("TRIBUTARY_LISTEN", "192.0.2.1:1");
        self.serving(command).await
    }

    #[expect(clippy::zombie_processes, reason = "a server is waited for by its number")]
    async fn serving(&self, mut command: Command) -> Server {
        // the standard library's: the runtime's would wait for it before we do
        let child = command.as_std_mut().spawn().unwrap();
        let server = Server(Some(Pid::from_raw(child.id() as i32)));
        self.hear("READY=1").await;
        server
    }

    /// Waits until a server tells something that begins with `begin`; gives the rest.
    async fn hear(&self, begin: &str) -> String {
        let hearing = async {
            loop {
                let mut message = [0; 256];
                let length = self.told.recv(&mut message).await.unwrap();
                let message = std::str::from_utf8(&message[..length]).unwrap();
                if let Some(rest) = message.strip_prefix(begin) {
                    return rest.to_owned();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), hearing).await.expect("it is told")
    }

    /// Clients that push a record or order a payout, in turn.
    fn load(&self) -> Load {
        let (push, pay) = (
            format!("http://{}/ingest/transactions", self.address),
            format!("http://{}/payouts", self.address),
        );
        let (key, paying_key) = (self.key.clone(), self.paying_key.clone());
        let (account, payee) = (self.account.clone(), self.payee.clone());
        Load::start(move |client, number| {
            if number % 2 == 0 {
                let record = records::transaction(&format!("load{number}"), "SUCCEEDED");
                return client.post(&push).bearer_auth(&key).json(&[record]);
            }
            let order = json!({"idempotencyKey": format!("load{number}"), "amount": "1", "currency": "GBP/2",
                "sourceAccountId": account, "destinationAccountId": payee});
            client.post(&pay).bearer_auth(&paying_key).json(&order)
        })
    }

    /// Orders of which nobody knows the outcome yet: state, lookups, seconds until the next, reason.
    async fn open_orders(&self) -> Vec<(String, i32, Option<i32>, Option<String>)> {
        sqlx::query_as(
            "select state, lookups, extract(epoch from next_at - clock_timestamp())::integer, reason
             from payment_orders where state in ('recorded', 'sending', 'unknown', 'parked')",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// Every payout that was ordered moved money once. Needs a server that lives.
    async fn check_payouts(&self, sent: usize) {
        let waiting = async {
            while !self.open_orders().await.is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(120), waiting).await.is_err() {
            panic!("orders that go no further: {:#?}", self.open_orders().await);
        }
        let orders: Vec<(String, String)> =
            sqlx::query_as("select idempotency_key, provider_key from payment_orders")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        let ordered: BTreeSet<&str> = orders.iter().map(|(key, _)| key.as_str()).collect();
        let keys: Vec<String> =
            (0..sent).filter(|number| number % 2 == 1).map(|number| format!("load{number}")).collect();
        let lost = keys.iter().filter(|key| !ordered.contains(key.as_str())).count();
        assert_eq!((lost, orders.len()), (0, keys.len()), "keys lost, keys there");
        let mut moved: Vec<String> = self.bank.movements().into_iter().map(|movement| movement.key).collect();
        let mut wanted: Vec<String> = orders.into_iter().map(|(_, key)| key).collect();
        moved.sort();
        wanted.sort();
        assert_eq!(moved, wanted, "each key moves money once");
    }

    /// Ends the load; nothing that was acknowledged is missing, nothing is there twice.
    async fn check(&self, load: Load, what: &str) -> [u64; 3] {
        let (tally, sent) = load.end().await;
        println!("{what}: {sent} requests, {tally:?}");
        let stored: Vec<String> = sqlx::query_scalar("select id from transactions where id like 'load%'")
            .fetch_all(&self.pool)
            .await
            .unwrap();
        let pushed: Vec<usize> = (0..sent).filter(|number| number % 2 == 0).collect();
        let lost = pushed.iter().filter(|number| !stored.contains(&format!("load{number}"))).count();
        assert_eq!((lost, stored.len()), (0, pushed.len()), "records lost, records there");
        self.check_payouts(sent).await;
        assert_eq!(tally.acknowledged.load(Ordering::SeqCst), sent as u64);
        tally.failures()
    }
}

/// Reads who pays and who is paid, before anybody orders anything.
async fn read_bank(pool: &PgPool, file: &str, url: &str) {
    let variables = |name: &str| Some(if name == "STARLING_URL" { url } else { TOKEN }.to_owned());
    let provider = Provider::parse(file, &variables).unwrap();
    let Source::Pull(manifest) = &provider.source else { panic!("it is pulled") };
    let connection = Arc::new(CompiledProvider::new(&provider.name, manifest).unwrap());
    let outcome = run_once(pool, &provider.name, &connection, &Arc::default()).await.unwrap();
    assert!(matches!(outcome, RunOutcome::Succeeded { .. }), "{outcome:?}");
}

/// A process that serves, or did: it is gone when this is dropped, also one that is no child of ours.
struct Server(Option<Pid>);

impl Server {
    fn pid(&self) -> Pid {
        self.0.expect("it has not ended")
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Stops it where it stands; no thread of it does anything any more.
    fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let frozen = waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(frozen, WaitStatus::Stopped(self.pid(), Signal::SIGSTOP));
    }

    /// Waits until it has ended; it has to end well.
    async fn ended(mut self) -> Pid {
        let pid = self.0.take().unwrap();
        let waiting = tokio::task::spawn_blocking(move || waitpid(pid, None).unwrap());
        let ended = tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it ends").unwrap();
        assert_eq!(ended, WaitStatus::Exited(pid, 0));
        pid
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            kill(pid, Signal::SIGKILL).ok();
            waitpid(pid, None).ok();
        }
    }
}

/// A connection on which every byte is ours.
struct Wire(TcpStream);

impl Wire {
    /// A connection on which one request was answered, and nothing is asked now.
    async fn idle(address: &str) -> Self {
        let mut wire = Self(TcpStream::connect(address).await.unwrap());
        wire.send("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n").await;
        assert!(wire.until("ok").await.starts_with("HTTP/1.1 200 OK\r\n"));
        wire
    }

    /// A push whose body is awaited by its handler by now: the answer to it says so.
    async fn half_a_push(scene: &Scene, id: &str) -> (Self, String) {
        let body = format!("[{}]", records::transaction(id, "SUCCEEDED"));
        let mut wire = Self(TcpStream::connect(&scene.address).await.unwrap());
        let head = format!(
            "POST /ingest/transactions HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {}\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            scene.key,
            body.len()
        );
        wire.send(&head).await;
        assert_eq!(wire.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
        wire.send(&body[..10]).await;
        (wire, body[10..].to_owned())
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(char::from(self.0.read_u8().await.unwrap()));
        }
        text
    }

    /// All that comes until the server closes. A reset is an error.
    async fn rest(mut self) -> std::io::Result<String> {
        let mut text = String::new();
        self.0.read_to_string(&mut text).await?;
        Ok(text)
    }
}

/// A restart with a request that is half sent, and a connection that is idle, when it begins.
/// `restart` gives the server that follows, and is done when the one before has ended.
async fn restart_with_witnesses<F>(scene: &Scene, load: &Load, round: usize, restart: F) -> Server
where
    F: Future<Output = Server>,
{
    load.more(BETWEEN).await;
    let idle = Wire::idle(&scene.address).await;
    let (mut half, rest) = Wire::half_a_push(scene, &format!("half{round}")).await;
    assert!(load.in_flight().await > 0, "requests are under way when it begins");
    let witness = async {
        let told = idle.rest().await.expect("an idle connection is not reset");
        assert!(told.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{told}");
        half.send(&rest).await;
        let answer = half.rest().await.expect("a request in flight is not reset");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("connection: close\r\n") && answer.contains("\"created\":1"), "{answer}");
    };
    let (server, ()) = tokio::join!(restart, witness);
    server
}

/// The restarts really happened: each server was another process than the ones before.
fn check_pids(mut pids: Vec<Pid>, restarts: usize) {
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), restarts + 1, "each restart made another process");
}

#[tokio::test]
async fn s27_restarts_on_a_socket_that_systemd_holds_refuse_and_reset_nothing() {
    let scene = Scene::new("activation").await;
    let socket = TcpListener::bind(&scene.address).unwrap();
    let mut server = scene.activate(&socket).await;
    let (load, mut pids) = (scene.load(), vec![]);
    for round in 0..RESTARTS {
        server = restart_with_witnesses(&scene, &load, round, async {
            server.signal(Signal::SIGTERM);
            scene.hear("STOPPING=1").await;
            pids.push(server.ended().await);
            scene.activate(&socket).await
        })
        .await;
    }
    load.more(BETWEEN).await;
    assert_eq!(scene.check(load, "a socket of systemd").await, [0; 3], "refused, reset, rejected");
    server.signal(Signal::SIGTERM);
    pids.push(server.ended().await);
    check_pids(pids, RESTARTS);
}

#[tokio::test]
async fn s27_upgrades_in_place_refuse_and_reset_nothing() {
    // successors are children of their predecessors: when those have ended, they are ours
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let scene = Scene::new("upgrade").await;
    let mut server = scene.start(&[]).await;
    let (load, mut pids) = (scene.load(), vec![]);
    for round in 0..RESTARTS {
        server = restart_with_witnesses(&scene, &load, round, async {
            server.signal(Signal::SIGUSR2);
            let successor = Server(Some(Pid::from_raw(scene.hear("MAINPID=").await.parse().unwrap())));
            pids.push(server.ended().await);
            successor
        })
        .await;
    }
    load.more(BETWEEN).await;
    assert_eq!(scene.check(load, "upgrades in place").await, [0; 3], "refused, reset, rejected");
    server.signal(Signal::SIGTERM);
    pids.push(server.ended().await);
    check_pids(pids, RESTARTS);
}

#[tokio::test]
async fn a_plain_restart_refuses_connections_and_the_load_notices() {
    let scene = Scene::new("plain").await;
    let server = scene.start(&[]).await;
    let load = scene.load();
    load.more(BETWEEN).await;
    server.signal(Signal::SIGTERM);
    server.ended().await;
    while load.tally.refused.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let server = scene.start(&[]).await;
    load.more(BETWEEN).await;
    let [refused, reset, rejected] = scene.check(load, "a plain restart").await;
    assert!(refused > 0);
    // what was accepted was finished all the same
    assert_eq!((reset, rejected), (0, 0));
    server.signal(Signal::SIGTERM);
    server.ended().await;
}

#[tokio::test]
async fn a_stopping_instance_says_that_it_is_not_ready_and_serves_until_it_is_hurried() {
    let scene = Scene::new("lame_duck").await;
    let server = scene.start(&["--lame-duck", "1h"]).await;
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = async |path: &str| {
        http.get(format!("http://{}{path}", scene.address)).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/readyz").await, 200);
    server.signal(Signal::SIGTERM);
    let noticing = async { while status("/readyz").await != 503 {} };
    tokio::time::timeout(Duration::from_secs(20), noticing).await.expect("a proxy notices");
    assert_eq!(status("/healthz").await, 200);
    let load = scene.load();
    load.more(BETWEEN).await;
    assert_eq!(scene.check(load, "a lame duck").await, [0; 3]);
    server.signal(Signal::SIGTERM);
    server.ended().await;
}

#[tokio::test]
async fn an_upgrade_that_cannot_start_leaves_the_old_process_at_work() {
    let place = Place::new("failed_upgrade");
    let url = server::new_database().await;
    let (mut old, address) = place.serve_logging(Some(&url), Stdio::piped()).await;
    std::fs::write(place.0.join("providers/broken.yaml"), "provider: [").unwrap();
    process::signal(&old, Signal::SIGUSR2);
    process::read_log_until(&mut old, "this process goes on").await;
    Wire::idle(&address).await;
    process::stop(old).await;
}

#[tokio::test]
async fn s27_sigkills_with_a_second_instance_lose_nothing_that_is_sent_again() {
    let scene = Scene::new("kills").await;
    let socket = TcpListener::bind(&scene.address).unwrap();
    let mut one = scene.activate(&socket).await;
    let mut other = scene.activate(&socket).await;
    let load = scene.load();
    for round in 0..5 {
        load.more(BETWEEN).await;
        // so that it is the first that gets this
        other.freeze();
        let (half, _) = Wire::half_a_push(&scene, &format!("half{round}")).await;
        other.signal(Signal::SIGCONT);
        one.signal(Signal::SIGKILL);
        drop(one);
        assert!(!half.rest().await.is_ok_and(|answer| answer.contains("HTTP/1.1")), "the kill met it");
        // the second one serves alone
        load.more(BETWEEN).await;
        let (mut again, rest) = Wire::half_a_push(&scene, &format!("half{round}")).await;
        again.send(&rest).await;
        assert!(again.until("\r\n\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"), "the same once more");
        one = other;
        other = scene.activate(&socket).await;
    }
    let [refused, _, rejected] = scene.check(load, "kills").await;
    assert_eq!((refused, rejected), (0, 0));
    let halves: i64 = sqlx::query_scalar("select count(*) from transactions where id like 'half%'")
        .fetch_one(&scene.pool)
        .await
        .unwrap();
    assert_eq!(halves, 5);
    for server in [one, other] {
        server.signal(Signal::SIGTERM);
        server.ended().await;
    }
}

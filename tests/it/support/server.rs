//! One PostgreSQL server for the whole test process, and a new database on it for each test.
//! TEST_DATABASE_URL names a server; else a container is started where a Docker engine
//! answers; else the private PostgreSQL. TRIBUTARY_TEST_POSTGRES=docker or =private insists.
//! A database is dropped when the thread of its test ends: six hundred of them fill a disk.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use private_pg::{Options, PrivatePostgres};
use sqlx::{Connection, Executor, PgConnection};
use testcontainers_modules::postgres::Postgres;
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{ContainerAsync, ImageExt};
use tokio::task::JoinSet;

use super::logins;

/// What the thread of the server is asked to do.
enum Ask {
    NewDatabase(mpsc::Sender<String>),
    Drop(String),
    Stop,
}

struct Server {
    asks: Mutex<mpsc::Sender<Ask>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// What this thread had made. The runtime of a test is gone before its thread ends.
#[derive(Default)]
struct OfThisThread(RefCell<Vec<String>>);

impl Drop for OfThisThread {
    fn drop(&mut self) {
        let Some(asks) = SERVER.get().and_then(|server| server.asks.lock().ok()) else { return };
        for url in self.0.take() {
            asks.send(Ask::Drop(url)).ok();
        }
    }
}

thread_local!(static MADE: OfThisThread = OfThisThread::default());

/// The URL of a new, migrated database.
pub async fn new_database() -> String {
    let url = tokio::task::spawn_blocking(|| {
        let server = SERVER.get_or_init(start);
        let (reply, answer) = mpsc::channel();
        server.asks.lock().unwrap().send(Ask::NewDatabase(reply)).unwrap();
        answer.recv().expect("the server's thread makes a database")
    })
    .await
    .unwrap();
    MADE.with(|made| made.0.borrow_mut().push(url.clone()));
    url
}

fn start() -> Server {
    let (asks, asked) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(keep(asked));
    });
    // the test harness ends with exit(), which drops nothing
    // SAFETY: the handler takes no argument, returns nothing and does not unwind
    assert_eq!(unsafe { nix::libc::atexit(stop) }, 0);
    Server { asks: Mutex::new(asks), thread: Mutex::new(Some(thread)) }
}

extern "C" fn stop() {
    let Some(server) = SERVER.get() else { return };
    if let Ok(asks) = server.asks.lock() {
        asks.send(Ask::Stop).ok();
    }
    if let Some(thread) = server.thread.lock().ok().and_then(|mut thread| thread.take()) {
        thread.join().ok();
    }
}

async fn keep(asked: mpsc::Receiver<Ask>) {
    let backend = Arc::new(Backend::start().await);
    let prefix = format!("tributary_test_{}", std::process::id());
    let template = format!("{prefix}_template");
    backend.execute(&format!("create database {template}")).await;
    let pool = tributary::store::connect(&backend.url_of(&template), 4).await.unwrap();
    tributary::store::migrate(&pool).await.unwrap();
    pool.close().await;
    let (mut made, mut drops) = (0, JoinSet::new());
    loop {
        match tokio::task::block_in_place(|| asked.recv()) {
            Ok(Ask::NewDatabase(reply)) => {
                made += 1;
                let name = format!("{prefix}_{made}");
                backend.execute(&format!("create database {name} template {template}")).await;
                reply.send(backend.url_of(&name)).ok();
            }
            // beside what is asked next: a drop waits for a checkpoint
            Ok(Ask::Drop(url)) => {
                let backend = Arc::clone(&backend);
                drops.spawn(async move { backend.drop_database(&name_in(&url)).await });
            }
            Ok(Ask::Stop) | Err(_) => break,
        }
    }
    drops.join_all().await;
    backend.drop_database(&template).await;
    Arc::into_inner(backend).expect("nothing is being dropped any more").stop().await;
}

fn name_in(url: &str) -> String {
    let url: url::Url = url.parse().expect("the URL of a database");
    url.path().trim_start_matches('/').to_owned()
}

enum Backend {
    Given(String),
    Container(String, Box<ContainerAsync<Postgres>>),
    Private(String, PrivatePostgres, std::path::PathBuf),
}

impl Backend {
    async fn start() -> Self {
        if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
            return Self::Given(url);
        }
        match std::env::var("TRIBUTARY_TEST_POSTGRES").as_deref() {
            Ok("docker") => {
                Self::container().await.expect("a Docker engine, as TRIBUTARY_TEST_POSTGRES=docker insists")
            }
            Ok("private") => Self::private().await,
            _ => match Self::container().await {
                Ok(container) => container,
                Err(error) => {
                    eprintln!("no container ({error}): testing on the private PostgreSQL");
                    Self::private().await
                }
            },
        }
    }

    async fn container() -> Result<Self, Box<dyn std::error::Error>> {
        let container = Postgres::default()
            .with_tag("18")
            .with_cmd(["-c", "fsync=off", "-c", "max_connections=300"])
            .with_startup_timeout(Duration::from_secs(120))
            .start()
            .await?;
        let port = container.get_host_port_ipv4(5432).await?;
        eprintln!("testing on a container of postgres:18, port {port}");
        let url = format!("postgres://postgres:postgres@127.0.0.1:{port}/postgres");
        Ok(Self::Container(url, Box::new(container)))
    }

    async fn private() -> Self {
        let folder =
            std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pg-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let options = Options {
            fsync: false,
            extra_settings: vec![("max_connections".into(), "300".into())],
            ..Options::default()
        };
        let private = PrivatePostgres::open_with(&folder, &options).await.expect("the private PostgreSQL");
        eprintln!("testing on the private PostgreSQL in {}", folder.display());
        Self::Private(private.url(), private, folder)
    }

    fn url(&self) -> &str {
        match self {
            Self::Given(url) | Self::Container(url, _) | Self::Private(url, _, _) => url,
        }
    }

    fn url_of(&self, database: &str) -> String {
        let mut url: url::Url = self.url().parse().expect("the server's URL");
        url.set_path(database);
        url.into()
    }

    async fn execute(&self, sql: &str) {
        let mut connection = PgConnection::connect(self.url()).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn drop_database(&self, name: &str) {
        self.execute(&format!("drop database if exists {name} with (force)")).await;
    }

    async fn stop(self) {
        match self {
            Self::Given(_) => {
                // it may be somebody's, and they have a password that everybody knows
                self.execute(&format!("drop role if exists {}", logins::ALL.join(", "))).await;
            }
            Self::Container(_, container) => container.rm().await.unwrap(),
            Self::Private(_, private, folder) => {
                private.close().await.unwrap();
                std::fs::remove_dir_all(folder).ok();
            }
        }
    }
}

//! S15: the disk of PostgreSQL is really full. Writes are refused with a 503 and pages stay
//! whole; once there is room again, all that was acknowledged is delivered, once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use axum::http::StatusCode;
use private_pg::{Options, PrivatePostgres};
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;
use tributary::store;
use tributary_formance::Kind;

use crate::support::proxy::report;
use crate::support::{Consumer, Loop, TestApp, records};

/// A file system of its own, in memory, which can be filled up.
struct Disk(PathBuf);

impl Disk {
    /// `Err` where this user may not mount.
    fn mount(name: &str, megabytes: u32) -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let disk = Self(folder);
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=755"), "tmpfs"])
            .arg(&disk.0)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() { Ok(disk) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(self.filler()).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // lazily: a server that a failed test left behind may still be there
        Command::new("umount").arg("-l").arg(&self.0).output().ok();
        std::fs::remove_dir(&self.0).ok();
    }
}

async fn postgres(disk: &Disk) -> PrivatePostgres {
    let options = Options {
        fsync: false,
        extra_settings: [("max_wal_size", "64MB"), ("min_wal_size", "32MB")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Options::default()
    };
    PrivatePostgres::open_with(&disk.0.join("data"), &options).await.expect("PostgreSQL starts")
}

/// Records of some 100 kB in all.
fn batch(number: usize) -> Vec<u8> {
    let records: Vec<Value> = (0..100)
        .map(|i| {
            let mut record = records::transaction(&format!("t{number}_{i}"), "SUCCEEDED");
            record["metadata"] = serde_json::json!({ "note": format!("{number}.{i};").repeat(150) });
            record
        })
        .collect();
    serde_json::to_vec(&records).unwrap()
}

/// Whether the batch was acknowledged; if not, it has to be refused as it should be.
async fn push(app: &TestApp, number: usize) -> bool {
    let (status, body) = app.post("/ingest/transactions", "application/json", batch(number)).await;
    is_ok_or_refused(status, &body)
}

fn is_ok_or_refused(status: StatusCode, body: &Value) -> bool {
    if status != StatusCode::OK {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
        assert!(body["Title"].is_string() && body["Detail"].is_string(), "{body}");
    }
    status == StatusCode::OK
}

const PAGE: &str = "/transactions?page=2&pageSize=100&sort=updatedAt:asc";

/// Asks for a page that was served as `whole`; gives whether it was refused.
async fn page_is_refused(app: &TestApp, whole: &Value) -> bool {
    let (status, body) = app.get(PAGE).await;
    let served = is_ok_or_refused(status, &body);
    assert!(!served || &body == whole, "a part of a page: {body}");
    !served
}

/// What the database itself says to whoever wants room: its SQLSTATE, if it says anything.
async fn sqlstate(url: &str) -> Option<String> {
    let mut connection = PgConnection::connect(url).await.ok()?;
    let written = connection.execute("create table room as select generate_series(1, 100000)").await;
    written.err()?.as_database_error()?.code().map(Into::into)
}

/// An application on a disk that can be filled up.
struct Setup {
    disk: Disk,
    private: PrivatePostgres,
    app: TestApp,
    /// Batches that were acknowledged.
    acknowledged: usize,
}

impl Setup {
    async fn new(disk: Disk) -> Self {
        let private = postgres(&disk).await;
        let pool = store::connect(&private.url(), 4).await.unwrap();
        store::migrate(&pool).await.unwrap();
        pool.close().await;
        let app = TestApp::on(&private.url()).await;
        Self { disk, private, app, acknowledged: 0 }
    }

    async fn push_acknowledged(&mut self, batches: usize) {
        for _ in 0..batches {
            assert!(push(&self.app, self.acknowledged).await);
            self.acknowledged += 1;
        }
    }

    /// There is room again, and the server, which went down, is started again.
    async fn recover(mut self) -> Self {
        self.disk.free();
        drop(self.private);
        self.private = postgres(&self.disk).await;
        let again = async { while !push(&self.app, self.acknowledged).await {} };
        tokio::time::timeout(Duration::from_secs(30), again).await.expect("pushes are taken again");
        self.acknowledged += 1;
        self
    }

    /// A running publisher delivers what was acknowledged, once.
    async fn check(&self) {
        let published = async {
            while self.app.feed("transactions").await.len() < 100 * self.acknowledged {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), published).await.expect("everything is published");
        for form in Loop::BOTH {
            let mut consumer = Consumer::new(&self.app, Kind::Transactions, form).await;
            consumer.poll().await;
            consumer.check(&self.app).await;
            assert_eq!(consumer.rows.len(), 100 * self.acknowledged, "what was acknowledged, once");
        }
    }

    async fn close(self) {
        self.app.close().await;
        self.private.close().await.unwrap();
    }
}

#[tokio::test]
async fn s15_a_full_disk_refuses_writes_with_503_and_loses_nothing_acknowledged() {
    let disk = match Disk::mount("full_disk", 224) {
        Ok(disk) => disk,
        Err(why) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "cannot mount a small disk: {why}");
            eprintln!("SKIPPED: no disk to fill, for this user may not mount one: {why}");
            return;
        }
    };
    let mut setup = Setup::new(disk).await;
    setup.push_acknowledged(3).await;
    setup.app.publish_all().await;
    let whole = setup.app.get_ok(PAGE).await;
    // acknowledged, and not published yet
    setup.push_acknowledged(3).await;

    setup.disk.fill();
    let stop = CancellationToken::new();
    let publisher = tokio::spawn(setup.app.publisher().run(stop.clone()));
    let (mut refused, mut disk_full) = (0, 0);
    while refused < 20 {
        match push(&setup.app, setup.acknowledged).await {
            true => setup.acknowledged += 1,
            false => refused += 1,
        }
        disk_full += u64::from(sqlstate(&setup.app.url).await.as_deref() == Some("53100"));
        page_is_refused(&setup.app, &whole).await;
        assert!(setup.acknowledged < 1000, "the disk never was full");
    }
    assert_eq!(setup.app.feed("transactions").await.len(), 300, "nothing more finds room in the feed");

    // its log finds no room either, and PostgreSQL goes down
    let mut connection = PgConnection::connect(&setup.app.url).await.unwrap();
    connection.execute("select pg_switch_wal()").await.ok();
    connection.execute("checkpoint").await.ok();
    let mut down = 0;
    for _ in 0..3 {
        assert!(!push(&setup.app, setup.acknowledged).await);
        down += u64::from(page_is_refused(&setup.app, &whole).await);
    }

    let setup = setup.recover().await;
    setup.check().await;
    stop.cancel();
    publisher.await.unwrap();
    setup.close().await;
    report([("push_refused", refused), ("disk_full", disk_full), ("server_down", down)]);
}

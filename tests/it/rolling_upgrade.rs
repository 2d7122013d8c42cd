//! S25, a rolling upgrade: the program as it was last released and the present one on one
//! database, under load, while the schema moves on beneath them; and back again.
//!
//! TRIBUTARY_PREVIOUS names the released program (`.ci/previous.sh` builds it). Without one, a
//! copy of the present program stands for it.

mod load;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::{Executor, PgPool, Postgres, Transaction};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tributary::store;
use tributary_domain::Scope;

use crate::support::app::new_test_key;
use crate::support::process::{PROGRAM, Place, stop};
use crate::support::{Consumer, Loop, server};
use load::Load;

/// A provider whose feed keeps up with the load.
const PROVIDER: &str = "provider: acme\npush: all\nfeed: { pace: 1000/s }\n\
    keys:\n  - { scope: connector, key: \"${ACME_KEY}\" }\n";

/// What a later migration may do to a table, here to every one that a running build uses.
const TABLES: [&str; 12] = [
    "accounts",
    "api_keys",
    "balances",
    "beneficiaries",
    "changes",
    "families",
    "feed",
    "feeds",
    "quarantine",
    "sync_cursors",
    "sync_runs",
    "transactions",
];
/// And an index of a large table, which is built beside the writers.
const INDEX: &str = "-- no-transaction
create index concurrently transactions_later_idx on transactions (provider, later);";

/// The row that all SQL users count up.
const HOT_ROW: &str = "insert into transactions (provider, id, type, status, asset, amount, created_at)
values ('acme', 'hot', 'PAYIN', 'PENDING', 'EUR/2', 0, '2026-03-01')";

/// A running instance, and what it has published so far.
struct Instance {
    name: &'static str,
    process: Child,
    address: String,
    operator: String,
    published: u64,
    http: reqwest::Client,
}

impl Instance {
    async fn start(place: &Place, name: &'static str, program: &Path, database: &str) -> Self {
        let (process, address) = place.serve_of(program, Some(database)).await;
        let operator = place.operator(&address);
        Self { name, process, address, operator, published: 0, http: load::http() }
    }

    /// Asks it how many versions it has published itself; gives whether there are more by now.
    async fn has_published_more(&mut self) -> bool {
        let metrics = self.http.get(format!("http://{}/metrics", self.operator)).send().await.unwrap();
        let published = metrics
            .text()
            .await
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("tributary_published_total{"))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum();
        std::mem::replace(&mut self.published, published) < published
    }

    async fn stop(self) {
        assert!(self.published > 0, "{} never published", self.name);
        println!("{} published {} versions", self.name, self.published);
        stop(self.process).await;
    }
}

/// Both publish, now: each adds to what it had published before.
async fn both_publish(phase: &str, a: &mut Instance, b: &mut Instance) {
    for instance in [a, b] {
        // what it had published until now does not count
        instance.has_published_more().await;
        let publishes = async {
            while !instance.has_published_more().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let published = tokio::time::timeout(Duration::from_secs(60), publishes).await;
        assert!(published.is_ok(), "{phase}: {} does not publish", instance.name);
    }
    println!("{phase}: both publish");
}

/// The released program, or a copy of the present one.
async fn previous(place: &Place) -> PathBuf {
    let program = std::env::var_os("TRIBUTARY_PREVIOUS");
    assert!(program.is_some() || std::env::var_os("CI").is_none(), "CI has to say what was released last");
    let program = match program.filter(|program| !program.is_empty()) {
        Some(program) => PathBuf::from(program),
        None => {
            let copy = place.0.join("tributary-copy");
            std::fs::copy(PROGRAM, &copy).unwrap();
            println!("nothing was released yet: a copy of the present program stands for the previous one");
            copy
        }
    };
    let output = place.command_of(&program, &["--version"]).output().await.unwrap();
    println!("previous: {}, {}", program.display(), String::from_utf8_lossy(&output.stdout).trim());
    program
}

async fn migrate(place: &Place, program: &Path, database: &str) {
    let output =
        place.command_of(program, &["migrate"]).env("DATABASE_URL", database).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The migrations of a build to come: those of today and more, one for each table.
async fn later_migrations(place: &Place) -> Migrator {
    let folder = place.0.join("migrations");
    std::fs::create_dir(&folder).unwrap();
    for file in std::fs::read_dir("migrations").unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    for (i, table) in TABLES.iter().enumerate() {
        let sql = format!("alter table {table} add column later text;");
        std::fs::write(folder.join(format!("999901010000{i:02}_{table}.sql")), sql).unwrap();
    }
    std::fs::write(folder.join("99990101000099_index.sql"), INDEX).unwrap();
    Migrator::new(folder.as_path()).await.unwrap()
}

/// A transaction that any migration of the tables has to wait for.
async fn in_the_way(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut transaction = pool.begin().await.unwrap();
    load::insert(&mut transaction, "held", 1).await.unwrap();
    transaction
}

/// Keeps the transaction open until a migration waits for it, and until both instances have
/// acknowledged pushes after that: whoever waits must not make all others wait.
async fn hold_up_the_migration(pool: &PgPool, transaction: Transaction<'static, Postgres>, load: &Load) {
    let waiting = "select exists (select from pg_locks l join pg_database d on d.oid = l.database
        where d.datname = current_database() and l.mode = 'AccessExclusiveLock' and not l.granted)";
    let waits = async {
        while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(pool).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waits).await.expect("the migration waits");
    let before = load.acknowledged.each_ref().map(|count| count.load(Relaxed));
    let goes_on = async {
        while load.acknowledged.iter().zip(before).any(|(count, before)| count.load(Relaxed) < before + 10) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(50), goes_on).await.expect("pushes go on beside the migration");
    transaction.commit().await.unwrap();
    load.versions.fetch_add(1, Relaxed);
}

/// What goes on all the time: pushes and polls through each instance, and two SQL users.
struct Clients {
    writers: Vec<JoinHandle<()>>,
    consumers: Vec<JoinHandle<Consumer>>,
}

fn clients(load: &Arc<Load>) -> Clients {
    let mut clients = Clients { writers: vec![], consumers: vec![] };
    for client in 0..2 {
        let (pushed, written, consumed) = (Arc::clone(load), Arc::clone(load), Arc::clone(load));
        clients.writers.push(tokio::spawn(async move { pushed.push(client).await }));
        clients.writers.push(tokio::spawn(async move { written.write_sql(client).await }));
        let form = Loop::BOTH[client];
        clients.consumers.push(tokio::spawn(async move { consumed.consume(client, form).await }));
    }
    clients
}

/// Sends a client to another instance.
fn replace(load: &Load, client: usize, instance: Instance) -> Instance {
    load.addresses[client].lock().unwrap().clone_from(&instance.address);
    instance
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// Lets the clients end, and everything arrive: each version once, in order, none too many.
async fn check(pool: &PgPool, load: &Load, clients: Clients) {
    for writer in clients.writers {
        writer.await.unwrap();
    }
    let published = async {
        while count(pool, "select count(*) from changes").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), published).await.expect("everything is published");
    for consumer in clients.consumers {
        let mut consumer = consumer.await.unwrap();
        consumer.poll().await;
        consumer.check_against(pool, "acme").await;
    }
    // with the row that was there before the load
    let versions = load.versions.load(Relaxed) as i64 + 1;
    println!(
        "{versions} versions; {} calls to be made again, {} transactions rolled back",
        load.later.load(Relaxed),
        load.rolled_back.load(Relaxed)
    );
    assert_eq!(count(pool, "select count(*) from feed").await, versions, "each version once");
    assert_eq!(count(pool, "select max(position) - min(position) + 1 from feed").await, versions, "dense");
    assert_eq!(count(pool, "select min(position) from feed").await, 1);
    assert!(load.rolled_back.load(Relaxed) > 0);
    assert_eq!(count(pool, "select count(*) from feed where id like 'canary%'").await, 0);
    let disordered = "select count(*) from (
        select published_at <= lag(published_at) over (order by position) as back,
               id = 'hot' and (body ->> 'amount')::numeric
                 <> row_number() over (partition by id order by position) - 1 as skips,
               id like 'p%' and body ->> 'status'
                 <> (array['PENDING', 'SUCCEEDED'])[row_number() over (partition by id order by position)] as wrong
        from feed) f where back or skips or wrong";
    assert_eq!(count(pool, disordered).await, 0, "timestamps ascend, and so do the versions of each row");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s25_old_and_new_share_a_database_under_load_while_it_is_migrated() {
    let place = Place::new("rolling_upgrade");
    std::fs::write(place.0.join("providers/acme.yaml"), PROVIDER).unwrap();
    let (old, new) = (previous(&place).await, Path::new(PROGRAM));
    let url = server::new_database().await;
    let pool = store::connect(&url, 10).await.unwrap();
    pool.execute("drop schema public cascade; create schema public").await.unwrap();
    migrate(&place, &old, &url).await;
    let key = new_test_key(&pool, &"acme".parse().unwrap(), Scope::Ingest).await;
    pool.execute(HOT_ROW).await.unwrap();

    let mut a = Instance::start(&place, "old A", &old, &url).await;
    let mut b = Instance::start(&place, "old B", &old, &url).await;
    let load = Arc::new(Load::new([&a.address, &b.address], key, pool.clone()));
    let clients = clients(&load);
    both_publish("before the migration", &mut a, &mut b).await;

    let later = later_migrations(&place).await;
    let migrated = async {
        migrate(&place, new, &url).await;
        let begun = std::time::Instant::now();
        store::migrate::apply(&pool, &later).await.unwrap();
        println!("migrated under load in {:.1?}", begun.elapsed());
    };
    // open before the migration begins, which else might be done by then
    let held = in_the_way(&pool).await;
    tokio::join!(migrated, hold_up_the_migration(&pool, held, &load));
    let columns = "select count(*) from information_schema.columns
        where table_schema = 'public' and column_name = 'later'";
    assert_eq!(count(&pool, columns).await, TABLES.len() as i64);
    let valid =
        "select count(*) from pg_index where indexrelid = 'transactions_later_idx'::regclass and indisvalid";
    assert_eq!(count(&pool, valid).await, 1);
    both_publish("old and old on the later schema", &mut a, &mut b).await;

    b.stop().await;
    let mut b = replace(&load, 1, Instance::start(&place, "new B", new, &url).await);
    both_publish("old and new", &mut a, &mut b).await;
    // a build that is older than the schema has nothing to migrate, and says so by succeeding
    migrate(&place, new, &url).await;
    migrate(&place, &old, &url).await;

    a.stop().await;
    let mut a = replace(&load, 0, Instance::start(&place, "old A again", &old, &url).await);
    both_publish("the old one starts on the later schema", &mut a, &mut b).await;

    a.stop().await;
    let mut a = replace(&load, 0, Instance::start(&place, "new A", new, &url).await);
    both_publish("new and new", &mut a, &mut b).await;

    load.stop.cancel();
    check(&pool, &load, clients).await;
    a.stop().await;
    b.stop().await;
}

//! Bringing the schema up to date while others use it.
//!
//! Most changes of a table want it alone for a moment, and whoever waits for that makes everyone
//! behind it wait too. So a migration waits only briefly for its locks, gives way, and tries
//! again. A migration outside of a transaction (`create index concurrently`) locks nobody out and
//! waits as long as it takes.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use super::StoreError;

/// The migrations of this build; `sqlx migrate run` applies the same files.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// How long a migration waits for a lock, and all others behind it: less than the second after
/// which PostgreSQL looks for deadlocks, so that a migration ends one before a writer has to.
const SET_LOCK_TIMEOUT: &str = "set lock_timeout = '500ms'";
/// How long it gives way after that.
const PAUSE: Duration = Duration::from_secs(1);
/// When it gives up: by then something holds the locks that is not load.
const PATIENCE: Duration = Duration::from_secs(600);
/// The advisory lock of whoever migrates.
const MIGRATING: i64 = 7_405;

/// Brings the schema up to this build. Safe to run at the same time from several places, and
/// while instances of this build or of the one before serve. A schema that later builds have
/// taken further stays as it is. Grants are made anew each time.
pub async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    apply(pool, &MIGRATOR).await
}

/// As [`migrate`], with the migrations of another build.
pub async fn apply(pool: &PgPool, migrations: &Migrator) -> Result<(), StoreError> {
    // a connection of its own: its settings and locks go with it
    let mut connection = pool.acquire().await?.detach();
    connection.execute("set statement_timeout = 0; set client_min_messages = warning").await?;
    let applied = async {
        take_turn(&mut connection).await?;
        apply_pending(&mut connection, migrations).await?;
        grant(&mut connection).await
    }
    .await;
    connection.close().await?;
    applied
}

/// Waits until nobody else migrates. It asks instead of waiting in the database: an index that
/// is built concurrently would wait for the statement that waits for it.
async fn take_turn(connection: &mut PgConnection) -> Result<(), StoreError> {
    let begun = Instant::now();
    while !sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "taken!""#, MIGRATING)
        .fetch_one(&mut *connection)
        .await?
    {
        if begun.elapsed() > PATIENCE {
            return Err(StoreError::Schema("another migration has been running for 10 minutes".into()));
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn apply_pending(connection: &mut PgConnection, migrations: &Migrator) -> Result<(), StoreError> {
    let applied = applied(connection).await?;
    let newest = migrations.iter().map(|migration| migration.version).max();
    let unknown = applied.iter().find(|version| !migrations.version_exists(**version));
    if let Some(version) = unknown.filter(|version| Some(**version) < newest) {
        return Err(StoreError::Schema(format!(
            "cannot migrate: the database has migration {version}, which this build does not have: use the build that has it"
        )));
    }
    let mut ours = Migrator::with_migrations(migrations.iter().cloned().collect());
    // what is left to ignore are the later ones
    ours.set_ignore_missing(true);
    for migration in ours.iter().filter(|migration| !applied.contains(&migration.version)) {
        apply_one(connection, &ours, migration).await?;
    }
    // nothing is left to do but to compare what was applied with what is there
    ours.run(&mut *connection).await.map_err(failure)
}

/// Grants everything anew, and says which groups are missing.
async fn grant(connection: &mut PgConnection) -> Result<(), StoreError> {
    let missing = super::roles::grant(connection).await?;
    if !missing.is_empty() {
        let make = missing.iter().map(|role| format!("create role {role} nologin; ")).collect::<String>();
        tracing::warn!(
            missing = missing.join(", "),
            "this login may not make these roles, and nothing is granted to them: have somebody who may \
             run {make:?} and then run `tributary migrate` again"
        );
    }
    Ok(())
}

async fn apply_one(
    connection: &mut PgConnection,
    migrator: &Migrator,
    migration: &Migration,
) -> Result<(), StoreError> {
    let begun = Instant::now();
    connection.execute(if migration.no_tx { "set lock_timeout = 0" } else { SET_LOCK_TIMEOUT }).await?;
    loop {
        match migrator.run_to(migration.version, &mut *connection).await {
            Ok(()) => {
                tracing::info!(version = migration.version, description = %migration.description, "migrated");
                return Ok(());
            }
            Err(error) if !migration.no_tx && lost_a_lock(&error) && begun.elapsed() < PATIENCE => {
                tracing::warn!(
                    version = migration.version,
                    "the migration waits for a lock of another session; trying again"
                );
                sleep(PAUSE).await;
            }
            Err(error) => return Err(failure(error)),
        }
    }
}

/// Whether the transaction of a migration was ended for the sake of others: lock_not_available,
/// deadlock_detected.
fn lost_a_lock(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}

fn failure(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => error.into(),
        other => StoreError::Schema(format!("cannot migrate: {other}")),
    }
}

/// The versions that the database has.
async fn applied(connection: &mut PgConnection) -> Result<BTreeSet<i64>, StoreError> {
    let table = sqlx::query_scalar!("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if table != Some(true) {
        return Ok(BTreeSet::new());
    }
    let versions: Vec<i64> = sqlx::query_scalar("select version from _sqlx_migrations where success")
        .fetch_all(connection)
        .await?;
    Ok(versions.into_iter().collect())
}

/// Refuses a database on which a migration of this build has not run yet. One that later builds
/// have migrated further is welcome: they only add to what this one uses.
pub async fn require_schema(pool: &PgPool) -> Result<(), StoreError> {
    let advice = "run `tributary migrate` (or `sqlx migrate run`) on this database first";
    let applied = applied(&mut *pool.acquire().await?).await?;
    if applied.is_empty() {
        return Err(StoreError::Schema(format!("the database has no schema of Tributary: {advice}")));
    }
    if MIGRATOR.iter().any(|migration| !applied.contains(&migration.version)) {
        return Err(StoreError::Schema(format!(
            "the schema of the database is older than this build: {advice}"
        )));
    }
    let later = applied.iter().filter(|version| !MIGRATOR.version_exists(**version)).count();
    if later > 0 {
        tracing::info!(later, "the schema of the database is newer than this build");
    }
    Ok(())
}

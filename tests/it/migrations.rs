//! Migrations: from nothing, again, and by sqlx-cli.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlSafeStr};
use tributary::store::migrate::{MIGRATOR, apply, require_schema};

use crate::support::TestApp;

/// Everything that the schema consists of, as text.
async fn schema(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "select 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
                || coalesce(column_default, '') || coalesce(generation_expression, '')
         from information_schema.columns where table_schema = 'public'
         union all select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
         from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n'
         union all select 'index ' || indexdef from pg_indexes where schemaname = 'public'
         union all select 'function ' || pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
         union all select 'trigger ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
         union all select 'options ' || relname || ' ' || reloptions::text from pg_class
         where relnamespace = 'public'::regnamespace and reloptions is not null
         order by 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let app = TestApp::new().await;
    let before = schema(&app.pool).await;
    assert!(before.len() > 100, "{}", before.len());
    tributary::store::migrate(&app.pool).await.unwrap();
    assert_eq!(schema(&app.pool).await, before);
}

#[tokio::test]
async fn every_constraint_is_named_by_hand() {
    let app = TestApp::new().await;
    let names: Vec<String> = sqlx::query_scalar(
        "select conname::text from pg_constraint
         where connamespace = 'public'::regnamespace and contype <> 'n' and conrelid <> '_sqlx_migrations'::regclass",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    let migrations: String = std::fs::read_dir("migrations")
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "sql"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    for name in names {
        assert!(migrations.contains(&name), "{name} is a name that PostgreSQL made up");
    }
}

/// An instance that runs has its statements prepared. One that asks for whatever columns there
/// are would fail from the moment on at which the migration of a later build adds one.
#[test]
fn every_statement_names_its_columns() {
    let mut statements = 0;
    for file in std::fs::read_dir(".sqlx").unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let described: serde_json::Value = serde_json::from_str(&text).unwrap();
        let statement = described["query"].as_str().unwrap().to_lowercase();
        let words: Vec<&str> = statement.split_whitespace().collect();
        let everything = ["select *", "returning *"];
        assert!(!everything.iter().any(|all| words.join(" ").contains(all)), "{statement}");
        assert!(!words.iter().any(|word| word.trim_end_matches(',').ends_with(".*")), "{statement}");
        statements += 1;
    }
    assert!(statements > 20, "{statements}");
}

#[tokio::test]
async fn sqlx_cli_makes_the_same_schema() {
    let Some(sqlx_cli) = find_sqlx_cli() else {
        assert!(std::env::var_os("CI").is_none(), "CI has to have sqlx-cli");
        eprintln!("skipped: sqlx-cli is not installed (cargo install sqlx-cli)");
        return;
    };
    let app = TestApp::new().await;
    let expected = schema(&app.pool).await;
    app.sql("drop schema public cascade; create schema public").await;
    let output = tokio::process::Command::new(sqlx_cli)
        .args(["migrate", "run", "--source", "migrations", "--database-url", &app.url])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(schema(&app.pool).await, expected);
    require_schema(&app.pool).await.unwrap();
}

fn find_sqlx_cli() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    let local = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin");
    std::env::split_paths(&path).chain([local]).map(|folder| folder.join("sqlx")).find(|file| file.is_file())
}

#[tokio::test]
async fn a_database_without_the_schema_is_refused_with_what_to_do() {
    let app = TestApp::new().await;
    app.sql("drop schema public cascade; create schema public").await;
    let error = require_schema(&app.pool).await.unwrap_err().to_string();
    assert!(error.contains("tributary migrate"), "{error}");
}

/// The migrations of this build and one of `version` more.
fn with_another(version: i64, sql: &'static str, in_transaction: bool) -> Migrator {
    let another =
        Migration::new(version, "another".into(), MigrationType::Simple, sql.into_sql_str(), !in_transaction);
    Migrator::with_migrations(MIGRATOR.iter().cloned().chain([another]).collect())
}

#[tokio::test]
async fn a_later_schema_is_taken_as_it_is() {
    let app = TestApp::new().await;
    let later = with_another(99990101000000, "alter table accounts add column later text", true);
    apply(&app.pool, &later).await.unwrap();
    let before = schema(&app.pool).await;
    require_schema(&app.pool).await.unwrap();
    tributary::store::migrate(&app.pool).await.unwrap();
    assert_eq!(schema(&app.pool).await, before);
}

#[tokio::test]
async fn a_migration_that_this_build_should_know_and_does_not_is_refused() {
    let app = TestApp::new().await;
    apply(&app.pool, &with_another(20000101000000, "select 1", true)).await.unwrap();
    let error = tributary::store::migrate(&app.pool).await.unwrap_err().to_string();
    assert!(error.contains("20000101000000"), "{error}");
}

#[tokio::test]
async fn an_applied_migration_that_was_edited_is_refused() {
    let app = TestApp::new().await;
    app.sql("update _sqlx_migrations set checksum = '\\x00' where version = (select min(version) from _sqlx_migrations)")
        .await;
    let error = tributary::store::migrate(&app.pool).await.unwrap_err().to_string();
    assert!(error.contains("has been modified"), "{error}");
}

#[tokio::test]
async fn several_that_migrate_at_once_do_it_once() {
    let app = TestApp::new().await;
    app.sql("drop schema public cascade; create schema public").await;
    let concurrently = "create index concurrently accounts_name_idx on accounts (provider, name)";
    let migrations = with_another(99990101000000, concurrently, false);
    let (a, b, c) = tokio::join!(
        apply(&app.pool, &migrations),
        apply(&app.pool, &migrations),
        apply(&app.pool, &migrations)
    );
    for applied in [a, b, c] {
        applied.unwrap();
    }
    require_schema(&app.pool).await.unwrap();
    let indexes: i64 =
        sqlx::query_scalar("select count(*) from pg_indexes where indexname = 'accounts_name_idx'")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert_eq!(indexes, 1);
}

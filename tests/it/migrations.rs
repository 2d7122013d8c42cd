//! Migrations: from nothing, again, and by sqlx-cli.

use sqlx::PgPool;

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
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    for name in names {
        assert!(migrations.contains(&name), "{name} is a name that PostgreSQL made up");
    }
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
    tributary::store::database::require_schema(&app.pool).await.unwrap();
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
    let error = tributary::store::database::require_schema(&app.pool).await.unwrap_err().to_string();
    assert!(error.contains("tributary migrate"), "{error}");
}

//! Whoever writes with SQL gets the same tracking as our own jobs, and the tables refuse what
//! would poison the connector.

use sqlx::Executor;

use crate::support::TestApp;

const COLUMNS: &str = "provider, id, type, status, asset, amount, created_at";

fn row(id: &str, status: &str, amount: i64) -> String {
    format!("('acme', '{id}', 'PAYIN', '{status}', 'EUR/2', {amount}, '2026-03-01T12:00:00Z')")
}

/// (id, status) of every version that the feed holds.
async fn versions(app: &TestApp) -> Vec<(String, String)> {
    app.publish_all().await;
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    app.feed("transactions").await.iter().map(|body| (text(&body["id"]), text(&body["status"]))).collect()
}

fn expected(versions: &[(&str, &str)]) -> Vec<(String, String)> {
    versions.iter().map(|(id, status)| ((*id).to_owned(), (*status).to_owned())).collect()
}

#[tokio::test]
async fn insert_on_conflict_tracks_new_and_changed_rows_once() {
    let app = TestApp::new().await;
    let upsert = |rows: &[String]| {
        format!(
            "insert into transactions ({COLUMNS}) values {} on conflict (provider, id)
             do update set status = excluded.status, amount = excluded.amount",
            rows.join(", ")
        )
    };
    app.sql(&upsert(&[row("a", "PENDING", 1), row("b", "PENDING", 1)])).await;
    app.sql(&upsert(&[row("a", "SUCCEEDED", 1), row("b", "PENDING", 1), row("c", "PENDING", 1)])).await;
    assert_eq!(
        {
            let mut versions = versions(&app).await;
            versions.sort();
            versions
        },
        expected(&[("a", "PENDING"), ("a", "SUCCEEDED"), ("b", "PENDING"), ("c", "PENDING")])
    );
}

#[tokio::test]
async fn rows_of_one_statement_go_out_in_the_order_in_which_they_were_written() {
    let app = TestApp::new().await;
    let rows = [
        row("c", "PENDING", 1),
        row("a", "REFUND_REVERSED", 1),
        row("d", "CAPTURE", 1),
        row("b", "FAILED", 1),
    ];
    app.sql(&format!("insert into transactions ({COLUMNS}) values {}", rows.join(", "))).await;
    assert_eq!(
        versions(&app).await,
        expected(&[
            ("c", "PENDING"),
            ("a", "SUCCEEDED"),
            ("a", "REFUNDED"),
            ("a", "REFUND_REVERSED"),
            ("d", "AUTHORISATION"),
            ("d", "CAPTURE"),
            ("b", "FAILED"),
        ])
    );
}

#[tokio::test]
async fn merge_tracks_new_and_changed_rows_once() {
    let app = TestApp::new().await;
    app.sql(&format!("insert into transactions ({COLUMNS}) values {}", row("a", "PENDING", 1))).await;
    app.sql(&format!(
        "merge into transactions t using (values {}, {}) as s ({COLUMNS})
         on t.provider = s.provider and t.id = s.id
         when matched then update set status = s.status
         when not matched then insert ({COLUMNS})
           values (s.provider, s.id, s.type, s.status, s.asset, s.amount, s.created_at::timestamptz)",
        row("a", "FAILED", 1),
        row("b", "PENDING", 1)
    ))
    .await;
    let mut versions = versions(&app).await;
    versions.sort();
    assert_eq!(versions, expected(&[("a", "FAILED"), ("a", "PENDING"), ("b", "PENDING")]));
}

#[tokio::test]
async fn copy_tracks_every_row() {
    let app = TestApp::new().await;
    let mut connection = app.pool.acquire().await.unwrap();
    let mut copy =
        connection.copy_in_raw(&format!("copy transactions ({COLUMNS}) from stdin")).await.unwrap();
    for id in ["a", "b", "c"] {
        copy.send(format!("acme\t{id}\tPAYIN\tPENDING\tEUR/2\t5\t2026-03-01 12:00:00+00\n").into_bytes())
            .await
            .unwrap();
    }
    assert_eq!(copy.finish().await.unwrap(), 3);
    assert_eq!(versions(&app).await, expected(&[("a", "PENDING"), ("b", "PENDING"), ("c", "PENDING")]));
}

#[tokio::test]
async fn an_update_typed_into_psql_is_tracked_and_one_that_changes_nothing_is_not() {
    let app = TestApp::new().await;
    app.sql(&format!("insert into transactions ({COLUMNS}) values {}", row("a", "PENDING", 1))).await;
    let psql = |sql: &'static str| {
        let url = app.url.clone();
        async move {
            let output = tokio::process::Command::new("psql")
                .args(["--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-c", sql, &url])
                .output()
                .await
                .expect("psql is installed");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    };
    psql("update transactions set status = 'SUCCEEDED' where id = 'a'").await;
    psql("update transactions set status = 'SUCCEEDED' where id = 'a'").await;
    psql("update transactions set provider_updated_at = now() where id = 'a'").await;
    assert_eq!(versions(&app).await, expected(&[("a", "PENDING"), ("a", "SUCCEEDED")]));
}

#[tokio::test]
async fn updated_at_moves_with_the_content_and_only_with_it() {
    let app = TestApp::new().await;
    app.sql(&format!("insert into transactions ({COLUMNS}) values {}", row("a", "PENDING", 1))).await;
    let updated_at = || async {
        sqlx::query_scalar::<_, chrono::DateTime<chrono::Utc>>(
            "select updated_at from transactions where id = 'a'",
        )
        .fetch_one(&app.pool)
        .await
        .unwrap()
    };
    let first = updated_at().await;
    app.sql("update transactions set status = 'PENDING', provider_updated_at = now()").await;
    assert_eq!(updated_at().await, first);
    app.sql("update transactions set status = 'SUCCEEDED', updated_at = '2000-01-01'").await;
    assert!(updated_at().await > first);
}

#[tokio::test]
async fn identity_type_and_creation_date_never_change() {
    let app = TestApp::new().await;
    app.sql(&format!("insert into transactions ({COLUMNS}) values {}", row("a", "PENDING", 1))).await;
    app.sql("insert into accounts (provider, id, name, created_at) values ('acme', 'x', 'X', '2026-01-01')")
        .await;
    app.sql("insert into balances (provider, account_id, asset, amount) values ('acme', 'x', 'EUR/2', 1)")
        .await;
    for (sql, constraint) in [
        ("update transactions set type = 'PAYOUT'", "transactions_identity_frozen"),
        ("update transactions set created_at = now()", "transactions_identity_frozen"),
        ("update transactions set related_transaction_id = 'b'", "transactions_identity_frozen"),
        ("update transactions set id = 'b'", "transactions_identity_frozen"),
        ("update accounts set created_at = now()", "accounts_identity_frozen"),
        ("update balances set asset = 'USD/2'", "balances_identity_frozen"),
    ] {
        let error = app.pool.execute(sql).await.expect_err(sql);
        assert_eq!(error.as_database_error().unwrap().constraint(), Some(constraint), "{sql}");
    }
}

#[tokio::test]
async fn rows_that_would_poison_the_connector_are_refused_by_named_constraints() {
    let app = TestApp::new().await;
    let insert = |column: &str, value: &str| {
        let mut row = vec![
            ("provider", "'acme'"),
            ("id", "'a'"),
            ("type", "'PAYIN'"),
            ("status", "'PENDING'"),
            ("asset", "'EUR/2'"),
            ("amount", "1"),
            ("created_at", "'2026-03-01'"),
            ("metadata", "'{}'"),
            ("related_transaction_id", "null"),
            ("source_account_id", "null"),
        ];
        row.iter_mut().find(|(name, _)| *name == column).unwrap().1 = value;
        let names: Vec<&str> = row.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = row.iter().map(|(_, value)| *value).collect();
        format!("insert into transactions ({}) values ({})", names.join(", "), values.join(", "))
    };
    for (column, value, constraint) in [
        ("id", "''", "transactions_id_valid"),
        ("id", "repeat('x', 1001)", "transactions_id_valid"),
        ("type", "'payin'", "transactions_type_known"),
        ("status", "'CHARGEBACK'", "transactions_status_known"),
        ("status", "''", "transactions_status_known"),
        ("asset", "'euro'", "transactions_asset_umn"),
        ("asset", "'EUR/1234567'", "transactions_asset_umn"),
        ("asset", "E'EUR/2\\n'", "transactions_asset_umn"),
        ("amount", "10.50", "transactions_amount_minor_units"),
        ("amount", "10.00", "transactions_amount_minor_units"),
        ("amount", "'NaN'", "transactions_amount_minor_units"),
        ("amount", "'Infinity'", "transactions_amount_minor_units"),
        ("amount", "-1", "transactions_amount_minor_units"),
        ("created_at", "'0001-01-01 00:00:00+00'", "transactions_created_at_valid"),
        ("created_at", "'0044-03-15 BC'", "transactions_created_at_valid"),
        ("created_at", "'10000-01-01 00:00:00+00'", "transactions_created_at_valid"),
        ("created_at", "'infinity'", "transactions_created_at_valid"),
        ("metadata", "'{\"k\": 1}'", "transactions_metadata_flat"),
        ("metadata", "'{\"k\": null}'", "transactions_metadata_flat"),
        ("metadata", "'{\"k\": [\"v\"]}'", "transactions_metadata_flat"),
        ("metadata", "'[]'", "transactions_metadata_flat"),
        ("metadata", "jsonb_build_object('k', repeat('v', 70000))", "transactions_metadata_flat"),
        ("related_transaction_id", "'a'", "transactions_related_valid"),
        ("source_account_id", "''", "transactions_source_valid"),
    ] {
        let sql = insert(column, value);
        let error = app.pool.execute(sqlx::AssertSqlSafe(sql.as_str())).await.expect_err(&sql);
        assert_eq!(error.as_database_error().unwrap().constraint(), Some(constraint), "{sql}");
    }
}

#[tokio::test]
async fn two_changes_of_one_row_are_published_in_the_order_of_its_lock() {
    // S6: T1 starts, T2 updates and commits, T1 updates and commits
    let app = TestApp::new().await;
    app.sql(&format!("insert into transactions ({COLUMNS}) values {}", row("r", "PENDING", 1))).await;
    let mut t1 = app.pool.begin().await.unwrap();
    t1.execute("select count(*) from transactions").await.unwrap();
    app.sql("update transactions set status = 'DISPUTE' where id = 'r'").await;
    t1.execute("update transactions set status = 'DISPUTE_WON' where id = 'r'").await.unwrap();
    t1.commit().await.unwrap();
    assert_eq!(versions(&app).await, expected(&[("r", "PENDING"), ("r", "DISPUTE"), ("r", "DISPUTE_WON")]));
}

#[tokio::test]
async fn an_etl_role_needs_rights_on_the_tables_only() {
    let app = TestApp::new().await;
    let role = format!("etl_{}", std::process::id());
    app.sql(&format!("create role {role}; grant insert, update, select on transactions to {role};")).await;
    let mut session = app.pool.begin().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "set local role {role}; insert into transactions ({COLUMNS}) values {}; reset role",
        row("a", "PENDING", 1)
    )))
    .execute(&mut *session)
    .await
    .unwrap();
    session.commit().await.unwrap();
    assert_eq!(versions(&app).await, expected(&[("a", "PENDING")]));
    app.sql(&format!("drop owned by {role}; drop role {role}")).await;
}

//! The real program, killed at each point in turn while it pays.

use std::time::Duration;

use sqlx::PgPool;
use tributary::payments::Point;
use tributary::store;
use tributary_domain::Status;
use tributary_formance::PaymentStatus;
use tributary_formance::kept::InitiationStatus;
use tributary_standin::kit::PaymentFault;

use crate::support::process::{FILE_KEY, Place, stop};
use crate::support::server;
use crate::support::till::{Formance, MANIFEST, SECRET, TOKEN, impatient, now, number, order_of, small_bank};
use crate::support::with_fast_feed;

/// The bank's manifest with little patience, and a key.
fn provider_file() -> String {
    let quick = with_fast_feed(&impatient(MANIFEST));
    format!("{quick}\nkeys:\n  - {{ scope: connector, key: \"${{ACME_KEY}}\" }}\n")
}

async fn wait_for(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), waited)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

async fn killed_at(point: Point) {
    let (bank, bank_running) = small_bank().await;
    let place = Place::new(&format!("killed_at_{}", point.as_str()));
    std::fs::remove_file(place.0.join("providers/acme.yaml")).unwrap();
    std::fs::write(place.0.join("providers/starling.yaml"), provider_file()).unwrap();
    let url = server::new_database().await;
    let pool = store::connect(&url, 4).await.unwrap();
    let start = async |deadly: Option<Point>| {
        place
            .serve_as(|command| {
                command
                    .env("ACME_KEY", FILE_KEY)
                    .env("DATABASE_URL", &url)
                    .env("STARLING_URL", &bank_running.url);
                command.env("STARLING_TOKEN", TOKEN).env_remove("TRIBUTARY_DIE_AT");
                command.env("TRIBUTARY_PAYMENT_SECRET", SECRET);
                if let Some(point) = deadly {
                    command.env("TRIBUTARY_DIE_AT", point.as_str());
                }
            })
            .await
    };
    let (mut deadly, address) = start(Some(point)).await;
    wait_for("payees", async || number(&pool, "select count(*) from beneficiaries").await > 0).await;
    if point == Point::LookedUp {
        bank.set_payment_faults([PaymentFault::ErrorAfter]);
    }
    let mut formance = Formance::over(&format!("http://{address}"), FILE_KEY);
    let initiation = order(&pool).await;
    assert!(formance.kept.initiate("k", now()));
    let died = async {
        let _ = tokio::join!(formance.client.create(tributary_formance::Movement::Payout, &initiation));
        deadly.wait().await.unwrap()
    };
    let status = tokio::time::timeout(Duration::from_secs(60), died).await.expect("it dies");
    assert!(!status.success(), "{point:?}: it was killed: {status}");
    // what is left is an order that somebody else carries on, and a connector that asks again
    let (survivor, address) = start(None).await;
    formance.client = Formance::over(&format!("http://{address}"), FILE_KEY).client;
    let row = loop {
        match formance.send(&initiation).await {
            Ok(row) => break row,
            Err(error) => assert!(!error.class().is_final(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(row.payment().status.to_string(), "PENDING");
    wait_for("the money", async || !bank.movements().is_empty()).await;
    bank.move_payment(&bank.movements()[0].key, Status::Succeeded);
    wait_for("the order", async || {
        number(&pool, "select count(*) from payment_orders where state = 'succeeded'").await == 1
    })
    .await;
    wait_for("the feed", async || {
        number(&pool, "select count(*) from feed where body ->> 'relatedTransactionID' = 'k' and body ->> 'status' = 'SUCCEEDED'").await > 0
    })
    .await;
    formance.take().await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed), "{point:?}");
    assert_eq!(bank.movements().len(), 1, "{point:?}");
    stop(survivor).await;
}

async fn order(pool: &PgPool) -> tributary_formance::Initiation {
    let account: String =
        sqlx::query_scalar("select id from accounts limit 1").fetch_one(pool).await.unwrap();
    let payee: String =
        sqlx::query_scalar("select id from beneficiaries limit 1").fetch_one(pool).await.unwrap();
    order_of("k", 1500, &account, &payee)
}

#[tokio::test]
async fn s21_sigkill_when_the_order_is_recorded() {
    killed_at(Point::Recorded).await;
}

#[tokio::test]
async fn s21_sigkill_right_before_the_first_byte() {
    killed_at(Point::Sending).await;
}

#[tokio::test]
async fn s21_sigkill_before_the_outcome_is_kept() {
    killed_at(Point::Sent).await;
}

#[tokio::test]
async fn s21_sigkill_before_the_request_is_answered() {
    killed_at(Point::Kept).await;
}

#[tokio::test]
async fn s21_sigkill_before_a_look_is_kept() {
    killed_at(Point::LookedUp).await;
}

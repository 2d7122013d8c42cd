//! Records that may be an order's movement wait until that is known, and hold up no others.

use serde_json::json;
use tributary::payments::Policy;
use tributary::records::{self, Batch};
use tributary_domain::{Resource, Status, parse_record};
use tributary_standin::kit::PaymentFault;

use crate::support::till::{Formance, Till, number, quick, read_as, without_keys};

/// How many held records are looked at together, and a payroll of more than two such pages.
const PAYROLL: usize = 2_500;

#[tokio::test]
async fn a_payroll_of_equal_amounts_does_not_keep_the_rest_waiting() {
    let mut till = Till::open(Policy::GUARD).await;
    // a bank whose records do not repeat the key
    till.change(|manifest| read_as(manifest, without_keys));
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    till.bank.hide_payments(true);
    till.bank.set_payment_faults([PaymentFault::ErrorAfter, PaymentFault::ErrorAfter]);
    for (key, amount) in [("salary", 250_000), ("other", 1_500)] {
        formance.pay(&till.initiation(key, amount)).await.unwrap();
    }
    // nobody looks before all is held
    app.sql("update payment_orders set next_at = null").await;
    let record = |id: String, amount: &str| {
        let record = json!({"id": id, "type": "PAYOUT", "status": "SUCCEEDED", "currency": "GBP/2",
            "amount": amount, "sourceAccountID": till.account, "createdAt": chrono::Utc::now().to_rfc3339()});
        parse_record(Resource::Transactions, record.to_string().as_bytes()).unwrap()
    };
    // paid by somebody else, each as much as the order that cannot be found
    let salaries = (0..PAYROLL).map(|n| record(format!("salary-{n}"), "250000"));
    let others = (0..5).map(|n| record(format!("other-{n}"), "1500"));
    let batch = Batch { records: salaries.chain(others).collect(), decides: true, ..Batch::default() };
    let mut transaction = tributary::store::begin(&app.pool).await.unwrap();
    records::write(&mut transaction, app.name(), Resource::Transactions, &batch).await.unwrap();
    transaction.commit().await.unwrap();
    let held = "select count(*) from unmatched_records";
    assert_eq!(number(&app.pool, held).await, PAYROLL as i64 + 5);
    // one of the two is found, and those that were like it are known to be others
    till.bank.hide_payments(false);
    app.sql("update payment_orders set next_at = clock_timestamp() where idempotency_key = 'other'").await;
    till.carry_on(&payments, "other", &["pending"]).await;
    let (_, waiting) =
        records::match_waiting(&app.pool, app.name()).await.unwrap().expect("nobody else does");
    assert_eq!((waiting, number(&app.pool, held).await), (PAYROLL, PAYROLL as i64));
    let served = "select count(*) from transactions where id like 'other-%'";
    assert_eq!(number(&app.pool, served).await, 5, "they do not wait behind the payroll");
    // and then the payroll
    app.sql("update payment_orders set next_at = clock_timestamp() where idempotency_key = 'salary'").await;
    till.carry_on(&payments, "salary", &["pending"]).await;
    till.bank.move_payment(&till.bank_keys("salary").await[0], Status::Succeeded);
    records::match_waiting(&app.pool, app.name()).await.unwrap().expect("nobody else does");
    assert_eq!(number(&app.pool, held).await, 0);
    assert_eq!(
        number(&app.pool, "select count(*) from transactions where id like 'salary-%'").await,
        PAYROLL as i64
    );
}

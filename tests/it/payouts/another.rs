//! A provider that carries out something else than what was ordered, or tells of another payment: no
//! money moves again, nothing false is told, and a person decides.

use std::time::Duration;

use tributary::payments::{Payments, Policy};
use tributary::store::payment_orders::{self, Resolution};
use tributary_domain::{OrderState, Status};
use tributary_formance::kept::InitiationStatus;
use tributary_formance::{Movement, PaymentStatus};
use tributary_standin::kit::PaymentFault;

use crate::providers::shipped::{
    AIRWALLEX, MERCURY, PAYSTACK, REVOLUT, STARLING, STRIPE, Shipped, WISE, XENDIT,
};
use crate::support::TestApp;
use crate::support::logins::{self, ANN};
use crate::support::till::{Formance, Till, number, quick};

const PAYING: [Shipped; 8] = [STARLING, AIRWALLEX, MERCURY, REVOLUT, PAYSTACK, STRIPE, WISE, XENDIT];

/// Orders 1,500 of a provider that does `fault`.
async fn ordered(shipped: Shipped, fault: PaymentFault) -> (Till, TestApp, Payments, Formance) {
    let till = Till::at(shipped, Movement::Payout, Duration::ZERO).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = till.formance(&app).await;
    till.bank.set_payment_faults([fault]);
    let row = formance.pay(&till.initiation("k", 1500)).await.unwrap();
    assert_eq!(row.payment().status, PaymentStatus::Pending);
    (till, app, payments, formance)
}

async fn reason(till: &Till) -> String {
    let reason = sqlx::query_scalar("select reason from payment_orders").fetch_one(&till.app.pool);
    reason.await.unwrap()
}

/// The order waits for a person, whatever is read of the provider and whoever asks again, and Formance
/// shows one payment of which nothing is known.
async fn stays_parked(till: &Till, app: &TestApp, payments: &Payments, formance: &mut Formance) {
    let (requests, movements) = (till.bank.payment_requests(), till.bank.movements().len());
    for _ in 0..2 {
        till.sync().await;
        payments.worker().run_once().await.unwrap();
        // Formance sends it again, as after a lost answer
        formance.send(&till.initiation("k", 1500)).await.unwrap();
        assert_eq!(till.state("k").await, "parked");
    }
    assert_eq!((till.bank.payment_requests(), till.bank.movements().len()), (requests, movements));
    formance.poll(app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
}

#[tokio::test]
async fn a_payment_of_another_amount_under_our_key_is_not_ours() {
    for shipped in PAYING {
        for fault in [PaymentFault::OtherAmount(1400), PaymentFault::Partial] {
            let (till, app, payments, mut formance) = ordered(shipped, fault.clone()).await;
            let moved = till.bank.movements()[0].amount_minor;
            till.carry_on(&payments, "k", &["parked"]).await;
            let why = reason(&till).await;
            assert!(why.contains(&format!("it is of {moved} and not of 1500")), "{fault:?}: {why}");
            stays_parked(&till, &app, &payments, &mut formance).await;
        }
    }
}

#[tokio::test]
async fn a_record_of_another_amount_that_is_read_first_parks_the_order_too() {
    for shipped in PAYING {
        let (till, app, payments, mut formance) = ordered(shipped, PaymentFault::Partial).await;
        till.sync().await;
        assert_eq!(till.state("k").await, "parked");
        stays_parked(&till, &app, &payments, &mut formance).await;
    }
}

#[tokio::test]
async fn a_conflict_that_names_somebody_elses_payment_proves_nothing() {
    // Mercury answers a key that it knows with 409 and the transaction
    let (till, app, payments, mut formance) = ordered(MERCURY, PaymentFault::Foreign).await;
    assert_eq!(till.state("k").await, "parked");
    let why = reason(&till).await;
    assert!(why.contains("it is of 1501 and not of 1500") && why.contains("it goes to"), "{why}");
    assert_eq!(till.bank.movements().len(), 0, "no money moved for the order");
    stays_parked(&till, &app, &payments, &mut formance).await;
    // and somebody else's payment is shown as what it is
    let shown = "select count(*) from transactions where amount = 1501 and status = 'SUCCEEDED'";
    assert_eq!(number(&app.pool, shown).await, 1);
}

#[tokio::test]
async fn what_comes_back_after_it_arrived_is_a_return_and_is_not_paid_again() {
    for shipped in PAYING {
        let till = Till::at(shipped, Movement::Payout, Duration::ZERO).await;
        let (app, payments) = till.instance("one", quick());
        let mut formance = till.formance(&app).await;
        formance.pay(&till.initiation("k", 1500)).await.unwrap();
        let key = till.bank_keys("k").await.remove(0);
        till.bank.move_payment(&key, Status::Succeeded);
        till.sync().await;
        formance.poll(&app).await;
        assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
        till.bank.return_payment(&key);
        till.sync().await;
        payments.worker().run_once().await.unwrap();
        formance.poll(&app).await;
        assert_eq!(formance.shows("k"), (PaymentStatus::Refunded, InitiationStatus::Reversed));
        // the same request again moves nothing
        formance.send(&till.initiation("k", 1500)).await.unwrap();
        assert_eq!((till.bank.payment_requests(), till.moved("k").await), (1, 1));
        assert_eq!(till.state("k").await, "succeeded");
    }
}

#[tokio::test]
async fn that_no_money_moved_is_evident_only_where_the_provider_would_show_it_by_now() {
    let mut till = Till::open(Policy::GUARD).await;
    // a bank that does not remember keys
    till.change(|manifest| manifest.payouts.as_mut().unwrap().key.lifetime = None);
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    let ann = sqlx::PgPool::connect(&logins::person(&app.url, ANN).await).await.unwrap();
    let id = async |key: &str| payment_orders::of_idempotency_key(&app.pool, key).await.unwrap()[0].id;
    let evidence = async |key: &str| {
        let found = "select found from payment_lookups where order_id = $1 order by id desc limit 1";
        let found = sqlx::query_scalar::<_, bool>(found).bind(id(key).await);
        found.fetch_optional(&app.pool).await.unwrap()
    };
    till.bank.hide_payments(true);
    till.bank.set_payment_faults([PaymentFault::ErrorBefore, PaymentFault::ErrorAfter]);
    for key in ["gone", "paid"] {
        formance.pay(&till.initiation(key, 1500)).await.unwrap();
        payments.worker().run_once().await.unwrap();
        assert_eq!(evidence(key).await, None, "a payment may take a while to show there");
        till.carry_on(&payments, key, &["parked"]).await;
        assert_eq!(evidence(key).await, Some(false), "{key}");
    }
    // one who says that it failed is enough then
    let decided = payment_orders::fail(&ann, id("gone").await, "never arrived").await.unwrap().unwrap();
    assert_eq!((decided.state, decided.needed), (OrderState::Failed, 1));
    // what is found after all is no failure of one person's word
    till.bank.hide_payments(false);
    assert!(payment_orders::resolve(&ann, id("paid").await, Resolution::Look).await.unwrap());
    till.carry_on(&payments, "paid", &["pending"]).await;
    assert_eq!(evidence("paid").await, Some(true));
    // a bank that cannot be asked proves nothing
    till.change(|manifest| manifest.base_url = "http://127.0.0.1:9".to_owned());
    let unasked = "select count(*) from payment_lookups";
    let before = number(&app.pool, unasked).await;
    app.sql("update payment_orders set state = 'parked' where state = 'pending'").await;
    assert!(payment_orders::resolve(&ann, id("paid").await, Resolution::Look).await.unwrap());
    till.payments("two", quick()).worker().run_once().await.unwrap();
    assert_eq!((number(&app.pool, unasked).await, till.state("paid").await.as_str()), (before, "unknown"));
    ann.close().await;
}

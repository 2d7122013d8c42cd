//! What the bank books of a payout that was ordered here is news of the order; and so is what comes back of it.

use chrono::Utc;
use tributary::config::Provider;
use tributary::payments::Policy;
use tributary::statements::{Files, Incoming, Taking, take};
use tributary_formance::PaymentStatus;
use tributary_formance::kept::InitiationStatus;

use super::{camt, day};
use crate::support::till::{Formance, Till, quick};

/// Takes a file of the bank's, as one that was fetched.
pub async fn fetched(till: &Till, files: &Files, text: String) -> tributary::store::Tally {
    let file = Incoming::read(files, "a.xml".to_owned(), "folder".to_owned(), text.into_bytes()).unwrap();
    let taking = Taking { provider: till.app.name(), files, decides: true, backfill: false };
    let mut transaction = till.app.pool.begin().await.unwrap();
    let taken = take(&mut transaction, taking, &file).await.unwrap();
    transaction.commit().await.unwrap();
    taken.tally()
}

/// A statement of today with one entry of `units` pence, that names `key`.
pub fn statement(number: u32, opening: i128, units: i128, key: &str, more: &str) -> String {
    let text = camt(&day(1, opening, &[units])).replace("EUR", "GBP");
    let details = format!(
        "<NtryDtls><TxDtls><Refs><EndToEndId>{key}</EndToEndId></Refs>{more}</TxDtls></NtryDtls></Ntry>"
    );
    text.replace("</Ntry>", &details)
        .replace("2026-03-02", &Utc::now().date_naive().to_string())
        .replace("<ElctrncSeqNb>1<", &format!("<ElctrncSeqNb>{number}<"))
}

#[tokio::test]
async fn a_payout_is_settled_by_its_booking_and_refunded_by_its_return() {
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
    let file = format!("provider: bank\nfiles: {{ accounts: {{ DE1: \"{}\" }} }}\n", till.account);
    let files = Provider::parse(&file, &|_| None).unwrap().files.unwrap();
    let key = till.bank_keys("k").await.remove(0);
    let tally = fetched(&till, &files, statement(1, 10_000, -1500, &key, "")).await;
    assert_eq!(tally.of_orders, 1, "its booking is news of the order, and no payment of its own: {tally:?}");
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
    let back = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>";
    fetched(&till, &files, statement(2, 8_500, 1500, &key, back)).await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Refunded, InitiationStatus::Reversed));
    assert_eq!(till.moved("k").await, 1);
}

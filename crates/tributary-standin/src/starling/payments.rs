//! Payments to payees: ordered with a key of the client's, executed once for each, and fed with
//! faults on demand. What was executed is in the books like any other item.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::Starling;
use super::births::Birth;
use super::guard::ApiError;
use super::lives::{Kind, Status};
use super::routes::find_category;
use super::state::Moment;
use super::uids::{self, Domain};
use crate::kit::desk::{Executed, Note};
use crate::kit::{Desk, Movement, OnDuplicate, Pays};
use tributary_domain;

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PaymentOrder {
    external_identifier: String,
    destination_payee_account_uid: Uuid,
    reference: String,
    amount: Amount,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Amount {
    currency: String,
    minor_units: u32,
}

impl Pays for Starling {
    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn movements(&self) -> Vec<Movement> {
        let bank = self.read();
        let movement = |(key, record): (String, usize)| {
            let item = &bank.items[record];
            Movement {
                key,
                id: uids::item_uid(self.directory.seed, record as u32).to_string(),
                amount_minor: i64::from(item.amount_minor),
                status: meaning(item.status),
            }
        };
        self.desk.executed().into_iter().map(movement).collect()
    }

    fn move_payment(&self, key: &str, status: tributary_domain::Status) {
        let mut bank = self.write();
        for record in self.desk.records(key) {
            let (index, status) = (record as u32, word(status));
            let before = bank.items[record].updated_at_ms;
            let stamp = bank.stamper.next(self.clock.now_ms(), Some(before));
            bank.open.retain(|open| *open != index || status.is_open());
            bank.moved(index, status, Moment { at_ms: stamp.at, lead_ms: 0, late_requests: None });
        }
    }

    fn show_payments(&self) {
        self.write().show_all();
    }

    fn live_on(&self, changes: usize) {
        self.tick(changes);
    }
}

/// What a status means in the canonical model.
fn meaning(status: Status) -> tributary_domain::Status {
    match status {
        Status::Upcoming | Status::Pending => tributary_domain::Status::Pending,
        Status::Settled => tributary_domain::Status::Succeeded,
        Status::Declined => tributary_domain::Status::Failed,
        Status::Reversed | Status::Refunded => tributary_domain::Status::Refunded,
    }
}

/// The bank's word for what a payment comes to.
fn word(status: tributary_domain::Status) -> Status {
    match status {
        tributary_domain::Status::Pending => Status::Pending,
        tributary_domain::Status::Succeeded => Status::Settled,
        tributary_domain::Status::Refunded => Status::Reversed,
        _ => Status::Declined,
    }
}

impl Starling {
    /// The reference that the client gave of this item; `None` of what nobody ordered.
    pub(super) fn reference(&self, item: u32) -> Option<String> {
        self.desk.note(item as usize)?.text
    }

    /// Executes the order under its key, if that was not done before; gives the order's id.
    fn execute(&self, category: u16, payee: u32, order: &PaymentOrder) -> Result<Uuid, ApiError> {
        // the books first: two requests of one key must not both find it unused
        let mut bank = self.write();
        let note = Note { key: order.external_identifier.clone(), text: Some(order.reference.clone()) };
        let executed = self.desk.execute(note, OnDuplicate::Replay, |entry| {
            let birth = Birth {
                category,
                kind: Kind::PaymentOut,
                counterparty: payee,
                amount_minor: order.amount.minor_units,
                status: word(entry.status),
            };
            let stamp = bank.stamper.next(self.clock.now_ms(), None);
            let late_requests = entry.hidden.then_some(u32::MAX);
            bank.born(&birth, Moment { at_ms: stamp.at, lead_ms: 0, late_requests }) as usize
        });
        match executed {
            Executed::Now(record) | Executed::Before(record) => {
                Ok(uids::uid(self.directory.seed, Domain::PaymentOrder, record as u64))
            }
            Executed::Refused => Err(ApiError::BadRequest("externalIdentifier was used before".to_owned())),
        }
    }
}

/// PUT a payment to the account of a payee.
pub(super) async fn pay(
    State(bank): State<Arc<Starling>>,
    Path((account, category)): Path<(String, String)>,
    body: Result<Json<PaymentOrder>, JsonRejection>,
) -> Result<Response, ApiError> {
    let category = find_category(&bank, &account, &category)?;
    let Json(order) = body.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
    let payer = Arc::clone(&bank);
    let execute = move || {
        let payee = check(&payer, category, &order)?;
        let order_uid = payer.execute(category, payee, &order)?;
        Ok(Json(json!({ "paymentOrderUid": order_uid })).into_response())
    };
    bank.desk.attend(execute, ApiError::BadRequest, ApiError::Internal).await
}

/// The payee of an order that makes sense.
fn check(bank: &Starling, category: u16, order: &PaymentOrder) -> Result<u32, ApiError> {
    let refuse = |message: &str| Err(ApiError::BadRequest(message.to_owned()));
    if order.external_identifier.is_empty() || !(1..=18).contains(&order.reference.chars().count()) {
        return refuse("externalIdentifier and a reference of 1 to 18 characters are needed");
    }
    if order.amount.minor_units == 0 || order.amount.currency != bank.directory.owner(category).currency.code
    {
        return refuse("amount is not one that the account can pay");
    }
    let payee = bank.directory.payees.iter().position(|payee| {
        payee.accounts.iter().any(|account| account.payee_account_uid == order.destination_payee_account_uid)
    });
    payee.and_then(|payee| u32::try_from(payee).ok()).ok_or(ApiError::NotFound("Payee account"))
}

//! Payments to payees: ordered with a key of the client's, executed once for each, and fed with
//! faults on demand. What was executed is in the books like any other item.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
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
use crate::standin::kit::cut::cut;

/// What goes wrong with one request to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentFault {
    /// Nothing.
    None,
    /// Refused, with this message; no money moves.
    Refuse(String),
    /// No answer; no money moves.
    SilentBefore,
    /// The money moves; no answer.
    SilentAfter,
    /// 500; no money moves.
    ErrorBefore,
    /// The money moves; 500.
    ErrorAfter,
    /// 500; the money moves so much later.
    ErrorThenExecute(Duration),
    /// The money moves; the answer breaks off.
    LoseAnswer,
    /// The money moves; the answer is no JSON.
    Garbage,
    /// The money moves; the answer comes so much later.
    Late(Duration),
}

/// What a request under a key that was used before does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// It is answered like the first one.
    #[default]
    Replay,
    /// It is refused.
    Refuse,
    /// The key is forgotten: the money moves again.
    Forget,
}

/// Money that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The client's key (`externalIdentifier`).
    pub key: String,
    /// `feedItemUid`.
    pub item: Uuid,
    /// In minor units.
    pub amount_minor: i64,
    /// As the feed shows it now.
    pub status: Status,
}

#[derive(Default)]
pub(super) struct Desk(Mutex<Counter>);

#[derive(Default)]
struct Counter {
    faults: VecDeque<PaymentFault>,
    on_duplicate: OnDuplicate,
    /// The status that payments have at once; pending where there is none.
    at_once: Option<Status>,
    orders: HashMap<String, Uuid>,
    /// Key and item of what was executed, in order.
    executed: Vec<(String, u32)>,
    references: HashMap<u32, String>,
    requests: u64,
    /// Whether new payments are left out of the lists.
    hidden: bool,
    /// Draws a fault for each request, this many of a thousand.
    chance: Option<(SmallRng, u32)>,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Counter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reference that the client gave of this item.
    pub fn reference(&self, item: u32) -> Option<String> {
        self.lock().references.get(&item).cloned()
    }
}

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

impl Starling {
    /// What happens to the next requests to pay, in turn; after them nothing goes wrong.
    pub fn set_payment_faults(&self, faults: impl IntoIterator<Item = PaymentFault>) {
        self.desk.lock().faults = faults.into_iter().collect();
    }

    /// What a key that was used before does from now on.
    pub fn set_on_duplicate(&self, on_duplicate: OnDuplicate) {
        self.desk.lock().on_duplicate = on_duplicate;
    }

    /// The status that payments get at once from now on; without one they are pending.
    pub fn set_payment_outcome(&self, at_once: Option<Status>) {
        self.desk.lock().at_once = at_once;
    }

    /// Whether payments that are made from now on are left out of the lists. Once they are not any
    /// more, all show.
    pub fn hide_payments(&self, hidden: bool) {
        self.desk.lock().hidden = hidden;
        if !hidden {
            self.write().show_all();
        }
    }

    /// Something goes wrong with `per_mille` of a thousand requests to pay from now on, as `seed`
    /// draws it.
    pub fn set_payment_chance(&self, per_mille: u32, seed: u64) {
        self.desk.lock().chance = Some((SmallRng::seed_from_u64(seed), per_mille));
    }

    /// All money that moved by payments, in order.
    pub fn movements(&self) -> Vec<Movement> {
        let (bank, desk) = (self.read(), self.desk.lock());
        let movement = |(key, index): &(String, u32)| {
            let item = &bank.items[*index as usize];
            Movement {
                key: key.clone(),
                item: uids::item_uid(self.directory.seed, *index),
                amount_minor: i64::from(item.amount_minor),
                status: item.status,
            }
        };
        desk.executed.iter().map(movement).collect()
    }

    /// How many requests to pay came.
    pub fn payment_requests(&self) -> u64 {
        self.desk.lock().requests
    }

    /// Moves the payments of `key` on to `status`.
    pub fn move_payment(&self, key: &str, status: Status) {
        let indexes: Vec<u32> =
            self.desk.lock().executed.iter().filter(|(of, _)| of == key).map(|(_, index)| *index).collect();
        let mut bank = self.write();
        for index in indexes {
            let before = bank.items[index as usize].updated_at_ms;
            let stamp = bank.stamper.next(self.clock.now_ms(), Some(before));
            bank.open.retain(|open| *open != index || status.is_open());
            bank.moved(index, status, Moment { at_ms: stamp.at, lead_ms: 0, late_requests: None });
        }
    }

    /// Executes the order under its key, if that was not done before; gives the order's id.
    fn execute(&self, category: u16, payee: u32, order: &PaymentOrder) -> Result<Uuid, ApiError> {
        // the books first: two requests of one key must not both find it unused
        let mut bank = self.write();
        let mut desk = self.desk.lock();
        let key = &order.external_identifier;
        if let Some(known) = desk.orders.get(key).copied() {
            match desk.on_duplicate {
                OnDuplicate::Replay => return Ok(known),
                OnDuplicate::Refuse => {
                    return Err(ApiError::BadRequest("externalIdentifier was used before".to_owned()));
                }
                OnDuplicate::Forget => {}
            }
        }
        let number = desk.executed.len() as u64;
        let birth = Birth {
            category,
            kind: Kind::PaymentOut,
            counterparty: payee,
            amount_minor: order.amount.minor_units,
            status: desk.at_once.unwrap_or(Status::Pending),
        };
        let stamp = bank.stamper.next(self.clock.now_ms(), None);
        let late_requests = desk.hidden.then_some(u32::MAX);
        let index = bank.born(&birth, Moment { at_ms: stamp.at, lead_ms: 0, late_requests });
        let order_uid = uids::uid(self.directory.seed, Domain::PaymentOrder, number);
        desk.orders.insert(key.clone(), order_uid);
        desk.executed.push((key.clone(), index));
        desk.references.insert(index, order.reference.clone());
        Ok(order_uid)
    }
}

impl Counter {
    fn draw(&mut self) -> PaymentFault {
        let Some((rng, per_mille)) = &mut self.chance else { return PaymentFault::None };
        if rng.random_range(0..1_000) >= *per_mille {
            return PaymentFault::None;
        }
        match rng.random_range(0..9) {
            0 => PaymentFault::Refuse("not today".to_owned()),
            1 => PaymentFault::SilentBefore,
            2 => PaymentFault::SilentAfter,
            3 => PaymentFault::ErrorBefore,
            4 => PaymentFault::ErrorAfter,
            5 => PaymentFault::ErrorThenExecute(Duration::from_millis(rng.random_range(1..100))),
            6 => PaymentFault::LoseAnswer,
            7 => PaymentFault::Garbage,
            _ => PaymentFault::Late(Duration::from_millis(rng.random_range(1..600))),
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
    let fault = {
        let mut desk = bank.desk.lock();
        desk.requests += 1;
        desk.faults.pop_front().unwrap_or_else(|| desk.draw())
    };
    let payee = check(&bank, category, &order)?;
    let execute = || bank.execute(category, payee, &order);
    let answer = |order_uid: Uuid| Json(json!({ "paymentOrderUid": order_uid })).into_response();
    match fault {
        PaymentFault::None => Ok(answer(execute()?)),
        PaymentFault::Refuse(message) => Err(ApiError::BadRequest(message)),
        PaymentFault::SilentBefore => std::future::pending().await,
        PaymentFault::SilentAfter => {
            execute()?;
            std::future::pending().await
        }
        PaymentFault::ErrorBefore => Err(ApiError::Internal),
        PaymentFault::ErrorAfter => {
            execute()?;
            Err(ApiError::Internal)
        }
        PaymentFault::ErrorThenExecute(after) => {
            let (bank, order) = (Arc::clone(&bank), order.clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                // nobody is there to be told
                let _ = bank.execute(category, payee, &order);
            });
            Err(ApiError::Internal)
        }
        PaymentFault::LoseAnswer => Ok(cut(answer(execute()?), || {}).await),
        PaymentFault::Garbage => {
            execute()?;
            Ok("<html>All is well</html>".into_response())
        }
        PaymentFault::Late(by) => {
            let order_uid = execute()?;
            tokio::time::sleep(by).await;
            Ok(answer(order_uid))
        }
    }
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

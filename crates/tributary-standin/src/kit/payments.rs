//! Orders to pay, executed in the books of the kit.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::changes::Clerk;
use super::desk::{Desk, Entry, Executed, Movement, Note, OnDuplicate, PaymentFault, Twist};
use super::money::Currency;
use super::refusal::Refusal;
use super::{Json, Standin};
use tributary_domain::Status;

/// An order as an endpoint has read it.
pub(crate) struct Order {
    /// The kind of record that it makes.
    pub kind: &'static str,
    /// The position of the account that pays.
    pub account: usize,
    pub to: To,
    /// In minor units, above 0.
    pub amount_minor: i64,
    /// The client's key.
    pub key: String,
    /// The client's text.
    pub text: Option<String>,
}

/// Whom an order pays, by position.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    Beneficiary(usize),
    Account(usize),
}

/// Reads the body of an order. Members that the API does not know are refused.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| bad("body", error))
}

/// A refusal of this member of an order.
pub(crate) fn bad(field: &'static str, why: impl std::fmt::Display) -> Refusal {
    Refusal::BadRequest { field, message: why.to_string() }
}

/// The minor units of a JSON number, digit by digit; above 0.
pub(crate) fn minor(currency: &Currency, amount: &RawValue) -> Result<i64, Refusal> {
    let minor = currency.minor(amount.get()).filter(|minor| *minor > 0);
    minor.ok_or_else(|| bad("amount", format!("{amount} is no amount in {}", currency.code)))
}

/// A payment that an order made.
pub(crate) struct Paid {
    /// The position of its record.
    pub record: usize,
    /// Whether an earlier request made it.
    pub before: bool,
}

impl Standin {
    /// Answers one request to pay: `order` reads it, `answer` tells of the payment. `usual` is what
    /// the provider does with a key that was used before.
    pub(crate) async fn pay(
        self: &Arc<Self>,
        order: impl Fn(&Self) -> Result<Order, Refusal> + Send + 'static,
        usual: OnDuplicate,
        answer: impl Fn(&Self, &Paid) -> Result<Json, Refusal> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let standin = Arc::clone(self);
        let execute = move |twist: Twist| {
            let mut order = order(&standin)?;
            match twist {
                Twist::OtherAmount(minor) => order.amount_minor = minor,
                Twist::Partial => order.amount_minor = (order.amount_minor / 2).max(1),
                Twist::None | Twist::Foreign => {}
            }
            let paid = match twist {
                Twist::Foreign => standin.pay_somebody_else(&order),
                _ => standin.execute(&order, usual)?,
            };
            let mut response = answer(&standin, &paid)?.into_response();
            if paid.before {
                *response.status_mut() = standin.fsp.paid_before();
            }
            Ok(response)
        };
        let refuse = |message: String| bad("payment", message);
        self.desk.attend(execute, refuse, Refusal::Server(500)).await
    }

    /// Enters a payment that is drafted, once for each key, and gives the position of its record. No
    /// money moves before it is ordered under that key.
    pub(crate) fn draft(&self, order: &Order) -> usize {
        let now_us = self.now_us();
        let mut books = self.write();
        let note = Note { key: order.key.clone(), text: order.text.clone() };
        self.desk.draft(note, || {
            Clerk { fsp: self.fsp, books: &mut books, faults: &self.faults, now_us }.drafted(order)
        })
    }

    /// Enters a payment that nobody ordered here: of another amount, to somebody else.
    fn pay_somebody_else(&self, order: &Order) -> Paid {
        let now_us = self.now_us();
        let mut books = self.write();
        let to = match order.to {
            To::Beneficiary(place) => To::Beneficiary((place + 1) % books.beneficiaries.len()),
            account => account,
        };
        let theirs =
            Order { to, amount_minor: order.amount_minor + 1, key: String::new(), text: None, ..*order };
        let mut clerk = Clerk { fsp: self.fsp, books: &mut books, faults: &self.faults, now_us };
        let record = clerk.ordered(&theirs, Entry { status: Status::Succeeded, hidden: false });
        Paid { record, before: true }
    }

    fn execute(&self, order: &Order, usual: OnDuplicate) -> Result<Paid, Refusal> {
        let now_us = self.now_us();
        // the books first: two requests of one key must not both find it unused
        let mut books = self.write();
        let note = Note { key: order.key.clone(), text: order.text.clone() };
        let is_draft = |&record: &usize| books.items[record].versions.len() == 1;
        let draft = self.desk.drafted(&order.key).filter(is_draft);
        let executed = self.desk.execute(note, usual, |entry| {
            let mut clerk = Clerk { fsp: self.fsp, books: &mut books, faults: &self.faults, now_us };
            match draft {
                Some(record) => clerk.funded(record, order, entry),
                None => clerk.ordered(order, entry),
            }
        });
        match executed {
            Executed::Now(record) => Ok(Paid { record, before: false }),
            Executed::Before(record) => Ok(Paid { record, before: true }),
            Executed::Refused => Err(bad("reference", "already exists on another payment")),
        }
    }
}

/// What whoever breaks the payments of a stand-in asks of it.
impl Standin {
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// All money that moved by orders, in order.
    pub fn movements(&self) -> Vec<Movement> {
        let books = self.read();
        let movement = |(key, record): (String, usize)| {
            let item = &books.items[record];
            let meaning = self.fsp.meaning(item, item.versions.len() - 1);
            Movement {
                key,
                id: item.id().to_owned(),
                amount_minor: item.amount_minor,
                status: meaning.map_or(Status::Other, |(_, status)| status),
            }
        };
        self.desk.executed().into_iter().map(movement).collect()
    }

    /// Moves the payments of `key` on to `status`.
    pub fn move_payment(&self, key: &str, status: Status) {
        let now_us = self.now_us();
        let mut books = self.write();
        for record in self.desk.records(key) {
            let mut clerk = Clerk { fsp: self.fsp, books: &mut books, faults: &self.faults, now_us };
            clerk.moved(record, status);
        }
    }

    /// The payments of `key`, which arrived, come back.
    ///
    /// # Panics
    /// Where one of them did not arrive.
    pub fn return_payment(&self, key: &str) {
        let of_key = self.movements().into_iter().filter(|movement| movement.key == key);
        for movement in of_key {
            assert_eq!(movement.status, Status::Succeeded, "only what arrived comes back");
        }
        self.move_payment(key, Status::Refunded);
    }

    /// What happens to the next requests to pay, in turn; after them nothing goes wrong.
    pub fn set_payment_faults(&self, faults: impl IntoIterator<Item = PaymentFault>) {
        self.desk.set_faults(faults);
    }

    /// Something goes wrong with `per_mille` of a thousand requests to pay from now on, as `seed`
    /// draws it.
    pub fn set_payment_chance(&self, per_mille: u32, seed: u64) {
        self.desk.set_chance(per_mille, seed);
    }

    /// What a key that was used before does from now on, other than is usual there.
    pub fn set_on_duplicate(&self, on_duplicate: OnDuplicate) {
        self.desk.set_on_duplicate(on_duplicate);
    }

    /// The status that payments get at once from now on; without one they are pending.
    pub fn set_payment_outcome(&self, at_once: Option<Status>) {
        self.desk.set_outcome(at_once);
    }

    /// Whether a payment that is like a recent one is taken, where the provider refuses such.
    pub fn allow_alike(&self, allowed: bool) {
        self.desk.allow_alike(allowed);
    }

    /// Whether payments that are made from now on are left out of the lists. Once they are not any
    /// more, all show.
    pub fn hide_payments(&self, hidden: bool) {
        self.desk.hide(hidden);
        if !hidden {
            self.show_all();
        }
    }

    /// How many requests to pay came.
    pub fn payment_requests(&self) -> u64 {
        self.payment_faults().values().sum()
    }

    /// How many of them met which fault, by [`PaymentFault::name`].
    pub fn payment_faults(&self) -> BTreeMap<&'static str, u64> {
        self.desk.fired()
    }
}

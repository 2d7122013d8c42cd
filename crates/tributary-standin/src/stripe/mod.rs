//! A stand-in of Stripe's API: the balance, balance transactions, refunds, payouts to the bank
//! accounts of the business, and the events that tell of payouts.
//!
//! What an account is elsewhere is a currency here, and its id is the currency's code. Every list goes
//! newest first, by the id of the row behind which (`starting_after`) or before which
//! (`ending_before`) it goes on. Times are seconds since 1970, orders are forms, and a repeated
//! `Idempotency-Key` is answered with the first answer.

mod events;
mod lives;
mod payments;
mod render;
mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use super::kit::{Fsp, Item, Json, Profile, Refusal, Standin, Terms, ids, money, object, times};
use tributary_domain::{Status, TransactionType};

pub struct Stripe;

static PROFILE: Profile = Profile {
    currencies: &[&money::EUR, &money::USD, &money::JPY],
    most_accounts: 3,
    opening_minor: 50_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json",
    token_path: "/oauth/token",
    limit: None,
};

impl Fsp for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn routes(&self) -> Router<Arc<Standin>> {
        routes::routes()
    }

    fn id(&self, domain: &str, seed: u64, n: u64) -> String {
        let prefix = match domain {
            "account" => return PROFILE.currencies[n as usize % PROFILE.currencies.len()].code.to_owned(),
            "beneficiary" => "ba_",
            "payout" => "po_",
            "refund" => "re_",
            _ => "txn_",
        };
        format!("{prefix}1{}", ids::letters(seed, domain, n, 21))
    }

    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match item.kind.name {
            "payout" => TransactionType::Payout,
            "stripe_fee" => TransactionType::Other,
            _ => TransactionType::Payin,
        };
        let status = match (item.kind.name, item.versions[upto].status) {
            ("refund", "pending") => return None,
            ("refund", "succeeded") => Status::Refunded,
            ("refund", _) if item.was("succeeded", upto) => Status::RefundReversed,
            ("refund", _) => Status::RefundedFailure,
            ("payout", "paid") => Status::Succeeded,
            ("payout", lives::REVERSED) => Status::Refunded,
            ("payout", "failed") => Status::Failed,
            ("payout", "canceled") => Status::Cancelled,
            ("payout", _) => Status::Pending,
            _ => Status::Succeeded,
        };
        Some((kind, status))
    }

    fn word(&self, status: Status) -> Option<&'static str> {
        Some(match status {
            Status::Pending => "pending",
            Status::Succeeded => "paid",
            Status::Cancelled => "canceled",
            Status::Refunded => lives::REVERSED,
            _ => "failed",
        })
    }

    fn terms(&self) -> Terms {
        Terms {
            record: &["/v1/payouts/po_"],
            rows: &["id", "currency"],
            ids: &["id"],
            amounts: &["amount"],
            whole_amounts: true,
            words: &["status", "type"],
            page: &["starting_after", "ending_before"],
            size: &["limit"],
            window: &["created[gte]"],
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let (kind, code) = match refusal {
            Refusal::NotFound(_) => ("invalid_request_error", Some("resource_missing")),
            Refusal::RateLimited(_) => ("invalid_request_error", Some("rate_limit")),
            Refusal::Server(_) => ("api_error", None),
            _ => ("invalid_request_error", None),
        };
        let field = match refusal {
            Refusal::BadRequest { field, .. } => Some(*field),
            _ => None,
        };
        let error = object! { "code": code, "message": refusal.message(), "param": field, "type": kind };
        (refusal.status(), object! { "error": error.without_nulls() })
    }
}

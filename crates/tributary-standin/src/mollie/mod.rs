//! A stand-in of Mollie's API v2 (read only): payments with their refunds and chargebacks,
//! balances with their transactions, and payouts.
//!
//! Every list goes newest first, by the id of the row that a page starts with, and by nothing
//! else: no list can be asked for by time.

mod lives;
mod render;
mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use super::kit::{Fsp, Item, Json, Profile, Refusal, Standin, Terms, ids, money, object, times};
use tributary_domain::{Status, TransactionType};

pub struct Mollie;

static PROFILE: Profile = Profile {
    currencies: &[&money::EUR, &money::GBP, &money::USD],
    most_accounts: usize::MAX,
    opening_minor: 5_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/hal+json",
    token_path: "/oauth2/tokens",
    limit: None,
};

impl Fsp for Mollie {
    fn name(&self) -> &'static str {
        "mollie"
    }

    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn routes(&self) -> Router<Arc<Standin>> {
        routes::routes()
    }

    fn id(&self, domain: &str, seed: u64, n: u64) -> String {
        let (prefix, length) = match domain {
            "account" => ("bal", 21),
            "payment" => ("tr", 10),
            "refund" => ("re", 10),
            "chargeback" => ("chb", 8),
            "payout" => ("payout", 21),
            "movement" => ("baltr", 21),
            _ => ("cst", 10),
        };
        format!("{prefix}_{}", ids::letters(seed, domain, n, length))
    }

    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match item.kind.name {
            "payout" => TransactionType::Payout,
            _ => TransactionType::Payin,
        };
        let status = match (item.kind.name, item.versions[upto].status) {
            ("payment", "authorized") => Status::Authorisation,
            ("payment", "paid") if item.was("authorized", upto) => Status::Capture,
            ("payment", "paid") | ("payout", "completed") => Status::Succeeded,
            ("payment", "expired") => Status::Expired,
            ("refund", "refunded") => Status::Refunded,
            ("refund", "failed") => Status::RefundedFailure,
            ("refund", _) => return None,
            ("chargeback", "reversed") => Status::DisputeWon,
            ("chargeback", _) => Status::Dispute,
            (_, "canceled") => Status::Cancelled,
            (_, "failed") => Status::Failed,
            _ => Status::Pending,
        };
        Some((kind, status))
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["id"],
            ids: &["id"],
            amounts: &["amount/value", "availableAmount/value"],
            times: &["createdAt"],
            words: &["status"],
            page: &["from"],
            size: &["limit"],
            next: "/_links/next/href",
            next_is_link: true,
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let status = refusal.status();
        let field = match refusal {
            Refusal::BadRequest { field, .. } => Some(*field),
            _ => None,
        };
        let documentation = object! { "href": "https://docs.mollie.com/errors", "type": "text/html" };
        let body = object! {
            "status": i64::from(status.as_u16()),
            "title": status.canonical_reason(),
            "detail": refusal.message(),
            "field": field,
            "_links": object! { "documentation": documentation },
        };
        (status, body.without_nulls())
    }
}

//! A stand-in of Square's Connect API v2 (read only): locations, payments, refunds, disputes,
//! payouts with their entries, and bank accounts.
//!
//! Payments and refunds can be asked for by the time of their last change, oldest first. What has
//! no value is left out of an answer, also an empty list. A seller has no balance here: of the
//! [`Truth`](super::kit::Truth) of an account only its id, name and asset can be read.

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

pub struct Square;

static PROFILE: Profile = Profile {
    currencies: &[&money::USD, &money::JPY, &money::GBP],
    most_accounts: usize::MAX,
    opening_minor: 5_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json",
    token_path: "/oauth2/token",
    limit: None,
};

impl Fsp for Square {
    fn name(&self) -> &'static str {
        "square"
    }

    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn routes(&self) -> Router<Arc<Standin>> {
        routes::routes()
    }

    fn id(&self, domain: &str, seed: u64, n: u64) -> String {
        let letters = |length| ids::letters(seed, domain, n, length);
        match domain {
            "account" => format!("L{}", letters(12).to_uppercase()),
            "beneficiary" => format!("bact:{}", letters(20)),
            "payout" => format!("po_{}", ids::uuid(seed, domain, n)),
            "refund" => format!("{}_{}", letters(21), ids::letters(seed, "part", n, 21)),
            _ => letters(21),
        }
    }

    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match item.kind.name {
            "payout" => TransactionType::Payout,
            _ => TransactionType::Payin,
        };
        let status = match (item.kind.name, item.versions[upto].status) {
            ("payment", "APPROVED") => Status::Authorisation,
            ("payment", "COMPLETED") if item.was("APPROVED", upto) => Status::Capture,
            ("payment", "COMPLETED") | ("payout", "PAID") => Status::Succeeded,
            ("payment", "CANCELED") => Status::Cancelled,
            ("refund", "COMPLETED") => Status::Refunded,
            ("refund", "PENDING") => return None,
            ("refund", _) => Status::RefundedFailure,
            ("dispute", "WON") => Status::DisputeWon,
            ("dispute", "LOST" | "ACCEPTED") => Status::DisputeLost,
            ("dispute", _) => Status::Dispute,
            (_, "FAILED") => Status::Failed,
            _ => Status::Pending,
        };
        Some((kind, status))
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["id"],
            ids: &["id"],
            amounts: &["amount_money/amount"],
            whole_amounts: true,
            times: &["created_at", "updated_at"],
            updated: &["updated_at"],
            words: &["status", "state"],
            page: &["cursor"],
            size: &["limit"],
            window: &["updated_at_begin_time", "begin_time"],
            next: "/cursor",
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let (category, code) = match refusal {
            Refusal::Unauthorized | Refusal::BadGrant(_) => ("AUTHENTICATION_ERROR", "UNAUTHORIZED"),
            Refusal::TokenExpired => ("AUTHENTICATION_ERROR", "ACCESS_TOKEN_EXPIRED"),
            Refusal::NotFound(_) => ("INVALID_REQUEST_ERROR", "NOT_FOUND"),
            Refusal::BadRequest { field: "cursor", .. } => ("INVALID_REQUEST_ERROR", "INVALID_CURSOR"),
            Refusal::BadRequest { .. } => ("INVALID_REQUEST_ERROR", "INVALID_VALUE"),
            Refusal::RateLimited(_) => ("RATE_LIMIT_ERROR", "RATE_LIMITED"),
            Refusal::Server(502) => ("API_ERROR", "BAD_GATEWAY"),
            Refusal::Server(503) => ("API_ERROR", "SERVICE_UNAVAILABLE"),
            Refusal::Server(_) => ("API_ERROR", "INTERNAL_SERVER_ERROR"),
        };
        let field = match refusal {
            Refusal::BadRequest { field, .. } => Some(*field),
            _ => None,
        };
        let error =
            object! { "category": category, "code": code, "detail": refusal.message(), "field": field };
        (refusal.status(), object! { "errors": vec![error.without_nulls()] })
    }

    fn error_in_200(&self) -> Option<Json> {
        Some(self.refusal(&Refusal::Server(500)).1)
    }
}

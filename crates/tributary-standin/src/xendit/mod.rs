//! A stand-in of Xendit's API: the balance of each currency, transactions by cursor, payouts v2.
//!
//! There are no accounts and no list of payees: what an account is elsewhere is a currency here, its id
//! the currency's code, and a payout says itself where the money goes.

mod lives;
mod payouts;
mod render;
mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use super::kit::{Fsp, Item, Json, Profile, Refusal, Scheme, Standin, Terms, ids, money, object, times};
use tributary_domain::{Status, TransactionType};

pub struct Xendit;

static PROFILE: Profile = Profile {
    currencies: &[&money::PHP, &money::VND],
    most_accounts: 2,
    opening_minor: 5_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json; charset=utf-8",
    token_path: "/oauth/token",
    limit: None,
};

impl Fsp for Xendit {
    fn name(&self) -> &'static str {
        "xendit"
    }

    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn routes(&self) -> Router<Arc<Standin>> {
        routes::routes()
    }

    /// Of whom a payout pays, the number of the account.
    fn id(&self, domain: &str, seed: u64, n: u64) -> String {
        match domain {
            "account" => PROFILE.currencies[n as usize % PROFILE.currencies.len()].code.to_owned(),
            "beneficiary" => format!("{:012}", ids::hash(seed, domain, n) % 1_000_000_000_000),
            _ => format!("txn_{}", ids::uuid(seed, domain, n)),
        }
    }

    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match item.kind.name {
            "PAYMENT" | "TOPUP" => TransactionType::Payin,
            "DISBURSEMENT" | "WITHDRAWAL" => TransactionType::Payout,
            "TRANSFER_OUT" | "TRANSFER_IN" => TransactionType::Transfer,
            _ => TransactionType::Other,
        };
        let status = match item.versions[upto].status {
            "PENDING" => Status::Pending,
            "SUCCESS" => Status::Succeeded,
            "VOIDED" => Status::Cancelled,
            "REVERSED" => Status::Refunded,
            _ => Status::Failed,
        };
        Some((kind, status))
    }

    fn word(&self, status: Status) -> Option<&'static str> {
        Some(match status {
            Status::Pending => "PENDING",
            Status::Succeeded => "SUCCESS",
            Status::Cancelled => "VOIDED",
            Status::Refunded => "REVERSED",
            _ => "FAILED",
        })
    }

    fn scheme(&self) -> Scheme {
        Scheme::BasicUser
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["id"],
            ids: &["id"],
            amounts: &["amount", "balance"],
            times: &["created", "updated"],
            updated: &["updated"],
            words: &["status", "cashflow"],
            page: &["after_id"],
            size: &["limit"],
            window: &["updated[gte]"],
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let (status, code) = match refusal {
            Refusal::Unauthorized | Refusal::TokenExpired => (refusal.status(), "INVALID_API_KEY"),
            Refusal::NotFound(_) => (refusal.status(), "DATA_NOT_FOUND"),
            // a key that was used
            Refusal::BadRequest { field: "reference", .. } => (StatusCode::CONFLICT, "DUPLICATE_ERROR"),
            Refusal::BadGrant(_) | Refusal::BadRequest { .. } => (refusal.status(), "API_VALIDATION_ERROR"),
            Refusal::RateLimited(_) => (refusal.status(), "RATE_LIMIT_EXCEEDED"),
            Refusal::Server(_) => (refusal.status(), "SERVER_ERROR"),
        };
        (status, object! { "error_code": code, "message": refusal.message() })
    }
}

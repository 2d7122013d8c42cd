//! A stand-in of Paystack's API: transactions, transfers and orders for them, refunds, disputes,
//! transfer recipients, and the balance of each currency with its ledger.
//!
//! There are no accounts: what an account is elsewhere is a currency here, and its id is the
//! currency's code. Lists go newest first by page number (some by cursor, too), their `to` is not
//! part of the window, and a list of transfers is one of pending transfers unless told otherwise.

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

pub struct Paystack;

static PROFILE: Profile = Profile {
    currencies: &[&money::NGN, &money::GHS, &money::ZAR, &money::KES],
    most_accounts: 4,
    opening_minor: 5_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json; charset=utf-8",
    token_path: "/oauth/token",
    limit: None,
};

impl Fsp for Paystack {
    fn name(&self) -> &'static str {
        "paystack"
    }

    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn routes(&self) -> Router<Arc<Standin>> {
        routes::routes()
    }

    /// Whole numbers; each kind has a range of its own here, which Paystack does not promise.
    fn id(&self, domain: &str, seed: u64, n: u64) -> String {
        let start: u64 = match domain {
            "account" => return PROFILE.currencies[n as usize % PROFILE.currencies.len()].code.to_owned(),
            "transaction" => 4_000_000_000,
            "transfer" => 700_000_000,
            "refund" => 20_000_000,
            "dispute" => 3_000_000,
            _ => return format!("RCP_{}", ids::letters(seed, domain, n, 15).to_lowercase()),
        };
        let (renamed, n) = (n >> 40, n & 0xFF_FFFF_FFFF);
        (start + renamed * 500_000 + n * 5 + ids::hash(seed, domain, n) % 5).to_string()
    }

    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match item.kind.name {
            "transfer" => TransactionType::Payout,
            _ => TransactionType::Payin,
        };
        let status = match (item.kind.name, item.versions[upto].status) {
            ("refund", "processed") => Status::Refunded,
            ("refund", "failed") => Status::RefundedFailure,
            ("refund", _) => return None,
            ("dispute", lives::DECLINED) => Status::DisputeWon,
            ("dispute", lives::ACCEPTED) => Status::DisputeLost,
            ("dispute", _) => Status::Dispute,
            (_, "success") => Status::Succeeded,
            (_, "failed" | "rejected" | "blocked") => Status::Failed,
            (_, "reversed") => Status::Refunded,
            ("transaction", "abandoned") => Status::Expired,
            ("transfer", "abandoned") => Status::Cancelled,
            _ => Status::Pending,
        };
        Some((kind, status))
    }

    fn word(&self, status: Status) -> Option<&'static str> {
        Some(match status {
            Status::Pending => "pending",
            Status::Succeeded => "success",
            Status::Cancelled => "abandoned",
            Status::Refunded => "reversed",
            _ => "failed",
        })
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["id", "currency"],
            ids: &["id", "recipient_code"],
            amounts: &["amount", "balance", "refund_amount"],
            whole_amounts: true,
            times: &["createdAt", "created_at", "updatedAt"],
            updated: &["updatedAt"],
            words: &["status"],
            page: &["next", "page"],
            page_number: "page",
            size: &["per_page", "perPage"],
            window: &["from"],
            next: "/meta/next",
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let (kind, code) = match refusal {
            Refusal::Unauthorized | Refusal::TokenExpired => ("validation_error", "invalid_Key"),
            Refusal::NotFound(_) => ("validation_error", "not_found"),
            Refusal::BadGrant(_) | Refusal::BadRequest { .. } => ("validation_error", "invalid_params"),
            Refusal::RateLimited(_) => ("api_error", "rate_limited"),
            Refusal::Server(_) => ("api_error", "unknown"),
        };
        let body = object! { "status": false, "message": refusal.message(), "type": kind, "code": code };
        (refusal.status(), body)
    }
}

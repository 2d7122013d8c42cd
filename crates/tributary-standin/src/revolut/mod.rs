//! A stand-in of Revolut's Business API 1.0: accounts with their balances inside, transactions of
//! one or two legs, counterparties, payments to them, and transfers.
//!
//! Each leg is a record of the ledger, under its `leg_id`. Transactions can only be walked by the
//! time they were created, newest first, and `to` is not part of the window: rows that share the
//! time at which a page ends are passed over by who goes on from there.

mod lives;
mod payments;
mod render;
mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use super::kit::{Fsp, Item, Json, Limit, Profile, Refusal, Standin, Terms, ids, money, object};
use tributary_domain::{Status, TransactionType};

/// Revolut Business.
pub struct Revolut;

static PROFILE: Profile = Profile {
    currencies: &[&money::GBP, &money::EUR, &money::JPY, &money::GBP],
    most_accounts: usize::MAX,
    opening_minor: 5_000_000,
    kinds: lives::KINDS,
    tick_us: 1,
    content_type: "application/json",
    token_path: "/api/1.0/auth/token",
    limit: Some(Limit { requests: 60, seconds: 60 }),
};

impl Fsp for Revolut {
    fn name(&self) -> &'static str {
        "revolut"
    }

    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn routes(&self) -> Router<Arc<Standin>> {
        routes::routes()
    }

    fn id(&self, domain: &str, seed: u64, n: u64) -> String {
        ids::uuid(seed, domain, n).to_string()
    }

    /// A refund is a child of what was paid, and so of its type. A transfer between accounts is one
    /// movement, which the leg that pays tells.
    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match item.kind.name {
            "transfer_in" => return None,
            "topup" => TransactionType::Payin,
            "payment" | "card_payment" | "card_refund" => TransactionType::Payout,
            _ => TransactionType::Transfer,
        };
        let status = match (item.kind.name, item.versions[upto].status) {
            ("card_refund", "completed") | (_, "reverted") => Status::Refunded,
            (_, "completed") => Status::Succeeded,
            (_, "declined" | "failed") => Status::Failed,
            _ => Status::Pending,
        };
        Some((kind, status))
    }

    fn word(&self, status: Status) -> Option<&'static str> {
        Some(match status {
            Status::Pending => "pending",
            Status::Succeeded => "completed",
            Status::Refunded => "reverted",
            _ => "failed",
        })
    }

    fn terms(&self) -> Terms {
        Terms {
            record: &["/api/1.0/transaction/"],
            rows: &["id"],
            ids: &["id", "legs/*/leg_id"],
            amounts: &["legs/*/amount", "balance"],
            times: &["created_at", "updated_at"],
            updated: &["updated_at"],
            words: &["state"],
            page: &["to", "created_before"],
            size: &["count", "limit"],
            window: &["from"],
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let code = match refusal {
            Refusal::Unauthorized | Refusal::TokenExpired => {
                return (refusal.status(), object! { "message": refusal.message() });
            }
            Refusal::BadGrant(why) => {
                let body = object! { "error": "invalid_grant", "error_description": *why };
                return (refusal.status(), body);
            }
            Refusal::NotFound(_) => 2_101_i64,
            Refusal::BadRequest { .. } => 3_000,
            Refusal::RateLimited(_) => 9_002,
            Refusal::Server(_) => 9_999,
        };
        (refusal.status(), object! { "code": code, "message": refusal.message() })
    }
}

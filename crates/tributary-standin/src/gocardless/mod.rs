//! A stand-in of GoCardless's payments API (read only): creditors with their balances and bank
//! accounts, payments, refunds and payouts.
//!
//! Every list goes newest first and can be asked for by the time of creation only; a page goes on
//! behind the id of a row.

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

pub struct GoCardless;

static PROFILE: Profile = Profile {
    currencies: &[&money::GBP, &money::EUR, &money::USD],
    most_accounts: usize::MAX,
    opening_minor: 5_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json",
    token_path: "/oauth/access_token",
    limit: None,
};

impl Fsp for GoCardless {
    fn name(&self) -> &'static str {
        "gocardless"
    }

    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn routes(&self) -> Router<Arc<Standin>> {
        routes::routes()
    }

    fn id(&self, domain: &str, seed: u64, n: u64) -> String {
        let prefix = match domain {
            "account" => "CR",
            "beneficiary" => "BA",
            "payment" => "PM",
            "payout" => "PO",
            _ => "RF",
        };
        format!("{prefix}{}", ids::letters(seed, domain, n, 16).to_uppercase())
    }

    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match item.kind.name {
            "payment" | "refund" => TransactionType::Payin,
            _ => TransactionType::Payout,
        };
        let status = match (item.kind.name, item.versions[upto].status) {
            ("payment", "confirmed" | "paid_out") | ("payout" | "sole_refund", "paid") => Status::Succeeded,
            ("payment", "cancelled" | "customer_approval_denied") => Status::Cancelled,
            ("payment", "failed") | ("payout", "bounced") => Status::Failed,
            ("payment", "charged_back") => Status::DisputeLost,
            ("refund", "paid") => Status::Refunded,
            ("refund", "bounced" | "funds_returned") => Status::RefundReversed,
            ("refund" | "sole_refund", _) => return None,
            _ => Status::Pending,
        };
        Some((kind, status))
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["id", "balance_type"],
            ids: &["id"],
            amounts: &["amount"],
            whole_amounts: true,
            times: &["created_at"],
            words: &["status"],
            page: &["after"],
            size: &["limit"],
            window: &["created_at[gte]"],
            next: "/meta/cursors/after",
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let (status, kind, reason) = match refusal {
            Refusal::BadRequest { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", "is not valid")
            }
            Refusal::Server(_) => (refusal.status(), "gocardless", "internal_server_error"),
            Refusal::NotFound(_) => (refusal.status(), "invalid_api_usage", "resource_not_found"),
            Refusal::RateLimited(_) => (refusal.status(), "invalid_api_usage", "rate_limit_exceeded"),
            _ => (refusal.status(), "invalid_api_usage", "access_token_invalid"),
        };
        let field = match refusal {
            Refusal::BadRequest { field, .. } => Some(*field),
            _ => None,
        };
        let detail = object! { "reason": reason, "field": field, "message": refusal.message() };
        let error = object! {
            "message": refusal.message(),
            "errors": vec![detail.without_nulls()],
            "documentation_url": "https://developer.gocardless.com/api-reference#errors",
            "type": kind,
            "request_id": "0AA4000DF8E3_AC1F0A05_01BB_5F0F5C5B_0001",
            "code": i64::from(status.as_u16()),
        };
        (status, object! { "error": error })
    }
}

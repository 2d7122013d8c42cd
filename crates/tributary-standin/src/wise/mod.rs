//! A stand-in of Wise's API: profiles, their balances, transfers by offset, statements of balances,
//! recipients, and payments of three requests: a quote, a transfer, and its funding.
//!
//! Profiles have a balance in each currency, and there is one more profile that has nothing.

mod lives;
mod payments;
mod render;
mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use super::kit::{Fsp, Item, Json, Profile, Refusal, Standin, Terms, Way, money, object, times};
use tributary_domain::{Status, TransactionType};

pub struct Wise;

static PROFILE: Profile = Profile {
    currencies: &[&money::GBP, &money::EUR, &money::USD],
    most_accounts: usize::MAX,
    opening_minor: 5_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json",
    token_path: "/oauth/token",
    limit: None,
};

impl Fsp for Wise {
    fn name(&self) -> &'static str {
        "wise"
    }

    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn routes(&self) -> Router<Arc<Standin>> {
        routes::routes()
    }

    /// Of a line of a statement, its reference and its side: both sides of a conversion have one
    /// reference, and the one that comes in is the record after the other.
    fn id(&self, domain: &str, _seed: u64, n: u64) -> String {
        match domain {
            "account" => (200_001 + n).to_string(),
            "beneficiary" => (40_000_000 + n).to_string(),
            "deposit" => format!("TRANSFER-{}-CREDIT", 90_000_000 + n),
            "card" => format!("CARD-{}-DEBIT", 249_000 + n),
            "card_refund" => format!("CARD-{}-CREDIT", 249_000 + n),
            "conversion" => format!("CONVERSION-{}-DEBIT", 1_511_000 + n),
            "conversion_in" => format!("CONVERSION-{}-CREDIT", 1_511_000 + n - 1),
            "interest" => format!("BALANCE_INTEREST-{}-CREDIT", 5_000 + n),
            _ => (16_000_000 + n).to_string(),
        }
    }

    /// A transfer that nobody has paid for is no movement yet.
    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match (item.kind.name, item.kind.way) {
            ("conversion" | "conversion_in", _) => TransactionType::Transfer,
            ("interest", _) => TransactionType::Other,
            (_, Way::In) => TransactionType::Payin,
            (_, Way::Out) => TransactionType::Payout,
        };
        let status = match item.versions[upto].status {
            "incoming_payment_waiting" => return None,
            "processing" | "funds_converted" => Status::Pending,
            "cancelled" => Status::Cancelled,
            "bounced_back" | "funds_refunded" => Status::Refunded,
            _ => Status::Succeeded,
        };
        Some((kind, status))
    }

    fn word(&self, status: Status) -> Option<&'static str> {
        Some(match status {
            Status::Pending => "processing",
            Status::Succeeded => "outgoing_payment_sent",
            Status::Refunded => "funds_refunded",
            // a transfer has no word for what failed
            _ => "cancelled",
        })
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["currency", "sourceCurrency", "referenceNumber"],
            ids: &["id", "referenceNumber"],
            // a line of a statement is known by its side, too
            ids_are_parts: true,
            amounts: &["amount/value", "sourceValue", "targetValue"],
            times: &["created", "date"],
            words: &["status", "type"],
            page: &["offset", "seekPosition"],
            size: &["limit", "size"],
            window: &["createdDateStart", "intervalStart"],
            next: "/seekPositionForNext",
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let (status, code) = match refusal {
            Refusal::Unauthorized | Refusal::TokenExpired => {
                let body = object! { "error": "invalid_token", "error_description": refusal.message() };
                return (refusal.status(), body);
            }
            Refusal::NotFound(_) => (refusal.status(), "NOT_FOUND"),
            // one that was funded before
            Refusal::BadRequest { field: "reference", .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "transfer.invalid-state")
            }
            Refusal::BadGrant(_) => (refusal.status(), "invalid_grant"),
            Refusal::BadRequest { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "NOT_VALID"),
            Refusal::RateLimited(_) => (refusal.status(), "TOO_MANY_REQUESTS"),
            Refusal::Server(_) => (refusal.status(), "INTERNAL"),
        };
        let error = object! { "code": code, "message": refusal.message() };
        (status, object! { "errors": vec![error] })
    }
}

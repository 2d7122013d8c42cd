//! A stand-in of PayPal's reporting API (read only): the balances of an account, and the search for its
//! transactions.
//!
//! The search wants both ends of a window of at most 31 days, and refuses one with too many rows: it
//! has to be asked for shorter ones. What an account is elsewhere is a currency here, and its id is
//! the currency's code.

mod lives;
mod render;
mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use super::kit::{Fsp, Item, Json, Profile, Refusal, Standin, Terms, Way, ids, money, object, times};
use tributary_domain::{Status, TransactionType};

pub struct PayPal;

static PROFILE: Profile = Profile {
    currencies: &[&money::USD, &money::EUR, &money::JPY],
    most_accounts: 3,
    opening_minor: 50_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json",
    token_path: "/v1/oauth2/token",
    limit: None,
};

impl Fsp for PayPal {
    fn name(&self) -> &'static str {
        "paypal"
    }

    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn routes(&self) -> Router<Arc<Standin>> {
        routes::routes()
    }

    fn id(&self, domain: &str, seed: u64, n: u64) -> String {
        match domain {
            "account" => PROFILE.currencies[n as usize % PROFILE.currencies.len()].code.to_owned(),
            _ => ids::letters(seed, domain, n, 17).to_uppercase(),
        }
    }

    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match (item.kind.name, item.kind.way) {
            (lives::SOLD | lives::BOUGHT, _) => TransactionType::Transfer,
            (lives::FEE, _) => TransactionType::Other,
            (lives::REFUND, _) | (_, Way::In) => TransactionType::Payin,
            (_, Way::Out) => TransactionType::Payout,
        };
        let status = match (item.kind.name, item.versions[upto].status) {
            (lives::REFUND, "P") => return None,
            (lives::REFUND, "S") => Status::Refunded,
            (lives::REFUND, _) => Status::RefundedFailure,
            (_, "S") => Status::Succeeded,
            (_, "D") => Status::Failed,
            (_, "V") => Status::Refunded,
            _ => Status::Pending,
        };
        Some((kind, status))
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["transaction_info", "currency"],
            ids: &["transaction_info/transaction_id"],
            amounts: &["transaction_info/transaction_amount/value", "total_balance/value"],
            times: &["transaction_info/transaction_initiation_date"],
            words: &["transaction_info/transaction_status", "transaction_info/transaction_event_code"],
            page: &["page"],
            page_number: "page",
            size: &["page_size"],
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let name = match refusal {
            Refusal::Unauthorized | Refusal::TokenExpired => "AUTHENTICATION_FAILURE",
            Refusal::BadGrant(_) => "invalid_client",
            Refusal::NotFound(_) => "RESOURCE_NOT_FOUND",
            Refusal::BadRequest { field: routes::TOO_MANY, .. } => "RESULTSET_TOO_LARGE",
            Refusal::BadRequest { .. } => "INVALID_REQUEST",
            Refusal::RateLimited(_) => "RATE_LIMIT_REACHED",
            Refusal::Server(_) => "INTERNAL_SERVER_ERROR",
        };
        (
            refusal.status(),
            object! { "name": name, "message": refusal.message(), "debug_id": "1b5e9d5c8d7f2" },
        )
    }
}

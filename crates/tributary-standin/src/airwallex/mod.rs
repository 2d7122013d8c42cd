//! A stand-in of Airwallex's API: a login that gives a token, the balance of each currency, the
//! financial transactions of the wallet, transfers to beneficiaries and orders for them.
//!
//! There are no accounts: what an account is elsewhere is a currency here, and its id is the
//! currency's code. Lists go newest first by page number and can be asked for by the time of creation
//! only. A transfer is in two lists: as itself, and as the financial transactions that it makes.

mod lives;
mod payments;
mod render;
mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use super::kit::{Fsp, Item, Json, Login, Profile, Refusal, Standin, Terms, Way, ids, money, object, times};
use tributary_domain::{Status, TransactionType};

pub struct Airwallex;

static PROFILE: Profile = Profile {
    currencies: &[&money::USD, &money::EUR, &money::JPY, &money::GBP],
    most_accounts: 4,
    opening_minor: 50_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json",
    token_path: "/api/v1/authentication/login",
    limit: None,
};

static LOGIN: Login = Login {
    client_id: "x-client-id",
    secret: "x-api-key",
    answer: |token, ends_at_us| object! { "token": token, "expires_at": times::seconds_bare_offset(ends_at_us) },
};

impl Fsp for Airwallex {
    fn name(&self) -> &'static str {
        "airwallex"
    }

    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn routes(&self) -> Router<Arc<Standin>> {
        routes::routes()
    }

    fn login(&self) -> Option<&'static Login> {
        Some(&LOGIN)
    }

    fn id(&self, domain: &str, seed: u64, n: u64) -> String {
        match domain {
            "account" => PROFILE.currencies[n as usize % PROFILE.currencies.len()].code.to_owned(),
            _ => ids::uuid(seed, domain, n).to_string(),
        }
    }

    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match (item.kind.name, item.kind.way) {
            ("CONVERSION_SELL" | "CONVERSION_BUY", _) => TransactionType::Transfer,
            ("FEE", _) => TransactionType::Other,
            (_, Way::In) => TransactionType::Payin,
            (_, Way::Out) => TransactionType::Payout,
        };
        let status = match item.versions[upto].status {
            "SETTLED" | "PAID" => Status::Succeeded,
            "CANCELLED" => Status::Cancelled,
            // the money came back after it had arrived
            "FAILED" if item.was("PAID", upto) => Status::Refunded,
            "FAILED" => Status::Failed,
            _ => Status::Pending,
        };
        Some((kind, status))
    }

    fn word(&self, status: Status) -> Option<&'static str> {
        Some(match status {
            Status::Pending => "PROCESSING",
            Status::Succeeded => "PAID",
            Status::Cancelled => "CANCELLED",
            _ => "FAILED",
        })
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["id", "currency"],
            ids: &["id"],
            amounts: &["amount", "source_amount", "transfer_amount", "total_amount"],
            times: &["created_at"],
            words: &["status", "transaction_type"],
            page: &["page_num"],
            page_number: "page_num",
            size: &["page_size"],
            window: &["from_created_at"],
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let code = match refusal {
            Refusal::Unauthorized | Refusal::TokenExpired => "unauthorized",
            Refusal::BadGrant(_) => "credentials_invalid",
            Refusal::NotFound(_) => "not_found",
            Refusal::BadRequest { field: "reference", .. } => "duplicate_request",
            Refusal::BadRequest { .. } => "validation_failed",
            Refusal::RateLimited(_) => "too_many_requests",
            Refusal::Server(_) => "internal_error",
        };
        let source = match refusal {
            Refusal::BadRequest { field: "reference", .. } => Some("request_id"),
            Refusal::BadRequest { field, .. } => Some(*field),
            _ => None,
        };
        let status = match refusal {
            Refusal::BadGrant(_) => StatusCode::UNAUTHORIZED,
            refusal => refusal.status(),
        };
        let body = object! { "code": code, "message": refusal.message(), "source": source };
        (status, body.without_nulls())
    }
}

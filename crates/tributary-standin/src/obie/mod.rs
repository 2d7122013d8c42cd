//! A stand-in of a bank with the Account and Transaction API 3.1 of UK Open Banking: accounts with
//! balances, transactions and beneficiaries each.
//!
//! Every other account tells no ids of its transactions. Transactions are dated by the day they
//! were booked, and by that of their birth while they are pending, so a booking moves them.

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

/// A bank of UK Open Banking.
pub struct Obie;

static PROFILE: Profile = Profile {
    currencies: &[&money::GBP, &money::EUR, &money::GBP],
    most_accounts: usize::MAX,
    opening_minor: 5_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json; charset=utf-8",
    token_path: "/as/token",
    limit: None,
};

impl Fsp for Obie {
    fn name(&self) -> &'static str {
        "obie"
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

    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match item.kind.way {
            Way::In => TransactionType::Payin,
            Way::Out => TransactionType::Payout,
        };
        let status = match item.versions[upto].status {
            "Booked" => Status::Succeeded,
            lives::DROPPED => Status::Cancelled,
            _ => Status::Pending,
        };
        Some((kind, status))
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["AccountId"],
            ids: &["TransactionId", "BeneficiaryId"],
            account: Some(["AccountId", "OpeningDate"]),
            amounts: &["Amount/Amount"],
            words: &["Status", "CreditDebitIndicator"],
            page: &["after"],
            window: &["fromBookingDateTime"],
            next: "/Links/Next",
            next_is_link: true,
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let (code, error) = match refusal {
            Refusal::Unauthorized | Refusal::TokenExpired => ("401 Unauthorized", "UK.OBIE.Header.Invalid"),
            Refusal::BadGrant(why) => {
                let body = object! { "error": "invalid_grant", "error_description": *why };
                return (refusal.status(), body);
            }
            Refusal::NotFound(_) => ("404 Not Found", "UK.OBIE.Resource.NotFound"),
            Refusal::BadRequest { .. } => ("400 Bad Request", "UK.OBIE.Field.Invalid"),
            Refusal::RateLimited(_) => ("429 Too Many Requests", "UK.OBIE.Rules.FailsControlParameters"),
            Refusal::Server(_) => ("500 Internal Server Error", "UK.OBIE.UnexpectedError"),
        };
        let errors = vec![object! { "ErrorCode": error, "Message": refusal.message() }];
        (refusal.status(), object! { "Code": code, "Message": refusal.message(), "Errors": errors })
    }
}

//! A stand-in of Starling Bank's public API v2: accounts, balances, savings goals, feeds, payees, and
//! payments to them.
//!
//! Each account has a feed, and each of its savings goals another: a movement between the two is in
//! both, under two ids. A feed is asked for by the time of the last change, or by the time of the
//! transaction; an answer holds a whole range, newest transaction first, and there is no paging.

mod lives;
mod payments;
mod people;
mod render;
mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use super::kit::{Fsp, Item, Json, Limit, Profile, Refusal, Standin, Terms, Way, ids, money, object, times};
use tributary_domain::{Status, TransactionType};

/// Starling Bank.
pub struct Starling;

static PROFILE: Profile = Profile {
    currencies: &[&money::GBP, &money::EUR, &money::JPY, &money::USD, &money::KWD],
    most_accounts: usize::MAX,
    // what is cleared is the sum of what was settled
    opening_minor: 0,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json",
    token_path: "/oauth/access-token",
    limit: Some(Limit { requests: 1_000, seconds: 86_400 }),
};

impl Fsp for Starling {
    fn name(&self) -> &'static str {
        "starling"
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

    /// Money is paid to the accounts of payees: two of three are those of one payee.
    fn owner(&self, beneficiary: usize) -> usize {
        if beneficiary % 3 == 1 { beneficiary - 1 } else { beneficiary }
    }

    /// A movement into a savings goal is one, which the account's side tells.
    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)> {
        let kind = match (item.kind.name, item.kind.way) {
            (lives::FROM_ACCOUNT, _) => return None,
            (lives::INTO_GOAL, _) => TransactionType::Transfer,
            (_, Way::In) => TransactionType::Payin,
            (_, Way::Out) => TransactionType::Payout,
        };
        let status = match item.versions[upto].status {
            "UPCOMING" | "PENDING" => Status::Pending,
            "SETTLED" => Status::Succeeded,
            "DECLINED" => Status::Failed,
            _ => Status::Refunded,
        };
        Some((kind, status))
    }

    fn word(&self, status: Status) -> Option<&'static str> {
        Some(match status {
            Status::Pending => "PENDING",
            Status::Succeeded => "SETTLED",
            Status::Refunded => "REVERSED",
            _ => "DECLINED",
        })
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["feedItemUid", "accountUid", "savingsGoalUid"],
            ids: &["feedItemUid", "accountUid", "savingsGoalUid"],
            amounts: &["amount/minorUnits"],
            whole_amounts: true,
            times: &["transactionTime", "updatedAt"],
            updated: &["updatedAt"],
            words: &["status", "direction"],
            window: &["changesSince"],
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let message = match refusal {
            Refusal::Unauthorized | Refusal::TokenExpired => {
                let body = object! { "error": "invalid_token", "error_description": refusal.message() };
                return (StatusCode::FORBIDDEN, body);
            }
            Refusal::NotFound(what) => format!("{what} not found"),
            // why it does not pay is all that the bank says
            Refusal::BadRequest { field: "payment", message } => message.clone(),
            other => other.message(),
        };
        let errors = vec![object! { "message": message }];
        (refusal.status(), object! { "errors": errors, "success": false })
    }
}

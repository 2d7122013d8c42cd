//! A stand-in of Mercury's banking API v1: accounts with their balances inside, the transactions of
//! one account by offset, those of all by cursor, recipients, payments to them, and transfers.
//!
//! Nothing can be asked for by the time of its last change: what changes after it was created is
//! visible only to who asks for it again.

mod lives;
mod payments;
mod render;
mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use super::kit::{Fsp, Item, Json, Profile, Refusal, Standin, Terms, Way, ids, money, object, times};
use tributary_domain::{Status, TransactionType};

pub struct Mercury;

static PROFILE: Profile = Profile {
    currencies: &[&money::USD],
    most_accounts: usize::MAX,
    opening_minor: 5_000_000,
    kinds: lives::KINDS,
    tick_us: times::MILLISECOND_US,
    content_type: "application/json;charset=utf-8",
    token_path: "/oauth2/token",
    limit: None,
};

impl Fsp for Mercury {
    fn name(&self) -> &'static str {
        "mercury"
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
        let kind = match (item.kind.name, item.kind.way) {
            ("internalTransfer" | "internalTransferIn" | "treasuryTransfer", _) => TransactionType::Transfer,
            ("wireFee", _) => TransactionType::Other,
            (_, Way::In) => TransactionType::Payin,
            (_, Way::Out) => TransactionType::Payout,
        };
        let status = match item.versions[upto].status {
            "pending" => Status::Pending,
            "sent" => Status::Succeeded,
            "cancelled" => Status::Cancelled,
            "reversed" => Status::Refunded,
            _ => Status::Failed,
        };
        Some((kind, status))
    }

    fn word(&self, status: Status) -> Option<&'static str> {
        Some(match status {
            Status::Pending => "pending",
            Status::Succeeded => "sent",
            Status::Cancelled => "cancelled",
            Status::Refunded => "reversed",
            _ => "failed",
        })
    }

    /// A conflict, with the transaction as the body.
    fn paid_before(&self) -> StatusCode {
        StatusCode::CONFLICT
    }

    fn terms(&self) -> Terms {
        Terms {
            rows: &["id"],
            ids: &["id"],
            amounts: &["amount", "currentBalance"],
            times: &["createdAt", "postedAt", "failedAt"],
            words: &["status"],
            page: &["start_after", "offset"],
            size: &["limit"],
            window: &["start"],
            next: "/page/nextPage",
            ..Terms::default()
        }
    }

    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json) {
        let code = match refusal {
            Refusal::Unauthorized => "unauthorized",
            Refusal::TokenExpired => "tokenExpired",
            Refusal::NotFound(_) => "notFound",
            Refusal::BadGrant(_) | Refusal::BadRequest { .. } => "badRequest",
            Refusal::RateLimited(_) => "tooManyRequests",
            Refusal::Server(_) => "internalServerError",
        };
        let errors = object! { "message": refusal.message(), "errorCode": code };
        (refusal.status(), object! { "errors": errors })
    }
}

//! The kit's promises, checked on Mercury's lives through its router.

mod auth;
mod faults;
mod ledger;
mod network;
mod providers;

use std::sync::Arc;

use super::testing::*;
use super::*;
use crate::mercury::Mercury;

const ALL: &str = "/api/v1/transactions";

/// Ids and statuses of one page, in its order.
async fn page(standin: &Arc<Standin>, path: &str) -> (Vec<(String, String)>, Option<String>) {
    let body = get(standin, path).await.ok();
    let rows = texts(&body["transactions"], "/id").into_iter();
    let rows = rows.zip(texts(&body["transactions"], "/status")).collect();
    (rows, body["page"]["nextPage"].as_str().map(str::to_owned))
}

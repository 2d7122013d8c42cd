//! The server's HTTP side.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::DateTime;
use serde_json::{Value, json};

use super::world::{Query, World, print_time};
use super::{Config, Defect, now};
use crate::reading::walked_by;
use tributary_formance::Kind;

/// What the handlers share.
pub struct Server {
    pub config: Config,
    pub world: Mutex<World>,
}

type Shared = State<Arc<Server>>;

/// The largest page that is served; more is refused.
const PAGE_SIZE_MAX: usize = 1_000;

pub fn router(server: Arc<Server>) -> Router {
    let list = |kind: Kind| {
        get(move |State(server): Shared, headers: HeaderMap, RawQuery(query): RawQuery| async move {
            list(&server, kind, &headers, &query.unwrap_or_default()).await
        })
    };
    Router::new()
        .route("/accounts", list(Kind::Accounts))
        .route("/beneficiaries", list(Kind::Beneficiaries))
        .route("/transactions", list(Kind::Transactions))
        .route("/accounts/{id}/balances", get(balances))
        .fallback(|State(server): Shared| async move {
            server.error(StatusCode::NOT_FOUND, "there is no such path")
        })
        .method_not_allowed_fallback(|State(server): Shared| async move {
            server.error(StatusCode::METHOD_NOT_ALLOWED, "not with this method")
        })
        .with_state(server)
}

impl Server {
    fn error(&self, status: StatusCode, detail: &str) -> Response {
        let title = status.canonical_reason().unwrap_or("Error");
        match self.config.defect {
            Defect::HtmlErrors => (status, Html(format!("<html><h1>{title}</h1></html>"))).into_response(),
            _ => (status, Json(json!({"title": title, "detail": detail}))).into_response(),
        }
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let key = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.config.defect == Defect::OpenToAll
            || key.and_then(|key| key.strip_prefix("Bearer ")) == Some(&self.config.key)
    }
}

async fn list(server: &Server, kind: Kind, headers: &HeaderMap, query: &str) -> Response {
    let defect = server.config.defect;
    if !server.is_allowed(headers) {
        return server.error(StatusCode::UNAUTHORIZED, "send the key");
    }
    if defect == Defect::MissingList && kind == Kind::Beneficiaries {
        return server.error(StatusCode::NOT_FOUND, "there are no beneficiaries");
    }
    let query = match parse(defect, kind, query) {
        Ok(query) => query,
        Err(detail) => return server.error(StatusCode::BAD_REQUEST, detail),
    };
    let (requests, rows) = {
        let mut world = server.world.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = world.count_request(now());
        (requests, world.page(kind, &query, now()))
    };
    if defect == Defect::SlowPages && kind == Kind::Transactions && query.page >= 3 {
        tokio::time::sleep(server.config.delay).await;
    }
    if defect == Defect::FinalOverload && requests.is_multiple_of(25) {
        return server.error(StatusCode::BAD_REQUEST, "too busy");
    }
    if defect == Defect::PastEnd404 && rows.is_empty() {
        return server.error(StatusCode::NOT_FOUND, "there is no such page");
    }
    Json(rows).into_response()
}

fn parse(defect: Defect, kind: Kind, text: &str) -> Result<Query, &'static str> {
    let mut query = Query { page: 1, page_size: 100, from: None };
    let from_name = format!("{}From", walked_by(kind));
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let number = || value.parse().ok().filter(|number| *number >= 1);
        match name.as_ref() {
            "page" => query.page = number().ok_or("page is a number from 1 on")?,
            "pageSize" => query.page_size = number().ok_or("pageSize is a number from 1 on")?,
            name if name == from_name && defect != Defect::IgnoredFrom => {
                let at = DateTime::parse_from_rfc3339(&value).map_err(|_| "From is an RFC 3339 time")?;
                query.from = Some((value.into_owned(), at.timestamp_micros()));
            }
            _ => {}
        }
    }
    if query.page_size > PAGE_SIZE_MAX && defect != Defect::ClampedPageSize {
        return Err("pageSize is at most 1000");
    }
    Ok(query)
}

async fn balances(State(server): Shared, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if !server.is_allowed(&headers) {
        return server.error(StatusCode::UNAUTHORIZED, "send the key");
    }
    let known = server.world.lock().unwrap_or_else(PoisonError::into_inner).balances(&id, now());
    let known =
        known.filter(|known| !known.amounts.is_empty() || server.config.defect != Defect::Balances404);
    let Some(known) = known else {
        return server.error(StatusCode::NOT_FOUND, "there is no such account");
    };
    let amounts =
        known.amounts.iter().map(|(asset, amount)| json!({"currency": asset, "amount": amount.to_string()}));
    let amounts: Vec<Value> = amounts.collect();
    Json(json!({"id": id, "accountID": id, "at": print_time(known.at), "balances": amounts})).into_response()
}

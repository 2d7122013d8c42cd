//! `POST /ingest/{resource}`: canonical records pushed in, as a JSON array or NDJSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, header};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Ingest;
use super::{ApiError, SharedState, error::ErrorBody};
use crate::domain::{Resource, parse_record};
use crate::records::{self, Batch, Written};
use crate::store;
use crate::store::quarantine::{Refused, RefusedRecord};

/// The most records that one call may carry.
const RECORDS_MAX: usize = 10_000;
/// The largest body, in bytes.
const BODY_MAX_BYTES: usize = 64 * 1024 * 1024;

/// What became of the records of a call. Given only after they are committed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct IngestAnswer {
    /// Records that were not there before.
    created: u64,
    /// Records whose content changed.
    updated: u64,
    /// Records as they were already, or older than what is there.
    unchanged: u64,
    /// Records that no page may hold. The rest flows.
    quarantined: Vec<Quarantined>,
}

/// A record that was put aside.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Quarantined {
    /// Its place in the call, from 0 on.
    index: usize,
    /// What is wrong with it.
    reason: String,
}

macro_rules! endpoint {
    ($name:ident, $path:literal, $resource:expr, $what:literal) => {
        #[doc = $what]
        #[utoipa::path(post, path = $path, tag = "push",
            params(("backfill" = Option<bool>, Query, description = "`true` marks history")),
            request_body(content((Vec<serde_json::Value> = "application/json"), (String = "application/x-ndjson"))),
            responses((status = 200, body = IngestAnswer), (status = "default", body = ErrorBody)))]
        async fn $name(
            State(state): State<SharedState>,
            Ingest(caller): Ingest,
            RawQuery(query): RawQuery,
            headers: HeaderMap,
            body: Result<Bytes, axum::extract::rejection::BytesRejection>,
        ) -> Result<Json<IngestAnswer>, ApiError> {
            let backfill = parse_backfill(query.as_deref().unwrap_or_default())?;
            let body = body?;
            let records = split(&headers, &body)?;
            let Parsed { mut batch, indexes, mut quarantined } = parse($resource, records, backfill);
            batch.decides = !caller.served.pulled;
            let mut transaction = store::begin(&state.pool).await?;
            let Written { tally, refused } =
                records::write(&mut transaction, &caller.provider, $resource, &batch).await?;
            transaction.commit().await?;
            quarantined.extend(refused.into_iter().filter_map(|(place, reason)| {
                Some(Quarantined { index: *indexes.get(place)?, reason })
            }));
            quarantined.sort_by_key(|quarantined| quarantined.index);
            super::observe::ingested(&caller.provider, $resource, tally, quarantined.len());
            Ok(Json(IngestAnswer {
                created: tally.created,
                updated: tally.updated,
                unchanged: tally.unchanged,
                quarantined,
            }))
        }
    };
}

endpoint!(ingest_accounts, "/ingest/accounts", Resource::Accounts, "Takes accounts.");
endpoint!(ingest_balances, "/ingest/balances", Resource::Balances, "Takes balances of accounts.");
endpoint!(ingest_beneficiaries, "/ingest/beneficiaries", Resource::Beneficiaries, "Takes beneficiaries.");
endpoint!(ingest_transactions, "/ingest/transactions", Resource::Transactions, "Takes transactions.");

fn parse_backfill(query: &str) -> Result<bool, ApiError> {
    match url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "backfill") {
        None => Ok(false),
        Some((_, value)) => match value.as_ref() {
            "true" | "" => Ok(true),
            "false" => Ok(false),
            other => Err(ApiError::Invalid(format!("backfill has to be true or false, not {other:?}"))),
        },
    }
}

fn split<'a>(headers: &HeaderMap, body: &'a Bytes) -> Result<Vec<&'a [u8]>, ApiError> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let ndjson = content_type.starts_with("application/x-ndjson");
    let records = if ndjson {
        body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect()
    } else {
        let records: Vec<&'a RawValue> = serde_json::from_slice(body).map_err(|error| {
            ApiError::Invalid(format!(
                "the body has to be a JSON array of records (or, as application/x-ndjson, a record a line): {error}"
            ))
        })?;
        records.into_iter().map(|record| record.get().as_bytes()).collect::<Vec<_>>()
    };
    if records.len() > RECORDS_MAX {
        return Err(ApiError::TooLarge(format!(
            "{} records in one call; send at most {RECORDS_MAX}",
            records.len()
        )));
    }
    Ok(records)
}

/// The records of a call, read.
struct Parsed {
    batch: Batch,
    /// Of each record of the batch, its place in the call.
    indexes: Vec<usize>,
    quarantined: Vec<Quarantined>,
}

fn parse(resource: Resource, records: Vec<&[u8]>, backfill: bool) -> Parsed {
    let mut batch = Batch { backfill, ..Batch::default() };
    let (mut indexes, mut quarantined) = (Vec::with_capacity(records.len()), Vec::new());
    for (index, raw) in records.into_iter().enumerate() {
        match parse_record(resource, raw) {
            Ok(record) => {
                batch.records.push(record);
                indexes.push(index);
            }
            Err(error) => {
                let reason = error.to_string();
                let record = RefusedRecord::Canonical(raw.to_vec());
                batch.refused.push(Refused { record, reason: reason.clone() });
                quarantined.push(Quarantined { index, reason });
            }
        }
    }
    Parsed { batch, indexes, quarantined }
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(ingest_accounts))
        .routes(routes!(ingest_balances))
        .routes(routes!(ingest_beneficiaries))
        .routes(routes!(ingest_transactions))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
}

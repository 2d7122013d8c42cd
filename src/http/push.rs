//! `POST /ingest/{resource}`: canonical records pushed in, as a JSON array or NDJSON.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use serde::Serialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Ingest};
use super::{ApiError, SharedState, body, error::ErrorBody};
use crate::records::{self, Batch, Written};
use crate::store;
use crate::store::quarantine::{self, Refused, RefusedRecord};
use tributary_domain::{ProviderName, Resource, parse_record};

/// The most records that one call may carry.
const RECORDS_MAX: usize = 10_000;
/// The largest body, in bytes.
const BODY_MAX_BYTES: usize = 64 * 1024 * 1024;
/// What some programs begin a text with, and is no part of it.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// From here on a body is looked at on a thread of its own.
const ASIDE_FROM_BYTES: usize = 64 * 1024;

/// What became of the records of a call. Given only after they are committed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct IngestAnswer {
    /// Records that were not there before.
    created: u64,
    /// Records whose content changed.
    updated: u64,
    /// Records as they were already, or older than what is there.
    unchanged: u64,
    /// Of these, the ones that differ from what is there, and are older by their own time.
    older: u64,
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
            body: Body,
        ) -> Result<Json<IngestAnswer>, ApiError> {
            may_be_pushed(&caller, $resource)?;
            let backfill = parse_backfill(query.as_deref().unwrap_or_default())?;
            let form = Form::of(&headers);
            let body = body::read(body, BODY_MAX_BYTES, state.limits.pushes()).await?;
            let parsed = parse_aside($resource, form, backfill, body.bytes.clone()).await?;
            let Parsed { mut batch, indexes, mut quarantined } = parsed;
            batch.decides = !caller.served.pulled;
            let mut transaction = store::begin(&state.pool).await?;
            let Written { tally, refused, .. } =
                records::write(&mut transaction, &caller.provider, $resource, &batch).await?;
            let put_aside = !(quarantined.is_empty() && refused.is_empty());
            if put_aside && quarantine::is_full(&mut transaction, &caller.provider).await? {
                return Err(full(&caller.provider));
            }
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
                older: tally.older,
                quarantined,
            }))
        }
    };
}

endpoint!(ingest_accounts, "/ingest/accounts", Resource::Accounts, "Takes accounts.");
endpoint!(ingest_balances, "/ingest/balances", Resource::Balances, "Takes balances of accounts.");
endpoint!(ingest_beneficiaries, "/ingest/beneficiaries", Resource::Beneficiaries, "Takes beneficiaries.");
endpoint!(ingest_transactions, "/ingest/transactions", Resource::Transactions, "Takes transactions.");

/// Whether the provider's file lets the resource be pushed.
fn may_be_pushed(caller: &Caller, resource: Resource) -> Result<(), ApiError> {
    if caller.served.pushed.contains(&resource) {
        return Ok(());
    }
    Err(ApiError::Refused {
        status: 403,
        title: "Not pushed",
        detail: format!(
            "{resource} of {} are not pushed: its file lists under `push` what may be",
            caller.provider
        ),
    })
}

/// The answer to a call of which nothing was taken, as what is wrong with it has no room.
pub(super) fn full(provider: &ProviderName) -> ApiError {
    tracing::error!(%provider, "the quarantine is full: a push was refused");
    ApiError::Unavailable(format!(
        "nothing of this call was taken: some of it would have to be quarantined, and the quarantine of \
         {provider} is full; correct the records, or have an operator look at `tributary quarantine list`"
    ))
}

pub(super) fn parse_backfill(query: &str) -> Result<bool, ApiError> {
    match url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "backfill") {
        None => Ok(false),
        Some((_, value)) => match value.as_ref() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(ApiError::Invalid(format!("backfill has to be true or false, not {other:?}"))),
        },
    }
}

/// How records are written in a body.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// A JSON array.
    Array,
    /// One a line (NDJSON).
    Lines,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let lines = content_type.is_some_and(|named| named.starts_with("application/x-ndjson"));
        if lines { Self::Lines } else { Self::Array }
    }
}

/// Takes the records of a body apart and looks at each. A large body is not for a thread that
/// answers others meanwhile.
async fn parse_aside(
    resource: Resource,
    form: Form,
    backfill: bool,
    body: Bytes,
) -> Result<Parsed, ApiError> {
    let aside = body.len() > ASIDE_FROM_BYTES;
    let parsed = move || Ok(parse(resource, split(form, &body)?, backfill));
    if !aside {
        return parsed();
    }
    tokio::task::spawn_blocking(parsed).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the records of a push could not be read");
        Err(ApiError::Internal)
    })
}

/// The records of a body, each as it is written. No more are counted than a call may carry.
fn split(form: Form, body: &[u8]) -> Result<Vec<&[u8]>, ApiError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let records = match form {
        Form::Lines => {
            let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            Some(lines.filter(|line| !line.is_empty()).take(RECORDS_MAX + 1).collect::<Vec<_>>())
                .filter(|lines| lines.len() <= RECORDS_MAX)
        }
        Form::Array => items(body).map_err(|error| {
            ApiError::Invalid(format!(
                "the body has to be a JSON array of records (or, as application/x-ndjson, a record a line): {error}"
            ))
        })?,
    };
    records.ok_or_else(|| {
        ApiError::TooLarge(format!("more than {RECORDS_MAX} records in one call; send fewer a call"))
    })
}

/// The items of a JSON array, or `None` where there are more than [`RECORDS_MAX`].
fn items(body: &[u8]) -> serde_json::Result<Option<Vec<&[u8]>>> {
    let mut too_many = false;
    let mut json = serde_json::Deserializer::from_slice(body);
    let items = json.deserialize_seq(Items { too_many: &mut too_many });
    if too_many {
        return Ok(None);
    }
    let items = items?;
    json.end()?;
    Ok(Some(items))
}

/// Takes the items of an array as they are written, and stops at the first that is too many.
struct Items<'f> {
    too_many: &'f mut bool,
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = Vec<&'de [u8]>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<&'de RawValue>()? {
            if items.len() == RECORDS_MAX {
                *self.too_many = true;
                return Err(serde::de::Error::custom("too many"));
            }
            items.push(item.get().as_bytes());
        }
        Ok(items)
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(form: Form, body: &str) -> Result<usize, String> {
        split(form, body.as_bytes()).map(|records| records.len()).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn as_many_records_as_a_call_may_carry_are_taken_and_one_more_is_refused() {
        for (n, fits) in [(RECORDS_MAX, true), (RECORDS_MAX + 1, false)] {
            for (form, body) in
                [(Form::Lines, "1\n\n".repeat(n)), (Form::Array, format!("[{}1]", "1,".repeat(n - 1)))]
            {
                let counted = count(form, &body);
                assert_eq!(counted.is_ok(), fits, "{form:?}: {counted:?}");
                assert!(counted.map_or_else(|error| error.contains("TooLarge"), |count| count == n));
            }
        }
    }

    #[test]
    fn what_comes_behind_the_last_record_that_counts_is_not_looked_at() {
        let (lines, array) = ("1\n".repeat(RECORDS_MAX + 1), "1,".repeat(RECORDS_MAX + 1));
        for (form, body) in [(Form::Lines, lines + "{"), (Form::Array, format!("[{array}}}"))] {
            assert!(count(form, &body).unwrap_err().contains("TooLarge"), "{form:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_record() {
        assert_eq!(split(Form::Lines, "\u{feff}{}\n{}".as_bytes()).unwrap(), [b"{}", b"{}"]);
        assert_eq!(count(Form::Array, "\u{feff}[1]"), Ok(1));
    }

    #[test]
    fn an_array_ends_where_it_says() {
        assert_eq!(count(Form::Array, " [1, {\"a\": []} ]\n"), Ok(2));
        assert_eq!(count(Form::Array, "[]"), Ok(0));
        for wrong in ["", "{}", "1", "[1", "[1,]", "[1] 2", "[1]]", "null"] {
            assert!(count(Form::Array, wrong).unwrap_err().contains("Invalid"), "{wrong}");
        }
    }
}

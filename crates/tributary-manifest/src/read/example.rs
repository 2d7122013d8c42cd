//! A row as an example of its stream: what it becomes, without a request.

use std::time::Instant;

use serde_json::Value;

use super::mapping::{self, Occurrences};
use super::page::MappedRecord;
use crate::jq::{self, Scope};
use crate::plan::Stream;

/// What `row`, which was asked for at `now` for the record `parent` of `each`, becomes: records, each with
/// its fields, or why there is none. Both are JSON; the error says which of them is none.
pub fn mapped(
    stream: &Stream,
    row: &str,
    parent: &str,
    now: &str,
    deadline: Instant,
) -> Result<Vec<Result<Value, String>>, String> {
    let parse = |text: &str| jq::parse(text.as_bytes()).map_err(|error| error.to_string());
    let mut scope = Scope::at(chrono::Utc::now(), parse(parent)?);
    scope.now = jaq_json::Val::from(now.to_owned());
    let reading =
        mapping::map(stream, "", vec![parse(row)?], &scope, false, &mut Occurrences::new(), deadline);
    let records = reading.map_err(|error| error.to_string())?.records.into_iter();
    Ok(records
        .map(|mapped| match mapped {
            MappedRecord::Canonical(record) => Ok(record.to_json()),
            MappedRecord::Unmappable { reason, .. } | MappedRecord::Refused { reason, .. } => Err(reason),
        })
        .collect())
}

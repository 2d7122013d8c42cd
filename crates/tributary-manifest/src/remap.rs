//! Maps records again that came before, with the manifest as it is now.

use std::sync::Arc;

use jaq_json::Val;

use tributary_domain::Resource;

use super::engine::Connection;
use super::follow_up;
use super::jq::{self, FilterError, Limits, Scope};
use super::page::{MappedRecord, RawRecord, ReadError};
use super::plan::Stream;
use super::reading::{self, Reading};

/// Why records cannot be mapped again. Of single records, [`MappedRecord::Unmappable`] tells.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RemapError {
    #[error("the manifest has no stream {0:?} any more")]
    NoStream(String),
    #[error("the stream {0:?} has no resource: its records become nothing")]
    NoResource(String),
    #[error("a record that was kept is not JSON: {0}")]
    Broken(String),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Connection {
    /// What the records of `stream` become.
    pub fn resource_of(&self, stream: &str) -> Result<Resource, RemapError> {
        let found = self.stream(stream).ok_or_else(|| RemapError::NoStream(stream.to_owned()))?;
        let output = found.output.as_ref().ok_or_else(|| RemapError::NoResource(stream.to_owned()))?;
        Ok(output.resource)
    }

    /// Maps `records` of `stream`, which see the `$parent` and `$now` that they saw when they
    /// came. Gives for each of them what it becomes, in their order.
    pub async fn map_again(
        &self,
        stream: &str,
        records: Vec<RawRecord>,
    ) -> Result<Vec<Vec<MappedRecord>>, RemapError> {
        self.resource_of(stream)?;
        let found = self.stream(stream).ok_or_else(|| RemapError::NoStream(stream.to_owned()))?;
        let parsed: Vec<Parsed> =
            records.into_iter().map(parse).collect::<Result<_, _>>().map_err(RemapError::Broken)?;
        let stream = Arc::clone(found);
        Ok(self.evaluate(move |deadline| map_all(&stream, &parsed, deadline)).await?)
    }
}

type Parsed = (Val, Scope, RawRecord);

fn parse(raw: RawRecord) -> Result<Parsed, String> {
    let read = |json: &[u8]| jq::parse(json).map_err(|error| error.to_string());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let identity = raw.identity.as_deref().map_or(Val::Null, |identity| Val::from(text(identity)));
    let scope = Scope { now: Val::from(raw.now.clone()), parent: read(&raw.parent)?, identity };
    Ok((read(&raw.record)?, scope, raw))
}

fn map_all(
    stream: &Stream,
    records: &[Parsed],
    deadline: std::time::Instant,
) -> Result<Vec<Vec<MappedRecord>>, FilterError> {
    let Some(output) = &stream.output else { return Ok(Vec::new()) };
    let limits = Limits { outputs: reading::MOST_MAPPED, deadline };
    let mut mapped = Vec::with_capacity(records.len());
    for (record, scope, raw) in records {
        if std::time::Instant::now() > deadline {
            return Err(output.map.error("mapping the records took too long".to_owned()));
        }
        let mut reading = Reading::default();
        reading::map_one(output, record, scope, limits, &mut reading);
        if raw.vanished {
            reading.records.iter_mut().for_each(|record| {
                if let MappedRecord::Canonical(json) = record {
                    *record = follow_up::cancelled(json, raw);
                }
            });
        }
        mapped.push(reading.records);
    }
    Ok(mapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_domain::ProviderName;

    fn connection() -> Connection {
        let manifest = r#"
base_url: http://bank
auth: { bearer: token }
every: 1m
streams:
  - name: raw
    request: { path: /raw }
    records: .[]
  - name: feed
    resource: accounts
    for_each: raw
    partition: .id
    request: { path: /feed }
    records: .[]
    map: 'if .bad then error("bad") else {id, accountName: $parent.name, createdAt: $now} end'
"#;
        let name = ProviderName::try_from("bank".to_owned()).unwrap();
        Connection::new(&name, &serde_saphyr::from_str(manifest).unwrap()).unwrap()
    }

    fn raw(record: &str) -> RawRecord {
        RawRecord {
            record: record.as_bytes().to_vec(),
            parent: br#"{"name":"Main"}"#.to_vec(),
            now: "2026-03-01T12:00:00Z".to_owned(),
            identity: None,
            vanished: false,
        }
    }

    #[tokio::test]
    async fn records_see_what_they_saw_when_they_came() {
        let mapped = connection().map_again("feed", vec![raw(r#"{"id":"a"}"#)]).await.unwrap();
        let [MappedRecord::Canonical(json)] = &mapped[0][..] else { panic!("{mapped:?}") };
        let json: serde_json::Value = serde_json::from_slice(json).unwrap();
        assert_eq!(
            (json["accountName"].as_str(), json["createdAt"].as_str()),
            (Some("Main"), Some("2026-03-01T12:00:00Z"))
        );
    }

    #[tokio::test]
    async fn a_record_that_still_has_no_place_does_not_stop_the_others() {
        let records = vec![raw(r#"{"id":"a"}"#), raw(r#"{"bad":true}"#), raw(r#"{"id":"b"}"#)];
        let mapped = connection().map_again("feed", records).await.unwrap();
        assert!(
            matches!(&mapped[1][..], [MappedRecord::Unmappable { reason, .. }] if reason.contains("bad"))
        );
        assert_eq!(mapped.len(), 3);
    }

    #[tokio::test]
    async fn streams_that_are_gone_or_become_nothing_say_so() {
        let connection = connection();
        assert!(matches!(connection.map_again("gone", vec![]).await, Err(RemapError::NoStream(_))));
        assert!(matches!(connection.map_again("raw", vec![]).await, Err(RemapError::NoResource(_))));
    }
}

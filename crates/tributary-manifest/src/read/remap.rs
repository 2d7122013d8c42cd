//! Maps records again that came before, with the manifest as it is now.

use std::sync::Arc;
use std::time::Instant;

use futures::future::try_join_all;
use jaq_json::Val;

use tributary_domain::Origin;

use super::follow_up;
use super::mapper::Mapper;
use super::mapping;
use super::page::MappedRecord;
use super::reader::{Reader, pieces};
use super::report::ReadError;
use crate::jq::{self, FilterError, Limits, Scope};
use crate::plan::Stream;

/// Why records cannot be mapped again. For single records there is [`MappedRecord::Unmappable`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RemapError {
    #[error("the manifest has no stream {0:?} any more")]
    NoStream(String),
    #[error("the stream {0:?} has no resource: its records are not mapped to anything")]
    NoResource(String),
    #[error("a record that was kept is not JSON: {0}")]
    Broken(String),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Reader {
    /// As [`Mapper::map_again`].
    pub async fn map_again(&self, origins: Vec<Origin>) -> Result<Vec<Vec<MappedRecord>>, RemapError> {
        self.mapper().map_again(origins).await
    }
}

impl Mapper {
    /// Maps records again, which see the `$parent` and `$now` that they saw when they came. Gives
    /// for each of them what it becomes, in their order.
    pub async fn map_again(&self, origins: Vec<Origin>) -> Result<Vec<Vec<MappedRecord>>, RemapError> {
        let kept: Vec<Kept> =
            origins.into_iter().map(|origin| self.kept(origin)).collect::<Result<_, _>>()?;
        let pieces = pieces(&self.cage, kept).into_iter().map(|kept| {
            self.cage.run(move |deadline| kept.into_iter().map(|kept| kept.map(deadline)).collect())
        });
        let mapped: Vec<Vec<Vec<MappedRecord>>> = try_join_all(pieces).await.map_err(ReadError::Cage)?;
        Ok(mapped.into_iter().flatten().collect())
    }

    fn kept(&self, origin: Origin) -> Result<Kept, RemapError> {
        self.resource_of(&origin.stream)?;
        let stream =
            self.stream(&origin.stream).ok_or_else(|| RemapError::NoStream(origin.stream.clone()))?;
        let read = |json: &[u8]| jq::parse(json).map_err(|error| RemapError::Broken(error.to_string()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let identity = origin.identity.as_deref().map_or(Val::Null, |identity| Val::from(text(identity)));
        let scope = Scope {
            now: Val::from(origin.asked_at.clone()),
            parent: read(&origin.parent)?,
            identity,
            ..Scope::default()
        };
        Ok(Kept { stream: Arc::clone(stream), record: read(&origin.record)?, scope, origin })
    }
}

/// A record that came before, and what its mapping sees.
struct Kept {
    stream: Arc<Stream>,
    record: Val,
    scope: Scope,
    origin: Origin,
}

impl Kept {
    fn map(self, deadline: Instant) -> Result<Vec<MappedRecord>, FilterError> {
        let Self { stream, record, scope, origin } = self;
        let Some(output) = &stream.output else { return Ok(Vec::new()) };
        let limits = Limits { outputs: mapping::MOST_MAPPED, deadline };
        let (mapped, _) = output.map_one(&record, &scope, limits, || origin.clone());
        // a filter that was stopped says nothing of its record
        if jq::is_late(deadline) {
            return Err(output.map.error("mapping the records took too long".to_owned()));
        }
        if !origin.vanished {
            return Ok(mapped);
        }
        let mapped = mapped.into_iter().map(|mapped| match mapped {
            MappedRecord::Canonical(record) => follow_up::cancelled(record, &origin),
            other @ (MappedRecord::Unmappable { .. } | MappedRecord::Refused { .. }) => other,
        });
        Ok(mapped.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiled::CompiledProvider;
    use tributary_domain::{ProviderName, Record};

    fn provider() -> CompiledProvider {
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
        CompiledProvider::new(&name, &serde_saphyr::from_str(manifest).unwrap()).unwrap()
    }

    fn came(stream: &str, record: &str) -> Origin {
        Origin {
            stream: stream.to_owned(),
            partition: "main".to_owned(),
            record: record.as_bytes().to_vec(),
            parent: br#"{"name":"Main"}"#.to_vec(),
            asked_at: "2026-03-01T12:00:00Z".to_owned(),
            identity: None,
            vanished: false,
        }
    }

    #[tokio::test]
    async fn records_see_what_they_saw_when_they_came() {
        let mapped = provider().map_again(vec![came("feed", r#"{"id":"a"}"#)]).await.unwrap();
        let [MappedRecord::Canonical(Record::Account(account))] = &mapped[0][..] else {
            panic!("{mapped:?}")
        };
        assert_eq!(
            (account.name.as_str(), account.created_at.to_text().as_str()),
            ("Main", "2026-03-01T12:00:00.000000Z")
        );
    }

    #[tokio::test]
    async fn records_keep_the_names_that_they_were_given_by_their_text() {
        let manifest = r#"
base_url: http://bank
auth: { bearer: token }
every: 1m
streams:
  - name: feed
    resource: accounts
    request: { path: /feed }
    records: .[]
    identity: { id: .id, fields: "[.name]" }
    map: '{id: $identity, accountName: .name, createdAt: $now}'
"#;
        let name = ProviderName::try_from("bank".to_owned()).unwrap();
        let provider = CompiledProvider::new(&name, &serde_saphyr::from_str(manifest).unwrap()).unwrap();
        let named = Origin { identity: Some(b"3f-2".to_vec()), ..came("feed", r#"{"name":"coffee"}"#) };
        let mapped = provider.map_again(vec![named]).await.unwrap();
        let [MappedRecord::Canonical(Record::Account(account))] = &mapped[0][..] else {
            panic!("{mapped:?}")
        };
        assert_eq!(account.id.as_str(), "3f-2");
    }

    #[tokio::test]
    async fn a_record_that_still_has_no_place_does_not_stop_the_others() {
        let bad = came("feed", r#"{"bad":true}"#);
        let records = vec![came("feed", r#"{"id":"a"}"#), bad.clone(), came("feed", r#"{"id":"b"}"#)];
        let mapped = provider().map_again(records).await.unwrap();
        let [MappedRecord::Unmappable { origin, reason }] = &mapped[1][..] else { panic!("{mapped:?}") };
        assert!(reason.contains("bad") && *origin == bad, "{mapped:?}");
        assert_eq!(mapped.len(), 3);
    }

    #[tokio::test]
    async fn records_keep_their_order_however_many_are_mapped_at_once() {
        let ids: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
        let records = ids.iter().map(|id| came("feed", &format!(r#"{{"id":"{id}"}}"#))).collect();
        let mapped = provider().map_again(records).await.unwrap();
        let mapped: Vec<&str> = mapped
            .iter()
            .flatten()
            .map(|record| match record {
                MappedRecord::Canonical(Record::Account(account)) => account.id.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(mapped, ids);
    }

    #[test]
    fn a_filter_that_was_stopped_says_nothing_of_its_record() {
        let provider = provider();
        let stream = provider.streams().iter().find(|stream| stream.name == "feed").unwrap();
        let record = || jq::parse(br#"{"id":"a"}"#).unwrap();
        let scope = || Scope {
            now: Val::from("2026-03-01T12:00:00Z".to_owned()),
            parent: jq::parse(br#"{"name":"Main"}"#).unwrap(),
            ..Scope::default()
        };
        let now = Instant::now();
        let (late, soon) = (
            now.checked_sub(std::time::Duration::from_secs(1)).unwrap_or(now),
            now + std::time::Duration::from_secs(60),
        );
        let mapped = |deadline| {
            let mut occurrences = mapping::Occurrences::new();
            mapping::map(stream, "", vec![record()], &scope(), false, &mut occurrences, deadline)
        };
        let again = |deadline| {
            let origin = came("feed", r#"{"id":"a"}"#);
            Kept { stream: Arc::clone(stream), record: record(), scope: scope(), origin }.map(deadline)
        };
        assert_eq!((mapped(soon).unwrap().records.len(), again(soon).unwrap().len()), (1, 1));
        assert!(mapped(late).unwrap_err().message.contains("mapping the records took too long"));
        assert!(again(late).unwrap_err().message.contains("mapping the records took too long"));
    }

    #[tokio::test]
    async fn streams_that_are_gone_or_become_nothing_say_so() {
        let provider = provider();
        let again = async |stream| provider.map_again(vec![came(stream, "{}")]).await;
        assert!(matches!(again("gone").await, Err(RemapError::NoStream(_))));
        assert!(matches!(again("raw").await, Err(RemapError::NoResource(_))));
    }
}

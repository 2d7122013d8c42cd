//! A row of the table, and what of it may be encrypted.

use chrono::{DateTime, Utc};

use super::super::StoreError;
use super::super::sealing::Cell;
use super::{Quarantined, RefusedRecord};
use crate::encryption::{Keyring, Place};
use tributary_domain::Origin;

/// Runs `with` on the column `raw` or `parent` of the row of a record's digest.
pub(super) fn cell<T>(
    (provider, resource, digest): (&str, &str, &[u8]),
    column: &'static str,
    with: impl FnOnce(Cell<'_>) -> T,
) -> T {
    let row: &[&[u8]] = &[resource.as_bytes(), digest];
    with(Cell { place: Place { table: "quarantine", column, provider, row }, what: "a record in quarantine" })
}

/// A row of the table. Stream, partition, parent and time are all there or none of them is
/// (`quarantine_origin_whole`).
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) provider: String,
    pub(super) resource: String,
    pub(super) raw_digest: Vec<u8>,
    pub(super) key_id: Option<String>,
    pub(super) raw: Vec<u8>,
    pub(super) reason: String,
    pub(super) fault_group: String,
    pub(super) attempts: i32,
    pub(super) first_seen: DateTime<Utc>,
    pub(super) last_seen: DateTime<Utc>,
    pub(super) stream: Option<String>,
    pub(super) partition: Option<String>,
    pub(super) parent: Option<Vec<u8>>,
    pub(super) asked_at: Option<String>,
    pub(super) identity: Option<Vec<u8>>,
    pub(super) vanished: bool,
}

impl Row {
    /// What is in the row, decrypted.
    pub(super) fn open(mut self, keys: &Keyring) -> Result<Quarantined, StoreError> {
        let (raw, parent) = (std::mem::take(&mut self.raw), self.parent.take());
        let at = (self.provider.as_str(), self.resource.as_str(), self.raw_digest.as_slice());
        let key_id = self.key_id.as_deref();
        let raw = cell(at, "raw", |cell| cell.open(keys, key_id, raw))?;
        let parent = parent.map(|parent| cell(at, "parent", |cell| cell.open(keys, key_id, parent)));
        let parent = parent.transpose()?;
        Ok(Self { raw, parent, ..self }.into())
    }
}

impl From<Row> for Quarantined {
    fn from(row: Row) -> Self {
        let Row { id, provider, resource, reason, fault_group: group, attempts, .. } = row;
        let (first_seen, last_seen) = (row.first_seen, row.last_seen);
        let record = match (row.stream, row.partition, row.parent, row.asked_at) {
            (Some(stream), Some(partition), Some(parent), Some(asked_at)) => {
                let (record, identity, vanished) = (row.raw, row.identity, row.vanished);
                RefusedRecord::Unmapped(Origin {
                    stream,
                    partition,
                    record,
                    parent,
                    asked_at,
                    identity,
                    vanished,
                })
            }
            _ => RefusedRecord::Canonical(row.raw),
        };
        Self { id, provider, resource, record, reason, group, attempts, first_seen, last_seen }
    }
}

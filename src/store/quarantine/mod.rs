//! Table `quarantine`: records that no page may hold.

mod actions;
mod fault;
mod groups;
mod read;
mod reseal;
mod row;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

pub use self::actions::{
    Action, Begun, Kind, Progress, actions, advance, begin, discard, end, first, lock_some, why,
};
use self::fault::Fault;
pub use self::fault::fault;
pub use self::groups::{Group, group, groups};
pub use self::read::{count, find, list, list_chosen, measure};
pub use self::reseal::reseal;
use self::row::cell;
use super::sealing;
use super::{StoreError, without_nul};
use crate::encryption::Keyring;
use tributary_domain::{Origin, ProviderName, Resource};

/// A record as it came, and why it was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    pub record: RefusedRecord,
    pub reason: String,
}

/// A record as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusedRecord {
    /// What was to be a canonical record.
    Canonical(Vec<u8>),
    /// One that its manifest could not map.
    Unmapped(Origin),
}

impl RefusedRecord {
    /// The record itself.
    pub fn raw(&self) -> &[u8] {
        match self {
            Self::Canonical(raw) => raw,
            Self::Unmapped(origin) => &origin.record,
        }
    }

    /// Where it came from, of one that is to be mapped.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Canonical(_) => None,
            Self::Unmapped(origin) => Some(origin),
        }
    }

    fn digest(&self) -> [u8; 32] {
        sealing::digest(self.raw(), self.origin().and_then(|origin| origin.identity.as_deref()))
    }
}

/// A record in quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct Quarantined {
    pub id: i64,
    pub provider: String,
    pub resource: String,
    pub record: RefusedRecord,
    pub reason: String,
    /// The group of what is here for the same fault.
    pub group: String,
    pub attempts: i32,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
}

/// Which records of the quarantine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Which<'a> {
    pub provider: Option<&'a ProviderName>,
    pub resource: Option<Resource>,
}

/// What of the quarantine somebody has chosen.
#[derive(Debug, Clone, Copy)]
pub enum Chosen<'a> {
    All(Which<'a>),
    /// What is here for one fault, by the group's id.
    Group(&'a str),
    /// The records of these ids.
    Ids(&'a [i64]),
}

impl<'a> Chosen<'a> {
    /// As statements take it: each part narrows it, where it is there.
    fn parts(self) -> (Which<'a>, Option<&'a str>, Option<&'a [i64]>) {
        match self {
            Self::All(which) => (which, None, None),
            Self::Group(group) => (Which::default(), Some(group), None),
            Self::Ids(ids) => (Which::default(), None, Some(ids)),
        }
    }
}

/// Keeps `refused`, encrypted if `keys` say so; a record that is there already counts another attempt.
pub async fn keep(
    connection: &mut PgConnection,
    keys: &Keyring,
    provider: &ProviderName,
    resource: Resource,
    refused: &[Refused],
) -> Result<(), StoreError> {
    let digests: Vec<[u8; 32]> = refused.iter().map(|refused| refused.record.digest()).collect();
    let (mut raw, mut parents) = (Vec::with_capacity(refused.len()), Vec::with_capacity(refused.len()));
    let mut key_id = None;
    for (refused, digest) in refused.iter().zip(&digests) {
        let at = (provider.as_str(), resource.as_str(), digest.as_slice());
        let record = cell(at, "raw", |cell| cell.seal_record(keys, refused.record.raw()))?;
        key_id = record.key_id;
        raw.push(record.bytes);
        let parent = refused.record.origin().map(|origin| origin.parent.as_slice());
        let parent = parent.map(|parent| cell(at, "parent", |cell| cell.seal_record(keys, parent)));
        parents.push(parent.transpose()?.map(|parent| parent.bytes));
    }
    let raw: Vec<&[u8]> = raw.iter().map(AsRef::as_ref).collect();
    let parents: Vec<Option<&[u8]>> = parents.iter().map(Option::as_deref).collect();
    let digests: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
    let reasons: Vec<String> = refused.iter().map(|refused| without_nul(&refused.reason)).collect();
    let origins = || refused.iter().map(|refused| refused.record.origin());
    let streams: Vec<_> = origins().map(|origin| Some(origin?.stream.as_str())).collect();
    let partitions: Vec<_> = origins().map(|origin| Some(origin?.partition.as_str())).collect();
    let asked_at: Vec<_> = origins().map(|origin| Some(origin?.asked_at.as_str())).collect();
    let faults: Vec<Fault> = refused
        .iter()
        .zip(&streams)
        .map(|(refused, stream)| Fault::of(provider.as_str(), resource.as_str(), *stream, &refused.reason))
        .collect();
    let groups: Vec<&str> = faults.iter().map(|fault| fault.group.as_str()).collect();
    let faults: Vec<&str> = faults.iter().map(|fault| fault.text.as_str()).collect();
    let identities: Vec<_> = origins().map(|origin| origin?.identity.as_deref()).collect();
    let vanished: Vec<_> = origins().map(|origin| origin.is_some_and(|origin| origin.vanished)).collect();
    sqlx::query!(
        r"with came as materialized (
           -- numbered as they came, which is how they are replayed
           select nextval('quarantine_id_seq') as id, r.raw, r.reason, r.stream, r.partition, r.parent, r.asked_at, r.identity,
                  r.vanished, r.digest, r.fault, r.fault_group, r.at
           from unnest($3::bytea[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::text[], $9::bytea[],
                       $10::boolean[], $11::bytea[], $13::text[], $14::text[]) with ordinality
             r (raw, reason, stream, partition, parent, asked_at, identity, vanished, digest, fault, fault_group, at)
           order by r.at)
         insert into quarantine as q
           (id, provider, resource, raw_digest, key_id, raw, reason, stream, partition, parent, asked_at, identity,
            vanished, fault, fault_group)
         overriding system value
         select distinct on (r.digest) r.id, $1, $2, r.digest, $12, r.raw, r.reason, r.stream, r.partition, r.parent,
                r.asked_at, r.identity, r.vanished, r.fault, r.fault_group
         from came r
         -- two writers of the same records wait for each other, and never both
         order by r.digest, r.at
         on conflict on constraint quarantine_record_key do update
         set attempts = q.attempts + 1, last_seen = clock_timestamp(), reason = excluded.reason,
             key_id = excluded.key_id, raw = excluded.raw, stream = excluded.stream,
             partition = excluded.partition, parent = excluded.parent, asked_at = excluded.asked_at,
             vanished = excluded.vanished, fault = excluded.fault, fault_group = excluded.fault_group",
        provider.as_str(),
        resource.as_str(),
        &raw as _,
        &reasons as _,
        &streams as _,
        &partitions as _,
        &parents as _,
        &asked_at as _,
        &identities as _,
        &vanished,
        &digests as _,
        key_id,
        &faults as _,
        &groups as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How many records of a provider may wait for a decision before no more are pushed.
const MOST_WAITING: i64 = 100_000;
/// And how much they may hold as they came, in bytes.
const MOST_WAITING_BYTES: i64 = 1024 * 1024 * 1024;

/// Whether more records of the provider wait than anybody will look through.
pub async fn is_full(connection: &mut PgConnection, provider: &ProviderName) -> Result<bool, StoreError> {
    let full = sqlx::query_scalar!(
        r#"select count(*) > $2::bigint or coalesce(sum(size), 0) > $3::bigint as "full!"
           from (select octet_length(raw) as size from quarantine where provider = $1 limit $2::bigint + 1) waiting"#,
        provider.as_str(),
        MOST_WAITING,
        MOST_WAITING_BYTES
    )
    .fetch_one(connection)
    .await?;
    Ok(full)
}

/// Takes those of `ids` that are still there out of the caller's reach, until its transaction
/// ends: a record is replayed by one only.
pub async fn lock(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<i64>, StoreError> {
    let locked = sqlx::query_scalar!(
        "select id from quarantine where id = any($1) order by id for update skip locked",
        ids
    )
    .fetch_all(connection)
    .await?;
    Ok(locked)
}

/// Waits until nobody has the record locked; gives whether it is still there. To be called outside of a transaction, so
/// that whoever waits has nothing that others wait for.
pub async fn wait_for(pool: &PgPool, id: i64) -> Result<bool, StoreError> {
    let there = sqlx::query_scalar!("select id from quarantine where id = $1 for update", id);
    Ok(there.fetch_optional(pool).await?.is_some())
}

/// Notes that replays of records failed, and why: each joins the group of its new reason.
pub async fn refuse_again(
    connection: &mut PgConnection,
    refused: &[(&Quarantined, &str)],
) -> Result<(), StoreError> {
    let ids: Vec<i64> = refused.iter().map(|(record, _)| record.id).collect();
    let reasons: Vec<String> = refused.iter().map(|(_, reason)| without_nul(reason)).collect();
    let fault = |(record, reason): &(&Quarantined, &str)| {
        let stream = record.record.origin().map(|origin| origin.stream.as_str());
        Fault::of(&record.provider, &record.resource, stream, reason)
    };
    let faults: Vec<Fault> = refused.iter().map(fault).collect();
    let groups: Vec<&str> = faults.iter().map(|fault| fault.group.as_str()).collect();
    let faults: Vec<&str> = faults.iter().map(|fault| fault.text.as_str()).collect();
    sqlx::query!(
        "update quarantine q set attempts = q.attempts + 1, last_seen = clock_timestamp(), reason = r.reason,
                fault = r.fault, fault_group = r.fault_group
         from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) r (id, reason, fault, fault_group)
         where q.id = r.id",
        &ids,
        &reasons,
        &faults as _,
        &groups as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes out records by their ids, which have their place now.
pub async fn release(connection: &mut PgConnection, ids: &[i64]) -> Result<(), StoreError> {
    sqlx::query!("delete from quarantine where id = any($1)", ids).execute(connection).await?;
    Ok(())
}

/// Deletes the records of `raw` and `identities`, which have their place now; gives how many there
/// were.
pub async fn free(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    raw: &[&[u8]],
    identities: &[Option<&[u8]>],
) -> Result<u64, StoreError> {
    let digests: Vec<[u8; 32]> =
        raw.iter().zip(identities).map(|(raw, identity)| sealing::digest(raw, *identity)).collect();
    let digests: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
    let gone = sqlx::query!(
        "delete from quarantine where provider = $1 and resource = $2 and stream is not null
           and raw_digest = any ($3::bytea[])",
        provider.as_str(),
        resource.as_str(),
        &digests as _
    )
    .execute(connection)
    .await?;
    Ok(gone.rows_affected())
}

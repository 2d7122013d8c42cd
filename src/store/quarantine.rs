//! Table `quarantine`: records that no page may hold.

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::{ProviderName, Resource};

/// A record as it came, and why it was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    pub raw: Vec<u8>,
    pub reason: String,
}

/// Keeps `refused`; a record that is there already counts another attempt.
pub async fn keep(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    refused: &[Refused],
) -> Result<(), StoreError> {
    let raw: Vec<&[u8]> = refused.iter().map(|refused| refused.raw.as_slice()).collect();
    // a reason may quote the record, NUL and all
    let reasons: Vec<String> =
        refused.iter().map(|refused| refused.reason.replace('\0', "\u{fffd}")).collect();
    sqlx::query!(
        "insert into quarantine as q (provider, resource, raw, reason)
         select distinct on (sha256(r.raw)) $1, $2, r.raw, r.reason
         from unnest($3::bytea[], $4::text[]) r (raw, reason)
         order by sha256(r.raw)
         on conflict on constraint quarantine_record_key do update
         set attempts = q.attempts + 1, last_seen = clock_timestamp(), reason = excluded.reason",
        provider.as_str(),
        resource.as_str(),
        &raw as _,
        &reasons as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

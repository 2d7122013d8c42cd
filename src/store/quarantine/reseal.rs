//! Encrypting the records in quarantine with another key.

use sqlx::PgPool;

use super::super::StoreError;
use super::super::sealing::Resealed;
use super::row::cell;
use crate::encryption::Keyring;

/// Encrypts up to `most` records with ids above `after` with the first of `keys` that are not yet: those
/// that are encrypted, and the others where records are to be. Moves `after` on; gives `None` where there
/// are no more.
pub async fn reseal(
    pool: &PgPool,
    keys: &Keyring,
    after: &mut i64,
    most: u32,
) -> Result<Option<Resealed>, StoreError> {
    let mut transaction = crate::store::begin(pool).await?;
    let rows = sqlx::query!(
        "select id, provider, resource, raw_digest, key_id, raw, parent from quarantine
         where id > $1 and key_id is distinct from $2 and (key_id is not null or $3)
         order by id limit $4 for update skip locked",
        *after,
        keys.ids().next(),
        keys.encrypts_records(),
        i64::from(most)
    )
    .fetch_all(&mut *transaction)
    .await?;
    let Some(last) = rows.last() else { return Ok(None) };
    *after = last.id;
    let mut done = Resealed::default();
    for row in rows {
        let at = (row.provider.as_str(), row.resource.as_str(), row.raw_digest.as_slice());
        let resealed = |column, bytes| {
            cell(at, column, |cell| cell.seal(keys, &cell.open(keys, row.key_id.as_deref(), bytes)?))
        };
        let parent = row.parent.map(|parent| resealed("parent", parent)).transpose();
        let (raw, parent) = match (resealed("raw", row.raw), parent) {
            (Ok(raw), Ok(parent)) => (raw, parent),
            (Err(error), _) | (_, Err(error)) => {
                done.skip(error)?;
                continue;
            }
        };
        sqlx::query!(
            "update quarantine set key_id = $2, raw = $3, parent = $4 where id = $1",
            row.id,
            raw.key_id,
            &*raw.bytes,
            parent.as_ref().map(|parent| &*parent.bytes)
        )
        .execute(&mut *transaction)
        .await?;
        done.changed += 1;
    }
    transaction.commit().await?;
    Ok(Some(done))
}

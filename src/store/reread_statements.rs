//! Statements that were taken, as they are read again: what became of them, what they tell of, and what becomes of one that
//! was put aside.

use sqlx::PgConnection;

use super::statements::{MovementRow, NewStatement};
use super::{StoreError, without_nul};
use tributary_domain::ProviderName;

/// A statement of a file, with what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptStatement {
    pub seq: i64,
    /// In its file, from 0 on.
    pub place: i32,
    pub account: String,
    pub currency: String,
    pub number: Option<String>,
    pub state: String,
    pub reason: Option<String>,
    /// Whether another one took its place.
    pub is_settled: bool,
    /// JSON, of one that was published.
    pub facts: Option<String>,
}

/// The statements of a file, in its order.
pub async fn kept(
    connection: &mut PgConnection,
    provider: &ProviderName,
    sha256: &[u8],
) -> Result<Vec<KeptStatement>, StoreError> {
    let kept = sqlx::query_as!(
        KeptStatement,
        r#"select seq, place, account, currency, number, state, reason, settled_at is not null as "is_settled!",
                  facts::text as facts
           from statements where provider = $1 and sha256 = $2 order by place"#,
        provider.as_str(),
        sha256
    )
    .fetch_all(connection)
    .await?;
    Ok(kept)
}

/// Has the statement `seq`, which was put aside, be what it is read as now. One that is published now comes after all that
/// were, under a new number, as ids go by the order in which statements were taken; gives its number.
pub async fn reread(
    connection: &mut PgConnection,
    provider: &ProviderName,
    seq: i64,
    new: &NewStatement<'_>,
) -> Result<i64, StoreError> {
    let published = new.state == "published";
    if published {
        // an identity takes no value but its own next one
        let moved = sqlx::query_scalar!(
            "update statements set seq = default where provider = $1 and seq = $2 and state = 'put_aside' returning seq",
            provider.as_str(),
            seq
        );
        let moved = moved.fetch_one(&mut *connection).await?;
        return set_reread(connection, provider, moved, new).await.map(|()| moved);
    }
    set_reread(connection, provider, seq, new).await.map(|()| seq)
}

async fn set_reread(
    connection: &mut PgConnection,
    provider: &ProviderName,
    seq: i64,
    new: &NewStatement<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update statements set format = $3, kind = $4, number = $5, page = $6, opening = $7::text::numeric,
           closing = $8::text::numeric, closing_day = $9, entries = $10, state = $11, reason = $12,
           missing = $13::text::numeric, facts = $14::text::jsonb
         where provider = $1 and seq = $2 and state = 'put_aside'",
        provider.as_str(),
        seq,
        new.format,
        new.kind,
        new.number,
        new.page,
        new.opening,
        new.closing,
        new.closing_day,
        i32::try_from(new.entries).unwrap_or(i32::MAX),
        new.state,
        new.reason.as_deref().map(without_nul),
        new.missing,
        new.facts
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What the statement `seq` tells of, with the metadata of the transactions; not what is news of an order, or in
/// quarantine.
pub async fn told_by(
    connection: &mut PgConnection,
    provider: &ProviderName,
    seq: i64,
) -> Result<Vec<(MovementRow, serde_json::Value)>, StoreError> {
    let rows = sqlx::query!(
        r#"select m.id, m.seq, m.place, m.state, m.is_final, m.amount::text as "amount!", m.created_at, m.type as kind,
                  m.related_transaction_id, m.order_reference, t.metadata
           from statement_movements m join transactions t on t.provider = m.provider and t.id = m.id
           where m.provider = $1 and m.seq = $2 order by m.id"#,
        provider.as_str(),
        seq
    )
    .fetch_all(connection)
    .await?;
    let told = rows.into_iter().map(|row| {
        let movement = MovementRow {
            id: row.id,
            seq: row.seq,
            place: row.place,
            state: row.state,
            is_final: row.is_final,
            amount: row.amount,
            created_at: row.created_at,
            kind: row.kind,
            related_transaction_id: row.related_transaction_id,
            order_reference: row.order_reference,
        };
        (movement, row.metadata)
    });
    Ok(told.collect())
}

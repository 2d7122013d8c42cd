//! Table `statement_movements`: what was published of each movement, and which statement tells of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Key;
use crate::store::StoreError;
use tributary_domain::ProviderName;

/// A movement as it was published.
#[derive(Debug, Clone, PartialEq)]
pub struct MovementRow {
    pub id: String,
    pub seq: i64,
    pub place: i32,
    pub state: String,
    pub is_final: bool,
    /// Signed, in minor units.
    pub amount: String,
    pub created_at: DateTime<Utc>,
    pub kind: String,
    pub related_transaction_id: Option<String>,
    pub order_reference: Option<String>,
}

/// Keeps movements of distinct ids as they were published; what never changes of one stays.
pub async fn save_movements(
    connection: &mut PgConnection,
    provider: &ProviderName,
    key: Key<'_>,
    rows: &[MovementRow],
) -> Result<(), StoreError> {
    let text = |column: fn(&MovementRow) -> &str| -> Vec<&str> { rows.iter().map(column).collect() };
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    let places: Vec<i32> = rows.iter().map(|row| row.place).collect();
    let finals: Vec<bool> = rows.iter().map(|row| row.is_final).collect();
    let created: Vec<DateTime<Utc>> = rows.iter().map(|row| row.created_at).collect();
    let related: Vec<Option<&str>> = rows.iter().map(|row| row.related_transaction_id.as_deref()).collect();
    let references: Vec<Option<&str>> = rows.iter().map(|row| row.order_reference.as_deref()).collect();
    sqlx::query!(
        "insert into statement_movements (provider, id, account, currency, seq, place, state, is_final, amount,
           created_at, type, related_transaction_id, order_reference)
         select $1, n.id, $2, $3, n.seq, n.place, n.state, n.is_final, n.amount::numeric, n.created_at, n.type,
                n.related, n.reference
         from unnest($4::text[], $5::bigint[], $6::integer[], $7::text[], $8::boolean[], $9::text[],
                     $10::timestamptz[], $11::text[], $12::text[], $13::text[])
           as n (id, seq, place, state, is_final, amount, created_at, type, related, reference)
         on conflict on constraint statement_movements_pkey do update
         set seq = excluded.seq, place = excluded.place, state = excluded.state, is_final = excluded.is_final",
        provider.as_str(),
        key.account,
        key.currency,
        &text(|row| &row.id) as _,
        &seqs,
        &places,
        &text(|row| &row.state) as _,
        &finals,
        &text(|row| &row.amount) as _,
        &created,
        &text(|row| &row.kind) as _,
        &related as _,
        &references as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What was published under `ids`, with the metadata of the transaction where it is one (an order's movement is not).
pub async fn movements(
    connection: &mut PgConnection,
    provider: &ProviderName,
    ids: &[&str],
) -> Result<HashMap<String, (MovementRow, Option<serde_json::Value>)>, StoreError> {
    let rows = sqlx::query!(
        r#"select m.id, m.seq, m.place, m.state, m.is_final, m.amount::text as "amount!", m.created_at, m.type as kind,
                  m.related_transaction_id, m.order_reference, t.metadata as "metadata?"
           from statement_movements m
             left join transactions t on t.provider = m.provider and t.id = m.id
           where m.provider = $1 and m.id = any($2)"#,
        provider.as_str(),
        ids as _
    )
    .fetch_all(connection)
    .await?;
    let kept = rows.into_iter().map(|row| {
        let movement = MovementRow {
            id: row.id.clone(),
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
        (row.id, (movement, row.metadata))
    });
    Ok(kept.collect())
}

//! What a statement makes of the movements of its account: what is new or stands otherwise is written.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use tributary_statements::identity::{Facts, State};
use tributary_statements::{Movement, Purpose, Statement, StatementKind, movements};

use super::account::{OfAccount, key};
use super::import::{TakeError, Taking, ToWrite};
use super::movements::{self as records_of, Written};
use super::shelf::{self, Changed};
use crate::store::payment_orders;
use crate::store::quarantine::{Refused, RefusedRecord};
use crate::store::statements::{self, MovementRow};

impl OfAccount<'_> {
    /// Takes the facts, and writes what is new or stands otherwise by them.
    pub(super) async fn publish(
        &mut self,
        connection: &mut PgConnection,
        seq: i64,
        statement: Statement,
        facts: &Facts,
        written: &mut ToWrite,
    ) -> Result<(), TakeError> {
        let Taking { provider, files, .. } = self.taking;
        let balances = statement.opening().zip(statement.closing());
        let is_head = statement.kind == StatementKind::Final && statement.purpose != Purpose::Deletion;
        let head =
            statement.closing_day().zip(balances).filter(|_| is_head).map(|(day, (opening, closing))| {
                let page = statement.page.as_ref().map(|page| page.number.as_str());
                let (opening, closing) = (opening.amount.minor_units(), closing.amount.minor_units());
                shelf::head(day, (statement.number.as_deref(), page), opening, closing, facts)
            });
        let is_export = statement.kind == StatementKind::Export;
        self.shelf.take(seq, facts, head, is_export, files.rules);
        self.now.insert(seq, statement);
        let changed = self.shelf.changed();
        self.read_again(connection, &changed).await?;
        let known: Vec<&str> =
            changed.iter().filter(|each| !each.is_new).map(|each| each.id.as_str()).collect();
        let known = statements::movements(connection, provider, &known).await?;
        let moves: BTreeMap<i64, Vec<Movement<'_>>> =
            self.now.iter().map(|(seq, of)| (*seq, movements(of, files.rules.level))).collect();
        let mut rows = Vec::with_capacity(changed.len());
        for each in &changed {
            let told = moves.get(&each.seq).and_then(|moves| moves.get(each.place));
            let told = told.filter(|movement| movement.amount == each.amount);
            let written_as = self.written(connection, each, told, known.get(&each.id)).await?;
            let asset = self.account.currency.asset();
            let place = (self.account_id.as_str(), asset.as_str());
            let state_changes =
                known.get(&each.id).is_none_or(|(row, _)| row.state != state_name(each.state));
            let (raw, record) = records_of::transaction(&each.id, place, &written_as, each.state);
            match record {
                _ if !state_changes && told.is_none() => {}
                Ok(record) => written.transactions.push(record),
                Err(error) => {
                    let record = RefusedRecord::Canonical(raw.to_string().into_bytes());
                    written.refused.push(Refused { record, reason: error.to_string() });
                }
            }
            rows.push(row(each, written_as));
        }
        statements::save_movements(connection, provider, key(self.account), &rows).await?;
        self.shelf.settle();
        Ok(())
    }

    /// What is to be written of a movement: what never changes of it as it was published first, the rest as the bank
    /// says it now.
    async fn written(
        &self,
        connection: &mut PgConnection,
        changed: &Changed,
        told: Option<&Movement<'_>>,
        known: Option<&(MovementRow, Option<serde_json::Value>)>,
    ) -> Result<Written, TakeError> {
        let Taking { provider, files, .. } = self.taking;
        let new = told.zip(self.now.get(&changed.seq));
        let new = new.map(|(movement, of)| Written::new(files, of, movement, self.at));
        if let Some((row, metadata)) = known {
            let metadata = new.map(|new| new.metadata).or_else(|| metadata.clone());
            return Ok(Written {
                created_at: row.created_at,
                kind: row.kind.clone(),
                related: row.related_transaction_id.clone(),
                order_reference: row.order_reference.clone(),
                amount: changed.amount,
                metadata: metadata.unwrap_or_else(|| serde_json::json!({})),
            });
        }
        // money is not lost where what was said of it is
        let mut new = new.unwrap_or_else(|| Written::of_erased(files, changed.day, changed.amount, self.at));
        new.amount = changed.amount;
        if let Some(reference) =
            new.order_reference.as_deref().filter(|_| told.is_some_and(records_of::is_return))
        {
            // what comes back of an order belongs to its payment
            let orders = payment_orders::named(connection, provider, &[reference]).await?;
            if let Some(order) = orders.iter().find(|order| order.names.has_reference(reference)) {
                new.related = Some(order.idempotency_key.clone());
                new.kind = tributary_domain::TransactionType::from(order.kind).as_str().to_owned();
            }
        }
        Ok(new)
    }
}

fn row(changed: &Changed, written: Written) -> MovementRow {
    MovementRow {
        id: changed.id.clone(),
        seq: changed.seq,
        place: i32::try_from(changed.place).unwrap_or(i32::MAX),
        state: state_name(changed.state).to_owned(),
        is_final: changed.is_final,
        amount: changed.amount.minor_units().to_string(),
        created_at: written.created_at,
        kind: written.kind,
        related_transaction_id: written.related,
        order_reference: written.order_reference,
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Booked => "booked",
        State::Pending => "pending",
        State::Cancelled => "cancelled",
    }
}

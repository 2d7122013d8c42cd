//! One order with all that happened to it.

use serde_json::{Value, json};

use super::find;
use crate::cli::CommandResult;
use crate::cli::database::Database;
use crate::cli::table::{self, Output, OutputArgs, printable, time};
use crate::payments::told::{changes, outcome};
use crate::store::payment_audit;
use crate::store::payment_orders::{self, Order};

/// An order as programs read it.
pub fn described(order: &Order) -> Value {
    json!({"id": order.id, "idempotency_key": order.idempotency_key, "provider": order.provider.as_str(),
        "kind": order.kind, "amount": order.amount.to_string(), "asset": order.asset,
        "source_account_id": order.source_account_id, "destination_account_id": order.destination_account_id,
        "description": order.description, "metadata": order.metadata, "created_at": order.created_at,
        "state": order.state.as_str(), "status": order.status, "status_at": order.status_at,
        "reason": order.reason, "attempt": order.attempt, "tries": order.tries,
        "first_sent_at": order.first_sent_at, "last_sent_at": order.last_sent_at,
        "provider_key": order.provider_key, "request": order.request,
        "provider_payment_id": order.provider_payment_id,
        "provider_reference": order.provider_reference, "placed_by": order.placed_by,
        "approvals_needed": order.approvals_needed, "approved_by": order.approved_by})
}

pub async fn show(database: &Database, order: &str, form: OutputArgs) -> CommandResult {
    let order = find(database, order).await?;
    let audit = payment_audit::of_order(&database.pool, order.id).await?;
    let steps = payment_orders::all_steps(&database.pool, &order).await?;
    if form.output == Output::Json {
        let mut shown = described(&order);
        shown["audit"] = json!(audit);
        shown["steps"] = json!(steps);
        table::json(&shown);
        return Ok(());
    }
    let field = |name: &str, value: &str| println!("{name:16} {}", printable(value));
    let optional = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            field(name, value);
        }
    };
    field("id", &order.id.to_string());
    field("idempotency key", &order.idempotency_key);
    field("provider", order.provider.as_str());
    field("kind", order.kind.as_str());
    field("amount", &format!("{} {}", order.amount, order.asset));
    field("from", &order.source_account_id);
    field("to", &order.destination_account_id);
    optional("description", &order.description);
    field("ordered", &format!("{} by {}", time(order.created_at), order.placed_by));
    field("state", order.state.as_str());
    field("status", &format!("{} since {}", order.status.as_str(), time(order.status_at)));
    optional("reason", &order.reason);
    field("attempt", &order.attempt.to_string());
    field("sent", &sent(&order));
    field("provider key", &order.provider_key);
    for step in &steps {
        let of = if step.attempt == order.attempt {
            String::new()
        } else {
            format!(" of attempt {}", step.attempt)
        };
        field("step", &format!("{}{of}: {}", step.name, outcome(step)));
    }
    for (name, member) in [("request", "url"), ("body", "body")] {
        optional(
            name,
            &order.request[member].as_str().map(|text| tributary_manifest::readable(&order.request, text)),
        );
    }
    optional("provider id", &order.provider_payment_id);
    optional("provider ref", &order.provider_reference);
    if order.approvals_needed > 1 {
        field("approvals", &format!("{} persons have to approve", order.approvals_needed));
    }
    optional("approved by", &order.approved_by);
    println!();
    for change in audit {
        println!("{}  {}: {}", time(change.at), printable(&change.actor), printable(&change.what));
        for line in changes(change.before.as_ref(), change.after.as_ref()) {
            println!("    {}", printable(&line));
        }
    }
    Ok(())
}

/// When the attempt's request was sent: where to look for it at the provider.
fn sent(order: &Order) -> String {
    match (order.first_sent_at, order.last_sent_at) {
        (Some(first), Some(last)) if order.tries > 1 => {
            format!("{} times, from {} to {}", order.tries, time(first), time(last))
        }
        (Some(first), _) => time(first),
        _ => "not yet".to_owned(),
    }
}

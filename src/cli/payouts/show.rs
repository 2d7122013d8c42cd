//! One order with all that happened to it.

use crate::cli::table::{self, Output, OutputArgs, printable, time};
use crate::payments::told::{changes, outcome};
use crate::verbs::payouts::{History, ShownOrder};

pub fn show(history: &History, form: OutputArgs) {
    if form.output == Output::Json {
        return table::json(history);
    }
    let History { order, audit, steps } = history;
    let field = |name: &str, value: &str| println!("{name:16} {}", printable(value));
    let optional = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            field(name, value);
        }
    };
    field("id", &order.id.to_string());
    field("idempotency key", &order.idempotency_key);
    field("provider", &order.provider);
    field("kind", &order.kind);
    field("amount", &format!("{} {}", order.amount, order.asset));
    field("from", &order.source_account_id);
    field("to", &order.destination_account_id);
    optional("description", &order.description);
    field("ordered", &format!("{} by {}", time(order.created_at), order.placed_by));
    field("state", &order.state);
    field("status", &format!("{} since {}", order.status, time(order.status_at)));
    optional("reason", &order.reason);
    field("attempt", &order.attempt.to_string());
    field("sent", &sent(order));
    field("provider key", &order.provider_key);
    for step in steps {
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
    if audit.is_none() {
        println!("its audit is for logins in tributary_operator");
    }
    for change in audit.iter().flatten() {
        println!("{}  {}: {}", time(change.at), printable(&change.actor), printable(&change.what));
        for line in changes(change.before.as_ref(), change.after.as_ref()) {
            println!("    {}", printable(&line));
        }
    }
}

/// When the attempt's request was sent: where to look for it at the provider.
fn sent(order: &ShownOrder) -> String {
    match (order.first_sent_at, order.last_sent_at) {
        (Some(first), Some(last)) if order.tries > 1 => {
            format!("{} times, from {} to {}", order.tries, time(first), time(last))
        }
        (Some(first), _) => time(first),
        _ => "not yet".to_owned(),
    }
}

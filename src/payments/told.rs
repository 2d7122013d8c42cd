//! What happened to an order, in words: the same for whoever shows it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::store::payment_orders::Step;

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What a step gave, and when; or how often it was asked for in vain.
pub fn outcome(step: &Step) -> String {
    let asked = match step.tries {
        1 => "asked once".to_owned(),
        tries => format!("asked {tries} times"),
    };
    match (&step.gave, step.gave_at) {
        (Some(gave), Some(at)) => {
            let gave = gave.as_str().map_or_else(|| gave.to_string(), str::to_owned);
            format!("gave {gave} at {} ({asked})", time(at))
        }
        _ => format!("nothing so far ({asked}, last at {})", time(step.asked_at)),
    }
}

/// What was ordered, which never changes and is shown above.
const ORDERED: [&str; 15] = [
    "id",
    "provider",
    "kind",
    "idempotency_key",
    "fingerprint",
    "asset",
    "amount",
    "source_account_id",
    "destination_account_id",
    "description",
    "metadata",
    "request",
    "created_at",
    "placed_by",
    "approvals_needed",
];

/// A line for each member that a change set, or made another.
pub fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let Some(after) = after.and_then(Value::as_object) else { return Vec::new() };
    let line = |(name, value): (&String, &Value)| match before {
        Some(before) => Some(format!("{name}: {} -> {}", text(&before[name.as_str()]), text(value))),
        None => (!value.is_null() && !ORDERED.contains(&name.as_str()))
            .then(|| format!("{name}: {}", text(value))),
    };
    after.iter().filter_map(line).collect()
}

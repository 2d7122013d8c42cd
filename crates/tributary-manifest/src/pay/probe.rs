//! Makes the request of a sample order, to see before any money moves that it carries the key: a
//! request that is repeated without one moves the money again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use jaq_json::Val;
use serde_json::{Map, Value, json};

use super::plan::PaymentPlan;
use crate::cage;
use crate::jq::{self, Limits, Scope};
use crate::manifest::PaymentManifest;
use crate::wire::{Request, Target};
use tributary_domain::PaymentKind;

/// How long the filters of all samples may take.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// Of both formats that a key may have; nothing else in a sample looks like it.
const SAMPLE_KEY: &str = "5A3K3Y00-5A3K-4EY0-8A3K-5A3K3Y5A3K3Y";
/// Assets that providers pay in; the first that a file takes is the sample's.
const SAMPLE_ASSETS: [&str; 8] = ["USD/2", "EUR/2", "GBP/2", "NGN/2", "IDR/2", "JPY", "BRL/2", "KES/2"];

/// Whether `key` is in what `request` sends.
pub fn carries(request: &Request, key: &str) -> bool {
    let in_headers =
        request.headers.values().any(|value| value.to_str().is_ok_and(|text| text.contains(key)));
    let in_target = match &request.target {
        Target::Relative { path, query } => {
            path.contains(key) || query.iter().any(|(_, value)| value.contains(key))
        }
        Target::Absolute(url) => url.as_str().contains(key),
    };
    let body = request.body.as_deref().unwrap_or_default();
    let in_body = body.windows(key.len()).any(|window| window == key.as_bytes());
    in_headers || in_target || in_body
}

/// What is wrong with a request without the key.
pub const KEYLESS: &str = "does not carry the key, so that the same request sent again would move the money \
     again: put $key (in a path or a header, {key}) where the provider takes its idempotency key";

/// Sees that the request of a section carries the key. Where no sample can be made a request of,
/// the text of the section has to name the key at least; each order's own request is looked at
/// before it is sent anyway.
pub fn probe(
    kind: PaymentKind,
    plan: &Arc<PaymentPlan>,
    functions: &str,
    described: &PaymentManifest,
) -> Result<(), &'static str> {
    match sampled(kind, plan, functions, described) {
        Some(true) => Ok(()),
        Some(false) => Err(KEYLESS),
        None if names_key(&format!("{:?} {:?} {functions}", described.prepare, described.request)) => Ok(()),
        None => Err(KEYLESS),
    }
}

/// Whether the request of a sample order carries the key; `None` where none can be made.
pub fn sampled(
    kind: PaymentKind,
    plan: &Arc<PaymentPlan>,
    functions: &str,
    described: &PaymentManifest,
) -> Option<bool> {
    let text = format!("{described:?}\n{functions}");
    first_carries(plan, SAMPLE_ASSETS.iter().map(|asset| sample(kind, asset, &text)).collect())
}

/// An order of this asset, with whatever members of its parties' metadata `text` asks for.
fn sample(kind: PaymentKind, asset: &str, text: &str) -> Value {
    let code = asset.split('/').next().unwrap_or(asset);
    let metadata: Map<String, Value> =
        members(text, "metadata.").map(|name| (name.to_owned(), json!("sample"))).collect();
    let to = match kind {
        PaymentKind::Payout => "beneficiary",
        PaymentKind::Transfer => "account",
    };
    let party = |id: &str, of: &str| json!({"id": id, "type": of, "name": "Sample", "metadata": metadata});
    json!({
        "key": SAMPLE_KEY, "idempotencyKey": "sample order", "attempt": 1, "amount": "1500", "currency": asset,
        "description": "sample", "metadata": metadata,
        "source": party(code, "account"), "destination": party("sample-destination", to),
    })
}

/// The names that follow `prefix` in `text`.
fn members<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(prefix).skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}

/// Whether `text` has the word `key` somewhere: `.key`, `{key}`, `$order.key`.
fn names_key(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == "key")
}

/// Whether the request of the first sample that one can be made of carries the key; `None` where
/// there is none.
fn first_carries(plan: &Arc<PaymentPlan>, samples: Vec<Value>) -> Option<bool> {
    let plan = Arc::clone(plan);
    let deadline = Instant::now() + PROBE_LIMIT;
    let carries = cage::run_within(PROBE_LIMIT + Duration::from_secs(1), move || {
        samples.iter().find_map(|sample| {
            let order = jq::parse(sample.to_string().as_bytes()).ok()?;
            let record = plan.record(order, deadline).ok()?;
            let scope = Scope::at(Utc::now(), Val::Null);
            let request = plan.request.build(&record, &scope, Limits::one(deadline)).ok()?;
            Some(carries(&request, SAMPLE_KEY))
        })
    });
    carries.flatten()
}

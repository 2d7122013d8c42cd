//! Makes the requests of a sample order, to see before any money moves that they carry the key: a
//! request that is repeated without one moves the money again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::api::{Requests, requests};
use super::keyed::{Carries, KeyedStep, Keyless, carries, require_keys};
use super::places::{Given, Within, fill};
use super::plan::PaymentPlan;
use super::steps::with_places;
use crate::cage;
use crate::manifest::PaymentManifest;
use crate::wire::{Request, Target};
use tributary_domain::PaymentKind;

/// How long the filters of all samples may take.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// Of both formats that a key may have; nothing else in a sample looks like it.
const SAMPLE_KEY: &str = "5A3K3Y00-5A3K-4EY0-8A3K-5A3K3Y5A3K3Y";
/// Assets that providers pay in; the first that a file takes is the sample's.
const SAMPLE_ASSETS: [&str; 8] = ["USD/2", "EUR/2", "GBP/2", "NGN/2", "IDR/2", "JPY", "BRL/2", "KES/2"];

/// Whom a sample pays: some providers want ids as numbers.
const SAMPLE_DESTINATION: &str = "1000001";

/// What a sample's steps give.
const SAMPLE_GIVEN: &str = "sample-given";

/// What is wrong with the requests of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Keyless(Keyless),
    /// A request computes with what the step gives.
    Computed(String),
}

/// Sees that the requests of a section carry the key, and take what steps give as it is. Where no sample can be
/// made a request of, the text of the section has to name the key at least; each order's own requests are looked at
/// before they are sent anyway. The error is the field, and why.
pub fn probe(
    kind: PaymentKind,
    plan: &Arc<PaymentPlan>,
    functions: &str,
    described: &PaymentManifest,
) -> Result<(), (String, String)> {
    let keyless = |keyless: Keyless| match &keyless {
        Keyless::Payment => ("request".to_owned(), keyless.to_string()),
        Keyless::Step(name) => (format!("steps.{name}"), keyless.to_string()),
    };
    match found(kind, plan, functions, described) {
        Some(Ok(())) => Ok(()),
        Some(Err(Found::Keyless(why))) => Err(keyless(why)),
        Some(Err(Found::Computed(step))) => Err((
            "request".to_owned(),
            format!(
                "computes with what the step {step} gives: requests are made before it is asked for, so ${step} can \
                 only stand in them as it is"
            ),
        )),
        None if names_key(&format!("{:?} {:?} {functions}", described.prepare, described.request)) => Ok(()),
        None => {
            let (field, why) = keyless(Keyless::Payment);
            let unmade = unmade(kind, plan, functions, described);
            Err((field, format!("{why}. (No request can be made of a sample order to see: {unmade})")))
        }
    }
}

/// Why no request can be made of the first sample.
fn unmade(
    kind: PaymentKind,
    plan: &Arc<PaymentPlan>,
    functions: &str,
    described: &PaymentManifest,
) -> String {
    let sample = sample(kind, SAMPLE_ASSETS[0], &format!("{described:?}\n{functions}"));
    let (plan, deadline) = (Arc::clone(plan), Instant::now() + PROBE_LIMIT);
    let made = cage::run_within(PROBE_LIMIT + Duration::from_secs(1), move || {
        requests(&plan, &with_places(&sample, &plan.steps), deadline).err()
    });
    made.flatten().unwrap_or_else(|| "its filters take too long".to_owned())
}

/// Whether the requests of a sample order carry the key; `None` where none can be made.
#[cfg(test)]
pub fn sampled(
    kind: PaymentKind,
    plan: &Arc<PaymentPlan>,
    functions: &str,
    described: &PaymentManifest,
) -> Option<bool> {
    found(kind, plan, functions, described).map(|found| found.is_ok())
}

fn found(
    kind: PaymentKind,
    plan: &Arc<PaymentPlan>,
    functions: &str,
    described: &PaymentManifest,
) -> Option<Result<(), Found>> {
    let text = format!("{described:?}\n{functions}");
    first_found(plan, SAMPLE_ASSETS.iter().map(|asset| sample(kind, asset, &text)).collect())
}

/// An order of this asset, with whatever members of its parties' metadata `text` asks for.
fn sample(kind: PaymentKind, asset: &str, text: &str) -> Value {
    let code = asset.split('/').next().unwrap_or(asset);
    // what is kept in another currency than the order's, a file may refuse
    let member = |name: &str| (name.to_owned(), json!(if name == "currency" { code } else { "sample" }));
    let metadata: Map<String, Value> = members(text, "metadata.").map(member).collect();
    let to = match kind {
        PaymentKind::Payout => "beneficiary",
        PaymentKind::Transfer => "account",
    };
    let party = |id: &str, of: &str| json!({"id": id, "type": of, "name": "Sample", "metadata": metadata});
    json!({
        "key": SAMPLE_KEY, "idempotencyKey": "sample order", "attempt": 1, "amount": "1500", "currency": asset,
        "description": "sample", "metadata": metadata,
        "source": party(code, "account"), "destination": party(SAMPLE_DESTINATION, to),
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

/// What is wrong with the requests of the first sample that any can be made of; `None` where there is none.
fn first_found(plan: &Arc<PaymentPlan>, samples: Vec<Value>) -> Option<Result<(), Found>> {
    let plan = Arc::clone(plan);
    let deadline = Instant::now() + PROBE_LIMIT;
    let found = cage::run_within(PROBE_LIMIT + Duration::from_secs(1), move || {
        samples.iter().find_map(|sample| {
            let made = requests(&plan, &with_places(sample, &plan.steps), deadline).ok()?;
            Some(keyed(&plan, &made).and_then(|()| taken_as_it_is(&plan, sample, &made, deadline)))
        })
    });
    found.flatten()
}

fn keyed(plan: &PaymentPlan, (steps, payment): &Requests) -> Result<(), Found> {
    let steps = plan.steps.iter().zip(steps).map(|(step, (_, request))| KeyedStep {
        name: &step.name,
        again: step.again,
        carries: Box::new(|marks| carries(request, marks)),
    });
    let payment: Carries<'_> = Box::new(|marks| carries(&payment.1, marks));
    require_keys(SAMPLE_KEY, plan.key.format, &steps.collect::<Vec<_>>(), &payment).map_err(Found::Keyless)
}

/// Sees that the requests with places, filled, are those that would be made of what the steps give.
fn taken_as_it_is(
    plan: &PaymentPlan,
    sample: &Value,
    (steps, payment): &Requests,
    deadline: Instant,
) -> Result<(), Found> {
    let names: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
    for (n, name) in names.iter().enumerate() {
        // one at a time, so that it can be told which
        let mut with_one = with_places(sample, &plan.steps);
        with_one["steps"][name] = SAMPLE_GIVEN.into();
        let given = Given::from([((*name).to_owned(), SAMPLE_GIVEN.into())]);
        let filled = |request: &Request| {
            texts(request)
                .into_iter()
                .map(|(text, within)| fill(&text, within, SAMPLE_KEY, &names[n..=n], &given))
                .collect::<Result<Vec<_>, _>>()
        };
        let direct = |request: &Request| texts(request).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        let Ok((other_steps, other)) = requests(plan, &with_one, deadline) else {
            return Err(Found::Computed((*name).to_owned()));
        };
        let pairs = steps.iter().zip(&other_steps).chain([(payment, &other)]);
        for ((_, placed), (_, made)) in pairs {
            if filled(placed).ok().as_ref() != Some(&direct(made)) {
                return Err(Found::Computed((*name).to_owned()));
            }
        }
    }
    Ok(())
}

/// All that a request sends, text by text.
fn texts(request: &Request) -> Vec<(String, Within)> {
    let mut texts = Vec::new();
    match &request.target {
        Target::Relative { path, query } => {
            texts.push((path.clone(), Within::Url));
            texts.extend(query.iter().map(|(_, value)| (value.clone(), Within::Header)));
        }
        Target::Absolute(url) => texts.push((url.to_string(), Within::Url)),
    }
    texts.extend(
        request.headers.values().filter_map(|value| Some((value.to_str().ok()?.to_owned(), Within::Header))),
    );
    texts.extend(
        request.body.as_deref().map(|body| (String::from_utf8_lossy(body).into_owned(), Within::Json)),
    );
    texts
}

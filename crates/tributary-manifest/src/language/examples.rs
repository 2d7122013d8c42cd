//! `examples:`: what a row, an answer or an order becomes, tried without a network.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tributary_domain::PaymentKind;

use super::check::{Form, nearest};
use super::form::example::Example;
use super::tree::{Kind, Node, Scalar};
use super::{Mistake, Mistakes};
use crate::cage;
use crate::manifest::Manifest;
use crate::pay::{PaymentPlan, PaymentPlans, examples as pay};
use crate::plan;
use crate::read::mapped;

/// How long all examples of a file may take.
const LIMIT: Duration = Duration::from_secs(20);
/// What `$now` is where an example does not say.
const NOW: &str = "2026-01-02T03:04:05Z";
/// What is said of an order that was answered, and what is sent for one.
const OUTCOME: [&str; 9] =
    ["outcome", "id", "reference", "status", "reason", "at", "amount", "currency", "destination"];
const SENT: [&str; 4] = ["path", "query", "headers", "body"];

/// Tries each of the `examples` of a file whose manifest is `manifest`; gives how many there are. The
/// error is everything that does not come out as it should.
pub fn try_examples(manifest: &Manifest, examples: &Node) -> Result<usize, Mistakes> {
    let Kind::List(items) = &examples.kind else {
        return Err(Mistake {
            at: examples.at,
            field: "examples".to_owned(),
            why: "write a list".to_owned(),
        }
        .into());
    };
    let mut mistakes = Mistakes::default();
    for (n, example) in items.iter().enumerate() {
        Form::of::<Example>().check(example, &format!("examples[{n}]"), &mut mistakes);
    }
    if !mistakes.is_empty() {
        return mistakes.or(0);
    }
    let (task, tried) = (Arc::new(manifest.clone()), items.clone());
    let results = cage::run_within(LIMIT, move || {
        tried.iter().map(|example| try_one(&task, example)).collect::<Vec<Result<(), Wrong>>>()
    });
    let Some(results) = results else {
        return Err(Mistake::at(examples.at, "the examples take too long").into());
    };
    for (n, result) in results.into_iter().enumerate() {
        if let Err(Wrong { field, why }) = result {
            mistakes.add(Mistake { at: items[n].place(field), field: format!("examples[{n}].{field}"), why });
        }
    }
    mistakes.or(items.len())
}

/// Which field of an example is wrong, or does not come out, and why.
struct Wrong {
    field: &'static str,
    why: String,
}

fn wrong(field: &'static str, why: impl std::fmt::Display) -> Wrong {
    Wrong { field, why: why.to_string() }
}

fn try_one(manifest: &Manifest, example: &Node) -> Result<(), Wrong> {
    let of = example
        .get("of")
        .and_then(Node::text)
        .ok_or_else(|| wrong("of", "name a stream, payouts or transfers"))?;
    match of {
        "payouts" if is_order(manifest, example) => payment(manifest, PaymentKind::Payout, example),
        "transfers" if is_order(manifest, example) => payment(manifest, PaymentKind::Transfer, example),
        stream => row(manifest, stream, example),
    }
}

/// Whether an example of payouts or transfers is one of an order: of a file that has a stream of this name,
/// too, if it says something that only orders have.
fn is_order(manifest: &Manifest, example: &Node) -> bool {
    let name = example.get("of").and_then(Node::text);
    let is_stream = manifest.streams.iter().any(|stream| Some(stream.name.as_str()) == name);
    !is_stream || ["order", "sends", "answered"].iter().any(|field| example.get(field).is_some())
}

/// A row of a stream, and the records that it becomes.
fn row(manifest: &Manifest, stream: &str, example: &Node) -> Result<(), Wrong> {
    let streams = plan::streams(manifest).map_err(|error| wrong("of", error))?;
    let found = streams.iter().find(|other| other.name == stream);
    let stream = found.ok_or_else(|| wrong("of", no_stream(manifest, stream)))?;
    if stream.output.is_none() {
        return Err(wrong("of", "its rows become no records: it only feeds other streams"));
    }
    let given = example.get("given").ok_or_else(|| wrong("given", "is missing: a row of the stream"))?;
    let parent = example.get("parent").map_or("null".to_owned(), to_json);
    let now = example.get("now").and_then(Node::text).unwrap_or(NOW);
    let made = mapped(stream, &to_json(given), &parent, now, Instant::now() + LIMIT);
    let made = made.map_err(|why| wrong("given", why))?;
    let gives =
        example.get("gives").ok_or_else(|| wrong("gives", "is missing: the record, or a list of them"))?;
    let gives: Vec<&Node> = match &gives.kind {
        Kind::List(items) => items.iter().collect(),
        _ => vec![gives],
    };
    if gives.len() != made.len() {
        return Err(wrong("gives", format!("it gives {} records: {}", made.len(), shown(&made))));
    }
    for (wanted, made) in gives.iter().zip(&made) {
        match (wanted.get("quarantined").and_then(Node::text), made) {
            (Some(wanted), Err(reason)) if reason.contains(wanted) => {}
            (None, Ok(record)) => {
                let names: Vec<&str> =
                    record.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                holds(wanted, record, "a record", &names).map_err(|why| wrong("gives", why))?;
            }
            _ => return Err(wrong("gives", format!("it gives {}", shown(std::slice::from_ref(made))))),
        }
    }
    Ok(())
}

/// That there is no stream `name`, and which there are.
fn no_stream(manifest: &Manifest, name: &str) -> String {
    let streams = manifest.streams.iter().map(|stream| stream.name.as_str());
    let orders = [("payouts", &manifest.payouts), ("transfers", &manifest.transfers)];
    let orders = orders.into_iter().filter_map(|(name, section)| section.as_ref().map(|_| name));
    let known: Vec<&str> = streams.chain(orders).collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("there is no stream {name:?}: `{near}` is meant?"),
        None => format!("there is no stream {name:?}; there are {}", known.join(", ")),
    }
}

fn shown(made: &[Result<Value, String>]) -> String {
    let one = |made: &Result<Value, String>| match made {
        Ok(record) => record.to_string(),
        Err(reason) => format!("{{\"quarantined\":{}}}", json!(reason)),
    };
    made.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What an order is sent as, and what an answer says of it.
fn payment(manifest: &Manifest, kind: PaymentKind, example: &Node) -> Result<(), Wrong> {
    let plans = PaymentPlans::new(manifest).map_err(|error| wrong("of", error))?;
    let plan = match kind {
        PaymentKind::Payout => plans.payouts,
        PaymentKind::Transfer => plans.transfers,
    };
    let plan = plan.ok_or_else(|| wrong("of", "the file does not say how"))?;
    let mut order = pay::sample(kind);
    if let (Some(given), Some(members)) = (example.get("order"), order.as_object_mut()) {
        let given: Map<String, Value> =
            serde_json::from_str(&to_json(given)).map_err(|error| wrong("order", error))?;
        members.extend(given);
    }
    let deadline = Instant::now() + LIMIT;
    if let Some(part) = example.get("gives").and_then(|gives| gives.get("refused")) {
        return refused(&plan, &order, example, part, deadline);
    }
    if let Some(sends) = example.get("sends") {
        let sent = pay::sent(&plan, &order, deadline)
            .map_err(|why| wrong("sends", format!("it is refused: {why}")))?;
        holds(sends, &sent, "a request", &SENT).map_err(|why| wrong("sends", why))?;
    }
    let Some(gives) = example.get("gives") else { return Ok(()) };
    let given = example.get("given").map_or(String::new(), to_json);
    let answered = example.get("answered").and_then(Node::text).unwrap_or("201");
    let answered = answered.parse().map_err(|_| wrong("answered", "write a status, such as 201"))?;
    let outcome =
        pay::outcome(&plan, &order, answered, &given, deadline).map_err(|why| wrong("order", why))?;
    match gives.text() {
        Some(word) if outcome["outcome"] == *word => Ok(()),
        Some(_) => Err(wrong("gives", format!("it gives {outcome}"))),
        None => {
            holds(gives, &outcome, "what is known of an order", &OUTCOME).map_err(|why| wrong("gives", why))
        }
    }
}

/// An order that is refused with a reason of which `part` is one, before anything is sent.
fn refused(
    plan: &PaymentPlan,
    order: &Value,
    example: &Node,
    part: &Node,
    deadline: Instant,
) -> Result<(), Wrong> {
    if example.get("given").is_some() || example.get("answered").is_some() || example.get("sends").is_some() {
        let why = "`refused` is about the order, of which nothing is sent or answered; of an answer write \
                   { outcome: refused, reason: … }";
        return Err(wrong("gives", why));
    }
    let part = part.text().ok_or_else(|| wrong("gives", "write a part of the reason behind `refused`"))?;
    match pay::sent(plan, order, deadline) {
        Err(reason) if reason.contains(part) => Ok(()),
        Err(reason) => Err(wrong("gives", format!("it is refused otherwise: {reason}"))),
        Ok(sent) => Err(wrong("gives", format!("it is not refused: {sent} is sent"))),
    }
}

/// Whether all that is `wanted` is in `made`, which is `what` and can have these `names`; the error says what is
/// otherwise.
fn holds(wanted: &Node, made: &Value, what: &str, names: &[&str]) -> Result<(), String> {
    fn differs(wanted: &Value, made: &Value, path: &str) -> Option<String> {
        match (wanted, made) {
            (Value::Object(members), Value::Object(_)) => members.iter().find_map(|(name, wanted)| {
                let made = if path == ".headers" { &made[name.to_lowercase()] } else { &made[name] };
                differs(wanted, made, &format!("{path}.{name}"))
            }),
            (Value::Array(wanted), Value::Array(items)) if wanted.len() == items.len() => wanted
                .iter()
                .zip(items)
                .enumerate()
                .find_map(|(n, (wanted, made))| differs(wanted, made, &format!("{path}[{n}]"))),
            (Value::String(wanted), Value::String(made)) if same_time(wanted, made) => None,
            (wanted, made) if wanted == made => None,
            (Value::Number(number), Value::String(_)) => {
                Some(format!("{} is {made}, and not the number {number}", path.trim_start_matches('.')))
            }
            (_, made) => Some(format!("{} is {made}", path.trim_start_matches('.'))),
        }
    }
    let wanted: Value = serde_json::from_str(&to_json(wanted)).map_err(|error| error.to_string())?;
    let unknown = wanted.as_object().into_iter().flatten().find(|(name, _)| !names.contains(&name.as_str()));
    if let Some((name, _)) = unknown {
        return Err(match nearest(name, names.iter().copied()) {
            Some(near) => format!("{what} has no `{name}`: `{near}` is meant?"),
            None => format!("{what} has no `{name}`; it has {}", names.join(", ")),
        });
    }
    differs(&wanted, made, "").map_or(Ok(()), |why| Err(format!("{why}, of {made}")))
}

fn same_time(wanted: &str, made: &str) -> bool {
    let instant = crate::time::instant;
    instant(wanted).is_some() && instant(wanted) == instant(made)
}

/// A node as JSON, its numbers in the digits of the file.
pub fn to_json(node: &Node) -> String {
    match (&node.kind, node.scalar()) {
        (Kind::List(items), _) => format!("[{}]", items.iter().map(to_json).collect::<Vec<_>>().join(",")),
        (Kind::Map(members), _) => {
            let members: Vec<String> = members
                .iter()
                .map(|member| format!("{}:{}", json!(member.name), to_json(&member.node)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        (_, Some(Scalar::Text(text))) => json!(text).to_string(),
        (_, Some(Scalar::Number(number))) => number.to_owned(),
        (_, Some(Scalar::Bool(value))) => value.to_string(),
        _ => "null".to_owned(),
    }
}

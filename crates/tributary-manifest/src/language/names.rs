//! What the engine says of its own fields, in the words of the language.

use super::tree::{LineColumn, Node};
use super::{Mistake, merge};
use crate::manifest::ManifestError;

/// The fields of the engine that are called otherwise in a file. The longest that begins a field counts.
const CALLED: [(&str, &str); 30] = [
    ("incremental.cursor", "by"),
    ("incremental.from", "since"),
    ("incremental.to", "until"),
    ("incremental.lookback", "late"),
    ("incremental.settle", "settle"),
    ("incremental.start", "back"),
    ("incremental.order", "order"),
    ("incremental.step", "step"),
    ("incremental.halve", "step.halve"),
    ("incremental.mark", "mark"),
    ("incremental.token", "token"),
    ("incremental.param", "param"),
    ("incremental.removed", "removed"),
    ("incremental", ""),
    ("paging.stop.when", "page.ends"),
    ("paging.stop", "page.ends"),
    ("paging.field", "page.time"),
    ("paging.kind", "page"),
    ("paging.param", "page"),
    ("paging", "page"),
    ("records", "rows"),
    ("for_each", "each"),
    ("status_map", "statuses"),
    ("refresh.record", "refresh.row"),
    ("refresh.request", "refresh.get"),
    ("detail.record", "detail.row"),
    ("detail.request", "detail.get"),
    ("request.body", "body"),
    ("request", "get"),
    ("pending.when", "pending"),
];
const STRATEGIES: [&str; 6] = ["changes", "creations", "days", "newest_first", "events", "delta"];

/// What is wrong, with its place in the file.
pub fn at_its_place(error: &ManifestError, file: &Node) -> Mistake {
    let (stream, field) = error.place();
    let (path, node) = match stream {
        Some(name) => stream_of(file, name),
        None => (String::new(), None),
    };
    let field = match &node {
        Some(node) => renamed(field, node),
        None => of_file(field),
    };
    let full =
        [path.as_str(), &field].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(".");
    Mistake { at: file.place(&full), field: full, why: error.why().to_owned() }
}

/// The field of the file that a `reason` begins with, and its place.
pub fn blamed(file: &Node, stream: &str, reason: &str) -> Option<(String, LineColumn)> {
    let (path, node) = stream_of(file, stream);
    let node = node?;
    let field = reason.split_once(": ").map_or("", |(field, _)| field);
    // what the engine says of its own begins with the field and the stream
    let field = field.strip_suffix(&format!(" of stream {stream}")).unwrap_or(field);
    let name = field.split(['.', '[']).next().filter(|name| node.get(name).is_some());
    // money may be said once for the file
    let (place, path) = match name {
        Some(_) => (node.place(field), format!("{path}.{field}")),
        None if field == "money" => (file.place("money"), "money".to_owned()),
        None => (node.get("map").map(|map| map.at)?, format!("{path}.map")),
    };
    Some((path, place))
}

/// The path of a stream, and the stream with what it takes by default.
fn stream_of(file: &Node, name: &str) -> (String, Option<Node>) {
    let defaults = file.get("defaults");
    for member in file.get("pull").map(Node::members).unwrap_or_default() {
        let resource = member.name.parse().ok();
        let named = member.node.members().iter().find(|stream| stream.name == name);
        if let Some(stream) = named {
            let path = format!("pull.{}.{name}", member.name);
            return (path, Some(merge::stream(&stream.node, resource, defaults)));
        }
        if member.name == name {
            return (format!("pull.{name}"), Some(merge::stream(&member.node, resource, defaults)));
        }
    }
    let path = if name.starts_with("pay.") { name.to_owned() } else { format!("pay.{name}") };
    (path, None)
}

fn renamed(field: &str, node: &Node) -> String {
    let Some((engine, ours)) = CALLED.iter().find(|(engine, _)| field.starts_with(engine)) else {
        return field.to_owned();
    };
    if !engine.starts_with("incremental") {
        return (*ours).to_owned();
    }
    let strategy =
        STRATEGIES.iter().find(|strategy| node.get(strategy).is_some()).copied().unwrap_or("changes");
    let ours = if (strategy, *ours) == ("events", "param") { "after" } else { *ours };
    if ours.is_empty() { strategy.to_owned() } else { format!("{strategy}.{ours}") }
}

fn of_file(field: &str) -> String {
    for (engine, ours) in [
        ("base_url", "api"),
        ("allow_hosts", "hosts"),
        ("rate_limit.per_second", "limits.pace"),
        ("rate_limit.concurrency", "limits.at_once"),
        ("rate_limit", "limits"),
        ("retry.attempts", "attempts"),
        ("concurrency", "parallel"),
        ("webhook.triggers", "webhook.reads"),
        ("payouts", "pay.payouts"),
        ("transfers", "pay.transfers"),
    ] {
        if let Some(rest) = field.strip_prefix(engine) {
            return format!(
                "{ours}{}",
                if ours.starts_with("pay.") { of_payment(rest) } else { rest.to_owned() }
            );
        }
    }
    field.to_owned()
}

/// What follows the name of a section of payments.
fn of_payment(field: &str) -> String {
    for (engine, ours) in [
        (".refused", ".no_money"),
        (".unsent", ".not_looked_at"),
        (".accepted", ".also"),
        (".key.max_length", ".key.length"),
        (".lookup", ".find"),
    ] {
        if let Some(rest) = field.strip_prefix(engine) {
            return format!("{ours}{rest}");
        }
    }
    field.to_owned()
}

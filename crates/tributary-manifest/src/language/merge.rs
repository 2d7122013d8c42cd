//! `defaults:`: what streams and payments take that they do not say themselves. Done in the tree, so
//! that a mistake in a default is named with the line of the default.

use tributary_domain::Resource;

use super::tree::{Kind, Member, Node};

/// What a stream may say of its request and of how it is read.
const ASKING: [&str; 31] = [
    "get",
    "post",
    "query",
    "headers",
    "body",
    "form",
    "values",
    "shares",
    "report",
    "each",
    "partition",
    "rows",
    "list_when",
    "empty",
    "answer",
    "row",
    "page",
    "changes",
    "creations",
    "days",
    "newest_first",
    "events",
    "delta",
    "detail",
    "identity",
    "refresh",
    "pending",
    "errors",
    "every",
    "cron",
    "after_webhook",
];
/// What a stream without a request of its own has none of.
const OF_A_REQUEST: [&str; 23] = [
    "report",
    "get",
    "post",
    "query",
    "headers",
    "body",
    "form",
    "rows",
    "list_when",
    "empty",
    "answer",
    "row",
    "page",
    "changes",
    "creations",
    "days",
    "newest_first",
    "events",
    "delta",
    "detail",
    "identity",
    "refresh",
    "pending",
];
/// Of each of these groups a stream has one: a default gives way to another of its group.
const ALTERNATIVES: [&[&str]; 7] = [
    &["changes", "creations", "days", "newest_first", "events", "delta"],
    &["get", "post", "values", "shares", "report"],
    &["rows", "row"],
    &["body", "form"],
    &["every", "cron", "after_webhook"],
    &["account", "from", "to"],
    &["post", "put"],
];
/// What is nothing by itself: a default only completes what there is.
const COMPLETING: [&str; 3] = ["refresh", "detail", "identity"];
/// Of these, a default gives what is not said within them.
const MERGED: [&str; 15] = [
    "answer",
    "page",
    "changes",
    "creations",
    "days",
    "newest_first",
    "events",
    "delta",
    "refresh",
    "detail",
    "identity",
    "find",
    "let",
    "query",
    "headers",
];
/// Ways of paging: a page that says its own takes nothing from one that goes another way.
const WAYS: [&str; 6] = ["number", "offset", "cursor", "url", "before", "after"];
const RESOURCES: [&str; 6] = ["accounts", "balances", "transactions", "beneficiaries", "lists", "pay"];

/// The fields that make the records of `resource`; none of a list.
pub fn fields_of(resource: Option<Resource>) -> &'static [&'static str] {
    match resource {
        None => &[],
        Some(Resource::Accounts | Resource::Beneficiaries) => {
            &["where", "let", "split", "map", "id", "name", "created", "updated", "keep"]
        }
        Some(Resource::Balances) => &["where", "let", "split", "map", "account", "at", "money", "out"],
        Some(Resource::Transactions) => &[
            "where", "let", "split", "map", "id", "created", "updated", "account", "money", "out", "other",
            "from", "to", "related", "type", "types", "status", "statuses", "order", "keep",
        ],
    }
}

/// Whether a stream of `resource` may have the field.
pub fn may_have(resource: Option<Resource>, field: &str) -> bool {
    ASKING.contains(&field) || fields_of(resource).contains(&field)
}

/// Whether a stream of any kind may have the field.
pub fn is_field(field: &str) -> bool {
    Resource::ALL.into_iter().any(|resource| may_have(Some(resource), field))
}

/// A stream with the defaults that it takes, and without what it says `none` to.
pub fn stream(own: &Node, resource: Option<Resource>, defaults: Option<&Node>) -> Node {
    let name = resource.map_or("lists", Resource::as_str);
    let of_resource = defaults.and_then(|defaults| defaults.get(name));
    let mut node = own.clone();
    for default in [of_resource, defaults].into_iter().flatten() {
        let takes =
            |member: &&Member| !RESOURCES.contains(&member.name.as_str()) && may_have(resource, &member.name);
        complete(&mut node, own, default.members().iter().filter(takes));
    }
    without_none(&mut node);
    node
}

/// A payment with the defaults that it takes, and without what it says `none` to.
pub fn payment(own: &Node, defaults: Option<&Node>) -> Node {
    let mut node = own.clone();
    if let Some(default) = defaults.and_then(|defaults| defaults.get("pay")) {
        complete(&mut node, own, default.members().iter());
    }
    without_none(&mut node);
    node
}

/// What is of the request and so of the stream whose answers another shares, besides what is in
/// [`OF_A_REQUEST`].
const OF_THE_GIVER: [&str; 6] = ["each", "partition", "errors", "every", "cron", "after_webhook"];

/// The fields that `taker`, which shares the answers of another stream, says of how they are asked for; only
/// where it looks for its rows in them, and what may still change of these, are its own.
pub fn not_shared(taker: &Node) -> Vec<&'static str> {
    let own = ["rows", "list_when", "row", "refresh", "pending", "identity"];
    let asked = OF_A_REQUEST.iter().filter(|field| !own.contains(field)).chain(&OF_THE_GIVER);
    asked.copied().filter(|field| taker.get(field).is_some()).collect()
}

/// What `taker` takes over of the stream `giver`, whose answers it reads.
pub fn shared(taker: &mut Node, giver: &Node) {
    let Kind::Map(members) = &mut taker.kind else { return };
    let looks_itself = members.iter().any(|own| matches!(own.name.as_str(), "rows" | "row"));
    for member in giver.members() {
        let asked = [
            "report",
            "get",
            "post",
            "query",
            "headers",
            "body",
            "form",
            "form",
            "each",
            "partition",
            "rows",
            "list_when",
            "empty",
            "answer",
            "empty",
            "answer",
            "row",
            "page",
            "errors",
            "every",
            "cron",
            "after_webhook",
        ];
        // one that looks for its rows elsewhere knows by itself whether an answer lists them
        let elsewhere = looks_itself && ["rows", "row", "list_when"].contains(&member.name.as_str());
        if asked.contains(&member.name.as_str())
            && !elsewhere
            && !members.iter().any(|own| own.name == member.name)
        {
            members.push(member.clone());
        }
    }
}

fn complete<'d>(node: &mut Node, own: &Node, defaults: impl Iterator<Item = &'d Member>) {
    let Kind::Map(members) = &mut node.kind else { return };
    let says = |name: &str| own.get(name).is_some();
    let asks_nobody = says("values") || says("shares");
    for default in defaults {
        let name = default.name.as_str();
        if let Some(member) = members.iter_mut().find(|member| member.name == name) {
            if MERGED.contains(&name) {
                fill(&mut member.node, &default.node);
            }
            continue;
        }
        let other =
            ALTERNATIVES.iter().any(|group| group.contains(&name) && group.iter().any(|other| says(other)));
        let mapped = says("map") && !ASKING.contains(&name);
        let ends = (name == "other" || name == "out") && (says("from") || says("to"));
        let useless =
            (asks_nobody && OF_A_REQUEST.contains(&name)) || (says("shares") && OF_THE_GIVER.contains(&name));
        if !(other || mapped || ends || useless || COMPLETING.contains(&name)) {
            members.push(default.clone());
        }
    }
}

/// Adds to a mapping the members that it does not have.
fn fill(node: &mut Node, default: &Node) {
    let Kind::Map(members) = &mut node.kind else { return };
    let has = |members: &[Member], name: &str| members.iter().any(|member| member.name == name);
    if WAYS.iter().any(|way| has(members, way) && !has(default.members(), way)) {
        return;
    }
    for more in default.members() {
        if !has(members, &more.name) {
            members.push(more.clone());
        }
    }
}

/// Whether a node is the word that leaves a default out.
pub fn is_none(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar { text, quoted: false } if text == "none")
}

/// Leaves out what says `none`: a field, or a member of one that takes members by default. Further down it is
/// a text as any other, such as a status of the provider.
fn without_none(node: &mut Node) {
    let Kind::Map(members) = &mut node.kind else { return };
    members.retain(|member| !is_none(&member.node));
    for member in members.iter_mut().filter(|member| MERGED.contains(&member.name.as_str())) {
        if let Kind::Map(within) = &mut member.node.kind {
            within.retain(|member| !is_none(&member.node));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(own: &str, resource: Resource, defaults: &str) -> Vec<String> {
        let (own, defaults) = (Node::parse(own).unwrap(), Node::parse(defaults).unwrap());
        let node = stream(&own, Some(resource), Some(&defaults));
        let shown = |member: &Member| match &member.node.kind {
            Kind::Map(members) => {
                let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
                format!("{}{{{}}}", member.name, names.join(","))
            }
            _ => member.name.clone(),
        };
        node.members().iter().map(shown).collect()
    }

    #[test]
    fn a_stream_takes_what_it_does_not_say() {
        let defaults = "id: .id\nstatus: .s\npage: { cursor: c, size: { limit: 1 } }\ntransactions: { changes: { by: .u } }\n";
        assert_eq!(
            merged("get: /a", Resource::Transactions, defaults),
            ["get", "changes{by}", "id", "status", "page{cursor,size}"]
        );
        assert_eq!(merged("get: /a", Resource::Accounts, defaults), ["get", "id", "page{cursor,size}"]);
    }

    #[test]
    fn none_is_a_text_where_no_default_is_merged() {
        let own = Node::parse("statuses: { FAILED: none }\nbody: { mode: none }\nlet: { x: none }").unwrap();
        let node = stream(&own, Some(Resource::Transactions), None);
        assert_eq!(
            node.get("statuses").and_then(|words| words.get("FAILED")).and_then(Node::text),
            Some("none")
        );
        assert_eq!(node.get("body").map(|body| body.members().len()), Some(1));
        assert_eq!(node.get("let").map(|lets| lets.members().len()), Some(0));
    }

    #[test]
    fn a_default_gives_way_to_none_and_to_what_stands_in_its_place() {
        let defaults = "page: { cursor: c, size: { limit: 1 } }\nchanges: { by: .u }\nrows: .data\nrefresh: { every: 1h }";
        assert_eq!(
            merged("get: /a\npage: none\ncreations: { by: .c }\nrow: .", Resource::Accounts, defaults),
            ["get", "creations{by}", "row"]
        );
        assert_eq!(
            merged("page: { size: none }\nrefresh: { get: /x }\nvalues: a", Resource::Accounts, defaults),
            ["page{cursor}", "refresh{get,every}", "values"]
        );
    }
}

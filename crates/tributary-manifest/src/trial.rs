//! Pieces of a file tried by hand: what a row becomes, what a filter yields, whether a call proves itself.
//! No variable has to be set but those of the piece itself, and nobody is asked.

use std::time::{Duration, Instant};

use serde_json::Value;
use tributary_domain::PaymentKind;
use url::Url;

use crate::cage;
use crate::interpolate::interpolate;
use crate::jq::{self, Filter, Limits, Scope};
use crate::language::{Kind, Node, to_json};
use crate::manifest::{Auth, Manifest, Proof, RateLimit, Tls};
use crate::pay::examples;
use crate::plan;
use crate::read::mapped;
use crate::webhook::Webhook;

/// How long a piece may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The most values that a filter shows.
const MOST_VALUES: usize = 1_000;

/// A row, and what its mapping sees beside it; all JSON.
pub struct Row {
    pub row: String,
    /// The record of `each` that it was read for; `null` without one.
    pub parent: String,
    /// `$now`, as RFC 3339.
    pub now: String,
}

/// What a row becomes: records, each in the canonical JSON, or why there is none.
pub type Mapped = Vec<Result<Value, String>>;

/// What `row` of `stream` becomes. The error says why it could not be tried.
pub fn map_row(manifest: &Manifest, stream: &str, row: Row) -> Result<Mapped, String> {
    let streams = plan::streams(manifest).map_err(|error| error.to_string())?;
    let names: Vec<String> = streams.iter().map(|stream| stream.name.clone()).collect();
    let found = streams.into_iter().find(|other| other.name == stream);
    let found =
        found.ok_or_else(|| format!("there is no stream {stream:?}; there are {}", names.join(", ")))?;
    if found.output.is_none() {
        return Err(format!("{stream} becomes no records: it only feeds others"));
    }
    let mapping = move || mapped(&found, &row.row, &row.parent, &row.now, Instant::now() + LIMIT);
    cage::run_within(LIMIT, mapping).ok_or("it took too long")?
}

/// What `code`, which can call the functions of the file, yields for `input`, which is JSON.
pub fn run_filter(manifest: &Manifest, code: &str, input: &str) -> Result<Vec<String>, String> {
    let functions = manifest.definitions()?;
    let filter = Filter::compile("", "filter", &functions, code).map_err(|error| error.message)?;
    let input = input.to_owned();
    let run = move || {
        let input = jq::parse(input.as_bytes()).map_err(|error| format!("the input is no JSON: {error}"))?;
        let limits = Limits { outputs: MOST_VALUES, deadline: Instant::now() + LIMIT };
        let scope = Scope::at(chrono::Utc::now(), jaq_json::Val::Null);
        let values = filter.run(input, &scope, limits).map_err(|error| error.message)?;
        Ok(values.iter().map(|value| String::from_utf8_lossy(&jq::to_json(value)).into_owned()).collect())
    };
    cage::run_within(LIMIT, run).ok_or("it took too long")?
}

/// An order of `kind`, as the filters of a section see it, under the provider key `key`.
pub fn sample_order(kind: PaymentKind, key: &str) -> Value {
    let mut order = examples::sample(kind);
    order["key"] = key.into();
    order
}

/// What the `examples` of a file say of payments of `kind`, as JSON: the order of the first one with an answer that
/// reports a payment, and that answer; or else the order of the first one that is sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ExampleOrder {
    pub order: Option<String>,
    pub answer: Option<String>,
}

impl ExampleOrder {
    /// Of the `examples` of a file that describes `manifest`, those of payments of `kind`; nothing where none is of one
    /// that is sent.
    pub fn of(manifest: &Manifest, examples: &Node, kind: PaymentKind) -> Self {
        let is_stream = manifest.streams.iter().any(|stream| stream.name == kind.section());
        Self::among(examples, kind, is_stream)
    }

    /// As [`ExampleOrder::of`]; `is_stream` says whether rows of a stream of this name are among them.
    fn among(examples: &Node, kind: PaymentKind, is_stream: bool) -> Self {
        let Kind::List(items) = &examples.kind else { return Self::default() };
        let orders = items.iter().filter(|example| {
            let of = example.get("of").and_then(Node::text) == Some(kind.section());
            let says = |field: &str| example.get(field).is_some();
            let refused = example.get("gives").is_some_and(|gives| gives.get("refused").is_some());
            // a row says nothing that only orders have
            of && !refused && (!is_stream || says("order") || says("sends") || says("answered"))
        });
        let orders: Vec<&Node> = orders.collect();
        let chosen = orders.iter().find(|example| reports(example)).or(orders.first());
        chosen.map_or_else(Self::default, |example| Self {
            order: example.get("order").map(to_json),
            answer: example.get("given").filter(|_| reports(example)).map(to_json),
        })
    }
}

/// Whether the answer of an example reports a payment: one that proves nothing has a word in the place of what it
/// says.
fn reports(example: &Node) -> bool {
    let accepted = |gives: &Node| match gives.get("outcome") {
        Some(outcome) => outcome.text() == Some("accepted"),
        None => gives.text().is_none(),
    };
    example.get("given").is_some() && example.get("gives").is_some_and(accepted)
}

/// `answer` where `rows` looks for the list, so that it lists the payment of the answer alone; `None` where `rows` is
/// more than a path.
pub fn listed(rows: &str, answer: &str) -> Option<String> {
    let names = rows.trim().strip_prefix('.')?;
    let names: Vec<&str> = if names.is_empty() { Vec::new() } else { names.split('.').collect() };
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let list = format!("[{answer}]");
    names
        .iter()
        .all(is_name)
        .then(|| names.iter().rev().fold(list, |inner, name| format!("{{{}:{inner}}}", Value::from(*name))))
}

impl Manifest {
    /// The webhook alone, with its variables filled in from `lookup`: those of the rest need not be set.
    pub fn webhook_alone(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Webhook>, String> {
        let mut manifest = self.clone();
        if let Some(webhook) = &mut manifest.webhook {
            webhook.fill(&lookup).map_err(|error| error.to_string())?;
        }
        Webhook::new(&manifest).map_err(|error| error.to_string())
    }

    /// The manifest as it pays a stand-in at `origin`: without any secret, budget or pause.
    pub fn for_stand_in(mut self, origin: &str) -> Result<Self, String> {
        let base =
            interpolate(&self.base_url, |_| Some(origin.to_owned())).map_err(|error| error.to_string())?;
        let path = Url::parse(&base).map_err(|error| format!("api: {error}"))?.path().to_owned();
        self.base_url = origin.to_owned() + path.trim_end_matches('/');
        self.auth = Auth { proof: Proof::None, hmac: None };
        self.tls = Tls::default();
        self.headers.clear();
        self.webhook = None;
        self.streams.iter_mut().for_each(|stream| stream.after_webhook = None);
        self.rate_limit = RateLimit { per_second: 1_000, ..RateLimit::default() };
        self.retry.attempts = 1;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_listed_where_a_lookup_looks_for_it() {
        assert_eq!(listed(".", "1").as_deref(), Some("[1]"));
        assert_eq!(listed(".data.items", "1").as_deref(), Some(r#"{"data":{"items":[1]}}"#));
        assert_eq!(listed(".items | map(.x)", "1"), None);
        assert_eq!(listed("$x", "1"), None);
    }

    #[test]
    fn an_order_is_that_of_the_example_whose_answer_reports_a_payment() {
        let among = |examples: &str, is_stream| {
            ExampleOrder::among(&Node::parse(examples).unwrap(), PaymentKind::Payout, is_stream)
        };
        let of = |examples: &str| among(examples, true);
        let (order, answer) = (Some("{\"a\":1}".to_owned()), Some("{\"id\":7}".to_owned()));
        assert_eq!(
            of("- { of: payouts, order: { a: 0 }, gives: { refused: x } }\n\
                - { of: payouts, order: { a: 2 }, answered: 422, given: {}, gives: { outcome: refused } }\n\
                - { of: payouts, order: { a: 1 }, given: { id: 7 }, gives: { outcome: accepted } }\n"),
            ExampleOrder { order: order.clone(), answer }
        );
        assert_eq!(
            of("- { of: payouts, order: { a: 1 }, sends: { path: /p } }"),
            ExampleOrder { order, answer: None }
        );
        let row = "- { of: payouts, given: { id: 7 }, gives: { id: \"7\" } }";
        assert_eq!(of(row), ExampleOrder::default(), "a row of a stream");
        assert_eq!(among(row, false).answer.as_deref(), Some("{\"id\":7}"));
    }
}

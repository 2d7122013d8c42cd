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

/// The answer to a payment of `kind` that was made, of the first of the `examples` of a file that has one.
pub fn answer_of(examples: &Node, kind: PaymentKind) -> Option<String> {
    let Kind::List(items) = &examples.kind else { return None };
    items.iter().find_map(|example| {
        let of = example.get("of").and_then(Node::text) == Some(kind.section());
        // one that proves nothing has a word in the place of what it says
        let made = example.get("gives").is_some_and(|gives| gives.text().is_none());
        (of && made).then(|| example.get("given").map(to_json)).flatten()
    })
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

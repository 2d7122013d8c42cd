//! Requests as they are kept with their order, so that what was approved is what is sent: all of them but
//! what proves who sends them, which is put on when they go out.

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keyed::{Carries, KeyedStep, Keyless, require_keys};
use super::places::{Given, Within, fill};
use crate::client::Client;
use crate::jq;
use crate::manifest::ProviderKeyFormat;
use crate::wire::{Lane, Method, Request, Target};
use jaq_json::Val;

/// A request to pay and those of its steps, with the order that they were made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// The order as the filters saw it: who is paid, by which names and metadata.
    pub order: Value,
    /// What goes before it, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<FrozenStep>,
    /// What `prepare` made of it, as JSON text, digit by digit.
    record: String,
    method: String,
    /// The whole URL.
    url: String,
    /// Those of this request, without what the source puts on every request.
    headers: Vec<(String, String)>,
    /// Byte by byte.
    body: Option<String>,
    /// Whether the source said how to prove who sends it.
    proven: bool,
}

/// A step, and its request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenStep {
    pub name: String,
    /// Whether it counts for nothing at the provider, and so has no key.
    again: bool,
    request: Parts,
}

/// What a request is kept as: see [`Frozen`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    record: String,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// A request with the record that it was made of.
pub type Made<'a> = (&'a Val, &'a Request);

impl Parts {
    fn new((record, request): Made<'_>, client: &Client) -> Result<Self, String> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| "it is no text".to_owned());
        let headers = request.headers.iter().map(|(name, value)| {
            let value = value.to_str().map_err(|_| format!("its header {name} is no text"))?;
            Ok((name.as_str().to_owned(), value.to_owned()))
        });
        Ok(Self {
            record: text(jq::to_json(record))?,
            method: request.method.as_str().to_owned(),
            url: client.reach(&request.target)?.into(),
            headers: headers.collect::<Result<_, String>>()?,
            body: request.body.clone().map(text).transpose()?,
        })
    }

    /// The request with what steps gave in its places, if `client` may still send it; the error says why not.
    fn thaw(self, client: &Client, fill: &Fill<'_>) -> Result<(Val, Request), String> {
        let method = match self.method.as_str() {
            "POST" => Method::Post,
            "PUT" => Method::Put,
            other => return Err(format!("{other} is no method by which money is ordered")),
        };
        let url = fill(&self.url, Within::Url)?;
        let target = Target::Absolute(Url::parse(&url).map_err(|error| error.to_string())?);
        // where a file says that the provider is elsewhere now, nothing goes to where it was
        client.reach(&target)?;
        let headers = self.headers.iter().map(|(name, value)| {
            let wrong = |_| format!("its header {name} is none");
            let value = HeaderValue::try_from(fill(value, Within::Header)?)
                .map_err(|error| wrong(error.to_string()))?;
            Ok((HeaderName::try_from(name.as_str()).map_err(|error| wrong(error.to_string()))?, value))
        });
        let headers = headers.collect::<Result<HeaderMap, String>>()?;
        let record =
            jq::parse(fill(&self.record, Within::Record)?.as_bytes()).map_err(|error| error.to_string())?;
        let within = if is_form(&headers) { Within::Url } else { Within::Json };
        let body = self.body.map(|body| fill(&body, within)).transpose()?.map(String::into_bytes);
        let (lane, empty) = (Lane::of_payments(), Arc::default());
        let (once, read_as, template) = (false, None, None);
        Ok((record, Request { method, target, headers, body, lane, empty, once, read_as, template }))
    }

    /// Whether one of `marks` is in what is sent.
    fn carries(&self, marks: &[String]) -> bool {
        let sent = [Some(&self.url), self.body.as_ref()].into_iter().flatten();
        let mut sent = sent.chain(self.headers.iter().map(|(_, value)| value));
        sent.any(|text| marks.iter().any(|mark| text.contains(mark)))
    }
}

/// Whether a body is encoded as URLs are.
fn is_form(headers: &HeaderMap) -> bool {
    let form = "application/x-www-form-urlencoded";
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with(form))
}

/// Puts what steps gave into a text.
type Fill<'a> = dyn Fn(&str, Within) -> Result<String, String> + 'a;

impl Frozen {
    /// Keeps the requests of `order`, as `client` would send them now: those of `steps`, by name, and that which moves the money. The error says why
    /// they cannot be kept.
    pub fn new(
        order: Value,
        steps: &[(&str, bool, Made<'_>)],
        payment: Made<'_>,
        client: &Client,
    ) -> Result<Self, String> {
        let steps = steps.iter().map(|(name, again, made)| {
            Ok(FrozenStep { name: (*name).to_owned(), again: *again, request: Parts::new(*made, client)? })
        });
        let steps = steps.collect::<Result<_, String>>()?;
        let Parts { record, method, url, headers, body } = Parts::new(payment, client)?;
        let proven = client.proves_itself();
        let frozen = Self { order, steps, record, method, url, headers, body, proven };
        let kept = serde_json::to_string(&frozen).map_err(|error| error.to_string())?;
        if client.redact(&kept) != kept {
            return Err(
                "it holds a secret of the file, which must not be kept with an order: secrets belong \
                        into auth or headers of the source, which are put on when it is sent"
                    .to_owned(),
            );
        }
        Ok(frozen)
    }

    /// The request that moves the money, if `client` may still send it; the error says why not.
    pub fn payment(&self, client: &Client, given: &Given) -> Result<(Val, Request), String> {
        self.may_be_proven(client)?;
        self.parts().thaw(client, &self.filler(given))
    }

    /// The request of a step, if `client` may still send it; the error says why not.
    pub fn step(&self, name: &str, client: &Client, given: &Given) -> Result<(Val, Request), String> {
        self.may_be_proven(client)?;
        let step = self.steps.iter().find(|step| step.name == name);
        let step = step.ok_or_else(|| format!("it has no step {name}"))?;
        step.request.clone().thaw(client, &self.filler(given))
    }

    /// Sees that each request can be repeated under the order's `key`, which is written as `form` says.
    pub fn require_keys(&self, key: &str, form: ProviderKeyFormat) -> Result<(), Keyless> {
        if key != self.key() {
            return Err(Keyless::Payment);
        }
        let steps = self.steps.iter().map(|step| KeyedStep {
            name: &step.name,
            again: step.again,
            carries: Box::new(|marks| step.request.carries(marks)),
        });
        let payment = self.parts();
        let payment: Carries<'_> = Box::new(|marks| payment.carries(marks));
        require_keys(key, form, &steps.collect::<Vec<_>>(), &payment)
    }

    /// The key that the provider knows the payment by.
    fn key(&self) -> &str {
        self.order["key"].as_str().unwrap_or_default()
    }

    fn may_be_proven(&self, client: &Client) -> Result<(), String> {
        match self.proven && !client.proves_itself() {
            true => Err("the provider's file no longer says how to prove who sends it (auth)".to_owned()),
            false => Ok(()),
        }
    }

    fn filler<'a>(&'a self, given: &'a Given) -> impl Fn(&str, Within) -> Result<String, String> + 'a {
        let names: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
        move |text, within| fill(text, within, self.key(), &names, given)
    }

    fn parts(&self) -> Parts {
        let Self { record, method, url, headers, body, .. } = self.clone();
        Parts { record, method, url, headers, body }
    }
}

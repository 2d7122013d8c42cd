//! A request as it is kept with its order, so that what was approved is what is sent: all of it but
//! what proves who sends it, which is put on when it goes out.

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Client;
use crate::jq;
use crate::wire::{Lane, Method, Request, Target};
use jaq_json::Val;

/// A request to pay, with the order that it was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// The order as the filters saw it: who is paid, by which names and metadata.
    pub order: Value,
    /// What `prepare` made of it, as JSON text, digit by digit.
    pub record: String,
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Those of this request, without what the source puts on every request.
    pub headers: Vec<(String, String)>,
    /// Byte by byte.
    pub body: Option<String>,
    /// Whether the source said how to prove who sends it.
    pub proven: bool,
}

impl Frozen {
    /// Keeps `request`, made of `order` by way of `record`, as `client` would send it now. The error
    /// says why it cannot be kept.
    pub fn new(order: Value, record: &Val, request: &Request, client: &Client) -> Result<Self, String> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| "it is no text".to_owned());
        let headers = request.headers.iter().map(|(name, value)| {
            let value = value.to_str().map_err(|_| format!("its header {name} is no text"))?;
            Ok((name.as_str().to_owned(), value.to_owned()))
        });
        let frozen = Self {
            order,
            record: text(jq::to_json(record))?,
            method: request.method.as_str().to_owned(),
            url: client.reach(&request.target)?.into(),
            headers: headers.collect::<Result<_, String>>()?,
            body: request.body.clone().map(text).transpose()?,
            proven: client.proves_itself(),
        };
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

    /// The request as it was kept, if `client` may still send it; the error says why not.
    pub fn thaw(&self, client: &Client) -> Result<(Val, Request), String> {
        if self.proven && !client.proves_itself() {
            return Err("the provider's file no longer says how to prove who sends it (auth)".to_owned());
        }
        let method = match self.method.as_str() {
            "POST" => Method::Post,
            "PUT" => Method::Put,
            other => return Err(format!("{other} is no method by which money is ordered")),
        };
        let target = Target::Absolute(Url::parse(&self.url).map_err(|error| error.to_string())?);
        // where a file says that the provider is elsewhere now, nothing goes to where it was
        client.reach(&target)?;
        let headers = self.headers.iter().map(|(name, value)| {
            let wrong = |_| format!("its header {name} is none");
            let value = HeaderValue::try_from(value).map_err(|error| wrong(error.to_string()))?;
            Ok((HeaderName::try_from(name.as_str()).map_err(|error| wrong(error.to_string()))?, value))
        });
        let headers = headers.collect::<Result<HeaderMap, String>>()?;
        let record = jq::parse(self.record.as_bytes()).map_err(|error| error.to_string())?;
        let body = self.body.clone().map(String::into_bytes);
        let (lane, empty) = (Lane::of_payments(), Arc::default());
        Ok((record, Request { method, target, headers, body, lane, empty, once: false, read_as: None }))
    }
}

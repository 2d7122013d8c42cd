//! `auth.login:`: a request that is answered with a token.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::{Lookup, TokenHeader, fill_all};
use crate::interpolate::{InterpolateError, interpolate};
use crate::period::Period;
use crate::secret::Secret;

/// A login that is answered with a token.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The request that is answered with the token.
    pub request: LoginRequest,
    /// jq on the answer: the token.
    pub token: String,
    /// How long the token is good for: a length of time (`40m`), or jq on the answer that gives seconds
    /// or a time. Without it, until it is refused.
    #[serde(default)]
    pub expires_in: Option<Expiry>,
    /// The header of every other request that carries the token.
    #[serde(default)]
    pub header: TokenHeader,
}

/// How to log in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// `POST` (the default) or `GET`.
    #[serde(default)]
    pub method: LoginMethod,
    /// Where to log in: a path below `api`, or a whole URL.
    pub path: String,
    /// Further headers of this request, value by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// What is sent, as JSON; no body if not given.
    #[serde(default)]
    pub body: Option<Json>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum LoginMethod {
    Get,
    #[default]
    Post,
}

/// How long a token is good for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(from = "String")]
pub enum Expiry {
    After(Period),
    /// jq on the answer: seconds, or a time.
    Filter(String),
}

impl From<String> for Expiry {
    fn from(text: String) -> Self {
        // no length of time is a filter: jq has no numbers with units
        Period::try_from(text.clone()).map_or(Self::Filter(text), Self::After)
    }
}

/// JSON whose texts may be secrets.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Json(serde_json::Value);

impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Json([REDACTED])")
    }
}

impl Json {
    /// As it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }

    /// Every text in it.
    pub fn texts(&self) -> Vec<&str> {
        fn gather<'a>(value: &'a serde_json::Value, texts: &mut Vec<&'a str>) {
            match value {
                serde_json::Value::String(text) => texts.push(text),
                serde_json::Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
                serde_json::Value::Object(members) => {
                    members.values().for_each(|member| gather(member, texts));
                }
                _ => {}
            }
        }
        let mut texts = Vec::new();
        gather(&self.0, &mut texts);
        texts
    }
}

impl Login {
    pub(super) fn fill(&mut self, lookup: Lookup) -> Result<(), InterpolateError> {
        self.request.path = interpolate(&self.request.path, lookup)?;
        fill_all(self.request.headers.values_mut(), lookup)?;
        match &mut self.request.body {
            Some(body) => fill_texts(&mut body.0, lookup),
            None => Ok(()),
        }
    }
}

fn fill_texts(value: &mut serde_json::Value, lookup: Lookup) -> Result<(), InterpolateError> {
    match value {
        serde_json::Value::String(text) => *text = interpolate(text, lookup)?,
        serde_json::Value::Array(items) => {
            items.iter_mut().try_for_each(|item| fill_texts(item, lookup))?;
        }
        serde_json::Value::Object(members) => {
            members.values_mut().try_for_each(|member| fill_texts(member, lookup))?;
        }
        _ => {}
    }
    Ok(())
}

//! The `source:` part of a provider file: how one FSP's API is pulled. `docs/manifest.md`
//! explains the fields to those who write one.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::domain::{Resource, Status};

use super::interpolate::{InterpolateError, interpolate};
use super::period::Period;
use super::secret::Secret;

/// How one FSP's API is pulled. Call [`Manifest::interpolated`] before use.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Where the API is: scheme, host and, if any, path prefix.
    pub base_url: String,
    pub auth: Auth,
    /// Further headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    #[serde(default)]
    pub rate_limit: RateLimit,
    #[serde(default)]
    pub retry: Retry,
    /// The pause between two runs.
    pub every: Period,
    /// jq definitions that every filter below can call.
    #[serde(default)]
    pub functions: String,
    /// What is pulled, in the order in which it is pulled.
    pub streams: Vec<StreamManifest>,
}

/// How a request proves who sends it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Authorization: Bearer <token>`
    Bearer(Secret),
}

/// How fast requests may follow each other.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests a second, evenly spaced.
    pub per_second: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: 5 }
    }
}

/// How often a request that failed for a passing reason is sent.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often a request is sent at most, the first time included.
    pub attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 6 }
    }
}

/// One kind of record of the API, read from one endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamManifest {
    /// Names the stream in cursors, errors and the `for_each` of others.
    pub name: String,
    /// What its records become; without it, the stream only feeds others.
    #[serde(default, deserialize_with = "resource")]
    pub resource: Option<Resource>,
    /// An earlier stream: this one is read once for each of its records.
    #[serde(default)]
    pub for_each: Option<String>,
    /// jq on such a record: the text by which its cursor is kept. Must never change.
    #[serde(default)]
    pub partition: Option<String>,
    pub request: RequestManifest,
    /// jq on the answer: the records in it.
    pub records: String,
    /// jq on a record: none, one or several canonical records.
    #[serde(default)]
    pub map: Option<String>,
    /// How to ask only for what is new; without it, everything is asked for each time.
    #[serde(default)]
    pub incremental: Option<Incremental>,
    /// The provider's statuses, and what they are in Formance's terms. Applied to what `map`
    /// gives; a status that is not listed becomes OTHER and is counted.
    #[serde(default)]
    pub status_map: Option<BTreeMap<String, Status>>,
}

/// Where a stream is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestManifest {
    /// The path below `base_url`; `{field}` is that field of the `for_each` record,
    /// percent-encoded.
    pub path: String,
}

/// How a stream asks only for what is new.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Incremental {
    /// The API answers with what changed at or after a given time.
    UpdatedWindow {
        /// jq on a record: the time of its last change, RFC 3339.
        cursor: String,
        /// The query parameter that takes the time to ask from.
        param: String,
        /// How far before the newest change seen the next request asks again: more than the
        /// API needs to show a change after its own timestamp.
        lookback: Period,
        /// How far back the first request asks, and the furthest that any asks: what the API
        /// refuses to go beyond.
        start: Period,
    },
}

impl Manifest {
    /// The manifest with the `${...}` references of its URL, tokens and headers filled in from
    /// `lookup`, as [`interpolate`] does it. Filters are left alone.
    pub fn interpolated(mut self, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InterpolateError> {
        self.base_url = interpolate(&self.base_url, &lookup)?;
        self.auth = match &self.auth {
            Auth::Bearer(token) => Auth::Bearer(token.interpolated(&lookup)?),
        };
        for value in self.headers.values_mut() {
            *value = value.interpolated(&lookup)?;
        }
        Ok(self)
    }
}

fn resource<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Resource>, D::Error> {
    /// The names of [`Resource`] in YAML.
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Name {
        Accounts,
        Balances,
        Beneficiaries,
        Transactions,
    }
    Ok(Some(match Name::deserialize(deserializer)? {
        Name::Accounts => Resource::Accounts,
        Name::Balances => Resource::Balances,
        Name::Beneficiaries => Resource::Beneficiaries,
        Name::Transactions => Resource::Transactions,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
base_url: "${BANK_URL:-https://bank.example}"
auth: { bearer: "${BANK_TOKEN}" }
headers: { X-Version: "2" }
every: 5m
streams:
  - name: accounts
    resource: accounts
    request: { path: /accounts }
    records: .accounts[]
    map: "{ id: \"${BANK_TOKEN}\" }"
  - name: feed
    resource: transactions
    for_each: accounts
    partition: .id
    request: { path: "/accounts/{id}/feed" }
    records: .items[]
    map: .
    incremental: { kind: updated_window, cursor: .updatedAt, param: since, lookback: 1h, start: 180d }
    status_map: { DONE: SUCCEEDED }
"#;

    fn environment(name: &str) -> Option<String> {
        (name == "BANK_TOKEN").then(|| "s3cret".to_owned())
    }

    #[test]
    fn a_manifest_is_read_with_its_defaults() {
        let manifest: Manifest = serde_saphyr::from_str(SMALL).unwrap();
        assert_eq!((manifest.rate_limit.per_second, manifest.retry.attempts), (5, 6));
        assert_eq!(manifest.every.as_duration().as_secs(), 300);
        assert_eq!(manifest.streams[1].resource, Some(Resource::Transactions));
        let Some(Incremental::UpdatedWindow { param, lookback, .. }) = &manifest.streams[1].incremental
        else {
            panic!("the feed is incremental");
        };
        assert_eq!((param.as_str(), lookback.as_duration().as_secs()), ("since", 3_600));
    }

    #[test]
    fn only_urls_and_secrets_are_filled_in() {
        let manifest: Manifest = serde_saphyr::from_str(SMALL).unwrap();
        let manifest = manifest.interpolated(environment).unwrap();
        let Auth::Bearer(token) = &manifest.auth;
        assert_eq!((manifest.base_url.as_str(), token.expose()), ("https://bank.example", "s3cret"));
        assert_eq!(manifest.streams[0].map.as_deref(), Some(r#"{ id: "${BANK_TOKEN}" }"#));
    }

    #[test]
    fn a_missing_secret_is_named() {
        let manifest: Manifest = serde_saphyr::from_str(SMALL).unwrap();
        let error = manifest.interpolated(|_| None).unwrap_err();
        assert!(error.to_string().contains("BANK_TOKEN must be set"), "{error}");
    }

    #[test]
    fn what_a_manifest_does_not_know_or_must_say_is_an_error() {
        for (from, to, about) in [
            ("every: 5m", "evry: 5m", "evry"),
            ("every: 5m\n", "", "every"),
            ("path: /accounts }", "path: /accounts, verb: GET }", "verb"),
            ("lookback: 1h, ", "", "lookback"),
            ("start: 180d", "start: 180", "180"),
            ("updated_window", "created_window", "created_window"),
            ("DONE: SUCCEEDED", "DONE: DONE", "DONE"),
            ("resource: accounts", "resource: acounts", "acounts"),
            ("bearer", "baerer", "baerer"),
        ] {
            assert!(SMALL.contains(from), "{from}");
            let error = serde_saphyr::from_str::<Manifest>(&SMALL.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(about), "{about}: {error}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let manifest: Manifest = serde_saphyr::from_str(SMALL).unwrap();
        let shown = format!("{:?}", manifest.interpolated(environment).unwrap());
        assert!(!shown.contains("s3cret") && shown.contains("REDACTED"), "{shown}");
    }
}

//! The `source:` part of a provider file: how one provider's API is pulled. `docs/manifest.md`
//! explains the fields to those who write one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::interpolate::{InterpolateError, interpolate};
use super::period::Period;
use super::secret::Secret;

mod answer;
mod auth;
mod errors;
mod incremental;
mod limits;
mod login;
mod paging;
mod param;
mod payment;
mod report;
mod schedule;
mod stream;
mod time_format;
mod time_pattern;
mod tls;
mod webhook;
mod wrong;
mod zone;

pub use answer::{AnswerForm, Writing};
pub use auth::{
    Algorithm, Assertion, Auth, ClientAuth, Hmac, HmacAlgorithm, KeyEncoding, OAuth2, OAuth2Grant, Proof,
    SignatureEncoding, TimestampFormat, TokenHeader,
};
pub use errors::{Action, ErrorRule, Statuses, Wait, WaitUnit, When};
pub use incremental::{
    Bound, Edge, HalveManifest, Incremental, Pending, Refresh, TimeFormat, WindowManifest,
};
pub use limits::{Answers, BudgetManifest, LimitScope, RateLimit, Retry};
pub use login::{Expiry, Login, LoginMethod};
pub use paging::{Next, Paging, Size, SortOrder, Stop};
pub use param::Param;
pub use payment::{LookupManifest, PaymentManifest, ProviderKeyFormat, ProviderKeyManifest, StepManifest};
pub use report::ReportManifest;
pub use schedule::{AfterWebhook, CronTimes, Schedule};
pub use stream::{BodyForm, Detail, Identity, Method, RequestManifest, StreamManifest, Values};
pub use time_pattern::{TimePattern, read_local};
pub use tls::Tls;
pub use webhook::{
    ChallengeManifest, CodeAlgorithm, CodeEncoding, CodePart, KeysManifest, SignatureAlgorithm,
    SignatureManifest, TimestampManifest, TriggerManifest, WebhookCheck, WebhookManifest, five_minutes,
};
pub use wrong::{ManifestError, field};
pub use zone::Zone;

/// How one provider's API is pulled. Call [`Manifest::interpolated`] before use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Where the API is: scheme, host and, if any, path prefix; no user, password or query.
    pub base_url: String,
    /// Further hosts, each with its port if that is not the usual one, that links of answers may
    /// lead to. Requests carry the token there too.
    #[serde(default)]
    pub allow_hosts: Vec<String>,
    /// How requests prove who sends them: one kind with its fields, or the word `none`.
    pub auth: Auth,
    /// Certificates: who this side is, and whom it trusts beside the system's roots.
    #[serde(default)]
    pub tls: Tls,
    /// Further headers of every request, value by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How fast requests may follow each other; 5 a second if not given.
    #[serde(default)]
    pub rate_limit: RateLimit,
    /// How often a request that failed for a passing reason is sent.
    #[serde(default)]
    pub retry: Retry,
    /// How much one answer may hold; 16 MiB if not given.
    #[serde(default)]
    pub answers: Answers,
    /// What answers mean, before the usual meaning and after the rules of their stream.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    /// The pause between two runs of a stream that has no schedule of its own.
    pub every: Period,
    /// How many groups of streams are read at the same time, 1 to 32. All share `rate_limit`.
    #[serde(default = "one")]
    pub concurrency: u32,
    /// Whether requests tell the provider which trace they are of.
    #[serde(default)]
    pub traceparent: bool,
    /// How long records are kept as they came, so that they can be mapped again; not at all
    /// without it.
    #[serde(default)]
    pub keep_raw: Option<Period>,
    /// How the calls are checked that the provider makes when something happened, and what they have
    /// read; without it, calls are refused.
    #[serde(skip)]
    pub webhook: Option<WebhookManifest>,
    /// Decimals by currency, as in `{ CLP: 2 }`, where the provider does not go by ISO 4217, or of
    /// others than those.
    #[serde(default)]
    pub currencies: BTreeMap<String, u8>,
    /// By whose clock times are that do not say it; not known if not given.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// jq definitions that every filter below can call.
    #[serde(default)]
    pub functions: String,
    /// What is pulled, in the order in which it is pulled.
    pub streams: Vec<StreamManifest>,
    /// How beneficiaries are paid; not at all without it.
    #[serde(default)]
    pub payouts: Option<PaymentManifest>,
    /// How money is moved between accounts of one's own; not at all without it.
    #[serde(default)]
    pub transfers: Option<PaymentManifest>,
}

fn one() -> u32 {
    1
}

impl Manifest {
    /// The manifest with the `${...}` references of its URLs, secrets and headers filled in from
    /// `lookup`, as [`interpolate`] does it. Filters are left alone.
    pub fn interpolated(mut self, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InterpolateError> {
        self.base_url = interpolate(&self.base_url, &lookup)?;
        self.auth.fill(&lookup)?;
        self.tls.fill(&lookup)?;
        auth::fill_all(self.headers.values_mut(), &lookup)?;
        if let Some(webhook) = &mut self.webhook {
            webhook.fill(&lookup)?;
        }
        for values in self.streams.iter_mut().filter_map(|stream| stream.values.as_mut()) {
            values.fill(&lookup)?;
        }
        Ok(self)
    }
}

impl Manifest {
    /// Why the webhook cannot be filled in from `lookup`, if it cannot.
    pub fn unset_webhook(&self, lookup: impl Fn(&str) -> Option<String>) -> Option<InterpolateError> {
        self.webhook.clone()?.fill(&lookup).err()
    }

    /// Whether instances have something in common besides the records: a budget, or a token that
    /// only one of them may exchange.
    pub fn shares(&self) -> bool {
        self.refreshes() || !self.rate_limit.budgets.is_empty()
    }

    /// Whether it exchanges refresh tokens, which have to be kept.
    pub fn refreshes(&self) -> bool {
        matches!(&self.auth.proof, Proof::OAuth2(oauth2) if oauth2.grant == OAuth2Grant::RefreshToken)
    }

    /// The definitions that every filter can call: those of money, by the provider's own decimals,
    /// and then `functions`. The error names the field.
    pub(super) fn definitions(&self) -> Result<String, String> {
        let code = |code: &str| code.len() >= 3 && code.bytes().all(|b| b.is_ascii_uppercase());
        if let Some((wrong, _)) =
            self.currencies.iter().find(|(name, decimals)| !code(name) || **decimals > 18)
        {
            return Err(format!("currencies.{wrong}: take a code of capital letters and 0 to 18 decimals"));
        }
        let clock = match self.zone {
            None => String::new(),
            Some(Zone(zone)) => format!(
                "def parse_time: parse_time_in({zone:?});\ndef parse_time($pattern): parse_time_in({zone:?}; $pattern);\n",
                zone = zone.name()
            ),
        };
        if self.currencies.is_empty() {
            return Ok(format!("{clock}{}", self.functions));
        }
        let own = serde_json::to_string(&self.currencies).expect("texts and numbers are JSON");
        Ok(format!(
            r#"{clock}def umn: . as $code | {own}[$code] as $own
  | if $own == null then iso_umn elif $own == 0 then $code else "\($code)/\($own)" end;
def minor_units($code): . as $amount | {own}[$code] as $own
  | if $own == null then $amount | iso_minor_units($code) else $amount | shifted($own) end;
def major_units($code): . as $units | {own}[$code] as $own
  | if $own == null then $units | iso_major_units($code) else $units | shifted_back($own) end;
{}"#,
            self.functions
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edited::edited;
    use tributary_domain::Resource;

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
    incremental:
      kind: updated_window
      cursor: .updatedAt
      from: { param: since, bound: inclusive }
      lookback: 1h
      settle: 0s
      start: 180d
      order: any
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
        let Some(Incremental::UpdatedWindow(window)) = &manifest.streams[1].incremental else {
            panic!("the feed is incremental");
        };
        assert_eq!(
            (&window.from.param, window.lookback.as_duration().as_secs()),
            (&Param::Query("since".to_owned()), 3_600)
        );
    }

    #[test]
    fn only_urls_and_secrets_are_filled_in() {
        let manifest: Manifest = serde_saphyr::from_str(SMALL).unwrap();
        let manifest = manifest.interpolated(environment).unwrap();
        let Proof::Bearer(token) = &manifest.auth.proof else { panic!("{:?}", manifest.auth) };
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
            ("      lookback: 1h\n", "", "lookback"),
            ("      settle: 0s\n", "", "settle"),
            (", bound: inclusive", "", "bound"),
            ("start: 180d", "start: 180", "180"),
            ("updated_window", "changed_window", "changed_window"),
            ("DONE: SUCCEEDED", "DONE: DONE", "DONE"),
            ("resource: accounts", "resource: acounts", "acounts"),
            ("bearer", "baerer", "baerer"),
        ] {
            let error = serde_saphyr::from_str::<Manifest>(&edited(SMALL, from, to)).unwrap_err();
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

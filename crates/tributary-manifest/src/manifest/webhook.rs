//! `webhook:`: how the provider's calls are checked, and what they set off.

use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::Lookup;
use crate::interpolate::{InterpolateError, interpolate};
use crate::period::Period;
use crate::secret::Secret;

/// How the provider's calls to `POST /webhooks/<provider>` are checked, and what they set off.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookManifest {
    pub check: WebhookCheck,
    pub triggers: Vec<TriggerManifest>,
}

/// How a call proves that the provider sent it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WebhookCheck {
    /// A code over the body that only who has the secret can make.
    Hmac(HmacManifest),
    /// A header with a text that only both sides know.
    Header { name: String, value: Secret },
    /// `Authorization: Basic …`
    Basic { username: String, password: Secret },
}

/// A code over the body.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacManifest {
    pub algorithm: CodeAlgorithm,
    pub secret: Secret,
    /// The header that holds the code.
    pub header: String,
    /// Where the header holds several, as in `t=1,v1=abc`: the name of the one.
    #[serde(default)]
    pub field: Option<String>,
    #[serde(default)]
    pub encoding: CodeEncoding,
    /// What the code is over: `{body}` and `{timestamp}` with any text around them.
    #[serde(default = "body")]
    pub signed: String,
    #[serde(default)]
    pub timestamp: Option<TimestampManifest>,
}

/// When a call was sent, as it says itself and its code proves.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampManifest {
    /// The header that holds it: seconds or milliseconds since 1970, or RFC 3339.
    pub header: String,
    #[serde(default)]
    pub field: Option<String>,
    /// How far it may be from now: an older call is a replay.
    #[serde(default = "five_minutes")]
    pub tolerance: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodeAlgorithm {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodeEncoding {
    #[default]
    Hex,
    Base64,
}

/// A stream that a call has read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerManifest {
    /// jq on `{body, headers}`: whether it is meant. Without it, any call is.
    #[serde(default)]
    pub when: Option<String>,
    pub stream: String,
    /// jq on the same: which partition of the stream. Without it, all.
    #[serde(default)]
    pub partition: Option<String>,
}

fn body() -> String {
    "{body}".to_owned()
}

fn five_minutes() -> Period {
    Period::from_seconds(300)
}

impl WebhookManifest {
    /// Fills in the `${...}` references.
    pub(super) fn fill(&mut self, lookup: Lookup) -> Result<(), InterpolateError> {
        match &mut self.check {
            WebhookCheck::Hmac(hmac) => {
                hmac.secret.fill(lookup)?;
                hmac.signed = interpolate(&hmac.signed, lookup)?;
            }
            WebhookCheck::Header { value, .. } => value.fill(lookup)?,
            WebhookCheck::Basic { username, password } => {
                *username = interpolate(username, lookup)?;
                password.fill(lookup)?;
            }
        }
        Ok(())
    }
}

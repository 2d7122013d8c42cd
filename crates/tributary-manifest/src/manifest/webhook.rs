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
    /// How a call proves that the provider sent it.
    pub check: WebhookCheck,
    /// Which streams a call has read; at least one.
    pub triggers: Vec<TriggerManifest>,
}

/// How a call proves that the provider sent it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WebhookCheck {
    /// A code over the body that only who has the secret can make.
    Hmac(HmacManifest),
    /// A header with a text that only both sides know.
    Header {
        /// The header's name.
        name: String,
        /// The text that it has to hold.
        value: Secret,
    },
    /// `Authorization: Basic …`
    Basic {
        /// The user's name.
        username: String,
        /// The user's password.
        password: Secret,
    },
}

/// A code over the body.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacManifest {
    /// The hash function of the code.
    pub algorithm: CodeAlgorithm,
    /// The secret that both sides share.
    pub secret: Secret,
    /// The header that holds the code.
    pub header: String,
    /// Where the header holds several parts, as in `t=1,v1=abc`: the name of the code's. Without it,
    /// the whole header is the code.
    #[serde(default)]
    pub field: Option<String>,
    /// How the code is written: `hex` (the default) or `base64`.
    #[serde(default)]
    pub encoding: CodeEncoding,
    /// What the code is over: `{body}` and `{timestamp}` with any text around them.
    #[serde(default = "body")]
    pub signed: String,
    /// When the call was sent, which `{timestamp}` in `signed` proves; without it, a call may be
    /// repeated at any time.
    #[serde(default)]
    pub timestamp: Option<TimestampManifest>,
}

/// When a call was sent, as it says itself and its code proves.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampManifest {
    /// The header that holds it: seconds or milliseconds since 1970, or RFC 3339.
    pub header: String,
    /// Where the header holds several parts: the name of the time's. Without it, the whole header is
    /// the time.
    #[serde(default)]
    pub field: Option<String>,
    /// How far from now the time may be, 5m if not given: an older call is a replay.
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
    /// jq on `{body, headers}`: whether the call has the stream read. Without it, any call has.
    #[serde(default)]
    pub when: Option<String>,
    /// The name of the stream that is read.
    pub stream: String,
    /// jq on `{body, headers}`: which partitions of the stream are read. Without it, all.
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

//! The provider's calls, which say that something happened.

use super::KeyEncoding;
use super::auth::{Lookup, fill_all};
use crate::interpolate::{InterpolateError, interpolate};
use crate::period::Period;
use crate::secret::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

/// How the provider's calls to `POST /webhooks/<provider>` are checked, and what they set off.
#[derive(Debug, Clone)]
pub struct WebhookManifest {
    /// How a call proves that the provider sent it.
    pub check: WebhookCheck,
    /// The address that the provider calls, which `{url}` in a signed text stands for.
    pub url: Option<String>,
    /// What of a call is echoed, where the provider asks whether this address is its own.
    pub challenge: Option<ChallengeManifest>,
    /// The status of the answer to a call that proved itself, 200 to 299.
    pub answer: u16,
    /// Which streams a call has read; at least one.
    pub triggers: Vec<TriggerManifest>,
}

/// How a call proves that the provider sent it.
#[derive(Debug, Clone)]
pub enum WebhookCheck {
    /// A code over a text that only who has the secret, or the private key, can make.
    Signature(SignatureManifest),
    /// A header with a text that only both sides know.
    Header { name: String, value: Secret },
    /// `Authorization: Basic …`
    Basic { username: String, password: Secret },
}

/// A code over what a call holds.
#[derive(Debug, Clone)]
pub struct SignatureManifest {
    /// What the file calls it: `hmac`, `signature` or `standard`.
    pub written: &'static str,
    /// What codes are checked with.
    pub keys: KeysManifest,
    /// The header that holds the code.
    pub header: String,
    /// Where the header holds it.
    pub part: CodePart,
    /// How the code is written.
    pub encoding: CodeEncoding,
    /// What the code is over: `{body}`, `{timestamp}`, `{url}` and `{header.NAME}` with any text around.
    pub signed: String,
    /// When the call was sent, which `{timestamp}` in `signed` proves; without it, a call may be
    /// repeated at any time.
    pub timestamp: Option<TimestampManifest>,
}

/// What codes are checked with: any of several, since providers change them.
#[derive(Debug, Clone)]
pub enum KeysManifest {
    /// Secrets that both sides share.
    Hmac { algorithm: CodeAlgorithm, secrets: Vec<Secret>, encoding: KeyEncoding },
    /// The provider's public keys: PEM, base64, or the path of a file.
    Public { algorithm: SignatureAlgorithm, keys: Vec<Secret> },
    /// Secrets (`whsec_…`) and public keys (`whpk_…`) as Standard Webhooks writes them; or, `as_text`,
    /// secrets whose own bytes are the key.
    Standard { secrets: Vec<Secret>, as_text: bool },
}

/// Where a header holds codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodePart {
    /// It is the code, or several with commas or blanks between them.
    Whole,
    /// In parts of this name, as in `t=1,v1=abc`.
    Field(String),
    /// Behind its version, as in `v1,abc v1,def`.
    Versioned,
}

/// When a call was sent, as it says itself and its code proves.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampManifest {
    /// The header that holds it: seconds or milliseconds since 1970, RFC 3339, or as HTTP writes dates.
    pub header: String,
    /// Where the header holds several parts: the name of the time's. Without it, the whole header is
    /// the time.
    #[serde(default)]
    pub field: Option<String>,
    /// How far from now the time may be, up to a day, 5m if not given: an older call is a replay.
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

/// How a signature is made that a public key checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureAlgorithm {
    RsaSha256,
    RsaSha512,
    RsaPssSha256,
    RsaPssSha512,
    EcdsaP256Sha256,
    Ed25519,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodeEncoding {
    #[default]
    Hex,
    Base64,
}

/// What of a call is echoed.
#[derive(Debug, Clone)]
pub enum ChallengeManifest {
    /// This parameter of the query of a `GET`.
    Query(String),
    /// What jq on `{body, headers}` yields of a call that proved itself, unless that is null.
    Body(String),
}

/// A stream that a call has read.
#[derive(Debug, Clone)]
pub struct TriggerManifest {
    /// jq on `{body, headers}`: whether the call has the stream read. Without it, any call has.
    pub when: Option<String>,
    /// The name of the stream that is read.
    pub stream: String,
    /// jq on `{body, headers}`: which partitions of the stream are read. Without it, all.
    pub partition: Option<String>,
}

pub fn five_minutes() -> Period {
    Period::from_seconds(300)
}

impl WebhookManifest {
    /// Fills in the `${...}` references.
    pub(crate) fn fill(&mut self, lookup: Lookup) -> Result<(), InterpolateError> {
        if let Some(url) = &mut self.url {
            *url = interpolate(url, lookup)?;
        }
        match &mut self.check {
            WebhookCheck::Signature(signature) => {
                fill_all(signature.keys.secrets_mut(), lookup)?;
                signature.signed = interpolate(&signature.signed, lookup)?;
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

impl KeysManifest {
    /// Each of them, as it is written.
    pub fn secrets(&self) -> &[Secret] {
        match self {
            Self::Hmac { secrets, .. } | Self::Standard { secrets, .. } => secrets,
            Self::Public { keys, .. } => keys,
        }
    }

    fn secrets_mut(&mut self) -> &mut [Secret] {
        match self {
            Self::Hmac { secrets, .. } | Self::Standard { secrets, .. } => secrets,
            Self::Public { keys, .. } => keys,
        }
    }
}

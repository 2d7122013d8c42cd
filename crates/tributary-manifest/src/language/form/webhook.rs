//! What a file says of the calls that the provider makes.

use schemars::JsonSchema;
use serde::Deserialize;

use super::right::OneOrMore;
use crate::manifest::{
    CodeAlgorithm, CodeEncoding, KeyEncoding, SignatureAlgorithm, TimestampManifest, five_minutes,
};
use crate::period::Period;
use crate::secret::Secret;

/// How the provider's calls to `POST /webhooks/<provider>` are checked, and what they set off.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Codes as Standard Webhooks (and Svix) has them.
    #[serde(default)]
    pub standard: Option<Standard>,
    /// A code that only who has the secret can make.
    #[serde(default)]
    pub hmac: Option<Code>,
    /// A signature that the provider's public key checks.
    #[serde(default)]
    pub signature: Option<PublicSignature>,
    /// A header with a text that only both sides know.
    #[serde(default)]
    pub header: Option<SharedHeader>,
    /// A user and a password, as `Authorization: Basic …`.
    #[serde(default)]
    pub basic: Option<SharedPassword>,
    /// The address that the provider calls, as it has it, without a query: what `{url}` stands for.
    #[serde(default)]
    pub url: Option<String>,
    /// What is echoed where the provider asks whether this address is its own.
    #[serde(default)]
    pub challenge: Option<Challenge>,
    /// The status of the answer to a call that proved itself, 200 to 299; 202 if not given. It has no body.
    #[serde(default)]
    #[schemars(range(min = 200, max = 299))]
    pub answer: Option<u16>,
    /// Which streams a call has read: the name of one, or a list.
    pub reads: Reads,
}

/// Codes as Standard Webhooks has them: `v1,` and base64, over `{id}.{timestamp}.{body}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Standard {
    /// The secret, `whsec_` and base64, or the public key, `whpk_` and base64; or a list, while the
    /// provider changes it.
    pub secret: OneOrMore<Secret>,
    /// `text` where the provider takes the secret as it is for the key, in whichever form it is written;
    /// without it, the secret has to begin with `whsec_` or `whpk_`.
    #[serde(default)]
    pub secret_encoding: Option<StandardEncoding>,
    /// What begins the names of its headers: `webhook` if not given, as in `webhook-signature`.
    #[serde(default)]
    pub prefix: Option<String>,
    /// How far from now the time of a call may be, up to a day, 5m if not given: an older call is a replay.
    #[serde(default = "five_minutes")]
    pub tolerance: Period,
}

/// How a secret is written that is not as Standard Webhooks has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StandardEncoding {
    Text,
}

/// A code that both sides can make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// The hash function of the code.
    pub algorithm: CodeAlgorithm,
    /// The secret that both sides share; or a list, while the provider changes it.
    pub secret: OneOrMore<Secret>,
    /// How the secret is written: `text` (the default), `hex` or `base64`.
    #[serde(default)]
    pub secret_encoding: KeyEncoding,
    /// The header that holds the code, or several with commas or blanks between them.
    pub header: String,
    /// Where the header holds several parts, as in `t=1,v1=abc`: the name of the code's. Without it,
    /// the whole header is the code.
    #[serde(default)]
    pub field: Option<String>,
    /// How the code is written: `hex` (the default) or `base64`. It may be percent-encoded.
    #[serde(default)]
    pub encoding: CodeEncoding,
    /// What the code is over: `{body}`, `{timestamp}`, `{url}` and `{header.NAME}` with any text around them;
    /// `{body}` if not given.
    #[serde(default = "body")]
    pub signed: String,
    /// When the call was sent, which `{timestamp}` in `signed` proves; without it, a call may be
    /// repeated at any time.
    #[serde(default)]
    pub timestamp: Option<TimestampManifest>,
}

/// A signature that only the provider can make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicSignature {
    /// How it is made: RSA as PKCS #1 v1.5 or as PSS, ECDSA on P-256 (in DER, or as two numbers), or Ed25519.
    pub algorithm: SignatureAlgorithm,
    /// The provider's public key: PEM, its base64, or the path of a file; or a list, while the provider
    /// changes it.
    pub key: OneOrMore<Secret>,
    /// The header that holds the signature, or several with commas or blanks between them.
    pub header: String,
    /// Where the header holds several parts, as in `t=1,v1=abc`: the name of the signature's. Without it,
    /// the whole header is the signature.
    #[serde(default)]
    pub field: Option<String>,
    /// How it is written: `base64` (the default) or `hex`. It may be percent-encoded.
    #[serde(default = "base64")]
    pub encoding: CodeEncoding,
    /// What it is over: `{body}`, `{timestamp}`, `{url}` and `{header.NAME}` with any text around them;
    /// `{body}` if not given.
    #[serde(default = "body")]
    pub signed: String,
    /// When the call was sent, which `{timestamp}` in `signed` proves; without it, a call may be
    /// repeated at any time.
    #[serde(default)]
    pub timestamp: Option<TimestampManifest>,
}

/// What is echoed, as text: one of the two.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// This parameter of a `GET` of the same address, which proves nothing and has nothing read.
    #[serde(default)]
    pub query: Option<String>,
    /// What this jq on `{body, headers}` yields of a call that proved itself; null of one that is no
    /// challenge.
    #[serde(default)]
    pub body: Option<String>,
}

fn base64() -> CodeEncoding {
    CodeEncoding::Base64
}

fn body() -> String {
    "{body}".to_owned()
}

/// A header with a text that only both sides know.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedHeader {
    /// The header's name.
    pub name: String,
    /// The text that it has to hold.
    pub value: Secret,
}

/// A user and a password that only both sides know.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedPassword {
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: Secret,
}

/// What a call has read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Reads {
    Some(Vec<Read>),
    All(String),
}

/// A stream that a call has read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// jq on `{body, headers}`: whether the call has the stream read. Without it, any call has.
    #[serde(default, rename = "where")]
    pub holds: Option<String>,
    /// The name of the stream that is read.
    pub stream: String,
    /// jq on `{body, headers}`: which partitions of the stream are read. Without it, all.
    #[serde(default)]
    pub partition: Option<String>,
}

//! `auth:`: how a request proves who sends it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::login::Login;
use crate::interpolate::{InterpolateError, interpolate};
use crate::period::Period;
use crate::secret::Secret;

/// What knows the variables of the environment.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How a request proves who sends it.
#[derive(Debug, Clone)]
pub struct Auth {
    pub proof: Proof,
    /// A signature of each request, beside the proof or alone.
    pub hmac: Option<Hmac>,
}

/// What a request carries as a proof.
#[derive(Debug, Clone)]
pub enum Proof {
    None,
    /// `Authorization: Bearer <token>`
    Bearer(Secret),
    Basic(Basic),
    Header(Named),
    Query(Named),
    OAuth2(Box<OAuth2>),
    Login(Box<Login>),
}

/// A user and a password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user's name; some APIs take a key here and no password.
    pub user: Secret,
    /// The user's password; an empty one if not given.
    #[serde(default = "nothing")]
    pub password: Secret,
}

/// A header or query parameter.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name of the header or parameter.
    pub name: String,
    /// What it carries.
    pub value: Secret,
}

/// Access tokens from a token endpoint.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// What is exchanged for an access token: `client_credentials` or `refresh_token`.
    pub grant: OAuth2Grant,
    /// The token endpoint: a URL, or a path below `api`.
    pub token_url: String,
    /// The id under which the provider knows this client.
    pub client_id: String,
    /// The client's secret, with `client_auth` `basic` or `body`.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// How the client proves itself. If not given: `assertion` where there is one, else `basic` where there is a secret, else `none`.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// What is asked for, as the provider writes it; left out if not given.
    #[serde(default)]
    pub scope: Option<String>,
    /// The refresh token, with that grant: only the first one, where the provider rotates it.
    #[serde(default)]
    pub refresh_token: Option<Secret>,
    /// The signed token, with `client_auth` `assertion`.
    #[serde(default)]
    pub assertion: Option<Assertion>,
    /// Further fields of the token request, value by name.
    #[serde(default)]
    pub extra: BTreeMap<String, Secret>,
    /// How long an access token is good for where the answer does not say; until it is refused if
    /// not given.
    #[serde(default)]
    pub access_token_lifetime: Option<Period>,
    /// The header of every other request that carries the access token.
    #[serde(default)]
    pub header: TokenHeader,
}

/// What is exchanged for an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OAuth2Grant {
    ClientCredentials,
    RefreshToken,
}

/// How the client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// The `Authorization` header.
    Basic,
    /// Fields of the form.
    Body,
    /// A signed token in the form.
    Assertion,
    /// By its id alone.
    None,
}

/// A signed token (JWT) that proves who the client is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// How the token is signed.
    pub algorithm: Algorithm,
    /// The private key: PEM, or the path of a file that holds it.
    pub private_key: Secret,
    /// `kid`, the name that the provider gave the key; left out if not given.
    #[serde(default)]
    pub key_id: Option<String>,
    /// `iss`, the client's id if not given.
    #[serde(default)]
    pub issuer: Option<String>,
    /// `sub`, the client's id if not given.
    #[serde(default)]
    pub subject: Option<String>,
    /// `aud`, the URL of the token endpoint if not given.
    #[serde(default)]
    pub audience: Option<String>,
    /// How long the token is good for, from `iat` to `exp`; 5m if not given.
    #[serde(default = "five_minutes")]
    pub lifetime: Period,
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// The header that carries an access token.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenHeader {
    /// The header's name.
    pub name: String,
    /// What comes before the token in it, its blank included.
    pub prefix: String,
}

impl Default for TokenHeader {
    fn default() -> Self {
        Self { name: "Authorization".to_owned(), prefix: "Bearer ".to_owned() }
    }
}

/// A signature of each request under a shared key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hmac {
    /// The hash function of the signature.
    pub algorithm: HmacAlgorithm,
    /// The secret that both sides share.
    pub secret: Secret,
    /// How the secret is written in this file: `text` (the default), `hex` or `base64`.
    #[serde(default)]
    pub secret_encoding: KeyEncoding,
    /// What is signed: a text in which `{method}`, `{host}`, `{path}`, `{query}`, `{target}`, `{body}`,
    /// `{body_sha256}`, `{timestamp}` and `{nonce}` stand for parts of the request.
    pub signed: String,
    /// How the signature is written.
    pub encoding: SignatureEncoding,
    /// How `{timestamp}` is written: `seconds` (the default) or `milliseconds` since 1970, `rfc3339`, or
    /// `rfc1123`, as HTTP writes dates.
    #[serde(default)]
    pub timestamp: TimestampFormat,
    /// The headers that carry it, value by name, with the same parts and `{signature}`, which one has
    /// to have.
    pub headers: BTreeMap<String, Secret>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HmacAlgorithm {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyEncoding {
    #[default]
    Text,
    Hex,
    Base64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    Hex,
    Base64,
    /// Percent-encoded.
    PercentBase64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimestampFormat {
    /// Since 1970.
    #[default]
    Seconds,
    /// Since 1970.
    Milliseconds,
    Rfc3339,
    /// As HTTP writes dates: `Sun, 01 Mar 2026 12:00:00 GMT`.
    Rfc1123,
}

fn nothing() -> Secret {
    String::new().into()
}

fn five_minutes() -> Period {
    Period::from_seconds(300)
}

/// `auth:` as it is written: one of the proofs, and what goes with it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// A token that every request carries as `Authorization: Bearer …`.
    bearer: Option<Secret>,
    /// A user and a password that every request carries as `Authorization: Basic …`.
    basic: Option<Basic>,
    /// A header that every request carries.
    header: Option<Named>,
    /// A query parameter that every request carries.
    query: Option<Named>,
    /// An access token from a token endpoint (OAuth 2).
    oauth2: Option<Box<OAuth2>>,
    /// A token that a request of the API's own making is answered with.
    login: Option<Box<Login>>,
    /// A signature of each request under a shared key, beside one of the others or alone.
    hmac: Option<Hmac>,
}

impl TryFrom<Fields> for Auth {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, &'static str> {
        let given = [
            fields.bearer.map(Proof::Bearer),
            fields.basic.map(Proof::Basic),
            fields.header.map(Proof::Header),
            fields.query.map(Proof::Query),
            fields.oauth2.map(Proof::OAuth2),
            fields.login.map(Proof::Login),
        ];
        let mut given = given.into_iter().flatten();
        let (proof, hmac) = (given.next(), fields.hmac);
        if given.next().is_some() || (proof.is_none() && hmac.is_none()) {
            return Err("auth: give one of bearer, basic, header, query, oauth2 and login, with or \
                        without hmac, or the word none");
        }
        Ok(Self { proof: proof.unwrap_or(Proof::None), hmac })
    }
}

impl JsonSchema for Auth {
    fn schema_name() -> Cow<'static, str> {
        "Auth".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = generator.subschema_for::<Fields>();
        json_schema!({ "anyOf": [{ "const": "none" }, fields] })
    }
}

impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AuthVisitor;
        impl<'de> Visitor<'de> for AuthVisitor {
            type Value = Auth;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a kind of auth with its fields, or the word none")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Auth, E> {
                // the word is not repeated: it may be a token in the wrong place
                match word {
                    "none" => Ok(Auth { proof: Proof::None, hmac: None }),
                    _ => Err(E::custom("auth: write a kind with its fields, or the word none")),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Auth, A::Error> {
                let fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
                Auth::try_from(fields).map_err(serde::de::Error::custom)
            }
        }
        deserializer.deserialize_any(AuthVisitor)
    }
}

impl Auth {
    /// Fills in the `${...}` references.
    pub(super) fn fill(&mut self, lookup: Lookup) -> Result<(), InterpolateError> {
        match &mut self.proof {
            Proof::None => {}
            Proof::Bearer(token) => token.fill(lookup)?,
            Proof::Basic(basic) => {
                basic.user.fill(lookup)?;
                basic.password.fill(lookup)?;
            }
            Proof::Header(named) | Proof::Query(named) => named.value.fill(lookup)?,
            Proof::OAuth2(oauth2) => oauth2.fill(lookup)?,
            Proof::Login(login) => login.fill(lookup)?,
        }
        if let Some(hmac) = &mut self.hmac {
            hmac.secret.fill(lookup)?;
            fill_all(hmac.headers.values_mut(), lookup)?;
        }
        Ok(())
    }
}

impl OAuth2 {
    fn fill(&mut self, lookup: Lookup) -> Result<(), InterpolateError> {
        let texts = [&mut self.token_url, &mut self.client_id].into_iter();
        let texts = texts.chain(&mut self.scope);
        let mut secrets: Vec<&mut Secret> = self.extra.values_mut().collect();
        secrets.extend(&mut self.client_secret);
        secrets.extend(&mut self.refresh_token);
        let mut texts: Vec<&mut String> = texts.collect();
        if let Some(assertion) = &mut self.assertion {
            secrets.push(&mut assertion.private_key);
            texts.extend(&mut assertion.key_id);
            texts.extend(&mut assertion.issuer);
            texts.extend(&mut assertion.subject);
            texts.extend(&mut assertion.audience);
        }
        for text in texts {
            *text = interpolate(text, lookup)?;
        }
        fill_all(secrets, lookup)
    }
}

/// Fills in the references of several secrets.
pub(super) fn fill_all<'a>(
    secrets: impl IntoIterator<Item = &'a mut Secret>,
    lookup: Lookup,
) -> Result<(), InterpolateError> {
    secrets.into_iter().try_for_each(|secret| secret.fill(lookup))
}

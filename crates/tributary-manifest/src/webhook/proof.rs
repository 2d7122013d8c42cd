//! How a call proves that the provider sent it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use subtle::ConstantTimeEq;

use super::keys::{self, Key};
use super::text::{Text, time};
use super::{Call, Header, MOST_CODES, Unproven};
use crate::manifest::{CodePart, SignatureManifest, TimestampManifest, WebhookCheck, WebhookManifest};
use crate::secret::Secret;

/// The longest that a call may be old: some providers send what was not taken again for hours, with the
/// time of the first.
const MOST_TOLERANCE: TimeDelta = TimeDelta::days(1);
/// The versions of the codes of Standard Webhooks: of secrets, and of public keys.
const VERSIONS: [&str; 2] = ["v1", "v1a"];

/// The proof that a webhook wants.
pub enum Proof {
    Signature(Box<Signature>),
    Header { name: String, value: Secret },
    Basic { username: String, password: Secret },
}

/// A code over a text.
pub struct Signature {
    described: SignatureManifest,
    text: Text,
    keys: Vec<Key>,
    url: String,
}

impl Proof {
    /// The proof that `webhook`, which has to be interpolated, describes. The error names the field.
    pub fn new(webhook: &WebhookManifest) -> Result<Self, String> {
        check(webhook)?;
        Ok(match &webhook.check {
            WebhookCheck::Signature(described) => Self::Signature(Box::new(Signature {
                text: Text::parse(&described.signed)?,
                keys: keys::keys(&key_field(described), &described.keys)?,
                url: webhook.url.clone().unwrap_or_default(),
                described: described.clone(),
            })),
            WebhookCheck::Header { name, value } => {
                Self::Header { name: name.clone(), value: not_empty("webhook.header.value", value)? }
            }
            WebhookCheck::Basic { username, password } => Self::Basic {
                username: username.clone(),
                password: not_empty("webhook.basic.password", password)?,
            },
        })
    }

    /// Whether a call with these headers may be the provider's, whatever its body is.
    pub fn may_hold(&self, header: Header<'_>) -> Result<(), Unproven> {
        match self {
            Self::Signature(signature) => signature.codes(header).map(drop),
            Self::Header { .. } | Self::Basic { .. } => self.holds_secret(header),
        }
    }

    /// Whether the provider sent `call`, which came at `now`.
    pub fn holds(&self, call: &Call<'_>, now: DateTime<Utc>) -> Result<(), Unproven> {
        match self {
            Self::Signature(signature) => signature.holds(call, now),
            Self::Header { .. } | Self::Basic { .. } => self.holds_secret(call.header),
        }
    }

    fn holds_secret(&self, header: Header<'_>) -> Result<(), Unproven> {
        match self {
            Self::Signature(_) => Err(Unproven::Secret),
            Self::Header { name, value } => {
                let sent = header(name).ok_or_else(|| Unproven::Header(name.clone()))?;
                same(sent.as_bytes(), value.expose().as_bytes())
            }
            Self::Basic { username, password } => {
                let missing = || Unproven::Header("authorization".to_owned());
                let sent = header("authorization").ok_or_else(missing)?;
                let (scheme, code) = sent.split_once(' ').ok_or_else(missing)?;
                let sent = STANDARD.decode(code.trim()).map_err(|_| missing())?;
                if !scheme.eq_ignore_ascii_case("basic") {
                    return Err(missing());
                }
                same(&sent, format!("{username}:{}", password.expose()).as_bytes())
            }
        }
    }

    /// The headers with which `call` proves itself at `now`, beside those that it has; the error says why
    /// only the provider could make them.
    pub fn sign(&self, call: &Call<'_>, now: DateTime<Utc>) -> Result<Vec<(String, String)>, String> {
        match self {
            Self::Signature(signature) => signature.sign(call, now),
            Self::Header { name, value } => Ok(vec![(name.clone(), value.expose().to_owned())]),
            Self::Basic { username, password } => {
                let text = format!("{username}:{}", password.expose());
                Ok(vec![("authorization".to_owned(), format!("Basic {}", STANDARD.encode(text)))])
            }
        }
    }
}

impl Signature {
    fn holds(&self, call: &Call<'_>, now: DateTime<Utc>) -> Result<(), Unproven> {
        let codes = self.codes(call.header)?;
        let timestamp = match &self.described.timestamp {
            None => None,
            Some(described) => Some((described, timestamp(described, call.header)?)),
        };
        let sent_at = timestamp.as_ref().map_or("", |(_, text)| text.as_str());
        let signed = self.text.of(call, sent_at, &self.url)?;
        // every key is tried, so that the time reveals nothing about which one is near
        if !self.keys.iter().fold(false, |proven, key| proven | key.proves(&signed, &codes)) {
            return Err(Unproven::Code);
        }
        match timestamp {
            Some((described, text)) => is_recent(described, &text, now),
            None => Ok(()),
        }
    }

    /// The codes of a call that may be right: those of a length that a key makes. None of them is
    /// looked at where there are more than a provider sends, as each may be as long as a stranger likes.
    fn codes(&self, header: Header<'_>) -> Result<Vec<Vec<u8>>, Unproven> {
        let SignatureManifest { header: name, part, encoding, .. } = &self.described;
        let sent = header(name).ok_or_else(|| Unproven::Header(name.clone()))?;
        let may_be = |code: &Vec<u8>| self.keys.iter().any(|key| key.may_have_made(code.len()));
        let codes = codes(&sent, part).filter_map(|code| keys::decode(*encoding, code)).filter(may_be);
        let codes: Vec<Vec<u8>> = codes.take(MOST_CODES + 1).collect();
        match codes.len() {
            0 => Err(Unproven::NoCode(name.clone())),
            n if n > MOST_CODES => Err(Unproven::Codes),
            _ => Ok(codes),
        }
    }

    fn sign(&self, call: &Call<'_>, now: DateTime<Utc>) -> Result<Vec<(String, String)>, String> {
        let SignatureManifest { header, part, encoding, timestamp, .. } = &self.described;
        let given = timestamp.as_ref().and_then(|described| self::timestamp(described, call.header).ok());
        let sent_at = given.clone().unwrap_or_else(|| now.timestamp().to_string());
        let signed = self.text.of(call, &sent_at, &self.url).map_err(|error| error.to_string())?;
        let code = self.keys.iter().find_map(|key| key.sign(&signed)).ok_or(
            "only the provider can sign it, with its private key: give a call that it sent, or one that it \
             has examples of",
        )?;
        let code = keys::encode(*encoding, &code);
        let mut text = match part {
            CodePart::Whole => code,
            CodePart::Field(name) => format!("{name}={code}"),
            CodePart::Versioned => format!("{},{code}", VERSIONS[0]),
        };
        let mut headers = Vec::new();
        if let (Some(described), None) = (timestamp, given) {
            let time = match &described.field {
                Some(name) => format!("{name}={sent_at}"),
                None => sent_at,
            };
            match described.header.eq_ignore_ascii_case(header) {
                true => text = format!("{time},{text}"),
                false => headers.push((described.header.clone(), time)),
            }
        }
        headers.push((header.clone(), text));
        Ok(headers)
    }
}

/// Whether what the webhook says can prove anything, as far as that does not depend on secrets.
pub fn check(webhook: &WebhookManifest) -> Result<(), String> {
    let WebhookCheck::Signature(described) = &webhook.check else { return Ok(()) };
    let wrong = |field: &str, why: &str| Err(format!("webhook.{}.{field}: {why}", described.written));
    let text = match Text::parse(&described.signed) {
        Ok(text) => text,
        Err(why) => return wrong("signed", &why),
    };
    if text.holds_timestamp() != described.timestamp.is_some() {
        return wrong("timestamp", "belongs to {timestamp} in `signed`: give both or none");
    }
    if !text.holds_body() && described.timestamp.is_none() {
        let why = "holds neither {body} nor {timestamp}, so that who saw one call could send others for ever";
        return wrong("signed", why);
    }
    if text.holds_url() && webhook.url.is_none() {
        return wrong("signed", "holds {url}: give `webhook.url`, the address as the provider has it");
    }
    let tolerance = described.timestamp.as_ref().map(|described| described.tolerance.as_delta());
    if tolerance.is_some_and(|tolerance| tolerance <= TimeDelta::zero() || tolerance > MOST_TOLERANCE) {
        let field = if described.written == "standard" { "tolerance" } else { "timestamp.tolerance" };
        return wrong(field, "take more than 0 and at most 1d");
    }
    if described.keys.secrets().iter().all(|secret| !secret.expose().contains("${")) {
        keys::keys(&key_field(described), &described.keys)?;
    }
    Ok(())
}

/// The field of the file that has the keys.
fn key_field(described: &SignatureManifest) -> String {
    let name = if described.written == "signature" { "key" } else { "secret" };
    format!("webhook.{}.{name}", described.written)
}

fn not_empty(field: &str, secret: &Secret) -> Result<Secret, String> {
    if secret.expose().is_empty() { Err(format!("{field}: is empty")) } else { Ok(secret.clone()) }
}

/// The codes of a header, as they are written.
fn codes<'a>(header: &'a str, part: &'a CodePart) -> Box<dyn Iterator<Item = &'a str> + 'a> {
    match part {
        CodePart::Whole => Box::new(header.split([',', ' ']).filter(|code| !code.is_empty())),
        CodePart::Field(field) => Box::new(values(header, field)),
        CodePart::Versioned => Box::new(header.split(' ').filter_map(|code| {
            let (version, code) = code.split_once(',')?;
            VERSIONS.contains(&version).then_some(code)
        })),
    }
}

/// The values that `a=1,b="2"` has of `field`.
fn values<'a>(header: &'a str, field: &'a str) -> impl Iterator<Item = &'a str> {
    header.split([',', ';', ' ']).filter_map(move |part| {
        let (name, value) = part.trim().split_once('=')?;
        (name == field)
            .then(|| value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
    })
}

/// When a call was sent, as it writes it.
fn timestamp(described: &TimestampManifest, header: Header<'_>) -> Result<String, Unproven> {
    let missing = || Unproven::Header(described.header.clone());
    let text = header(&described.header).ok_or_else(missing)?;
    match &described.field {
        None => Ok(text.trim().to_owned()),
        Some(field) => values(&text, field).next().map(str::to_owned).ok_or_else(missing),
    }
}

fn is_recent(described: &TimestampManifest, text: &str, now: DateTime<Utc>) -> Result<(), Unproven> {
    let sent = time(text).ok_or_else(|| Unproven::Header(described.header.clone()))?;
    let away: TimeDelta = (now - sent).abs();
    if away <= described.tolerance.as_delta() {
        return Ok(());
    }
    Err(Unproven::Replayed(away.num_seconds(), sent.to_rfc3339_opts(SecondsFormat::Secs, true)))
}

fn same(sent: &[u8], secret: &[u8]) -> Result<(), Unproven> {
    if bool::from(sent.ct_eq(secret)) { Ok(()) } else { Err(Unproven::Secret) }
}

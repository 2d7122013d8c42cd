//! A provider's calls: whether they are its own, and what they set off. What they say is never
//! taken for data: it only says what to ask the API for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use jaq_json::Val;
use ring::hmac;
use subtle::ConstantTimeEq;
use tributary_domain::ID_MAX_BYTES;

use super::cage::Cage;
use super::jq::yielded;
use super::jq::{self, Filter, Limits, Scope};
use super::manifest::{
    CodeAlgorithm, CodeEncoding, HmacManifest, Manifest, TimestampManifest, WebhookCheck, WebhookManifest,
};
use super::plan::ManifestError;
use super::secret::Secret;

/// How long the filters may work on one call.
const FILTER_DEADLINE: Duration = Duration::from_secs(2);
/// The most partitions that one call names of a stream.
const MOST_PARTITIONS: usize = 100;
/// The most codes that one call may bring: a provider that changes its secret sends two.
const MOST_CODES: usize = 5;
/// From here on a number is no second of any near year, but a millisecond.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Why a call is not the provider's. For the log; the caller does not learn it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    #[error("the header {0} is missing, or not as it should be")]
    Header(String),
    #[error("the code over the body does not match")]
    Code,
    #[error("it has more codes than a provider sends (at most {MOST_CODES})")]
    Codes,
    #[error("its timestamp is {0} s from now: a replay, or a wrong clock")]
    Replayed(i64),
    #[error("the shared secret does not match")]
    Secret,
}

/// A call as it came.
pub struct Call<'a> {
    pub body: &'a [u8],
    /// Looks a header up by its name, in any case.
    pub header: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// All headers that may be shown to filters, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A stream that a call has read, or one partition of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Triggered {
    pub stream: String,
    pub partition: Option<String>,
}

/// The `webhook:` of a manifest, ready to be called.
pub struct Webhook {
    check: WebhookCheck,
    triggers: Arc<Vec<Trigger>>,
    cage: Cage,
}

struct Trigger {
    stream: String,
    when: Option<Filter>,
    partition: Option<Filter>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("triggers", &self.triggers.len()).finish()
    }
}

impl Webhook {
    /// The webhook of `manifest`, which has to be interpolated; `None` where it has none.
    pub fn new(manifest: &Manifest) -> Result<Option<Self>, ManifestError> {
        let Some(described) = &manifest.webhook else { return Ok(None) };
        check_secrets(&described.check)?;
        let triggers = triggers(described, manifest)?;
        let cage = Cage::with_deadline(FILTER_DEADLINE);
        Ok(Some(Self { check: described.check.clone(), triggers: Arc::new(triggers), cage }))
    }

    /// Whether a call with these headers may be the provider's, before its body is read: it may not
    /// where [`Webhook::prove`] would refuse it whatever the body is. `header` is as in [`Call`].
    pub fn may_be_proven(&self, header: &(dyn Fn(&str) -> Option<String> + Sync)) -> Result<(), Unproven> {
        match &self.check {
            WebhookCheck::Hmac(hmac) => candidates(hmac, header).map(drop),
            WebhookCheck::Header { .. } | WebhookCheck::Basic { .. } => self.prove_secret(header),
        }
    }

    /// Whether the provider sent `call`, which came at `now`.
    pub fn prove(&self, call: &Call<'_>, now: DateTime<Utc>) -> Result<(), Unproven> {
        match &self.check {
            WebhookCheck::Hmac(hmac) => prove_hmac(hmac, call, now),
            WebhookCheck::Header { .. } | WebhookCheck::Basic { .. } => self.prove_secret(call.header),
        }
    }

    /// Whether the headers alone hold the shared secret; a code over the body is none.
    fn prove_secret(&self, header: &(dyn Fn(&str) -> Option<String> + Sync)) -> Result<(), Unproven> {
        match &self.check {
            WebhookCheck::Hmac(_) => Err(Unproven::Secret),
            WebhookCheck::Header { name, value } => {
                let sent = header(name).ok_or_else(|| Unproven::Header(name.clone()))?;
                same(sent.as_bytes(), value.expose().as_bytes())
            }
            WebhookCheck::Basic { username, password } => {
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

    /// What `call` has read. A filter that fails on it has its whole stream read: what it meant is
    /// not known, and asking once too often loses nothing.
    pub async fn triggered(&self, call: &Call<'_>) -> Vec<Triggered> {
        let (triggers, input) = (Arc::clone(&self.triggers), input(call));
        let looked_at = self.cage.run(move |deadline| {
            let mut triggered: Vec<Triggered> =
                triggers.iter().flat_map(|trigger| trigger.look_at(&input, deadline)).collect();
            triggered.sort();
            triggered.dedup();
            Ok(triggered)
        });
        looked_at.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a webhook is not understood; all of its streams are read");
            let whole = |trigger: &Trigger| Triggered { stream: trigger.stream.clone(), partition: None };
            self.triggers.iter().map(whole).collect()
        })
    }
}

impl Trigger {
    fn look_at(&self, input: &Val, deadline: Instant) -> Vec<Triggered> {
        self.partitions(input, deadline).unwrap_or_else(|error| {
            tracing::warn!(stream = self.stream, %error, "a webhook is not understood; the whole stream is read");
            vec![Triggered { stream: self.stream.clone(), partition: None }]
        })
    }

    fn partitions(&self, input: &Val, deadline: Instant) -> Result<Vec<Triggered>, jq::FilterError> {
        let scope = Scope::default();
        let limits = Limits { outputs: MOST_PARTITIONS, deadline };
        if let Some(when) = &self.when {
            let meant = when.run_one(input.clone(), &scope, limits)?;
            if matches!(meant, Val::Null | Val::Bool(false)) {
                return Ok(Vec::new());
            }
        }
        let triggered = |partition| Triggered { stream: self.stream.clone(), partition };
        let Some(partition) = &self.partition else { return Ok(vec![triggered(None)]) };
        let mut partitions = Vec::new();
        for name in partition.run(input.clone(), &scope, limits)? {
            match yielded::token(&name).filter(|name| name.len() <= ID_MAX_BYTES) {
                Some(name) => partitions.push(triggered(Some(name))),
                None => {
                    let wanted = format!("yields no text or integer of at most {ID_MAX_BYTES} bytes");
                    return Err(partition.error(wanted));
                }
            }
        }
        Ok(partitions)
    }
}

fn triggers(described: &WebhookManifest, manifest: &Manifest) -> Result<Vec<Trigger>, ManifestError> {
    let wrong = |why: String| ManifestError::Field(format!("webhook.triggers: {why}"));
    if described.triggers.is_empty() {
        return Err(wrong("lists none".to_owned()));
    }
    let functions = manifest.definitions().map_err(ManifestError::Field)?;
    let compile = |trigger: &super::manifest::TriggerManifest| {
        let stream = manifest.streams.iter().find(|stream| stream.name == trigger.stream);
        let stream = stream.ok_or_else(|| wrong(format!("there is no stream {:?}", trigger.stream)))?;
        if trigger.partition.is_some() && stream.for_each.is_none() {
            return Err(wrong(format!("the stream {:?} has no partitions", trigger.stream)));
        }
        let filter = |field, code: &Option<String>| {
            let compile = |code: &String| Filter::compile(&trigger.stream, field, &functions, code);
            code.as_ref().map(compile).transpose()
        };
        Ok(Trigger {
            stream: trigger.stream.clone(),
            when: filter("webhook.triggers.when", &trigger.when)?,
            partition: filter("webhook.triggers.partition", &trigger.partition)?,
        })
    };
    described.triggers.iter().map(compile).collect()
}

/// A secret that is empty would be no secret.
fn check_secrets(check: &WebhookCheck) -> Result<(), ManifestError> {
    let (secret, field): (&Secret, _) = match check {
        WebhookCheck::Hmac(hmac) => (&hmac.secret, "hmac.secret"),
        WebhookCheck::Header { value, .. } => (value, "header.value"),
        WebhookCheck::Basic { password, .. } => (password, "basic.password"),
    };
    let wrong = |field: &str, why: &str| Err(ManifestError::Field(format!("webhook.check.{field}: {why}")));
    if secret.expose().is_empty() {
        return wrong(field, "is empty");
    }
    match check {
        WebhookCheck::Hmac(hmac) if unknown_field(&hmac.signed).is_some() => {
            let field = unknown_field(&hmac.signed).unwrap_or_default();
            wrong("hmac.signed", &format!("{{{field}}} is not known: take {{body}} and {{timestamp}}"))
        }
        WebhookCheck::Hmac(hmac) if !hmac.signed.contains("{body}") => {
            wrong("hmac.signed", "does not hold {body}, so that anybody could change it")
        }
        WebhookCheck::Hmac(hmac) if hmac.signed.contains("{timestamp}") != hmac.timestamp.is_some() => {
            wrong("hmac.timestamp", "belongs to {timestamp} in signed: give both or none")
        }
        _ => Ok(()),
    }
}

/// A field in braces that stands for nothing, and would be signed as it is written.
fn unknown_field(signed: &str) -> Option<&str> {
    let fields = signed.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    fields.into_iter().find(|field| !matches!(*field, "body" | "timestamp"))
}

fn prove_hmac(hmac: &HmacManifest, call: &Call<'_>, now: DateTime<Utc>) -> Result<(), Unproven> {
    let codes = candidates(hmac, call.header)?;
    let missing = |header: &str| Unproven::Header(header.to_owned());
    let timestamp = match &hmac.timestamp {
        None => None,
        Some(described) => {
            let text = (call.header)(&described.header).ok_or_else(|| missing(&described.header))?;
            let text = values(&text, described.field.as_deref()).next().map(str::to_owned);
            Some((described, text.ok_or_else(|| missing(&described.header))?))
        }
    };
    let text = timestamp.as_ref().map_or("", |(_, text)| text.as_str());
    let code = code_of(hmac, &signed(&hmac.signed, text, call.body));
    // every candidate is compared, so that the time reveals nothing about which one is near
    let proven = codes.iter().fold(false, |proven, sent| proven | bool::from(sent.ct_eq(code.as_ref())));
    if !proven {
        return Err(Unproven::Code);
    }
    match timestamp {
        Some((described, text)) => is_recent(described, &text, now),
        None => Ok(()),
    }
}

/// The codes of a call that may be right: those of the right length. None of them is looked at
/// where there are more than a provider sends, as each may be as long as a stranger likes.
fn candidates(
    hmac: &HmacManifest,
    header: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<Vec<Vec<u8>>, Unproven> {
    let sent = header(&hmac.header).ok_or_else(|| Unproven::Header(hmac.header.clone()))?;
    let length = algorithm(hmac.algorithm).digest_algorithm().output_len();
    let codes = values(&sent, hmac.field.as_deref()).filter_map(|code| decode(hmac.encoding, length, code));
    let codes: Vec<Vec<u8>> = codes.take(MOST_CODES + 1).collect();
    match codes.len() {
        0 => Err(Unproven::Code),
        n if n > MOST_CODES => Err(Unproven::Codes),
        _ => Ok(codes),
    }
}

/// The values of a header: its text, or of `a=1,b=2` those that are called `field`.
fn values<'a>(header: &'a str, field: Option<&'a str>) -> impl Iterator<Item = &'a str> {
    let whole = field.is_none().then(|| header.trim());
    let parts = field.into_iter().flat_map(move |field| {
        header.split([',', ';', ' ']).filter_map(move |part| {
            let (name, value) = part.trim().split_once('=')?;
            (name == field).then_some(value)
        })
    });
    whole.into_iter().chain(parts)
}

/// The bytes of a code of `length` bytes; `None` where it is none, or has another length.
fn decode(encoding: CodeEncoding, length: usize, code: &str) -> Option<Vec<u8>> {
    let decoded = match encoding {
        CodeEncoding::Base64 if code.len() <= 2 * length => STANDARD.decode(code).ok()?,
        CodeEncoding::Hex if code.len() == 2 * length => {
            let digits = code.as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            digits.map(byte).collect::<Option<Vec<u8>>>()?
        }
        _ => return None,
    };
    (decoded.len() == length).then_some(decoded)
}

fn signed(template: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    let mut signed = Vec::with_capacity(template.len() + body.len());
    let parts: Vec<String> =
        template.split("{body}").map(|text| text.replace("{timestamp}", timestamp)).collect();
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            signed.extend_from_slice(body);
        }
        signed.extend_from_slice(part.as_bytes());
    }
    signed
}

fn algorithm(algorithm: CodeAlgorithm) -> hmac::Algorithm {
    match algorithm {
        CodeAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        CodeAlgorithm::Sha256 => hmac::HMAC_SHA256,
        CodeAlgorithm::Sha512 => hmac::HMAC_SHA512,
    }
}

/// The code that the provider gives over `signed`.
fn code_of(described: &HmacManifest, signed: &[u8]) -> hmac::Tag {
    #[cfg(test)]
    tests::CODES_MADE.with(|made| made.set(made.get() + 1));
    let key = hmac::Key::new(algorithm(described.algorithm), described.secret.expose().as_bytes());
    hmac::sign(&key, signed)
}

fn is_recent(described: &TimestampManifest, text: &str, now: DateTime<Utc>) -> Result<(), Unproven> {
    let sent = match text.parse::<i64>() {
        Ok(number) if number >= MILLISECONDS_FROM => DateTime::from_timestamp_millis(number),
        Ok(number) => DateTime::from_timestamp(number, 0),
        Err(_) => DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()),
    };
    let sent = sent.ok_or_else(|| Unproven::Header(described.header.clone()))?;
    let away: TimeDelta = (now - sent).abs();
    if away > described.tolerance.as_delta() { Err(Unproven::Replayed(away.num_seconds())) } else { Ok(()) }
}

fn same(sent: &[u8], secret: &[u8]) -> Result<(), Unproven> {
    if bool::from(sent.ct_eq(secret)) { Ok(()) } else { Err(Unproven::Secret) }
}

/// What filters see: `{body, headers}`. A body that is not JSON is a form, or else text.
fn input(call: &Call<'_>) -> Val {
    let text = |text: &str| Val::from(text.to_owned());
    let object = |pairs: &mut dyn Iterator<Item = (String, String)>| {
        let members = pairs.map(|(name, value)| (text(&name), text(&value)));
        Val::obj(members.collect())
    };
    let body = jq::parse(call.body).unwrap_or_else(|_| {
        let form = (call.header)("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if form {
            object(&mut url::form_urlencoded::parse(call.body).into_owned())
        } else {
            text(&String::from_utf8_lossy(call.body))
        }
    });
    let headers = object(&mut call.headers.iter().cloned());
    Val::obj([(text("body"), body), (text("headers"), headers)].into_iter().collect())
}

#[cfg(test)]
mod tests;

//! A provider's calls: whether they are its own, and what they set off. What they say is never
//! taken for data: it only says what to ask the API for.

mod keys;
mod proof;
mod public;
mod text;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use jaq_json::Val;
use tributary_domain::ID_MAX_BYTES;

use super::cage::Cage;
use super::jq::yielded;
use super::jq::{self, Filter, Limits, Scope};
use super::manifest::{ChallengeManifest, Manifest, WebhookManifest};
use super::plan::ManifestError;
use proof::Proof;

/// How long the filters may work on one call.
const FILTER_DEADLINE: Duration = Duration::from_secs(2);
/// The most partitions that one call names of a stream.
const MOST_PARTITIONS: usize = 100;
/// The most codes that one call may bring: a provider that changes its secret sends two.
const MOST_CODES: usize = 5;
/// The longest challenge that is echoed, in bytes.
const CHALLENGE_BYTES: usize = 1_024;

/// Why a call is not the provider's. For the log; the caller does not learn it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    #[error("the header {0} is missing, or not as it should be")]
    Header(String),
    #[error("the header {0} holds no code of the form that `webhook` describes")]
    NoCode(String),
    #[error(
        "no code matches: the call was changed or forged, or the secret, the key or `signed` of `webhook` is not \
         as the provider has it"
    )]
    Code,
    #[error("it has more codes than a provider sends (at most {MOST_CODES})")]
    Codes,
    #[error("it says that it was sent at {1}, {0} s from now: a replay, or a wrong clock")]
    Replayed(i64, String),
    #[error("the shared secret does not match")]
    Secret,
    #[error("it asks for the echo of a challenge, and `webhook.challenge` says of none")]
    Challenge,
}

/// Looks a header up by its name, in any case.
pub type Header<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// A call as it came.
pub struct Call<'a> {
    pub body: &'a [u8],
    pub header: Header<'a>,
    /// The query of its address as it came, without the `?`.
    pub query: Option<&'a str>,
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
    proof: Proof,
    challenge: Option<Challenge>,
    answer: u16,
    triggers: Arc<Vec<Trigger>>,
    cage: Cage,
}

/// What of a call is echoed.
enum Challenge {
    Query(String),
    Body(Arc<Filter>),
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
        Ok(Some(Self {
            proof: Proof::new(described).map_err(ManifestError::Field)?,
            challenge: challenge(described, manifest)?,
            answer: described.answer,
            triggers: Arc::new(triggers(described, manifest)?),
            cage: Cage::with_deadline(FILTER_DEADLINE),
        }))
    }

    /// What is wrong with the webhook of `manifest`, as far as that does not depend on variables.
    pub fn check(manifest: &Manifest) -> Result<(), ManifestError> {
        let Some(described) = &manifest.webhook else { return Ok(()) };
        proof::check(described).map_err(ManifestError::Field)?;
        challenge(described, manifest)?;
        triggers(described, manifest).map(drop)
    }

    /// Whether a call with these headers may be the provider's, before its body is read: it may not
    /// where [`Webhook::prove`] would refuse it whatever the body is.
    pub fn may_be_proven(&self, header: Header<'_>) -> Result<(), Unproven> {
        self.proof.may_hold(header)
    }

    /// Whether the provider sent `call`, which came at `now`.
    pub fn prove(&self, call: &Call<'_>, now: DateTime<Utc>) -> Result<(), Unproven> {
        self.proof.holds(call, now)
    }

    /// The headers with which `call` proves itself at `now`, beside those that it has; for whoever tries a
    /// file. The error says why they cannot be made here.
    pub fn sign(&self, call: &Call<'_>, now: DateTime<Utc>) -> Result<Vec<(String, String)>, String> {
        self.proof.sign(call, now)
    }

    /// Whether calls carry codes, which may be shown, and not the secret itself.
    pub fn signs(&self) -> bool {
        matches!(self.proof, Proof::Signature(_))
    }

    /// The status of the answer to a call that proved itself.
    pub fn answer(&self) -> u16 {
        self.answer
    }

    /// What is echoed to a `GET` with this query; it proves nothing, and has nothing read. Of a value that
    /// could be anything else than a challenge, nothing is.
    pub fn echo_of_query(&self, query: Option<&str>) -> Result<String, Unproven> {
        let Some(Challenge::Query(name)) = &self.challenge else { return Err(Unproven::Challenge) };
        let mut members = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let value = members.find(|(other, _)| other == name).map(|(_, value)| value.into_owned());
        value.filter(|value| may_be_echoed(value)).ok_or(Unproven::Challenge)
    }

    /// What is echoed to `call`, which proved itself: `None` of one that is no challenge.
    pub async fn echo_of(&self, call: &Call<'_>) -> Option<String> {
        let Some(Challenge::Body(filter)) = &self.challenge else { return None };
        let (filter, input) = (Arc::clone(filter), input(call));
        let looked_at = self.cage.run(move |deadline| {
            let yielded = filter.run_one(input, &scope(), Limits::one(deadline));
            Ok(yielded.ok().and_then(|value| yielded::token(&value)))
        });
        looked_at.await.ok().flatten().filter(|value| may_be_echoed(value))
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
        let scope = scope();
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

fn challenge(described: &WebhookManifest, manifest: &Manifest) -> Result<Option<Challenge>, ManifestError> {
    let functions = manifest.definitions().map_err(ManifestError::Field)?;
    Ok(match &described.challenge {
        None => None,
        Some(ChallengeManifest::Query(name)) => Some(Challenge::Query(name.clone())),
        Some(ChallengeManifest::Body(code)) => {
            let filter = Filter::compile("", "webhook.challenge.body", &functions, code)?;
            Some(Challenge::Body(Arc::new(filter)))
        }
    })
}

/// Whether `value` is short and harmless wherever it is shown.
fn may_be_echoed(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=:".contains(&byte);
    !value.is_empty() && value.len() <= CHALLENGE_BYTES && value.bytes().all(plain)
}

fn scope() -> Scope {
    Scope::default()
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
mod signature_tests;
#[cfg(test)]
mod tests;

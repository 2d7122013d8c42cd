//! What a manifest says of payments, and what an answer proves. Only what proves something is taken
//! as proof: whatever the manifest does not name leaves the outcome unknown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use jaq_json::Val;
use serde::Deserialize;
use serde_json::Value;

use tributary_domain::{Amount, Asset, PaymentState, RecordId, Status};

use super::outcome::{LookupOutcome, Sent};
use super::steps::StepPlan;
use crate::client::{Evidence, Rules};
use crate::jq::{self, Filter, FilterError, Limits, Scope};
use crate::manifest::{Action, ProviderKeyManifest};
use crate::plan::RequestTemplate;
use crate::wire::Incoming;

/// The most payments that a lookup finds.
const MOST_FOUND: usize = 1000;

/// How one kind of payment is ordered.
#[derive(Debug)]
pub struct PaymentPlan {
    pub prepare: Option<Filter>,
    pub steps: Vec<StepPlan>,
    pub request: RequestTemplate,
    pub answer: Filter,
    pub status_map: BTreeMap<String, Status>,
    pub accepted: Vec<u16>,
    pub rules: Rules,
    pub reason: Option<Filter>,
    pub lookup: Option<PaymentLookup>,
    pub key: ProviderKeyManifest,
    pub timeout: Duration,
}

/// How one payment is looked for.
#[derive(Debug)]
pub struct PaymentLookup {
    pub request: RequestTemplate,
    pub payment: Filter,
    /// The statuses that say that there is none.
    pub missing: Vec<u16>,
    pub settle: Duration,
    pub every: Duration,
}

/// What a filter yields of a payment.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reported {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    reference: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    amount: Option<String>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    destination: Option<String>,
}

/// What rules look at of an answer, and its body as JSON, or why it is none; `None` where no body could be read.
pub fn evidence(incoming: Incoming) -> Option<(Evidence, Result<Val, String>)> {
    let Incoming { status, headers, body, sent_at } = incoming;
    let body = body?;
    let json = jq::parse(&body).map_err(|error| error.to_string());
    let text = || Val::from(String::from_utf8_lossy(&body).into_owned());
    let evidence = Evidence { status, headers, body: json.clone().unwrap_or_else(|_| text()), now: sent_at };
    Some((evidence, json))
}

impl PaymentPlan {
    /// What the request of `order` is made of.
    pub fn record(&self, order: Val, deadline: Instant) -> Result<Val, FilterError> {
        match &self.prepare {
            Some(filter) => filter.run_one(order, &Scope::at(Utc::now(), Val::Null), Limits::one(deadline)),
            None => Ok(order),
        }
    }

    /// What an answer proves.
    pub fn judge(&self, incoming: Incoming, record: Val, deadline: Instant, excerpt: String) -> Sent {
        let (status, sent_at) = (incoming.status, incoming.sent_at);
        let Some((evidence, json)) = evidence(incoming) else {
            return Sent::Unknown(format!("answered with {status} and no readable body"));
        };
        match self.rules.decide(&evidence, deadline).map(|decision| decision.action) {
            Some(Action::Fatal) => {
                let reported = self.reason.as_ref().and_then(|filter| {
                    let reason = filter.run_one(
                        evidence.body.clone(),
                        &Scope::at(sent_at, record),
                        Limits::one(deadline),
                    );
                    jq::scalar(&reason.ok()?).filter(|text| !text.trim().is_empty())
                });
                return Sent::Refused(
                    reported.unwrap_or_else(|| format!("the provider refused it with {status}: {excerpt}")),
                );
            }
            Some(_) => return Sent::Unsent(format!("answered with {status}: {excerpt}")),
            None => {}
        }
        if !status.is_success() && !self.accepted.contains(&status.as_u16()) {
            return Sent::Unknown(format!("answered with {status}: {excerpt}"));
        }
        let reported = json.and_then(|json| {
            let reported = self.answer.run_one(json, &Scope::at(sent_at, record), Limits::one(deadline));
            self.state(&reported.map_err(|error| error.to_string())?)
        });
        match reported {
            Ok(state) => Sent::Accepted(state),
            Err(why) => Sent::Unknown(format!("answered with {status}, but {why}")),
        }
    }

    pub fn found(&self, json: Val, record: Val, deadline: Instant) -> Result<LookupOutcome, FilterError> {
        let Some(lookup) = &self.lookup else {
            return Ok(LookupOutcome::Failed("there is no lookup".to_owned()));
        };
        let reported = lookup.payment.run(
            json,
            &Scope::at(Utc::now(), record),
            Limits { outputs: MOST_FOUND, deadline },
        )?;
        Ok(match reported.as_slice() {
            [] => LookupOutcome::Missing,
            [one] => self.state(one).map_or_else(LookupOutcome::Failed, LookupOutcome::Found),
            several => LookupOutcome::Several(several.len()),
        })
    }

    fn state(&self, reported: &Val) -> Result<PaymentState, String> {
        let reported: Reported =
            serde_json::from_slice(&jq::to_json(reported)).map_err(|error| error.to_string())?;
        if let Some(id) = &reported.id {
            RecordId::parse("id", id).map_err(|error| error.to_string())?;
        }
        let wrong = |error: tributary_domain::RecordError| error.to_string();
        let amount = reported.amount.as_deref().map(|units| Amount::parse_unsigned("amount", units));
        let asset = reported.currency.as_deref().map(|asset| Asset::parse("currency", asset));
        let asset = asset.transpose().map_err(wrong)?.map(|asset| asset.as_str().to_owned());
        let status = reported.status.as_deref().map_or(Status::Pending, |status| {
            let known = serde_json::from_value(Value::from(status)).ok();
            self.status_map.get(status).copied().or(known).unwrap_or(Status::Pending)
        });
        let at = reported.at.as_deref().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        Ok(PaymentState {
            id: reported.id,
            reference: reported.reference.filter(|reference| !reference.contains('\0')),
            status,
            reason: reported.reason,
            at: at.map(|at| at.with_timezone(&Utc)),
            amount: amount.transpose().map_err(wrong)?,
            asset,
            destination: reported.destination,
        })
    }
}

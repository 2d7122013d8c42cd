//! Orders one payment at a provider, or looks for one, and tells what that proves. Only what
//! proves something is taken as proof: whatever the manifest does not name leaves the outcome
//! unknown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use jaq_json::Val;
use serde::Deserialize;
use serde_json::Value;

use super::cage::Cage;
use super::client::{Client, ClientError, Evidence, Gate, Incoming, PaymentError, Request, Rules};
use super::engine::scope;
use super::jq::{self, Filter, FilterError, Limits};
use super::manifest::{Action, KeyManifest, Manifest, PaymentManifest};
use super::plan::ManifestError;
use super::request::RequestTemplate;
use tributary_domain::{PaymentKind, PaymentState, RecordId, Status};

mod compile;
mod probe;

use compile::compile;

/// How long the filters of a payment may take.
const FILTER_LIMIT: Duration = Duration::from_secs(2);
/// How much of a reason is kept, in characters.
const REASON_CHARS: usize = 500;

/// How one kind of payment is ordered.
#[derive(Debug)]
pub struct PaymentApi {
    prepare: Option<Filter>,
    request: RequestTemplate,
    answer: Filter,
    status_map: BTreeMap<String, Status>,
    accepted: Vec<u16>,
    rules: Rules,
    reason: Option<Filter>,
    lookup: Option<Lookup>,
    /// What the key looks like, and for how long it protects.
    pub key: KeyManifest,
    /// How long an answer may take.
    pub timeout: Duration,
}

#[derive(Debug)]
struct Lookup {
    request: RequestTemplate,
    payment: Filter,
    missing: Vec<u16>,
    settle: Duration,
    every: Duration,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Sent {
    /// The provider has the payment.
    Accepted(PaymentState),
    /// No money moves for this request.
    Refused(String),
    /// The provider did not look at it.
    Unsent(String),
    /// It may have moved money, or not.
    Unknown(String),
}

/// What became of a look for a payment.
#[derive(Debug, Clone, PartialEq)]
pub enum Looked {
    Found(PaymentState),
    /// More than one goes by the key.
    Several(usize),
    Missing,
    /// Nothing can be said.
    Failed(String),
}

/// A request that can be sent.
#[derive(Debug, Clone)]
pub struct Prepared {
    record: Val,
    request: Request,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
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
}

/// The APIs of a manifest, by kind.
#[derive(Debug)]
pub struct Payments {
    payouts: Option<Arc<PaymentApi>>,
    transfers: Option<Arc<PaymentApi>>,
    /// Of their own, so that no sync's filters are waited for.
    cage: Cage,
}

impl Payments {
    /// Compiles the sections of `manifest`. The error names the field.
    pub fn new(manifest: &Manifest) -> Result<Self, ManifestError> {
        let functions = manifest.definitions().map_err(ManifestError::Field)?;
        let api = |kind: PaymentKind, described: &Option<PaymentManifest>| -> Result<_, ManifestError> {
            let Some(described) = described else { return Ok(None) };
            let api = Arc::new(compile(kind.section(), &functions, described)?);
            probe::probe(kind, &api, &functions, described)
                .map_err(|why| ManifestError::Field(format!("{}.request: {why}", kind.section())))?;
            Ok(Some(api))
        };
        Ok(Self {
            payouts: api(PaymentKind::Payout, &manifest.payouts)?,
            transfers: api(PaymentKind::Transfer, &manifest.transfers)?,
            cage: Cage::with_deadline(FILTER_LIMIT),
        })
    }

    /// How `kind` is ordered; `None` where the manifest does not say.
    pub fn of(&self, kind: PaymentKind) -> Option<&Arc<PaymentApi>> {
        match kind {
            PaymentKind::Payout => self.payouts.as_ref(),
            PaymentKind::Transfer => self.transfers.as_ref(),
        }
    }

    /// The request for `order`; the error says why there is none. One that does not carry the
    /// order's key is none.
    pub async fn prepare(&self, api: &Arc<PaymentApi>, order: &Value) -> Result<Prepared, String> {
        let key = order["key"].as_str().unwrap_or_default().to_owned();
        let order = jq::parse(order.to_string().as_bytes()).map_err(|error| error.to_string())?;
        let prepared = self.filters(api, move |api, deadline| {
            let record = api.record(order, deadline)?;
            let request = api.request.build(&record, &scope(Utc::now(), Val::Null), one(deadline));
            Ok(request.map(|request| Prepared { record, request }).map_err(|error| error.to_string()))
        });
        let prepared = prepared.await??;
        if key.is_empty() || !prepared.request.carries(&key) {
            return Err(format!("its request {}", probe::KEYLESS));
        }
        Ok(prepared)
    }

    /// Sends `prepared` once, if `gate` lets it through.
    pub async fn send(
        &self,
        api: &Arc<PaymentApi>,
        client: &Client,
        prepared: &Prepared,
        gate: Gate<'_>,
    ) -> Sent {
        let incoming = match client.send_payment(&prepared.request, api.timeout, gate).await {
            Ok(incoming) => incoming,
            Err(PaymentError::Unsent(why)) => return Sent::Unsent(why),
            Err(PaymentError::Broken(why)) => return Sent::Unknown(why),
        };
        let (status, excerpt) = (incoming.status, client.excerpt(&incoming));
        let record = prepared.record.clone();
        let judged =
            self.filters(api, move |api, deadline| Ok(api.judge(incoming, record, deadline, excerpt)));
        let sent =
            judged.await.unwrap_or_else(|why| Sent::Unknown(format!("answered with {status}, but {why}")));
        let shown = |why: String| shown(client, &why);
        match sent {
            Sent::Accepted(state) => Sent::Accepted(told_by(client, state)),
            Sent::Refused(why) => Sent::Refused(shown(why)),
            Sent::Unsent(why) => Sent::Unsent(shown(why)),
            Sent::Unknown(why) => Sent::Unknown(shown(why)),
        }
    }

    /// Looks for the payment of `order`; `None` where the manifest does not say how.
    pub async fn look_up(&self, api: &Arc<PaymentApi>, client: &Client, order: &Value) -> Option<Looked> {
        api.lookup.as_ref()?;
        let looked = self.try_look_up(api, client, order).await.unwrap_or_else(Looked::Failed);
        Some(match looked {
            Looked::Found(state) => Looked::Found(told_by(client, state)),
            Looked::Failed(why) => Looked::Failed(shown(client, &why)),
            Looked::Several(_) | Looked::Missing => looked,
        })
    }

    async fn try_look_up(
        &self,
        api: &Arc<PaymentApi>,
        client: &Client,
        order: &Value,
    ) -> Result<Looked, String> {
        let order = jq::parse(order.to_string().as_bytes()).map_err(|error| error.to_string())?;
        let (record, request) = self
            .filters(api, move |api, deadline| {
                let record = api.record(order, deadline)?;
                let scope = scope(Utc::now(), Val::Null);
                let request =
                    api.lookup.as_ref().map(|lookup| lookup.request.build(&record, &scope, one(deadline)));
                Ok((record, request))
            })
            .await?;
        let request = request.ok_or("the manifest has no lookup")?.map_err(|error| error.to_string())?;
        let answer = match client.send(&request, &Rules::default()).await {
            Ok(answer) => answer,
            Err(ClientError::Refused { status, .. })
                if api.lookup.as_ref().is_some_and(|lookup| lookup.missing.contains(&status)) =>
            {
                return Ok(Looked::Missing);
            }
            Err(error) => return Err(error.to_string()),
        };
        self.filters(api, move |api, deadline| api.found(answer.json, record, deadline)).await
    }

    async fn filters<T: Send + 'static>(
        &self,
        api: &Arc<PaymentApi>,
        work: impl FnOnce(&PaymentApi, Instant) -> Result<T, FilterError> + Send + 'static,
    ) -> Result<T, String> {
        let api = Arc::clone(api);
        self.cage.run(move |deadline| work(&api, deadline)).await.map_err(|error| error.to_string())
    }
}

impl PaymentApi {
    /// How long after a request the payment that it made is found at the latest; `None` without a
    /// lookup.
    pub fn settle(&self) -> Option<Duration> {
        self.lookup.as_ref().map(|lookup| lookup.settle)
    }

    /// The pause between two looks at an open payment.
    pub fn look_every(&self) -> Option<Duration> {
        self.lookup.as_ref().map(|lookup| lookup.every)
    }

    pub(super) fn record(&self, order: Val, deadline: Instant) -> Result<Val, FilterError> {
        match &self.prepare {
            Some(filter) => filter.run_one(order, &scope(Utc::now(), Val::Null), one(deadline)),
            None => Ok(order),
        }
    }

    /// What an answer proves.
    fn judge(&self, incoming: Incoming, record: Val, deadline: Instant, excerpt: String) -> Sent {
        let Incoming { status, headers, body, sent_at } = incoming;
        let Some(body) = body else {
            return Sent::Unknown(format!("answered with {status} and no readable body"));
        };
        let json = jq::parse(&body);
        let evidence = Evidence {
            status,
            headers,
            body: json.clone().unwrap_or_else(|_| Val::from(String::from_utf8_lossy(&body).into_owned())),
            now: sent_at,
        };
        match self.rules.decide(&evidence, deadline).map(|decision| decision.action) {
            Some(Action::Fatal) => {
                let told = self.reason.as_ref().and_then(|filter| {
                    let reason =
                        filter.run_one(evidence.body.clone(), &scope(sent_at, record), one(deadline));
                    super::client::text(&reason.ok()?).filter(|text| !text.trim().is_empty())
                });
                return Sent::Refused(
                    told.unwrap_or_else(|| format!("the provider refused it with {status}: {excerpt}")),
                );
            }
            Some(_) => return Sent::Unsent(format!("answered with {status}: {excerpt}")),
            None => {}
        }
        if !status.is_success() && !self.accepted.contains(&status.as_u16()) {
            return Sent::Unknown(format!("answered with {status}: {excerpt}"));
        }
        let told = json.map_err(|error| error.to_string()).and_then(|json| {
            let told = self.answer.run_one(json, &scope(sent_at, record), one(deadline));
            self.state(&told.map_err(|error| error.to_string())?)
        });
        match told {
            Ok(state) => Sent::Accepted(state),
            Err(why) => Sent::Unknown(format!("answered with {status}, but {why}")),
        }
    }

    fn found(&self, json: Val, record: Val, deadline: Instant) -> Result<Looked, FilterError> {
        let Some(lookup) = &self.lookup else { return Ok(Looked::Failed("there is no lookup".to_owned())) };
        let told =
            lookup.payment.run(json, &scope(Utc::now(), record), Limits { outputs: 1000, deadline })?;
        Ok(match told.as_slice() {
            [] => Looked::Missing,
            [one] => self.state(one).map_or_else(Looked::Failed, Looked::Found),
            several => Looked::Several(several.len()),
        })
    }

    fn state(&self, told: &Val) -> Result<PaymentState, String> {
        let told: Told = serde_json::from_slice(&jq::to_json(told)).map_err(|error| error.to_string())?;
        if let Some(id) = &told.id {
            RecordId::parse("id", id).map_err(|error| error.to_string())?;
        }
        let status = told.status.as_deref().map_or(Status::Pending, |status| {
            let known = serde_json::from_value(Value::from(status)).ok();
            self.status_map.get(status).copied().or(known).unwrap_or(Status::Pending)
        });
        let at = told.at.as_deref().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        Ok(PaymentState {
            id: told.id,
            reference: told.reference.filter(|reference| !reference.contains('\0')),
            status,
            reason: told.reason,
            at: at.map(|at| at.with_timezone(&Utc)),
        })
    }
}

/// What a provider says, as it may be kept and shown: it may echo our secrets, and say anything.
fn shown(client: &Client, said: &str) -> String {
    client.redact(said).replace('\0', " ").chars().take(REASON_CHARS).collect()
}

fn told_by(client: &Client, state: PaymentState) -> PaymentState {
    PaymentState { reason: state.reason.map(|reason| shown(client, &reason)), ..state }
}

fn one(deadline: Instant) -> Limits {
    Limits { outputs: 1, deadline }
}

#[cfg(test)]
mod tests;

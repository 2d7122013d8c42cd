//! The handle by which payments are ordered and looked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use jaq_json::Val;
use serde_json::Value;

use tributary_domain::{PaymentKind, PaymentState};

use super::compile::PaymentPlans;
use super::frozen::Frozen;
use super::outcome::{LookupOutcome, NotPrepared, Sent};
use super::places::Given;
use super::plan::PaymentPlan;
use super::steps::{StepOutcome, of_step, with_places};
use crate::cage::Cage;
use crate::client::{Client, Rules};
use crate::jq::{self, FilterError, Limits, Scope};
use crate::manifest::ProviderKeyManifest;
use crate::plan::RequestTemplate;
use crate::wire::{ClientError, Gate, Lane, PaymentError, Request};

/// How much of a reason is kept, in characters.
const REASON_CHARS: usize = 500;

/// A request that can be sent.
#[derive(Debug, Clone)]
pub struct Prepared {
    record: Val,
    request: Request,
}

#[cfg(test)]
impl Prepared {
    /// What goes out.
    pub fn request(self) -> Request {
        self.request
    }
}

/// What is kept of an order's request: see [`PaymentApi::prepare`].
fn read_frozen(kept: &Value) -> Result<Frozen, String> {
    serde_json::from_value(kept.clone()).map_err(|error| format!("what is kept of its request: {error}"))
}

/// How a provider is paid through, by the kind of payment.
#[derive(Debug, Clone)]
pub struct PaymentApis {
    payouts: Option<PaymentApi>,
    transfers: Option<PaymentApi>,
}

impl PaymentApis {
    /// What `plans` say, sent by `client`.
    pub fn new(plans: &PaymentPlans, client: &Arc<Client>) -> Self {
        let api = |plan: &Option<Arc<PaymentPlan>>| {
            let plan = Arc::clone(plan.as_ref()?);
            Some(PaymentApi { plan, client: Arc::clone(client), cage: Arc::clone(&plans.cage) })
        };
        Self { payouts: api(&plans.payouts), transfers: api(&plans.transfers) }
    }

    /// How payments of `kind` are ordered; `None` where the manifest does not say.
    pub fn of(&self, kind: PaymentKind) -> Option<&PaymentApi> {
        match kind {
            PaymentKind::Payout => self.payouts.as_ref(),
            PaymentKind::Transfer => self.transfers.as_ref(),
        }
    }
}

/// How one kind of payment is ordered at a provider.
#[derive(Clone)]
pub struct PaymentApi {
    plan: Arc<PaymentPlan>,
    client: Arc<Client>,
    cage: Arc<Cage>,
}

impl std::fmt::Debug for PaymentApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PaymentApi").field(&self.plan).finish()
    }
}

impl PaymentApi {
    /// How the provider key is written, and for how long the provider knows it.
    pub fn provider_key(&self) -> &ProviderKeyManifest {
        &self.plan.key
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.plan.timeout
    }

    /// How long after a request the payment that it made is found at the latest; `None` without a
    /// lookup.
    pub fn settle(&self) -> Option<Duration> {
        self.plan.lookup.as_ref().map(|lookup| lookup.settle)
    }

    /// The pause between two lookups of an open payment.
    pub fn lookup_every(&self) -> Option<Duration> {
        self.plan.lookup.as_ref().map(|lookup| lookup.every)
    }

    /// Makes the requests for `order`, a JSON object, and gives them as they are to be kept with the order:
    /// a JSON object with `method`, `url`, `headers` and `body`, those of the `steps` before, the `order` they
    /// were made of, and no credentials. One that does not carry the order's key is none.
    pub async fn prepare(&self, order: &Value) -> Result<Value, NotPrepared> {
        let refused = NotPrepared::Refused;
        let asked = with_places(order, &self.plan.steps);
        let made = self.cage.run(move_plan(&self.plan, move |plan, deadline| {
            let made = requests(plan, &asked, deadline);
            // a filter that had no time left said nothing about the order
            let late = Instant::now() > deadline;
            Ok(made.map_err(if late { NotPrepared::Busy } else { NotPrepared::Refused }))
        }));
        let (steps, payment) = made.await.map_err(|error| NotPrepared::Busy(error.to_string()))??;
        let steps = self.plan.steps.iter().zip(&steps);
        let steps: Vec<_> = steps
            .map(|(step, (record, request))| (step.name.as_str(), step.again, (record, request)))
            .collect();
        let frozen = Frozen::new(order.clone(), &steps, (&payment.0, &payment.1), &self.client)
            .map_err(|why| refused(format!("its request cannot be kept: {why}")))?;
        let keyed = frozen.require_keys(order["key"].as_str().unwrap_or_default(), self.plan.key.format);
        keyed.map_err(|keyless| refused(keyless.to_string()))?;
        serde_json::to_value(frozen).map_err(|error| refused(error.to_string()))
    }

    /// The request that moves the money and was `kept` with an order of the key `key`, with what its steps gave,
    /// if it may still be sent; the error says why not.
    pub fn thaw(&self, kept: &Value, key: &str, given: &Given) -> Result<Prepared, String> {
        let frozen = read_frozen(kept)?;
        frozen.require_keys(key, self.plan.key.format).map_err(|keyless| keyless.to_string())?;
        let (record, request) = frozen.payment(&self.client, given)?;
        Ok(Prepared { record, request })
    }

    /// The name of the first step of an order that gave nothing yet.
    pub fn next_step(kept: &Value, given: &Given) -> Result<Option<String>, String> {
        let steps = read_frozen(kept)?.steps.into_iter().map(|step| step.name);
        Ok(steps.into_iter().find(|name| !given.contains_key(name)))
    }

    /// Asks for what the step `name` of an order gives, once, if `gate`, which is asked right before the first
    /// byte, lets it through. No money moves by it.
    pub async fn ask_step(
        &self,
        kept: &Value,
        key: &str,
        name: &str,
        given: &Given,
        gate: Gate<'_>,
    ) -> StepOutcome {
        let later = StepOutcome::Later;
        let thawed = read_frozen(kept).and_then(|frozen| {
            frozen.require_keys(key, self.plan.key.format).map_err(|keyless| keyless.to_string())?;
            frozen.step(name, &self.client, given)
        });
        let (record, request) = match thawed {
            Ok(thawed) => thawed,
            Err(why) => return later(format!("step {name} cannot be asked for as it was recorded: {why}")),
        };
        let incoming = match self.client.send_payment(&request, self.plan.timeout, gate).await {
            Ok(incoming) => incoming,
            Err(PaymentError::Unsent(why) | PaymentError::Broken(why)) => return later(self.shown(&why)),
        };
        let (excerpt, name) = (self.client.excerpt(&incoming), name.to_owned());
        let judged = self.filters(move |plan, deadline| {
            let step = plan.steps.iter().find(|step| step.name == name);
            Ok(step.map(|step| step.judge(incoming, record, deadline, &excerpt)))
        });
        match judged.await {
            Ok(Some(StepOutcome::Refused(why))) => StepOutcome::Refused(self.shown(&why)),
            Ok(Some(StepOutcome::Later(why))) => later(self.shown(&why)),
            Ok(Some(given)) => given,
            Ok(None) => later("the provider's file has no such step any more".to_owned()),
            Err(why) => later(self.shown(&why)),
        }
    }

    /// Sends a payment's request once, if `gate`, which is asked right before the first byte,
    /// lets it through.
    pub async fn send(&self, prepared: &Prepared, gate: Gate<'_>) -> Sent {
        let incoming = match self.client.send_payment(&prepared.request, self.plan.timeout, gate).await {
            Ok(incoming) => incoming,
            Err(PaymentError::Unsent(why)) => return Sent::Unsent(why),
            Err(PaymentError::Broken(why)) => return Sent::Unknown(why),
        };
        let (status, excerpt) = (incoming.status, self.client.excerpt(&incoming));
        let record = prepared.record.clone();
        let judged = self.filters(move |plan, deadline| Ok(plan.judge(incoming, record, deadline, excerpt)));
        let sent =
            judged.await.unwrap_or_else(|why| Sent::Unknown(format!("answered with {status}, but {why}")));
        match sent {
            Sent::Accepted(state) => Sent::Accepted(self.presentable(state)),
            Sent::Refused(why) => Sent::Refused(self.shown(&why)),
            Sent::Unsent(why) => Sent::Unsent(self.shown(&why)),
            Sent::Unknown(why) => Sent::Unknown(self.shown(&why)),
        }
    }

    /// Looks for the payment of `order`; `None` where the manifest does not say how.
    pub async fn look_up(&self, order: &Value) -> Option<LookupOutcome> {
        self.plan.lookup.as_ref()?;
        let found = self.try_look_up(order).await.unwrap_or_else(LookupOutcome::Failed);
        Some(match found {
            LookupOutcome::Found(state) => LookupOutcome::Found(self.presentable(state)),
            LookupOutcome::Failed(why) => LookupOutcome::Failed(self.shown(&why)),
            LookupOutcome::Several(_) | LookupOutcome::Missing => found,
        })
    }

    async fn try_look_up(&self, order: &Value) -> Result<LookupOutcome, String> {
        let order = jq::parse(order.to_string().as_bytes()).map_err(|error| error.to_string())?;
        let (record, request) = self
            .filters(move |plan, deadline| {
                let record = plan.record(order, deadline)?;
                let scope = Scope::at(Utc::now(), Val::Null);
                let lookup = plan.lookup.as_ref();
                let request =
                    lookup.map(|lookup| lookup.request.build(&record, &scope, Limits::one(deadline)));
                Ok((record, request))
            })
            .await?;
        let mut request = request.ok_or("the file has no `find`")?.map_err(|error| error.to_string())?;
        request.lane = Lane::of_payments();
        let answer = match self.client.send(&request, &Rules::default()).await {
            Ok(answer) => answer,
            Err(ClientError::Refused { status, .. })
                if self.plan.lookup.as_ref().is_some_and(|lookup| lookup.missing.contains(&status)) =>
            {
                return Ok(LookupOutcome::Missing);
            }
            Err(error) => return Err(error.to_string()),
        };
        self.filters(move |plan, deadline| plan.found(answer.json, record, deadline)).await
    }

    async fn filters<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PaymentPlan, Instant) -> Result<T, FilterError> + Send + 'static,
    ) -> Result<T, String> {
        self.cage.run(move_plan(&self.plan, work)).await.map_err(|error| error.to_string())
    }

    /// What the provider says, as it may be kept and shown: it may echo our secrets, and say
    /// anything.
    fn shown(&self, said: &str) -> String {
        self.client.redact(said).replace('\0', " ").chars().take(REASON_CHARS).collect()
    }

    fn presentable(&self, state: PaymentState) -> PaymentState {
        PaymentState { reason: state.reason.map(|reason| self.shown(&reason)), ..state }
    }
}

/// `work` with the plan, as it goes into the cage.
fn move_plan<T>(
    plan: &Arc<PaymentPlan>,
    work: impl FnOnce(&PaymentPlan, Instant) -> T + Send + 'static,
) -> impl FnOnce(Instant) -> T + Send + 'static {
    let plan = Arc::clone(plan);
    move |deadline| work(&plan, deadline)
}

/// A request and the record that it was made of.
type Made = (Val, Request);
/// Those of the steps of an order, and the one that moves the money.
pub type Requests = (Vec<Made>, Made);

/// The requests of an order; the error says why there are none. `order` has what the steps give, or the places of it.
pub fn requests(plan: &PaymentPlan, order: &Value, deadline: Instant) -> Result<Requests, String> {
    let make = |order: &Value, template: &RequestTemplate| {
        let input = jq::parse(order.to_string().as_bytes()).map_err(|error| error.to_string())?;
        let record = plan.record(input, deadline).map_err(|error| error.to_string())?;
        let scope = Scope::at(Utc::now(), Val::Null);
        let request =
            template.build(&record, &scope, Limits::one(deadline)).map_err(|error| error.to_string())?;
        Ok::<_, String>((record, request))
    };
    let steps = plan.steps.iter().map(|step| make(&of_step(order, plan, step), &step.request));
    Ok((steps.collect::<Result<_, _>>()?, make(order, &plan.request)?))
}

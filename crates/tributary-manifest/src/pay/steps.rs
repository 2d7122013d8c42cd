//! The steps before a payment's own request: what one asks for, and what its answer proves. None moves money.

use std::time::Instant;

use jaq_json::Val;
use serde_json::{Value, json};

use super::places::{checked, place, step_key};
use super::plan::{PaymentPlan, evidence};
use crate::client::Rules;
use crate::jq::{self, Filter, FilterError, Limits, Scope};
use crate::manifest::Action;
use crate::plan::RequestTemplate;
use crate::wire::Incoming;

/// A step.
#[derive(Debug)]
pub struct StepPlan {
    pub name: String,
    pub request: RequestTemplate,
    pub gives: Filter,
    pub again: bool,
    pub rules: Rules,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepOutcome {
    /// What it gave: a text or an integer.
    Given(Value),
    /// The payment is not made, and no money moves: why.
    Refused(String),
    /// It is to be asked again: why.
    Later(String),
}

/// The order as the requests of a payment see it before any step was carried out: with the place of what each gives.
pub fn with_places(order: &Value, steps: &[StepPlan]) -> Value {
    if steps.is_empty() {
        return order.clone();
    }
    let key = order["key"].as_str().unwrap_or_default();
    let places = steps.iter().map(|step| (step.name.clone(), place(key, &step.name).into()));
    let mut order = order.clone();
    order["steps"] = Value::Object(places.collect());
    order
}

/// The same order, as the request of `step` sees it.
pub fn of_step(order: &Value, plan: &PaymentPlan, step: &StepPlan) -> Value {
    let key = order["key"].as_str().unwrap_or_default();
    let mut order = order.clone();
    order["stepKey"] = json!(step_key(key, &step.name, plan.key.format));
    order
}

impl StepPlan {
    /// What an answer proves. `excerpt` is its beginning, as it may be shown.
    pub fn judge(&self, incoming: Incoming, record: Val, deadline: Instant, excerpt: &str) -> StepOutcome {
        let status = incoming.status;
        let later =
            |why: &str| StepOutcome::Later(format!("step {}: answered with {status}{why}", self.name));
        let Some((evidence, json)) = evidence(incoming) else { return later(" and no readable body") };
        match self.rules.decide(&evidence, deadline).map(|decision| decision.action) {
            Some(Action::Fatal) => {
                return StepOutcome::Refused(format!("step {}: refused with {status}: {excerpt}", self.name));
            }
            Some(_) => return later(&format!(": {excerpt}")),
            None => {}
        }
        if !status.is_success() {
            return later(&format!(": {excerpt}"));
        }
        let given = json.and_then(|json| {
            let scope = Scope::at(evidence.now, record);
            let yielded = self.gives.run_one(json, &scope, Limits::one(deadline));
            let yielded = jq::to_json(&yielded.map_err(|error: FilterError| error.to_string())?);
            checked(&serde_json::from_slice(&yielded).map_err(|error| error.to_string())?)
        });
        given.map_or_else(|why| later(&format!(", but {why}")), StepOutcome::Given)
    }
}

//! From what a manifest says of payments to what can be asked.

use std::sync::Arc;
use std::time::Duration;

use tributary_domain::PaymentKind;

use super::plan::{PaymentLookup, PaymentPlan};
use super::probe;
use super::steps::StepPlan;
use crate::cage::Cage;
use crate::client::Rules;
use crate::jq::Filter;
use crate::manifest::{Action, ErrorRule, Manifest, PaymentManifest, StepManifest, When};
use crate::plan::{ManifestError, RequestTemplate, RequestTemplateError};

/// How long the filters of a payment may take.
const FILTER_LIMIT: Duration = Duration::from_secs(2);

/// How the payments of a manifest are ordered, by kind.
#[derive(Debug)]
pub struct PaymentPlans {
    pub payouts: Option<Arc<PaymentPlan>>,
    pub transfers: Option<Arc<PaymentPlan>>,
    /// Of their own, so that no sync's filters are waited for.
    pub cage: Arc<Cage>,
}

impl PaymentPlans {
    /// Compiles the sections of `manifest`. The error names the field.
    pub fn new(manifest: &Manifest) -> Result<Self, ManifestError> {
        let functions = manifest.definitions().map_err(ManifestError::Field)?;
        let plan = |kind: PaymentKind, described: &Option<PaymentManifest>| -> Result<_, ManifestError> {
            let Some(described) = described else { return Ok(None) };
            let plan = Arc::new(compile(kind.section(), &functions, described)?);
            probe::probe(kind, &plan, &functions, described)
                .map_err(|(place, why)| ManifestError::Field(format!("{}.{place}: {why}", kind.section())))?;
            Ok(Some(plan))
        };
        Ok(Self {
            payouts: plan(PaymentKind::Payout, &manifest.payouts)?,
            transfers: plan(PaymentKind::Transfer, &manifest.transfers)?,
            cage: Arc::new(Cage::with_deadline(FILTER_LIMIT)),
        })
    }
}

/// Compiles one section of a manifest. The error names the field.
fn compile(
    section: &'static str,
    functions: &str,
    described: &PaymentManifest,
) -> Result<PaymentPlan, ManifestError> {
    let path = format!("pay.{section}");
    let filter = |field: &'static str, code: &str| Filter::compile(&path, field, functions, code);
    let template = |prefix: &str, described| {
        let path = if prefix.is_empty() { path.clone() } else { format!("{path}.find") };
        RequestTemplate::compile(&path, functions, described).map_err(|error| match error {
            RequestTemplateError::Member(member, why) => wrong(section, &format!("{prefix}{member}"), why),
            RequestTemplateError::Filter(error) => error.into(),
        })
    };
    let lookup = match &described.lookup {
        Some(lookup) => Some(PaymentLookup {
            request: template("lookup.", &lookup.request)?,
            payment: filter("find.rows", &lookup.payment)?,
            missing: lookup.missing.clone(),
            settle: lookup.settle.as_duration(),
            every: lookup.every.as_duration(),
        }),
        None => None,
    };
    let key = described.key.clone();
    if !(16..=200).contains(&key.max_length) {
        return Err(wrong(section, "key.max_length", "take 16 to 200"));
    }
    if !described.accepted.iter().all(|status| (400..500).contains(status) && !matches!(status, 408 | 429)) {
        let why = "2xx is accepted anyway; besides, only a 4xx other than 408 and 429 can report a payment";
        return Err(wrong(section, "accepted", why));
    }
    let timeout = described.timeout.as_duration();
    if timeout.is_zero() || timeout > Duration::from_secs(60) {
        return Err(wrong(section, "timeout", "take 1s to 60s"));
    }
    Ok(PaymentPlan {
        prepare: described.prepare.as_deref().map(|code| filter("refuse", code)).transpose()?,
        steps: described
            .steps
            .iter()
            .map(|step| compile_step(section, functions, step))
            .collect::<Result<_, _>>()?,
        request: template("", &described.request)?,
        answer: filter("made", &described.answer)?,
        status_map: described.status_map.clone().unwrap_or_default(),
        accepted: described.accepted.clone(),
        rules: rules(section, functions, &described.refused, &described.unsent)?,
        reason: described.reason.as_deref().map(|code| filter("says", code)).transpose()?,
        lookup,
        key,
        timeout,
    })
}

fn compile_step(
    section: &'static str,
    functions: &str,
    described: &StepManifest,
) -> Result<StepPlan, ManifestError> {
    let place = format!("steps.{}.", described.name);
    let path = format!("pay.{section}.steps.{}", described.name);
    let request = RequestTemplate::compile(&path, functions, &described.request);
    let request = request.map_err(|error| match error {
        RequestTemplateError::Member(member, why) => wrong(section, &format!("{place}{member}"), why),
        RequestTemplateError::Filter(error) => wrong(section, &format!("{place}request"), error.message),
    })?;
    let gives = Filter::compile(&path, "gives", functions, &described.gives)
        .map_err(|error| wrong(section, &format!("{place}gives"), error.message))?;
    let rules = rules(section, functions, &described.refused, &[]).map_err(|error| match error {
        ManifestError::Field(why) => {
            let why = why.strip_prefix(&format!("{section}.")).unwrap_or(&why);
            ManifestError::Field(format!("{section}.{place}{why}"))
        }
        error => error,
    })?;
    Ok(StepPlan { name: described.name.clone(), request, gives, again: described.again, rules })
}

/// What proves that nothing moved. An error of the server, or of time, proves nothing.
fn rules(section: &str, functions: &str, refused: &[When], unsent: &[When]) -> Result<Rules, ManifestError> {
    let listed = |name: &'static str, rules: &[When], action: Action| {
        let rules = rules.iter().enumerate().map(move |(index, when)| {
            let proves = |status: u16| status < 500 && status != 408 && !(300..400).contains(&status);
            if when.status.is_empty() || !when.status.iter().all(|range| range.0.clone().all(proves)) {
                let why = "name statuses that prove it: none of 3xx, 408 and 5xx";
                return Err(wrong(section, &format!("{name}[{index}].status"), why));
            }
            Ok(ErrorRule { when: when.clone(), action, wait: None, reason: None })
        });
        rules.collect::<Result<Vec<_>, _>>()
    };
    let mut all = listed("refused", refused, Action::Fatal)?;
    all.extend(listed("unsent", unsent, Action::Retry)?);
    Rules::compile_each(functions, &all).map_err(|(index, field, why)| {
        let place = match index.checked_sub(refused.len()) {
            None => format!("refused[{index}]"),
            Some(index) => format!("unsent[{index}]"),
        };
        wrong(section, &format!("{place}.{}", field.trim_start_matches("when.")), why)
    })
}

fn wrong(section: &str, field: &str, why: impl std::fmt::Display) -> ManifestError {
    ManifestError::Field(format!("{section}.{field}: {why}"))
}

//! From what a manifest says of payments to what can be asked.

use std::time::Duration;

use super::{Lookup, PaymentApi};
use crate::client::Rules;
use crate::jq::Filter;
use crate::manifest::{Action, ErrorRule, PaymentManifest, When};
use crate::plan::ManifestError;
use crate::request::{RequestTemplate, RequestTemplateError};

/// Compiles one section of a manifest. The error names the field.
pub(super) fn compile(
    section: &'static str,
    functions: &str,
    described: &PaymentManifest,
) -> Result<PaymentApi, ManifestError> {
    let filter = |field: &'static str, code: &str| Filter::compile(section, field, functions, code);
    let template = |prefix: &str, described| {
        RequestTemplate::compile(section, functions, described).map_err(|error| match error {
            RequestTemplateError::Member(member, why) => wrong(section, &format!("{prefix}{member}"), why),
            RequestTemplateError::Filter(error) => error.into(),
        })
    };
    let lookup = match &described.lookup {
        Some(lookup) => Some(Lookup {
            request: template("lookup.", &lookup.request)?,
            payment: filter("lookup.payment", &lookup.payment)?,
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
        let why = "2xx is accepted anyway; besides, only a 4xx other than 408 and 429 can tell of a payment";
        return Err(wrong(section, "accepted", why));
    }
    let timeout = described.timeout.as_duration();
    if timeout.is_zero() || timeout > Duration::from_secs(60) {
        return Err(wrong(section, "timeout", "take 1s to 60s"));
    }
    Ok(PaymentApi {
        prepare: described.prepare.as_deref().map(|code| filter("prepare", code)).transpose()?,
        request: template("", &described.request)?,
        answer: filter("answer", &described.answer)?,
        status_map: described.status_map.clone().unwrap_or_default(),
        accepted: described.accepted.clone(),
        rules: rules(section, functions, described)?,
        reason: described.reason.as_deref().map(|code| filter("reason", code)).transpose()?,
        lookup,
        key,
        timeout,
    })
}

/// What proves that nothing moved. An error of the server, or of time, proves nothing.
fn rules(section: &str, functions: &str, described: &PaymentManifest) -> Result<Rules, ManifestError> {
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
    let mut all = listed("refused", &described.refused, Action::Fatal)?;
    all.extend(listed("unsent", &described.unsent, Action::Retry)?);
    Rules::compile_each(functions, &all).map_err(|(index, field, why)| {
        let place = match index.checked_sub(described.refused.len()) {
            None => format!("refused[{index}]"),
            Some(index) => format!("unsent[{index}]"),
        };
        wrong(section, &format!("{place}.{}", field.trim_start_matches("when.")), why)
    })
}

fn wrong(section: &str, field: &str, why: impl std::fmt::Display) -> ManifestError {
    ManifestError::Field(format!("{section}.{field}: {why}"))
}

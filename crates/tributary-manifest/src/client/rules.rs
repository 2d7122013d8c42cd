//! What the answers of an API mean beyond what HTTP says: the `errors:` of a manifest, compiled.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use jaq_json::Val;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::jq::{self, Filter, Limits, Scope};
use crate::manifest::{Action, ErrorRule, Wait, WaitUnit, When};
use crate::wire::retry::parse_wait;

/// Rules in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub struct Rules(Arc<[Rule]>);

#[derive(Debug)]
struct Rule {
    status: Vec<RangeInclusive<u16>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Filter>,
    action: Action,
    wait: Option<WaitFrom>,
    reason: Option<String>,
}

#[derive(Debug)]
enum WaitFrom {
    Header(HeaderName, WaitUnit),
    Body(Filter, WaitUnit),
    Period(Duration),
}

/// What a rule decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub action: Action,
    pub wait: Option<Duration>,
    pub reason: Option<String>,
}

/// What rules look at.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body; as a text where it is no JSON.
    pub body: Val,
    pub now: DateTime<Utc>,
}

impl Rules {
    /// Compiles the `errors:` of the source or of a stream. The error is the path of the field, and
    /// why.
    pub fn compile(functions: &str, described: &[ErrorRule]) -> Result<Self, (String, String)> {
        Self::compile_each(functions, described)
            .map_err(|(index, field, why)| (format!("errors[{index}].{field}"), why))
    }

    /// As [`Rules::compile`]; the error gives the place of the rule, its member and what is wrong.
    pub fn compile_each(functions: &str, described: &[ErrorRule]) -> Result<Self, (usize, String, String)> {
        let rule =
            |(index, described)| rule(functions, described).map_err(|(field, why)| (index, field, why));
        Ok(Self(described.iter().enumerate().map(rule).collect::<Result<Vec<_>, _>>()?.into()))
    }

    /// Before all others the one that answers for which `when` holds are too much for their window.
    pub fn halving(functions: &str, when: &str, described: &[ErrorRule]) -> Result<Self, (String, String)> {
        let when = When { body: Some(when.to_owned()), ..When::default() };
        let halve = ErrorRule { when, action: Action::Halve, wait: None, reason: None };
        let all: Vec<ErrorRule> = [halve].into_iter().chain(described.iter().cloned()).collect();
        Self::compile_each(functions, &all).map_err(|(index, field, why)| match index.checked_sub(1) {
            None => ("incremental.halve.where".to_owned(), why),
            Some(index) => (format!("errors[{index}].{field}"), why),
        })
    }

    /// Whether a filter is needed to decide about an answer with this status.
    pub fn need_filters(&self, status: StatusCode) -> bool {
        let mut concerned = self.0.iter().filter(|rule| rule.concerns(status));
        concerned.any(|rule| rule.body.is_some() || matches!(rule.wait, Some(WaitFrom::Body(..))))
    }

    /// What the first rule that holds decides. A filter that fails does not hold.
    pub fn decide(&self, evidence: &Evidence, deadline: Instant) -> Option<Decision> {
        let rule = self.0.iter().find(|rule| rule.holds(evidence, deadline))?;
        let wait = match &rule.wait {
            None => None,
            Some(WaitFrom::Period(period)) => Some(*period),
            Some(WaitFrom::Header(name, unit)) => evidence
                .headers
                .get(name)
                .and_then(|told| parse_wait(&unit.in_seconds(told.to_str().ok()?), evidence.now)),
            Some(WaitFrom::Body(filter, unit)) => run(filter, evidence, deadline)
                .and_then(|told| parse_wait(&unit.in_seconds(&jq::scalar(&told)?), evidence.now)),
        };
        Some(Decision { action: rule.action, wait, reason: rule.reason.clone() })
    }
}

impl Rule {
    fn concerns(&self, status: StatusCode) -> bool {
        self.status.is_empty() || self.status.iter().any(|range| range.contains(&status.as_u16()))
    }

    fn holds(&self, evidence: &Evidence, deadline: Instant) -> bool {
        let headers = &evidence.headers;
        self.concerns(evidence.status)
            && self.headers.iter().all(|(name, value)| headers.get_all(name).iter().any(|got| got == value))
            && self
                .body
                .as_ref()
                .is_none_or(|filter| run(filter, evidence, deadline).as_ref().is_some_and(jq::holds))
    }
}

fn run(filter: &Filter, evidence: &Evidence, deadline: Instant) -> Option<Val> {
    let mut scope = Scope::at(evidence.now, Val::Null);
    scope.answered = jq::Answered::new(evidence.status, &evidence.headers);
    filter.run_one(evidence.body.clone(), &scope, Limits::one(deadline)).ok()
}

type Wrong = (String, String);

fn rule(functions: &str, described: &ErrorRule) -> Result<Rule, Wrong> {
    let when = &described.when;
    if when.status.is_empty() && when.header.is_empty() && when.body.is_none() {
        return Err(("when".to_owned(), "give status, header or body".to_owned()));
    }
    let filter = |field: &'static str, code: &str| {
        Filter::compile("", field, functions, code).map_err(|error| (field.to_owned(), error.message))
    };
    let mut headers = Vec::new();
    for (name, value) in &when.header {
        let wrong = |why: &str| (format!("when.header.{name}"), why.to_owned());
        let named = HeaderName::try_from(name.as_str()).map_err(|_| wrong("is no header name"))?;
        headers.push((named, HeaderValue::try_from(value).map_err(|_| wrong("is no header value"))?));
    }
    let wait = match &described.wait {
        None => None,
        Some(Wait { period: Some(period), header: None, body: None, unit: None }) => {
            Some(WaitFrom::Period(period.as_duration()))
        }
        Some(Wait { body: Some(code), header: None, period: None, unit }) => {
            Some(WaitFrom::Body(filter("wait.body", code)?, unit.unwrap_or_default()))
        }
        Some(Wait { header: Some(name), body: None, period: None, unit }) => {
            let named = HeaderName::try_from(name.as_str());
            let named = named.map_err(|_| ("wait.header".to_owned(), "is no header name".to_owned()))?;
            Some(WaitFrom::Header(named, unit.unwrap_or_default()))
        }
        Some(_) => {
            let why = "give one of `header`, `body` and `period`; `unit` belongs to the first two";
            return Err(("wait".to_owned(), why.to_owned()));
        }
    };
    if wait.is_some() && !matches!(described.action, Action::Retry | Action::RateLimited) {
        return Err(("wait".to_owned(), "is for retry and rate_limited".to_owned()));
    }
    Ok(Rule {
        status: when.status.iter().map(|statuses| statuses.0.clone()).collect(),
        headers,
        body: when.body.as_deref().map(|code| filter("when.body", code)).transpose()?,
        action: described.action,
        wait,
        reason: described.reason.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(yaml: &str) -> Result<Rules, String> {
        let described: Vec<ErrorRule> = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        Rules::compile("def code: .error.code;", &described).map_err(|(field, why)| format!("{field}: {why}"))
    }

    fn decide(
        rules: &Rules,
        status: u16,
        header: Option<(&'static str, &'static str)>,
        body: &str,
    ) -> String {
        let headers = header
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let evidence = Evidence {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: jq::parse(body.as_bytes()).unwrap_or_else(|_| Val::from(body.to_owned())),
            now: DateTime::from_timestamp(1_767_225_600, 0).unwrap(),
        };
        match rules.decide(&evidence, Instant::now() + Duration::from_secs(60)) {
            None => "none".to_owned(),
            Some(Decision { action, wait, reason }) => {
                let wait = wait.map(|wait| format!(" {}", wait.as_secs())).unwrap_or_default();
                format!("{action:?}{wait}{}", reason.map(|reason| format!(" ({reason})")).unwrap_or_default())
            }
        }
    }

    #[test]
    fn the_first_rule_of_which_everything_holds_decides() {
        let rules = rules(
            r#"
- { when: { status: [404], body: 'code == "GONE"' }, do: skip_partition, reason: closed }
- { when: { status: [404, 410-420], header: { X-Kind: soft } }, do: retry, wait: { header: X-Wait } }
- { when: { body: code == 17 }, do: rate_limited, wait: { body: .error.until } }
- { when: { body: 'test("maintenance")' }, do: retry, wait: { period: 2m } }
- { when: { status: [500-599] }, do: fatal }
"#,
        )
        .unwrap();
        let soft = Some(("x-kind", "soft"));
        for (status, header, body, expected) in [
            (404, None, r#"{"error":{"code":"GONE"}}"#, "SkipPartition (closed)"),
            (404, soft, r#"{"error":{"code":"GONE"}}"#, "SkipPartition (closed)"),
            (404, soft, "{}", "Retry"),
            (415, soft, "{}", "Retry"),
            (404, Some(("x-kind", "hard")), "[]", "none"),
            (200, None, r#"{"error":{"code":17,"until":"2026-01-01T00:00:30Z"}}"#, "RateLimited 30"),
            (200, None, r#"{"error":{"code":17,"until":45}}"#, "RateLimited 45"),
            (200, None, r#"{"error":{"code":17}}"#, "RateLimited"),
            (500, None, r#"{"error":{"code":17}}"#, "RateLimited"),
            (500, None, "down for maintenance", "Retry 120"),
            (500, None, "oops", "Fatal"),
            (200, None, r#"{"data":[]}"#, "none"),
        ] {
            assert_eq!(decide(&rules, status, header, body), expected, "{status} {body}");
        }
        assert!(rules.need_filters(StatusCode::OK) && !Rules::default().need_filters(StatusCode::OK));
    }

    #[test]
    fn a_rule_that_cannot_work_is_named() {
        for (yaml, about) in [
            ("- { when: {}, do: fatal }", "errors[0].when: give"),
            ("- { when: { body: 'code ==' }, do: fatal }", "errors[0].when.body: expected"),
            ("- { when: { body: env }, do: fatal }", "undefined"),
            ("- { when: { header: { 'a b': c } }, do: fatal }", "errors[0].when.header.a b"),
            ("- { when: { status: [404] }, do: fatal, wait: { period: 1m } }", "errors[0].wait"),
            ("- { when: { status: [404] }, do: retry, wait: { header: 'a b' } }", "errors[0].wait.header"),
            ("- { when: { status: [4xx] }, do: fatal }", "429 or 500-599"),
            ("- { when: { status: [600] }, do: fatal }", "429 or 500-599"),
            ("- { when: { status: [500-400] }, do: fatal }", "429 or 500-599"),
            ("- { when: { status: [404] }, do: ignore }", "ignore"),
        ] {
            let error = rules(yaml).unwrap_err();
            assert!(error.contains(about), "{about}: {error}");
        }
    }
}

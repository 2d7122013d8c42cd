//! What a file says of the API as a whole, as the engine takes it.

use super::Section;
use crate::language::form::file::{Api, Rate, Rule};
use crate::manifest::{BudgetManifest, ErrorRule, RateLimit, Retry, When};

/// What answers mean.
pub fn rule(section: &mut Section<'_>, field: &str, rule: &Rule) -> ErrorRule {
    if let Some(holds) = &rule.holds {
        section.jq(&format!("{field}.where"), holds, &super::record::seen_of_answer());
    }
    ErrorRule {
        when: When { status: rule.on.all().to_vec(), header: rule.header.clone(), body: rule.holds.clone() },
        action: rule.action,
        wait: rule.wait.clone(),
        reason: rule.says.clone(),
    }
}

/// How much may be asked.
pub fn limits(section: &mut Section<'_>, api: &Api) -> RateLimit {
    let default = RateLimit::default();
    let per_second = match api.limits.pace.map(Rate::per_second) {
        Some(None) => {
            section.wrong(
                "limits.pace",
                "is by the second, such as 5/s; what is by longer times belongs to `budgets`",
            );
            default.per_second
        }
        Some(Some(pace)) => pace,
        None => default.per_second,
    };
    let budgets =
        api.limits.budgets.iter().map(|rate| BudgetManifest { requests: rate.count, per: rate.per });
    RateLimit {
        per_second,
        burst: api.limits.burst.unwrap_or(default.burst),
        concurrency: api.limits.at_once,
        budgets: budgets.collect(),
        scope: api.limits.scope,
        waits: api.limits.waits,
        ignore: api.limits.ignore.clone(),
    }
}

/// How often a request is sent.
pub fn retry(api: &Api) -> Retry {
    api.attempts.map_or_else(Retry::default, |attempts| Retry { attempts })
}

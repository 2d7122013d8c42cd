//! What a file says of the API as a whole, as the engine takes it.

use super::Section;
use crate::language::form::file::{Api, Rate, Reads, Rule, Webhook};
use crate::manifest::{
    BudgetManifest, ErrorRule, HmacManifest, RateLimit, Retry, TriggerManifest, WebhookCheck,
    WebhookManifest, When,
};

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

/// What the provider calls.
pub fn webhook(section: &mut Section<'_>, webhook: &Webhook) -> Option<WebhookManifest> {
    let check = match (&webhook.hmac, &webhook.header, &webhook.basic) {
        (Some(code), None, None) => WebhookCheck::Hmac(HmacManifest {
            algorithm: code.algorithm,
            secret: code.secret.clone(),
            header: code.header.clone(),
            field: code.field.clone(),
            encoding: code.encoding,
            signed: code.signed.clone(),
            timestamp: code.timestamp.clone(),
        }),
        (None, Some(header), None) => {
            WebhookCheck::Header { name: header.name.clone(), value: header.value.clone() }
        }
        (None, None, Some(basic)) => {
            WebhookCheck::Basic { username: basic.user.clone(), password: basic.password.clone() }
        }
        _ => {
            section
                .wrong("webhook", "give one of `hmac`, `header` and `basic`, by which a call proves itself");
            return None;
        }
    };
    let triggers = match &webhook.reads {
        Reads::All(stream) => vec![TriggerManifest { when: None, stream: stream.clone(), partition: None }],
        Reads::Some(reads) => reads
            .iter()
            .enumerate()
            .map(|(n, read)| {
                for (name, code) in [("where", &read.holds), ("partition", &read.partition)] {
                    if let Some(code) = code {
                        section.jq(&format!("webhook.reads[{n}].{name}"), code, &[]);
                    }
                }
                TriggerManifest {
                    when: read.holds.clone(),
                    stream: read.stream.clone(),
                    partition: read.partition.clone(),
                }
            })
            .collect(),
    };
    Some(WebhookManifest { check, triggers })
}

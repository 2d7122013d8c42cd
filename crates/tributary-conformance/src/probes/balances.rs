//! The balances of accounts, asked twice: what changes has to have a later time.

use std::collections::BTreeMap;

use super::errors::has_title_and_detail;
use crate::catalogue::Check;
use crate::finding::Finding;
use crate::options::Options;
use crate::probe::{Probe, Reply};
use crate::text::count;
use crate::walk::Walk;
use tributary_formance::gojson::Raw;
use tributary_formance::{GoTime, balances, storage};

const SUBJECT: &str = "balances";

/// The balances of some accounts at one time.
pub struct Balances {
    accounts: Vec<ProbedAccount>,
    /// How many accounts there would have been.
    of: usize,
}

struct ProbedAccount {
    id: String,
    /// What came; `Err` says why Formance cannot take it.
    read: Result<ReadBalances, String>,
    /// What was asked.
    target: String,
}

struct ReadBalances {
    at: Option<GoTime>,
    /// By how many seconds `at` lies ahead of the server's clock.
    ahead: i64,
    amounts: BTreeMap<String, String>,
}

/// The ids of the accounts that a walk found.
pub fn ids(walk: Option<&Walk>) -> Vec<String> {
    let rows = walk.map(|walk| &walk.rows[..]).unwrap_or_default();
    rows.iter().filter_map(|seen| Some(seen.ok()?.reference.clone())).collect()
}

/// Asks for the balances of the accounts that the options name, else of a sample of `ids`, half
/// of it the oldest and half the newest.
pub async fn ask(probe: &mut Probe<'_>, ids: &[String], options: &Options) -> Balances {
    let (ids, most) = match options.accounts.is_empty() {
        true => (ids, options.max_accounts.min(ids.len())),
        false => (&options.accounts[..], options.accounts.len()),
    };
    let (oldest, newest) = (&ids[..most.div_ceil(2)], &ids[ids.len() - most / 2..]);
    let mut accounts = Vec::new();
    for id in oldest.iter().chain(newest) {
        // an id that makes no URL is the matter of account-ids
        let Ok(request) = balances::request(id) else { continue };
        let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", request.path);
        let read = match probe.get(&target).await {
            Err(why) => Err(why),
            Ok(reply) => read(&reply, id),
        };
        accounts.push(ProbedAccount { id: id.clone(), read, target });
    }
    Balances { accounts, of: ids.len() }
}

fn read(reply: &Reply, id: &str) -> Result<ReadBalances, String> {
    let rows = balances::answer(&reply.answer()).map_err(|error| error.to_string())?;
    storage::check_balances(&rows).map_err(|rejection| rejection.to_string())?;
    let mut amounts = BTreeMap::new();
    for row in &rows {
        if row.account_reference != id {
            return Err(format!(
                "accountID is {:?}, not that of the account asked for",
                row.account_reference
            ));
        }
        if amounts.insert(row.asset.clone(), row.amount.to_string()).is_some() {
            return Err(format!("there are two balances of {}", row.asset));
        }
    }
    let at = rows.first().map(|row| row.at).or_else(|| at_of_none(&reply.body));
    let clock = reply.date.unwrap_or(reply.arrived) + 1;
    let ahead = at.map_or(0, |at| at.unix_seconds() - clock);
    Ok(ReadBalances { at, ahead, amounts })
}

/// The `at` of a reply without balances, which the connector does not look at.
fn at_of_none(body: &[u8]) -> Option<GoTime> {
    let raw = Raw::parse(body).ok()?;
    let (_, at) = raw.members()?.find(|(key, _)| key.eq_ignore_ascii_case("at"))?;
    GoTime::from_json(at.literal()).ok()?
}

/// Whether each account answers with what Formance takes.
pub fn answered(balances: &Balances) -> Finding {
    let check = Check::BalancesAnswer;
    let bad: Vec<_> = balances.accounts.iter().filter(|account| account.read.is_err()).collect();
    let total = count(balances.accounts.len(), "account");
    match bad.first() {
        None if balances.accounts.is_empty() => Finding::skipped(check, SUBJECT, "there are no accounts"),
        None => Finding::ok(check, SUBJECT, format!("{total} of {} asked", balances.of)),
        Some(first) => {
            let why = first.read.as_ref().err().map(String::as_str).unwrap_or_default();
            let seen = format!("{} of {total} fail; the first is {:?}: {why}", bad.len(), first.id);
            Finding::fail(check, SUBJECT, seen).with_example(format!("GET {}", first.target))
        }
    }
}

/// Whether `at` is there, not in the future, and grows with every change between two rounds.
pub fn at(first: &Balances, second: &Balances, options: &Options) -> Finding {
    let check = Check::BalancesAt;
    let tolerance = i64::try_from(options.clock_tolerance.as_secs()).unwrap_or(i64::MAX);
    let mut changes = 0;
    let mut dateless = None;
    for (before, now) in first.accounts.iter().zip(&second.accounts) {
        let (Ok(old), Ok(new)) = (&before.read, &now.read) else { continue };
        let changed = old.amounts != new.amounts;
        changes += usize::from(changed);
        let wrong = match (old.at, new.at) {
            (Some(old), Some(new)) if new < old => format!("`at` went back from {old} to {new}"),
            (Some(old), Some(new)) if changed && new == old => format!("amounts changed, `at` stayed {old}"),
            (_, Some(at)) if new.ahead > tolerance => format!("`at` is {at}, ahead of the server's clock"),
            (_, None) => {
                dateless.get_or_insert(now);
                continue;
            }
            _ => continue,
        };
        let seen = format!("account {:?}: {wrong}", now.id);
        return Finding::fail(check, SUBJECT, seen).with_example(format!("GET {}", now.target));
    }
    match dateless {
        Some(account) => {
            let seen = format!("account {:?}, which has no balances, answers without `at`", account.id);
            Finding::warning(check, SUBJECT, seen).with_example(format!("GET {}", account.target))
        }
        None if first.accounts.iter().all(|account| account.read.is_err()) => {
            Finding::skipped(check, SUBJECT, "no account answered")
        }
        None => Finding::ok(check, SUBJECT, format!("{} changed meanwhile", count(changes, "account"))),
    }
}

/// Whether each id asks for its own account when it stands in a path as it is.
pub fn account_ids(ids: &[String]) -> Finding {
    let check = Check::AccountIds;
    let breaks =
        |id: &&String| id.contains(['/', '?', '#', '%']) || balances::request(id).is_err() || is_dots(id);
    let bad: Vec<_> = ids.iter().filter(breaks).collect();
    match bad.first() {
        None if ids.is_empty() => Finding::skipped(check, SUBJECT, "there are no accounts"),
        None => Finding::ok(check, SUBJECT, count(ids.len(), "account")),
        Some(first) => {
            let total = count(ids.len(), "account");
            let seen = format!("{} of {total} cannot be asked for; the first is {first:?}", bad.len());
            Finding::fail(check, SUBJECT, seen).with_example(format!("GET /accounts/{first}/balances"))
        }
    }
}

/// A path segment of dots is resolved on the way.
fn is_dots(id: &str) -> bool {
    matches!(id, "." | "..")
}

/// What an account answers that does not exist; the answer is added to `errors`.
pub async fn unknown(probe: &mut Probe<'_>, errors: &mut Vec<(String, Reply)>) -> Finding {
    let check = Check::UnknownAccount;
    let target = "/accounts/tributary-conformance-no-such-account/balances";
    let asked = format!("GET {target}");
    let reply = match probe.ask_oddly(reqwest::Method::GET, target, super::errors::VALID).await {
        Err(why) => return Finding::warning(check, SUBJECT, why).with_example(asked),
        Ok(reply) => reply,
    };
    let finding = match reply.status {
        status @ (404 | 503) if has_title_and_detail(&reply) => {
            Finding::ok(check, SUBJECT, format!("{status} with title and detail"))
        }
        status @ (404 | 503) => {
            Finding::warning(check, SUBJECT, format!("{status} without title and detail"))
                .with_example(&asked)
        }
        status => Finding::warning(check, SUBJECT, format!("status {status}")).with_example(&asked),
    };
    errors.push((asked, reply));
    finding
}

#[cfg(test)]
#[path = "balances_tests.rs"]
mod tests;

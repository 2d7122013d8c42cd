//! The order of a check: poll, read everything, ask oddly, watch, read everything again, poll.
//!
//! The loops poll before the first walk and after the last one. So whatever the walks find, the
//! loops have had their chance to get; what they did not get is lost.

use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use reqwest::Method;
use thiserror::Error;

use super::checks;
use super::evidence::List;
use super::finding::{Finding, Verdict};
use super::options::Options;
use super::polls::Pollers;
use super::probe::{Key, Probe, Reply};
use super::probes::{answers, balances, errors, from, page_size};
use super::progress::Progress;
use super::reading::{PAGE_SIZE, target};
use super::report::{Report, Rows};
use super::rewalk::rewalk;
use super::text::{count, grouped};
use super::walk::{Walk, walk};
use crate::catalogue::Check;
use tributary_formance::Kind;

/// Why a server could not be checked at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CouldNotRun {
    /// What was given is no address.
    #[error(
        "the URL is no address of an API: write http://host or https://host, with the path prefix if there is \
         one, and without user, password or query"
    )]
    Url,
    /// The key cannot stand in a header.
    #[error("the API key has characters that no HTTP header can carry")]
    Key,
    /// Nobody answers.
    #[error("{url} does not answer: {why}")]
    Unreachable { url: String, why: String },
    /// The key is not taken.
    #[error("{url} refuses the API key (status {status}): give the key that Formance would use")]
    KeyRefused {
        url: String,
        /// 401 or 403.
        status: u16,
    },
    /// There are no lists at this address.
    #[error("{url} answers 404 to /accounts, /beneficiaries and /transactions: is a path prefix missing?")]
    NoApi { url: String },
}

/// Checks the server at `url` with an API key. It reads only; how much, `options` bound.
pub async fn run(
    url: &str,
    key: &str,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Report, CouldNotRun> {
    let endpoint = endpoint(url)?;
    let (started_at, begun) = (Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true), Instant::now());
    let probe = Probe::new(&endpoint, key, options, progress).map_err(|_| CouldNotRun::Key)?;
    let mut run = Run { probe, options, progress, findings: Vec::new(), errors: Vec::new() };
    let kinds = run.reachable_lists(&endpoint).await?;
    let lists = run.all(kinds).await;
    let mut rows = Rows::default();
    for list in &lists {
        run.findings.extend(checks::judge(list, options));
        match list.kind {
            Kind::Accounts => rows.accounts = list.walk.rows.len(),
            Kind::Beneficiaries => rows.beneficiaries = list.walk.rows.len(),
            Kind::Transactions => rows.transactions = list.walk.rows.len(),
        }
    }
    let report = Report {
        url: endpoint,
        started_at,
        seconds: begun.elapsed().as_secs(),
        requests: run.probe.requests(),
        verdict: Verdict::Ok,
        rows,
        notes: notes(&lists, options),
        findings: run.findings,
    };
    Ok(report.conclude())
}

/// The address without a slash at its end; a key within it would end up in reports.
pub(crate) fn endpoint(url: &str) -> Result<String, CouldNotRun> {
    let parsed = url::Url::parse(url).map_err(|_| CouldNotRun::Url)?;
    let fits = matches!(parsed.scheme(), "http" | "https")
        && parsed.has_host()
        && parsed.query().is_none()
        && parsed.fragment().is_none()
        && parsed.username().is_empty()
        && parsed.password().is_none();
    if fits { Ok(parsed.as_str().trim_end_matches('/').to_owned()) } else { Err(CouldNotRun::Url) }
}

fn notes(lists: &[List], options: &Options) -> Vec<String> {
    let truncated = |list: &List| {
        format!(
            "only the first {} of {} were read (--max-rows); what lies behind was not checked",
            count(options.max_rows.max(list.walk.rows.len()), "row"),
            list.kind
        )
    };
    let moved = |list: &List| {
        format!(
            "{} moved while they were read (pages-stable); what other checks say of them may follow from that",
            list.kind
        )
    };
    let truncations = lists.iter().filter(|list| list.is_truncated()).map(truncated);
    let moves =
        lists.iter().filter(|list| list.rewalk.changed.iter().any(|page| page.rows_differ)).map(moved);
    truncations.chain(moves).collect()
}

struct Run<'a> {
    probe: Probe<'a>,
    options: &'a Options,
    progress: &'a dyn Progress,
    findings: Vec<Finding>,
    /// Answers to what made no sense.
    errors: Vec<(String, Reply)>,
}

impl Run<'_> {
    /// Whether there is somebody who takes the key.
    async fn first_contact(&mut self, endpoint: &str) -> Result<(), CouldNotRun> {
        let target = target(Kind::Accounts, 1, PAGE_SIZE, None);
        let url = endpoint.to_owned();
        match self.probe.ask_oddly(Method::GET, &target, Key::Valid).await {
            Err(why) => Err(CouldNotRun::Unreachable { url, why }),
            Ok(Reply { status: status @ (401 | 403), .. }) => Err(CouldNotRun::KeyRefused { url, status }),
            Ok(_) => Ok(()),
        }
    }

    /// The lists that answer; findings say what the others do.
    async fn reachable_lists(&mut self, endpoint: &str) -> Result<Vec<Kind>, CouldNotRun> {
        self.progress.phase("asking each list for its first page");
        self.first_contact(endpoint).await?;
        let (mut kinds, mut missing) = (Vec::new(), 0);
        for kind in Kind::ALL {
            let target = target(kind, 1, PAGE_SIZE, None);
            let why = match self.probe.get(&target).await {
                Ok(reply) if reply.is_success() => {
                    kinds.push(kind);
                    continue;
                }
                Ok(reply) => {
                    missing += usize::from(reply.status == 404);
                    format!("GET {target}: status {}", reply.status)
                }
                Err(why) => format!("GET {target}: {why}"),
            };
            self.findings.push(Finding::fail(Check::ListsAnswer, kind.as_str(), why));
        }
        match missing == Kind::ALL.len() {
            true => Err(CouldNotRun::NoApi { url: endpoint.to_owned() }),
            false => Ok(kinds),
        }
    }

    /// Gathers everything about the lists, and judges what is not about one list alone.
    async fn all(&mut self, kinds: Vec<Kind>) -> Vec<List> {
        let mut pollers: Vec<_> = kinds.iter().map(|kind| (*kind, Pollers::new(*kind))).collect();
        self.progress.phase("polling as Formance does");
        self.poll(&mut pollers).await;
        let mut walks = Vec::new();
        for kind in kinds {
            self.progress.phase(&format!("reading {kind} from the beginning"));
            walks.push((kind, walk(&mut self.probe, kind, self.options).await));
        }
        self.ask_about_lists(&walks).await;
        let accounts = walks.iter().find(|(kind, _)| *kind == Kind::Accounts).map(|(_, walk)| walk);
        let ids = balances::ids(accounts);
        let first_balances = self.ask_for_balances(&ids).await;
        self.ask_wrongly().await;
        self.watch(&mut pollers).await;
        let mut lists = Vec::new();
        for (kind, walk) in walks {
            self.progress.phase(&format!("reading {kind} again"));
            let rewalk = rewalk(&mut self.probe, kind, self.options, &walk).await;
            lists.push(List { kind, walk, rewalk, polled: Vec::new() });
        }
        self.progress.phase("polling once more");
        self.poll(&mut pollers).await;
        for (list, (_, pollers)) in lists.iter_mut().zip(pollers) {
            list.polled = pollers.into_polled();
        }
        let second_balances = balances::ask(&mut self.probe, &ids, self.options).await;
        self.findings.push(balances::at(&first_balances, &second_balances, self.options));
        self.findings.push(answers::statuses(&self.probe));
        self.findings.push(answers::response_time(&self.probe, self.options));
        lists
    }

    async fn poll(&mut self, pollers: &mut [(Kind, Pollers)]) {
        for (_, pollers) in pollers {
            pollers.poll(&mut self.probe, self.options).await;
        }
    }

    async fn ask_about_lists(&mut self, walks: &[(Kind, Walk)]) {
        for (kind, walk) in walks {
            self.progress.phase(&format!("asking {kind} for other pages and times"));
            self.findings.push(page_size::page_size(&mut self.probe, *kind, walk).await);
            let findings = from::from(&mut self.probe, *kind, walk, &mut self.errors).await;
            self.findings.extend(findings);
        }
    }

    async fn ask_for_balances(&mut self, ids: &[String]) -> balances::Balances {
        self.progress.phase("asking for balances");
        let found = balances::ask(&mut self.probe, ids, self.options).await;
        self.findings.push(balances::answered(&found));
        self.findings.push(balances::account_ids(ids));
        self.findings.push(balances::unknown(&mut self.probe, &mut self.errors).await);
        found
    }

    async fn ask_wrongly(&mut self) {
        self.progress.phase("asking what makes no sense");
        self.findings.push(errors::key_checked(&mut self.probe, &mut self.errors).await);
        errors::ask_for_nothing(&mut self.probe, &mut self.errors).await;
        self.findings.push(errors::bodies(&self.errors));
    }

    /// Polls at intervals until the time to watch is over.
    async fn watch(&mut self, pollers: &mut [(Kind, Pollers)]) {
        let end = Instant::now() + self.options.watch;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(self.options.poll_every)).await;
            let left = end.saturating_duration_since(Instant::now());
            self.progress.phase(&format!("watching: {} s left", grouped(left.as_secs() as usize)));
            self.poll(pollers).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_without_a_key_or_query() {
        let ok = |url: &str| endpoint(url).unwrap();
        assert_eq!(ok("https://adapter.example.com/psp/"), "https://adapter.example.com/psp");
        assert_eq!(ok("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
        for url in
            ["adapter.example.com", "ftp://x", "http://user:key@x", "http://x/?key=1", "http://x#a", ""]
        {
            assert_eq!(endpoint(url), Err(CouldNotRun::Url), "{url}");
        }
    }
}

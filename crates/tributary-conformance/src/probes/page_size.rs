//! Other page sizes than Formance's.

use std::collections::HashSet;

use reqwest::Method;

use crate::catalogue::Check;
use crate::finding::Finding;
use crate::probe::{Key, Probe, Reply};
use crate::reading::{self, PAGE_SIZE, ServedRow};
use crate::text::{count, grouped};
use crate::walk::Walk;
use tributary_formance::Kind;

/// A size that few servers allow; refusing it is as good as honouring it.
const LARGE: usize = 10_000;

/// Asks for pages of 1, 100 and very many rows.
pub async fn page_size(probe: &mut Probe<'_>, kind: Kind, walk: &Walk) -> Finding {
    let (check, subject) = (Check::PageSize, kind.as_str());
    // ids, not rows: what moved during the walk was counted in both places
    let ids: HashSet<_> = walk.rows.iter().filter_map(|seen| Some(&seen.ok()?.reference)).collect();
    if ids.is_empty() {
        return Finding::skipped(check, subject, "there are no rows");
    }
    for size in [1, PAGE_SIZE] {
        if let Some(finding) = small(probe, kind, size, ids.len()).await {
            return finding;
        }
    }
    if let Some(finding) = second_of_one(probe, kind).await {
        return finding;
    }
    large(probe, kind, ids.len()).await
}

async fn small(probe: &mut Probe<'_>, kind: Kind, size: usize, at_least: usize) -> Option<Finding> {
    let (check, subject) = (Check::PageSize, kind.as_str());
    let target = reading::target(kind, 1, size, None);
    let seen = match read(kind, probe.get(&target).await) {
        Err(why) => Finding::fail(check, subject, format!("pageSize={size}: {why}")),
        Ok(rows) if rows.len() < size.min(at_least) => {
            Finding::fail(check, subject, format!("pageSize={size} answered {}", count(rows.len(), "row")))
        }
        // Formance drops what is too much, and asks for it again
        Ok(rows) if rows.len() > size => {
            Finding::warning(check, subject, format!("pageSize={size} answered {}", count(rows.len(), "row")))
        }
        Ok(_) => return None,
    };
    Some(seen.with_example(format!("GET {target}")))
}

/// The second page of one row each is the second row: asked for in one breath, so that a list
/// that changes is not blamed for it.
async fn second_of_one(probe: &mut Probe<'_>, kind: Kind) -> Option<Finding> {
    let two = read(kind, probe.get(&reading::target(kind, 1, 2, None)).await).ok()?;
    let second = two.get(1)?;
    let target = reading::target(kind, 2, 1, None);
    let rows = read(kind, probe.get(&target).await);
    if rows.is_ok_and(|rows| rows.first().is_some_and(|row| row.says_the_same(second))) {
        return None;
    }
    let seen = format!("page 2 with pageSize=1 is not the list's second row, {}", second.name());
    Some(Finding::fail(Check::PageSize, kind.as_str(), seen).with_example(format!("GET {target}")))
}

async fn large(probe: &mut Probe<'_>, kind: Kind, at_least: usize) -> Finding {
    let (check, subject) = (Check::PageSize, kind.as_str());
    let target = reading::target(kind, 1, LARGE, None);
    let asked = format!("pageSize={}", grouped(LARGE));
    let reply = match probe.ask_oddly(Method::GET, &target, Key::Valid).await {
        Err(why) => return Finding::warning(check, subject, format!("{asked}: {why}")),
        Ok(reply) => reply,
    };
    match reply.status {
        400..=499 => {
            return Finding::ok(check, subject, format!("1 and {PAGE_SIZE} honoured, {asked} refused"));
        }
        500.. => {
            let seen = format!("{asked} answered {}, which Formance retries without end", reply.status);
            return Finding::warning(check, subject, seen).with_example(format!("GET {target}"));
        }
        _ => {}
    }
    match read(kind, Ok(reply)) {
        Err(why) => Finding::warning(check, subject, format!("{asked}: {why}")),
        Ok(rows) if rows.len() < at_least.min(LARGE) => {
            let seen = format!(
                "{asked} answered {} of at least {}: sizes above are cut silently",
                count(rows.len(), "row"),
                grouped(at_least)
            );
            Finding::warning(check, subject, seen).with_example(format!("GET {target}"))
        }
        Ok(rows) => Finding::ok(
            check,
            subject,
            format!("1, {PAGE_SIZE} and {asked} ({}) honoured", count(rows.len(), "row")),
        ),
    }
}

/// The rows of an answer, or why there are none.
pub fn read(kind: Kind, reply: Result<Reply, String>) -> Result<Vec<ServedRow>, String> {
    let reply = reply?;
    if !reply.is_success() {
        return Err(format!("status {}", reply.status));
    }
    reading::rows(kind, &reply.body)
}

//! What the `…From` parameter does.

use reqwest::Method;

use super::page_size::read;
use crate::catalogue::Check;
use crate::finding::Finding;
use crate::probe::{Key, Probe, Reply};
use crate::reading::{PAGE_SIZE, ServedRow, target, version_key, whole_second};
use crate::text::count;
use crate::walk::Walk;
use tributary_formance::{GoTime, Kind, Row};

/// All checks of the parameter. The answers to what makes no sense are added to `errors`.
pub async fn from(
    probe: &mut Probe<'_>,
    kind: Kind,
    walk: &Walk,
    errors: &mut Vec<(String, Reply)>,
) -> Vec<Finding> {
    let mut findings = vec![garbage(probe, kind, errors).await];
    let samples = match samples(walk) {
        Ok(samples) => samples,
        Err(why) => {
            let checks = [Check::FromInclusive, Check::FromFilters, Check::FromInstants];
            findings.extend(checks.map(|check| Finding::skipped(check, kind.as_str(), why)));
            return findings;
        }
    };
    let mut asked = Vec::new();
    for sample in samples {
        asked.push(ask(probe, kind, sample).await);
    }
    findings.push(inclusive(kind, &asked));
    findings.push(filters(kind, &asked));
    findings.push(instants(probe, kind, walk, &asked).await);
    findings
}

/// An entry, and what came when the list was asked from its time.
struct Asked<'w> {
    seen: &'w ServedRow,
    row: &'w Row,
    /// From its whole second, as Formance asks.
    second: Result<Vec<ServedRow>, String>,
    /// From its very time.
    exact: Result<Vec<ServedRow>, String>,
}

/// Some entries spread over the walk that are within the first page of their second.
fn samples(walk: &Walk) -> Result<Vec<(&ServedRow, &Row)>, &'static str> {
    let rows: Vec<_> = walk.rows.iter().filter_map(|seen| Some((seen, seen.ok()?))).collect();
    if rows.is_empty() {
        return Err("there are no rows");
    }
    if !rows.is_sorted_by_key(|(_, row)| row.watermark) {
        return Err("the list is not in order (timestamps-ascend)");
    }
    let second = |i: usize| rows[i].1.watermark.unix_seconds();
    let on_first_page =
        |i: &usize| i.checked_sub(PAGE_SIZE - 1).is_none_or(|before| second(before) < second(*i));
    let has_fraction = |i: &usize| rows[*i].1.watermark.unix_nanos() % 1_000_000_000 != 0;
    let middle = rows.len() / 2;
    let mut chosen = vec![rows.len() / 3, middle, rows.len() - 1];
    chosen.extend((middle..rows.len()).find(has_fraction));
    chosen.sort_unstable();
    chosen.dedup();
    chosen.retain(on_first_page);
    match chosen.is_empty() {
        true => Err("every second holds more than a page"),
        false => Ok(chosen.into_iter().map(|i| rows[i]).collect()),
    }
}

async fn ask<'w>(probe: &mut Probe<'_>, kind: Kind, (seen, row): (&'w ServedRow, &'w Row)) -> Asked<'w> {
    let second = ask_from(probe, kind, &whole_second(row.watermark)).await;
    let exact = ask_from(probe, kind, &row.watermark.to_string()).await;
    Asked { seen, row, second, exact }
}

async fn ask_from(probe: &mut Probe<'_>, kind: Kind, from: &str) -> Result<Vec<ServedRow>, String> {
    let target = target(kind, 1, PAGE_SIZE, Some(from));
    read(kind, probe.get(&target).await).map_err(|why| format!("GET {target}: {why}"))
}

fn inclusive(kind: Kind, asked: &[Asked<'_>]) -> Finding {
    let (check, subject) = (Check::FromInclusive, kind.as_str());
    let lacks = |rows: &[ServedRow], row: &Row| {
        !rows.iter().filter_map(ServedRow::ok).any(|found| version_key(found) == version_key(row))
    };
    let mut exclusive = None;
    for asked in asked {
        let from = whole_second(asked.row.watermark);
        let has_fraction = asked.row.watermark.unix_nanos() % 1_000_000_000 != 0;
        let fault = match (&asked.second, &asked.exact) {
            (Err(why), _) => Some(why.clone()),
            (Ok(rows), _) if has_fraction && lacks(rows, asked.row) => {
                Some(format!("asked from {from}, its own second, {} is left out", asked.seen.name()))
            }
            // what was passed already is all that an exclusive comparison leaves out, as long as
            // timestamps are unique
            (_, Ok(rows)) if lacks(rows, asked.row) => {
                let seen = format!("asked from its very time, {} is left out", asked.seen.name());
                exclusive.get_or_insert((format!("{seen}: the comparison is exclusive"), asked.seen));
                None
            }
            // Formance asks for whole seconds only
            (_, Err(why)) => {
                exclusive.get_or_insert((format!("a time with a fraction is refused: {why}"), asked.seen));
                None
            }
            _ => None,
        };
        if let Some(fault) = fault {
            return Finding::fail(check, subject, fault).with_example(&asked.seen.literal);
        }
    }
    match exclusive {
        Some((weakness, seen)) => Finding::warning(check, subject, weakness).with_example(&seen.literal),
        None => Finding::ok(check, subject, format!("{} asked for", count(asked.len(), "sample"))),
    }
}

fn filters(kind: Kind, asked: &[Asked<'_>]) -> Finding {
    let (check, subject) = (Check::FromFilters, kind.as_str());
    for asked in asked {
        let from = asked.row.watermark.unix_seconds();
        let older = |seen: &&ServedRow| seen.ok().is_some_and(|row| row.watermark.unix_seconds() < from);
        let rows = asked.second.as_deref().unwrap_or_default();
        if let Some(first) = rows.iter().find(older) {
            let older = rows.iter().filter(older).count();
            let seen = format!(
                "asked from {}, {} on the first page are older",
                whole_second(asked.row.watermark),
                count(older, "row")
            );
            return Finding::fail(check, subject, seen).with_example(&first.literal);
        }
    }
    Finding::ok(check, subject, "nothing older came")
}

async fn instants(probe: &mut Probe<'_>, kind: Kind, walk: &Walk, asked: &[Asked<'_>]) -> Finding {
    let (check, subject) = (Check::FromInstants, kind.as_str());
    let middle = &asked[asked.len() / 2];
    let from = in_offset(middle.row.watermark);
    let wrong = match (&middle.second, ask_from(probe, kind, &from).await) {
        (Ok(utc), Ok(offset)) if begins_with(&offset, utc) => None,
        (_, Ok(_)) => Some(format!("from {from}, other rows come than from the same time in UTC")),
        (_, Err(why)) => Some(why),
    };
    if let Some(wrong) = wrong {
        let served_in_utc =
            |seen: &ServedRow| seen.ok().is_none_or(|row| row.watermark.to_string().ends_with('Z'));
        return match walk.rows.iter().all(served_in_utc) {
            true => {
                let seen = format!("{wrong} (harmless as long as every time is served with Z)");
                Finding::warning(check, subject, seen)
            }
            false => Finding::fail(check, subject, wrong),
        };
    }
    let year_1 = ask_from(probe, kind, "0001-01-01T00:00:00Z").await;
    let first_page = &walk.rows[..walk.pages.first().map_or(0, |page| page.len)];
    match year_1 {
        Ok(rows) if begins_with(&rows, first_page) => {
            Finding::ok(check, subject, "+02:00 and year 1 understood")
        }
        Ok(_) => Finding::warning(check, subject, "from year 1, other rows come than from the beginning"),
        Err(why) => Finding::warning(check, subject, why),
    }
}

/// Whether a later answer holds what an earlier one did: a page that was short may have grown.
fn begins_with(later: &[ServedRow], earlier: &[ServedRow]) -> bool {
    later.len() >= earlier.len() && earlier.iter().zip(later).all(|(a, b)| a.says_the_same(b))
}

/// The whole second of a time as a clock two hours east of UTC shows it.
fn in_offset(at: GoTime) -> String {
    let local = GoTime::from_unix(at.unix_seconds() + 7_200, 0).to_utc_seconds();
    format!("{}+02:00", local.trim_end_matches('Z'))
}

async fn garbage(probe: &mut Probe<'_>, kind: Kind, errors: &mut Vec<(String, Reply)>) -> Finding {
    let (check, subject) = (Check::GarbageRefused, kind.as_str());
    let size = target(kind, 1, PAGE_SIZE, None).replace("pageSize=100", "pageSize=many");
    let mut finding = Finding::ok(check, subject, "a From and a pageSize that make no sense are refused");
    for target in [target(kind, 1, PAGE_SIZE, Some("yesterday")), size] {
        let asked = format!("GET {target}");
        let wrong = match probe.ask_oddly(Method::GET, &target, Key::Valid).await {
            Err(why) => Some(why),
            Ok(reply) => {
                let wrong = match reply.status {
                    400..=499 => None,
                    status if reply.is_success() => Some(format!("it is ignored (status {status})")),
                    status => Some(format!("status {status}")),
                };
                errors.push((asked.clone(), reply));
                wrong
            }
        };
        if let Some(wrong) = wrong {
            finding = Finding::warning(check, subject, wrong).with_example(asked);
        }
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_another_offset_is_the_same_instant() {
        let at = GoTime::parse(b"2026-12-31T23:30:00.25Z").unwrap();
        assert_eq!(in_offset(at), "2027-01-01T01:30:00+02:00");
        assert_eq!(GoTime::parse(in_offset(at).as_bytes()).unwrap().unix_seconds(), at.unix_seconds());
    }

    #[test]
    fn samples_are_on_the_first_page_of_their_second() {
        let row = |i: usize, second: usize| {
            format!(r#"{{"id":"{i}","createdAt":"2026-03-01T12:00:{second:02}.{i:06}Z"}}"#)
        };
        let walk = |rows: Vec<String>| {
            let body = format!("[{}]", rows.join(","));
            let rows = crate::reading::rows(Kind::Accounts, body.as_bytes()).unwrap();
            Walk { rows, ..Walk::default() }
        };
        let spread = walk((0..30).map(|i| row(i, i)).collect());
        assert_eq!(samples(&spread).unwrap().len(), 3);
        let crowded = walk((0..3_000).map(|i| row(i, 5)).collect());
        assert!(samples(&crowded).is_err());
        let unordered = walk(vec![row(0, 5), row(1, 4)]);
        assert!(samples(&unordered).is_err());
        assert!(samples(&Walk::default()).is_err());
    }
}

//! A list read once more at the end of the run, against what it held before.

use std::collections::HashSet;

use super::options::Options;
use super::probe::Probe;
use super::reading::{ServedRow, version_key};
use super::walk::{Walk, walk};
use tributary_formance::Kind;

/// What a second walk showed.
#[derive(Debug, Default)]
pub struct Rewalk {
    /// The rows that the first walk had not seen.
    pub new: Vec<ServedRow>,
    /// How many pages were full in the first walk and read again.
    pub compared: usize,
    /// Those of them that were not the same.
    pub changed: Vec<Changed>,
}

/// A full page that was not the same again.
#[derive(Debug, Clone)]
pub struct Changed {
    /// What is different.
    pub what: String,
    /// The row that shows it.
    pub example: Option<String>,
    /// Whether its rows say something else, or only their bytes differ.
    pub rows_differ: bool,
}

/// Walks the list of `kind` again and compares.
pub async fn rewalk(probe: &mut Probe<'_>, kind: Kind, options: &Options, first: &Walk) -> Rewalk {
    let second = walk(probe, kind, options).await;
    compare(first, second)
}

fn compare(first: &Walk, second: Walk) -> Rewalk {
    let mut rewalk = Rewalk::default();
    let full = |page: &&super::walk::WalkedPage| page.len >= super::reading::PAGE_SIZE;
    for before in first.pages.iter().filter(full) {
        let now = second.pages.iter().find(|page| page.number == before.number);
        if now.is_none() && (second.broken.is_some() || second.truncated) {
            // a second walk that ended early says nothing of the pages behind
            continue;
        }
        rewalk.compared += 1;
        if now.is_none_or(|now| now.digest != before.digest) {
            let rows_now = now.map_or(&[][..], |now| &second.rows[now.start..now.start + now.len]);
            let rows_before = &first.rows[before.start..before.start + before.len];
            rewalk.changed.push(changed(before.number, rows_before, rows_now));
        }
    }
    let known: HashSet<_> = first.rows.iter().filter_map(ServedRow::ok).map(version_key).collect();
    let is_new = |seen: &ServedRow| seen.ok().is_some_and(|row| !known.contains(&version_key(row)));
    rewalk.new = second.rows.into_iter().filter(is_new).collect();
    rewalk
}

fn changed(page: u64, before: &[ServedRow], now: &[ServedRow]) -> Changed {
    let differs = (0..before.len()).find(|&i| now.get(i).is_none_or(|row| !row.says_the_same(&before[i])));
    match differs {
        None if now.len() == before.len() => Changed {
            what: format!("page {page} has the same rows in other bytes"),
            example: None,
            rows_differ: false,
        },
        None => Changed {
            what: format!("page {page} had {} rows, then {}", before.len(), now.len()),
            example: now.last().map(|row| row.literal.clone()),
            rows_differ: true,
        },
        Some(i) => {
            let then = now.get(i).map_or_else(|| "nothing".to_owned(), ServedRow::name);
            Changed {
                what: format!("row {} of page {page} was {}, then {then}", i + 1, before[i].name()),
                example: Some(now.get(i).unwrap_or(&before[i]).literal.clone()),
                rows_differ: true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk::WalkedPage;
    use super::*;
    use crate::reading::rows;

    /// A walk of one page of 100 rows, in which the second is `second`.
    fn page_with(second: &str, digest: u8) -> Walk {
        let row =
            |i: usize| format!(r#"{{"id":"a{i}","createdAt":"2026-03-01T12:{:02}:{:02}Z"}}"#, i / 60, i % 60);
        let mut literals: Vec<_> = (0..100).map(row).collect();
        literals[1] = second.to_owned();
        let rows = rows(Kind::Accounts, format!("[{}]", literals.join(",")).as_bytes()).unwrap();
        let pages = vec![WalkedPage { number: 1, start: 0, len: 100, digest: [digest; 32] }];
        Walk { rows, pages, ..Walk::default() }
    }

    const ROW: &str = r#"{"id":"a1","createdAt":"2026-03-01T12:00:01Z"}"#;

    #[test]
    fn a_page_of_the_same_bytes_is_the_same() {
        let rewalk = compare(&page_with(ROW, 1), page_with(ROW, 1));
        assert!(rewalk.compared == 1 && rewalk.changed.is_empty() && rewalk.new.is_empty());
    }

    #[test]
    fn other_bytes_of_the_same_rows_are_told_from_other_rows() {
        let bytes = r#"{"createdAt":"2026-03-01T12:00:01Z", "id":"a1"}"#;
        let rewalk = compare(&page_with(ROW, 1), page_with(bytes, 2));
        assert!(!rewalk.changed[0].rows_differ && rewalk.new.is_empty());
        let other = r#"{"id":"b","createdAt":"2026-03-01T12:00:01Z"}"#;
        let rewalk = compare(&page_with(ROW, 1), page_with(other, 2));
        assert!(
            rewalk.changed[0].rows_differ && rewalk.changed[0].what.contains("row 2 of page 1 was \"a1\"")
        );
        assert_eq!(rewalk.new.len(), 1);
    }

    #[test]
    fn a_page_that_is_gone_has_changed_unless_the_walk_ended_early() {
        let rewalk = compare(&page_with(ROW, 1), Walk::default());
        assert!(rewalk.changed[0].rows_differ, "{:?}", rewalk.changed);
        let broken = Walk { broken: Some("status 500".into()), ..Walk::default() };
        let rewalk = compare(&page_with(ROW, 1), broken);
        assert!(rewalk.compared == 0 && rewalk.changed.is_empty());
    }
}

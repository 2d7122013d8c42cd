//! Whether each row that is served says something new.

use std::collections::HashMap;

use super::Tally;
use crate::catalogue::Check;
use crate::evidence::List;
use crate::finding::Finding;
use crate::options::Options;
use crate::text::count;
use tributary_formance::Kind;

pub fn distinct(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::VersionsDistinct;
    let mut last: HashMap<&str, (String, i128)> = HashMap::new();
    let mut repeated = Tally::default();
    for seen in &list.walk.rows {
        let Some(row) = seen.ok() else { continue };
        let now = (seen.content(list.kind), row.watermark.unix_nanos());
        let before = last.insert(&row.reference, now.clone());
        match before {
            Some(before) if before == now => {
                repeated.add(seen, || format!("{} is served in two places", seen.name()));
            }
            Some(before) if before.0 == now.0 || list.kind != Kind::Transactions => {
                repeated.add(seen, || format!("{} repeats an earlier row of that id", seen.name()));
            }
            _ => {}
        }
    }
    if last.is_empty() {
        return Some(Finding::skipped(check, list.subject(), "there are no rows"));
    }
    let found = repeated.finding(|rows, first| {
        let seen = format!("{} of {} bring nothing new: {first}", rows, count(list.walk.rows.len(), "row"));
        Finding::warning(check, list.subject(), seen)
    });
    Some(found.unwrap_or_else(|| Finding::ok(check, list.subject(), count(last.len(), "id"))))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{accounts, transaction, transactions};
    use super::*;
    use crate::finding::Verdict;
    use serde_json::json;

    fn verdict(list: &List) -> Verdict {
        distinct(list, &Options::default()).unwrap().verdict
    }

    #[test]
    fn a_version_that_changes_nothing_warns() {
        let [a, same, changed] =
            [(1, "PENDING"), (2, "PENDING"), (2, "FAILED")].map(|(at, status)| transaction("a", at, status));
        assert_eq!(verdict(&transactions(&[a.clone(), changed.clone()])), Verdict::Ok);
        assert_eq!(verdict(&transactions(&[a.clone(), same.clone()])), Verdict::Warning);
        assert_eq!(verdict(&transactions(&[a.clone(), a.clone()])), Verdict::Warning);
        // back to a state of before is a change
        let again = transaction("a", 3, "PENDING");
        assert_eq!(verdict(&transactions(&[a, changed, again])), Verdict::Ok);
    }

    #[test]
    fn an_account_is_served_once_whatever_changes() {
        let account = |at: &str, name: &str| json!({"id": "a", "createdAt": at, "accountName": name});
        let first = account("2026-03-01T12:00:00Z", "Main");
        let renamed = account("2026-03-01T12:00:01Z", "Other");
        assert_eq!(verdict(&accounts(std::slice::from_ref(&first))), Verdict::Ok);
        assert_eq!(verdict(&accounts(&[first, renamed])), Verdict::Warning);
    }
}

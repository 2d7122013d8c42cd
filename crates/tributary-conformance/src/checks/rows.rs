//! Whether Formance can read and store each row.

use super::Tally;
use crate::catalogue::Check;
use crate::evidence::List;
use crate::finding::Finding;
use crate::options::Options;
use crate::reading::{Fault, ServedRow};
use crate::text::count;

pub fn lists_answer(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::ListsAnswer;
    Some(match &list.walk.broken {
        Some(why) => Finding::fail(check, list.subject(), why),
        None => Finding::ok(check, list.subject(), count(list.walk.rows.len(), "row")),
    })
}

pub fn decoded(list: &List, _: &Options) -> Option<Finding> {
    let fault = |seen: &ServedRow| match &seen.row {
        Err(Fault::Decoding(why)) => Some(why.clone()),
        _ => None,
    };
    Some(faults(list, Check::RowsDecoded, "cannot be read", fault))
}

pub fn stored(list: &List, _: &Options) -> Option<Finding> {
    let fault = |seen: &ServedRow| match &seen.row {
        Err(Fault::Storage(why)) => Some(why.clone()),
        _ => None,
    };
    Some(faults(list, Check::RowsStored, "are refused", fault))
}

fn faults(list: &List, check: Check, verb: &str, fault: impl Fn(&ServedRow) -> Option<String>) -> Finding {
    let total = list.walk.rows.len();
    if total == 0 {
        return Finding::skipped(check, list.subject(), "there are no rows");
    }
    let mut tally = Tally::default();
    for (i, seen) in list.walk.rows.iter().enumerate() {
        if let Some(why) = fault(seen) {
            tally.add(seen, || format!("row {} of the list, {}: {why}", i + 1, seen.name()));
        }
    }
    let bad = tally.finding(|bad, first| {
        Finding::fail(
            check,
            list.subject(),
            format!("{bad} of {} {verb}; the first is {first}", count(total, "row")),
        )
    });
    bad.unwrap_or_else(|| Finding::ok(check, list.subject(), count(total, "row")))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{transaction, transactions};
    use super::*;
    use crate::finding::Verdict;

    #[test]
    fn a_bad_row_is_named() {
        let mut rows = vec![transaction("a", 1, "PENDING"), transaction("b", 2, "LOST")];
        let mut asset = transaction("c", 3, "PENDING");
        asset["currency"] = "eur".into();
        rows.push(asset);
        let list = transactions(&rows);
        let decoded = decoded(&list, &Options::default()).unwrap();
        assert_eq!(decoded.verdict, Verdict::Fail);
        assert!(decoded.seen.contains("1 of 3 rows") && decoded.seen.contains("row 2"), "{}", decoded.seen);
        assert!(decoded.seen.contains(r#"the row "b""#) && decoded.seen.contains("LOST"), "{}", decoded.seen);
        let stored = stored(&list, &Options::default()).unwrap();
        assert!(stored.verdict == Verdict::Fail && stored.seen.contains("asset"), "{}", stored.seen);
        assert!(stored.example.unwrap().contains("eur"));
    }

    #[test]
    fn nothing_is_said_of_no_rows() {
        let list = transactions(&[]);
        assert_eq!(decoded(&list, &Options::default()).unwrap().verdict, Verdict::Skipped);
        assert_eq!(lists_answer(&list, &Options::default()).unwrap().verdict, Verdict::Ok);
    }
}

//! Whether pages are cut where Formance expects it, and stay as they are.

use crate::catalogue::Check;
use crate::evidence::List;
use crate::finding::Finding;
use crate::options::Options;
use crate::reading::PAGE_SIZE;
use crate::text::count;
use crate::walk::PastEnd;

pub fn short_page(list: &List, _: &Options) -> Option<Finding> {
    let (check, walk) = (Check::ShortPage, &list.walk);
    if let Some(short) = walk.short.first() {
        let seen = format!(
            "{} shorter than the {PAGE_SIZE} rows asked for although rows follow; the first has {}, and page {} has {}",
            count(walk.short.len(), "page"),
            short.len,
            short.next,
            short.next_len
        );
        return Some(
            Finding::fail(check, list.subject(), seen).with_example(format!("GET {}", short.target)),
        );
    }
    Some(match walk.rows.len() {
        0..PAGE_SIZE => Finding::skipped(check, list.subject(), "there are too few rows for a second page"),
        _ => Finding::ok(check, list.subject(), count(walk.pages.len(), "page")),
    })
}

pub fn past_the_end(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::PastTheEnd;
    Some(match &list.walk.past_end {
        PastEnd::Empty => Finding::ok(check, list.subject(), "200 and an empty list"),
        PastEnd::Wrong(what) => Finding::fail(check, list.subject(), what),
        PastEnd::Unseen => Finding::skipped(check, list.subject(), "the end was not reached"),
    })
}

pub fn stable(list: &List, _: &Options) -> Option<Finding> {
    let (check, rewalk) = (Check::PagesStable, &list.rewalk);
    let total = count(rewalk.compared, "full page");
    let moved = rewalk.changed.iter().filter(|changed| changed.rows_differ);
    let worst = moved.clone().next().or(rewalk.changed.first());
    let Some(worst) = worst else {
        return Some(match rewalk.compared {
            0 => Finding::skipped(check, list.subject(), "there was no full page to ask again"),
            _ => Finding::ok(check, list.subject(), format!("{total} asked again")),
        });
    };
    let seen =
        format!("{} of {total} changed while they were looked at: {}", rewalk.changed.len(), worst.what);
    let finding = match worst.rows_differ {
        true => Finding::fail(check, list.subject(), seen),
        false => Finding::warning(check, list.subject(), seen),
    };
    Some(match &worst.example {
        Some(example) => finding.with_example(example),
        None => finding,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{transaction, transactions};
    use super::*;
    use crate::finding::Verdict;
    use crate::rewalk::Changed;

    fn changed(rows_differ: bool) -> Changed {
        Changed { what: "row 1 moved".into(), example: None, rows_differ }
    }

    #[test]
    fn rows_that_move_fail_and_bytes_that_differ_warn() {
        let mut list = transactions(&[transaction("a", 1, "PENDING")]);
        let verdict = |list: &List| stable(list, &Options::default()).unwrap().verdict;
        assert_eq!(verdict(&list), Verdict::Skipped);
        list.rewalk.compared = 2;
        assert_eq!(verdict(&list), Verdict::Ok);
        list.rewalk.changed.push(changed(false));
        assert_eq!(verdict(&list), Verdict::Warning);
        list.rewalk.changed.push(changed(true));
        assert_eq!(verdict(&list), Verdict::Fail);
    }
}

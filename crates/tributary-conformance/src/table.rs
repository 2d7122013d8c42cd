//! A report as a person reads it.

use std::fmt::Write as _;

use super::finding::{Finding, Verdict};
use super::report::Report;
use super::text::{count, cut, wrap};

/// Columns of the page.
const WIDTH: usize = 110;
/// Columns of verdict, check and subject, with what separates them.
const LEFT: usize = 9 + 20 + 15;

/// The report as lines of at most [`WIDTH`] columns, examples excepted.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    line(&mut out, &format!("{} behind Formance's Generic Connector", report.url));
    line(&mut out, "");
    row(&mut out, "VERDICT", "CHECK", "OF", "SEEN");
    let mut findings = &report.findings[..];
    while let Some(first) = findings.first() {
        let same = findings.iter().take_while(|finding| finding.check == first.check).count();
        let (group, rest) = findings.split_at(same);
        of_check(&mut out, group);
        findings = rest;
    }
    for verdict in [Verdict::Fail, Verdict::Warning] {
        report.with(verdict).for_each(|finding| problem(&mut out, finding));
    }
    summary(&mut out, report);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

fn row(out: &mut String, verdict: &str, check: &str, subject: &str, seen: &str) {
    let seen = cut(seen, WIDTH - LEFT);
    line(out, &format!("{verdict:<8} {check:<19} {subject:<14} {seen}"));
}

/// The findings of one check; where it held everywhere, one line says so.
fn of_check(out: &mut String, group: &[Finding]) {
    let (held, others): (Vec<_>, Vec<_>) = group.iter().partition(|finding| finding.verdict == Verdict::Ok);
    if let [first, _, ..] = held[..] {
        let seen: Vec<_> = held.iter().map(|finding| finding.seen.as_str()).collect();
        let all_alike = seen.iter().all(|text| *text == first.seen);
        let seen = if all_alike { first.seen.clone() } else { seen.join(" · ") };
        row(out, first.verdict.as_str(), first.check.name(), &format!("{} lists", held.len()), &seen);
    } else {
        held.into_iter().for_each(|finding| alone(out, finding));
    }
    others.into_iter().for_each(|finding| alone(out, finding));
}

fn alone(out: &mut String, finding: &Finding) {
    row(out, finding.verdict.as_str(), finding.check.name(), finding.subject, &finding.seen);
}

fn problem(out: &mut String, finding: &Finding) {
    line(out, "");
    let (verdict, check) = (finding.verdict.as_str(), finding.check);
    line(out, &format!("{verdict}  {} of {}: {}", check.name(), finding.subject, check.holds()));
    paragraph(out, "seen", &finding.seen);
    paragraph(out, "why", check.why());
    if let Some(example) = &finding.example {
        line(out, &format!("  {:<8} {example}", "example"));
    }
}

fn paragraph(out: &mut String, name: &str, text: &str) {
    let mut name = name;
    for text in wrap(text, WIDTH - 11) {
        line(out, &format!("  {name:<8} {text}"));
        name = "";
    }
}

fn summary(out: &mut String, report: &Report) {
    line(out, "");
    for note in &report.notes {
        paragraph(out, "note", note);
    }
    let counted = |verdict| report.with(verdict).count();
    let mut text = report.verdict.as_str().to_owned();
    let _ = write!(
        text,
        ": {} failed, {}, {} ok, {} not checked; {} sent in {} s.",
        counted(Verdict::Fail),
        count(counted(Verdict::Warning), "warning"),
        counted(Verdict::Ok),
        counted(Verdict::Skipped),
        count(report.requests as usize, "request"),
        report.seconds
    );
    line(out, &text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Check;
    use crate::report::Rows;

    fn report(findings: Vec<Finding>) -> Report {
        Report {
            url: "http://localhost".into(),
            started_at: "2026-03-01T12:00:00Z".into(),
            seconds: 3,
            requests: 1_234,
            verdict: Verdict::Ok,
            rows: Rows::default(),
            notes: vec!["a limit was hit".into()],
            findings,
        }
        .conclude()
    }

    #[test]
    fn a_problem_says_what_was_seen_why_it_matters_and_shows_a_row() {
        let finding = Finding::fail(Check::RowsDecoded, "transactions", "1 of 5 rows cannot be read");
        let text = report(vec![finding.with_example(r#"{"id":"t1"}"#)]).to_table();
        for part in [
            "FAIL     rows-decoded        transactions   1 of 5 rows cannot be read",
            "FAIL  rows-decoded of transactions: every row can be read by the connector",
            "  why      A page is decoded as a whole",
            r#"  example  {"id":"t1"}"#,
            "  note     a limit was hit",
            "FAIL: 1 failed, 0 warnings, 0 ok, 0 not checked; 1,234 requests sent in 3 s.",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn what_held_of_several_lists_is_one_line() {
        let ok = |subject, seen: &str| Finding::ok(Check::Clock, subject, seen);
        let text = report(vec![ok("accounts", "5 rows"), ok("transactions", "7 rows")]).to_table();
        assert!(text.contains("ok       clock               2 lists        5 rows · 7 rows"), "{text}");
    }

    #[test]
    fn json_has_the_reason_and_lower_case_verdicts() {
        let json = report(vec![Finding::warning(Check::Clock, "accounts", "2 s ahead")]).to_json();
        assert_eq!(json["verdict"], "warning");
        let finding = &json["findings"][0];
        assert_eq!((&finding["check"], &finding["verdict"]), (&"clock".into(), &"warning".into()));
        assert_eq!(finding["why"], Check::Clock.why());
        assert!(finding["example"].is_null() && json["rows"]["transactions"] == 0);
    }
}

//! How the server says no.

use reqwest::Method;

use crate::catalogue::Check;
use crate::finding::Finding;
use crate::probe::{Key, Probe, Reply};
use crate::reading::{PAGE_SIZE, target};
use crate::text::{count, cut};
use tributary_formance::gojson::Raw;
use tributary_formance::{CallError, Kind};

/// The key that was given.
pub const VALID: Key = Key::Valid;

const SUBJECT: &str = "server";

/// Asks without a key and with a wrong one; the answers are added to `errors`.
pub async fn key_checked(probe: &mut Probe<'_>, errors: &mut Vec<(String, Reply)>) -> Finding {
    let check = Check::KeyChecked;
    let target = target(Kind::Accounts, 1, PAGE_SIZE, None);
    let mut finding = Finding::ok(check, SUBJECT, "401 without a key and with a wrong one");
    for (key, how) in [(Key::Absent, "without a key"), (Key::Wrong, "with a wrong key")] {
        let asked = format!("GET {target} {how}");
        let wrong = match probe.ask_oddly(Method::GET, &target, key).await {
            Err(why) => Finding::warning(check, SUBJECT, format!("{how}: {why}")),
            Ok(reply) => {
                let status = reply.status;
                let wrong = match status {
                    401 => None,
                    200..=299 => Some(Finding::fail(check, SUBJECT, format!("{how}, it answers {status}"))),
                    _ => {
                        Some(Finding::warning(check, SUBJECT, format!("{how}, it answers {status}, not 401")))
                    }
                };
                errors.push((asked.clone(), reply));
                let Some(wrong) = wrong else { continue };
                wrong
            }
        };
        if wrong.verdict > finding.verdict {
            finding = wrong.with_example(asked);
        }
    }
    finding
}

/// Asks for what does not exist, by path and by method; the answers are added to `errors`.
///
/// The method is one that only reads wherever it means anything, so that nothing happens on a
/// server that does more than the Generic Connector's API.
pub async fn ask_for_nothing(probe: &mut Probe<'_>, errors: &mut Vec<(String, Reply)>) {
    let propfind = Method::from_bytes(b"PROPFIND").expect("a method is a token");
    for (method, target) in
        [(Method::GET, "/tributary-conformance-no-such-path"), (propfind, "/transactions")]
    {
        let asked = format!("{method} {target}");
        if let Ok(reply) = probe.ask_oddly(method, target, Key::Valid).await {
            errors.push((asked, reply));
        }
    }
}

/// Whether all errors that were provoked carry a title and a detail.
pub fn bodies(errors: &[(String, Reply)]) -> Finding {
    let check = Check::ErrorBodies;
    let failures: Vec<_> = errors.iter().filter(|(_, reply)| !reply.is_success()).collect();
    let mute: Vec<_> = failures.iter().filter(|(_, reply)| !has_title_and_detail(reply)).collect();
    let total = count(failures.len(), "error");
    match mute.first() {
        None if failures.is_empty() => Finding::skipped(check, SUBJECT, "no error was provoked"),
        None => Finding::ok(check, SUBJECT, total),
        Some((asked, reply)) => {
            let seen = format!(
                "{} of {total} have no title and detail in JSON; the first is the {} of {asked}",
                mute.len(),
                reply.status
            );
            let body = String::from_utf8_lossy(&reply.body);
            Finding::warning(check, SUBJECT, seen).with_example(cut(body.trim(), 200))
        }
    }
}

/// Whether Formance finds a title and a detail in the body of a failure.
pub fn has_title_and_detail(reply: &Reply) -> bool {
    let decoded = reply.answer().decode(|_: Raw<'_>| Ok(()));
    matches!(decoded, Err(CallError::Status { title, detail, .. }) if !title.is_empty() && !detail.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Verdict;

    fn reply(status: u16, body: &str) -> (String, Reply) {
        let reply = Reply { target: "/".into(), status, body: body.into(), date: None, arrived: 0 };
        ("GET /".into(), reply)
    }

    #[test]
    fn errors_need_a_title_and_a_detail_in_any_case() {
        let good = reply(404, r#"{"Title":"Not found","DETAIL":"there is no such path"}"#);
        assert_eq!(bodies(std::slice::from_ref(&good)).verdict, Verdict::Ok);
        for bad in ["<html>", r#"{"title":"Not found"}"#, r#"{"error":"no"}"#, ""] {
            let finding = bodies(&[good.clone(), reply(400, bad)]);
            assert!(finding.verdict == Verdict::Warning && finding.seen.contains("1 of 2 errors"), "{bad}");
        }
        // what was not refused is the matter of another check
        assert_eq!(bodies(&[reply(200, "[]")]).verdict, Verdict::Skipped);
    }
}

//! What the whole run says of the server: errors met on the way, and the slowest answer.

use crate::catalogue::Check;
use crate::finding::Finding;
use crate::options::Options;
use crate::probe::{Hiccup, Probe};
use crate::text::count;

const SUBJECT: &str = "server";

/// Whether requests that made sense were answered with errors.
pub fn statuses(probe: &Probe<'_>) -> Finding {
    judge(&probe.hiccups, probe.requests())
}

fn judge(hiccups: &[Hiccup], requests: u64) -> Finding {
    let check = Check::Statuses;
    let worst = hiccups.iter().find(|hiccup| hiccup.is_final).or(hiccups.first());
    let total = count(requests as usize, "request");
    match worst {
        None => Finding::ok(check, SUBJECT, total),
        Some(hiccup) if hiccup.is_final => {
            let seen =
                format!("{} of {total} failed, with an error that is final for Formance", hiccups.len());
            Finding::fail(check, SUBJECT, seen).with_example(&hiccup.what)
        }
        Some(hiccup) => {
            let seen = format!("{} of {total} failed, with errors that Formance tries again", hiccups.len());
            Finding::warning(check, SUBJECT, seen).with_example(&hiccup.what)
        }
    }
}

/// Whether the slowest page came in time.
pub fn response_time(probe: &Probe<'_>, options: &Options) -> Finding {
    let check = Check::ResponseTime;
    let Some(slowest) = &probe.slowest else {
        return Finding::skipped(check, SUBJECT, "nothing was measured");
    };
    let seen = format!("the slowest answer took {} ms", slowest.took.as_millis());
    let finding = match slowest.took {
        took if took > options.too_slow => Finding::fail(check, SUBJECT, seen),
        took if took > options.slow => Finding::warning(check, SUBJECT, seen),
        _ => return Finding::ok(check, SUBJECT, seen),
    };
    finding.with_example(format!("GET {}", slowest.target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Verdict;

    #[test]
    fn an_error_that_formance_repeats_warns_and_a_final_one_fails() {
        let hiccup = |is_final| Hiccup { what: "GET /accounts: status".into(), is_final };
        assert_eq!(judge(&[], 5).verdict, Verdict::Ok);
        assert_eq!(judge(&[hiccup(false)], 5).verdict, Verdict::Warning);
        assert_eq!(judge(&[hiccup(false), hiccup(true)], 5).verdict, Verdict::Fail);
    }
}

//! Reports.

use super::Section;
use super::record;
use super::request::{Asked, request};
use super::stream::get;
use crate::language::form::report::{Fetch, Ready, ReportForm};
use crate::manifest::{Method, ReportManifest, RequestManifest};
use crate::period::Period;

/// How the report of a stream is made, and the request that fetches it. `asked` are the variables that the
/// stream says to stand in the request that has it made. What is wrong is noted.
pub fn report(
    section: &mut Section<'_>,
    form: &ReportForm,
    asked: &[String],
) -> Option<(ReportManifest, RequestManifest)> {
    let ReportForm { create, ready, fetch } = form;
    let post =
        section.need("report.create.post", create.post.as_deref(), "the path at which a report is asked for");
    let id = section.need("report.create.id", create.id.as_ref(), "jq on the answer: the id of the report");
    let sees: Vec<String> = record::seen().into_iter().chain(asked.iter().cloned()).collect();
    let create = Asked {
        method: Method::Post,
        field: "report.create.post",
        path: post?,
        query: &create.query,
        headers: &create.headers,
        body: create.body.as_ref(),
        form: create.form.as_ref(),
        within: "report.create.",
        prelude: &|_| String::new(),
        sees: &sees,
    };
    let create = request(section, &create);
    let Ready { get, holds, failed, every, within } = ready;
    let poll =
        section.need("report.ready.get", get.as_deref(), "the path that shows where the report stands");
    let poll = of_report(section, "report.ready.get", poll?);
    let holds =
        section.need("report.ready.where", holds.as_ref(), "jq on the answer: whether it can be fetched");
    let Fetch { get, url } = fetch;
    let fetched = match (get, url) {
        (Some(path), None) => of_report(section, "report.fetch.get", path),
        // it is put in the place of the path
        (None, Some(_)) => of_report(section, "report.fetch.url", "/{$report}"),
        _ => {
            section.wrong(
                "report.fetch",
                "give `get`, the path of the report, or `url`, jq on the answer of `ready`",
            );
            return None;
        }
    };
    for (field, code) in [
        ("report.create.id", id),
        ("report.ready.where", holds),
        ("report.ready.failed", failed.as_ref()),
        ("report.fetch.url", url.as_ref()),
    ] {
        if let Some(code) = code {
            section.jq(field, code, &record::seen());
        }
    }
    let report = ReportManifest {
        create,
        id: id?.clone(),
        poll,
        ready: holds?.clone(),
        failed: failed.clone(),
        url: url.clone(),
        every: every.unwrap_or(Period::from_seconds(10)),
        within: within.unwrap_or(Period::from_seconds(3_600)),
    };
    Some((report, fetched))
}

/// A request that names the report.
fn of_report(section: &mut Section<'_>, field: &str, path: &str) -> RequestManifest {
    if !path.contains("$report") {
        section.wrong(field, "asks for the same report each time: let {$report} be in it");
    }
    let mut sees = record::seen();
    sees.push("report".to_owned());
    get(section, field, path, &sees)
}

//! How a stream asks: its request, or those of its report, and what of pages and windows stands in them.

use super::Section;
use super::record;
use super::request::{Asked, request};
use super::value::{self, Meaning, Piece};
use crate::language::form::report::ReportForm;
use crate::language::form::stream::Stream;
use crate::manifest::{Method, Param, ReportManifest, RequestManifest};

/// The request of a stream; what is wrong with it is noted.
pub fn asked(section: &mut Section<'_>, form: &Stream) -> Option<RequestManifest> {
    let (method, field, path) = match (&form.get, &form.post, &form.values) {
        (Some(path), None, None) => (Method::Get, "get", path.as_str()),
        (None, Some(path), None) => (Method::Post, "post", path.as_str()),
        // nothing is asked
        (None, None, Some(_)) => (Method::Get, "values", "/"),
        (None, None, None) => {
            return section.need("get", None, "the path that is read; or `post`, `values`, or `shares`");
        }
        _ => {
            section.wrong("", "give one of `get`, `post`, `values` and `shares`");
            return None;
        }
    };
    for (field, given) in [("body", form.body.is_some()), ("form", form.form.is_some())] {
        if given && method == Method::Get {
            section.wrong(field, "belongs to `post`");
        }
    }
    let standing = standing(form);
    let sees: Vec<String> =
        record::seen().into_iter().chain(standing.iter().map(|(_, name)| name.clone())).collect();
    let asked = Asked {
        method,
        field,
        path,
        query: &form.query,
        headers: &form.headers,
        body: form.body.as_ref(),
        form: form.form.as_ref(),
        within: "",
        prelude: &|_| String::new(),
        sees: &sees,
    };
    let request = request(section, &asked);
    let of_a_record = |text: &String| match value::meaning(text) {
        Ok(Meaning::Template(pieces)) => pieces.iter().any(|piece| match piece {
            Piece::Literal(_) => false,
            Piece::Field(_) => true,
            // what is asked for is of no record
            Piece::Jq(code) => !value::variables(code).any(|name| name == "now" || is_asked(name)),
        }),
        _ => false,
    };
    let has_fields =
        of_a_record(&request.path) || request.query.values().chain(request.headers.values()).any(of_a_record);
    if form.each.is_none() && has_fields {
        section.wrong(field, "what stands in { } is of the record of `each`, which is missing");
    }
    for (field, name) in standing.iter().filter(|(_, name)| is_asked(name)) {
        unused(section, field, name, &request);
    }
    Some(request)
}

/// How the report of a stream is made, and what fetches it.
pub fn reported(
    section: &mut Section<'_>,
    form: &Stream,
    report: &ReportForm,
) -> Option<(ReportManifest, RequestManifest)> {
    let own = form.get.is_some() || form.post.is_some() || form.values.is_some();
    if own
        || form.body.is_some()
        || form.form.is_some()
        || !form.query.0.is_empty()
        || !form.headers.0.is_empty()
    {
        section.wrong(
            "report",
            "has the requests: there is no `get`, `post`, `query`, `headers`, `body` or `form` beside it",
        );
    }
    let (of_page, of_create): (Vec<_>, Vec<_>) =
        standing(form).into_iter().partition(|(_, name)| name == "page");
    if let Some((field, _)) = of_page.first() {
        section.wrong(field, "takes a parameter of what is fetched: $page stands in no request of a report");
    }
    let names: Vec<String> = of_create.iter().map(|(_, name)| name.clone()).collect();
    let (report, fetched) = super::report::report(section, report, &names)?;
    for (field, name) in &of_create {
        unused(section, field, name, &report.create);
    }
    Some((report, fetched))
}

/// Notes a variable that is said to stand in a request and does not.
fn unused(section: &mut Section<'_>, field: &str, name: &str, request: &RequestManifest) {
    let texts = [&request.path].into_iter().chain(request.query.values()).chain(request.headers.values());
    let mut texts = texts.chain(&request.body);
    if !texts.any(|text| value::variables(text).any(|used| used == name)) {
        section.wrong(
            field,
            format!("${name} stands nowhere in the path, `query`, `headers`, `body` or `form`"),
        );
    }
}

/// The variables that a stream says to stand in its request, each with the field that says it.
fn standing(form: &Stream) -> Vec<(String, String)> {
    let mut params: Vec<(String, &Param)> = Vec::new();
    if let Some(page) = &form.page {
        for (name, param) in [("number", &page.number), ("offset", &page.offset), ("cursor", &page.cursor)] {
            params.extend(param.as_ref().map(|param| (format!("page.{name}"), param)));
        }
        for (name, edge) in [("before", &page.before), ("after", &page.after)] {
            params.extend(edge.as_ref().map(|edge| (format!("page.{name}"), edge.param())));
        }
    }
    for (kind, window) in [("changes", &form.changes), ("creations", &form.creations), ("days", &form.days)] {
        let Some(window) = window else { continue };
        for (name, edge) in [("since", &window.since), ("until", &window.until)] {
            params.extend(edge.as_ref().map(|edge| (format!("{kind}.{name}"), edge.param())));
        }
    }
    if let Some(param) = form.delta.as_ref().and_then(|delta| delta.param.as_ref()) {
        params.push(("delta.param".to_owned(), param));
    }
    if let Some(after) = form.events.as_ref().and_then(|events| events.after.as_ref()) {
        params.push(("events.after".to_owned(), after));
    }
    let variable = |(field, param): (String, &Param)| match param {
        Param::Variable(name) => Some((field, name.clone())),
        _ => None,
    };
    params.into_iter().filter_map(variable).collect()
}

fn is_asked(name: &str) -> bool {
    record::OF_A_REQUEST.contains(&name)
}

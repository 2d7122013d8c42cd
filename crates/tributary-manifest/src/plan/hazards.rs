//! Combinations that would lose or double records. Each is refused with its reason.

use reqwest::header::HeaderName;

use crate::manifest::{
    Incremental, Paging, Param, RequestManifest, SortOrder, Stop, StreamManifest, TimeFormat, WindowManifest,
};

use super::window::Window;
use super::{ManifestError, field};

/// Refuses what is unsafe in `described`.
pub fn check(described: &StreamManifest) -> Result<(), ManifestError> {
    let refuse = |member: &str, why: &str| Err(field(&described.name, member, why));
    if let Some(paging) = &described.paging
        && let Err((member, why)) = paging_alone(paging)
    {
        return refuse(member, why);
    }
    for (member, format) in formats(described) {
        if let Err(why) = format.check() {
            return refuse(member, why);
        }
    }
    if described.report.is_some() && described.detail.is_some() {
        return refuse("report", "reads no details: its rows are the records");
    }
    if let Err((member, why)) = parameters(described) {
        return refuse(&member, &why);
    }
    for (member, lookup) in [
        ("detail.request", described.detail.as_ref().map(|detail| &detail.request)),
        ("refresh.request", described.refresh.as_ref().map(|refresh| &refresh.request)),
    ] {
        if lookup.is_some_and(|request| !names_a_record(request)) {
            return refuse(member, "asks for the same each time: let {field} of the record be in it");
        }
    }
    if let Some(window) = window(described)
        && let Err((member, why)) = window_alone(window)
    {
        return refuse(member, why);
    }
    if let Err((member, why)) = together(described) {
        return refuse(member, why);
    }
    Ok(())
}

type Hazard = (&'static str, &'static str);

/// Whether a request is another one for another record.
fn names_a_record(request: &RequestManifest) -> bool {
    let has_field = |text: &String| text.contains('{');
    request.body.is_some()
        || has_field(&request.path)
        || request.query.values().chain(request.headers.values()).any(has_field)
}

/// What takes values in the request of a stream, each with its member and the variable that it may be.
fn parameters_of(described: &StreamManifest) -> Vec<(&'static str, &Param, &'static str)> {
    let mut parameters = Vec::new();
    if let Some(paging) = &described.paging {
        let (param, size) = match paging {
            Paging::Page { param, size, .. }
            | Paging::Offset { param, size, .. }
            | Paging::Keyset { param, size, .. } => (Some(param), Some(size)),
            Paging::Cursor { param, size, .. } => (Some(param), size.as_ref()),
            Paging::NextUrl { size, .. } => (None, size.as_ref()),
        };
        parameters.extend(param.map(|param| ("paging.param", param, "page")));
        let size = size.and_then(|size| size.param.as_ref());
        parameters.extend(size.map(|param| ("paging.size.param", param, "")));
    }
    if let Some(window) = window(described) {
        parameters.push(("incremental.from.param", &window.from.param, "since"));
        parameters.extend(window.to.as_ref().map(|to| ("incremental.to.param", &to.param, "until")));
    }
    if let Some(Incremental::EventFeed { param, .. } | Incremental::Delta { param, .. }) =
        &described.incremental
    {
        parameters.push(("incremental.param", param, "since"));
    }
    parameters
}

/// Refuses parameters that cannot go anywhere, or would have no effect: of a request that asks by its
/// body, and of which one takes the place of another.
fn parameters(described: &StreamManifest) -> Result<(), (String, String)> {
    let parameters = parameters_of(described);
    let request = &described.request;
    let refuse = |member: &str, why: String| Err((member.to_owned(), why));
    for (member, param, variable) in &parameters {
        // what is new goes into the request that has a report made
        let created = described.report.as_ref().filter(|_| member.starts_with("incremental"));
        let request = created.map_or(request, |report| &report.create);
        match param {
            Param::Query(name) if request.body.is_some() && !request.query.contains_key(name) => {
                return refuse(
                    member,
                    format!(
                        "goes into the query, but this request asks by its body, which would stay the same; if the \
                         API takes it in the query all the same, name {name:?} in request.query; in the body, it is \
                         {{ body: {name} }}"
                    ),
                );
            }
            Param::Query(name) if name.is_empty() => return refuse(member, "is empty".to_owned()),
            Param::Body(_) if request.body.is_none() => {
                let why =
                    "goes into the body, but there is none that could take it: this needs a request.body";
                return refuse(member, why.to_owned());
            }
            Param::Header(name) if HeaderName::try_from(name.as_str()).is_err() => {
                return refuse(member, format!("{name:?} is no name of a header"));
            }
            Param::Variable(name) if name != variable => {
                let why = match variable.is_empty() {
                    true => "write the number into the request itself, and only the number here".to_owned(),
                    false => format!("is ${name}; here it can only be ${variable}"),
                };
                return refuse(member, why);
            }
            _ => {}
        }
    }
    // a cursor may go on where a mark or a limit began
    let others = |member: &str| member != "paging.param";
    for (at, (member, param, _)) in parameters.iter().enumerate() {
        let twice = parameters[..at]
            .iter()
            .find(|(earlier, same, _)| same == param && (others(earlier) || *member == "paging.size.param"));
        if let Some((earlier, ..)) = twice {
            let why =
                format!("{} is that of {earlier}, too: one takes the place of the other", param.shown());
            return refuse(member, why);
        }
    }
    Ok(())
}

/// How the request of a stream writes times, each with its member.
fn formats(described: &StreamManifest) -> Vec<(&'static str, &TimeFormat)> {
    let mut formats = Vec::new();
    if let Some(Paging::Keyset { format, .. }) = &described.paging {
        formats.push(("paging.format", format));
    }
    if let Some(window) = window(described) {
        formats.push(("incremental.from.format", &window.from.format));
        formats.extend(window.to.as_ref().map(|to| ("incremental.to.format", &to.format)));
    }
    formats
}

fn window(described: &StreamManifest) -> Option<&WindowManifest> {
    match &described.incremental {
        Some(
            Incremental::UpdatedWindow(window)
            | Incremental::CreatedWindow(window)
            | Incremental::DateWindow(window),
        ) => Some(window),
        _ => None,
    }
}

fn paging_alone(paging: &Paging) -> Result<(), Hazard> {
    let (counted, size, stop) = match paging {
        Paging::Page { first, .. } if *first > 1 => {
            return Err(("paging.first", "pages begin with 0 or 1; a later one skips records"));
        }
        Paging::Page { size, stop, .. } | Paging::Offset { size, stop, .. } => (true, Some(size), stop),
        Paging::Keyset { order: SortOrder::Any, .. } => {
            return Err((
                "paging.order",
                "has to be newest_first or oldest_first: the next page begins at the last record's time",
            ));
        }
        Paging::Keyset { format, .. } if format.widening() > chrono::TimeDelta::zero() => {
            return Err((
                "paging.format",
                "goes by a clock that is put back: pages of the hour that comes twice could not be told apart; write \
                 UTC (`zone: UTC`) if the API takes it, or page in another way",
            ));
        }
        Paging::Keyset { size, stop, .. } => (true, Some(size), stop),
        Paging::Cursor { size, stop, .. } | Paging::NextUrl { size, stop, .. } => {
            (false, size.as_ref(), stop)
        }
    };
    match stop {
        Stop::NoNext if counted => {
            return Err(("paging.stop", "no_next is for a cursor or URL that the answer names"));
        }
        Stop::ShortPage if size.is_none() => {
            return Err(("paging.stop", "short_page needs a size: nothing else shows which page is short"));
        }
        _ => {}
    }
    if size.is_some_and(|size| size.value == 0) {
        return Err(("paging.size", "has to be at least 1"));
    }
    if matches!(paging, Paging::Keyset { .. }) && size.is_some_and(|size| size.value < 2) {
        return Err((
            "paging.size",
            "has to be at least 2: each page begins with the last record of the one before",
        ));
    }
    Ok(())
}

fn window_alone(window: &WindowManifest) -> Result<(), Hazard> {
    let zero = |period: &crate::period::Period| period.as_duration().is_zero();
    if zero(&window.lookback) && zero(&window.settle) {
        return Err((
            "incremental.lookback",
            "and settle are both 0s: a record that the API shows later than its own timestamp would be lost",
        ));
    }
    if let Some(halve) = &window.halve {
        let shortest = halve.shortest.map(|shortest| shortest.as_delta());
        let writable = window.to.as_ref().map(|to| Window::shortest_step(&window.from, to));
        if window.step.is_none() {
            return Err(("incremental.halve", "needs a longest window, which is halved"));
        }
        if (&halve.when, halve.at.filter(|at| *at > 0)) == (&None, None) {
            return Err((
                "incremental.halve",
                "give `where` (the API says that it is too much) or `at` (how many records it gives at most)",
            ));
        }
        if shortest.is_some_and(|shortest| window.step.is_some_and(|step| shortest >= step.as_delta())) {
            return Err(("incremental.halve.shortest", "has to be shorter than the longest window"));
        }
        if shortest.zip(writable).is_some_and(|(shortest, writable)| shortest < writable) {
            return Err((
                "incremental.halve.shortest",
                "is shorter than what `from` and `to` can express: no window would get ahead",
            ));
        }
    }
    if let Some(step) = &window.step {
        let Some(to) = &window.to else {
            return Err(("incremental.step", "needs `to`: else every step asks for everything after it"));
        };
        if step.as_delta() < Window::shortest_step(&window.from, to) {
            return Err((
                "incremental.step",
                "is too short for what `from` and `to` can express: no window would get ahead",
            ));
        }
    }
    Ok(())
}

fn together(described: &StreamManifest) -> Result<(), Hazard> {
    let numbered = matches!(described.paging, Some(Paging::Page { .. } | Paging::Offset { .. }));
    match &described.incremental {
        Some(Incremental::UpdatedWindow(window)) if numbered && window.order != SortOrder::NewestFirst => {
            return Err((
                "paging.kind",
                "page and offset lose records here: one that changes during the walk moves to the end, and the others slide over the page cut. Use a cursor or keyset, or newest_first",
            ));
        }
        Some(Incremental::CreatedWindow(window) | Incremental::DateWindow(window))
            if numbered && window.order == SortOrder::Any =>
        {
            return Err((
                "incremental.order",
                "has to be known for page and offset: without one, records slide over the page cut",
            ));
        }
        Some(Incremental::CreatedWindow(_)) if described.refresh.is_none() && !described.unchanging => {
            return Err((
                "refresh",
                "is missing: what changes after its creation would never be read. Where nothing ever does, say `refresh: { open: never }`",
            ));
        }
        Some(Incremental::Delta { .. }) if numbered => {
            return Err((
                "paging.kind",
                "page and offset lose records here: what changes during the walk moves them over the page cut. Use a cursor or a URL",
            ));
        }
        Some(Incremental::Delta { removed: None, .. }) if described.pending.is_some() => {
            return Err((
                "pending",
                "needs `removed`: a list of changes does not show what is gone by leaving it out",
            ));
        }
        Some(Incremental::EventFeed { .. }) if described.detail.is_none() => {
            return Err(("detail", "is missing: an event only names the record"));
        }
        _ => {}
    }
    if described.identity.is_some() && numbered {
        return Err((
            "identity",
            "cannot count equal records over page and offset, where rows slide and come twice; use a cursor or one answer",
        ));
    }
    let keyed = described.pending.as_ref().is_some_and(|pending| pending.key.is_some());
    if described.pending.is_some() && described.identity.is_none() && !keyed {
        return Err(("pending", "needs an identity"));
    }
    if described.pending.is_some()
        && !matches!(
            described.incremental,
            None | Some(Incremental::DateWindow(_) | Incremental::Snapshot {} | Incremental::Delta { .. })
        )
    {
        return Err(("pending", "needs a date_window or snapshot, which lists everything of its time again"));
    }
    Ok(())
}

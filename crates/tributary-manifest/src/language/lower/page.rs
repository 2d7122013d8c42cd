//! Pages and windows.

use super::Section;
use crate::language::form::page::{Edge, Next, Page, Size, SizeElsewhere, Step, Window};
use crate::manifest::{
    self, Bound, HalveManifest, Paging, Param, SortOrder, Stop, TimeFormat, WindowManifest, Zone,
};

/// The pages of a stream; patterns without a zone of their own go by the clock of `zone`.
pub fn page(section: &mut Section<'_>, page: &Page, zone: Option<Zone>) -> Option<Paging> {
    let kinds = [
        page.number.is_some(),
        page.offset.is_some(),
        page.cursor.is_some(),
        page.url.is_some(),
        page.before.is_some(),
        page.after.is_some(),
    ];
    if kinds.iter().filter(|given| **given).count() != 1 {
        section.wrong("page", "give one of `number`, `offset`, `cursor`, `url`, `before` and `after`");
        return None;
    }
    misplaced(section, page);
    let size = size(section, page.size.as_ref());
    let more = page.more.clone();
    if let Some(total) = &page.total {
        section.jq("page.total", total, &super::record::seen_of_answer());
    }
    if let Some(more) = &more {
        section.jq("page.more", more, &super::record::seen_of_answer());
    }
    let stop = ends(section, page);
    if let Some(param) = &page.number {
        let first = section.need("page.first", page.first, "the number of the first page: 0 or 1")?;
        let size = section.need("page.size", size, "how many records a page holds")?;
        return Some(Paging::Page { param: param.clone(), first, size, stop: stop?, more });
    }
    if let Some(param) = &page.offset {
        let size = section.need("page.size", size, "how many records a page holds")?;
        return Some(Paging::Offset { param: param.clone(), size, stop: stop?, more });
    }
    if let Some(param) = &page.cursor {
        let next = section.need("page.next", page.next.as_ref(), "where the answer names the next page")?;
        let next = next_of(section, "page.next", next, false);
        let bound = if page.includes { Bound::Inclusive } else { Bound::Exclusive };
        let may_end_full = page.may_end_full;
        let param = param.clone();
        return Some(Paging::Cursor { param, next, bound, size, stop: stop?, more, may_end_full });
    }
    if let Some(next) = &page.url {
        let next = next_of(section, "page.url", next, true);
        let (https, may_end_full) = (page.https, page.may_end_full);
        return Some(Paging::NextUrl { next, https, size, stop: stop?, more, may_end_full });
    }
    let (edge, order) = match (&page.before, &page.after) {
        (Some(edge), _) => (edge, SortOrder::NewestFirst),
        (_, Some(edge)) => (edge, SortOrder::OldestFirst),
        _ => return None,
    };
    let (param, bound, format) = parts(edge, zone);
    let time = section.need(
        "page.time",
        page.time.as_ref(),
        "jq to the time of a row, by which the next page begins",
    )?;
    section.jq("page.time", time, &super::record::seen());
    let field = format!("({time}\n) | parse_time");
    let size = section.need("page.size", size, "how many records a page holds")?;
    let bound = bound.unwrap_or(Bound::Exclusive);
    Some(Paging::Keyset { param, field, bound, format, order, size, stop: stop?, more })
}

/// Refuses fields that belong to another kind of page.
fn misplaced(section: &mut Section<'_>, page: &Page) {
    let named = page.cursor.is_some() || page.url.is_some();
    for (given, fits, field, of) in [
        (page.first.is_some(), page.number.is_some(), "first", "number"),
        (page.next.is_some(), page.cursor.is_some(), "next", "cursor"),
        (page.includes, page.cursor.is_some(), "includes", "cursor"),
        (page.time.is_some(), page.before.is_some() || page.after.is_some(), "time", "before` or `after"),
        (page.may_end_full, named, "may_end_full", "cursor` or `url"),
        (page.https, page.url.is_some(), "https", "url"),
    ] {
        if given && !fits {
            section.wrong(&format!("page.{field}"), format!("belongs to `{of}`"));
        }
    }
}

fn size(section: &mut Section<'_>, size: Option<&Size>) -> Option<manifest::Size> {
    let (query, header, body) = match size? {
        Size::Own(value) => return Some(manifest::Size { param: None, value: *value }),
        Size::Asked(query) => (query.0.as_slice(), [].as_slice(), [].as_slice()),
        Size::Elsewhere(SizeElsewhere { header, body }) => {
            ([].as_slice(), header.0.as_slice(), body.0.as_slice())
        }
    };
    let (param, value): (fn(String) -> Param, _) = match (query, header, body) {
        ([one], [], []) => (Param::Query, one),
        ([], [one], []) => (Param::Header, one),
        ([], [], [one]) => (Param::Body, one),
        _ => {
            let why = "write one parameter and how many records it asks for: { limit: 100 }";
            section.wrong("page.size", why);
            return None;
        }
    };
    Some(manifest::Size { param: Some(param(value.0.clone())), value: value.1 })
}

fn ends(section: &mut Section<'_>, page: &Page) -> Option<Stop> {
    let named = page.cursor.is_some() || page.url.is_some();
    match page.ends.as_deref() {
        None if named => Some(Stop::NoNext),
        None => section.need(
            "page.ends",
            None,
            "`short`, `empty`, or jq on the answer that is true at the last page",
        ),
        Some("short") => Some(Stop::ShortPage),
        Some("empty") => Some(Stop::EmptyPage),
        Some(code) => {
            section.jq("page.ends", code, &super::record::seen_of_answer());
            Some(Stop::When(code.to_owned()))
        }
    }
}

fn next_of(section: &mut Section<'_>, field: &str, next: &Next, may_be_link: bool) -> manifest::Next {
    match next {
        Next::Header(header) => manifest::Next::Header(header.header.clone()),
        Next::Body(word) if may_be_link && word == "link" => manifest::Next::Link,
        Next::Body(code) => {
            section.jq(field, code, &super::record::seen_of_answer());
            manifest::Next::Body(code.clone())
        }
    }
}

fn parts(edge: &Edge, zone: Option<Zone>) -> (Param, Option<Bound>, TimeFormat) {
    match edge {
        Edge::Param(param) => (param.clone(), None, TimeFormat::default()),
        Edge::Form(form) => {
            let mut format = form.format.clone();
            if let TimeFormat::Pattern(pattern) = &mut format {
                pattern.or_in(zone.map(|zone| zone.0));
            }
            (form.param.clone(), form.bound, format)
        }
    }
}

fn edge(edge: &Edge, zone: Option<Zone>) -> manifest::Edge {
    let (param, bound, format) = parts(edge, zone);
    manifest::Edge { param, bound: bound.unwrap_or(Bound::Exclusive), format }
}

/// The window of a stream, in the field `kind`; patterns without a zone of their own go by the clock of `zone`.
pub fn window(
    section: &mut Section<'_>,
    kind: &str,
    window: &Window,
    zone: Option<Zone>,
) -> Option<WindowManifest> {
    let at = |name: &str| format!("{kind}.{name}");
    let by = section.need(&at("by"), window.by.as_ref(), "jq to the time of a row by which the API filters");
    let since = section.need(&at("since"), window.since.as_ref(), "the parameter that takes the beginning");
    let late =
        section.need(&at("late"), window.late, "how late the API may show a record, after its own time");
    let back = section.need(&at("back"), window.back, "how far back the API goes, and so the first window");
    let by = by?;
    section.jq(&at("by"), by, &super::record::seen());
    let step = window.step.as_ref().map(|step| match step {
        Step::Longest(longest) => (*longest, None),
        Step::Form(form) => (form.longest, form.halve.as_ref()),
    });
    if let Some(when) = step.and_then(|(_, halve)| halve?.holds.as_ref()) {
        section.jq(&at("step.halve.where"), when, &super::record::seen_of_answer());
    }
    Some(WindowManifest {
        cursor: format!("({by}\n) | parse_time"),
        from: edge(since?, zone),
        to: window.until.as_ref().map(|until| edge(until, zone)),
        lookback: late?,
        settle: window.settle.unwrap_or(crate::period::Period::from_seconds(0)),
        start: back?,
        order: window.order.unwrap_or(SortOrder::Any),
        step: step.map(|(longest, _)| longest),
        halve: step.and_then(|(_, halve)| halve).map(|halve| HalveManifest {
            when: halve.holds.clone(),
            at: halve.at,
            shortest: halve.shortest,
        }),
    })
}

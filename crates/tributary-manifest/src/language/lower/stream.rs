//! A stream of the language as one of the engine's.

use std::collections::BTreeMap;

use tributary_domain::{Resource, Status};

use super::asked::{asked, reported};
use super::record::{self, Making};
use super::request::{Asked, request};
use super::value::{self, literal};
use super::{Section, page};
use crate::language::form::file::{STATUSES, StatusWords};
use crate::language::form::right::{OneOrMore, Ordered, Right};
use crate::language::form::stream::{Refresh as Refreshing, Stream};
use crate::manifest::{
    Detail, Identity, Incremental, Method, Pending, Refresh, RequestManifest, StreamManifest, Values, Zone,
};

/// The stream `name`; `above` are the streams that it may name, as they are written. What is wrong is
/// noted, and there is none then.
pub fn stream(
    section: &mut Section<'_>,
    name: &str,
    form: &Stream,
    resource: Option<Resource>,
    making: &Making<'_>,
    above: &BTreeMap<String, Stream>,
) -> Option<StreamManifest> {
    let (report, request) = match form.report.as_ref() {
        None => (None, asked(section, form)),
        Some(report) => match reported(section, form, report) {
            Some((report, request)) => (Some(report), Some(request)),
            None => (None, None),
        },
    };
    let records = rows(section, form);
    if let Some(when) = &form.list_when {
        section.jq("list_when", when, &record::seen_of_answer());
    }
    let partition = partition(section, form, above);
    let map = match resource {
        Some(resource) => record::record(section, form, resource, making),
        None => None,
    };
    let incremental = incremental(section, form, making.zone);
    let pages = form.page.as_ref().map(|form| page::page(section, form, making.zone));
    let unchanging = form.refresh.as_ref().is_some_and(Refreshing::is_never);
    let refresh = form.refresh.as_ref().filter(|_| !unchanging).map(|_| refresh(section, form));
    let detail = form.detail.as_ref().map(|_| detail(section, form));
    let identity = form.identity.as_ref().map(|_| identity(section, form));
    if let Some(pending) = &form.pending {
        section.jq("pending", pending, &record::seen());
    }
    let status_map = form.statuses.as_ref().map(|words| statuses(section, "statuses", words));
    let errors = form
        .errors
        .iter()
        .enumerate()
        .map(|(n, rule)| super::file::rule(section, &format!("errors[{n}]"), rule));
    let errors = errors.collect();
    Some(StreamManifest {
        name: name.to_owned(),
        resource,
        for_each: form.each.clone(),
        shares: None,
        partition,
        request: request?,
        values: form.values.as_ref().map(|values| Values(values.all().to_vec())),
        errors,
        paging: flat(pages)?,
        total: form.page.as_ref().and_then(|page| page.total.clone()),
        records: records?,
        list_when: form.list_when.clone(),
        report,
        answer: form.answer.clone(),
        empty: form.empty.clone(),
        detail: flat(detail)?,
        identity: flat(identity)?,
        map: if resource.is_some() { Some(map?) } else { None },
        by_fields: form.map.is_none(),
        lines: super::lines(section.node),
        notes: notes(section, form),
        incremental: incremental?,
        refresh: flat(refresh)?,
        unchanging,
        pending: form.pending.clone().map(|when| Pending { when, key: removed_key(form) }),
        status_map,
        every: form.every,
        cron: form.cron.clone(),
        after_webhook: form.after_webhook,
    })
}

/// What is not given is nothing; what is given and wrong is nothing at all.
fn flat<T>(given: Option<Option<T>>) -> Option<Option<T>> {
    match given {
        None => Some(None),
        Some(lowered) => lowered.map(Some),
    }
}

/// A request for `path` alone, whose jq sees these names.
pub fn get(section: &mut Section<'_>, field: &str, path: &str, sees: &[String]) -> RequestManifest {
    let none = Ordered::default();
    let asked = Asked {
        method: Method::Get,
        field,
        path,
        query: &none,
        headers: &none,
        body: None,
        form: None,
        within: "",
        prelude: &|_| String::new(),
        sees,
    };
    request(section, &asked)
}

/// jq on a row of a `delta`: the id by which the API says that it was removed.
fn removed_key(form: &Stream) -> Option<String> {
    let id = form.id.as_ref().filter(|_| form.delta.is_some() && form.identity.is_none());
    let id = id.filter(|_| form.split.is_none() && form.lets.0.is_empty());
    id.and_then(|id| value::text(id).ok()).map(|id| format!("{id} | _id"))
}

fn rows(section: &mut Section<'_>, form: &Stream) -> Option<String> {
    if form.values.is_some() {
        if form.rows.is_some() || form.row.is_some() || form.page.is_some() || form.each.is_some() {
            section.wrong("values", "are the rows: there are no `rows`, `row`, `page` or `each` beside them");
        }
        return Some(".[]".to_owned());
    }
    match (&form.rows, &form.row) {
        (Some(rows), None) => {
            section.jq("rows", rows, &record::seen_of_answer());
            if form.list_when.is_none() && rows.replace(char::is_whitespace, "").contains("//[]") {
                // a list that is left out looks the same as one that is missing because something went wrong
                return section.need(
                    "list_when",
                    None,
                    "an answer in which something else stands than the list would be taken for an empty one; say what \
                     an answer without the list looks like, as in `keys - [\"cursor\"] == []`",
                );
            }
            Some(format!("_list(\"rows\"; {rows}\n)[]"))
        }
        (None, Some(row)) => {
            section.jq("row", row, &record::seen_of_answer());
            if !form.empty.is_empty() {
                section.wrong("empty", "belongs to `rows`: an answer without a body holds no `row`");
            }
            Some(format!("_object(\"row\"; {row}\n)"))
        }
        (None, None) => {
            section.need("rows", None, "jq on the answer: the list of its rows; or `row`, the only one")
        }
        _ => {
            section.wrong("row", "give it or `rows`");
            None
        }
    }
}

/// jq on the record of `each` that names its partition.
fn partition(section: &mut Section<'_>, form: &Stream, above: &BTreeMap<String, Stream>) -> Option<String> {
    let Some(each) = &form.each else {
        if form.partition.is_some() {
            section.wrong("partition", "belongs to `each`");
        }
        return None;
    };
    let Some(parent) = above.get(each) else {
        let near = crate::language::check::nearest(each, above.keys().map(String::as_str));
        let near = near.map(|near| format!(": `{near}` is meant?")).unwrap_or_default();
        section.wrong("each", format!("there is no stream {each:?}{near}"));
        return None;
    };
    if let Some(partition) = &form.partition {
        section.jq("partition", partition, &record::seen());
        return Some(partition.clone());
    }
    if parent.values.is_some() {
        return Some(".".to_owned());
    }
    let id = parent.id.as_ref().filter(|_| parent.split.is_none() && parent.lets.0.is_empty());
    match id.map(value::text) {
        Some(Ok(code)) => Some(format!("{code} | _id")),
        _ => section.need(
            "partition",
            None,
            "jq on the record of `each` that gives a text for it which never changes",
        ),
    }
}

fn incremental(section: &mut Section<'_>, form: &Stream, zone: Option<Zone>) -> Option<Option<Incremental>> {
    let given = [
        ("changes", form.changes.is_some()),
        ("creations", form.creations.is_some()),
        ("days", form.days.is_some()),
        ("newest_first", form.newest_first.is_some()),
        ("events", form.events.is_some()),
        ("delta", form.delta.is_some()),
    ];
    let given: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    if let [_, second, ..] = given.as_slice() {
        section.wrong(second, format!("give one of {}", given.join(", ")));
        return None;
    }
    Some(Some(if let Some(form) = &form.changes {
        Incremental::UpdatedWindow(page::window(section, "changes", form, zone)?)
    } else if let Some(form) = &form.creations {
        Incremental::CreatedWindow(page::window(section, "creations", form, zone)?)
    } else if let Some(form) = &form.days {
        Incremental::DateWindow(page::window(section, "days", form, zone)?)
    } else if let Some(form) = &form.newest_first {
        let by = section.need(
            "newest_first.by",
            form.by.as_ref(),
            "jq to the time of a row by which the API sorts",
        );
        let late = section.need(
            "newest_first.late",
            form.late,
            "how far before the newest record seen a walk goes on",
        );
        let back = section.need("newest_first.back", form.back, "how far back the first walk goes");
        section.jq("newest_first.by", by?, &record::seen());
        Incremental::DescendingFeed {
            cursor: format!("({}\n) | parse_time", by?),
            lookback: late?,
            start: back?,
        }
    } else if let Some(form) = &form.delta {
        let token = section.need("delta.token", form.token.as_ref(), "jq to the token for the next run");
        let param = section.need("delta.param", form.param.clone(), "what takes the token");
        if let Some(removed) = &form.removed {
            section.jq("delta.removed", removed, &record::seen_of_answer());
        }
        section.jq("delta.token", token?, &record::seen_of_answer());
        let removed = form.removed.as_ref().map(|removed| format!("_list(\"removed\"; {removed}\n)[] | _id"));
        Incremental::Delta { token: token?.clone(), param: param?, removed }
    } else if let Some(form) = &form.events {
        let mark = section.need("events.mark", form.mark.as_ref(), "jq to the id of an event");
        let param =
            section.need("events.after", form.after.clone(), "the parameter that takes the last event seen");
        section.jq("events.mark", mark?, &record::seen());
        Incremental::EventFeed { mark: mark?.clone(), param: param? }
    } else {
        return Some(None);
    }))
}

fn refresh(section: &mut Section<'_>, form: &Stream) -> Option<Refresh> {
    let refresh = form.refresh.as_ref()?;
    let (lets, names) = record::lets(section, "let", &form.lets, record::seen_of_row());
    let lets = if lets.is_empty() { lets } else { format!(". as $row | {lets}") };
    let open = section.need(
        "refresh.open",
        refresh.open.as_ref(),
        "jq on a row, or the list of statuses that may still change",
    );
    let open = match open? {
        OneOrMore::One(code) => {
            section.jq("refresh.open", code, &names);
            Some(format!("{lets}({code}\n)"))
        }
        OneOrMore::More(statuses) => {
            open_words(section, form, statuses);
            let status =
                section.need("status", form.status.as_ref(), "the statuses of `refresh.open` are of it");
            let status = status.and_then(|status| value::text(status).ok());
            let statuses: Vec<String> = statuses.iter().map(|status| literal(status)).collect();
            status.map(|status| {
                format!("{lets}{status} as $_s | [{}] | index([$_s]) != null", statuses.join(", "))
            })
        }
    };
    let by_id = refresh.key.is_none();
    let key = match (&refresh.key, &form.id) {
        (Some(key), _) => {
            section.jq("refresh.key", key, &record::seen());
            Some(key.clone())
        }
        (None, Some(id)) if form.split.is_none() => value::text(id).ok().map(|id| format!("{lets}{id}")),
        _ => section.need("refresh.key", None, "jq on a row that identifies it"),
    };
    let path = section.need("refresh.get", refresh.get.as_deref(), "the path of one record");
    let row = section.need(
        "refresh.row",
        refresh.row.as_ref(),
        "jq on the answer: the row, as the list would show it",
    );
    let every =
        section.need("refresh.every", refresh.every, "the shortest pause between two questions for a record");
    let give_up =
        section.need("refresh.give_up", refresh.give_up, "at which age a record is not asked for any more");
    section.jq("refresh.row", row?, &record::seen());
    Some(Refresh {
        open: open?,
        key: key?,
        by_id,
        request: get(section, "refresh.get", path?, &record::seen()),
        record: format!("_object(\"refresh.row\"; {}\n)", row?),
        every: every?,
        give_up: give_up?,
    })
}

/// Refuses words of `refresh.open` that the stream knows no status by: no row would ever be open.
fn open_words(section: &mut Section<'_>, form: &Stream, open: &[String]) {
    let words: Vec<&str> = match (&form.statuses, form.status.as_ref().and_then(value::constant)) {
        (Some(words), _) => words.0.0.iter().flat_map(|(_, words)| words.all()).map(String::as_str).collect(),
        (None, Some(always)) => vec![always],
        (None, None) => return,
    };
    // what becomes no record is followed, too, while it is open: `where` names its status then
    let left_out = |word: &str| form.holds.as_ref().is_some_and(|holds| holds.contains(&literal(word)));
    for word in open.iter().filter(|word| !words.contains(&word.as_str()) && !left_out(word)) {
        let among = if form.statuses.is_some() { "`statuses`" } else { "what `status` can be" };
        let meant = crate::language::check::nearest(word, words.iter().copied());
        let meant = meant.map(|near| format!(": `{near}` is meant?")).unwrap_or_default();
        section.wrong("refresh.open", format!("{word:?} is none of {among}{meant}"));
    }
}

/// What a person should look at though it can be meant so: statuses that are PENDING and not followed.
fn notes(section: &Section<'_>, form: &Stream) -> Vec<String> {
    let open = form.refresh.as_ref().filter(|refresh| !refresh.is_never()).and_then(|it| it.open.as_ref());
    let (Some(OneOrMore::More(open)), Some(words)) = (open, &form.statuses) else { return Vec::new() };
    let pending = words.0.0.iter().filter(|(ours, _)| ours == "PENDING").flat_map(|(_, words)| words.all());
    let followed_by_none = pending.filter(|word| !open.contains(word)).map(|word| {
        format!(
            "{path}.refresh.open has no {word:?}, which is PENDING by `statuses`: a record of that status is not asked \
             for again and stays so until the API lists it; add it",
            path = section.path
        )
    });
    followed_by_none.collect()
}

fn detail(section: &mut Section<'_>, form: &Stream) -> Option<Detail> {
    let detail = form.detail.as_ref()?;
    let path = section.need("detail.get", detail.get.as_deref(), "the path of the record that a row names");
    let row = section.need("detail.row", detail.row.as_ref(), "jq on the answer: the record");
    section.jq("detail.row", row?, &record::seen());
    let request = get(section, "detail.get", path?, &record::seen());
    Some(Detail { request, record: format!("_object(\"detail.row\"; {}\n)", row?) })
}

fn identity(section: &mut Section<'_>, form: &Stream) -> Option<Identity> {
    let identity = form.identity.as_ref()?;
    let id = section.need("identity.id", identity.id.as_ref(), "jq on a row: its own id, or null");
    let fields = section.need(
        "identity.fields",
        identity.fields.as_ref(),
        "jq on a row: an array of what never changes",
    );
    section.jq("identity.id", id?, &record::seen());
    section.jq("identity.fields", fields?, &record::seen());
    Some(Identity { id: id?.clone(), fields: fields?.clone() })
}

/// Formance's status by the provider's word.
pub fn statuses(section: &mut Section<'_>, field: &str, words: &StatusWords) -> BTreeMap<String, Status> {
    let mut map = BTreeMap::new();
    for (ours, words) in &words.0.0 {
        let Some(status) = STATUSES
            .contains(&ours.as_str())
            .then(|| serde_json::from_value(serde_json::Value::from(ours.as_str())).ok())
            .flatten()
        else {
            continue;
        };
        for word in words.all() {
            if map.insert(word.clone(), status).is_some() {
                section.wrong(&format!("{field}.{ours}"), format!("{word:?} is listed twice"));
            }
        }
    }
    map
}

/// Whether the status of a stream is a constant that is none of ours, and no table says what it is.
pub fn unknown_constant(form: &Stream) -> bool {
    match (&form.status, &form.statuses) {
        (Some(Right::Text(text)), None) => {
            !value::is_jq(text) && !text.contains('{') && !STATUSES.contains(&text.as_str())
        }
        _ => false,
    }
}

//! From an answer to its records, and to what says how to go on. Nothing here waits.

use std::time::Instant;

use chrono::{DateTime, Utc};
use jaq_json::Val;
use sha2::{Digest, Sha256};

use super::list::{self, Source};
use crate::jq::{self, Filter, FilterError, Limits, Scope, boolean, count_of, id_of, text_of, token_of};
use crate::plan::{NextSource, PageEnd, PageFacts, PagerKind, Strategy, Stream};
use crate::time::{instant, latest};

/// The most records in one answer.
const MOST_RECORDS: usize = 1_000_000;

/// From when to when.
type Span = (DateTime<Utc>, DateTime<Utc>);

/// What an answer holds, before its records are mapped.
#[derive(Debug)]
pub struct Extract {
    pub records: Vec<Val>,
    pub facts: PageFacts,
    /// Where the records come from.
    pub source: Source,
}

impl Extract {
    /// What an answer holds that has no body, and is the end of a list.
    pub fn nothing() -> Self {
        let facts = PageFacts { stop: true, bodiless: true, ..PageFacts::default() };
        Self { records: Vec::new(), facts, source: Source::List }
    }
}

/// Finds the records of `answer` and what says how to go on.
pub fn extract(
    stream: &Stream,
    answer: Val,
    scope: &Scope,
    deadline: Instant,
) -> Result<Extract, FilterError> {
    let one = Limits::one(deadline);
    let mut facts = PageFacts::default();
    if let PagerKind::Cursor { next: NextSource::Body(next), .. }
    | PagerKind::NextUrl { next: NextSource::Body(next), .. } = &stream.pager.kind
    {
        let named = next.run_one(answer.clone(), scope, one)?;
        facts.next_is_number = matches!(named, Val::Num(_));
        facts.next = token_of(next, &named)?;
    }
    if let PageEnd::When(stop) = &stream.pager.stop {
        facts.stop = match stop.run_one(answer.clone(), scope, one)? {
            // what is not there does not end anything
            Val::Null => false,
            given => boolean(stop, &given)?,
        };
    }
    if let Some(more) = &stream.pager.more {
        // null is no answer: a misspelt filter would prove the end of every walk
        facts.more = Some(boolean(more, &more.run_one(answer.clone(), scope, one)?)?);
    }
    if let Some(total) = &stream.pager.total {
        facts.total = count_of(total, &total.run_one(answer.clone(), scope, one)?)?;
    }
    let most = Limits { outputs: MOST_RECORDS, deadline };
    if let Strategy::Delta(delta) = &stream.strategy {
        facts.mark = token_of(&delta.token, &delta.token.run_one(answer.clone(), scope, one)?)?;
        if let Some(removed) = &delta.removed {
            for id in removed.run(answer.clone(), scope, most)? {
                let id = id_of(removed, &id)?;
                facts.removed.push(id.ok_or_else(|| removed.error("yields an empty id".to_owned()))?);
            }
        }
    }
    let (records, source) = rows(stream, &answer, scope, deadline)?;
    let mut digest = Sha256::new();
    for record in &records {
        digest.update(jq::to_json(record));
        digest.update(b"\n");
        look_at(stream, record, scope, one, &mut facts)?;
    }
    facts.count = records.len();
    facts.fingerprint = hex(&digest.finalize()[..16]);
    Ok(Extract { records, facts, source })
}

/// The records of `answer`, which is shown to list them, and where they come from.
pub fn rows(
    stream: &Stream,
    answer: &Val,
    scope: &Scope,
    deadline: Instant,
) -> Result<(Vec<Val>, Source), FilterError> {
    let most = Limits { outputs: MOST_RECORDS, deadline };
    let records = stream.records.run(answer.clone(), scope, most)?;
    let source = list::prove(stream, answer, records.len(), scope, most)?;
    Ok((records, source))
}

fn look_at(
    stream: &Stream,
    record: &Val,
    scope: &Scope,
    limits: Limits,
    facts: &mut PageFacts,
) -> Result<(), FilterError> {
    let cursor = match &stream.strategy {
        Strategy::Window(window) => Some(&window.cursor),
        Strategy::Descending(descending) => Some(&descending.cursor),
        Strategy::Events(events) => {
            let mark = events.mark.run_one(record.clone(), scope, limits);
            match mark.and_then(|id| id_of(&events.mark, &id)) {
                Ok(Some(mark)) => facts.mark = Some(mark),
                // one of which that cannot be found out is read all the same, and once more in the next run
                Ok(None) | Err(_) => facts.unmarked += 1,
            }
            None
        }
        Strategy::Snapshot | Strategy::Delta(_) => None,
    };
    if let Some(cursor) = cursor {
        match times(cursor, record, scope, limits)? {
            Some((at, latest)) => {
                facts.latest = facts.latest.max(Some(latest));
                facts.ascends = facts.first.is_some_and(|first| first < at);
                facts.first = facts.first.or(Some(at));
                facts.times = Some(widened(facts.times, at));
            }
            None => facts.undated += 1,
        }
    }
    if let PagerKind::Keyset { field, .. } = &stream.pager.kind
        && let Some(at) = time(field, record, scope, limits)?
    {
        facts.keys = Some(widened(facts.keys, at));
    }
    Ok(())
}

fn widened(range: Option<Span>, at: DateTime<Utc>) -> Span {
    range.map_or((at, at), |(earliest, latest)| (earliest.min(at), latest.max(at)))
}

/// The time that `filter` finds in `record`; `None` where it has none that can be read. What is no text
/// is no time of any record: an error, since the filter would find none in the others either.
pub fn time(
    filter: &Filter,
    record: &Val,
    scope: &Scope,
    limits: Limits,
) -> Result<Option<DateTime<Utc>>, FilterError> {
    Ok(times(filter, record, scope, limits)?.map(|(at, _)| at))
}

/// As [`time`], with the latest that it can be.
fn times(filter: &Filter, record: &Val, scope: &Scope, limits: Limits) -> Result<Option<Span>, FilterError> {
    match filter.run_one(record.clone(), scope, limits) {
        Err(_) => Ok(None),
        Ok(found) => Ok(text_of(filter, &found)?.and_then(|text| instant(&text).zip(latest(&text)))),
    }
}

/// As digests are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

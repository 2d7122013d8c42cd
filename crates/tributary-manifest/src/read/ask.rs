//! What a run asks for: a page of a walk, records that a list only names, and open records again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use jaq_json::Val;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::extract::{self, Extract};
use super::list::Source;
use super::mapping::{self, Occurrences, Reading};
use super::page::MappedRecord;
use super::partition::Partition;
use super::reader::Reader;
use super::report::{ReadError, Warning};
use super::sharing::Counted;
use crate::jq::{self, Limits, Scope};
use crate::plan::{Asks, Lookup, PageFacts, Position, RequestError, Step, Stream, Walk};
use crate::wire::{Answer, ClientError, Request, Target};

/// A page that was read.
#[derive(Debug)]
pub struct Fetched {
    pub reading: Reading,
    /// What it holds for each of the streams that share it.
    pub shared: Vec<Reading>,
    pub facts: PageFacts,
    /// What comes after it.
    pub step: Step,
    /// Whether it lies wholly behind what was read before.
    pub old: bool,
    /// Whether it named a next page.
    pub names_next: bool,
    /// When it was asked for.
    pub sent_at: DateTime<Utc>,
}

/// The page that is asked for.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub stream: &'a Arc<Stream>,
    pub partition: &'a Partition,
    /// The position from which the walk began.
    pub position: &'a Position,
    pub walk: &'a Walk,
    /// Whether an answer of the stream ever named a next page.
    pub next_known: bool,
    /// Whether a record that a list names and that cannot be had goes to quarantine, and the run on.
    pub put_aside: bool,
    /// The streams that share its answer.
    pub sharing: &'a [Arc<Stream>],
}

/// Which lookup of a stream is meant.
type Which = fn(&Stream) -> Option<&Lookup>;

impl Reader {
    /// Asks for a page and reads it.
    pub(super) async fn page(&self, wanted: Wanted<'_>, counted: &mut Counted) -> Result<Fetched, ReadError> {
        let Wanted { stream, partition, position, walk, next_known, put_aside, sharing } = wanted;
        let Answer { json, status, headers, url, sent_at, repaired, is_empty } = self.answer(wanted).await?;
        let scope = Scope::at(sent_at, partition.record.clone());
        let mut of_answer = scope.clone();
        of_answer.answered = jq::Answered::new(status, &headers);
        let task = Arc::clone(stream);
        let whole = (!is_empty && !sharing.is_empty()).then(|| json.clone());
        let scope_of_answer = of_answer.clone();
        let Extract { mut records, facts, source } = match is_empty {
            true => Extract::nothing(),
            false => {
                self.evaluate(&stream.name, move |deadline| {
                    extract::extract(&task, json, &of_answer, deadline)
                })
                .await?
            }
        };
        let pager = &stream.pager;
        let step = pager.next(walk, &facts, &headers, &url).map_err(ReadError::Paging)?;
        let old = stream.is_old(position, walk, &facts).map_err(ReadError::Paging)?;
        if step == Step::End && !old {
            pager.prove_end(walk, &facts, next_known).map_err(ReadError::Paging)?;
        }
        let names_next = pager.named_next(&facts, &headers).map_err(ReadError::Paging)?.is_some();
        let mut missing = Vec::new();
        if stream.detail.is_some() {
            (records, missing) = self.details(stream, partition, records, &scope).await?;
        }
        let broken = repaired.is_some();
        let own = &mut counted.own;
        let mut reading = self.map(stream, &partition.key, records, scope.clone(), broken, own).await?;
        let mut shared = Vec::with_capacity(sharing.len());
        for (sharing, occurrences) in sharing.iter().zip(&mut counted.sharing) {
            let Some(answer) = &whole else {
                shared.push(Reading::default());
                continue;
            };
            let (task, answer, of_answer) = (Arc::clone(sharing), answer.clone(), scope_of_answer.clone());
            let rows = move |deadline| extract::rows(&task, &answer, &of_answer, deadline);
            let (records, source) = self.evaluate(&sharing.name, rows).await?;
            let reading =
                self.map(sharing, &partition.key, records, scope.clone(), broken, occurrences).await?;
            only_record(source, &reading)?;
            shared.push(reading);
        }
        if stream.detail.is_some()
            && !put_aside
            && let Some(reason) = unmappable(&reading)
        {
            return Err(ReadError::Detail(reason.to_owned()));
        }
        only_record(source, &reading)?;
        if let Some(header) = self.client.unread_limit(&headers) {
            reading.warnings.insert(Warning::UnreadLimit(header), 1);
        }
        if let Some(what) = repaired {
            reading.warnings.insert(Warning::Repaired(what), 1);
        }
        for (warning, times) in [(Warning::NoCursor, facts.undated), (Warning::NoMark, facts.unmarked)] {
            if times > 0 {
                *reading.warnings.entry(warning).or_default() += times;
            }
        }
        for path in missing {
            *reading.warnings.entry(Warning::NotThere(path)).or_default() += 1;
        }
        Ok(Fetched { reading, shared, facts, step, old, names_next, sent_at })
    }

    async fn answer(&self, wanted: Wanted<'_>) -> Result<Answer, ReadError> {
        let Wanted { stream, partition, position, walk, .. } = wanted;
        let scope = Scope::at(Utc::now(), partition.record.clone());
        let asks = stream.asks(position, walk).map_err(ReadError::Paging)?;
        let mut request = self.request(stream, None, &partition.record, scope, asks).await?;
        if let Some(values) = &stream.values {
            let json = values.iter().map(|text| Val::from(text.clone())).collect();
            let url = self.client.reach(&request.target).map_err(ReadError::Paging)?;
            let (status, headers, sent_at) = (StatusCode::OK, HeaderMap::new(), Utc::now());
            return Ok(Answer { json, status, headers, url, sent_at, repaired: None, is_empty: false });
        }
        request.lane = self.lane(&stream.name, &partition.key);
        request.empty = stream.empty.clone();
        request.read_as = stream.read_as.clone();
        Ok(self.client.send(&request, &stream.rules).await?)
    }

    /// Maps `records` of `partition` in the cage, in several pieces at once where it does not count
    /// how many equal ones came before. `repaired` says that some of their text came broken.
    pub(super) async fn map(
        &self,
        stream: &Arc<Stream>,
        partition: &str,
        records: Vec<Val>,
        scope: Scope,
        repaired: bool,
        occurrences: &mut Occurrences,
    ) -> Result<Reading, ReadError> {
        if stream.identity.is_some() {
            let counted = std::mem::take(occurrences);
            let (reading, counted) =
                self.map_piece(stream, partition, records, &scope, repaired, counted).await?;
            *occurrences = counted;
            return Ok(reading);
        }
        let pieces = self.pieces(records).into_iter();
        let pieces = pieces
            .map(|records| self.map_piece(stream, partition, records, &scope, repaired, Occurrences::new()));
        let mut mapped = Reading::default();
        for (reading, _) in try_join_all(pieces).await? {
            mapped.append(reading);
        }
        Ok(mapped)
    }

    async fn map_piece(
        &self,
        stream: &Arc<Stream>,
        partition: &str,
        records: Vec<Val>,
        scope: &Scope,
        repaired: bool,
        mut occurrences: Occurrences,
    ) -> Result<(Reading, Occurrences), ReadError> {
        let (task, partition, scope) = (Arc::clone(stream), partition.to_owned(), scope.clone());
        self.evaluate(&stream.name, move |deadline| {
            let reading =
                mapping::map(&task, &partition, records, &scope, repaired, &mut occurrences, deadline)?;
            Ok((reading, occurrences))
        })
        .await
    }

    /// The request of `stream`, or that of `lookup`, for `record`.
    async fn request(
        &self,
        stream: &Arc<Stream>,
        lookup: Option<Which>,
        record: &Val,
        scope: Scope,
        asks: Asks,
    ) -> Result<Request, ReadError> {
        let (task, record) = (Arc::clone(stream), record.clone());
        let build = move |deadline| {
            let template = match lookup.and_then(|lookup| lookup(&task)) {
                Some(lookup) => &lookup.request,
                None => &task.request,
            };
            template.build_asking(&record, &scope, Limits::one(deadline), &asks)
        };
        self.built(stream, build).await
    }

    /// The request of `stream` that `build` makes.
    pub(super) async fn built(
        &self,
        stream: &Stream,
        build: impl FnOnce(Instant) -> Result<Request, RequestError> + Send + 'static,
    ) -> Result<Request, ReadError> {
        let build = move |deadline| match build(deadline) {
            Ok(request) => Ok(Ok(request)),
            Err(RequestError::Filter(error)) => Err(error),
            Err(error) => Ok(Err(error)),
        };
        Ok(self.evaluate(&stream.name, build).await??)
    }

    /// The records that `named` only name, each once, and the paths of those that are not there.
    async fn details(
        &self,
        stream: &Arc<Stream>,
        partition: &Partition,
        named: Vec<Val>,
        scope: &Scope,
    ) -> Result<(Vec<Val>, Vec<String>), ReadError> {
        let detail: Which = |stream| stream.detail.as_ref();
        let mut asked = HashSet::new();
        let (mut records, mut missing) = (Vec::new(), Vec::new());
        for name in named {
            let asks = Asks::default();
            let mut request = self.request(stream, Some(detail), &name, scope.clone(), asks).await?;
            request.lane = self.lane(&stream.name, &partition.key);
            let Target::Relative { path, query } = &request.target else { continue };
            if asked.insert((path.clone(), query.clone(), request.body.clone())) {
                match self.look_up(stream, detail, &request, scope).await? {
                    Some(record) => records.push(record),
                    None => missing.push(path.clone()),
                }
            }
        }
        Ok((records, missing))
    }

    /// The record that `request` asks for; `None` where there is none (any more).
    async fn look_up(
        &self,
        stream: &Arc<Stream>,
        lookup: Which,
        request: &Request,
        scope: &Scope,
    ) -> Result<Option<Val>, ReadError> {
        let request = Request { read_as: stream.read_as.clone(), ..request.clone() };
        let json = match self.client.send(&request, &stream.rules).await {
            Ok(answer) => answer.json,
            Err(ClientError::Refused { status: 404 | 410, .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (task, scope) = (Arc::clone(stream), scope.clone());
        let record = self.evaluate(&stream.name, move |deadline| {
            let Some(lookup) = lookup(&task) else { return Ok(None) };
            lookup.record.run_one(json, &scope, Limits::one(deadline)).map(Some)
        });
        record.await
    }

    /// Asks for an open record again; `None` where there is none any more.
    pub(super) async fn refresh(
        &self,
        stream: &Arc<Stream>,
        partition: &Partition,
        record: &Val,
    ) -> Result<Option<Val>, ReadError> {
        let scope = Scope::at(Utc::now(), partition.record.clone());
        let which: Which = Stream::refresh_lookup;
        let mut request = self.request(stream, Some(which), record, scope.clone(), Asks::default()).await?;
        request.lane = self.lane(&stream.name, &partition.key);
        self.look_up(stream, which, &request, &scope).await
    }
}

/// Refuses an answer that is one record, and not the one that is asked for.
fn only_record(source: Source, reading: &Reading) -> Result<(), ReadError> {
    match unmappable(reading).filter(|_| source == Source::Itself) {
        Some(reason) => {
            Err(ReadError::Paging(format!("the answer is not the record that is asked for: {reason}")))
        }
        None => Ok(()),
    }
}

/// Why a record of a page cannot be mapped, if there is one.
fn unmappable(reading: &Reading) -> Option<&str> {
    reading.records.iter().find_map(|record| match record {
        MappedRecord::Unmappable { reason, .. } => Some(reason.as_str()),
        _ => None,
    })
}

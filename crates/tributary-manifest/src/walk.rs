//! One page of a walk: asked for, read, mapped.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use jaq_json::Val;

use super::client::{Answer, ClientError, Request, Target};
use super::engine::{Connection, scope};
use super::jq::{Limits, Scope};
use super::page::{ReadError, Warning};
use super::pager::Step;
use super::plan::{Lookup, Strategy, Stream};
use super::position::{Position, Walk};
use super::reading::{self, Extract, Occurrences, PageFacts, Partition, Reading};
use super::request::RequestError;
use super::window;

/// A page that was read.
#[derive(Debug)]
pub struct Fetched {
    pub reading: Reading,
    pub facts: PageFacts,
    /// What comes after it.
    pub step: Step,
    /// Whether it lies wholly behind what was read before.
    pub old: bool,
    /// Whether it told a next page.
    pub tells_next: bool,
}

impl Stream {
    /// The walk that begins at `now`, cut to the microsecond: what it lists is kept as seen at that
    /// time, and has to come back as no earlier than it, or all would be taken for not listed.
    pub fn begin(&self, position: &Position, now: DateTime<Utc>) -> Walk {
        let now = now.trunc_subsecs(6);
        match &self.strategy {
            Strategy::Window(window) => window.open(position.watermark, now),
            _ => window::whole(now),
        }
    }

    /// The walk that follows `walk`, which has ended, in the same run.
    pub fn next_walk(&self, walk: &Walk) -> Option<Walk> {
        match &self.strategy {
            Strategy::Window(window) => window.next(walk),
            _ => None,
        }
    }

    /// The watermark once `walk` has ended.
    pub fn close(&self, watermark: Option<DateTime<Utc>>, walk: &Walk) -> Option<DateTime<Utc>> {
        match &self.strategy {
            Strategy::Window(window) => window.close(watermark, walk),
            Strategy::Descending(descending) => descending.close(watermark, walk),
            Strategy::Snapshot | Strategy::Events(_) => watermark.max(Some(walk.begun_at)),
        }
    }

    /// Whether a page of these times lies wholly behind what was read before.
    fn is_old(&self, position: &Position, walk: &Walk, facts: &PageFacts) -> bool {
        let Strategy::Descending(descending) = &self.strategy else { return false };
        let end = descending.end(position.watermark, walk.begun_at);
        // one record without a time could be a new one
        facts.undated == 0 && facts.times.is_some_and(|(_, latest)| latest < end)
    }

    /// The parameters that ask for what is new.
    fn query(&self, position: &Position, walk: &Walk) -> Vec<(String, String)> {
        match &self.strategy {
            Strategy::Window(window) => window.query(walk),
            Strategy::Events(events) => {
                position.mark.iter().map(|mark| (events.param.clone(), mark.clone())).collect()
            }
            Strategy::Snapshot | Strategy::Descending(_) => Vec::new(),
        }
    }
}

impl Connection {
    /// Asks for the page of `walk` in `partition` of `stream`, of which `next_seen` says whether an
    /// answer ever told a next page, and reads it.
    pub(super) async fn page(
        &self,
        stream: &Arc<Stream>,
        partition: &Partition,
        position: &Position,
        walk: &Walk,
        next_seen: bool,
        occurrences: &mut Occurrences,
    ) -> Result<Fetched, ReadError> {
        let mut request = self
            .request(stream, None, &partition.record, scope(Utc::now(), partition.record.clone()))
            .await?;
        if let Target::Relative { query, .. } = &mut request.target {
            query.extend(stream.query(position, walk));
        }
        stream.pager.apply(walk.token.as_ref(), &mut request).map_err(ReadError::Paging)?;
        let Answer { json, headers, url, sent_at, .. } = self.client.send(&request, &stream.rules).await?;
        let scope = scope(sent_at, partition.record.clone());
        let (task, seen) = (Arc::clone(stream), scope.clone());
        let Extract { mut records, facts } =
            self.evaluate(move |deadline| reading::extract(&task, json, &seen, deadline)).await?;
        let pager = &stream.pager;
        let step = pager.next(walk, &facts, &headers, &url).map_err(ReadError::Paging)?;
        let old = stream.is_old(position, walk, &facts);
        if step == Step::End && !old {
            pager.prove_end(walk, &facts, next_seen).map_err(ReadError::Paging)?;
        }
        let tells_next = pager.told(&facts, &headers).map_err(ReadError::Paging)?.is_some();
        let mut missing = 0;
        if stream.detail.is_some() {
            (records, missing) = self.details(stream, records, &scope).await?;
        }
        let mut reading = self.map(stream, &partition.key, records, scope, occurrences).await?;
        for (warning, times) in [
            (Warning::NotThere, missing),
            (Warning::NoCursor, facts.undated),
            (Warning::NoMark, facts.unmarked),
        ] {
            if times > 0 {
                *reading.warnings.entry(warning).or_default() += times;
            }
        }
        Ok(Fetched { reading, facts, step, old, tells_next })
    }

    /// Maps `records` of `partition` in the cage.
    pub(super) async fn map(
        &self,
        stream: &Arc<Stream>,
        partition: &str,
        records: Vec<Val>,
        scope: Scope,
        occurrences: &mut Occurrences,
    ) -> Result<Reading, ReadError> {
        let (task, partition) = (Arc::clone(stream), partition.to_owned());
        let mut counted = std::mem::take(occurrences);
        let (reading, counted) = self
            .evaluate(move |deadline| {
                let reading = reading::map(&task, &partition, records, &scope, &mut counted, deadline)?;
                Ok((reading, counted))
            })
            .await?;
        *occurrences = counted;
        Ok(reading)
    }

    /// The request of `stream`, or that of `lookup`, for `record`.
    async fn request(
        &self,
        stream: &Arc<Stream>,
        lookup: Option<fn(&Stream) -> Option<&Lookup>>,
        record: &Val,
        scope: Scope,
    ) -> Result<Request, ReadError> {
        let (task, record) = (Arc::clone(stream), record.clone());
        let build = move |deadline| {
            let template = match lookup.and_then(|lookup| lookup(&task)) {
                Some(lookup) => &lookup.request,
                None => &task.request,
            };
            match template.build(&record, &scope, Limits { outputs: 1, deadline }) {
                Ok(request) => Ok(Ok(request)),
                Err(RequestError::Filter(error)) => Err(error),
                Err(error) => Ok(Err(error)),
            }
        };
        Ok(self.evaluate(build).await??)
    }

    /// The records that `named` only name, each once, and how many of them are not there.
    async fn details(
        &self,
        stream: &Arc<Stream>,
        named: Vec<Val>,
        scope: &Scope,
    ) -> Result<(Vec<Val>, u64), ReadError> {
        let mut asked = std::collections::HashSet::new();
        let (mut records, mut missing) = (Vec::new(), 0);
        for name in named {
            let request =
                self.request(stream, Some(|stream| stream.detail.as_ref()), &name, scope.clone()).await?;
            let Target::Relative { path, query } = &request.target else { continue };
            if asked.insert((path.clone(), query.clone(), request.body.clone())) {
                match self.look_up(stream, |stream| stream.detail.as_ref(), &request, scope).await? {
                    Some(record) => records.push(record),
                    None => missing += 1,
                }
            }
        }
        Ok((records, missing))
    }

    /// The record that `request` asks for; `None` where there is none (any more).
    pub(super) async fn look_up(
        &self,
        stream: &Arc<Stream>,
        lookup: fn(&Stream) -> Option<&Lookup>,
        request: &Request,
        scope: &Scope,
    ) -> Result<Option<Val>, ReadError> {
        let json = match self.client.send(request, &stream.rules).await {
            Ok(answer) => answer.json,
            Err(ClientError::Refused { status: 404 | 410, .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (task, scope) = (Arc::clone(stream), scope.clone());
        let record = self.evaluate(move |deadline| {
            let Some(lookup) = lookup(&task) else { return Ok(None) };
            lookup.record.run_one(json, &scope, Limits { outputs: 1, deadline }).map(Some)
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
        let scope = scope(Utc::now(), partition.record.clone());
        let request = self.request(stream, Some(Stream::refresh_lookup), record, scope.clone()).await?;
        self.look_up(stream, Stream::refresh_lookup, &request, &scope).await
    }
}

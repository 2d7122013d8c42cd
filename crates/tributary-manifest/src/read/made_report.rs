//! Reports: the API is asked to make one, it is waited for, and its rows are fetched. Which one it is, is kept
//! before anything else is asked, so that a run that is killed does not have another one made.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::course::Course;
use super::hand_over::Pages;
use super::mapping::Reading;
use super::page::PageSink;
use super::partition::Partition;
use super::reader::Reader;
use super::report::{ReadError, Warning};
use super::run::Run;
use crate::jq::{Limits, Scope, holds, id_of, token_of};
use crate::plan::{Asks, Report, ReportPlan, RequestTemplate, Stream};
use crate::wire::{Answer, retry::LONGEST_WAIT};

/// Where a report stands.
enum Standing {
    Ready(Report),
    NotYet,
}

impl<S: PageSink> Run<'_, S> {
    /// Has the report of the walk made and waits for it. `false` says that it is not ready for as long as a run
    /// waits: the next one goes on with it.
    pub(super) async fn await_report(
        &mut self,
        stream: &Arc<Stream>,
        partition: &Partition,
        course: &mut Course,
        pages: &mut Pages,
    ) -> Result<Result<bool, ReadError>, S::Error> {
        let Some(plan) = &stream.report else { return Ok(Ok(true)) };
        if course.walk.report.is_none() {
            let asks = stream.asks_what(&course.asked, &course.walk);
            let report = match self.reader.create_report(stream, plan, partition, asks).await {
                Ok(report) => report,
                Err(error) => return Ok(Err(error)),
            };
            course.walk.report = Some(report);
            let cursor = Some(course.stands_at());
            self.hand_over(stream, partition, Reading::default(), cursor, pages, false).await?;
        }
        let until = self.reader.client.now() + LONGEST_WAIT;
        loop {
            let Some(report) = course.walk.report.clone().filter(|report| !report.is_ready) else {
                return Ok(Ok(true));
            };
            match self.reader.look_at_report(stream, plan, partition, report).await {
                Ok(Standing::Ready(report)) => course.walk.report = Some(report),
                Ok(Standing::NotYet) if self.reader.client.now() > until => {
                    self.warn(stream, partition, [(Warning::ReportNotReady, 1)].into()).await?;
                    return Ok(Ok(false));
                }
                Ok(Standing::NotYet) => self.reader.client.pause(plan.every).await,
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

impl Reader {
    async fn create_report(
        &self,
        stream: &Arc<Stream>,
        plan: &ReportPlan,
        partition: &Partition,
        asks: Asks,
    ) -> Result<Report, ReadError> {
        let created: for<'a> fn(&'a ReportPlan) -> &'a RequestTemplate = |plan| &plan.create;
        let Answer { json, sent_at, .. } = self.ask_of_report(stream, created, partition, asks, true).await?;
        let scope = Scope::at(sent_at, partition.record.clone());
        let task = Arc::clone(stream);
        let id = self
            .evaluate(&stream.name, move |deadline| {
                let Some(plan) = &task.report else { return Ok(None) };
                id_of(&plan.id, &plan.id.run_one(json, &scope, Limits::one(deadline))?)
            })
            .await?;
        let id =
            id.ok_or_else(|| ReadError::Filter(plan.id.error("yields no id of the report".to_owned())))?;
        Ok(Report { id, created_at: sent_at, is_ready: false, url: None })
    }

    async fn look_at_report(
        &self,
        stream: &Arc<Stream>,
        plan: &ReportPlan,
        partition: &Partition,
        report: Report,
    ) -> Result<Standing, ReadError> {
        let asks = Stream::asks_for_report(&report).map_err(ReadError::Paging)?;
        let poll: for<'a> fn(&'a ReportPlan) -> &'a RequestTemplate = |plan| &plan.poll;
        let Answer { json, sent_at, .. } = self.ask_of_report(stream, poll, partition, asks, false).await?;
        let scope = Scope::at(sent_at, partition.record.clone());
        let task = Arc::clone(stream);
        let (ready, failed, url) = self
            .evaluate(&stream.name, move |deadline| {
                let Some(plan) = &task.report else { return Ok((false, false, None)) };
                let one = Limits::one(deadline);
                let ready = holds(&plan.ready.run_one(json.clone(), &scope, one)?);
                let failed = match &plan.failed {
                    Some(failed) => holds(&failed.run_one(json.clone(), &scope, one)?),
                    None => false,
                };
                let url = match plan.url.as_ref().filter(|_| ready) {
                    Some(url) => token_of(url, &url.run_one(json, &scope, one)?)?,
                    None => None,
                };
                Ok((ready, failed, url))
            })
            .await?;
        let told = |why: String| Err(ReadError::Paging(format!("report: {} {why}", report.id)));
        match (failed, ready) {
            (true, _) => told("was not made, as the API says (`ready.failed`)".to_owned()),
            (false, true) if plan.url.is_some() && url.is_none() => {
                told("is ready, but there is no URL at which it is fetched (`fetch.url`)".to_owned())
            }
            (false, true) => Ok(Standing::Ready(Report { is_ready: true, url, ..report })),
            (false, false) if self.is_overdue(&report, plan) => {
                told(format!("is not ready for longer than `ready.within` since {}", report.created_at))
            }
            (false, false) => Ok(Standing::NotYet),
        }
    }

    fn is_overdue(&self, report: &Report, plan: &ReportPlan) -> bool {
        let now: DateTime<Utc> = self.client.now();
        now - report.created_at > plan.within
    }

    /// The answer to one of the requests of a report.
    async fn ask_of_report(
        &self,
        stream: &Arc<Stream>,
        which: for<'a> fn(&'a ReportPlan) -> &'a RequestTemplate,
        partition: &Partition,
        asks: Asks,
        once: bool,
    ) -> Result<Answer, ReadError> {
        let scope = Scope::at(Utc::now(), partition.record.clone());
        let (task, record) = (Arc::clone(stream), partition.record.clone());
        let request = self.built(stream, move |deadline| {
            let template = task.report.as_ref().map_or(&task.request, which);
            template.build_asking(&record, &scope, Limits::one(deadline), &asks)
        });
        let mut request = request.await?;
        request.lane = self.lane(&stream.name, &partition.key);
        request.once = once;
        Ok(self.client.send(&request, &stream.rules).await?)
    }
}

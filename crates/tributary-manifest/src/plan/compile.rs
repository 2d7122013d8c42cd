//! From what a manifest says of a stream to the stream.

use std::sync::Arc;

use crate::client::Rules;
use crate::jq::Filter;
use crate::manifest::{
    self, Incremental, Method, Next, Paging, Pending, Refresh, ReportManifest, RequestManifest,
    StreamManifest, WindowManifest,
};
use crate::writing::ReadAs;
use tributary_domain::Resource;

use super::window::{Descending, Halving, Window};
use super::{
    Delta, Events, IdentityPlan, Lookup, ManifestError, Output, Pager, PagerKind, Parent, ReportPlan,
    RequestTemplate, RequestTemplateError, Strategy, Stream, TrackedBy, Tracking, field, hazards, pager,
};

/// Compiles `described`, which comes after the streams `earlier`.
pub fn stream(
    described: &StreamManifest,
    functions: &str,
    keeps_raw: bool,
    earlier: &[Stream],
) -> Result<Stream, ManifestError> {
    let name = described.name.as_str();
    if name.is_empty() || earlier.iter().any(|stream| stream.name == name) {
        return Err(field(name, "name", "is empty or used twice"));
    }
    let compiler = Compiler { name, functions, keeps_raw };
    let request = compiler.request("", &described.request)?;
    let parent = compiler.parent(described, &request, earlier)?;
    let shares = compiler.shares(described, earlier)?;
    let identity = match &described.identity {
        Some(identity) => Some(IdentityPlan {
            id: compiler.filter("identity.id", &identity.id)?,
            fields: compiler.filter("identity.fields", &identity.fields)?,
        }),
        None => None,
    };
    let detail = match &described.detail {
        Some(detail) => Some(Lookup {
            request: compiler.request("detail.", &detail.request)?,
            record: compiler.filter("detail.row", &detail.record)?,
        }),
        None => None,
    };
    hazards::check(described)?;
    Ok(Stream {
        name: name.to_owned(),
        request,
        values: described.values.as_ref().map(manifest::Values::texts),
        rules: compiler.rules(described)?,
        report: described.report.as_ref().map(|report| compiler.report(report, described)).transpose()?,
        read_as: compiler.read_as(described)?,
        empty: compiler.empty(&described.empty)?,
        pager: compiler.pager(described.paging.as_ref(), described.total.as_ref())?,
        records: compiler.filter("rows", &described.records)?,
        list_when: (described.list_when.as_deref())
            .map(|when| compiler.filter("list_when", when))
            .transpose()?,
        detail,
        identity,
        output: compiler.output(described)?,
        parent,
        strategy: compiler.strategy(described.incremental.as_ref())?,
        tracking: compiler.tracking(described)?,
        is_parent: false,
        shares,
        feeds_a_parent: false,
        feeds_a_count: false,
        lines: described.lines.clone(),
    })
}

struct Compiler<'a> {
    name: &'a str,
    functions: &'a str,
    keeps_raw: bool,
}

impl Compiler<'_> {
    fn filter(&self, field: &'static str, code: &str) -> Result<Filter, ManifestError> {
        Ok(Filter::compile(self.name, field, self.functions, code)?)
    }

    fn request(&self, prefix: &str, request: &RequestManifest) -> Result<RequestTemplate, ManifestError> {
        if request.method == Method::Put {
            let why = "PUT is for payouts and transfers";
            return Err(field(self.name, &format!("{prefix}request.method"), why));
        }
        RequestTemplate::compile(self.name, self.functions, request).map_err(|error| match error {
            RequestTemplateError::Member(member, why) => field(self.name, &format!("{prefix}{member}"), why),
            RequestTemplateError::Filter(error) => error.into(),
        })
    }

    fn parent(
        &self,
        described: &StreamManifest,
        request: &RequestTemplate,
        earlier: &[Stream],
    ) -> Result<Option<Parent>, ManifestError> {
        match (&described.for_each, &described.partition) {
            (Some(parent), Some(key)) => {
                let index = earlier.iter().position(|stream| stream.name == *parent);
                let index =
                    index.ok_or_else(|| field(self.name, "for_each", "names no stream above this one"))?;
                Ok(Some(Parent { index, key: Arc::new(self.filter("partition", key)?) }))
            }
            (None, None) if request.has_fields() => Err(field(
                self.name,
                "request",
                "has fields in braces, but there is no for_each to take them from",
            )),
            (None, None) => Ok(None),
            _ => Err(field(self.name, "partition", "belongs to for_each: give both or none")),
        }
    }

    fn shares(&self, described: &StreamManifest, earlier: &[Stream]) -> Result<Option<usize>, ManifestError> {
        let Some(name) = &described.shares else { return Ok(None) };
        let index = earlier.iter().position(|stream| stream.name == *name && stream.shares.is_none());
        let index = index.ok_or_else(|| {
            field(self.name, "shares", "names no stream above this one with a request of its own")
        })?;
        if described.incremental.is_some() || described.detail.is_some() {
            return Err(field(
                self.name,
                "shares",
                "has what is new asked for by the stream whose answers it shares, which also reads no details for it",
            ));
        }
        if described.pending.is_some() && earlier[index].is_delta() {
            return Err(field(
                self.name,
                "pending",
                "is for the stream that is told of removals, and not for one that shares its answers",
            ));
        }
        Ok(Some(index))
    }

    fn rules(&self, described: &StreamManifest) -> Result<Rules, ManifestError> {
        let too_much = match &described.incremental {
            Some(
                Incremental::UpdatedWindow(window)
                | Incremental::CreatedWindow(window)
                | Incremental::DateWindow(window),
            ) => window.halve.as_ref().and_then(|halve| halve.when.as_deref()),
            _ => None,
        };
        let rules = match too_much {
            Some(when) => Rules::halving(self.functions, when, &described.errors),
            None => Rules::compile(self.functions, &described.errors),
        };
        rules.map_err(|(path, why)| field(self.name, &path, why))
    }

    fn report(
        &self,
        report: &ReportManifest,
        described: &StreamManifest,
    ) -> Result<ReportPlan, ManifestError> {
        if described.resource.is_none() {
            return Err(field(self.name, "report", "needs a resource, with whose records its id is kept"));
        }
        if report.every.as_duration().is_zero() || report.within < report.every {
            return Err(field(
                self.name,
                "report.ready.within",
                "has to be longer than `every`, which is at least 1s",
            ));
        }
        let optional = |name: &'static str, code: &Option<String>| {
            code.as_ref().map(|code| self.filter(name, code)).transpose()
        };
        Ok(ReportPlan {
            create: self.request("report.create.", &report.create)?,
            id: self.filter("report.create.id", &report.id)?,
            poll: self.request("report.ready.", &report.poll)?,
            ready: self.filter("report.ready.where", &report.ready)?,
            failed: optional("report.ready.failed", &report.failed)?,
            url: optional("report.fetch.url", &report.url)?,
            every: report.every.as_duration(),
            within: report.within.as_delta(),
        })
    }

    fn read_as(&self, described: &StreamManifest) -> Result<Option<Arc<ReadAs>>, ManifestError> {
        let read_as = described.answer.as_ref().map(ReadAs::new).transpose();
        let read_as = read_as.map_err(|(member, why)| field(self.name, &format!("answer.{member}"), why))?;
        Ok(read_as.map(Arc::new))
    }

    fn empty(&self, statuses: &[u16]) -> Result<Arc<[u16]>, ManifestError> {
        match statuses.iter().find(|status| !(200..300).contains(*status) && **status != 304) {
            Some(status) => {
                let why = format!("{status} is no success: only 2xx and 304 can say that a list is empty");
                Err(field(self.name, "empty", why))
            }
            None => Ok(statuses.into()),
        }
    }

    fn output(&self, described: &StreamManifest) -> Result<Option<Output>, ManifestError> {
        let (resource, map) = match (described.resource, &described.map) {
            (Some(resource), Some(map)) => (resource, map),
            (None, None) if described.incremental.is_some() => {
                // its cursor could be kept nowhere, since it hands over no pages
                return Err(field(self.name, "incremental", "needs a resource"));
            }
            (None, None) => return Ok(None),
            _ => return Err(field(self.name, "map", "belongs to resource: give both or none")),
        };
        if described.status_map.is_some() && resource != Resource::Transactions {
            return Err(field(self.name, "status_map", "is for transactions"));
        }
        let map = self.filter("map", map)?;
        Ok(Some(Output {
            resource,
            map,
            by_fields: described.by_fields,
            status_map: described.status_map.clone(),
            keeps_raw: self.keeps_raw,
        }))
    }

    fn strategy(&self, incremental: Option<&Incremental>) -> Result<Strategy, ManifestError> {
        Ok(match incremental {
            None | Some(Incremental::Snapshot {}) => Strategy::Snapshot,
            Some(
                Incremental::UpdatedWindow(window)
                | Incremental::CreatedWindow(window)
                | Incremental::DateWindow(window),
            ) => Strategy::Window(Box::new(self.window(by(incremental), window)?)),
            Some(Incremental::DescendingFeed { cursor, lookback, start }) => {
                Strategy::Descending(Descending {
                    cursor: self.filter("newest_first.by", cursor)?,
                    lookback: lookback.as_delta(),
                    start: start.as_delta(),
                })
            }
            Some(Incremental::Delta { token, param, removed }) => Strategy::Delta(Delta {
                token: self.filter("delta.token", token)?,
                param: param.clone(),
                removed: removed.as_ref().map(|removed| self.filter("delta.removed", removed)).transpose()?,
            }),
            Some(Incremental::EventFeed { mark, param }) => {
                Strategy::Events(Events { mark: self.filter("events.mark", mark)?, param: param.clone() })
            }
        })
    }

    fn window(&self, by: &'static str, window: &WindowManifest) -> Result<Window, ManifestError> {
        Ok(Window {
            cursor: self.filter(by, &window.cursor)?,
            from: window.from.clone(),
            to: window.to.clone(),
            lookback: window.lookback.as_delta(),
            settle: window.settle.as_delta(),
            start: window.start.as_delta(),
            step: window.step.map(|step| step.as_delta()),
            halving: window.halve.as_ref().zip(window.to.as_ref()).map(|(halve, to)| Halving {
                at: halve.at,
                shortest: halve
                    .shortest
                    .map_or_else(|| Window::shortest_step(&window.from, to), |shortest| shortest.as_delta()),
            }),
        })
    }

    fn tracking(&self, described: &StreamManifest) -> Result<Option<Tracking>, ManifestError> {
        let at = match &described.incremental {
            Some(Incremental::UpdatedWindow(window) | Incremental::CreatedWindow(window))
            | Some(Incremental::DateWindow(window)) => {
                Some(self.filter(by(described.incremental.as_ref()), &window.cursor)?)
            }
            _ => None,
        };
        match (&described.refresh, &described.pending) {
            (None, None) => Ok(None),
            (Some(Refresh { open, key, by_id, request, record, every, give_up }), None) => {
                Ok(Some(Tracking {
                    key: self.filter(if *by_id { "id" } else { "refresh.key" }, key)?,
                    open: self.filter("refresh.open", open)?,
                    at,
                    by: TrackedBy::Refresh {
                        lookup: Box::new(Lookup {
                            request: self.request("refresh.", request)?,
                            record: self.filter("refresh.row", record)?,
                        }),
                        every: every.as_delta(),
                        give_up: give_up.as_delta(),
                    },
                }))
            }
            (None, Some(Pending { when, key })) => Ok(Some(Tracking {
                key: match key {
                    Some(id) => self.filter("id", id)?,
                    None => self.filter("identity", "$identity")?,
                },
                open: self.filter("pending", when)?,
                at,
                by: match &described.incremental {
                    Some(Incremental::Delta { .. }) => TrackedBy::Removal,
                    _ => TrackedBy::Absence,
                },
            })),
            _ => Err(field(self.name, "pending", "and refresh exclude each other")),
        }
    }

    fn pager(&self, paging: Option<&Paging>, total: Option<&String>) -> Result<Pager, ManifestError> {
        let Some(paging) = paging else {
            let (kind, stop) = (PagerKind::Single, pager::PageEnd::NoNext);
            return Ok(Pager { kind, stop, size: None, more: None, total: None, may_end_full: false });
        };
        let (kind, stop, size, more) = match paging {
            Paging::Page { param, first, size, stop, more } => {
                (PagerKind::Page { param: param.clone(), first: *first }, stop, Some(size), more)
            }
            Paging::Offset { param, size, stop, more } => {
                (PagerKind::Offset { param: param.clone() }, stop, Some(size), more)
            }
            Paging::Cursor { param, next, bound, size, stop, more, .. } => {
                let (param, next) = (param.clone(), self.next("page.next", next)?);
                (PagerKind::Cursor { param, next, bound: *bound }, stop, size.as_ref(), more)
            }
            Paging::NextUrl { next, https, size, stop, more, .. } => (
                PagerKind::NextUrl { next: self.next("page.url", next)?, https: *https },
                stop,
                size.as_ref(),
                more,
            ),
            Paging::Keyset { param, field, bound, format, order, size, stop, more } => {
                let field = self.filter("page.time", field)?;
                let keyset = pager::Keyset { bound: *bound, format: format.clone(), order: *order };
                (PagerKind::Keyset { param: param.clone(), field, keyset }, stop, Some(size), more)
            }
        };
        let stop = match stop {
            manifest::Stop::ShortPage => pager::PageEnd::ShortPage,
            manifest::Stop::EmptyPage => pager::PageEnd::EmptyPage,
            manifest::Stop::NoNext => pager::PageEnd::NoNext,
            manifest::Stop::When(when) => pager::PageEnd::When(self.filter("page.ends", when)?),
        };
        let more = more.as_ref().map(|more| self.filter("page.more", more)).transpose()?;
        let may_end_full = match paging {
            Paging::Cursor { may_end_full, .. } | Paging::NextUrl { may_end_full, .. } => *may_end_full,
            _ => false,
        };
        let total = total.map(|total| self.filter("page.total", total)).transpose()?;
        Ok(Pager { kind, stop, size: size.cloned(), more, total, may_end_full })
    }

    fn next(&self, name: &'static str, next: &Next) -> Result<pager::NextSource, ManifestError> {
        Ok(match next {
            Next::Body(filter) => pager::NextSource::Body(self.filter(name, filter)?),
            Next::Header(name) => pager::NextSource::Header(name.clone()),
            Next::Link => pager::NextSource::Link,
        })
    }
}

/// What a file calls the time by which a stream is read.
fn by(incremental: Option<&Incremental>) -> &'static str {
    match incremental {
        Some(Incremental::CreatedWindow(_)) => "creations.by",
        Some(Incremental::DateWindow(_)) => "days.by",
        _ => "changes.by",
    }
}

//! What reading a provider takes: who asks, what for, and where its filters run.

use std::sync::Arc;
use std::time::Instant;

use tributary_domain::{ProviderName, Resource};

use super::mapper::Mapper;
use super::page::PageSink;
use super::remap::RemapError;
use super::report::{ReadError, RunError, RunReport};
use super::run::{Most, Run};
use super::selection::Selection;
use crate::cage::Cage;
use crate::client::Client;
use crate::jq::FilterError;
use crate::manifest::LimitScope;
use crate::plan::Stream;
use crate::wire::{Lane, meter};

/// As many records at least are mapped together as are worth another thread.
const LEAST_PIECE: usize = 100;

/// What reads a provider. Holds no state between runs but the pace of its requests.
pub struct Reader {
    pub provider: ProviderName,
    pub client: Arc<Client>,
    /// Each behind the one that it is read for.
    pub streams: Vec<Arc<Stream>>,
    pub cage: Arc<Cage>,
    /// What is closed where an answer says that there were enough requests.
    pub limits: LimitScope,
}

impl Reader {
    /// Reads every stream once into `sink`.
    pub async fn run<S: PageSink>(&self, sink: &mut S) -> Result<RunReport, RunError<S::Error>> {
        Run::new(self, sink).finish().await
    }

    /// Reads the selected streams once into `sink`, and counts its requests apart from those of
    /// other runs.
    pub async fn run_selected<S: PageSink>(
        &self,
        selection: &Selection,
        sink: &mut S,
    ) -> Result<RunReport, RunError<S::Error>> {
        meter::counted(async { Run::new(self, sink).only(selection).finish().await }).await
    }

    /// Reads no more of the selected streams than `most` into `sink`.
    pub async fn sample<S: PageSink>(
        &self,
        selection: &Selection,
        most: Most,
        sink: &mut S,
    ) -> Result<RunReport, RunError<S::Error>> {
        Run::new(self, sink).only(selection).at_most(most).finish().await
    }

    /// What the requests for `partition` of `stream` are closed with.
    pub(super) fn lane(&self, stream: &str, partition: &str) -> Lane {
        match self.limits {
            LimitScope::Partition => Lane::of_partition(stream, partition),
            LimitScope::Endpoint => Lane::of_stream(stream),
            LimitScope::Provider => Lane::default(),
        }
    }

    pub fn stream(&self, name: &str) -> Option<&Arc<Stream>> {
        self.streams.iter().find(|stream| stream.name == name)
    }

    /// What maps records without asking for any.
    pub fn mapper(&self) -> Mapper {
        Mapper { streams: self.streams.clone(), cage: Arc::clone(&self.cage) }
    }

    /// As [`Mapper::resource_of`].
    pub fn resource_of(&self, stream: &str) -> Result<Resource, RemapError> {
        self.mapper().resource_of(stream)
    }

    /// `items` in as many pieces as may be worked on at once, in their order; few of them stay
    /// together.
    pub(super) fn pieces<T>(&self, items: Vec<T>) -> Vec<Vec<T>> {
        pieces(&self.cage, items)
    }

    /// Runs filters of `stream` in their cage.
    pub(super) async fn evaluate<T: Send + 'static>(
        &self,
        stream: &str,
        work: impl FnOnce(Instant) -> Result<T, FilterError> + Send + 'static,
    ) -> Result<T, ReadError> {
        Ok(self.cage.run_of(Some(stream), work).await?)
    }
}

/// `items` in as many pieces as `cage` may work on at once, in their order; few of them stay together.
pub(super) fn pieces<T>(cage: &Cage, items: Vec<T>) -> Vec<Vec<T>> {
    let pieces = items.len().div_ceil(LEAST_PIECE).clamp(1, cage.size());
    let length = items.len().div_ceil(pieces).max(1);
    let mut items = items.into_iter();
    (0..pieces).map(|_| items.by_ref().take(length).collect()).collect()
}

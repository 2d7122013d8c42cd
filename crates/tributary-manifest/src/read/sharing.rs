//! Streams that share the answers of another: asked for once, and committed before the place moves at which
//! the walk goes on, so that a run that is killed in between loses nothing of them.

use std::sync::Arc;

use super::follow_up::Listed;
use super::hand_over::Pages;
use super::mapping::{Occurrences, Reading};
use super::page::PageSink;
use super::partition::Partition;
use super::report::ReadError;
use super::run::Run;
use super::walk::Parents;
use crate::plan::{Position, Stream};

/// A stream that shares the answers of the one that is read.
pub(super) struct Sharer {
    /// Its place among the streams.
    pub index: usize,
    pub stream: Arc<Stream>,
    pub pages: Pages,
    pub parents: Parents,
}

/// How often records of equal fields were seen in a walk: of the stream that is read, and of each that
/// shares its answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    pub own: Occurrences,
    pub sharing: Vec<Occurrences>,
}

impl Counted {
    /// Of as many streams that share.
    pub fn of(sharing: usize) -> Self {
        Self { own: Occurrences::new(), sharing: vec![Occurrences::new(); sharing] }
    }

    /// Begins to count anew.
    pub fn clear(&mut self) {
        *self = Self::of(self.sharing.len());
    }
}

/// The position from which the walk of `stream` goes on so that all that share its answers get all of them:
/// for one that did not get what was read before, since it came into the file later, the walk begins
/// with nothing.
pub(super) fn position_for_all(stream: &Stream, position: Position, sharers: &mut [Sharer]) -> Position {
    let fed = |name: &String| position.fed.contains(name);
    for Sharer { stream: sharing, pages, .. } in sharers.iter_mut() {
        pages.history = stream.keeps_position() && !(position.complete && fed(&sharing.name));
    }
    let names: Vec<String> = sharers.iter().map(|sharer| sharer.stream.name.clone()).collect();
    let position = if names.iter().all(fed) { position } else { Position::default() };
    Position { fed: names, ..position }
}

impl<S: PageSink> Run<'_, S> {
    /// Hands over what an answer brought for the streams that share it; `ends` says that the walk has come to
    /// its end.
    pub(super) async fn hand_over_shared(
        &mut self,
        partition: &Partition,
        shared: Vec<Reading>,
        sharers: &mut [Sharer],
        ends: bool,
    ) -> Result<Result<(), ReadError>, S::Error> {
        for (sharer, mut reading) in sharers.iter_mut().zip(shared) {
            if let Err(error) = sharer.parents.add(std::mem::take(&mut reading.parents)) {
                return Ok(Err(error));
            }
            let last = ends && sharer.stream.tracking.is_none();
            let (sharing, pages) = (Arc::clone(&sharer.stream), &mut sharer.pages);
            self.hand_over(&sharing, partition, reading, None, pages, last).await?;
        }
        Ok(Ok(()))
    }

    /// Follows up what is open of the streams that share after a walk that listed `listed`.
    pub(super) async fn follow_up_shared(
        &mut self,
        partition: &Partition,
        listed: Listed,
        sharers: &mut [Sharer],
    ) -> Result<(), S::Error> {
        for sharer in sharers.iter_mut().filter(|sharer| sharer.stream.tracking.is_some()) {
            let (sharing, pages) = (Arc::clone(&sharer.stream), &mut sharer.pages);
            if let Err(error) = self.follow_up(&sharing, partition, listed, false, None, pages).await? {
                sharer.pages.complete = false;
                self.fail(sharer.index, &sharing, &partition.key, error);
            }
        }
        Ok(())
    }
}

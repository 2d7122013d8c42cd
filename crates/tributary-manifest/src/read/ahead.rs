//! Reads one page ahead: the next page of a walk is asked for and mapped while the one before it is handed
//! over, so that neither the provider nor the database waits for the other.

use std::sync::Arc;

use futures::future::try_join;
use tracing::Instrument as _;

use super::ask::{Fetched, Wanted};
use super::course::Course;
use super::hand_over::Pages;
use super::mapping::Reading;
use super::page::PageSink;
use super::partition::Partition;
use super::report::ReadError;
use super::run::Run;
use crate::plan::Stream;
use crate::wire::ClientError;

/// The page ahead: what was read of it, or why it was not. None, where it has to be asked for yet.
pub(super) type Ahead = Option<Result<Fetched, ReadError>>;

impl<S: PageSink> Run<'_, S> {
    /// Hands `reading` over with its `cursor`, and meanwhile reads the page that `course` goes on with.
    /// What fails of that is nothing to the page before it. Where that one cannot be handed over, the run ends,
    /// and what was read ahead is of no use to anybody.
    pub(super) async fn hand_over_and_read_on(
        &mut self,
        index: usize,
        stream: &Arc<Stream>,
        partition: &Partition,
        (reading, cursor): (Reading, Option<serde_json::Value>),
        pages: &mut Pages,
        course: &mut Course,
    ) -> Result<Ahead, S::Error> {
        // known since the first page: nothing is asked of the sink, which has a page to take
        let next_known = self.next_known(index, stream).await?;
        let reader = self.reader;
        let put_aside = course.puts_aside(stream);
        let Course { asked: position, walk, counted, sharing, .. } = course;
        let wanted = Wanted { stream, partition, position, walk, next_known, put_aside, sharing };
        let ahead = async {
            let span = tributary_traces::read_page(&stream.name);
            Ok(reader.page(wanted, counted).instrument(span).await)
        };
        // the page is handed over first: one that is refused at once asks the provider for nothing
        let handed_over = self.hand_over(stream, partition, reading, cursor, pages, false);
        let ((), ahead) = try_join(handed_over, ahead).await?;
        Ok(match ahead {
            // not what the provider says, but that the database had no time for two at once
            Err(ReadError::Client(ClientError::Shared(_))) => None,
            read => Some(read),
        })
    }
}

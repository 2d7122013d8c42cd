//! Reads a provider: runs over its streams, page by page, from answers to canonical records.

mod ahead;
mod ask;
mod course;
mod example;
mod extract;
mod follow_up;
mod hand_over;
mod list;
mod lost;
mod made_report;
mod mapper;
mod mapping;
mod numbered;
mod page;
mod partition;
mod reader;
mod remap;
mod report;
mod run;
mod seen;
mod selection;
mod sharing;
mod walk;

pub use example::mapped;
pub use mapper::{Mapper, Sample, SampleRow};
pub use page::{EachPage, MappedRecord, OpenRecord, PageSink, RecordPage};
pub use reader::Reader;
pub use remap::RemapError;
pub use report::{Failure, ReadError, RunError, RunReport, Warning, Warnings};
pub use run::Most;
pub use selection::{Selection, StreamGroup, Wanted};

//! The upstream side: a manifest tells how an FSP's API is pulled, and a [`Connection`] pulls
//! it. Knows only [`crate::domain`]; who keeps rows and cursors is behind [`PageSink`].

mod client;
mod engine;
mod incremental;
mod interpolate;
mod iso4217;
mod jq;
mod manifest;
mod meter;
mod money;
mod page;
mod period;
mod plan;
mod reading;
mod remap;
mod retry;
mod run;
mod secret;
mod selection;
mod template;
mod webhook;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod starling_tests;

pub use client::ClientError;
pub use engine::Connection;
pub use interpolate::{InterpolateError, interpolate};
pub use jq::FilterError;
pub use manifest::{
    Auth, Incremental, Manifest, RateLimit, RequestManifest, Retry, Schedule, StreamManifest,
};
pub use page::{
    Failure, MappedRecord, Page, PageSink, RawRecord, ReadError, RunError, RunReport, Warning, Warnings,
};
pub use period::Period;
pub use plan::ManifestError;
pub use remap::RemapError;
pub use secret::Secret;
pub use selection::{Selection, StreamGroup, Wanted};
pub use webhook::{Call, Triggered, Unproven, Webhook};

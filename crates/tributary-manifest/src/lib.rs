//! The upstream side: a manifest tells how an FSP's API is pulled, and a [`Connection`] pulls
//! it. Knows only [`tributary_domain`]; who keeps rows and cursors is behind [`PageSink`].

mod auth;
mod cage;
mod cassette;
mod client;
mod clock;
mod engine;
mod follow_up;
mod interpolate;
mod iso4217;
mod jq;
mod manifest;
mod meter;
mod money;
mod page;
mod pager;
mod payment;
mod period;
mod plan;
mod position;
mod reading;
mod remap;
mod request;
mod retry;
mod run;
mod secret;
mod selection;
mod shared;
mod tap;
mod template;
mod time;
mod walk;
mod webhook;
mod window;
mod yielded;

#[cfg(test)]
mod edited;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod starling_tests;

pub use cage::CageError;
pub use cassette::{Cassette, Recorder};
pub use client::{ClientError, Gate};
pub use engine::Connection;
pub use interpolate::{InterpolateError, interpolate};
pub use jq::FilterError;
pub use manifest::{
    Auth, Incremental, KeyFormat, KeyManifest, Manifest, PaymentManifest, RateLimit, RequestManifest, Retry,
    Schedule, StreamManifest,
};
pub use page::{
    EachPage, Failure, MappedRecord, OpenRecord, Page, PageSink, RawRecord, ReadError, RunError, RunReport,
    Warning, Warnings,
};
pub use payment::{Looked, PaymentApi, Prepared, Sent};
pub use period::Period;
pub use plan::ManifestError;
pub use remap::RemapError;
pub use run::Most;
pub use secret::Secret;
pub use selection::{Selection, StreamGroup, Wanted};
pub use shared::{
    AccessToken, Admission, Budget, Closed, Exchange, Granted, InMemory, Shared, SharedError, TokenError,
    TokenKey,
};
pub use tap::{Answered, Exchanged, Tap};
pub use webhook::{Call, Triggered, Unproven, Webhook};

//! The upstream side: a manifest tells how an FSP's API is pulled, and a [`Connection`] pulls
//! it. Knows only [`crate::domain`]; who keeps rows and cursors is behind [`PageSink`].

mod auth;
mod cage;
mod client;
mod clock;
mod engine;
mod follow_up;
mod interpolate;
mod iso4217;
mod jq;
mod manifest;
mod money;
mod page;
mod pager;
mod payment;
mod period;
mod plan;
mod position;
mod reading;
mod request;
mod retry;
mod run;
mod secret;
mod shared;
mod template;
mod time;
mod walk;
mod window;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod starling_tests;

pub use cage::CageError;
pub use client::{ClientError, Gate};
pub use engine::Connection;
pub use interpolate::{InterpolateError, interpolate};
pub use jq::FilterError;
pub use manifest::{Auth, KeyFormat, KeyManifest, PaymentManifest, Incremental, Manifest, RateLimit, RequestManifest, Retry, StreamManifest};
pub use page::{
    Failure, MappedRecord, OpenRecord, Page, PageSink, ReadError, RunError, RunReport, Warning, Warnings,
};
pub use payment::{Looked, PaymentApi, Prepared, Sent};
pub use period::Period;
pub use plan::ManifestError;
pub use secret::Secret;
pub use shared::{
    AccessToken, Admission, Budget, Closed, Exchange, Granted, InMemory, Shared, SharedError, TokenError,
    TokenKey,
};

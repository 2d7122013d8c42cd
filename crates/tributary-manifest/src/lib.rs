//! The provider language and its engine: a manifest says how a provider's API is read and how money is
//! moved there, and a [`CompiledProvider`] does it. Knows only [`tributary_domain`]; who keeps rows
//! and cursors is behind [`PageSink`].
//!
//! Each floor knows only those below it: `wire`, `auth`, `client`, `plan`, then `read` and `pay`
//! beside each other, and `compiled` over all of them. Below them are the manifest itself, `jq` with its
//! cage, and `writing`, which reads what is no JSON. [`language`] is what files are written in: it makes manifests of them.

mod auth;
mod cage;
mod client;
mod compiled;
mod interpolate;
mod jq;
pub mod language;
mod manifest;
mod pay;
mod period;
mod plan;
mod read;
mod secret;
mod time;
pub mod trial;
mod webhook;
mod wire;
mod writing;

#[cfg(test)]
mod edited;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod starling_tests;

pub use cage::CageError;
pub use compiled::CompiledProvider;
pub use interpolate::{InterpolateError, interpolate};
pub use jq::FilterError;
pub use manifest::{
    Auth, Incremental, Manifest, ManifestError, PaymentManifest, ProviderKeyFormat, ProviderKeyManifest,
    RateLimit, RequestManifest, Retry, Schedule, StreamManifest, Zone,
};
pub use pay::{
    Given, LookupOutcome, NotPrepared, PaymentApi, PaymentApis, Prepared, Sent, StepOutcome, readable,
};
pub use period::Period;
pub use read::{
    EachPage, Failure, MappedRecord, Mapper, Most, OpenRecord, PageSink, ReadError, RecordPage, RemapError,
    RunError, RunReport, Sample, SampleRow, Selection, StreamGroup, Wanted, Warning, Warnings,
};
pub use secret::Secret;
pub use webhook::{Call, Triggered, Unproven, Webhook};
pub use wire::{
    AccessToken, Admission, Answered, Budget, Cassette, ClientError, Closed, Exchange, Exchanged, Gate,
    Granted, InMemory, Lane, Recorder, Shared, SharedError, Tap, TokenError, TokenKey,
};

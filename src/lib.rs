//! Tributary stands between a Financial Service Provider and Formance's Generic Connector:
//! nothing lost, exactly once, in order.

pub mod cli;
pub mod config;
pub mod feed;
pub mod http;

pub mod payments;
pub mod records;
pub mod store;
pub mod sync;
pub mod telemetry;

pub use private_pg;
#[cfg(feature = "conformance")]
pub use tributary_conformance as conformance;
pub use tributary_domain as domain;
pub use tributary_manifest as provider;
#[cfg(feature = "standin")]
pub use tributary_standin as standin;

//! Tributary stands between a Financial Service Provider and Formance's Generic Connector:
//! nothing lost, exactly once, in order.

pub mod cli;
pub mod config;
pub mod conformance;
pub mod domain;
pub mod feed;
pub mod formance;
pub mod http;
pub mod ingest;
pub mod payments;
pub mod private_pg;
pub mod provider;
pub mod records;
pub mod standin;
pub mod store;
pub mod telemetry;

//! Tributary stands between a Financial Service Provider and Formance's Generic Connector:
//! nothing lost, exactly once, in order.

pub mod cli;
pub mod config;
pub mod console;
pub mod encryption;
pub mod feed;
pub mod health;
pub mod http;
pub mod notify;
#[cfg(feature = "oidc")]
pub mod oidc;
pub mod payments;
pub mod records;
pub mod service;
pub mod statements;
pub mod store;
pub mod supervision;
pub mod sync;
pub mod telemetry;
pub mod verbs;
pub mod workshop;

//! Tributary stands between a Financial Service Provider and Formance's Generic Connector:
//! nothing lost, exactly once, in order.

pub mod config;
pub mod domain;
pub mod feed;
pub mod http;
pub mod provider;
pub mod store;

//! Tributary stands between a Financial Service Provider and Formance's Generic Connector:
//! nothing lost, exactly once, in order.

pub mod domain;
pub mod provider;

//! `tls:`: who this side is, and whom it trusts, below HTTP.

use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::{Lookup, fill_all};
use crate::interpolate::InterpolateError;
use crate::secret::Secret;

/// Certificates. Each is PEM, or the path of a file that holds it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The client's certificate, with those that lead to its root, and its private key; none if not
    /// given.
    #[serde(default)]
    pub identity: Option<Secret>,
    /// The private key, where `identity` does not hold it.
    #[serde(default)]
    pub key: Option<Secret>,
    /// Root certificates that are trusted beside the system's.
    #[serde(default)]
    pub ca: Option<Secret>,
}

impl Tls {
    /// Fills in the `${...}` references.
    pub(super) fn fill(&mut self, lookup: Lookup) -> Result<(), InterpolateError> {
        fill_all([&mut self.identity, &mut self.key, &mut self.ca].into_iter().flatten(), lookup)
    }
}

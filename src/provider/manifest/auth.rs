//! `auth:`: how a request proves who sends it.

use serde::Deserialize;

use crate::provider::interpolate::InterpolateError;
use crate::provider::secret::Secret;

/// How a request proves who sends it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Authorization: Bearer <token>`
    Bearer(Secret),
}

impl Auth {
    /// With the `${...}` references filled in from `lookup`.
    pub(super) fn interpolated(
        &self,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InterpolateError> {
        Ok(match self {
            Self::Bearer(token) => Self::Bearer(token.interpolated(lookup)?),
        })
    }
}

//! Text of a provider file that must not be shown.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::interpolate::{InterpolateError, interpolate};

/// What stands where a secret stood.
pub const HIDDEN: &str = "[secret]";

/// A token, key or header value: readable from a provider file, wiped when dropped, and never
/// part of any log, error or Debug output.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself, to be put on the wire and nowhere else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Fills in the `${...}` references.
    pub(super) fn fill(&mut self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<(), InterpolateError> {
        self.0 = interpolate(self.expose(), lookup)?.into();
        Ok(())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

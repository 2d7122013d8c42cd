//! What a Formance understands.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// What the provider's Formance understands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FormanceVersion {
    V3_0,
    V3_1,
    /// v3.2 and later.
    #[default]
    Current,
}

impl FormanceVersion {
    /// Whether it knows every type and status of today's API.
    pub fn knows_all_statuses(self) -> bool {
        self == Self::Current
    }
}

impl JsonSchema for FormanceVersion {
    fn schema_name() -> Cow<'static, str> {
        "FormanceVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let versions = ["3.0", "3.1", "3.2", "3.3", "3.4", "current"];
        json_schema!({ "anyOf": [{ "enum": versions }, { "enum": [3.0, 3.1, 3.2, 3.3, 3.4] }] })
    }
}

impl<'de> Deserialize<'de> for FormanceVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "3.0" => Ok(Self::V3_0),
            "3.1" => Ok(Self::V3_1),
            "3.2" | "3.3" | "3.4" | "current" => Ok(Self::Current),
            other => Err(serde::de::Error::custom(format!(
                "Formance version {other:?} is not known: write \"3.0\", \"3.1\", or \"current\" for 3.2 and later"
            ))),
        }
    }
}

//! The section `source:` of a provider file.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use tributary_manifest::Manifest;

/// Where a provider's records come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// They are pushed in, or written with SQL.
    Push,
    /// They are pulled from the provider's API, as this manifest says.
    Pull(Box<Manifest>),
    /// They would be pulled, but a variable that the manifest needs is not set: what is there
    /// is served.
    Unset,
}

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "push" }, generator.subschema_for::<Manifest>()] })
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourceVisitor;
        impl<'de> Visitor<'de> for SourceVisitor {
            type Value = Source;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("the word push, or the manifest of an API to pull from")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Source, E> {
                if word == "push" {
                    Ok(Source::Push)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                Manifest::deserialize(MapAccessDeserializer::new(map))
                    .map(|manifest| Source::Pull(Box::new(manifest)))
            }
        }
        deserializer.deserialize_any(SourceVisitor)
    }
}

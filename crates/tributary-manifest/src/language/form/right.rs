//! What stands on the right of a field: jq, a template, or a constant.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A value as it is written. What its texts mean, `lower::value` says.
#[derive(Debug, Clone, PartialEq)]
pub enum Right {
    Null,
    Bool(bool),
    /// A number, as JSON writes it.
    Number(String),
    /// jq, a template or a constant.
    Text(String),
    List(Vec<Right>),
    Map(Vec<(String, Right)>),
}

impl JsonSchema for Right {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Right".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

impl<'de> Deserialize<'de> for Right {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RightVisitor;
        impl<'de> Visitor<'de> for RightVisitor {
            type Value = Right;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Right, E> {
                Ok(Right::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Right, E> {
                Ok(Right::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Right, E> {
                Ok(Right::Number(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Right, E> {
                Ok(Right::Number(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Right, E> {
                Ok(Right::Number(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Right, E> {
                Ok(Right::Text(value.trim().to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Right, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Right::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Right, A::Error> {
                let mut map = Vec::new();
                while let Some(member) = members.next_entry()? {
                    map.push(member);
                }
                Ok(Right::Map(map))
            }
        }
        deserializer.deserialize_any(RightVisitor)
    }
}

/// A value that may have members: the body of a request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Nested(pub Right);

impl JsonSchema for Nested {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Nested".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["object", "array", "string", "number", "boolean"], "additionalProperties": true })
    }
}

/// Members in the order in which they are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: JsonSchema> JsonSchema for Ordered<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OrderedOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let member = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": member })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrderedVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OrderedVisitor<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Ordered<T>, A::Error> {
                let mut map = Vec::new();
                while let Some(member) = members.next_entry()? {
                    map.push(member);
                }
                Ok(Ordered(map))
            }
        }
        deserializer.deserialize_map(OrderedVisitor(std::marker::PhantomData))
    }
}

/// One of something, or several of them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum OneOrMore<T> {
    More(Vec<T>),
    One(T),
}

impl<T> OneOrMore<T> {
    /// All of them.
    pub fn all(&self) -> &[T] {
        match self {
            Self::More(all) => all,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

impl<T> Default for OneOrMore<T> {
    fn default() -> Self {
        Self::More(Vec::new())
    }
}

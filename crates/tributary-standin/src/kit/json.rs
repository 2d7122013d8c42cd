//! JSON in the order of its writer and with numbers digit by digit, which `serde_json::Value`
//! can do neither of.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// A JSON value. Made with `From` and `object!`.
#[derive(Clone, Debug)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is to be written.
    Number(Box<RawValue>),
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object, its members in this order.
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// The number that `digits` spells.
    ///
    /// # Panics
    /// Where that is no JSON number: a defect of the stand-in.
    pub fn number(digits: String) -> Self {
        Self::Number(RawValue::from_string(digits).expect("the digits spell a JSON number"))
    }

    /// Members of an object that are left out where they have no value.
    #[must_use]
    pub fn without_nulls(mut self) -> Self {
        if let Self::Object(members) = &mut self {
            members.retain(|(_, value)| !matches!(value, Self::Null));
        }
        self
    }

    /// Leaves a member of an object out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Self::Object(members) = &mut self {
            members.retain(|(member, _)| *member != name);
        }
        self
    }

    /// Adds a member to an object; anything else stays what it is.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        if let Self::Object(members) = &mut self {
            members.push((name, value.into()));
        }
        self
    }
}

/// An object with one member: a list, each of its rows written before the next is made, so that
/// a very long one takes the room of its text only.
pub(crate) fn long_list(name: &str, rows: impl Iterator<Item = Json>) -> Response {
    let mut body = format!("{{\"{name}\":[").into_bytes();
    for (number, row) in rows.enumerate() {
        if number > 0 {
            body.push(b',');
        }
        serde_json::to_writer(&mut body, &row).expect("plain data can be written to memory");
    }
    body.extend_from_slice(b"]}");
    body.into_response()
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(digits) => digits.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(values) => serializer.collect_seq(values),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("plain data can be written to memory");
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

macro_rules! from {
    ($($type:ty: $value:ident => $json:expr),* $(,)?) => {
        $(impl From<$type> for Json {
            fn from($value: $type) -> Self {
                $json
            }
        })*
    };
}
from! {
    bool: value => Self::Bool(value),
    i64: value => Self::number(value.to_string()),
    u64: value => Self::number(value.to_string()),
    usize: value => Self::number(value.to_string()),
    &str: value => Self::Text(value.to_owned()),
    String: value => Self::Text(value),
    Vec<Json>: values => Self::List(values),
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl FromIterator<Json> for Json {
    fn from_iter<I: IntoIterator<Item = Json>>(values: I) -> Self {
        Self::List(values.into_iter().collect())
    }
}

/// A [`Json`] object: `object! { "id": id, "amount": Json::number(digits) }`.
macro_rules! object {
    ($($name:literal: $value:expr),* $(,)?) => {
        $crate::kit::Json::Object(vec![$(($name, $crate::kit::Json::from($value))),*])
    };
}
pub(crate) use object;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_digits_are_kept() {
        let json = object! {
            "b": Json::number("90071992547409.93".to_owned()),
            "a": "x\"y",
            "n": None::<i64>,
            "l": vec![Json::from(1_i64), Json::from(true)],
        };
        let text = serde_json::to_string(&json.clone()).unwrap();
        assert_eq!(text, r#"{"b":90071992547409.93,"a":"x\"y","n":null,"l":[1,true]}"#);
        assert_eq!(
            serde_json::to_string(&json.without_nulls()).unwrap(),
            r#"{"b":90071992547409.93,"a":"x\"y","l":[1,true]}"#
        );
    }
}

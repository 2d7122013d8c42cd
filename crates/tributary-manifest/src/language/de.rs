//! From a tree to a form. A scalar is taken for the text that it is written as wherever a text is
//! wanted: a version `3.1`, a status `200`.

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::tree::{Kind, Member, Node, Scalar};

/// Why a tree is not of a form.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotOfForm(String);

impl serde::de::Error for NotOfForm {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = NotOfForm;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotOfForm> {
        match (&self.kind, self.scalar()) {
            (Kind::List(items), _) => visitor.visit_seq(Items(items.iter())),
            (Kind::Map(members), _) => visitor.visit_map(Members { members: members.iter(), value: None }),
            (_, Some(Scalar::Bool(value))) => visitor.visit_bool(value),
            (_, Some(Scalar::Text(text))) => visitor.visit_borrowed_str(text),
            (_, Some(Scalar::Number(text))) => match (text.parse(), text.parse::<i64>(), text.parse::<f64>())
            {
                (Ok(number), ..) => visitor.visit_u64(number),
                (_, Ok(number), _) => visitor.visit_i64(number),
                (_, _, Ok(number)) => visitor.visit_f64(number),
                _ => Err(NotOfForm::custom("is no number")),
            },
            (_, Some(Scalar::Null) | None) => visitor.visit_unit(),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotOfForm> {
        match self.scalar() {
            Some(Scalar::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotOfForm> {
        match self.text() {
            Some(text) => visitor.visit_borrowed_str(text),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotOfForm> {
        self.deserialize_str(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotOfForm> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotOfForm> {
        match (self.text(), self.members()) {
            (Some(text), _) => {
                let word: StrDeserializer<'_, NotOfForm> = text.into_deserializer();
                visitor.visit_enum(word)
            }
            (None, [member]) => visitor.visit_enum(Variant(member)),
            _ => Err(NotOfForm::custom("has to be one word, or one field with what belongs to it")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = NotOfForm;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, NotOfForm> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

struct Members<'de> {
    members: std::slice::Iter<'de, Member>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = NotOfForm;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, NotOfForm> {
        let Some(member) = self.members.next() else { return Ok(None) };
        self.value = Some(&member.node);
        let name: StrDeserializer<'_, NotOfForm> = member.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NotOfForm> {
        seed.deserialize(self.value.take().expect("a value follows its name"))
    }
}

struct Variant<'de>(&'de Member);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = NotOfForm;
    type Variant = &'de Node;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, &'de Node), NotOfForm> {
        let name: StrDeserializer<'_, NotOfForm> = self.0.name.as_str().into_deserializer();
        Ok((seed.deserialize(name)?, &self.0.node))
    }
}

impl<'de> VariantAccess<'de> for &'de Node {
    type Error = NotOfForm;

    fn unit_variant(self) -> Result<(), NotOfForm> {
        Err(NotOfForm::custom("is a word by itself"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, NotOfForm> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, NotOfForm> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotOfForm> {
        let members = Members { members: self.members().iter(), value: None };
        serde::Deserializer::deserialize_any(MapAccessDeserializer::new(members), visitor)
    }
}

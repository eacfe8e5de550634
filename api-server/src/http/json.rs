//! JSON as the document has it. Left to itself, serde takes an array for an object, its fields in the order in which they happen to stand
//! in the code, and an object for a word of a list; and it refuses `5.0`, which by JSON Schema is the whole number 5. And no text has a
//! NUL, wherever it goes: the database keeps none.

use serde::de::{
    DeserializeSeed, Deserializer, Error, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
    value::StrDeserializer,
};
use std::fmt;

/// What is said of a text with a NUL.
pub const NUL: &str = "has a NUL character, which can't be kept";
/// Up to here every whole number is one floating point number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A deserializer, and each thing that it hands on, down to the last field. A list's words must be all that its enum has: variants that
/// hold something are not for requests.
#[derive(Clone, Copy, Debug)]
pub struct Strict<T>(pub T);

/// The visitor of an object.
struct Object<V>(V);
/// The visitor of a word of a list.
struct Word<V>(V);
/// The visitor of a whole number.
struct Whole<V>(V);

macro_rules! read_as {
    ($wrap:ident: $($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$name($wrap(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    read_as! { Strict:
        deserialize_any deserialize_bool deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_option deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier deserialize_ignored_any
    }
    read_as! { Whole:
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, Object(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(Word(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Strict(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Strict(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Strict(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, len, Strict(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! hand_on {
    ($($name:ident: $kind:ty,)*) => {$(
        fn $name<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.0.$name(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<V> {
    type Value = V::Value;

    hand_on! {
        visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f64: f64,
        visit_bytes: &[u8], visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        if text.contains('\0') { Err(E::custom(NUL)) } else { self.0.visit_str(text) }
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Strict(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Strict(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Strict(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Strict(map))
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Strict(map))
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Word<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<V::Value, E> {
        let word: StrDeserializer<'_, E> = word.into_deserializer();
        self.0.visit_enum(word)
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Whole<V> {
    type Value = V::Value;

    hand_on! { visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        if value.fract() != 0.0 || value.abs() > EXACT {
            return self.0.visit_f64(value);
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and no larger than what is exact")]
        self.0.visit_i64(value as i64)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(Strict(seed))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "UPPERCASE")]
    enum Size {
        Small,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        count: u8,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        inner: Option<Inner>,
        #[serde(default)]
        many: Vec<Inner>,
        #[serde(default)]
        named: BTreeMap<String, i64>,
        size: Option<Size>,
        id: Option<uuid::Uuid>,
    }

    fn read(text: &str) -> Result<Outer, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        Outer::deserialize(Strict(&mut reader)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_document_says_is_read() {
        let text = r#"{"inner": {"count": 5.0}, "many": [{"count": 1}], "named": {"a": -3.0}, "size": "SMALL",
            "id": "0192a000-0000-7000-8000-000000000000"}"#;
        let read = read(text).unwrap();
        assert_eq!((read.inner, read.many), (Some(Inner { count: 5 }), vec![Inner { count: 1 }]));
        assert_eq!((read.named["a"], read.size), (-3, Some(Size::Small)));
        assert!(read.id.is_some());
    }

    #[test]
    fn an_object_is_no_array_and_a_word_no_object_however_deep() {
        for text in ["[null]", r#"{"inner": [5]}"#, r#"{"many": [[5]]}"#, "7"] {
            assert!(read(text).unwrap_err().contains("expected an object"), "{text}");
        }
        assert!(read(r#"{"size": {"SMALL": null}}"#).unwrap_err().contains("expected a string"));
        assert!(read(r#"{"size": "LARGE"}"#).unwrap_err().contains("unknown variant `LARGE`"));
    }

    #[test]
    fn no_text_has_a_nul() {
        assert!(read(r#"{"named": {"a\u0000": 1}}"#).unwrap_err().starts_with(NUL));
        assert!(read(r#"{"named": {"a\\u0000": 1}}"#).is_ok(), "a backslash is none");
    }

    #[test]
    fn a_number_that_is_not_whole_or_out_of_bounds_is_refused() {
        for text in ["5.5", "-1.0", "256.0", "1e300", "9007199254740994.0"] {
            assert!(read(&format!(r#"{{"inner": {{"count": {text}}}}}"#)).is_err(), "{text}");
        }
        assert!(read(r#"{"named": {"a": 1e300}}"#).is_err());
        assert!(read(r#"{"inner": {"count": 1, "count": 2}}"#).unwrap_err().contains("duplicate field"));
    }
}

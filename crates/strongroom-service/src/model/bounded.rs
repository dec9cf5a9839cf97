//! Numbers and texts with bounds.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Int<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Int<MIN, MAX> {
    /// A number that is known to be in bounds.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        assert!(number >= MIN && number <= MAX, "this number is out of bounds");
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number, as a count of things in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> TryFrom<u64> for Int<MIN, MAX> {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        if (MIN..=MAX).contains(&number) {
            return Ok(Self(number));
        }
        Err(format!("{number} is not between {MIN} and {MAX}"))
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Int<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: u64 =
            text.parse().map_err(|_| format!("this is not a whole number from {MIN} to {MAX}"))?;
        Self::try_from(number)
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Int<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Int<MIN, MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }
}

/// Takes `12.0` for 12, as JSON Schema's `integer` does.
struct WholeNumber;

impl serde::de::Visitor<'_> for WholeNumber {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, not below zero")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<u64, E> {
        /// The largest integer below which every whole number has its own `f64`.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && (0.0..=EXACT).contains(&number) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just looked at")]
            return Ok(number as u64);
        }
        Err(E::invalid_value(serde::de::Unexpected::Float(number), &self))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Int<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WholeNumber)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl<const MIN: u64, const MAX: u64> PartialSchema for Int<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .description(Some(format!("A whole number from {MIN} to {MAX}.")))
            .minimum(Some(MIN))
            .maximum(Some(MAX))
            .into()
    }
}

impl<const MIN: u64, const MAX: u64> ToSchema for Int<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        format!("Int{MIN}To{MAX}").into()
    }
}

/// One line of text of `MIN` to `MAX` characters, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line<const MIN: usize, const MAX: usize>(String);

/// The name that a person gives a resource; no two of a kind have the same.
pub type Name = Line<1, 100>;
/// The key of a label.
pub type LabelKey = Line<1, 60>;
/// The value of a label.
pub type LabelValue = Line<0, 200>;
/// Why something was done, in a person's words.
pub type Reason = Line<1, 500>;

impl<const MIN: usize, const MAX: usize> Line<MIN, MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<String> for Line<MIN, MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let length = text.chars().count();
        if !(MIN..=MAX).contains(&length) {
            return Err(format!("a text of {MIN} to {MAX} characters is wanted, and this one has {length}"));
        }
        if text.chars().any(char::is_control) {
            return Err("the text holds a control character".into());
        }
        Ok(Self(text))
    }
}

impl<const MIN: usize, const MAX: usize> FromStr for Line<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Line<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MIN: usize, const MAX: usize> Serialize for Line<MIN, MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Line<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl<const MIN: usize, const MAX: usize> PartialSchema for Line<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(format!("One line of {MIN} to {MAX} characters, without control characters.")))
            .min_length(Some(MIN))
            .max_length(Some(MAX))
            .pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]*$"))
            .into()
    }
}

impl<const MIN: usize, const MAX: usize> ToSchema for Line<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        format!("Line{MIN}To{MAX}").into()
    }
}

/// Words of a person's own, by which lists are filtered and alarms are sent; at most 20.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<LabelKey, LabelValue>);

impl Labels {
    /// How many there may be.
    pub const MAX: usize = 20;

    /// The value of a label.
    #[must_use]
    pub fn get(&self, key: &LabelKey) -> Option<&LabelValue> {
        self.0.get(key)
    }

    /// All of them, by their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&LabelKey, &LabelValue)> {
        self.0.iter()
    }
}

impl TryFrom<BTreeMap<LabelKey, LabelValue>> for Labels {
    type Error = String;

    fn try_from(labels: BTreeMap<LabelKey, LabelValue>) -> Result<Self, String> {
        match labels.len() {
            0..=Self::MAX => Ok(Self(labels)),
            length => Err(format!("there may be {} labels, and these are {length}", Self::MAX)),
        }
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(from)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Labels {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(format!("Words of a person's own, at most {}.", Self::MAX)))
            .max_properties(Some(Self::MAX))
            .property_names(Some(LabelKey::schema()))
            .additional_properties(Some(LabelValue::schema()))
            .into()
    }
}

impl ToSchema for Labels {
    fn name() -> Cow<'static, str> {
        "Labels".into()
    }
}

/// A list of at most `MAX` items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Few<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Few<T, MAX> {
    /// The items.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T, const MAX: usize> Default for Few<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for Few<T, MAX> {
    type Error = String;

    fn try_from(items: Vec<T>) -> Result<Self, String> {
        if items.len() > MAX {
            return Err(format!("at most {MAX} items are taken, and these are {}", items.len()));
        }
        Ok(Self(items))
    }
}

impl<T: Serialize, const MAX: usize> Serialize for Few<T, MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Few<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_bounds_are_refused_with_the_bounds() {
        let read = |json| serde_json::from_str::<Int<1, 64>>(json).map_err(|e| e.to_string());
        assert_eq!(read("64"), Ok(Int::of(64)));
        assert_eq!(read("64.0"), Ok(Int::of(64)));
        assert!(read("65").unwrap_err().starts_with("65 is not between 1 and 64"));
        for wrong in ["0", "-1", "1.5", "1e300", "\"1\"", "null"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_line_has_no_control_characters() {
        assert!("nightly".parse::<Name>().is_ok());
        assert!("a\u{0}b".parse::<Name>().is_err());
        assert!("a\nb".parse::<Name>().is_err());
        assert!("".parse::<Name>().is_err());
        assert!("é".repeat(100).parse::<Name>().is_ok());
        assert!("é".repeat(101).parse::<Name>().is_err());
    }
}

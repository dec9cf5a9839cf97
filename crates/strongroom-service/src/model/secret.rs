//! What is read and never shown.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A secret of 1 to 4096 characters, such as a connection string or a key. It has no written form and no debug output
/// that shows it:
///
/// ```compile_fail
/// fn written(secret: &strongroom_service::model::Secret) -> impl serde::Serialize {
///     secret
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    const MAX: usize = 4096;

    /// The text itself, for those that must have it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let length = text.chars().count();
        if !(1..=Self::MAX).contains(&length) || text.contains('\0') {
            return Err("a secret has 1 to 4096 characters and no NUL");
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Secret {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A secret of 1 to 4096 characters. It is stored encrypted and never shown again.",
            ))
            .write_only(true)
            .min_length(Some(1))
            .max_length(Some(Self::MAX))
            .pattern(Some(r"^[^\u0000]*$"))
            .into()
    }
}

impl ToSchema for Secret {
    fn name() -> Cow<'static, str> {
        "Secret".into()
    }
}

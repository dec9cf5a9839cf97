//! Where a secret is found.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::Line;

/// Where a secret is found when it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretFrom {
    /// In a variable of the environment.
    Env(Line<1, 255>),
    /// In a file, whose last line break does not count.
    File(Line<1, 4096>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    env: Option<Line<1, 255>>,
    file: Option<Line<1, 4096>>,
}

/// Reads by hand, since what stands in the wrong place may be the secret, and derived code repeats it in its error.
struct Place;

const WANTED: &str =
    "a secret is not written here; say where it is found, as `{env: NAME}` or `{file: PATH}`";

impl<'de> Visitor<'de> for Place {
    type Value = SecretFrom;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`{env: NAME}` or `{file: PATH}`")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<SecretFrom, E> {
        Err(E::custom(WANTED))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<SecretFrom, E> {
        Err(E::custom(WANTED))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretFrom, E> {
        Err(E::custom(WANTED))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SecretFrom, E> {
        Err(E::custom(WANTED))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretFrom, A::Error> {
        let read = Read::deserialize(MapAccessDeserializer::new(map))?;
        match (read.env, read.file) {
            (Some(name), None) => Ok(SecretFrom::Env(name)),
            (None, Some(path)) => Ok(SecretFrom::File(path)),
            _ => Err(A::Error::custom("a secret is found in one place: `{env: NAME}` or `{file: PATH}`")),
        }
    }
}

impl<'de> Deserialize<'de> for SecretFrom {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Place)
    }
}

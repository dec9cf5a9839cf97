//! Settings as data: what a person can choose has one written form, which a command line takes, a service stores and
//! an API accepts.
//!
//! A single value is written as its text (`zstd:3`, `30s`, `s3://bucket/prefix`), an aggregate as an object with
//! names in kebab case. Members that are left out have their defaults; unknown ones are refused.

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Code, Error, Result};

/// Reads settings from their JSON form.
///
/// # Errors
/// [`Code::Usage`] for anything but the settings of this kind, saying what is wrong and where.
pub fn read<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| {
        let place = format!(" at line {} column {}", e.line(), e.column());
        let text = e.to_string();
        let text = text.strip_suffix(&place).unwrap_or(&text);
        let (why, help) = text.split_once('\n').unwrap_or((text, "Correct the settings at that place."));
        Error::new(Code::Usage, format!("the settings cannot be read: {why}, near line {}", e.line()))
            .help(help)
    })
}

/// Writes settings in their JSON form.
///
/// # Errors
/// [`Code::Internal`] if a value cannot be written as JSON, such as a path that is not UTF-8.
pub fn write<T: Serialize>(settings: &T) -> Result<String> {
    let json = serde_json::to_string_pretty(settings);
    json.map(|json| json + "\n")
        .map_err(|e| Error::new(Code::Internal, "the settings cannot be written").caused_by(e))
}

/// For `#[serde(with = …)]`: a value as its text, where its own form in data is another.
pub(crate) mod text {
    use super::{Deserialize, Deserializer, Error, FromStr, Serializer, fmt, refused};

    pub(crate) fn serialize<T: fmt::Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err = Error>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(refused)
    }
}

/// For `#[serde(with = …)]`: the same where nothing may be said.
pub(crate) mod optional_text {
    use super::{Deserialize, Deserializer, Error, FromStr, Serialize, Serializer, fmt, refused};

    pub(crate) fn serialize<T: fmt::Display, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(to)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err = Error>,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse()).transpose().map_err(refused)
    }
}

/// A refused value, for [`read`]: the message, and the help in a line of its own.
pub(crate) struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())?;
        self.0.help_text().map_or(Ok(()), |help| write!(f, "\n{help}"))
    }
}

fn refused<E: serde::de::Error>(error: Error) -> E {
    E::custom(Refused(error))
}

/// For `#[serde(deserialize_with = …)]`: how much is done at once, 1 to 64.
pub(crate) fn at_once<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    match usize::deserialize(from)? {
        number @ 1..=AT_ONCE_MAX => Ok(number),
        number => Err(D::Error::custom(format!(
            "{number} cannot be done at once\nChoose a number from 1 to {AT_ONCE_MAX}."
        ))),
    }
}

const AT_ONCE_MAX: usize = 64;

/// How much is done at once by default: the number of cores, at most 4.
#[must_use]
pub fn at_once_default() -> usize {
    const DEFAULT_MAX: usize = 4;
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(DEFAULT_MAX))
}

/// An unknown choice, with those there are.
pub(crate) fn unknown_choice(what: &str, text: &str, choices: &[&str]) -> Error {
    let (last, others) = choices.split_last().unwrap_or((&"", &[]));
    Error::new(Code::Usage, format!("`{text}` is not {what}"))
        .help(format!("Choose {} or {last}.", others.join(", ")))
}

/// Writes types in data as their [`fmt::Display`] shows them, and reads them as their [`FromStr`] does.
macro_rules! as_text {
    ($($type:ty),+ $(,)?) => { $(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                $crate::settings::text::serialize(self, to)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::settings::text::deserialize(from)
            }
        }
    )+ };
}

/// Gives an enum of choices its words: in text, on the command line and in data.
macro_rules! choices {
    ($type:ident is $what:literal { $($variant:ident $word:literal)+ }) => {
        impl $type {
            /// Every choice.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As it is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::error::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::settings::unknown_choice($what, text, &[$($word),+])),
                }
            }
        }

        $crate::settings::as_text!($type);
    };
}

pub(crate) use {as_text, choices};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::Compression;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        #[serde(with = "text")]
        compression: Compression,
        #[serde(with = "optional_text")]
        second: Option<Compression>,
        #[serde(deserialize_with = "at_once")]
        readers: usize,
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_place_and_its_help() {
        let refused = |json| read::<Sample>(json).unwrap_err();
        let wrong = refused("{\n  \"compression\": \"lz4\"\n}");
        assert_eq!(wrong.code(), Code::Usage);
        assert_eq!(wrong.message(), "the settings cannot be read: `lz4` is not a compression, near line 3");
        assert!(wrong.help_text().unwrap().to_string().starts_with("Write zstd"), "{wrong:?}");
        assert!(refused(r#"{"second": "lz4"}"#).message().contains("`lz4`"));
        assert!(refused(r#"{"colour": 1}"#).message().contains("unknown field `colour`"));
        for json in ["", "null", r#"{"readers": 0}"#, r#"{"readers": 65}"#, r#"{"readers": "2"}"#] {
            assert_eq!(refused(json).code(), Code::Usage, "{json}");
            assert!(refused(json).help_text().is_some(), "{json}");
        }
        assert_eq!(read::<Sample>("{}").unwrap(), Sample::default());
    }
}

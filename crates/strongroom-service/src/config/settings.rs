//! Sections of settings, declared once: the macro makes the struct, its defaults, the page of documentation, and the way
//! in for variables of the environment.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::model::{Int, Secret};

/// One key of the configuration, for the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The keys that lead to it, such as `tls.certificate`.
    pub name: String,
    /// What it is for.
    pub meaning: String,
    /// Its value where nothing is given; empty: none.
    pub default: String,
}

impl Key {
    /// The variable that goes before the file: the name in capitals, with underscores.
    #[must_use]
    pub fn variable(&self) -> String {
        variable(&self.name)
    }
}

/// The variable of a key: `tls.certificate` is `STRONGROOM_TLS_CERTIFICATE`.
pub(super) fn variable(name: &str) -> String {
    format!("STRONGROOM_{}", name.replace('.', "_").to_ascii_uppercase())
}

/// A value that a variable can hold.
pub(in crate::config) trait Value: Sized {
    /// The value of this text.
    fn read(text: &str) -> Result<Self, String>;
    /// The value as text; empty where there is none.
    fn shown(&self) -> String;
}

/// Values whose text is that of `FromStr` and `Display`.
macro_rules! values {
    ($($type:ty)+) => {$(
        impl $crate::config::settings::Value for $type {
            fn read(text: &str) -> Result<Self, String> {
                text.parse().map_err(|e| format!("`{text}`: {e}"))
            }

            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

pub(in crate::config) use values;

values!(String SocketAddr);

impl Value for bool {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is neither `true` nor `false`"))
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl<const MIN: u64, const MAX: u64> Value for Int<MIN, MAX> {
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn shown(&self) -> String {
        self.display().to_string()
    }
}

impl Value for Secret {
    fn read(text: &str) -> Result<Self, String> {
        text.to_owned().try_into().map_err(str::to_owned)
    }

    fn shown(&self) -> String {
        "***".into()
    }
}

impl<T: Value> Value for Option<T> {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::read(text).map(Some) }
    }

    fn shown(&self) -> String {
        self.as_ref().map(Value::shown).unwrap_or_default()
    }
}

/// Items with commas between them.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn joined(items: impl Iterator<Item = impl Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

impl<T: Value> Value for Vec<T> {
    fn read(text: &str) -> Result<Self, String> {
        items(text).map(T::read).collect()
    }

    fn shown(&self) -> String {
        joined(self.iter().map(Value::shown))
    }
}

/// `KEY=VALUE`, with commas between them.
impl<T: Value> Value for BTreeMap<String, T> {
    fn read(text: &str) -> Result<Self, String> {
        let pair = |item: &str| {
            let (key, value) = item.rsplit_once('=').ok_or_else(|| format!("`{item}` is not KEY=VALUE"))?;
            Ok((key.to_owned(), T::read(value)?))
        };
        items(text).map(pair).collect()
    }

    fn shown(&self) -> String {
        joined(self.iter().map(|(key, value)| format!("{key}={}", value.shown())))
    }
}

/// Declares a section: fields with meaning, type and default, then sections in it.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $section:ident {
            $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $default:expr,)*
        }
        $({ $($(#[doc = $inner_doc:literal])+ $inner:ident: $inner_type:ident,)* })?
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $section {
            $($(#[doc = $doc])+ pub $field: $type,)*
            $($($(#[doc = $inner_doc])+ pub $inner: $inner_type,)*)?
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($field: $default,)* $($($inner: Default::default(),)*)? }
            }
        }

        impl $section {
            /// Adds the keys of this section, whose name begins with `prefix`.
            fn describe(prefix: &str, keys: &mut Vec<$crate::config::settings::Key>) {
                let default = Self::default();
                $(keys.push($crate::config::settings::Key {
                    name: format!("{prefix}{}", stringify!($field)),
                    meaning: concat!($($doc),+).trim().to_owned(),
                    default: $crate::config::settings::Value::shown(&default.$field),
                });)*
                $($($inner_type::describe(&format!("{prefix}{}.", stringify!($inner)), keys);)*)?
                let _ = default;
            }

            /// Sets the key of this name from a text.
            fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
                $(if name == stringify!($field) {
                    self.$field = $crate::config::settings::Value::read(text)?;
                    return Ok(());
                })*
                $($(if let Some(rest) = name.strip_prefix(concat!(stringify!($inner), ".")) {
                    return self.$inner.set(rest, text);
                })*)?
                Err(format!("there is no key `{name}`"))
            }
        }
    };
}

pub(in crate::config) use section;

//! Names of resources that the service gives: a kind and 26 characters that sort by the time they were made.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Digits that sort as their values, without letters that are taken for others (Crockford's base 32, in lower case).
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

/// 48 bits of time in milliseconds, then 80 random ones.
fn spell(now: DateTime<Utc>, random: u128) -> String {
    let time = u128::try_from(now.timestamp_millis()).unwrap_or(0) & ((1 << 48) - 1);
    let bits = time << 80 | random & ((1 << 80) - 1);
    (0..LENGTH).rev().map(|place| char::from(DIGITS[(bits >> (5 * place)) as usize % DIGITS.len()])).collect()
}

fn is_spelled(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| DIGITS.contains(&byte))
}

/// Text that names no resource of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoId {
    kind: &'static str,
}

impl fmt::Display for NoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this is not an id that begins with `{}_` and goes on with 26 letters and digits",
            self.kind
        )
    }
}

impl std::error::Error for NoId {}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $kind:literal)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// What ids of this kind begin with, before the underscore.
            pub const KIND: &'static str = $kind;

            /// A new one. Ids sort by `now`; `random` keeps those of the same millisecond apart.
            #[must_use]
            pub fn new(now: DateTime<Utc>, random: u128) -> Self {
                Self(format!("{}_{}", $kind, spell(now, random)))
            }

            /// The text of it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NoId;

            fn from_str(text: &str) -> Result<Self, NoId> {
                let rest = text.strip_prefix(concat!($kind, "_")).filter(|rest| is_spelled(rest));
                rest.map(|_| Self(text.into())).ok_or(NoId { kind: $kind })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(concat!("An id: `", $kind, "_` and 26 characters that sort by the time it was made.")))
                    .pattern(Some(concat!("^", $kind, "_[0-9a-hjkmnp-tv-z]{26}$")))
                    .min_length(Some($kind.len() + 1 + LENGTH))
                    .max_length(Some($kind.len() + 1 + LENGTH))
                    .examples([concat!($kind, "_01kb0s4r1q8f6v2m9c3t7x5zya")])
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

ids! {
    /// A MongoDB deployment.
    DeploymentId "dep"
    /// A bucket and prefix, or a folder.
    LocationId "loc"
    /// A plan.
    PlanId "plan"
    /// A run.
    RunId "run"
    /// A backup of the catalogue. In its location it has a name of its own.
    BackupKey "bak"
    /// A change that waits.
    ChangeId "chg"
    /// A person.
    UserId "usr"
    /// An API token.
    TokenId "tok"
    /// A session of somebody who is signed in.
    SessionId "ses"
    /// An entry of the audit log.
    AuditId "aud"
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(second: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 25, 2, 0, second).unwrap()
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let (early, late) = (PlanId::new(at(1), u128::MAX), PlanId::new(at(2), 0));
        assert!(early < late, "{early} {late}");
        assert_eq!(early.as_str().parse(), Ok(early.clone()));
    }

    #[test]
    fn an_id_of_another_kind_or_length_is_none() {
        let run = RunId::new(at(0), 7);
        assert!(run.as_str().parse::<PlanId>().is_err());
        assert!("run_".parse::<RunId>().is_err());
        assert!(format!("{run}0").parse::<RunId>().is_err());
        assert!(run.as_str().to_uppercase().parse::<RunId>().is_err());
    }
}

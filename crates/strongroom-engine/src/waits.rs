//! How long anything is waited for that makes no progress. Every wait on a server is one of these, and has an end.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::quantity::Period;
use crate::settings::{as_text, unknown_choice};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// A connection to a server.
    Connect,
    /// The beginning of an answer to a request that was sent.
    FirstByte,
    /// More of an answer that has begun.
    NextByte,
    /// An index that is being built.
    IndexBuild,
    /// A majority of a replica set's members, which must have what was written.
    Majority,
}

/// The longest waits without progress, one of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Waits {
    /// For a connection.
    pub connect: Period,
    /// For the first byte of an answer.
    pub first_byte: Period,
    /// For the next byte of an answer.
    pub next_byte: Period,
    /// For an index that is built.
    pub index_build: Period,
    /// For a majority that comes no closer.
    pub majority: Period,
}

/// One of the limits, as a person sets it: `first-byte=2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitLimit {
    /// What is waited for.
    pub wait: Wait,
    /// At most this long, and at least a second.
    pub longest: Period,
}

as_text!(WaitLimit);

impl Default for Waits {
    fn default() -> Self {
        Self {
            connect: Period::seconds(60),
            first_byte: Period::seconds(2 * 60),
            next_byte: Period::seconds(60),
            // A server works for hours on a large one, and does not say how far it is to a user who only restores.
            index_build: Period::seconds(12 * 60 * 60),
            majority: Period::seconds(10 * 60),
        }
    }
}

impl Waits {
    pub(crate) fn are_default(&self) -> bool {
        *self == Self::default()
    }

    /// How long is waited at most.
    #[must_use]
    pub fn longest(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Connect => self.connect,
            Wait::FirstByte => self.first_byte,
            Wait::NextByte => self.next_byte,
            Wait::IndexBuild => self.index_build,
            Wait::Majority => self.majority,
        }
        .duration()
    }

    /// The same with other limits.
    #[must_use]
    pub fn with(mut self, limits: &[WaitLimit]) -> Self {
        for WaitLimit { wait, longest } in limits {
            *match wait {
                Wait::Connect => &mut self.connect,
                Wait::FirstByte => &mut self.first_byte,
                Wait::NextByte => &mut self.next_byte,
                Wait::IndexBuild => &mut self.index_build,
                Wait::Majority => &mut self.majority,
            } = *longest;
        }
        self
    }

    /// The outcome of `work`, which makes no progress that can be seen from here until it ends.
    ///
    /// # Errors
    /// [`Code::Stalled`] when the limit is over, and those of `work`.
    pub async fn limit<T>(
        &self,
        wait: Wait,
        what: impl fmt::Display,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.longest(wait), work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.stalled(wait, what)),
        }
    }

    /// The error of a wait for MongoDB that was too long; `what` is such as ``the reply of `a.example.com:27017` ``.
    pub fn stalled(&self, wait: Wait, what: impl fmt::Display) -> Error {
        self.too_long(Code::Stalled, wait, what)
    }

    /// The same of a wait for the storage.
    pub fn store_stalled(&self, wait: Wait, what: impl fmt::Display) -> Error {
        self.too_long(Code::StoreStalled, wait, what)
    }

    fn too_long(&self, code: Code, wait: Wait, what: impl fmt::Display) -> Error {
        let longest = Period::seconds(self.longest(wait).as_secs());
        let message = match wait {
            Wait::Connect => format!("no connection to {what} within {longest}"),
            Wait::FirstByte => format!("no answer of {what} within {longest}"),
            Wait::NextByte => format!("the answer of {what} stopped: nothing more came within {longest}"),
            Wait::IndexBuild => format!("no progress of {what} within {longest}"),
            Wait::Majority => format!("no majority had {what} within {longest}"),
        };
        let limit = WaitLimit { wait, longest };
        Error::new(code, message).help(help![
            "Check the server and the network between. ",
            Setting::Wait.to(limit.to_string()),
            " is the limit that was reached."
        ])
    }
}

impl Wait {
    const ALL: [Self; 5] = [Self::Connect, Self::FirstByte, Self::NextByte, Self::IndexBuild, Self::Majority];
    const NAMES: [&str; 5] = ["connect", "first-byte", "next-byte", "index-build", "majority"];
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FromStr for WaitLimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((name, longest)) = text.split_once('=') else {
            return Err(Error::new(Code::Usage, format!("`{text}` is not a limit for a wait"))
                .help("Write what is waited for and how long, such as first-byte=2m."));
        };
        let place = Wait::NAMES.iter().position(|known| *known == name);
        let place = place.ok_or_else(|| unknown_choice("a wait", name, &Wait::NAMES))?;
        let longest: Period = longest.parse()?;
        if longest.duration().is_zero() {
            return Err(Error::new(Code::Usage, "a wait of no time fails at once")
                .help("Choose a limit of at least one second."));
        }
        Ok(Self { wait: Wait::ALL[place], longest })
    }
}

impl fmt::Display for WaitLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.wait, self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_set() {
        let limits: Vec<WaitLimit> =
            ["connect=5s", "majority=1h"].iter().map(|text| text.parse().unwrap()).collect();
        let waits = Waits::default().with(&limits);
        assert_eq!(waits.longest(Wait::Connect), Duration::from_secs(5));
        assert_eq!(waits.longest(Wait::Majority), Duration::from_secs(3600));
        assert_eq!(waits.longest(Wait::NextByte), Waits::default().longest(Wait::NextByte));
        assert_eq!(limits[1].to_string(), "majority=1h");
        for (wait, name) in Wait::ALL.iter().zip(Wait::NAMES) {
            assert_eq!(wait.to_string(), name);
        }
        for wrong in ["", "connect", "connect=", "connect=0", "patience=5s"] {
            assert_eq!(wrong.parse::<WaitLimit>().unwrap_err().code(), Code::Usage, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_wait_that_is_too_long_says_which_it_was() {
        let stuck = std::future::pending::<Result<()>>();
        let waits = Waits { first_byte: Period::seconds(1), ..Waits::default() };
        let error = waits.limit(Wait::FirstByte, "`a:27017`", stuck).await.unwrap_err();
        assert_eq!(error.code(), Code::Stalled);
        assert_eq!(error.message(), "no answer of `a:27017` within 1s");
        assert!(error.help_text().unwrap().to_string().contains("`wait: first-byte=1s`"));
    }
}

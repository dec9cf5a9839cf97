//! What the checks need beside Rust, Python and mongod. Not every part can be had on every machine: the checks that
//! need a missing one are ignored, with the reason, and counted.

use std::process::Command;

use testbed::ceph::Ceph;
use testbed::{Moto, Postgres, Version, small_disk, tools};

use crate::Outcome;
use crate::fuzz;

/// Something that checks need and that may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Rustfmt,
    Clippy,
    Ceph,
    Moto,
    CfnLint,
    Postgres,
    Schemathesis,
    SmallDisk,
    CargoFuzz,
    Mongorestore,
    Mongodb(Version),
}

impl Part {
    pub(crate) const ALL: [Self; 12] = [
        Self::Rustfmt,
        Self::Clippy,
        Self::Ceph,
        Self::Moto,
        Self::CfnLint,
        Self::Postgres,
        Self::Schemathesis,
        Self::SmallDisk,
        Self::CargoFuzz,
        Self::Mongorestore,
        Self::Mongodb(Version::V6_0_27),
        Self::Mongodb(Version::V7_0_28),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rustfmt => "rustfmt",
            Self::Clippy => "clippy",
            Self::Ceph => "Ceph's gateway",
            Self::Moto => "moto",
            Self::CfnLint => "cfn-lint",
            Self::Postgres => "PostgreSQL",
            Self::Schemathesis => "schemathesis",
            Self::SmallDisk => "a small file system",
            Self::CargoFuzz => "cargo-fuzz",
            Self::Mongorestore => "mongorestore",
            Self::Mongodb(version) => version.name(),
        }
    }

    /// What stands in the name of every test that needs it; `None` for what a check of its own needs.
    pub(crate) fn mark(self) -> Option<&'static str> {
        match self {
            Self::Ceph => Some("with_ceph"),
            Self::Moto => Some("with_moto"),
            Self::CfnLint => Some("with_cfn_lint"),
            Self::Postgres => Some("with_postgres"),
            Self::Schemathesis => Some("with_schemathesis"),
            Self::SmallDisk => Some("with_small_disk"),
            Self::Mongorestore => Some("with_mongorestore"),
            Self::Rustfmt | Self::Clippy | Self::CargoFuzz | Self::Mongodb(_) => None,
        }
    }

    /// Whether `CI=true` demands it. mongorestore is in no package registry.
    fn demanded(self) -> bool {
        self != Self::Mongorestore
    }

    /// Fetches it where needed, and tries it.
    fn get(self) -> Outcome {
        match self {
            Self::Rustfmt => component("fmt", "rustfmt"),
            Self::Clippy => component("clippy", "clippy"),
            Self::Ceph => Ok(Ceph::start().map(drop)?),
            Self::Moto => Ok(Moto::start().map(drop)?),
            Self::CfnLint => Ok(tools::run(tools::cfn_lint()?.arg("--version"), "run cfn-lint")?),
            Self::Postgres => Ok(Postgres::start().map(drop)?),
            Self::Schemathesis => {
                Ok(tools::run(tools::schemathesis()?.arg("--version"), "run schemathesis")?)
            }
            Self::SmallDisk => Ok(small_disk::try_it()?),
            Self::CargoFuzz => fuzz::fuzzer().map(drop),
            Self::Mongorestore => match std::env::var_os("MONGORESTORE") {
                Some(_) => Ok(()),
                None => Err("MONGORESTORE does not name it".into()),
            },
            Self::Mongodb(version) => Ok(version.try_it().map(drop)?),
        }
    }
}

fn component(command: &str, name: &str) -> Outcome {
    let asked = tools::run(Command::new(env!("CARGO")).args([command, "--version"]), "run it");
    asked.map_err(|_| format!("not installed; with rustup: `rustup component add {name}`").into())
}

/// The parts that are missing here, each with the reason.
#[derive(Debug)]
pub(crate) struct MissingParts(Vec<(Part, String)>);

impl MissingParts {
    /// Fetches and tries all parts, and prints which are here.
    ///
    /// # Errors
    /// With `CI=true` when one is missing.
    pub(crate) fn look() -> Outcome<Self> {
        let mut missing = Vec::new();
        for part in Part::ALL {
            let name = part.name();
            match part.get() {
                Ok(()) => println!("{name:<22} here"),
                Err(reason) => {
                    println!("{name:<22} MISSING: {reason}");
                    missing.push((part, reason.to_string()));
                }
            }
        }
        let missing = Self(missing);
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        if ci { missing.none_demanded().map(|()| missing) } else { Ok(missing) }
    }

    fn none_demanded(&self) -> Outcome {
        let demanded: Vec<&str> =
            self.0.iter().map(|(part, _)| *part).filter(|part| part.demanded()).map(Part::name).collect();
        if demanded.is_empty() {
            return Ok(());
        }
        Err(format!("CI=true demands every part, and these are missing: {}", demanded.join(", ")).into())
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.0.iter().any(|(missing, _)| *missing == part)
    }

    /// The marks of the tests that cannot run.
    pub(crate) fn marks(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|(part, _)| part.mark())
    }

    /// Each test of these that cannot run, with the reason, and the sum of all that is ignored.
    pub(crate) fn summary(&self, tests: &[String]) -> (Vec<String>, String) {
        let (mut lines, mut sums, mut all) = (Vec::new(), Vec::new(), 0);
        for (part, reason) in &self.0 {
            let name = part.name();
            let ignored: Vec<&str> = match part.mark() {
                Some(mark) => tests.iter().map(String::as_str).filter(|test| test.contains(mark)).collect(),
                None => vec![name],
            };
            lines.extend(
                ignored.iter().map(|test| format!("test {test} ... ignored, needs {name}: {reason}")),
            );
            let verb = if ignored.len() == 1 { "needs" } else { "need" };
            sums.push(format!("{} {verb} {name} ({reason})", ignored.len()));
            all += ignored.len();
        }
        let sum = if all == 0 { String::new() } else { format!("; {all} ignored: {}", sums.join(", ")) };
        (lines, sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests() -> Vec<String> {
        ["bucket::with_ceph::one", "a_matrix_with_ceph", "bucket::provision_with_moto::two", "other"]
            .map(str::to_owned)
            .into()
    }

    #[test]
    fn ignored_tests_are_listed_with_the_reason_and_counted() {
        let missing =
            MissingParts(vec![(Part::Ceph, "no apt-get".into()), (Part::Clippy, "not installed".into())]);
        let (lines, sum) = missing.summary(&tests());
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "test bucket::with_ceph::one ... ignored, needs Ceph's gateway: no apt-get");
        assert_eq!(sum, "; 3 ignored: 2 need Ceph's gateway (no apt-get), 1 needs clippy (not installed)");
        assert_eq!(missing.marks().collect::<Vec<_>>(), ["with_ceph"]);
    }

    #[test]
    fn nothing_is_said_to_be_ignored_where_nothing_is() {
        assert_eq!(MissingParts(vec![]).summary(&tests()), (vec![], String::new()));
    }

    #[test]
    fn continuous_integration_takes_no_missing_part_that_can_be_fetched() {
        assert!(MissingParts(vec![(Part::Mongorestore, "none".into())]).none_demanded().is_ok());
        let refused = MissingParts(vec![(Part::Moto, "offline".into())]).none_demanded().unwrap_err();
        assert!(refused.to_string().ends_with("missing: moto"), "{refused}");
    }
}

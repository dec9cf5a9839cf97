//! Which tests run against which version of MongoDB. All of them run against one; those that show how a server behaves
//! run against each of the others too.

use testbed::Version;

use crate::Outcome;

/// The versions beside the one that every test runs against.
pub(crate) const OTHER_VERSIONS: [Version; 2] = [Version::V6_0_27, Version::V7_0_28];

/// What the names of these tests begin with: round trips, consistency, replay, archives and pace.
const CHOSEN: [&str; 9] = [
    "round_trip::",
    "anew::",
    "consistency::",
    "replay::",
    "archives::",
    "ranges::",
    "rings::",
    "an_idle_server_with_few_tickets_is_read_at_full_speed",
    "no_more_is_read_in_a_second_than_was_asked_for",
];

/// What cannot be tested with the build for Windows, each with the reason.
const NOT_UNDER_WINE: [(&str, &str); 2] = [
    ("a_standalone_server_and_every_compression", "under wine a standalone dies when asked for its status"),
    (
        "an_idle_server_with_few_tickets",
        "it gives a 6.0 as few tickets as a 7.0 has by itself, in 6.0's words",
    ),
];

/// What the test programs are told: the names of the tests to run, and those to leave out.
///
/// # Errors
/// When one of the names is no test's, since then something is tested less than is thought.
pub(crate) fn chosen(version: Version, tests: &[String]) -> Outcome<Vec<&'static str>> {
    let skipped: Vec<&str> = match version {
        Version::V7_0_28 => NOT_UNDER_WINE.iter().map(|(name, _)| *name).collect(),
        Version::V6_0_5 | Version::V6_0_27 => Vec::new(),
    };
    if let Some(name) =
        CHOSEN.iter().chain(&skipped).find(|name| !tests.iter().any(|test| test.contains(**name)))
    {
        return Err(format!("no test's name has `{name}` in it").into());
    }
    Ok(CHOSEN.into_iter().chain(skipped.into_iter().flat_map(|name| ["--skip", name])).collect())
}

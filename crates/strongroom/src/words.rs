//! Lines and sizes, as a person reads them.

use std::io::{self, Write};

use strongroom_engine::members::Member;
use strongroom_engine::progress::Phase;

/// A line on stderr; when nobody reads it, nothing can be done about that.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// `1 error`, `2 errors`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A member of a replica set, and why it is read or not.
pub(crate) fn member(member: &Member) -> String {
    let verb = if member.taken { "read" } else { "not read" };
    let (name, hidden) = (&member.name, if member.hidden { "hidden " } else { "" });
    format!("{verb}: {name}, {hidden}{}: {}", member.state.as_str(), member.reason)
}

/// A step of a job.
pub(crate) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Inspecting => "inspecting the deployment",
        Phase::Reading => "reading",
        Phase::Committing => "committing",
        Phase::CleaningUp => "cleaning up",
        Phase::Verifying => "verifying",
        Phase::Writing => "writing the archive",
        Phase::Deleting => "deleting segments",
        Phase::Preparing => "preparing the target",
        Phase::Inserting => "inserting documents",
        Phase::Replaying => "replaying the oplog",
        Phase::BuildingIndexes => "building indexes",
        Phase::CreatingViews => "creating views",
        Phase::MergingUsers => "merging users and roles",
        Phase::Proving => "proving the bucket's security",
        Phase::Provisioning => "applying the changes",
    }
}

/// That a backup gives way to the other work of a member, or no longer.
pub(crate) fn slowed(member: &str, why: Option<&str>) -> String {
    match why {
        Some(why) => format!("reading {member} slowly: {why}"),
        None => format!("reading {member} at full speed again"),
    }
}

/// Bytes in binary units.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_in_binary_units() {
        let sizes = [0, 1023, 1024, 1_048_575, 16 << 20, 3 << 40, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "16.0 MiB", "3.0 TiB", "16.0 EiB"]);
    }
}

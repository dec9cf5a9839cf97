//! Words for a terminal or a log: numbers, sizes, and what happened. Pure.
//!
//! Much of what is printed comes from elsewhere: out of a bucket, from a server. None of it may steer a terminal.

use std::borrow::Cow;

use crate::members::Member;
use crate::progress::Phase;

/// A text whose control characters, and those that change the direction of writing, are seen instead of obeyed. Lines
/// stay lines.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| c != '\n' && steers(c);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// A value that stands in a line with others, and must not look like further lines.
#[must_use]
pub fn in_line(value: &str) -> String {
    visible(value).replace('\n', "\\n")
}

/// Control characters, the separators of lines and paragraphs, and the marks of direction (Unicode Standard Annex #9).
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1 error`, `2 errors`; `1 index`, `2 indexes`.
#[must_use]
pub fn count(number: u64, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ if one.ends_with('x') => format!("{number} {one}es"),
        _ => format!("{number} {one}s"),
    }
}

/// How many collections and views.
#[must_use]
pub fn namespaces(number: u64) -> String {
    if number == 1 { "1 collection or view".into() } else { format!("{number} collections and views") }
}

/// Bytes in binary units.
#[must_use]
pub fn size(bytes: u64) -> String {
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

/// A member of a replica set, and why it is read or not.
#[must_use]
pub fn member(member: &Member) -> String {
    let verb = if member.taken { "read" } else { "not read" };
    let (name, hidden) = (&member.name, if member.hidden { "hidden " } else { "" });
    in_line(&format!("{verb}: {name}, {hidden}{}: {}", member.state.as_str(), member.reason))
}

/// A step of a job.
#[must_use]
pub fn phase(phase: Phase) -> &'static str {
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
        Some(why) => format!("slowing down for {member}: {why}"),
        None => format!("reading {member} at full speed again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_seen_instead() {
        assert_eq!(visible("\u{1b}[2Jplan\r\n\u{9b}1m\u{202e}"), "\\u{1b}[2Jplan\\u{d}\n\\u{9b}1m\\u{202e}");
        assert_eq!(in_line("a\nb\u{7}"), "a\\nb\\u{7}");
        assert!(matches!(visible("größe, 日本\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn one_is_one() {
        assert_eq!([0, 1, 2].map(|n| count(n, "index")), ["0 indexes", "1 index", "2 indexes"]);
        assert_eq!([1, 2].map(namespaces), ["1 collection or view", "2 collections and views"]);
    }

    #[test]
    fn sizes_are_in_binary_units() {
        let sizes = [0, 1023, 1024, 1_048_575, 16 << 20, 3 << 40, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "16.0 MiB", "3.0 TiB", "16.0 EiB"]);
    }
}

//! Lines and sizes, as a person reads them.
//!
//! Much of what is printed comes from elsewhere: out of a bucket, from a server. None of it may steer the terminal.

use std::borrow::Cow;
use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use strongroom_engine::{Consistency, Event, Member, OplogWindow, Phase, Totals};

/// A line on stderr; when nobody reads it, nothing can be done about that.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", visible(line));
}

/// A text whose control characters, and those that change the direction of writing, are seen instead of obeyed. Lines
/// stay lines.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
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
pub(crate) fn in_line(value: &str) -> String {
    visible(value).replace('\n', "\\n")
}

/// Control characters, the separators of lines and paragraphs, and the marks of direction (Unicode Standard Annex #9).
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1 error`, `2 errors`; `1 index`, `2 indexes`.
pub(crate) fn count(number: u64, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ if one.ends_with('x') => format!("{number} {one}es"),
        _ => format!("{number} {one}s"),
    }
}

/// How many collections and views.
pub(crate) fn namespaces(number: u64) -> String {
    if number == 1 { "1 collection or view".into() } else { format!("{number} collections and views") }
}

/// How much a backup holds.
pub(crate) fn totals(totals: Totals) -> String {
    format!(
        "{}, {} stored as {} in {}",
        count(totals.documents, "document"),
        size(totals.raw_bytes),
        size(totals.stored_bytes),
        count(totals.segments, "segment")
    )
}

/// A time of day, in UTC and to the second.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What moment a backup holds.
pub(crate) fn consistency(consistency: &Consistency) -> String {
    match consistency {
        Consistency::Snapshot { cluster_time } => {
            format!("all collections as of {}", cluster_time.in_words())
        }
        Consistency::Oplog { from, at, read_plainly } => {
            let (from, at) = (from.in_words(), at.in_words());
            let later = if read_plainly.is_empty() {
                String::new()
            } else {
                format!("; read later than that: {}", in_line(&first_few(read_plainly)))
            };
            format!("all collections as of {at}, once the oplog from {from} on is replayed{later}")
        }
        Consistency::None { reason } => format!("none that all collections share: {}", in_line(reason)),
    }
}

/// The first few of many names, and how many there are.
fn first_few(names: &[String]) -> String {
    const SHOWN_MAX: usize = 5;
    match names.len() {
        0..=SHOWN_MAX => names.join(", "),
        many => format!("{many} collections, among them {}", names[..SHOWN_MAX].join(", ")),
    }
}

/// Which moments a restore can choose.
pub(crate) fn oplog_window(window: &OplogWindow) -> String {
    let (from, to) = (window.from.in_words(), window.to.in_words());
    if window.from == window.to {
        return format!("empty: {to} is the only moment to restore");
    }
    format!("from {from} to {to}: `restore --at` takes any moment in between")
}

/// A member of a replica set, and why it is read or not.
pub(crate) fn member(member: &Member) -> String {
    let verb = if member.taken { "read" } else { "not read" };
    let (name, hidden) = (&member.name, if member.hidden { "hidden " } else { "" });
    in_line(&format!("{verb}: {name}, {hidden}{}: {}", member.state.as_str(), member.reason))
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
        Some(why) => format!("slowing down for {member}: {why}"),
        None => format!("reading {member} at full speed again"),
    }
}

/// That a request is sent again, and why.
pub(crate) fn retrying(event: &Event) -> String {
    let Event::Retrying { request, key, why, pause_milliseconds } = event else { return String::new() };
    let (of, pause) =
        (if key.is_empty() { String::new() } else { format!(" of `{key}`") }, *pause_milliseconds);
    format!("{request}{of} failed ({why}); trying again in {:.1} s", pause as f64 / 1000.0)
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
    use strongroom_engine::ClusterTime;

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
    fn an_empty_window_is_no_range() {
        let moment = |seconds: u32| ClusterTime { seconds: 1_795_437_296 + seconds, increment: 7 };
        let window = |seconds| OplogWindow { from: moment(0), to: moment(seconds), cut_short: None };
        assert_eq!(
            oplog_window(&window(0)),
            "empty: 2026-11-23T12:34:56Z (1795437296.7) is the only moment to restore"
        );
        assert!(oplog_window(&window(1)).starts_with("from 2026-11-23T12:34:56Z (1795437296.7) to 2026-"));
    }

    #[test]
    fn sizes_are_in_binary_units() {
        let sizes = [0, 1023, 1024, 1_048_575, 16 << 20, 3 << 40, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "16.0 MiB", "3.0 TiB", "16.0 EiB"]);
    }

    #[test]
    fn of_many_names_the_first_few_are_shown() {
        let names = |many: usize| (0..many).map(|i| format!("shop.c{i}")).collect::<Vec<_>>();
        assert_eq!(first_few(&names(2)), "shop.c0, shop.c1");
        let shown = first_few(&names(3400));
        assert!(shown.starts_with("3400 collections, among them shop.c0") && shown.len() < 100, "{shown}");
    }
}

//! Lines as a person reads them; those of events are the engine's.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
pub(crate) use strongroom_engine::words::{count, in_line, member, namespaces, size, visible};
use strongroom_engine::{Consistency, OplogWindow, Totals};

/// A line on stderr; when nobody reads it, nothing can be done about that.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", visible(line));
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

#[cfg(test)]
mod tests {
    use strongroom_engine::ClusterTime;

    use super::*;

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
    fn of_many_names_the_first_few_are_shown() {
        let names = |many: usize| (0..many).map(|i| format!("shop.c{i}")).collect::<Vec<_>>();
        assert_eq!(first_few(&names(2)), "shop.c0, shop.c1");
        let shown = first_few(&names(3400));
        assert!(shown.starts_with("3400 collections, among them shop.c0") && shown.len() < 100, "{shown}");
    }
}

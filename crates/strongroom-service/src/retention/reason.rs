//! Why a backup is kept, or why not, in words.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};

/// What the newest is kept of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// An hour of the clock.
    Hour,
    /// A date.
    Day,
    /// Monday to Sunday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Unit {
    pub(super) const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The unit that a local time is in, such as `November 2026`.
    fn named(self, at: NaiveDateTime) -> String {
        match self {
            Self::Hour => at.format("%Y-%m-%d %H:00").to_string(),
            Self::Day => at.format("%Y-%m-%d").to_string(),
            Self::Week => at.format("%G-W%V").to_string(),
            Self::Month => at.format("%B %Y").to_string(),
            Self::Year => at.year().to_string(),
        }
    }
}

/// Why a backup is kept, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Kept: there are no rules.
    NoRules,
    /// Kept: one of the newest.
    Last {
        /// Its place among them, from 1.
        place: u64,
        /// How many are kept.
        of: u64,
    },
    /// Kept: young enough.
    Young {
        /// The age up to which backups are kept.
        days: u64,
    },
    /// Kept: the newest of a day and so on.
    NewestOf {
        /// Of what it is the newest.
        unit: Unit,
        /// When it was made, by the clock of the zone.
        local: NaiveDateTime,
        /// The place of this day among those that are kept, from 1.
        place: u64,
        /// How many days are kept.
        of: u64,
    },
    /// Kept: no newer one is good.
    LastGood,
    /// Kept: somebody asked for it.
    Requested,
    /// Kept: held, for the reason given.
    Held(String),
    /// Kept: Object Lock.
    Locked(DateTime<Utc>),
    /// Kept: it is being made.
    Running,
    /// Kept: the plan did not make it.
    Foreign,
    /// Kept: incomplete, but nothing better followed.
    NothingBetter,
    /// Not kept: a person deleted it.
    Discarded,
    /// Not kept: incomplete, and a good one followed.
    Superseded,
    /// Not kept by a rule: there are enough newer ones.
    NotLast {
        /// How many are kept.
        of: u64,
    },
    /// Not kept by a rule: too old.
    Old {
        /// The age up to which backups are kept.
        days: u64,
    },
    /// Not kept by a rule: its day has a newer one.
    NotNewestOf {
        /// Of what it is not the newest.
        unit: Unit,
    },
    /// Not kept by a rule: enough later days have a backup.
    Beyond {
        /// What is counted.
        unit: Unit,
        /// How many are kept.
        of: u64,
    },
}

fn days_of(number: u64) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} day{plural}")
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRules => f.write_str("the plan has no rules, so nothing is deleted"),
            Self::Last { of: 1, .. } => f.write_str("the newest one"),
            Self::Last { place, of } => write!(f, "one of the newest {of} (number {place})"),
            Self::Young { days } => write!(f, "not older than {}", days_of(*days)),
            Self::NewestOf { unit, local, place, of } => {
                write!(f, "the newest of {} ({} {place} of {of})", unit.named(*local), unit.word())
            }
            Self::LastGood => f.write_str("the newest good backup is never deleted"),
            Self::Requested => f.write_str("somebody asked for it, and the plan keeps such backups"),
            Self::Held(why) => write!(f, "held: {why}"),
            Self::Locked(until) => {
                write!(f, "locked until {} (Object Lock)", until.format("%Y-%m-%d %H:%M UTC"))
            }
            Self::Running => f.write_str("it is still being made"),
            Self::Foreign => f.write_str("the plan did not make it, so it leaves it alone"),
            Self::NothingBetter => f.write_str("incomplete, but no good backup has followed"),
            Self::Discarded => f.write_str("somebody deleted it"),
            Self::Superseded => f.write_str("incomplete, and a good backup has followed"),
            Self::NotLast { of: 1 } => f.write_str("a newer one is kept"),
            Self::NotLast { of } => write!(f, "{of} newer ones are kept"),
            Self::Old { days } => write!(f, "older than {}", days_of(*days)),
            Self::NotNewestOf { unit } => write!(f, "a newer one of the same {} is kept", unit.word()),
            Self::Beyond { unit, of: 1 } => write!(f, "one of a later {} is kept", unit.word()),
            Self::Beyond { unit, of } => write!(f, "those of {of} later {}s are kept", unit.word()),
        }
    }
}

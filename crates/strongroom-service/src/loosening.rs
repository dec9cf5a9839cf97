//! What a change loosens, and which part of it waits.
//!
//! Loosening is slow and loud, tightening is immediate: a change is split into settings that hold at once, in which
//! nothing is looser than before, and all of it, which waits if anything is.
//!
//! Looser is: fewer backups kept, and rules where everything was kept; weaker encryption, or none; fewer namespaces; no one
//! moment any more. Not looser are a pause, another schedule, deployment or location, and another key of the same kind:
//! they touch nothing that is stored, and whoever stops a plan sees that it stands still.

use strongroom_engine::backup::ConsistencyMode;
use strongroom_engine::bucket::Sse;

use crate::model::{BackupSettings, BackupsOfDeleted, Few, Hold, Int, NewPlan, Pattern, Settings};
use crate::retention::{Keep, Retention};

/// A change in two parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Split<T> {
    /// What holds at once: as strict as what was and what is to be.
    pub now: T,
    /// What is to hold when the delay is over. None: nothing is loosened, and `now` is all of the change.
    pub later: Option<T>,
    /// What is loosened, in words. Empty exactly if nothing waits.
    pub loosens: Vec<String>,
}

impl<T: Clone> Split<T> {
    fn new(now: T, wanted: &T, loosens: Vec<String>) -> Self {
        let later = (!loosens.is_empty()).then(|| wanted.clone());
        Self { now, later, loosens }
    }
}

/// What another setting of a plan loosens.
#[must_use]
pub fn of_plan(old: &NewPlan, new: &NewPlan) -> Split<NewPlan> {
    let mut loosens = Vec::new();
    let retention = retention(&old.retention, &new.retention, &mut loosens);
    let backup = backup(&old.backup, &new.backup, &mut loosens);
    Split::new(NewPlan { retention, backup, ..new.clone() }, new, loosens)
}

/// What other settings of the service loosen.
#[must_use]
pub fn of_settings(old: &Settings, new: &Settings) -> Split<Settings> {
    let mut loosens = Vec::new();
    let mut now = new.clone();
    if new.grace_hours < old.grace_hours {
        now.grace_hours = old.grace_hours;
        loosens.push(format!(
            "expired backups can be brought back for {} hours instead of {}",
            new.grace_hours, old.grace_hours
        ));
    }
    if new.loosening_delay_hours < old.loosening_delay_hours {
        now.loosening_delay_hours = old.loosening_delay_hours;
        loosens.push(format!(
            "changes like this one wait {} hours instead of {}",
            new.loosening_delay_hours, old.loosening_delay_hours
        ));
    }
    if old.second_admin && !new.second_admin {
        now.second_admin = true;
        loosens.push("no second admin must agree to changes like this one".into());
    }
    Split::new(now, new, loosens)
}

/// What the deletion of a plan loosens that has `count` backups.
#[must_use]
pub fn of_deletion(backups: BackupsOfDeleted, count: u64) -> Vec<String> {
    match (backups, count) {
        (BackupsOfDeleted::Keep, _) | (_, 0) => Vec::new(),
        (BackupsOfDeleted::Expire, 1) => vec!["the plan is deleted, and its only backup with it".into()],
        (BackupsOfDeleted::Expire, count) => {
            vec![format!("the plan is deleted, and its {count} backups with it")]
        }
    }
}

/// What is loosened where holds are lifted.
#[must_use]
pub fn of_lifting(holds: &[Hold]) -> Vec<String> {
    holds.iter().map(|hold| format!("the backup is no longer held ({})", hold.reason)).collect()
}

/// Whichever keeps more.
fn retention(old: &Retention, new: &Retention, loosens: &mut Vec<String>) -> Retention {
    if new.keeps_all() {
        return new.clone();
    }
    if old.keeps_all() {
        loosens.push("backups are deleted by rules, and were kept forever until now".into());
        return old.clone();
    }
    if old.keeps_requested && !new.keeps_requested {
        loosens.push("backups that somebody asked for are no longer kept beside the others".into());
    }
    let mut number = |old: Option<Keep>, new: Option<Keep>, what: &str| {
        let words = |old: Keep, new: Option<Keep>| match new {
            Some(new) => format!("fewer {what} are kept: {new} instead of {old}"),
            None => format!("no {what} are kept for their own sake any more ({old} until now)"),
        };
        stricter(old, new, words, loosens)
    };
    let last = number(old.last, new.last, "of the newest backups");
    let hourly = number(old.hourly, new.hourly, "hourly backups");
    let daily = number(old.daily, new.daily, "daily backups");
    let weekly = number(old.weekly, new.weekly, "weekly backups");
    let monthly = number(old.monthly, new.monthly, "monthly backups");
    let yearly = number(old.yearly, new.yearly, "yearly backups");
    let age = |old: Int<1, 36_500>, new: Option<Int<1, 36_500>>| match new {
        Some(new) => format!("backups are kept for {new} days instead of {old}"),
        None => format!("backups are no longer kept because they are not older than {old} days"),
    };
    let max_age_days = stricter(old.max_age_days, new.max_age_days, age, loosens);
    let keeps_requested = old.keeps_requested || new.keeps_requested;
    Retention { last, max_age_days, hourly, daily, weekly, monthly, yearly, keeps_requested }
}

/// The greater of two numbers; none is the least.
fn stricter<T: Copy + Ord>(
    old: Option<T>,
    new: Option<T>,
    words: impl FnOnce(T, Option<T>) -> String,
    loosens: &mut Vec<String>,
) -> Option<T> {
    if let Some(old) = old.filter(|_| new < old) {
        loosens.push(words(old, new));
    }
    old.max(new)
}

fn backup(old: &BackupSettings, new: &BackupSettings, loosens: &mut Vec<String>) -> BackupSettings {
    let mut now = new.clone();
    if strength(&new.encryption) < strength(&old.encryption) {
        now.encryption = old.encryption.clone();
        loosens.push(match &new.encryption {
            Sse::None => format!("no encryption is asked for any more (`{}` until now)", old.encryption),
            weaker => format!("encryption is weaker: `{weaker}` instead of `{}`", old.encryption),
        });
    }
    if new.consistency == ConsistencyMode::None && old.consistency != ConsistencyMode::None {
        now.consistency = old.consistency;
        loosens.push(format!(
            "backups no longer hold one moment (consistency `none` instead of `{}`)",
            old.consistency
        ));
    }
    now.include = included(&old.include, &new.include, loosens);
    now.exclude = excluded(&old.exclude, &new.exclude, loosens);
    now
}

/// How strong encryption is, and then whether its key is one's own.
fn strength(encryption: &Sse) -> (u8, bool) {
    match encryption {
        Sse::None => (0, false),
        Sse::Aes256 => (1, false),
        Sse::Kms(key) => (2, key.is_some()),
        Sse::Dsse(key) => (3, key.is_some()),
    }
}

type Patterns = Few<Pattern, 100>;

/// What is backed up by either list; an empty one means everything.
fn included(old: &Patterns, new: &Patterns, loosens: &mut Vec<String>) -> Patterns {
    if new.is_empty() {
        return new.clone();
    }
    if old.is_empty() {
        loosens.push(format!("only {} is backed up, and no longer everything", named(new.as_slice())));
        return old.clone();
    }
    let gone = missing(old, new);
    if gone.is_empty() {
        return new.clone();
    }
    loosens.push(format!("{} is no longer backed up for its own sake", named(&gone)));
    // Too long a list becomes everything, which is not less.
    Patterns::try_from([new.as_slice(), &gone].concat()).unwrap_or_default()
}

/// What is left out by both lists.
fn excluded(old: &Patterns, new: &Patterns, loosens: &mut Vec<String>) -> Patterns {
    let more = missing(new, old);
    if more.is_empty() {
        return new.clone();
    }
    loosens.push(format!("{} is left out", named(&more)));
    let both = new.as_slice().iter().filter(|pattern| !more.contains(pattern)).cloned().collect::<Vec<_>>();
    Patterns::try_from(both).unwrap_or_default()
}

/// Patterns of one list that the other has not.
fn missing(of: &Patterns, from: &Patterns) -> Vec<Pattern> {
    of.as_slice().iter().filter(|pattern| !from.as_slice().contains(pattern)).cloned().collect()
}

/// The first of them, so that a long list leaves room for the other words.
fn named(patterns: &[Pattern]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = patterns.iter().take(SHOWN).map(|pattern| format!("`{pattern}`")).collect();
    let rest = match patterns.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{rest}", shown.join(", "))
}

#[cfg(test)]
mod tests;

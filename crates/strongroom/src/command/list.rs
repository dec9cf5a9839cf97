//! `strongroom list`.

use std::fmt;

use serde::Serialize;
use strongroom_engine::catalog::{self, Entry, Place};
use strongroom_engine::{Result, Status, Summary, bucket};

use crate::cli::List;
use crate::output::Output;
use crate::words::size;

pub(crate) async fn run(options: List, output: &Output) -> Result<()> {
    let store = bucket::open(&options.place.location, options.place.store.options(output.observer()))?;
    let entries = catalog::list(&*store, options.place.plan.as_ref()).await?;
    drop(store);
    output.answer(&Answer::of(&entries), &Text(&entries))
}

#[derive(Serialize)]
struct Answer<'a> {
    backups: Vec<&'a Summary>,
    /// Places that look like backups and are none.
    others: Vec<Other>,
}

#[derive(Serialize)]
struct Other {
    id: String,
    plan: String,
    state: &'static str,
    /// Why an unreadable one cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Why>,
}

#[derive(Serialize)]
struct Why {
    code: &'static str,
    message: String,
}

impl Why {
    fn of(entry: &Entry) -> Option<Self> {
        match entry {
            Entry::Unreadable(_, error) => {
                Some(Self { code: error.code().as_str(), message: error.message().to_owned() })
            }
            _ => None,
        }
    }
}

impl<'a> Answer<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        let mut answer = Self { backups: Vec::new(), others: Vec::new() };
        for entry in entries {
            match entry {
                Entry::Backup(summary) => answer.backups.push(summary),
                other => answer.others.extend(state(other).map(|(place, state)| Other {
                    id: place.id.to_string(),
                    plan: place.plan.to_string(),
                    state,
                    error: Why::of(other),
                })),
            }
        }
        answer
    }
}

fn state(entry: &Entry) -> Option<(&Place, &'static str)> {
    match entry {
        Entry::Backup(_) => None,
        Entry::Unfinished(place) => Some((place, "unfinished")),
        Entry::Deleting(place) => Some((place, "deleting")),
        Entry::Unreadable(place, _) => Some((place, "unreadable")),
    }
}

struct Text<'a>(&'a [Entry]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no backups");
        }
        writeln!(f, "{:<22} {:<12} {:>12} {:>10}  STATE", "BACKUP", "PLAN", "DOCUMENTS", "STORED")?;
        for entry in self.0 {
            match (entry, state(entry)) {
                (Entry::Backup(summary), _) => {
                    let totals = summary.totals;
                    let status = match summary.status {
                        Status::Complete => "complete",
                        Status::Incomplete => "incomplete",
                    };
                    let stored = size(totals.stored_bytes);
                    let (id, plan) = (&summary.id, &summary.plan);
                    writeln!(f, "{id:<22} {plan:<12} {:>12} {stored:>10}  {status}", totals.documents)?;
                }
                (_, Some((place, state))) => {
                    let (id, plan) = (place.id.as_str(), place.plan.as_str());
                    let why = Why::of(entry).map(|why| format!(" ({}: {})", why.code, why.message));
                    let why = why.unwrap_or_default();
                    writeln!(f, "{id:<22} {plan:<12} {:>12} {:>10}  not a backup: {state}{why}", "", "")?;
                }
                (_, None) => {}
            }
        }
        Ok(())
    }
}

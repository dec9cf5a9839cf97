//! `strongroom list`.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use strongroom_engine::bucket;
use strongroom_engine::catalog::{self, Entry, Place};
use strongroom_engine::error::Result;
use strongroom_engine::manifest::{Consistency, Encryption, Manifest, Status, Totals};

use crate::cli::List;
use crate::output::Output;
use crate::words::size;

pub(crate) async fn run(options: List, output: &Output) -> Result<()> {
    let store = bucket::open(&options.place.location, options.place.owner.options())?;
    let entries = catalog::list(&*store, options.place.plan.as_ref()).await?;
    output.answer(&Answer::of(&entries), &Text(&entries))
}

/// A backup in a few words.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    id: &'a str,
    plan: &'a str,
    status: Status,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
    server_version: &'a str,
    totals: Totals,
    consistency: &'a Consistency,
    encryption: &'a Encryption,
}

impl<'a> Summary<'a> {
    pub(super) fn of(manifest: &'a Manifest) -> Self {
        Self {
            id: &manifest.id,
            plan: &manifest.plan,
            status: manifest.status,
            started_at: manifest.started_at,
            finished_at: manifest.finished_at,
            server_version: &manifest.source.server_version,
            totals: manifest.totals,
            consistency: &manifest.consistency,
            encryption: &manifest.encryption,
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    backups: Vec<Summary<'a>>,
    /// Places that look like backups and are none.
    others: Vec<Other>,
}

#[derive(Serialize)]
struct Other {
    id: String,
    plan: String,
    state: &'static str,
}

impl<'a> Answer<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        let mut answer = Self { backups: Vec::new(), others: Vec::new() };
        for entry in entries {
            match entry {
                Entry::Backup(manifest) => answer.backups.push(Summary::of(manifest)),
                other => answer.others.extend(state(other).map(|(place, state)| Other {
                    id: place.id.to_string(),
                    plan: place.plan.to_string(),
                    state,
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
                (Entry::Backup(manifest), _) => {
                    let totals = manifest.totals;
                    let status = match manifest.status {
                        Status::Complete => "complete",
                        Status::Incomplete => "incomplete",
                    };
                    let stored = size(totals.stored_bytes);
                    let (id, plan) = (&manifest.id, &manifest.plan);
                    writeln!(f, "{id:<22} {plan:<12} {:>12} {stored:>10}  {status}", totals.documents)?;
                }
                (_, Some((place, state))) => {
                    let (id, plan) = (place.id.as_str(), place.plan.as_str());
                    writeln!(f, "{id:<22} {plan:<12} {:>12} {:>10}  no backup: {state}", "", "")?;
                }
                (_, None) => {}
            }
        }
        Ok(())
    }
}

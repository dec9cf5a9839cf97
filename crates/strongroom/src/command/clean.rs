//! `strongroom clean`.

use std::fmt;

use serde::Serialize;
use strongroom_engine::clean::{self, Cleared, Dead, Found, Options, Stays, Unlisted, Why};
use strongroom_engine::{Code, Error, Job, Result, bucket};

use super::confirm;
use crate::cli::Clean;
use crate::output::Output;
use crate::words::{count, in_line, size, time};

pub(crate) async fn run(options: Clean, output: &Output, job: Job) -> Result<()> {
    let store = bucket::open(&options.place.location, options.place.store.options(job.observer.clone()))?;
    let wanted = Options {
        plan: options.place.plan,
        older_than: options.older_than,
        damaged: options.damaged,
        newer: options.newer,
    };
    let dead = clean::look(&*store, &wanted, &job).await?;
    if options.dry_run || dead.found.is_empty() {
        drop((store, job));
        output.answer(&dead, &Text(&dead))?;
        return missing(0, &dead);
    }
    if !options.yes {
        output.remark(Text(&dead).to_string().trim_end());
        confirm("Delete this for good?", "nothing was deleted", output)?;
    }
    let cleared = dead.clear(store, &job).await?;
    drop(job);
    output.answer(&Answer { dead: &dead, cleared: &cleared }, &Done(&cleared))?;
    missing(cleared.left.len() as u64, &dead)
}

/// What was not done of it.
fn missing(left: u64, dead: &Dead) -> Result<()> {
    let message = match (left, dead.unlisted.len() as u64) {
        (0, 0) => return Ok(()),
        (0, unlisted) => format!("{} could not be looked at", count(unlisted, "plan")),
        (left, _) => format!("{} could not be deleted", count(left, "folder")),
    };
    Err(Error::new(Code::Incomplete, message).help("What is left, and why, is listed above."))
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    dead: &'a Dead,
    cleared: &'a Cleared,
}

/// What would be deleted, and what is no backup and stays.
struct Text<'a>(&'a Dead);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.found.is_empty() {
            writeln!(f, "nothing to delete")?;
        } else {
            writeln!(f, "{:<22} {:<12} {:>10} {:>10}  WHY", "FOLDER", "PLAN", "OBJECTS", "STORED")?;
        }
        for found in &self.0.found {
            let (id, plan) = (found.place.id.as_str(), found.place.plan.as_str());
            let stored = size(found.stored_bytes);
            writeln!(f, "{id:<22} {plan:<12} {:>10} {stored:>10}  {}", found.objects, why(found))?;
        }
        self.0.stays.iter().try_for_each(|stays| stay(f, "stays", stays))?;
        let unlisted = &self.0.unlisted;
        unlisted.iter().try_for_each(|Unlisted { plan, reason }| {
            writeln!(f, "not looked at: plan {plan}: {}", in_line(reason))
        })
    }
}

fn why(found: &Found) -> String {
    let why = match found.why {
        Why::Unfinished => "unfinished",
        Why::LogOnly => "the log of a run that failed",
        Why::Deleting => "its deletion was cut off",
        Why::Damaged => "its manifest is damaged",
        Why::Newer => "made by a newer Strongroom",
    };
    match found.last_written {
        Some(at) => format!("{why}, last written {}", time(at)),
        None => format!("{why}, empty"),
    }
}

fn stay(f: &mut fmt::Formatter<'_>, label: &str, stays: &Stays) -> fmt::Result {
    writeln!(f, "{label}: {}/{}: {}", stays.place.plan, stays.place.id, in_line(&stays.reason))
}

struct Done<'a>(&'a Cleared);

impl fmt::Display for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cleared { folders, objects, stored_bytes, left } = self.0;
        left.iter().try_for_each(|stays| stay(f, "not deleted", stays))?;
        writeln!(
            f,
            "deleted {}: {}, {}",
            count(*folders, "folder"),
            count(*objects, "object"),
            size(*stored_bytes)
        )
    }
}

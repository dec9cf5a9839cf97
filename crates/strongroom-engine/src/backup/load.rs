//! Gives way to the other work of the member that is read.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::pace::Pace;
use crate::deployment::{Deployment, Load};
use crate::error::Code;
use crate::job::Job;
use crate::progress::{Event, Warning};

/// How often the member is asked.
const EVERY: Duration = Duration::from_secs(1);
/// More operations than this wait only where the member cannot keep up.
const QUEUED_MAX: u64 = 16;
/// Fewer tickets than this for reads are left only where the storage engine is about to make operations wait.
const READ_TICKETS_MIN: u64 = 4;

/// Watches the member until what comes back is dropped.
pub(super) fn watched(deployment: &Arc<Deployment>, pace: &Arc<Pace>, job: &Job) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    watching.spawn(watch(deployment.clone(), pace.clone(), job.clone()));
    watching
}

async fn watch(deployment: Arc<Deployment>, pace: Arc<Pace>, job: Job) {
    let mut lag_first = None;
    let mut slowed = false;
    loop {
        let load = match deployment.load().await {
            Ok(load) => load,
            Err(error) if error.code() == Code::MongoPrivilege => {
                let reason = error.message().to_owned();
                return job.warn(Warning::LoadUnknown { reason });
            }
            // A connection that broke is the readers' business too; until it is back nothing is known.
            Err(_) => Load::default(),
        };
        lag_first = lag_first.or(load.lag_seconds);
        let allowed = lag_first.unwrap_or_default() + deployment.lag_max().as_secs_f64();
        let why = too_much(&load, allowed);
        pace.set_overloaded(why.is_some());
        if slowed != why.is_some() {
            slowed = why.is_some();
            let member = deployment.source().member.clone();
            job.observe(&Event::Slowed { member, why });
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What of a member's load is too much for a backup to add to.
fn too_much(load: &Load, lag_max: f64) -> Option<String> {
    if load.queued > QUEUED_MAX {
        return Some(format!("{} operations wait for their turn there", load.queued));
    }
    if let Some(left) = load.read_tickets_left.filter(|left| *left < READ_TICKETS_MIN) {
        return Some(format!("only {left} more reads may begin there"));
    }
    let lag = load.lag_seconds.filter(|lag| *lag > lag_max)?;
    Some(format!("it lags {lag:.0} s behind the primary"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_a_lack_of_tickets_and_a_growing_lag_are_too_much() {
        let idle = Load { queued: 2, read_tickets_left: Some(120), lag_seconds: Some(1.0) };
        assert_eq!(too_much(&idle, 30.0), None);
        assert_eq!(too_much(&Load::default(), 30.0), None);
        assert!(too_much(&Load { queued: 17, ..idle }, 30.0).unwrap().contains("17 operations"));
        assert!(too_much(&Load { read_tickets_left: Some(0), ..idle }, 30.0).is_some());
        assert!(too_much(&Load { lag_seconds: Some(31.0), ..idle }, 30.0).unwrap().contains("31 s"));
    }
}

//! Gives way to the other work of the member that is read.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::lost;
use super::pace::Pace;
use crate::deployment::{Deployment, Load};
use crate::error::Code;
use crate::job::Job;
use crate::progress::{Event, Warning};

/// How often the member is asked.
const EVERY: Duration = Duration::from_secs(1);
/// More operations of others than this wait only where the member cannot keep up.
const QUEUED_MAX: u64 = 16;

/// Watches the member until what comes back is dropped. Of the operations that wait there up to `own` may be the
/// backup's.
pub(super) fn watched(deployment: &Arc<Deployment>, pace: &Arc<Pace>, own: u64, job: &Job) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    watching.spawn(watch(deployment.clone(), pace.clone(), own, job.clone()));
    watching
}

async fn watch(deployment: Arc<Deployment>, pace: Arc<Pace>, own: u64, job: Job) {
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
        let why = too_much(&load, own, allowed);
        pace.set_overloaded(why.is_some());
        if slowed != why.is_some() {
            slowed = why.is_some();
            let member = deployment.member();
            job.observe(&Event::Slowed { member, why });
        }
        lost::tell(&deployment, &job);
        tokio::time::sleep(EVERY).await;
    }
}

/// What of a member's load is too much for a backup to add to.
fn too_much(load: &Load, own: u64, lag_max: f64) -> Option<String> {
    let others = load.queued.saturating_sub(own);
    if others > QUEUED_MAX {
        return Some(format!("{others} operations wait for their turn there"));
    }
    let lag = load.lag_seconds.filter(|lag| *lag > lag_max)?;
    Some(format!("it lags {lag:.0} s behind the primary"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_of_others_and_a_growing_lag_are_too_much() {
        let idle = Load { queued: 2, lag_seconds: Some(1.0) };
        assert_eq!(too_much(&idle, 0, 30.0), None);
        assert_eq!(too_much(&Load::default(), 0, 30.0), None);
        assert!(too_much(&Load { queued: 17, ..idle }, 0, 30.0).unwrap().contains("17 operations"));
        assert_eq!(too_much(&Load { queued: 17, ..idle }, 9, 30.0), None, "the backup's own reads are none");
        assert!(too_much(&Load { lag_seconds: Some(31.0), ..idle }, 9, 30.0).unwrap().contains("31 s"));
    }
}

//! A member that is lost: gone on from, and said.

use super::resume::Elsewhere;
use crate::deployment::{Deployment, Turn};
use crate::job::Job;

/// Reads another member than that of `turn` from now on, if it is to be and there is one.
pub(super) async fn go_elsewhere(deployment: &Deployment, turn: Turn, elsewhere: Elsewhere, job: &Job) {
    match elsewhere {
        Elsewhere::No => {}
        Elsewhere::IfLost => deployment.go_elsewhere(turn, false).await,
        Elsewhere::Insist => deployment.go_elsewhere(turn, true).await,
    }
    tell(deployment, job);
}

/// Passes on what a person should know of connections that were lost.
pub(super) fn tell(deployment: &Deployment, job: &Job) {
    for event in deployment.news() {
        job.observe(&event);
    }
}

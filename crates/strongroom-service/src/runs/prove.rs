//! A bucket's security, tried out.

use strongroom_engine::bucket::actions::Role;
use strongroom_engine::guard::{self, Credentials};
use strongroom_engine::{Job, Result};

use super::open::Opening;
use crate::model::{Proof, RunId};

/// Tries the location out with its own identities. What a probe is answered is a finding, not an error.
///
/// # Errors
/// As the engine: where the bucket cannot be reached, or the location lacks an identity.
pub async fn run(run: RunId, opening: &Opening, job: &Job) -> Result<Proof> {
    let settings = opening.bucket_settings()?;
    let of_role = |role| Ok((role, opening.options(role)?));
    let roles = Role::ALL.into_iter().map(of_role).collect::<Result<Vec<_>>>()?;
    let report = guard::prove(&settings, &Credentials { roles, admin: None }, job).await?;
    let counts = report.counts;
    Ok(Proof {
        run,
        at: job.clock.now(),
        passed: report.holds(),
        pass: counts.pass as u64,
        fail: counts.fail as u64,
        unknown: counts.could_not_tell as u64,
        not_offered: counts.not_offered as u64,
    })
}

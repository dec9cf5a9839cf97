//! Retention, applied: backups that the rules keep no more expire, and those that they keep again are kept again.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::model::{Backup, BackupState, PlanId, Settings};
use crate::retention::{self, Candidate, Judged};
use crate::runs::Means;
use crate::state::{StateError, Tx, backups, plans, settings};

/// Judges the backups of a plan, and stores what follows.
///
/// # Errors
/// As the state fails; nothing is changed then.
pub async fn retain(means: &Means, plan: &PlanId) -> Result<(), StateError> {
    let now = means.now();
    let mut tx = means.state.begin().await?;
    let Some(plan) = plans::get(&mut tx, plan).await? else { return Ok(()) };
    let (settings, _) = settings::get(&mut tx).await?;
    let all = backups::of_plan(&mut tx, &plan.id).await?;
    let (known, candidates): (Vec<_>, Vec<_>) =
        all.iter().filter_map(|backup| Some((backup, Candidate::of(backup, &plan.id)?))).unzip();
    let zone = plan.settings.schedule.zone();
    let judged = retention::apply(&candidates, &plan.settings.retention, zone, now);
    let mut changed = false;
    for (backup, judged) in known.into_iter().zip(judged) {
        changed |= follow(&mut tx, backup, &judged, &settings, now).await?;
    }
    match changed {
        true => tx.commit().await,
        false => Ok(()),
    }
}

/// Whether anything about the backup changed.
async fn follow(
    tx: &mut Tx,
    backup: &Backup,
    judged: &Judged,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<bool, StateError> {
    let next = after(backup, judged, settings, now);
    if next == *backup {
        return Ok(false);
    }
    // It may have been deleted since it was read.
    let Some(current) = backups::get_to_change(tx, &backup.id).await? else { return Ok(false) };
    if current != *backup {
        return Ok(false);
    }
    backups::update(tx, &next).await?;
    let news = match (backup.state, next.state) {
        (BackupState::Kept, BackupState::Expired) => "backup.expired",
        (BackupState::Expired, BackupState::Kept) => "backup.kept",
        _ => return Ok(true),
    };
    tx.tell(news, Some(backup.id.as_str()), json!({ "plan": backup.plan }));
    Ok(true)
}

/// The backup after it was judged. What a person deleted stays so.
fn after(backup: &Backup, judged: &Judged, settings: &Settings, now: DateTime<Utc>) -> Backup {
    let next = Backup { reasons: judged.words(), ..backup.clone() };
    let grace = i64::try_from(settings.grace_hours.get()).unwrap_or(i64::MAX);
    match (backup.state, judged.keep) {
        (BackupState::Kept, false) => Backup {
            state: BackupState::Expired,
            expired_at: Some(now),
            sweep_after: Some(now + TimeDelta::try_hours(grace).unwrap_or(TimeDelta::MAX)),
            ..next
        },
        (BackupState::Expired, true) if backup.expired_by.is_none() => {
            Backup { state: BackupState::Kept, expired_at: None, sweep_after: None, ..next }
        }
        _ => next,
    }
}

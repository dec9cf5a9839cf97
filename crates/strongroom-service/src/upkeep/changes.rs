//! Changes that loosen something, once their delay is over.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::model::{
    AuditEvent, AuditId, Backup, BackupState, BackupsOfDeleted, Change, ChangePlan, ChangeState, DeletePlan,
    LiftHold, Loosening, NewPlan, Plan, PlanId, PlanStatus,
};
use crate::runs::{Means, refusal};
use crate::state::{StateError, Tx, audit, backups, changes, locations, plans, settings};

/// Changes that take effect in one go.
const AT_ONCE: u64 = 100;

/// Makes what is due take effect, each change in a transaction of its own.
///
/// # Errors
/// As the state fails.
pub(super) async fn take_effect(means: &Means) -> Result<(), StateError> {
    let now = means.now();
    let due = changes::due(&mut means.state.reader().await?, now, AT_ONCE).await?;
    for change in due {
        if !attempt(means, &change, ChangeState::Applied, now).await? {
            attempt(means, &change, ChangeState::Failed, now).await?;
        }
    }
    Ok(())
}

/// Whether the change could be decided so. Whatever was changed for one that cannot take effect is undone.
async fn attempt(
    means: &Means,
    change: &Change,
    to: ChangeState,
    now: DateTime<Utc>,
) -> Result<bool, StateError> {
    let mut tx = means.state.begin().await?;
    if to == ChangeState::Applied {
        match apply(&mut tx, change, now).await {
            Ok(true) => {}
            Ok(false) | Err(StateError::Missing | StateError::Conflict | StateError::Taken { .. }) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    let decided = Change { state: to, decided_at: Some(now), ..change.clone() };
    match changes::decide(&mut tx, &decided).await {
        Ok(()) => {}
        // Somebody called it back just now.
        Err(StateError::Conflict | StateError::Missing) => return Ok(true),
        Err(error) => return Err(error),
    }
    let (action, news) = match to {
        ChangeState::Applied => ("change.apply", "change.applied"),
        _ => ("change.fail", "change.failed"),
    };
    audit::append(&mut tx, &entry(&decided, action, now)).await?;
    tx.tell(news, Some(change.id.as_str()), json!({ "what": change.what }));
    tx.commit().await?;
    Ok(true)
}

fn entry(change: &Change, action: &str, now: DateTime<Utc>) -> AuditEvent {
    AuditEvent {
        id: AuditId::new(now, rand::random()),
        at: now,
        user: None,
        token: None,
        address: None,
        action: action.into(),
        subject: Some(change.id.to_string()),
        before: None,
        after: serde_json::to_value(change).ok(),
    }
}

/// Whether what it changes is still as it was when the change was asked for.
async fn apply(tx: &mut Tx, change: &Change, now: DateTime<Utc>) -> Result<bool, StateError> {
    match &change.what {
        Loosening::ChangePlan(ChangePlan { plan, settings }) => {
            let Some(found) = plans::get(tx, plan).await? else { return Ok(false) };
            change_plan(tx, &found, settings, now).await?;
        }
        Loosening::DeletePlan(DeletePlan { plan, backups }) => {
            let Some(found) = plans::get(tx, plan).await? else { return Ok(false) };
            if *backups == BackupsOfDeleted::Expire {
                expire_all(tx, plan, change, now).await?;
            }
            plans::delete(tx, plan, found.version).await?;
            tx.tell("plan.deleted", Some(plan.as_str()), json!({}));
        }
        Loosening::LiftHold(LiftHold { backup }) => {
            let Some(found) = backups::get_to_change(tx, backup).await? else { return Ok(false) };
            // Holds that were placed since stay.
            let holds = found.holds.iter().filter(|hold| hold.at > change.created_at).cloned().collect();
            backups::update(tx, &Backup { holds, ..found }).await?;
            tx.tell("backup.released", Some(backup.as_str()), json!({}));
        }
        Loosening::ChangeSettings(changed) => {
            let (_, version) = settings::get(tx).await?;
            settings::update(tx, &changed.settings, version).await?;
            tx.tell("settings.updated", None, json!({}));
        }
    }
    Ok(true)
}

/// Settings that were sent since have taken the place of the change; who paused or resumed the plan since meant that.
async fn change_plan(
    tx: &mut Tx,
    before: &Plan,
    settings: &NewPlan,
    now: DateTime<Utc>,
) -> Result<(), StateError> {
    let settings = NewPlan { paused: before.settings.paused, ..settings.clone() };
    let location = locations::get(tx, &settings.location).await?.ok_or(StateError::Missing)?;
    let status = PlanStatus {
        refused_by_bucket: refusal(&location, &before.folder, &settings.backup.encryption),
        ..before.status.clone()
    };
    let after = Plan { settings, status, updated_at: now, ..before.clone() };
    plans::update(tx, &after, before.version).await?;
    tx.tell("plan.updated", Some(before.id.as_str()), json!({}));
    Ok(())
}

/// The backups of a plan that is deleted with them. Those on hold stay.
async fn expire_all(
    tx: &mut Tx,
    plan: &PlanId,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<(), StateError> {
    let (settings, _) = settings::get(tx).await?;
    let grace = TimeDelta::hours(i64::try_from(settings.grace_hours.get()).unwrap_or(0));
    for backup in backups::of_plan(tx, plan).await? {
        if backup.state != BackupState::Kept || !backup.holds.is_empty() {
            continue;
        }
        let expired = Backup {
            state: BackupState::Expired,
            expired_at: Some(now),
            expired_by: change.requested_by.clone(),
            sweep_after: Some(now + grace),
            reasons: vec!["its plan was deleted with its backups".into()],
            ..backup
        };
        backups::update(tx, &expired).await?;
        tx.tell("backup.expired", Some(expired.id.as_str()), json!({ "plan": plan }));
    }
    Ok(())
}

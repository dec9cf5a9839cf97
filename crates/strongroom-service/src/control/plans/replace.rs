//! A plan gets other settings.

use chrono::{DateTime, Utc};

use super::{Checked, check, first_due, found};
use crate::control::record::Changed;
use crate::control::{Actor, Error, Expected, Result, changes};
use crate::loosening;
use crate::model::{ChangePlan, Loosening, NewPlan, Plan, PlanChanged, PlanId, PlanStatus};
use crate::runs::refusal;
use crate::service::Service;
use crate::state::{self, StateError, Tx};

/// Replaces the settings of a plan. What tightens holds at once; what loosens waits, and takes the place of what waited
/// before.
///
/// # Errors
/// `SR-MISSING`, `SR-CHANGED`, `SR-TAKEN` for its name, `SR-REQUEST` with the field that is wrong.
pub async fn replace(
    service: &Service,
    actor: &Actor,
    id: &PlanId,
    (expected, wanted): (&Expected, NewPlan),
) -> Result<PlanChanged> {
    let now = service.clock.now();
    let mut tx = service.state.begin().await?;
    let before = found(&mut tx, actor, id).await?;
    expected.check(before.version)?;
    if wanted.folder.as_ref().is_some_and(|folder| *folder != before.folder) {
        let message = format!("the folder of a plan never changes; this one has `{}`", before.folder);
        return Err(Error::field("folder", message));
    }
    let wanted = NewPlan { folder: before.settings.folder.clone(), ..wanted };
    let Checked { settings: wanted, .. } =
        check(&mut tx, actor, (wanted, Some(&before.settings)), now).await?;
    let split = loosening::of_plan(&before.settings, &wanted);
    let what = |settings| Loosening::ChangePlan(ChangePlan { plan: id.clone(), settings });
    let before_it = changes::waiting_of_plan(&mut tx, id).await?;
    let before_it = before_it.into_iter().filter(|change| matches!(change.what, Loosening::ChangePlan(_)));
    let asked = split.later.map(|settings| (what(settings), split.loosens));
    let waiting = changes::instead_of(&mut tx, service, actor, (before_it.collect(), asked)).await?;
    let settings = if waiting.is_some() { split.now } else { wanted };
    let plan = set(&mut tx, service, actor, (&before, settings), now).await?;
    tx.commit().await?;
    Ok(PlanChanged { plan, waiting })
}

/// Sets settings that were checked, with all that follows: when it is due, and whether its bucket refuses it.
///
/// # Errors
/// `SR-TAKEN` for its name or its folder in another location, `SR-MISSING` if what it names is gone.
pub(super) async fn set(
    tx: &mut Tx,
    service: &Service,
    actor: &Actor,
    (before, settings): (&Plan, NewPlan),
    now: DateTime<Utc>,
) -> Result<Plan> {
    let location = state::locations::get(tx, &settings.location).await?.ok_or(StateError::Missing)?;
    let current = state::plans::get(tx, &before.id).await?.ok_or(StateError::Missing)?;
    let anew = settings.schedule != before.settings.schedule || settings.paused != before.settings.paused;
    let status = PlanStatus {
        next_due: if anew { first_due(&settings, now) } else { before.status.next_due },
        refused_by_bucket: refusal(&location, &before.folder, &settings.backup.encryption),
        ..current.status
    };
    let after = Plan { settings, status, updated_at: now, version: before.version + 1, ..before.clone() };
    state::plans::update(tx, &after, before.version).await?;
    let record = Changed::new("plan.update", after.id.as_str()).before(before).after(&after);
    record.record(tx, service, actor).await?;
    Ok(after)
}

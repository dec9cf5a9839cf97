//! Whether settings of a plan can be.

use strongroom_engine::PlanName;

use chrono::{DateTime, Utc};

use crate::control::{Actor, Error, Result};
use crate::model::{Deployment, Location, Name, NewPlan};
use crate::runs;
use crate::schedule::{Once, Schedule, next_after};
use crate::state::{Conn, deployments, locations};

/// Settings of a plan that can be, and what they name.
pub(in crate::control) struct Checked {
    /// The settings as they are kept.
    pub(in crate::control) settings: NewPlan,
    pub(in crate::control) deployment: Deployment,
    pub(in crate::control) location: Location,
}

/// Checks settings against what there is; `before` are those that they replace.
///
/// # Errors
/// `SR-REQUEST` with the field that is wrong.
pub(in crate::control) async fn check(
    conn: &mut Conn,
    actor: &Actor,
    (wanted, before): (NewPlan, Option<&NewPlan>),
    now: DateTime<Utc>,
) -> Result<Checked> {
    let seen = |deployment: &Deployment| {
        let same = before.is_some_and(|before| before.deployment == deployment.id);
        same || actor.scope.has_deployment(&deployment.id)
    };
    let deployment = deployments::get(conn, &wanted.deployment).await?.filter(seen);
    let deployment = deployment.ok_or_else(|| Error::field("deployment", "there is no such deployment"))?;
    let location = locations::get(conn, &wanted.location).await?;
    let location = location.ok_or_else(|| Error::field("location", "there is no such location"))?;
    runs::backup::options(PlanName::default(), &wanted.backup)
        .map_err(|error| Error::from(error).at("backup.include"))?;
    let schedule = schedule(wanted.schedule, before.map(|before| &before.schedule), now)?;
    Ok(Checked { settings: NewPlan { schedule, ..wanted }, deployment, location })
}

/// The schedule as it is kept. One that is not changed need not be checked again: its last time may have passed.
fn schedule(wanted: Schedule, before: Option<&Schedule>, now: DateTime<Utc>) -> Result<Schedule> {
    let at_once = Schedule::Once(Once { at: None, zone: wanted.zone() });
    match before {
        Some(before) if *before == wanted => return Ok(wanted),
        // "At once" was meant when it was said the first time.
        Some(before @ Schedule::Once(once)) if wanted == at_once && once.zone == wanted.zone() => {
            return Ok(before.clone());
        }
        _ => {}
    }
    let settled = wanted.settled(now).map_err(|why| Error::field("schedule", why))?;
    match next_after(&settled, Schedule::counts_from(now)) {
        Some(_) => Ok(settled),
        None => Err(Error::field("schedule", "the plan would never run")),
    }
}

/// The folder of a plan's backups: as it is set, or made from the plan's name.
///
/// # Errors
/// `SR-REQUEST` if no folder can have that name.
pub(super) fn folder(settings: &NewPlan) -> Result<PlanName> {
    if let Some(folder) = &settings.folder {
        return Ok(folder.clone());
    }
    let wrong = |_| Error::field("folder", "no folder can be made from the name; set one");
    slug(&settings.name).parse().map_err(wrong)
}

/// Letters and digits of the name in lower case, and a hyphen for each stretch of anything else.
fn slug(name: &Name) -> String {
    const MAX: usize = 64;
    let mut slug = String::new();
    for c in name.as_str().chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(MAX);
    slug.trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_from_the_name() {
        let slug = |name: &str| slug(&name.parse().unwrap());
        assert_eq!(slug("Shop, nightly (EU)"), "shop-nightly-eu");
        assert_eq!(slug("..hidden"), "hidden");
        assert_eq!(slug("Übersicht"), "bersicht");
        assert_eq!(slug("日本"), "");
        assert_eq!(slug(&"a".repeat(100)).len(), 64);
    }

    #[test]
    fn a_schedule_that_does_not_change_is_taken_also_when_it_has_passed() {
        let read = |json: &str| serde_json::from_str::<Schedule>(json).unwrap();
        let now: DateTime<Utc> = "2026-11-25T02:00:00Z".parse().unwrap();
        let past = read(r#"{"kind":"once","at":"2026-11-24T02:00:00Z"}"#);
        assert!(schedule(past.clone(), None, now).is_err());
        assert_eq!(schedule(past.clone(), Some(&past), now).unwrap(), past);
        assert_eq!(
            schedule(read(r#"{"kind":"once"}"#), Some(&past), now).unwrap(),
            past,
            "saved again is not run again"
        );
        let daily = read(r#"{"kind":"cron","pattern":"0 2 * * *","zone":"UTC"}"#);
        assert_eq!(schedule(daily.clone(), Some(&past), now).unwrap(), daily);
    }
}

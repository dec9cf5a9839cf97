//! A state of years, made in a minute.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use strongroom_engine::BackupId;
use strongroom_service::model::{
    Backup, BackupKey, Deployment, DeploymentId, Location, LocationId, Plan, PlanId, Run, RunId, Token,
    TokenId, User, UserId,
};
use strongroom_service::secrets::{Bearer, BearerKind, write_new_key};
use strongroom_service::state::users::Proofs;
use strongroom_service::state::{
    State, Tx, backups, deployments, locations, plans, seed as bulk, tokens, users,
};

use super::clock::{SystemClock, now};
use super::place::Place;
use crate::Outcome;

/// Plans of one deployment.
const PLANS_EACH: usize = 10;
const LOCATIONS: usize = 20;
/// Good backups of a plan that are kept.
const BACKUPS_EACH: usize = 10;
/// One in so many runs failed.
const FAILED_EACH: usize = 50;
/// Plans of one transaction.
const AT_ONCE: usize = 500;
/// Time between two runs of a plan.
const BETWEEN: TimeDelta = TimeDelta::hours(6);

/// What there is to ask for.
pub(super) struct Seeded {
    /// Of an admin.
    pub(super) token: String,
    pub(super) plan: PlanId,
    pub(super) deployment: DeploymentId,
    pub(super) backup: BackupKey,
    /// A run in the middle of all of them.
    pub(super) middle: RunId,
}

fn made<T: DeserializeOwned>(value: Value) -> Outcome<T> {
    Ok(serde_json::from_value(value)?)
}

/// Makes the state, and prints how long that took.
pub(super) async fn seed(place: &Place, number: usize, runs: usize) -> Outcome<Seeded> {
    let begun = Instant::now();
    write_new_key(&place.key(), None).await?;
    let state = State::open(&place.url.parse()?, std::sync::Arc::new(SystemClock)).await?;
    let now = now();
    let mut tx = state.begin().await?;
    let token = admin(&mut tx, now).await?;
    let mut to = Vec::new();
    for place in 0..LOCATIONS {
        to.push(location(&mut tx, place, now).await?);
    }
    tx.commit().await?;
    let mut last = None;
    let numbers: Vec<usize> = (0..number.max(1)).collect();
    let mut from = Vec::new();
    for some in numbers.chunks(AT_ONCE) {
        let mut tx = state.begin().await?;
        for number in some {
            if number % PLANS_EACH == 0 {
                from.push(deployment(&mut tx, *number, now).await?);
            }
            let of = from.last().ok_or("no deployment")?;
            let plan = plan(&mut tx, *number, of, &to[number % LOCATIONS], now).await?;
            let backup = history(&mut tx, &plan, runs / numbers.len(), now).await?;
            last = Some((plan, backup));
        }
        tx.commit().await?;
    }
    let (plan, backup) = last.ok_or("no plan")?;
    state.close().await;
    println!("made the state in {:.0} s", begun.elapsed().as_secs_f64());
    let middle = now - BETWEEN * i32::try_from(runs / numbers.len() / 2)?;
    let (id, deployment) = (plan.id, plan.settings.deployment);
    Ok(Seeded { token, plan: id, deployment, backup, middle: RunId::new(middle, 0) })
}

async fn admin(tx: &mut Tx, now: DateTime<Utc>) -> Outcome<String> {
    let (id, bearer) = (UserId::new(now, 1), Bearer::random(BearerKind::Token)?);
    let user: User = made(json!({
        "id": id, "login": "bench", "role": "admin", "restorer": true, "disabled": false, "has_password": false,
        "created_at": now, "version": 1,
    }))?;
    users::insert(tx, &user, &Proofs::default()).await?;
    let token: Token = made(json!({
        "id": TokenId::new(now, 1), "name": "bench", "user": id, "role": "admin", "restorer": true, "deployments": [],
        "plans": [], "created_at": now, "expires_at": now + TimeDelta::days(1),
    }))?;
    tokens::insert(tx, &token, &bearer.digest()).await?;
    Ok(bearer.expose().to_owned())
}

async fn location(tx: &mut Tx, number: usize, now: DateTime<Utc>) -> Outcome<LocationId> {
    let id = LocationId::new(now, number as u128);
    let location: Location = made(json!({
        "id": id, "name": format!("location {number}"), "location": format!("s3://backups-{number}/all"),
        "checksum": "sha256", "bucket": {}, "credentials": { "kind": "ambient" }, "labels": { "country": "de" },
        "runs_at_once": 4, "created_at": now, "updated_at": now, "version": 1,
    }))?;
    locations::insert(tx, &location).await?;
    Ok(id)
}

async fn deployment(tx: &mut Tx, number: usize, now: DateTime<Utc>) -> Outcome<DeploymentId> {
    let id = DeploymentId::new(now, number as u128);
    let deployment: Deployment = made(json!({
        "id": id, "name": format!("deployment {number}"), "address": "mongodb://db.example.com",
        "labels": { "team": "shop" }, "runs_at_once": 1, "created_at": now, "updated_at": now, "version": 1,
    }))?;
    deployments::insert(tx, &deployment).await?;
    Ok(id)
}

/// A plan that is due tomorrow: what it costs to have it, not to run it.
async fn plan(
    tx: &mut Tx,
    number: usize,
    from: &DeploymentId,
    to: &LocationId,
    now: DateTime<Utc>,
) -> Outcome<Plan> {
    let name = format!("plan-{number}");
    let due = now + TimeDelta::days(1) + TimeDelta::seconds(i64::try_from(number)?);
    let plan: Plan = made(json!({
        "id": PlanId::new(now, number as u128), "folder": name, "created_at": now, "updated_at": now, "version": 1,
        "settings": {
            "name": name, "deployment": from, "location": to,
            "schedule": { "kind": "cron", "pattern": "15 2,8,14,20 * * *", "zone": "Europe/Berlin" },
            "retention": { "last": BACKUPS_EACH, "daily": 7, "monthly": 12 },
        },
        "status": { "next_due": due, "failed_since_good": 0, "waiting_changes": [] },
    }))?;
    plans::insert(tx, &plan).await?;
    Ok(plan)
}

/// The past of a plan; its newest backup.
async fn history(tx: &mut Tx, plan: &Plan, runs: usize, now: DateTime<Utc>) -> Outcome<BackupKey> {
    let mut all = Vec::new();
    let mut newest = BackupKey::new(now, rand::random());
    for back in (0..runs.max(1)).rev() {
        let began = now - BETWEEN * i32::try_from(back + 1)?;
        let key = BackupKey::new(began, rand::random());
        let failed = back % FAILED_EACH == FAILED_EACH - 1;
        if back < BACKUPS_EACH && !failed {
            backups::insert(tx, &backup(plan, &key, began)?).await?;
            newest = key.clone();
        }
        all.push(run(plan, &key, failed, began)?);
    }
    bulk::history(tx, &plan.id, &all, (&newest, now - BETWEEN)).await?;
    Ok(newest)
}

fn run(plan: &Plan, backup: &BackupKey, failed: bool, began: DateTime<Utc>) -> Outcome<Run> {
    let problem = json!({
        "code": "SR-STORE-UNREACHABLE", "message": "the store did not answer within 60 s", "help": "Try it again later.",
    });
    made(json!({
        "id": RunId::new(began, rand::random()), "request": { "kind": "backup", "plan": plan.id }, "trigger": "schedule",
        "plan": plan.id, "deployment": plan.settings.deployment, "location": plan.settings.location,
        "state": if failed { "failed" } else { "succeeded" }, "scheduled_for": began, "due_at": began, "limits": {},
        "attempt": 1, "started_at": began, "ended_at": began + TimeDelta::minutes(2), "cancel_requested": false,
        "backup_name": BackupId::new(began, rand::random()).to_string(),
        "problem": failed.then_some(problem),
        "outcome": (!failed).then(|| json!({ "kind": "backup", "backup": backup })), "created_at": began,
    }))
}

pub(super) fn backup(plan: &Plan, id: &BackupKey, began: DateTime<Utc>) -> Outcome<Backup> {
    made(json!({
        "id": id, "name": BackupId::new(began, rand::random()).to_string(), "folder": plan.folder.to_string(),
        "location": plan.settings.location, "plan": plan.id, "deployment": plan.settings.deployment, "scheduled": true,
        "state": "kept", "complete": true, "started_at": began, "finished_at": began + TimeDelta::minutes(2),
        "server_version": "6.0.5", "encryption": "AES256", "namespaces": 40, "documents": 1_000_000,
        "raw_bytes": 900_000_000, "stored_bytes": 300_000_000, "holds": [], "reasons": ["one of the newest 10"],
    }))
}

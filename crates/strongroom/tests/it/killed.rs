//! The service is killed in the middle of a backup, and goes on as if it had not been.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use strongroom_engine::bucket::StoreOptions;
use strongroom_engine::{Clock, Job, bucket, catalog, verify};
use strongroom_service::model::{DeploymentId, LocationId, PlanId, RunState, Secret};
use strongroom_service::secrets::{KeySource, Keyring};
use strongroom_service::state::backups::BackupFilter;
use strongroom_service::state::runs::RunFilter;
use strongroom_service::state::{
    PageRequest, State, StateUrl, backups, deployments, locations, plans, runs, secrets,
};
use testbed::Mongod;

use crate::service::Serving;

#[derive(Debug)]
struct Now;

#[async_trait]
impl Clock for Now {
    #[expect(clippy::disallowed_methods, reason = "a service in another process reads the same clock")]
    fn now(&self) -> DateTime<Utc> {
        std::time::SystemTime::now().into()
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {}
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

async fn state(data: &Path) -> State {
    State::open(&StateUrl::from(data.join("strongroom.db")), Arc::new(Now)).await.unwrap()
}

/// A plan that is due now, and so slow that there is time to kill it.
async fn furnish(data: &Path, uri: &str, place: &str) {
    let state = state(data).await;
    let keys = KeySource::File(data.join("master.key")).read(|_| None).await.unwrap();
    let (ring, now) = (Keyring::new(keys).unwrap(), Now.now());
    let (deployment, location) = (DeploymentId::new(now, 1), LocationId::new(now, 1));
    let mut tx = state.begin().await.unwrap();
    let of_all = json!({"labels": {}, "runs_at_once": 2, "created_at": now, "updated_at": now, "version": 1});
    let with = |more: Value| {
        let mut all = of_all.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let there = with(json!({
        "id": location, "name": "here", "location": place, "checksum": "sha256", "bucket": {},
        "credentials": {"kind": "ambient"},
    }));
    locations::insert(&mut tx, &from(there)).await.unwrap();
    let shop = with(json!({"id": deployment, "name": "shop", "address": "mongodb://source"}));
    deployments::insert(&mut tx, &from(shop)).await.unwrap();
    let uri = Secret::try_from(uri.to_owned()).unwrap();
    secrets::put(&mut tx, &ring, deployments::TABLE, deployment.as_str(), "uri", &uri).await.unwrap();
    let settings = json!({
        "name": "nightly", "deployment": deployment, "location": location,
        "schedule": {"kind": "every", "hours": 24, "anchor": now},
        "backup": {"readers": 1, "max_rate": "3MB", "compression": "none"},
    });
    let plan = json!({
        "id": PlanId::new(now, 1), "folder": "nightly", "created_at": now, "updated_at": now, "version": 1,
        "settings": settings, "status": {"failed_since_good": 0, "waiting_changes": [], "next_due": now},
    });
    plans::insert(&mut tx, &from(plan)).await.unwrap();
    tx.commit().await.unwrap();
    state.close().await;
}

async fn until(wanted: impl Fn() -> bool) {
    for _ in 0..2400 {
        if wanted() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come about");
}

/// Names in a folder, such as those of backups that were begun.
fn begun(folder: &Path) -> Vec<String> {
    let Ok(found) = std::fs::read_dir(folder) else { return Vec::new() };
    found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What is stored whole; what is being written has a name with a dot.
fn objects(folder: &Path) -> Vec<String> {
    begun(folder).into_iter().filter(|name| !name.starts_with('.')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_in_the_middle_of_a_backup_makes_it_again_and_sweeps_what_was_left() {
    let source = Mongod::replica_set().await.unwrap();
    let items = source.client().await.unwrap().database("shop").collection::<bson::Document>("items");
    let text = "x".repeat(10_000);
    items.insert_many((0..4000).map(|number| bson::doc! {"_id": number, "text": &text})).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (data, place) = (folder.path().join("data"), folder.path().join("backups"));
    std::fs::create_dir(&place).unwrap();
    let serving = Serving::start(&data, &[], &[]).await;
    serving.signal("-TERM");
    serving.ended().await;
    let location = format!("file://{}", place.display());
    furnish(&data, &source.uri(), &location).await;

    let serving = Serving::start(&data, &[], &[]).await;
    let of_plan = place.join("nightly");
    let stored = |name: &String| !objects(&of_plan.join(name).join("segments")).is_empty();
    until(|| begun(&of_plan).iter().any(stored)).await;
    serving.signal("-KILL");
    serving.ended().await;
    let [dead] = &begun(&of_plan)[..] else { panic!() };
    assert!(!of_plan.join(dead).join("manifest.json").exists(), "it was killed too late");

    let mut serving = Serving::start(&data, &[], &[]).await;
    serving.said("runs were at work when the service ended; backups begin again").await;
    let whole = |name: &String| name != dead && of_plan.join(name).join("manifest.json").exists();
    until(|| begun(&of_plan).iter().any(whole) && !of_plan.join(dead).exists()).await;
    serving.signal("-TERM");
    assert_eq!(serving.ended().await.0, Some(0));

    let state = state(&data).await;
    let mut conn = state.reader().await.unwrap();
    let made =
        backups::list(&mut conn, &BackupFilter::default(), &PageRequest::default()).await.unwrap().items;
    let [backup] = &made[..] else { panic!("{made:#?}") };
    let all = runs::list(&mut conn, &RunFilter::default(), &PageRequest::default()).await.unwrap().items;
    let run = all.iter().find(|run| Some(&run.id) == backup.run.as_ref()).unwrap();
    assert_eq!((run.state, run.attempt), (RunState::Succeeded, 2), "{run:#?}");
    let store = bucket::open(&location.parse().unwrap(), StoreOptions::default()).unwrap();
    let manifest = catalog::find(&*store, Some(&backup.folder), backup.name.as_str()).await.unwrap();
    let report = verify(store, &manifest, 2, &Job::unwatched(Arc::new(Now))).await.unwrap();
    assert_eq!(report.problems, []);
}

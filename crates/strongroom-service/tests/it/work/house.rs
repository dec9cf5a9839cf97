//! A service without HTTP: a state, a deployment, a location, a plan, and the loops.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use strongroom_engine::{BackupId, Clock, Period, Waits};
use strongroom_service::events::Events;
use strongroom_service::job::{self, Event};
use strongroom_service::model::{
    Backup, BackupState, Deployment, DeploymentId, Location, LocationId, Plan, PlanId, Run, RunId,
    RunRequest, RunState, Secret, Trigger, VerifyRequest,
};
use strongroom_service::runs::{Means, Timing};
use strongroom_service::scheduler::{self, queued};
use strongroom_service::secrets::Keyring;
use strongroom_service::state::backups::BackupFilter;
use strongroom_service::state::runs::{Holding, RunFilter};
use strongroom_service::state::{
    PageRequest, State, StateUrl, backups, deployments, locations, plans, runs, secrets,
};
use strongroom_service::worker::Worker;
use testbed::Mongod;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The time of this machine, and so much later.
#[derive(Debug, Default)]
pub(crate) struct Shifted(AtomicI64);

impl Shifted {
    pub(crate) fn forward(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Shifted {
    #[expect(
        clippy::disallowed_methods,
        reason = "stores write the time of this machine beside what they keep"
    )]
    fn now(&self) -> DateTime<Utc> {
        let now: DateTime<Utc> = std::time::SystemTime::now().into();
        now + TimeDelta::milliseconds(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, time: DateTime<Utc>) {
        tokio::time::sleep((time - self.now()).to_std().unwrap_or_default()).await;
    }
}

pub(crate) struct House {
    pub(crate) means: Arc<Means>,
    pub(crate) clock: Arc<Shifted>,
    pub(crate) source: Mongod,
    pub(crate) location: Location,
    pub(crate) deployment: DeploymentId,
    folder: tempfile::TempDir,
}

/// A worker at work.
pub(crate) struct AtWork {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl AtWork {
    /// Stops it as a service that ends does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::try_from(text.to_owned()).unwrap()
}

impl House {
    /// With a folder to store backups in.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("backups");
        std::fs::create_dir(&place).unwrap();
        let settings =
            json!({ "location": format!("file://{}", place.display()), "credentials": {"kind": "ambient"} });
        Self::with(folder, settings, None).await
    }

    /// With this location, and the secret of its key.
    pub(crate) async fn with(folder: tempfile::TempDir, settings: Value, key: Option<&str>) -> Self {
        let source = Mongod::replica_set().await.unwrap();
        let clock = Arc::new(Shifted::default());
        let url = StateUrl::from(folder.path().join("strongroom.db"));
        let state = State::open(&url, clock.clone()).await.unwrap();
        let events = Events::start(state.clone()).await.unwrap();
        let timing = Timing {
            heartbeat: Duration::from_millis(200),
            progress: Duration::from_millis(50),
            look: Duration::from_millis(200),
            finish_within: Duration::from_millis(200),
            ..Timing::default()
        };
        let second = Period::seconds(2);
        let waits = Waits { connect: second, ..Waits::default() };
        let keyring = Arc::new(Keyring::ephemeral().unwrap());
        let means = Means { state, keyring, clock: clock.clone(), events, waits, timing };
        let (location, deployment) = furnish(&means, &source.uri(), settings, key).await;
        Self { means: Arc::new(means), clock, source, location, deployment, folder }
    }

    /// The folder that backups are stored in.
    pub(crate) fn place(&self) -> std::path::PathBuf {
        self.folder.path().join("backups")
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Some documents in the source.
    pub(crate) async fn fill(&self, documents: i32) {
        let items =
            self.source.client().await.unwrap().database("shop").collection::<bson::Document>("items");
        let text = "x".repeat(1000);
        for first in (0..documents).step_by(1000) {
            let some =
                (first..documents.min(first + 1000)).map(|number| bson::doc! {"_id": number, "text": &text});
            items.insert_many(some).await.unwrap();
        }
    }

    /// A plan that is due at once and then each hour.
    pub(crate) async fn plan(&self, name: &str, more: Value) -> Plan {
        let (id, now) = (PlanId::new(self.now(), rand::random()), self.now());
        let mut settings = json!({
            "name": name,
            "deployment": self.deployment,
            "location": self.location.id,
            "schedule": {"kind": "every", "hours": 1, "anchor": now},
            "backup": {"readers": 1},
        });
        for (member, value) in more.as_object().unwrap() {
            settings[member] = value.clone();
        }
        let plan: Plan = from(json!({
            "id": id, "folder": name, "created_at": now, "updated_at": now, "version": 1, "settings": settings,
            "status": {"failed_since_good": 0, "waiting_changes": [], "next_due": now},
        }));
        let mut tx = self.means.state.begin().await.unwrap();
        plans::insert(&mut tx, &plan).await.unwrap();
        tx.commit().await.unwrap();
        plan
    }

    pub(crate) fn worker(&self) -> AtWork {
        self.worker_named("one")
    }

    pub(crate) fn worker_named(&self, name: &str) -> AtWork {
        let stop = CancellationToken::new();
        let worker = Worker::new((*self.means).clone(), name);
        let task = tokio::spawn(worker.run(stop.clone()));
        AtWork { stop, task }
    }

    /// Makes runs of what is due.
    pub(crate) async fn tick(&self) {
        scheduler::tick(&self.means).await.unwrap();
    }

    pub(crate) async fn ask(&self, run: Run) -> RunId {
        let mut tx = self.means.state.begin().await.unwrap();
        assert!(runs::insert(&mut tx, &run).await.unwrap());
        tx.commit().await.unwrap();
        run.id
    }

    /// A run that a person asks for.
    pub(crate) async fn request(&self, request: RunRequest) -> RunId {
        let location = Some(self.location.id.clone());
        self.ask(Run { location, ..queued(request, Trigger::Request, self.now()) }).await
    }

    pub(crate) async fn run(&self, id: &RunId) -> Run {
        runs::get(&mut self.means.state.reader().await.unwrap(), id).await.unwrap().unwrap()
    }

    /// All runs, the newest first.
    pub(crate) async fn runs(&self, filter: RunFilter) -> Vec<Run> {
        let mut conn = self.means.state.reader().await.unwrap();
        runs::list(&mut conn, &filter, &PageRequest::default()).await.unwrap().items
    }

    pub(crate) async fn runs_of(&self, plan: &Plan) -> Vec<Run> {
        self.runs(RunFilter { plan: Some(plan.id.clone()), ..RunFilter::default() }).await
    }

    pub(crate) async fn plan_now(&self, plan: &Plan) -> Plan {
        plans::get(&mut self.means.state.reader().await.unwrap(), &plan.id).await.unwrap().unwrap()
    }

    /// The catalogue, but for what was deleted; the newest first.
    pub(crate) async fn backups(&self) -> Vec<Backup> {
        let mut conn = self.means.state.reader().await.unwrap();
        backups::list(&mut conn, &BackupFilter::default(), &PageRequest::default()).await.unwrap().items
    }

    /// The run once it is as wanted.
    pub(crate) async fn until(&self, id: &RunId, wanted: impl Fn(&Run) -> bool) -> Run {
        for _ in 0..1200 {
            let run = self.run(id).await;
            if wanted(&run) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{:#?}", self.run(id).await);
    }

    pub(crate) async fn until_ended(&self, id: &RunId) -> Run {
        self.until(id, |run| run.state.ended()).await
    }

    /// Asks for a run to stop, as a person does.
    pub(crate) async fn cancel(&self, id: &RunId) {
        let mut tx = self.means.state.begin().await.unwrap();
        let found = runs::get_to_change(&mut tx, id).await.unwrap().unwrap();
        let holding = match found.run.state {
            RunState::Running => Holding::Fence(found.fence),
            _ => Holding::Queued,
        };
        let (run, effects) = job::step(&found.run, Event::CancelRequested, self.now()).unwrap();
        assert!(runs::store(&mut tx, &run, holding, &effects).await.unwrap());
        tx.commit().await.unwrap();
    }

    /// What the catalogue calls a backup can be read back whole, and nothing else stands in the location that nobody
    /// remembers.
    pub(crate) async fn all_restore(&self) {
        let worker = self.worker_named("verifier");
        for backup in self.backups().await {
            assert!(matches!(backup.state, BackupState::Kept | BackupState::Expired), "{backup:?}");
            let id = self.request(RunRequest::Verify(VerifyRequest { backup: backup.id.clone() })).await;
            let run = self.until_ended(&id).await;
            assert_eq!(run.state, RunState::Succeeded, "{:?}", run.problem);
        }
        worker.stop().await;
    }

    /// Backups that stand in the folder, by name.
    pub(crate) fn stored(&self, plan: &Plan) -> Vec<String> {
        let Ok(found) = std::fs::read_dir(self.place().join(plan.folder.as_str())) else { return Vec::new() };
        let manifests =
            found.map(|entry| entry.unwrap()).filter(|entry| entry.path().join("manifest.json").exists());
        manifests.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    /// What a worker left that was killed in the middle.
    pub(crate) fn leave_pieces(&self, plan: &Plan, name: &BackupId) {
        let segments = self.place().join(plan.folder.as_str()).join(name.as_str()).join("segments");
        std::fs::create_dir_all(&segments).unwrap();
        std::fs::write(segments.join("00001-00000.zst"), "half").unwrap();
    }
}

pub(crate) fn exists(place: &Path, plan: &Plan, name: &str) -> bool {
    place.join(plan.folder.as_str()).join(name).exists()
}

async fn furnish(means: &Means, uri: &str, settings: Value, key: Option<&str>) -> (Location, DeploymentId) {
    let now = means.now();
    let (deployment, id) = (DeploymentId::new(now, rand::random()), LocationId::new(now, rand::random()));
    let mut location = json!({
        "id": id, "name": "here", "checksum": "sha256", "bucket": {}, "labels": {}, "runs_at_once": 8,
        "last_proof": null, "created_at": now, "updated_at": now, "version": 1,
    });
    for (member, value) in settings.as_object().unwrap() {
        location[member] = value.clone();
    }
    let location: Location = from(location);
    let of: Deployment = from(json!({
        "id": deployment, "name": "shop", "address": "mongodb://source", "labels": {}, "runs_at_once": 8,
        "last_test": null, "created_at": now, "updated_at": now, "version": 1,
    }));
    let mut tx = means.state.begin().await.unwrap();
    locations::insert(&mut tx, &location).await.unwrap();
    deployments::insert(&mut tx, &of).await.unwrap();
    let ring = &means.keyring;
    secrets::put(&mut tx, ring, deployments::TABLE, deployment.as_str(), "uri", &secret(uri)).await.unwrap();
    if let Some(key) = key {
        secrets::put(&mut tx, ring, locations::TABLE, id.as_str(), "credentials", &secret(key))
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    (location, deployment)
}

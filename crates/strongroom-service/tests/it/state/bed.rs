//! A state to test with, a clock that stands still, and one of everything.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use strongroom_engine::Clock;
use strongroom_service::model::{
    Backup, BackupKey, Change, Deployment, DeploymentId, Location, LocationId, Plan, PlanId, Run, RunId,
    User, UserId,
};
use strongroom_service::state::{
    Conn, PageRequest, State, StateError, StateUrl, Tx, backups, deployments, locations, plans, runs,
};
use testbed::Postgres;

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        // In November 2023: what is due then is due by the clock of a database too.
        DateTime::from_timestamp_millis(1_700_000_000_000).unwrap()
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {
        std::future::pending::<()>().await;
    }
}

/// A database of its own, on a server that lives as long as tests use it.
fn database() -> (Arc<Postgres>, String) {
    static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
    static DATABASES: AtomicI64 = AtomicI64::new(0);
    let server = {
        let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Postgres::start().unwrap());
            *shared = Arc::downgrade(&server);
            server
        })
    };
    let name = format!("state_{}", DATABASES.fetch_add(1, Ordering::SeqCst));
    server.sql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
    (server, name)
}

/// A state of one of the two kinds, and what it stands on.
pub(crate) struct Bed {
    pub(crate) state: State,
    pub(crate) url: StateUrl,
    server: Option<(Arc<Postgres>, String)>,
    _folder: tempfile::TempDir,
    made: AtomicI64,
}

impl Bed {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StateUrl::from(folder.path().join("strongroom.db"));
        Self::over(url, None, folder).await
    }

    pub(crate) async fn postgres() -> Self {
        let (server, name) = tokio::task::spawn_blocking(database).await.unwrap();
        let url = server.url(&name).parse().unwrap();
        Self::over(url, Some((server, name)), tempfile::tempdir().unwrap()).await
    }

    async fn over(url: StateUrl, server: Option<(Arc<Postgres>, String)>, folder: tempfile::TempDir) -> Self {
        let state = State::open(&url, Arc::new(Still)).await.unwrap();
        Self { state, url, server, _folder: folder, made: AtomicI64::new(0) }
    }

    /// Closes the state and changes its database behind its back.
    pub(crate) async fn sql(&self, statement: &'static str) {
        use sqlx::Connection;
        self.state.close().await;
        match &self.server {
            Some((server, database)) => server.sql(database, statement).unwrap(),
            None => {
                let mut conn = sqlx::SqliteConnection::connect(&self.url.to_string()).await.unwrap();
                sqlx::raw_sql(statement).execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            }
        }
    }

    /// Opens the state that was closed.
    pub(crate) async fn open_again(self) -> Result<State, StateError> {
        let Self { state, url, .. } = &self;
        state.close().await;
        State::open(url, Arc::new(Still)).await
    }

    pub(crate) async fn begin(&self) -> Tx {
        self.state.begin().await.unwrap()
    }

    pub(crate) async fn reader(&self) -> Conn {
        self.state.reader().await.unwrap()
    }

    /// Grows with each call, for ids that differ and sort.
    pub(crate) fn number(&self) -> u128 {
        u128::from(self.made.fetch_add(1, Ordering::SeqCst).unsigned_abs())
    }

    /// The time of this bed; what is due then is due on both databases.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        Still.now()
    }

    pub(crate) fn deployment(&self, name: &str) -> Deployment {
        let (id, now) = (DeploymentId::new(self.now(), self.number()), self.now());
        from(json!({
            "id": id, "name": name, "address": "mongodb://db.example.com", "labels": {}, "runs_at_once": 1,
            "last_test": null, "created_at": now, "updated_at": now, "version": 1,
        }))
    }

    pub(crate) fn location(&self, name: &str) -> Location {
        let (id, now) = (LocationId::new(self.now(), self.number()), self.now());
        from(json!({
            "id": id, "name": name, "location": "s3://backups/all", "checksum": "sha256", "bucket": {},
            "credentials": {"kind": "ambient"}, "labels": {}, "runs_at_once": 64, "last_proof": null,
            "created_at": now, "updated_at": now, "version": 1,
        }))
    }

    pub(crate) fn plan(&self, name: &str, deployment: &DeploymentId, location: &LocationId) -> Plan {
        let (id, now) = (PlanId::new(self.now(), self.number()), self.now());
        let schedule = json!({"kind": "cron", "pattern": "0 2 * * *", "zone": "UTC"});
        from(json!({
            "id": id, "folder": name, "created_at": now, "updated_at": now, "version": 1,
            "settings": {"name": name, "deployment": deployment, "location": location, "schedule": schedule},
            "status": {"failed_since_good": 0, "waiting_changes": []},
        }))
    }

    /// A run of a plan that is due.
    pub(crate) fn run(&self, plan: &Plan) -> Run {
        let (id, now) = (RunId::new(self.now(), self.number()), self.now());
        from(json!({
            "id": id, "request": {"kind": "backup", "plan": plan.id}, "trigger": "request", "plan": plan.id,
            "deployment": plan.settings.deployment, "location": plan.settings.location, "state": "queued",
            "due_at": now, "limits": {}, "attempt": 0, "cancel_requested": false, "created_at": now,
        }))
    }

    pub(crate) fn backup(&self, plan: &Plan, run: Option<&Run>) -> Backup {
        let (number, now) = (self.number(), self.now());
        let name = strongroom_engine::BackupId::new(now, u32::try_from(number).unwrap());
        from(json!({
            "id": BackupKey::new(now, number), "name": name.to_string(), "folder": plan.folder.to_string(),
            "location": plan.settings.location, "plan": plan.id, "deployment": plan.settings.deployment,
            "run": run.map(|run| &run.id), "scheduled": true, "state": "kept", "complete": true, "started_at": now,
            "finished_at": now, "server_version": "6.0.5", "namespaces": 3, "documents": 7, "raw_bytes": 900,
            "stored_bytes": 300, "holds": [], "reasons": [],
        }))
    }

    pub(crate) fn user(&self, login: &str) -> User {
        from(json!({
            "id": UserId::new(self.now(), self.number()), "login": login, "role": "admin", "restorer": false,
            "disabled": false, "has_password": false, "created_at": self.now(), "version": 1,
        }))
    }

    pub(crate) fn change(&self, what: &serde_json::Value) -> Change {
        let id = strongroom_service::model::ChangeId::new(self.now(), self.number());
        from(json!({
            "id": id, "what": what, "loosens": ["fewer are kept"], "state": "waiting", "approval_wanted": false,
            "created_at": self.now(), "effective_at": self.now() + TimeDelta::hours(24),
        }))
    }

    /// Plans of deployments of their own, in one location; all stored.
    pub(crate) async fn plans(&self, names: &[&str]) -> Vec<Plan> {
        let mut tx = self.begin().await;
        let location = self.location(&format!("place of {}", names.join(" ")));
        locations::insert(&mut tx, &location).await.unwrap();
        let mut made = Vec::new();
        for name in names {
            let deployment = self.deployment(name);
            deployments::insert(&mut tx, &deployment).await.unwrap();
            let plan = self.plan(name, &deployment.id, &location.id);
            plans::insert(&mut tx, &plan).await.unwrap();
            made.push(plan);
        }
        tx.commit().await.unwrap();
        made
    }

    pub(crate) async fn plan_now(&self, plan: &Plan) -> Plan {
        plans::get(&mut self.reader().await, &plan.id).await.unwrap().unwrap()
    }

    pub(crate) async fn run_now(&self, id: &RunId) -> Run {
        runs::get(&mut self.reader().await, id).await.unwrap().unwrap()
    }

    pub(crate) async fn stored_backup(&self, plan: &Plan, run: Option<&Run>) -> Backup {
        let (mut tx, backup) = (self.begin().await, self.backup(plan, run));
        backups::insert(&mut tx, &backup).await.unwrap();
        tx.commit().await.unwrap();
        backup
    }

    /// Stores a run that waits.
    pub(crate) async fn queued(&self, plan: &Plan) -> Run {
        let (mut tx, run) = (self.begin().await, self.run(plan));
        assert!(runs::insert(&mut tx, &run).await.unwrap());
        tx.commit().await.unwrap();
        run
    }
}

fn from<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The first page, of at most so many.
pub(crate) fn first(limit: u64) -> PageRequest {
    PageRequest { after: None, limit: limit.try_into().unwrap() }
}

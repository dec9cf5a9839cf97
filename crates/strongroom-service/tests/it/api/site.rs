//! A service with a deployment, a location and plans.

use chrono::{DateTime, TimeDelta, Utc};
use http::Method;
use serde_json::{Value, json};
use strongroom_engine::{BackupId, Clock, Waits};
use strongroom_service::model::{Backup, BackupKey, Role};
use strongroom_service::runs::{Means, Timing};
use strongroom_service::state::backups;
use strongroom_service::upkeep;

use super::bed::{Api, Call};

pub(super) struct Site {
    pub(super) api: Api,
    /// An admin's token.
    pub(super) admin: String,
    pub(super) deployment: Value,
    pub(super) location: Value,
}

impl Site {
    pub(super) async fn new() -> Self {
        let api = Api::new().await;
        // Longer than any of these tests goes on by its clock.
        let admin = api.token(Role::Admin, false, json!({ "days": 3650 })).await;
        let deployment = api.deployment(&admin, "shop").await;
        let bucket = json!({ "access": "single" });
        let location = location(&api, &admin, "here", &bucket).await;
        Self { api, admin, deployment, location }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.api.clock.now()
    }

    pub(super) fn call(&self, method: &str, path: &str) -> Call {
        self.api.call(method.parse::<Method>().unwrap(), path).bearer(&self.admin)
    }

    /// Settings of a plan that backs up at two every night.
    pub(super) fn settings(&self, name: &str) -> Value {
        json!({
            "name": name, "deployment": self.deployment["id"], "location": self.location["id"],
            "schedule": { "kind": "cron", "pattern": "0 2 * * *", "zone": "Europe/Berlin" },
        })
    }

    pub(super) fn with(&self, name: &str, more: &Value) -> Value {
        let mut settings = self.settings(name);
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    }

    pub(super) async fn plan(&self, settings: &Value) -> Value {
        self.call("POST", "/api/v1/plans").json(settings).send().await.must_be(201).json()
    }

    pub(super) async fn plan_now(&self, plan: &Value) -> Value {
        self.call("GET", &at(plan)).send().await.must_be(200).json()
    }

    /// Replaces the settings of a plan, whatever version it has.
    pub(super) async fn replace(&self, plan: &Value, settings: &Value) -> Value {
        self.call("PUT", &at(plan)).header("if-match", "*").json(settings).send().await.must_be(200).json()
    }

    pub(super) async fn set(&self, more: &Value) {
        let settings = self.call("PUT", "/api/v1/settings").header("if-match", "*").json(more);
        settings.send().await.must_be(200);
    }

    /// A good backup of a plan in the catalogue, made now; the clock goes on by an hour.
    pub(super) async fn backup(&self, plan: &Value) -> BackupKey {
        let now = self.now();
        let id = BackupKey::new(now, rand::random());
        let backup: Backup = serde_json::from_value(json!({
            "id": id, "name": BackupId::new(now, rand::random()).to_string(), "folder": plan["folder"],
            "location": plan["settings"]["location"], "plan": plan["id"],
            "deployment": plan["settings"]["deployment"], "scheduled": true, "state": "kept", "complete": true,
            "started_at": now, "finished_at": now, "server_version": "6.0.5", "namespaces": 1, "documents": 1,
            "raw_bytes": 1000, "stored_bytes": 500, "holds": [], "reasons": [],
        }))
        .unwrap();
        let mut tx = self.api.service.state.begin().await.unwrap();
        backups::insert(&mut tx, &backup).await.unwrap();
        tx.commit().await.unwrap();
        self.api.clock.forward(TimeDelta::hours(1));
        id
    }

    /// Does what the service does by itself, such as to put changes into effect that have waited.
    pub(super) async fn look_after(&self) {
        let service = &self.api.service;
        let means = Means {
            state: service.state.clone(),
            keyring: service.keyring.clone(),
            clock: service.clock.clone(),
            events: service.events.clone(),
            waits: Waits::default(),
            timing: Timing::default(),
        };
        upkeep::look_after(&means).await.unwrap();
    }

    pub(super) async fn token(&self, role: Role, restorer: bool) -> String {
        self.api.token(role, restorer, json!({})).await
    }
}

pub(super) async fn location(api: &Api, admin: &str, name: &str, bucket: &Value) -> Value {
    let body = json!({
        "name": name, "location": format!("s3://backups/{name}"), "region": "eu-central-1", "bucket": bucket,
    });
    api.post("/api/v1/locations").bearer(admin).json(&body).send().await.must_be(201).json()
}

/// The path of a plan.
pub(super) fn at(plan: &Value) -> String {
    format!("/api/v1/plans/{}", plan["id"].as_str().unwrap())
}

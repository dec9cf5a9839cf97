//! A service to send requests to, without a network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use strongroom_engine::Clock;
use strongroom_service::api;
use strongroom_service::config::Config;
use strongroom_service::control::{Actor, tokens};
use strongroom_service::events::Events;
use strongroom_service::model::{NewToken, Role, User, UserId};
use strongroom_service::secrets::Keyring;
use strongroom_service::service::Service;
use strongroom_service::state::users::Proofs;
use strongroom_service::state::{Scope, State, users};
use tempfile::TempDir;
use tower::ServiceExt;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(super) struct Hand(AtomicI64);

impl Hand {
    pub(super) fn forward(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.load(Ordering::SeqCst)).unwrap()
    }

    async fn sleep_until(&self, time: DateTime<Utc>) {
        while self.now() < time {
            tokio::task::yield_now().await;
        }
    }
}

pub(super) const PASSWORD: &str = "correct horse battery";

pub(super) struct Api {
    pub(super) service: Arc<Service>,
    pub(super) clock: Arc<Hand>,
    pub(super) folder: TempDir,
    router: Router,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    pub(super) fn must_be(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

/// A request that is being made up.
pub(super) struct Call {
    router: Router,
    request: http::request::Builder,
    body: Body,
}

impl Call {
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(super) fn body(mut self, kind: &str, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    pub(super) fn from(mut self, address: &str) -> Self {
        let peer: SocketAddr = format!("{address}:4711").parse().unwrap();
        self.request = self.request.extension(ConnectInfo(peer));
        self
    }

    /// Sends it, and gives the head of the answer with a body that is still to be read.
    pub(super) async fn open(self) -> http::Response<Body> {
        self.router.oneshot(self.request.body(self.body).unwrap()).await.unwrap()
    }

    pub(super) async fn send(self) -> Answer {
        let (head, body) = self.open().await.into_parts();
        let bytes = to_bytes(body, 8 << 20).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
}

impl Api {
    pub(super) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { folders: vec![folder.path().to_owned()], ..Config::default() };
        change(&mut config);
        let clock = Arc::new(Hand(AtomicI64::new(1_795_572_000_000)));
        let state = State::open(&folder.path().join("state.db").into(), clock.clone()).await.unwrap();
        let events = Events::start(state.clone()).await.unwrap();
        let keyring = Arc::new(Keyring::ephemeral().unwrap());
        let service = Arc::new(Service::new(state, events, keyring, clock.clone(), config).unwrap());
        let router = api::router(service.clone());
        Self { service, clock, folder, router }
    }

    pub(super) fn call(&self, method: Method, path: &str) -> Call {
        let request = Request::builder().method(method).uri(path).header("host", "backups.example.com");
        Call { router: self.router.clone(), request, body: Body::empty() }
    }

    pub(super) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub(super) fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub(super) async fn user(&self, login: &str, role: Role, restorer: bool, password: Option<&str>) -> User {
        let now = self.clock.now();
        let password = match password {
            Some(text) => {
                Some(self.service.passwords.hash(&text.to_owned().try_into().unwrap()).await.unwrap())
            }
            None => None,
        };
        let user = User {
            id: UserId::new(now, rand::random()),
            login: login.parse().unwrap(),
            role,
            restorer,
            disabled: false,
            has_password: password.is_some(),
            last_sign_in_at: None,
            created_at: now,
            version: 1,
        };
        let mut tx = self.service.state.begin().await.unwrap();
        users::insert(&mut tx, &user, &Proofs { password, identity: None }).await.unwrap();
        tx.commit().await.unwrap();
        user
    }

    /// A token of a new user.
    pub(super) async fn token(&self, role: Role, restorer: bool, scope: Value) -> String {
        let login = format!("{}-{}-{:x}", role.word(), restorer, rand::random::<u32>());
        let user = self.user(&login, role, restorer, None).await;
        let actor = Actor {
            user: Some(user.id),
            token: None,
            session: None,
            role,
            restorer,
            scope: Scope::default(),
            address: None,
        };
        let mut wanted = json!({ "name": login, "role": role.word(), "restorer": restorer });
        wanted.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
        let wanted: NewToken = serde_json::from_value(wanted).unwrap();
        tokens::create(&self.service, &actor, wanted).await.unwrap().bearer
    }

    pub(super) async fn admin(&self) -> String {
        self.token(Role::Admin, false, json!({})).await
    }

    pub(super) async fn deployment(&self, admin: &str, name: &str) -> Value {
        let body = json!({ "name": name, "uri": "mongodb://backup:hush-hush@db.example/?replicaSet=rs" });
        self.post("/api/v1/deployments").bearer(admin).json(&body).send().await.must_be(201).json()
    }
}

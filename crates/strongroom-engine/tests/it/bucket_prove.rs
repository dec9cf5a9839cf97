//! A proof of a bucket's security leaves nothing behind, wherever it is stopped.

use std::sync::{Arc, Mutex};

use sandbox::Sandbox;
use strongroom_engine::bucket::actions::Role;
use strongroom_engine::bucket::{AccessKey, StoreOptions, open};
use strongroom_engine::catalog;
use strongroom_engine::error::{Code, Result};
use strongroom_engine::guard::{Access, Attached, Credentials, Report, Settings, documents, prove};
use strongroom_engine::location::Location;
use strongroom_engine::progress::{Event, Observer, Phase};
use tokio_util::sync::CancellationToken;

use crate::setup::job;

const BUCKET: &str = "acme-backups";
/// More requests than a proof makes.
const REQUESTS_MAX: u64 = 300;

struct Bench {
    sandbox: Sandbox,
    settings: Settings,
    credentials: Credentials,
}

fn options(sandbox: &Sandbox, key: &sandbox::AccessKey) -> StoreOptions {
    StoreOptions {
        endpoint: Some(sandbox.endpoint()),
        region: Some(sandbox.region().to_owned()),
        key: Some(AccessKey { id: key.id.clone(), secret: key.secret.clone(), session_token: None }),
        ..StoreOptions::default()
    }
}

impl Bench {
    /// A bucket without any policy, and its owner, who may do everything: so every probe makes something.
    async fn open(versioned: bool) -> Self {
        let sandbox = Sandbox::builder().start().await.unwrap();
        sandbox.create_bucket(BUCKET);
        if versioned {
            sandbox.enable_versioning(BUCKET);
        }
        let settings = Settings { versioned, ..Settings::new(BUCKET, "shop") };
        let owner = options(&sandbox, sandbox.owner());
        let roles = Role::ALL.map(|role| (role, owner.clone())).into();
        let credentials = Credentials { roles, admin: Some(owner) };
        Self { sandbox, settings, credentials }
    }

    /// Three identities, of which the writer may neither read nor delete.
    async fn split() -> Self {
        let mut bench = Self::open(true).await;
        bench.settings.access = Access::Split;
        let account = bench.sandbox.account();
        let mut roles = Vec::new();
        for document in documents(&bench.settings) {
            if let Attached::Identity { name, roles: of } = &document.attached {
                account.put_policy(name, &document.policy.to_string()).unwrap();
                account.create_user(name).unwrap();
                account.attach_user_policy(name, name).unwrap();
                let key = account.create_access_key(name).unwrap();
                roles.push((of[0], options(&bench.sandbox, &key)));
            }
        }
        bench.credentials.roles = roles;
        bench
    }

    /// The same, but the pruner has the restorer's key, and there is no admin.
    async fn nobody_may_delete() -> Self {
        let mut bench = Self::split().await;
        bench.credentials.admin = None;
        bench.credentials.roles[2].1 = bench.credentials.roles[1].1.clone();
        bench
    }

    async fn prove(&self, observer: Arc<dyn Observer>, cancel: CancellationToken) -> Result<Report> {
        prove(&self.settings, &self.credentials, &job(observer, cancel)).await
    }

    /// Stops at every request; nothing may be left, of any version.
    async fn stopped_anywhere(&self) {
        for request in 1..REQUESTS_MAX {
            let cancel = CancellationToken::new();
            let stop = cancel.clone();
            self.sandbox.at_request(request, move || stop.cancel());
            let proved = self.prove(Arc::new(Events::default()), cancel.clone()).await;
            assert_eq!(self.sandbox.contents(BUCKET), Vec::<String>::new(), "stopped at request {request}");
            match proved {
                Err(error) => assert_eq!(error.code(), Code::Cancelled, "{error:?}"),
                // It was deleting already, or through.
                Ok(report) => {
                    assert!(request > 40 && report.left_behind.is_empty(), "{request}: {report:?}");
                    if !cancel.is_cancelled() {
                        return;
                    }
                }
            }
        }
        panic!("a proof makes fewer requests than {REQUESTS_MAX}");
    }
}

/// All events.
#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Observer for Events {
    fn observe(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_stopped_anywhere_leaves_nothing_in_a_bucket_without_versions() {
    Bench::open(false).await.stopped_anywhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_stopped_anywhere_leaves_no_version_and_no_delete_marker() {
    Bench::open(true).await.stopped_anywhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_stopped_anywhere_leaves_nothing_of_a_writer_that_may_not_delete() {
    Bench::split().await.stopped_anywhere().await;
}

/// Even where nothing could be deleted, no made-up backup is listed or taken for the latest.
#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_backup_is_never_taken_for_a_real_one() {
    let bench = Bench::nobody_may_delete().await;
    let report = bench.prove(Arc::new(Events::default()), CancellationToken::new()).await.unwrap();
    assert!(report.left_behind.iter().any(|left| left.contains("/manifest.json")), "{report:?}");
    let location = Location::S3 { bucket: BUCKET.into(), prefix: "shop".into() };
    let store = open(&location, options(&bench.sandbox, bench.sandbox.owner())).unwrap();
    assert!(catalog::list(&*store, None).await.unwrap().is_empty());
    let latest = catalog::find(&*store, None, "latest").await;
    assert_eq!(latest.unwrap_err().code(), Code::NotABackup);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_reports_its_phases_and_every_probe() {
    let bench = Bench::open(false).await;
    let events = Arc::new(Events::default());
    let report = bench.prove(events.clone(), CancellationToken::new()).await.unwrap();
    let events = events.0.lock().unwrap();
    assert_eq!(events[0], Event::Began { backup: None, plan: None });
    assert_eq!(events[1], Event::Phase { phase: Phase::Proving });
    assert_eq!(events.last(), Some(&Event::Phase { phase: Phase::CleaningUp }));
    let probes: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Probe { id, .. } => Some(id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(probes, report.findings.iter().map(|finding| finding.id).collect::<Vec<_>>());
    let counts = report.counts;
    let all = counts.pass + counts.fail + counts.could_not_tell + counts.not_offered;
    assert_eq!(all, report.findings.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_proof_cannot_delete_is_named_with_its_version() {
    let bench = Bench::nobody_may_delete().await;
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    bench.sandbox.at_request(30, move || stop.cancel());
    let stopped = bench.prove(Arc::new(Events::default()), cancel).await.unwrap_err();
    assert_eq!(stopped.code(), Code::Cancelled);
    let help = stopped.help_text().unwrap().to_string();
    let left = bench.sandbox.contents(BUCKET);
    assert!(!left.is_empty());
    for object in left {
        assert!(help.contains(&object), "{object} is not in: {help}");
    }
}

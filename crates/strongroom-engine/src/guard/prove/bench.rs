//! Everything that the probes share: who asks, under which keys, and what is noted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::made::{Ledger, Noted};
use super::{Credentials, Finding};
use crate::backup;
use crate::bucket::actions::Role;
use crate::bucket::probe::{Answer, Oddity, Prober, Way};
use crate::bucket::{self, ObjectStore, Sse, StoreOptions};
use crate::error::{Code, Result};
use crate::guard::policy::{Attached, Denial, Document, documents};
use crate::guard::settings::{Access, Settings};
use crate::job::Job;
use crate::location::Location;
use crate::manifest::Manifest;
use crate::progress::{Event, Silent};

/// What the objects of probes hold.
pub(in crate::guard::prove) const BODY: &[u8] =
    b"strongroom proves this bucket; this object is deleted again at once\n";

/// No plan can have this name, so nothing below it is ever taken for a backup.
const FOLDER: &str = ".strongroom-prove";
/// The series that the made-up backups belong to, within the bench's own folder.
const SAMPLES: &str = "sample";
/// How long a cancelled proof waits for the answer to what it sent: with it, it knows what there is to delete.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// One who asks.
pub(super) struct Identity {
    pub(super) prober: Prober,
    /// The bench's own folder.
    pub(super) store: Arc<dyn ObjectStore>,
}

impl Identity {
    /// A server that does not answer, a key that it does not know, a bucket that is not there: nothing can be proved
    /// then. To be denied is another thing.
    async fn open(
        folder: &Location,
        bucket: &str,
        options: &StoreOptions,
        made: &Arc<Ledger>,
    ) -> Result<Self> {
        let store = bucket::open(folder, options.clone())?;
        match store.list("").await {
            Err(error) if error.code() != Code::Denied => Err(error),
            _ => Ok(Self {
                prober: Prober::open(bucket, options).await?,
                store: Arc::new(Noted { store, ledger: made.clone() }),
            }),
        }
    }
}

/// Everything that the probes share.
pub(super) struct Bench<'a> {
    pub(super) settings: &'a Settings,
    pub(super) job: Job,
    pub(super) admin: Option<Prober>,
    pub(super) findings: Vec<Finding>,
    pub(super) made: Arc<Ledger>,
    /// Writer, restorer, pruner: the same one three times, or three.
    identities: Vec<(Role, Arc<Identity>)>,
    documents: Vec<Document>,
    /// Its own name: another one for each run.
    run: String,
}

impl<'a> Bench<'a> {
    /// Makes nothing yet.
    pub(super) async fn open(settings: &'a Settings, credentials: &Credentials, job: &Job) -> Result<Self> {
        let run = format!("{:08x}", rand::random::<u32>());
        let prefix = format!("{}{FOLDER}/{run}", settings.below());
        let folder = Location::S3 { bucket: settings.bucket.clone(), prefix };
        let made = Arc::new(Ledger::default());
        let mut identities: Vec<(Role, Arc<Identity>)> = Vec::new();
        for (place, (role, options)) in credentials.roles.iter().enumerate() {
            let same = credentials.roles[..place].iter().position(|(_, other)| other == options);
            let identity = match same {
                Some(same) => identities[same].1.clone(),
                None => Arc::new(Identity::open(&folder, &settings.bucket, options, &made).await?),
            };
            identities.push((*role, identity));
        }
        let admin = match &credentials.admin {
            Some(options) => Some(Prober::open(&settings.bucket, options).await?),
            None => None,
        };
        let (findings, documents) = (Vec::new(), documents(settings));
        Ok(Self { settings, job: job.clone(), admin, findings, made, identities, documents, run })
    }

    pub(super) fn identity(&self, role: Role) -> &Arc<Identity> {
        let found = self.identities.iter().find(|(of, _)| *of == role);
        // A bench is opened with at least one.
        &found.unwrap_or(&self.identities[0]).1
    }

    pub(super) fn is_split(&self) -> bool {
        self.settings.access == Access::Split
    }

    /// A key of the bench's own, below the prefix.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{FOLDER}/{}/{name}", self.settings.below(), self.run)
    }

    /// A key of the bench's own, outside the prefix.
    pub(super) fn key_outside(&self, name: &str) -> String {
        format!("{}-strongroom-prove/{}/{name}", self.settings.prefix, self.run)
    }

    /// The statement of the bucket policy for these settings that forbids something.
    pub(super) fn denial(&self, denial: Denial) -> Option<Value> {
        let bucket = self.documents.iter().find(|document| document.attached == Attached::Bucket)?;
        denial.statement(bucket).cloned()
    }

    /// The statement of a role's identity policy that allows an action.
    pub(super) fn allowing(&self, role: Role, action: &str) -> Option<Value> {
        let policy = self.policy_of(role)?;
        let allows = |s: &&Value| {
            let actions = s["Action"].as_array();
            s["Effect"] == "Allow" && actions.is_some_and(|actions| actions.iter().any(|a| a == action))
        };
        policy["Statement"].as_array()?.iter().find(allows).cloned()
    }

    /// The whole identity policy that a role should have and no more.
    pub(super) fn policy_of(&self, role: Role) -> Option<&Value> {
        self.documents.iter().find_map(|document| match &document.attached {
            Attached::Identity { roles, .. } if roles.contains(&role) => Some(&document.policy),
            _ => None,
        })
    }

    /// Notes a finding, and reports it.
    pub(super) fn found(&mut self, finding: Finding) {
        self.job.observe(&Event::Probe { id: finding.id.into(), verdict: finding.verdict.name() });
        self.findings.push(finding);
    }

    /// The answer to a request, unless the job is cancelled.
    pub(super) fn ask<T>(&self, request: impl Future<Output = T>) -> impl Future<Output = Result<T>> {
        // On the heap: probes stand several deep in each other, and none of them need hold all of a request.
        let request = Box::pin(request);
        async move { self.job.answered_within(LAST_ANSWERS, request).await }
    }

    /// Puts an object by the writer's hand.
    pub(super) async fn put(&self, name: &str, odd: &Oddity) -> Result<Answer> {
        self.put_as(Role::Writer, Way::Usual, &self.key(name), odd).await
    }

    /// Puts an object, and remembers what is there now.
    pub(super) async fn put_as(&self, role: Role, way: Way, key: &str, odd: &Oddity) -> Result<Answer> {
        self.put_with(&self.identity(role).prober, way, key, odd).await
    }

    pub(super) async fn put_with(
        &self,
        prober: &Prober,
        way: Way,
        key: &str,
        odd: &Oddity,
    ) -> Result<Answer> {
        self.job.check()?;
        self.made.sent(key);
        let answer = self.ask(prober.put(way, key, BODY, odd)).await?;
        self.made.answered(key, &answer);
        Ok(answer)
    }

    /// A backup of a few documents that are made up, through the code that every backup goes through. What comes of it
    /// is a finding, unless the job was cancelled.
    pub(super) async fn sample(&self, sse: Sse) -> Result<Result<Manifest>> {
        let unwatched = Job { observer: Arc::new(Silent), ..self.job.clone() };
        let store = self.identity(Role::Writer).store.clone();
        let made = backup::sample(store, SAMPLES.parse()?, sse, &unwatched).await;
        self.job.check()?;
        Ok(made)
    }
}

//! Proof that a bucket is locked: what is needed works, and what must be refused is refused. Live, in the
//! configured prefix, and cleaned up.

mod html;
mod posture;
mod probes;
mod report;

use std::sync::Arc;

use serde_json::Value;

pub use html::html;
pub use report::{Finding, Report, Verdict};

use super::policy::{Attached, documents};
use super::settings::{Profile, Settings};
use crate::backup;
use crate::bucket::actions::Role;
use crate::bucket::facts::BucketFacts;
use crate::bucket::probe::Prober;
use crate::bucket::{self, ObjectStore, StoreOptions, identity};
use crate::error::{Code, Result};
use crate::job::Job;
use crate::location::Location;

/// With whose credentials.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Of each role; in all profiles but `split` one for all.
    pub roles: Vec<(Role, StoreOptions)>,
    /// An admin's, for a look at the bucket's settings and for cleaning up; none: the service's own.
    pub admin: Option<StoreOptions>,
}

/// One who asks.
struct Identity {
    prober: Prober,
    store: Arc<dyn ObjectStore>,
}

impl Identity {
    /// A server that does not answer, a key that it does not know, a bucket that is not there: nothing can be proved
    /// then. To be denied is another thing.
    async fn open(location: &Location, settings: &Settings, options: &StoreOptions) -> Result<Self> {
        let store = bucket::open(location, options.clone())?;
        match store.list("").await {
            Err(error) if error.code() != Code::Denied => Err(error),
            _ => Ok(Self { prober: Prober::open(&settings.bucket, options).await, store }),
        }
    }
}

/// Everything that the probes share.
struct Bench<'a> {
    settings: &'a Settings,
    /// Writer, restorer, pruner: the same one three times, or three.
    identities: Vec<(Role, Arc<Identity>)>,
    admin: Option<Prober>,
    job: Job,
    /// Keys begin with it, below the prefix.
    folder: String,
    findings: Vec<Finding>,
    /// What was made: keys and versions.
    made: Vec<(String, Option<String>)>,
}

/// Runs all probes.
///
/// # Errors
/// As the server cannot be reached at all; what a probe is answered is a finding, not an error.
pub async fn prove(settings: &Settings, credentials: &Credentials, job: &Job) -> Result<Report> {
    let at = job.clock.now();
    let mut bench = Bench::open(settings, credentials, job.clone()).await?;
    let caller = identity::caller(&credentials.roles[0].1).await.ok();
    bench.backups().await;
    bench.needed().await;
    bench.refused().await;
    bench.strangers().await;
    bench.separation().await;
    let facts = facts(settings, credentials).await;
    // Whatever the look at the settings comes to, nothing stays behind.
    let left = bench.clean_up().await;
    posture::judge(settings, facts?.as_ref(), caller.as_ref(), &mut bench.findings);
    let endpoint = bench.identities[0].1.prober.endpoint().map(str::to_owned);
    let region = bench.identities[0].1.prober.region().to_owned();
    Ok(Report::new(settings, at, endpoint, region, caller, bench.findings, left))
}

/// The bucket's settings, as far as the admin's or the service's credentials may look.
async fn facts(settings: &Settings, credentials: &Credentials) -> Result<Option<BucketFacts>> {
    let options = credentials.admin.as_ref().unwrap_or(&credentials.roles[0].1);
    match bucket::admin::Admin::open(&settings.bucket, options.clone()).await {
        Ok((admin, true)) => Ok(Some(admin.facts().await?)),
        _ => Ok(None),
    }
}

impl<'a> Bench<'a> {
    async fn open(settings: &'a Settings, credentials: &Credentials, job: Job) -> Result<Self> {
        let location = Location::S3 { bucket: settings.bucket.clone(), prefix: settings.prefix.clone() };
        let mut identities: Vec<(Role, Arc<Identity>)> = Vec::new();
        for (place, (role, options)) in credentials.roles.iter().enumerate() {
            let same = credentials.roles[..place].iter().position(|(_, other)| other == options);
            let identity = match same {
                Some(same) => identities[same].1.clone(),
                None => Arc::new(Identity::open(&location, settings, options).await?),
            };
            identities.push((*role, identity));
        }
        let admin = match &credentials.admin {
            Some(options) => Some(Prober::open(&settings.bucket, options).await),
            None => None,
        };
        let folder = format!(".strongroom-prove/{:08x}", rand::random::<u32>());
        Ok(Self { settings, identities, admin, job, folder, findings: Vec::new(), made: Vec::new() })
    }

    fn identity(&self, role: Role) -> Arc<Identity> {
        let found = self.identities.iter().find(|(of, _)| *of == role);
        // A bench is opened with at least one.
        found.unwrap_or(&self.identities[0]).1.clone()
    }

    fn is_split(&self) -> bool {
        self.settings.profile == Profile::Split
    }

    /// A key of the bench's own, below the prefix.
    fn key(&self, name: &str) -> String {
        format!("{}{}/{name}", self.settings.below(), self.folder)
    }

    /// The statement of the profile's bucket policy that forbids something.
    fn statement(&self, sid: &str) -> Option<Value> {
        let bucket = documents(self.settings).into_iter().find(|d| d.attached == Attached::Bucket)?;
        let statements = bucket.policy["Statement"].as_array()?.clone();
        statements.into_iter().find(|statement| statement["Sid"] == sid)
    }

    /// The statement of the profile's identity policy that allows an action.
    fn allowing(&self, role: Role, action: &str) -> Option<Value> {
        documents(self.settings).into_iter().find_map(|document| {
            let Attached::Identity { roles, .. } = document.attached else { return None };
            let statements = document.policy["Statement"].as_array()?.clone();
            let allows = |s: &Value| s["Action"].as_array().is_some_and(|a| a.iter().any(|a| a == action));
            statements.into_iter().find(|s| roles.contains(&role) && s["Effect"] == "Allow" && allows(s))
        })
    }

    /// Takes everything back, by version; what is left is told.
    async fn clean_up(&mut self) -> Vec<String> {
        let pruner = self.identity(Role::Pruner);
        let mut left = Vec::new();
        for (key, version) in std::mem::take(&mut self.made) {
            let mut gone = pruner.prober.delete(&key, version.as_deref()).await;
            if !gone.done()
                && let Some(admin) = &self.admin
            {
                gone = admin.delete(&key, version.as_deref()).await;
            }
            if !gone.done() && gone.status != Some(404) {
                left.push(version.map_or(key.clone(), |version| format!("{key} (version {version})")));
            }
        }
        left
    }

    /// The seed page's two tests, through the code that every backup goes through.
    async fn sample(&self, sse: bucket::Sse) -> Result<crate::manifest::Manifest> {
        let plan = "strongroom-prove".parse()?;
        backup::sample(self.identity(Role::Writer).store.clone(), plan, sse, &self.job).await
    }
}

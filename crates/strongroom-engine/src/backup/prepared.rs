//! A backup that is prepared: everything is decided, nothing is read or stored.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::moment::Moment;
use super::permit::Permit;
use super::settings::{ConsistencyMode, Options};
use super::stretches::{self, Stretches};
use super::{before, bounds, moment};
use crate::bucket::ObjectStore;
use crate::deployment::{Catalogue, Deployment, Described, ReadAt, Split};
use crate::error::Result;
use crate::job::Job;
use crate::layout::BackupId;
use crate::members::Source;
use crate::names::NamespaceKind;
use crate::progress::{Event, Warning};

/// A backup whose deployment was looked at, whose moment is settled and whose work is shared out. It can be shown and
/// recorded (it serialises as its [`outline`](Self::outline)), and run once. Run it soon: a server keeps the past for
/// some minutes only, and what it no longer has is read as it is then.
pub struct Prepared {
    pub(super) deployment: Arc<Deployment>,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) options: Options,
    pub(super) id: BackupId,
    pub(super) started_at: DateTime<Utc>,
    pub(super) inspected: Inspected,
    pub(super) permit: Arc<dyn Permit>,
}

/// What is known of a backup before it is run.
#[derive(Debug, Clone, Serialize)]
pub struct Outline {
    /// The backup's id.
    pub id: String,
    /// The series it belongs to.
    pub plan: String,
    /// When it was prepared.
    pub started_at: DateTime<Utc>,
    /// Where the data comes from, and why from this member.
    pub source: Source,
    /// What consistency was asked for.
    pub consistency: ConsistencyMode,
    /// What moment it is read at.
    pub moment: Moment,
    /// What is in it, with sizes as the server's statistics say.
    pub namespaces: Vec<Planned>,
    /// Pieces of work that readers take one after the other.
    pub stretches: u64,
    /// About how many segments will be stored.
    pub segments: u64,
    /// Bytes of memory that the backup takes at most.
    pub memory_bytes: u64,
    /// What a person should know before it is run.
    pub warnings: Vec<Warning>,
}

/// A namespace that is to be backed up.
#[derive(Debug, Clone, Serialize)]
pub struct Planned {
    /// Its database.
    pub db: String,
    /// Its name within the database.
    pub collection: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// Documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What looking at the deployment gave.
pub(super) struct Inspected {
    pub(super) namespaces: Arc<[Described]>,
    pub(super) moment: Moment,
    pub(super) stretches: Arc<Stretches>,
    pub(super) warnings: Vec<Warning>,
}

/// Looks at the deployment, settles the moment and shares the work out. Refuses what cannot become a good backup.
pub(super) async fn inspect(deployment: &Deployment, options: &Options) -> Result<Inspected> {
    let privileges = deployment.privileges().await?;
    let privileges = privileges.as_ref();
    before::check_oplog(privileges, deployment.source().topology, options.consistency)?;
    let (Catalogue { namespaces, mut warnings }, moment) = moment::settle(deployment, options).await?;
    before::check_selection(&namespaces, options)?;
    before::check_collections(privileges, &namespaces)?;
    let splits = splits(deployment, &namespaces, options, moment.at).await;
    let stretches = Stretches::of(&namespaces, &splits);
    let segments = if options.query.is_none() { stretches.segments() } else { 0 };
    before::check_size(&namespaces, segments)?;
    warnings.extend(before::user_may_write(privileges));
    Ok(Inspected { namespaces: namespaces.into(), moment, stretches: Arc::new(stretches), warnings })
}

/// Where to cut the collections that one reader would be left with; one that cannot be cut is read whole.
async fn splits(
    deployment: &Deployment,
    namespaces: &[Described],
    options: &Options,
    at: ReadAt,
) -> BTreeMap<usize, Split> {
    let mut splits = BTreeMap::new();
    if options.query.is_some() {
        return splits;
    }
    for (place, parts) in stretches::ranges(namespaces, options.readers) {
        let split = match at {
            // By place documents at the bounds may come twice, and nothing would put that right.
            ReadAt::Now => deployment.split_by_id(&namespaces[place], parts, at).await,
            ReadAt::Committed | ReadAt::Snapshot(_) => deployment.split(&namespaces[place], parts, at).await,
        };
        if let Ok(split) = split {
            splits.insert(place, split);
        }
    }
    splits
}

impl Prepared {
    /// What it will be.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let Inspected { namespaces, moment, stretches, warnings } = &self.inspected;
        let (segments, compression) = (stretches.segments(), self.options.compression);
        let warnings = self.deployment.warnings().iter().chain(warnings).cloned().collect();
        Outline {
            id: self.id.to_string(),
            plan: self.options.plan.to_string(),
            started_at: self.started_at,
            source: self.deployment.source().clone(),
            consistency: self.options.consistency,
            moment: *moment,
            namespaces: namespaces.iter().map(Planned::of).collect(),
            stretches: stretches.list.len() as u64,
            segments,
            memory_bytes: bounds::memory_bytes(
                self.options.readers,
                stretches.segment_bytes,
                compression,
                segments,
            ),
            warnings,
        }
    }

    /// Reports what is planned, and what the person should know about it and was not `told` yet.
    pub(super) fn announce(&self, told: &[Warning], job: &Job) {
        for warning in self.inspected.warnings.iter().filter(|warning| !told.contains(warning)) {
            job.warn(warning.clone());
        }
        let namespaces = &self.inspected.namespaces;
        job.observe(&Event::Planned {
            namespaces: namespaces.len() as u64,
            documents: namespaces.iter().map(|n| n.documents).sum(),
            bytes: namespaces.iter().map(|n| n.bytes).sum(),
        });
    }
}

impl Planned {
    fn of(described: &Described) -> Self {
        Self {
            db: described.db.clone(),
            collection: described.collection.clone(),
            kind: described.kind,
            documents: described.documents,
            bytes: described.bytes,
        }
    }
}

impl Serialize for Prepared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.outline().serialize(serializer)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.outline()).finish()
    }
}

//! What the endpoint knows.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use iam_policy::Principal;
use s3s::access::S3AccessContext;
use s3s::path::S3Path;

use crate::account::{Account, Identity, Key};
use crate::buckets::{Bucket, Buckets, Encryption, Settings};
use crate::decisions::Decisions;
use crate::features::Feature;

/// How a connection comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Whether it counts as TLS.
    pub(crate) secure: bool,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) account: Account,
    /// Whose users come with keys too, by number. No bucket is theirs.
    pub(crate) others: Mutex<BTreeMap<String, Account>>,
    pub(crate) region: String,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) secure_transport: bool,
    pub(crate) reports_encryption: bool,
    pub(crate) missing: Vec<Feature>,
    pub(crate) missing_key_is_prefix: bool,
    pub(crate) object_bytes_max: u64,
    pub(crate) buckets: Buckets,
    pub(crate) decisions: Decisions,
    pub(crate) clock_offset_seconds: AtomicI64,
    pub(crate) ignores_policies: AtomicBool,
}

impl State {
    #[expect(clippy::disallowed_methods, reason = "the endpoint is an edge: its answers carry the time")]
    pub(crate) fn now(&self) -> SystemTime {
        let offset = self.clock_offset_seconds.load(Ordering::Relaxed);
        let by = Duration::from_secs(offset.unsigned_abs());
        let now = SystemTime::now();
        if offset < 0 { now - by } else { now + by }
    }

    pub(crate) fn peer_of(&self, cx: &mut S3AccessContext<'_>) -> Option<Peer> {
        cx.extensions_mut().get::<Peer>().copied()
    }

    /// A part inherits the encryption that its upload was begun with.
    pub(crate) fn upload_encryption(&self, path: &S3Path, upload: &str) -> Option<String> {
        let S3Path::Object { bucket, .. } = path else { return None };
        self.buckets.with(|buckets| buckets.get(&**bucket)?.uploads.get(upload)?.encryption.algorithm.clone())
    }

    /// A key of any account.
    pub(crate) fn key(&self, id: &str) -> Option<Key> {
        let others = || self.others(|others| others.values().find_map(|account| account.key(id)));
        self.account.key(id).or_else(others)
    }

    /// What a principal of any account brings to a decision.
    pub(crate) fn identity(&self, principal: &Principal) -> Identity {
        match principal.account() {
            None => Identity::default(),
            Some(id) if id == self.account.id() => self.account.identity(principal),
            Some(id) => {
                let account = self.others(|others| others.get(id).cloned());
                account.map(|account| account.identity(principal)).unwrap_or_default()
            }
        }
    }

    pub(crate) fn others<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Account>) -> T) -> T {
        work(&mut self.others.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A bucket as Amazon S3 makes one, or a server that lacks something.
    pub(crate) fn new_bucket(&self) -> Bucket {
        let mut settings = Settings::of_new_bucket();
        settings.public_access_block.take_if(|_| self.missing.contains(&Feature::PublicAccessBlock));
        settings.ownership.take_if(|_| self.missing.contains(&Feature::OwnershipControls));
        Bucket::new(self.now(), self.default_encryption(), settings)
    }

    /// What a new bucket encrypts with: AES256 on Amazon S3 since January 2023.
    pub(crate) fn default_encryption(&self) -> Encryption {
        let algorithm = self.reports_encryption.then(|| "AES256".to_owned());
        Encryption { algorithm, ..Encryption::default() }
    }
}

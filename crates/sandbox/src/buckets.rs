//! What is stored: buckets, versions, uploads under way. In memory, or the bytes in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use iam_policy::Policy;
use s3s::dto::{LifecycleRule, ObjectOwnership, PublicAccessBlockConfiguration, Tag};

use crate::acl::Acl;
use crate::lock::{BucketLock, Lock};

/// Bytes of an object, wherever they are kept.
#[derive(Debug, Clone)]
pub(crate) enum Blob {
    Memory(Bytes),
    File(Arc<StoredFile>),
}

/// A file that is removed with the last version that needs it.
#[derive(Debug)]
pub(crate) struct StoredFile {
    path: PathBuf,
    length: u64,
}

impl Drop for StoredFile {
    fn drop(&mut self) {
        // The folder may be gone before; nothing depends on it.
        let _ = fs::remove_file(&self.path);
    }
}

impl Blob {
    pub(crate) fn store(folder: Option<&PathBuf>, bytes: Bytes) -> io::Result<Self> {
        let Some(folder) = folder else { return Ok(Self::Memory(bytes)) };
        let path = folder.join(format!("{:032x}", rand::random::<u128>()));
        fs::write(&path, &bytes)?;
        Ok(Self::File(Arc::new(StoredFile { path, length: bytes.len() as u64 })))
    }

    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(file) => file.length,
        }
    }

    pub(crate) fn read(&self) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::File(file) => fs::read(&file.path).map(Bytes::from),
        }
    }
}

/// How an object is encrypted, as far as the protocol shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Encryption {
    pub(crate) algorithm: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    /// Whether the bucket keeps a key of its own under that of AWS KMS.
    pub(crate) bucket_key: bool,
    /// The MD5 of a key that the client holds.
    pub(crate) customer_key_md5: Option<String>,
}

/// One version of an object; without content it is a delete marker.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) content: Option<Content>,
    pub(crate) modified: SystemTime,
}

#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) blob: Blob,
    pub(crate) etag: String,
    pub(crate) sha256: Option<String>,
    pub(crate) encryption: Encryption,
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: Option<std::collections::HashMap<String, String>>,
    pub(crate) acl: Acl,
    pub(crate) lock: Lock,
}

#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) encryption: Encryption,
    pub(crate) parts: BTreeMap<i32, (Bytes, String)>,
    pub(crate) content_type: Option<String>,
    pub(crate) acl: Acl,
    /// What was asked for, without what the bucket adds.
    pub(crate) lock: Lock,
    pub(crate) initiated: SystemTime,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Versioning {
    #[default]
    Never,
    Enabled,
    Suspended,
}

/// What is set for a bucket, and kept as it was given.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) public_access_block: Option<PublicAccessBlockConfiguration>,
    pub(crate) ownership: Option<ObjectOwnership>,
    pub(crate) lifecycle: Option<Vec<LifecycleRule>>,
    pub(crate) tags: Option<Vec<Tag>>,
    pub(crate) acl: Acl,
    pub(crate) lock: Option<BucketLock>,
}

impl Settings {
    /// What a new bucket of Amazon S3 has since April 2023 (User Guide, "Default settings for new S3 buckets
    /// FAQ").
    pub(crate) fn of_new_bucket() -> Self {
        let all = PublicAccessBlockConfiguration {
            block_public_acls: Some(true),
            block_public_policy: Some(true),
            ignore_public_acls: Some(true),
            restrict_public_buckets: Some(true),
        };
        let ownership = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
        Self { public_access_block: Some(all), ownership: Some(ownership), ..Self::default() }
    }

    /// Whether access control lists count for nothing here.
    pub(crate) fn acls_disabled(&self) -> bool {
        let ownership = self.ownership.as_ref().map(ObjectOwnership::as_str);
        ownership == Some(ObjectOwnership::BUCKET_OWNER_ENFORCED)
    }

    /// Whether one part of Block Public Access is on.
    pub(crate) fn blocks(&self, part: fn(&PublicAccessBlockConfiguration) -> Option<bool>) -> bool {
        self.public_access_block.as_ref().and_then(part).unwrap_or(false)
    }
}

#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) created: SystemTime,
    pub(crate) versioning: Versioning,
    pub(crate) default_encryption: Encryption,
    pub(crate) policy: Option<(Policy, String)>,
    pub(crate) settings: Settings,
    /// Of every key: its versions, the newest last.
    pub(crate) objects: BTreeMap<String, Vec<Version>>,
    pub(crate) uploads: BTreeMap<String, Upload>,
}

/// The version id where a bucket has no versions.
pub(crate) const NULL_VERSION: &str = "null";

impl Bucket {
    pub(crate) fn new(created: SystemTime, default_encryption: Encryption, settings: Settings) -> Self {
        Self {
            created,
            versioning: Versioning::Never,
            default_encryption,
            policy: None,
            settings,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
        }
    }

    /// The newest content, unless the key is not there or deleted.
    pub(crate) fn current(&self, key: &str) -> Option<(&Version, &Content)> {
        let version = self.objects.get(key)?.last()?;
        Some((version, version.content.as_ref()?))
    }

    pub(crate) fn version(&self, key: &str, id: &str) -> Option<&Version> {
        self.objects.get(key)?.iter().find(|version| version.id == id)
    }

    pub(crate) fn content_mut(&mut self, key: &str, id: &str) -> Option<&mut Content> {
        let versions = self.objects.get_mut(key)?;
        versions.iter_mut().find(|version| version.id == id)?.content.as_mut()
    }

    /// Adds a version, or a delete marker where there is no content; its id, if the bucket has versions.
    pub(crate) fn add(&mut self, key: &str, content: Option<Content>, now: SystemTime) -> Option<String> {
        let id = match self.versioning {
            Versioning::Enabled => hex::encode(rand::random::<[u8; 16]>()),
            Versioning::Never | Versioning::Suspended => NULL_VERSION.to_owned(),
        };
        let versions = self.objects.entry(key.into()).or_default();
        versions.retain(|version| version.id != id);
        versions.push(Version { id: id.clone(), content, modified: now });
        (self.versioning != Versioning::Never).then_some(id)
    }

    /// Deletes the key: for good, or by a marker where there are versions. Whether and which marker that made.
    pub(crate) fn delete(&mut self, key: &str, now: SystemTime) -> Option<String> {
        if self.versioning == Versioning::Never {
            self.objects.remove(key);
            return None;
        }
        self.add(key, None, now)
    }

    /// Deletes one version for good; whether it was a delete marker.
    pub(crate) fn delete_version(&mut self, key: &str, id: &str) -> bool {
        let Some(versions) = self.objects.get_mut(key) else { return false };
        let was_marker = versions.iter().any(|version| version.id == id && version.content.is_none());
        versions.retain(|version| version.id != id);
        if versions.is_empty() {
            self.objects.remove(key);
        }
        was_marker
    }
}

/// All buckets of the endpoint.
#[derive(Debug, Default)]
pub(crate) struct Buckets(Mutex<BTreeMap<String, Bucket>>);

impl Buckets {
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Bucket>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bytes of all versions, as a bill would count them.
    pub(crate) fn stored_bytes(&self, bucket: &str) -> u64 {
        self.with(|buckets| {
            let objects = buckets.get(bucket).map(|bucket| bucket.objects.values());
            let versions = objects.into_iter().flatten().flatten();
            versions.filter_map(|version| version.content.as_ref()).map(|content| content.blob.length()).sum()
        })
    }
}

//! Locations and deployments, as the engine opens them.

use std::sync::Arc;

use strongroom_engine::bucket::actions::Role;
use strongroom_engine::bucket::{self, AccessKey, ObjectStore, StoreOptions};
use strongroom_engine::deployment::ConnectionString;
use strongroom_engine::guard::{Access, Settings};
use strongroom_engine::{AssumedRole, Code, Error, Location as Place, Observer, Result, Waits};

use crate::model::{Credentials, Location, Secret};

/// The secrets of a location: the signing parts of its keys, where it has such.
#[derive(Debug, Clone, Default)]
pub struct LocationKeys {
    /// Of who stores backups.
    pub writer: Option<Secret>,
    /// Of who reads them.
    pub restorer: Option<Secret>,
    /// Of who deletes them.
    pub pruner: Option<Secret>,
}

/// A location and what opens it.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The location.
    pub location: Location,
    /// Its secrets.
    pub keys: LocationKeys,
}

impl Opening {
    /// The store, as the identity for this role sees it. No request is made yet. `watcher` hears of requests that are sent
    /// again.
    ///
    /// # Errors
    /// [`Code::Usage`] where the location has no identity for the role.
    pub fn store(
        &self,
        role: Role,
        watcher: Arc<dyn Observer>,
        waits: Waits,
    ) -> Result<Arc<dyn ObjectStore>> {
        let options = match self.location.location {
            Place::Folder(_) => StoreOptions::default(),
            Place::S3 { .. } => self.options(role)?,
        };
        bucket::open(&self.location.location, StoreOptions { waits, watcher: watcher.into(), ..options })
    }

    /// How the identity for this role speaks to the bucket.
    ///
    /// # Errors
    /// [`Code::Usage`] where the location has none, or the secret of its key is missing.
    pub fn options(&self, role: Role) -> Result<StoreOptions> {
        let (credentials, secret) = self.identity(role)?;
        let location = &self.location;
        let options = StoreOptions {
            expected_owner: location.expected_owner.as_ref().map(ToString::to_string),
            endpoint: location.endpoint.as_ref().map(ToString::to_string),
            region: location.region.as_ref().map(ToString::to_string),
            checksum: location.checksum,
            ..StoreOptions::default()
        };
        let key = |id: String| self.key(id, secret);
        Ok(match credentials {
            Credentials::Ambient(_) => options,
            Credentials::Key(shown) => StoreOptions { key: Some(key(shown.id.to_string())?), ..options },
            Credentials::Profile(profile) => {
                StoreOptions { profile: Some(profile.name.to_string()), ..options }
            }
            Credentials::Role(role) => StoreOptions {
                role: Some(AssumedRole {
                    arn: role.arn.to_string(),
                    external_id: role.external_id.as_ref().map(ToString::to_string),
                }),
                key: role.key.as_ref().map(|shown| key(shown.id.to_string())).transpose()?,
                ..options
            },
        })
    }

    /// Who acts in a role. Unless access is split, one identity does everything.
    fn identity(&self, role: Role) -> Result<(&Credentials, Option<&Secret>)> {
        let (location, keys) = (&self.location, &self.keys);
        let split = location.bucket.access == Access::Split;
        let found = match (role, split) {
            (Role::Writer, _) | (_, false) => Some((&location.credentials, keys.writer.as_ref())),
            (Role::Restorer, true) => location.restorer.as_ref().map(|one| (one, keys.restorer.as_ref())),
            (Role::Pruner, true) => location.pruner.as_ref().map(|one| (one, keys.pruner.as_ref())),
        };
        found.ok_or_else(|| {
            let (member, does) = match role {
                Role::Pruner => ("pruner", "deletes"),
                Role::Restorer | Role::Writer => ("restorer", "reads"),
            };
            Error::new(
                Code::Usage,
                format!("the location `{}` has no identity that {does} backups", location.name),
            )
            .help(format!("Its access is split: set `{member}` on the location."))
        })
    }

    fn key(&self, id: String, secret: Option<&Secret>) -> Result<AccessKey> {
        let Some(secret) = secret else {
            let what = format!("the location `{}` has the key `{id}` without its secret", self.location.name);
            return Err(Error::new(Code::Key, what).help("Set the credentials of the location anew."));
        };
        Ok(AccessKey { id, secret: secret.expose().to_owned(), session_token: None })
    }

    /// What the bucket's policies are made of.
    ///
    /// # Errors
    /// [`Code::Usage`] for a folder, which has none, and for settings that cannot be together.
    pub fn bucket_settings(&self) -> Result<Settings> {
        let plain = Settings::of(&self.location.location)?;
        let asked = &self.location.bucket;
        let region = self.location.region.as_ref().map(ToString::to_string);
        let settings = Settings {
            region: region.unwrap_or_else(|| plain.region.clone()),
            account: self.location.expected_owner.as_ref().map(ToString::to_string),
            access: asked.access,
            versioned: asked.versioned,
            sse: asked.encryption.clone(),
            header_required: asked.header_required,
            object_lock: asked.object_lock,
            dialect: asked.dialect,
            ..plain
        };
        settings.check()?;
        Ok(settings)
    }
}

/// The connection string of a deployment.
///
/// # Errors
/// [`Code::Uri`], without any part of the string in it.
pub fn connection(uri: &Secret) -> Result<ConnectionString> {
    uri.expose().parse()
}

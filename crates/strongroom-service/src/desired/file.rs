//! The file itself: YAML in and out, and what is sent of it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value, json};
use strongroom_engine::bucket::Checksum;

use super::{Desired, DesiredCredentials, DesiredDeployment, DesiredLocation, DesiredPlan, SecretFrom};
use crate::model::{BackupSettings, BucketSettings, DeploymentId, LocationId, Name, Running};
use crate::retention::Retention;

/// The longest file, in bytes.
pub const FILE_MAX: usize = 16 << 20;

/// Reads a file.
///
/// # Errors
///
/// In words, with the line: what is not YAML, unknown, out of bounds, or there twice.
pub fn read(text: &str) -> Result<Desired, String> {
    if text.len() > FILE_MAX {
        return Err(format!("the file has {} bytes, and at most {FILE_MAX} are read", text.len()));
    }
    // The snippet is left out: somebody may have written a secret in the place of its name.
    let desired: Desired =
        serde_saphyr::from_str(text).map_err(|wrong| wrong.without_snippet().to_string())?;
    once(desired.deployments.as_slice().iter().map(|one| &one.name), "deployment")?;
    once(desired.locations.as_slice().iter().map(|one| &one.name), "location")?;
    once(desired.plans.as_slice().iter().map(|one| &one.name), "plan")?;
    Ok(desired)
}

fn once<'a>(mut names: impl Iterator<Item = &'a Name>, kind: &str) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let twice = names.find(|name| !seen.insert(*name));
    twice.map_or(Ok(()), |name| {
        Err(format!("the {kind} `{name}` is there twice; give each a name of its own"))
    })
}

/// Writes a file, without what is as it would be anyway.
///
/// # Errors
///
/// In words; no value that the service takes is known to cause one.
pub fn write(desired: &Desired) -> Result<String, String> {
    let list = |entries: Vec<Map<String, Value>>| Value::from_iter(entries.into_iter().map(Value::Object));
    let document = json!({
        "deployments": list(desired.deployments.as_slice().iter().map(Entry::sparse).collect()),
        "locations": list(desired.locations.as_slice().iter().map(Entry::sparse).collect()),
        "plans": list(desired.plans.as_slice().iter().map(Entry::sparse).collect()),
    });
    serde_saphyr::to_string(&document).map_err(|wrong| wrong.to_string())
}

/// One of the things that a file lists.
pub(super) trait Entry: Serialize {
    fn name(&self) -> &Name;

    /// What it has if nothing is said.
    fn defaults() -> Value;

    /// All of it, as data.
    fn members(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        }
    }

    /// It without what is as it would be anyway.
    fn sparse(&self) -> Map<String, Value> {
        let mut members = self.members();
        thin(&mut members, &Self::defaults());
        members
    }
}

/// Leaves out nulls, and what is as in `defaults`.
fn thin(members: &mut Map<String, Value>, defaults: &Value) {
    members.retain(|name, value| {
        let default = defaults.get(name).unwrap_or(&Value::Null);
        if value == default || value.is_null() {
            return false;
        }
        if let Value::Object(inner) = value {
            thin(inner, default);
        }
        true
    });
}

impl Entry for DesiredDeployment {
    fn name(&self) -> &Name {
        &self.name
    }

    fn defaults() -> Value {
        json!({"labels": {}, "runs_at_once": super::one_at_once()})
    }
}

impl Entry for DesiredLocation {
    fn name(&self) -> &Name {
        &self.name
    }

    fn defaults() -> Value {
        json!({
            "checksum": Checksum::default(), "bucket": BucketSettings::default(),
            "credentials": DesiredCredentials::default(), "labels": {}, "runs_at_once": super::one_at_once(),
        })
    }
}

impl Entry for DesiredPlan {
    fn name(&self) -> &Name {
        &self.name
    }

    fn defaults() -> Value {
        json!({
            "backup": BackupSettings::default(), "retention": Retention::default(), "running": Running::default(),
            "labels": {}, "paused": false,
        })
    }
}

/// What a file does not hold itself.
pub trait Resolve {
    /// A secret, from where it is found. None: it is not sent, and the one that the service has stays.
    ///
    /// # Errors
    ///
    /// In words, if it is not there.
    fn secret(&mut self, from: &SecretFrom) -> Result<Option<String>, String>;

    /// The id of a deployment.
    ///
    /// # Errors
    ///
    /// In words, if there is none of the name.
    fn deployment(&mut self, name: &Name) -> Result<DeploymentId, String>;

    /// The id of a location.
    ///
    /// # Errors
    ///
    /// In words, if there is none of the name.
    fn location(&mut self, name: &Name) -> Result<LocationId, String>;
}

impl DesiredDeployment {
    /// The body of the request that makes it, or changes it.
    ///
    /// # Errors
    ///
    /// Those of the secret.
    pub fn body(&self, resolve: &mut dyn Resolve) -> Result<Value, String> {
        with_secrets(self.members(), &mut |from| resolve.secret(from))
    }
}

impl DesiredLocation {
    /// The body of the request that makes it, or replaces it.
    ///
    /// # Errors
    ///
    /// Those of the secrets.
    pub fn body(&self, resolve: &mut dyn Resolve) -> Result<Value, String> {
        with_secrets(self.members(), &mut |from| resolve.secret(from))
    }
}

impl DesiredCredentials {
    /// Reads credentials that stand in a file of their own.
    ///
    /// # Errors
    ///
    /// In words: what is not YAML, unknown, or out of bounds.
    pub fn read(text: &str) -> Result<Self, String> {
        // The snippet is left out, as above.
        serde_saphyr::from_str(text).map_err(|wrong| wrong.without_snippet().to_string())
    }

    /// What stands for them in the body of a request.
    ///
    /// # Errors
    ///
    /// Those of the secrets, which `secret` gives.
    pub fn body(
        &self,
        secret: &mut dyn FnMut(&SecretFrom) -> Result<String, String>,
    ) -> Result<Value, String> {
        let Value::Object(members) = json!(self) else { return Ok(Value::Null) };
        with_secrets(members, &mut |from| secret(from).map(Some))
    }
}

impl DesiredPlan {
    /// The body of the request that makes it, or replaces it.
    ///
    /// # Errors
    ///
    /// Those of the names that it refers to.
    pub fn body(&self, resolve: &mut dyn Resolve) -> Result<Value, String> {
        let mut members = self.members();
        members.insert("deployment".into(), resolve.deployment(&self.deployment)?.as_str().into());
        members.insert("location".into(), resolve.location(&self.location)?.as_str().into());
        Ok(Value::Object(members))
    }
}

/// Members that hold where a secret is found.
pub(super) const SECRETS: [&str; 2] = ["uri", "secret"];

type Secrets<'a> = dyn FnMut(&SecretFrom) -> Result<Option<String>, String> + 'a;

/// Puts secrets in the place of where they are found. The depth is that of the types.
fn with_secrets(members: Map<String, Value>, secret: &mut Secrets<'_>) -> Result<Value, String> {
    let mut filled = Map::new();
    for (name, value) in members {
        let value = match value {
            Value::Null => continue,
            value if SECRETS.contains(&name.as_str()) => {
                let from = serde_json::from_value(value).map_err(|wrong| wrong.to_string())?;
                let Some(secret) = secret(&from)? else { continue };
                secret.into()
            }
            Value::Object(inner) => with_secrets(inner, secret)?,
            value => value,
        };
        filled.insert(name, value);
    }
    Ok(Value::Object(filled))
}

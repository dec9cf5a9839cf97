//! The bucket and its identities made as the settings say: looked at, compared, shown, and then changed.

mod apply;
mod plan;

pub use super::steps::{BucketStep, IdentityStep, Step};
pub use apply::{Applied, NewKey, apply};
pub use plan::{Change, Effect, Facts, Plan, destruction, plan};

use super::policy::{Attached, documents};
use super::settings::Settings;
use crate::bucket::admin::Admin;
use crate::bucket::facts::{BucketFacts, IdentityFacts, Seen};
use crate::error::Result;

/// Looks at all that the settings speak of. Changes nothing.
///
/// # Errors
/// As the server fails, or these credentials may not look at identities.
pub async fn look(admin: &Admin, exists: bool, settings: &Settings, bucket_only: bool) -> Result<Facts> {
    let bucket = if exists { Some(admin.facts().await?) } else { None };
    let mut identities = Vec::new();
    if !bucket_only {
        for document in documents(settings) {
            if let Attached::Identity { name, .. } = document.attached {
                identities.push((name.clone(), admin.identity(&name, &policy_arn(settings, &name)).await?));
            }
        }
    }
    Ok(Facts { bucket, identities })
}

/// The ARN of a managed policy of this account.
pub(crate) fn policy_arn(settings: &Settings, name: &str) -> String {
    let account = settings.account.as_deref().unwrap_or_default();
    format!("arn:{}:iam::{account}:policy/{name}", super::partition(&settings.region))
}

//! What somebody who holds a key could do with it. Pure.

use iam_policy::{Decision, Principal, Request};
use serde::Serialize;

use super::explain::{Sources, usual};
use super::policy::{HEADER, HEADER_CUSTOMER, IF_NONE_MATCH};
use super::settings::Settings;

/// Something that would hurt.
#[derive(Debug, Clone, Serialize)]
pub struct Ability {
    /// A stable name.
    pub id: &'static str,
    /// In words.
    pub what: &'static str,
    /// Yes, no, or none where it is not certain.
    pub can: Option<bool>,
    /// The permission it takes.
    pub action: &'static str,
    /// On what it was judged.
    pub resource: String,
}

enum On {
    Backup,
    /// A backup, by a PUT that may replace what is there.
    Replaced,
    /// The same under a key of the client's own (SSE-C).
    ReplacedUnderOwnKey,
    Elsewhere,
    Bucket,
    /// A listing of the whole bucket.
    WholeBucket,
    Anything,
}

/// The names, what they mean, the permissions, and what they are judged on.
const ABILITIES: [(&str, &str, &str, On); 20] = [
    ("read-backups", "read the backups, which is all data of the database", "s3:GetObject", On::Backup),
    ("list-names", "list what is in the bucket", "s3:ListBucket", On::WholeBucket),
    ("read-elsewhere", "read objects of others in the bucket", "s3:GetObject", On::Elsewhere),
    ("write-backups", "add objects among the backups", "s3:PutObject", On::Backup),
    ("overwrite", "replace a backup by other bytes", "s3:PutObject", On::Replaced),
    (
        "ransom",
        "replace a backup by one under a key of their own (SSE-C)",
        "s3:PutObject",
        On::ReplacedUnderOwnKey,
    ),
    ("write-elsewhere", "write objects elsewhere in the bucket", "s3:PutObject", On::Elsewhere),
    ("delete", "delete a backup (in a bucket with versions: hide it)", "s3:DeleteObject", On::Backup),
    ("delete-for-good", "delete versions of a backup for good", "s3:DeleteObjectVersion", On::Backup),
    ("bypass-lock", "lift a governance lock", "s3:BypassGovernanceRetention", On::Backup),
    ("publish-object", "make a backup public by its ACL, where ACLs are on", "s3:PutObjectAcl", On::Backup),
    (
        "publish-bucket",
        "change the bucket's policy, and so let everybody in",
        "s3:PutBucketPolicy",
        On::Bucket,
    ),
    ("drop-policy", "take the bucket's policy away", "s3:DeleteBucketPolicy", On::Bucket),
    ("open-public-access", "switch Block Public Access off", "s3:PutBucketPublicAccessBlock", On::Bucket),
    ("stop-versions", "suspend versioning", "s3:PutBucketVersioning", On::Bucket),
    (
        "expire-all",
        "have S3 delete everything by a lifecycle rule",
        "s3:PutLifecycleConfiguration",
        On::Bucket,
    ),
    (
        "replicate",
        "copy the bucket to an account of their own, for ever",
        "s3:PutReplicationConfiguration",
        On::Bucket,
    ),
    ("delete-bucket", "delete the bucket, once it is empty", "s3:DeleteBucket", On::Bucket),
    ("more-keys", "make further keys for identities of the account", "iam:CreateAccessKey", On::Anything),
    ("more-rights", "give themselves more rights", "iam:PutUserPolicy", On::Anything),
];

/// What this identity could do to the bucket.
#[must_use]
pub fn thief(settings: &Settings, sources: &Sources, principal: &Principal) -> Vec<Ability> {
    ABILITIES
        .iter()
        .map(|(id, what, action, on)| judge(settings, sources, principal, (id, what, action, on)))
        .collect()
}

fn judge(
    settings: &Settings,
    sources: &Sources,
    principal: &Principal,
    (id, what, action, on): (&'static str, &'static str, &'static str, &On),
) -> Ability {
    let bucket = settings.bucket_arn();
    let resource = match on {
        On::Backup | On::Replaced | On::ReplacedUnderOwnKey => {
            settings.object_arn("default/20261123T020000Z-7f3k/manifest.json")
        }
        On::Elsewhere => format!("{bucket}/somewhere/else"),
        On::Bucket | On::WholeBucket => bucket,
        On::Anything => principal.arn().unwrap_or_else(|| "*".into()),
    };
    let mut request = Request::new(principal.clone(), action, &resource);
    usual(settings, &mut request);
    match on {
        On::Replaced => request.context.remove(IF_NONE_MATCH),
        On::ReplacedUnderOwnKey => {
            request.context.remove(IF_NONE_MATCH);
            request.context.remove(HEADER);
            request.context.set(HEADER_CUSTOMER, "AES256");
        }
        On::WholeBucket => request.context.set("s3:prefix", ""),
        On::Backup | On::Elsewhere | On::Bucket | On::Anything => {}
    }
    let can = match sources.decide(&request) {
        Decision::Allow => Some(true),
        Decision::ExplicitDeny | Decision::ImplicitDeny => Some(false),
        Decision::NotCertain => None,
    };
    Ability { id, what, can, action, resource }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::{Access, Attached, documents};
    use crate::location::Location;

    fn abilities(access: Access, identity: usize) -> Vec<&'static str> {
        let location: Location = "s3://backups/shop".parse().unwrap();
        let settings = Settings { access, ..Settings::of(&location).unwrap() };
        let made = documents(&settings);
        let mut sources = Sources { account: "111122223333".into(), ..Sources::default() };
        sources.add_identity("identity", &made[identity].policy.to_string()).unwrap();
        if let Some(bucket) = made.iter().find(|d| d.attached == Attached::Bucket) {
            sources.set_bucket("bucket", &bucket.policy.to_string()).unwrap();
        }
        let user = Principal::user("111122223333", "b");
        thief(&settings, &sources, &user).into_iter().filter(|a| a.can == Some(true)).map(|a| a.id).collect()
    }

    #[test]
    fn the_narrower_the_access_the_less_a_thief_can_do() {
        assert_eq!(abilities(Access::Split, 0), ["write-backups"]);
        assert_eq!(abilities(Access::Split, 1), ["read-backups"]);
        assert_eq!(abilities(Access::Split, 2), ["read-backups", "delete"]);
        assert_eq!(abilities(Access::Single, 0), ["read-backups", "write-backups", "delete"]);
        let classic = abilities(Access::Classic, 0);
        for more in ["list-names", "read-elsewhere", "overwrite", "write-elsewhere", "publish-object"] {
            assert!(classic.contains(&more), "{classic:?}");
        }
    }
}

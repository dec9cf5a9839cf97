//! What Amazon S3, AWS KMS and AWS STS know: actions, resource types, condition keys. Source: the Service
//! Authorization Reference's pages "Actions, resources, and condition keys for …" as of [`DATE`], kept in
//! `data/`; keys that every service knows: IAM User Guide, "AWS global condition context keys".

use std::sync::OnceLock;

use crate::glob::{Glob, meet};
use crate::pattern::{Pattern, Reading};

/// Where the tables come from.
pub const SOURCE: &str = "Service Authorization Reference, \"Actions, resources, and condition keys\" for \
                          Amazon S3, AWS Key Management Service and AWS Security Token Service";

/// When they were retrieved.
pub const DATE: &str = "2026-06-14";

/// Service prefixes and their tables.
const TABLES: [(&str, &str); 3] = [
    ("s3", include_str!("../data/s3.txt")),
    ("kms", include_str!("../data/kms.txt")),
    ("sts", include_str!("../data/sts.txt")),
];

/// How far an action reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It names things.
    List,
    /// It reads what is in them.
    Read,
    /// It makes, changes or deletes things.
    Write,
    /// It changes who may do what.
    PermissionsManagement,
    /// It changes tags only.
    Tagging,
}

/// What values of a condition key are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Text.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A time.
    Date,
    /// An ARN.
    Arn,
    /// An IP address.
    Ip,
    /// Several texts.
    Strings,
    /// Several ARNs.
    Arns,
}

/// An action of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    name: String,
    access: Access,
    types: Vec<&'static str>,
    keys: Vec<&'static str>,
}

/// A kind of resource.
#[derive(Debug)]
pub(crate) struct ResourceType {
    service: &'static str,
    pub(crate) name: &'static str,
    pub(crate) arn: &'static str,
    pub(crate) glob: Glob,
    keys: Vec<&'static str>,
}

#[derive(Debug, Default)]
struct Tables {
    actions: Vec<Action>,
    types: Vec<ResourceType>,
    keys: Vec<(&'static str, KeyType)>,
}

/// Keys that every service knows, though not every request has them.
const GLOBAL_KEYS: [(&str, KeyType); 61] = [
    ("aws:AssumedRoot", KeyType::String),
    ("aws:CalledVia", KeyType::Strings),
    ("aws:CalledViaAWSMCP", KeyType::String),
    ("aws:CalledViaFirst", KeyType::String),
    ("aws:CalledViaLast", KeyType::String),
    ("aws:ChatbotSourceArn", KeyType::Arn),
    ("aws:CurrentTime", KeyType::Date),
    ("aws:Ec2InstanceSourcePrivateIPv4", KeyType::Ip),
    ("aws:Ec2InstanceSourceVpc", KeyType::String),
    ("aws:EpochTime", KeyType::Date),
    ("aws:FederatedProvider", KeyType::String),
    ("aws:IsMcpServiceAction", KeyType::Bool),
    ("aws:MultiFactorAuthAge", KeyType::Number),
    ("aws:MultiFactorAuthPresent", KeyType::Bool),
    ("aws:PrincipalAccount", KeyType::String),
    ("aws:PrincipalArn", KeyType::Arn),
    ("aws:PrincipalIsAWSService", KeyType::Bool),
    ("aws:PrincipalOrgID", KeyType::String),
    ("aws:PrincipalOrgPaths", KeyType::Strings),
    ("aws:PrincipalServiceName", KeyType::String),
    ("aws:PrincipalServiceNamesList", KeyType::Strings),
    ("aws:PrincipalTag/${TagKey}", KeyType::String),
    ("aws:PrincipalType", KeyType::String),
    ("aws:RequestTag/${TagKey}", KeyType::String),
    ("aws:RequestedRegion", KeyType::String),
    ("aws:ResourceAccount", KeyType::String),
    ("aws:ResourceOrgID", KeyType::String),
    ("aws:ResourceOrgPaths", KeyType::Strings),
    ("aws:ResourceTag/${TagKey}", KeyType::String),
    ("aws:SecureTransport", KeyType::Bool),
    ("aws:SignInSessionArn", KeyType::Arn),
    ("aws:SourceAccount", KeyType::String),
    ("aws:SourceArn", KeyType::Arn),
    ("aws:SourceIdentity", KeyType::String),
    ("aws:SourceIp", KeyType::Ip),
    ("aws:SourceOrgID", KeyType::String),
    ("aws:SourceOrgPaths", KeyType::Strings),
    ("aws:SourceVpc", KeyType::String),
    ("aws:SourceVpcArn", KeyType::Arn),
    ("aws:SourceVpce", KeyType::String),
    ("aws:TagKeys", KeyType::Strings),
    ("aws:TokenIssueTime", KeyType::Date),
    ("aws:UserAgent", KeyType::String),
    ("aws:ViaAWSMCPService", KeyType::Bool),
    ("aws:ViaAWSService", KeyType::Bool),
    ("aws:VpcSourceIp", KeyType::Ip),
    ("aws:VpceAccount", KeyType::String),
    ("aws:VpceOrgID", KeyType::String),
    ("aws:VpceOrgPaths", KeyType::Strings),
    ("aws:referer", KeyType::String),
    ("aws:userid", KeyType::String),
    ("aws:username", KeyType::String),
    ("codebuild:BuildArn", KeyType::Arn),
    ("codebuild:ProjectArn", KeyType::Arn),
    ("ec2:RoleDelivery", KeyType::Number),
    ("ec2:SourceInstanceArn", KeyType::Arn),
    ("glue:CredentialIssuingService", KeyType::String),
    ("glue:RoleAssumedBy", KeyType::String),
    ("identitystore:UserId", KeyType::String),
    ("lambda:SourceFunctionArn", KeyType::Arn),
    ("ssm:SourceInstanceArn", KeyType::Arn),
];

/// Keys of the list above that only some actions have, those whose tables name them.
const OF_SOME_ACTIONS: [&str; 3] = ["aws:RequestTag/", "aws:ResourceTag/", "aws:TagKeys"];

/// Names of S3's API that are no actions, and the actions that permit those calls. Source: Amazon S3 User Guide,
/// "Required permissions for Amazon S3 API operations"; `InitiateMultipartUpload` is an older name.
const API_NAMES: [(&str, &str); 37] = [
    ("CompleteMultipartUpload", "PutObject"),
    ("CopyObject", "PutObject"),
    ("CreateMultipartUpload", "PutObject"),
    ("DeleteBucketCors", "PutBucketCORS"),
    ("DeleteBucketEncryption", "PutEncryptionConfiguration"),
    ("DeleteBucketLifecycle", "PutLifecycleConfiguration"),
    ("DeleteBucketOwnershipControls", "PutBucketOwnershipControls"),
    ("DeleteBucketReplication", "PutReplicationConfiguration"),
    ("DeleteBucketTagging", "PutBucketTagging"),
    ("DeleteObjects", "DeleteObject"),
    ("DeletePublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("GetBucketEncryption", "GetEncryptionConfiguration"),
    ("GetBucketLifecycle", "GetLifecycleConfiguration"),
    ("GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"),
    ("GetBucketNotificationConfiguration", "GetBucketNotification"),
    ("GetBucketReplication", "GetReplicationConfiguration"),
    ("GetObjectLockConfiguration", "GetBucketObjectLockConfiguration"),
    ("GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    ("HeadBucket", "ListBucket"),
    ("HeadObject", "GetObject"),
    ("InitiateMultipartUpload", "PutObject"),
    ("ListBuckets", "ListAllMyBuckets"),
    ("ListMultipartUploads", "ListBucketMultipartUploads"),
    ("ListObjectVersions", "ListBucketVersions"),
    ("ListObjects", "ListBucket"),
    ("ListObjectsV2", "ListBucket"),
    ("ListParts", "ListMultipartUploadParts"),
    ("PutBucketEncryption", "PutEncryptionConfiguration"),
    ("PutBucketLifecycle", "PutLifecycleConfiguration"),
    ("PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"),
    ("PutBucketNotificationConfiguration", "PutBucketNotification"),
    ("PutBucketReplication", "PutReplicationConfiguration"),
    ("PutObjectLockConfiguration", "PutBucketObjectLockConfiguration"),
    ("PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("SelectObjectContent", "GetObject"),
    ("UploadPart", "PutObject"),
    ("UploadPartCopy", "PutObject"),
];

impl Action {
    /// Its name, with the service's prefix: `s3:PutObject`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far it reaches.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// The kinds of resource it works on, such as `bucket` or `object`; none where only `*` fits.
    pub fn resource_types(&self) -> impl Iterator<Item = &str> {
        self.types.iter().copied()
    }

    /// Whether a request for it can have this condition key: one of the action's, of its resource types', or one
    /// that every service knows.
    #[must_use]
    pub fn takes_key(&self, key: &str) -> bool {
        let listed = |keys: &[&str]| keys.iter().any(|template| is_key(template, key));
        let some = OF_SOME_ACTIONS.iter().any(|start| begins(key, start));
        listed(&self.keys)
            || self.types().any(|of| listed(&of.keys))
            || (!some && GLOBAL_KEYS.iter().any(|(template, _)| is_key(template, key)))
    }

    pub(crate) fn service(&self) -> &str {
        self.name.split(':').next().unwrap_or_default()
    }

    pub(crate) fn types(&self) -> impl Iterator<Item = &'static ResourceType> {
        tables().types.iter().filter(|of| of.service == self.service() && self.types.contains(&of.name))
    }
}

impl ResourceType {
    /// Whether a resource of this kind fits a pattern of a policy.
    pub(crate) fn meets(&self, pattern: &Glob) -> bool {
        meet(&self.glob, pattern)
    }
}

/// All actions.
pub fn actions() -> impl Iterator<Item = &'static Action> {
    tables().actions.iter()
}

/// The action of this name, `service:Name`, without case.
#[must_use]
pub fn action(name: &str) -> Option<&'static Action> {
    actions().find(|action| action.name.eq_ignore_ascii_case(name))
}

/// The action that was meant by a name that is none: the one that permits the API call of this name, or the one
/// whose name is nearest. None if all are far away.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let (service, short) = name.split_once(':')?;
    if let Some(meant) = api_name(service, short) {
        return Some(meant);
    }
    let wanted = short.to_ascii_lowercase();
    let near = actions().filter_map(|action| {
        let (of, known) = action.name.split_once(':')?;
        let distance =
            of.eq_ignore_ascii_case(service).then(|| distance(&known.to_ascii_lowercase(), &wanted))?;
        Some((distance, action.name.as_str()))
    });
    near.min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= (wanted.chars().count() / 3).min(DISTANCE_MAX))
        .map(|(_, name)| name)
}

/// More than so many changed letters are another word.
const DISTANCE_MAX: usize = 6;

/// The action that permits the call of S3's API that is written as if it were an action.
pub(crate) fn api_name(service: &str, name: &str) -> Option<&'static str> {
    let (_, meant) = API_NAMES.iter().find(|(api, _)| api.eq_ignore_ascii_case(name))?;
    let meant = service.eq_ignore_ascii_case("s3").then(|| action(&format!("s3:{meant}")))??;
    Some(&meant.name)
}

/// The actions that a pattern of a policy covers; it may have wildcards.
#[must_use]
pub fn matching(pattern: &str) -> Vec<&'static Action> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Vec::new();
    }
    let reading = Reading { wildcards: true, variables: false };
    let pattern = Pattern::new(pattern, reading);
    actions().filter(|action| pattern.matches_without_case(&action.name)).collect()
}

/// A longer pattern of an action is not looked at.
const PATTERN_BYTES_MAX: usize = 1024;

/// The type of a condition key's values; none if neither these services nor all services know it.
#[must_use]
pub fn key_type(key: &str) -> Option<KeyType> {
    let known = tables().keys.iter().chain(&GLOBAL_KEYS);
    known.into_iter().find(|(template, _)| is_key(template, key)).map(|(_, of)| *of)
}

/// Whether this is one of the services in the tables.
pub(crate) fn is_known(service: &str) -> bool {
    TABLES.iter().any(|(known, _)| known.eq_ignore_ascii_case(service))
}

/// The key nearest to one that is none.
pub(crate) fn nearest_key(key: &str) -> Option<&'static str> {
    let wanted = key.to_ascii_lowercase();
    let known = tables().keys.iter().chain(&GLOBAL_KEYS).map(|(name, _)| *name);
    known
        .map(|name| (distance(&name.to_ascii_lowercase(), &wanted), name))
        // Of two, the one that goes on where the wrong one ends.
        .min_by_key(|(distance, name)| (*distance, !begins(name, key)))
        .filter(|(distance, _)| *distance <= (wanted.chars().count() / 4).min(DISTANCE_MAX))
        .map(|(_, name)| name)
}

/// All kinds of resources.
pub(crate) fn types() -> impl Iterator<Item = &'static ResourceType> {
    tables().types.iter()
}

fn begins(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// Whether a key is one of a template such as `aws:RequestTag/${TagKey}` or `s3:ExistingObjectTag/<key>`.
fn is_key(template: &str, key: &str) -> bool {
    match template.find(['$', '<']) {
        Some(start) => key.len() > start && begins(key, &template[..start]),
        None => template.eq_ignore_ascii_case(key),
    }
}

/// How many letters have to be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > a.len() {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = changed.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn tables() -> &'static Tables {
    static READ: OnceLock<Tables> = OnceLock::new();
    READ.get_or_init(|| {
        let mut tables = Tables::default();
        for (service, text) in TABLES {
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                tables.read(service, line);
            }
        }
        tables
    })
}

impl Tables {
    /// A line that cannot be read is passed over; a test counts that there is none.
    fn read(&mut self, service: &'static str, line: &'static str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["action", name, access, types, keys] => {
                let Some(access) = access_of(access) else { return };
                let types = list(types).into_iter().map(|of| of.trim_end_matches('*')).collect();
                self.actions.push(Action {
                    name: format!("{service}:{name}"),
                    access,
                    types,
                    keys: list(keys),
                });
            }
            ["type", name, arn, keys] => {
                let glob = Glob::of_type(arn);
                self.types.push(ResourceType { service, name, arn, glob, keys: list(keys) });
            }
            ["key", name, of] => self.keys.extend(type_of(of).map(|of| (name, of))),
            _ => {}
        }
    }
}

fn list(text: &'static str) -> Vec<&'static str> {
    if text == "-" { Vec::new() } else { text.split(',').collect() }
}

fn access_of(name: &str) -> Option<Access> {
    Some(match name {
        "List" => Access::List,
        "Read" => Access::Read,
        "Write" => Access::Write,
        "PermissionsManagement" => Access::PermissionsManagement,
        "Tagging" => Access::Tagging,
        _ => return None,
    })
}

fn type_of(name: &str) -> Option<KeyType> {
    Some(match name {
        "String" => KeyType::String,
        "Numeric" => KeyType::Number,
        "Bool" => KeyType::Bool,
        "Date" => KeyType::Date,
        "ARN" => KeyType::Arn,
        "ArrayOfString" => KeyType::Strings,
        "ArrayOfARN" => KeyType::Arns,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_read() {
        let lines = |start: &str| -> usize {
            TABLES.iter().map(|(_, text)| text.lines().filter(|l| l.starts_with(start)).count()).sum()
        };
        assert_eq!(tables().actions.len(), lines("action "));
        assert_eq!(tables().types.len(), lines("type "));
        assert_eq!(tables().keys.len(), lines("key "));
        let types = |action: &Action| action.types().count() == action.types.len();
        assert!(actions().all(types), "an action names a type without a line");
        let keys = |action: &Action| action.keys.iter().all(|key| key_type(key).is_some());
        let unknown: Vec<&str> = actions().filter(|a| !keys(a)).map(Action::name).collect();
        assert!(unknown.is_empty(), "keys without a line: {unknown:?}");
        assert_eq!(DATE, TABLES[0].1.lines().next().unwrap().rsplit(' ').next().unwrap());
    }

    #[test]
    fn actions_know_their_resources_and_keys() {
        let types = |name| action(name).unwrap().resource_types().collect::<Vec<_>>();
        assert!(types("s3:ListBucket").contains(&"bucket"));
        assert!(types("S3:getobject").contains(&"object"));
        assert!(types("s3:ListAllMyBuckets").is_empty());
        assert_eq!(action("s3:PutObjectAcl").unwrap().access(), Access::PermissionsManagement);
        let put = action("s3:PutObject").unwrap();
        for key in ["S3:X-Amz-Acl", "aws:SecureTransport", "s3:RequestObjectTag/team", "aws:PrincipalTag/a"] {
            assert!(put.takes_key(key), "{key}");
        }
        for key in ["s3:prefix", "s3:RequestObjectTag/", "aws:RequestTag/a", "aws:Nothing"] {
            assert!(!put.takes_key(key), "{key}");
        }
        assert!(action("s3:CreateJob").unwrap().takes_key("aws:RequestTag/a"));
        assert_eq!(key_type("s3:Max-Keys"), Some(KeyType::Number));
        assert_eq!(key_type("s3:Prefixes"), None);
    }

    #[test]
    fn names_that_are_no_actions_lead_to_one() {
        assert_eq!(nearest("s3:HeadBucket"), Some("s3:ListBucket"));
        assert_eq!(nearest("s3:PutObjcet"), Some("s3:PutObject"));
        assert_eq!(nearest("kms:Decrpyt"), Some("kms:Decrypt"));
        assert_eq!(nearest("s3:x"), None);
        assert_eq!(nearest("nothing"), None);
        assert!(API_NAMES.iter().all(|(api, meant)| {
            action(&format!("s3:{api}")).is_none() && action(&format!("s3:{meant}")).is_some()
        }));
        assert_eq!(matching("s3:*multipart*").len(), 3);
        assert!(matching("s3:Nothing*").is_empty());
    }
}

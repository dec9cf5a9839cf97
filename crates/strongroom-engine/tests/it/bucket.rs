//! Every kind of store keeps the contract, with mLab's permissions and none besides.

use std::collections::BTreeSet;
use std::sync::Arc;

use sandbox::Sandbox;
use serde_json::{Value, json};
use strongroom_engine::bucket::actions::OPERATIONS;
use strongroom_engine::bucket::{AccessKey, ObjectStore, Sse, StoreOptions, open};
use strongroom_engine::{Code, Error, Location};
use testbed::ceph::{self, Ceph};

use crate::bucket_contract::{Traits, holds, put};
use crate::setup::folder;

const BUCKET: &str = "youraccountname-mlab-backups";
/// The actions on objects of mLab's first policy, and what its second adds for versions.
const FIRST: [&str; 5] =
    ["s3:GetObject", "s3:GetObjectAcl", "s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"];
const SECOND: [&str; 7] = [
    "s3:GetObject",
    "s3:GetObjectAcl",
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:DeleteObject",
    "s3:GetObjectVersion",
    "s3:DeleteObjectVersion",
];

pub(crate) fn bucket(endpoint: &str, key: (&str, &str)) -> Arc<dyn ObjectStore> {
    store_with(endpoint, key, |_| {})
}

pub(crate) fn store_with(
    endpoint: &str,
    (id, secret): (&str, &str),
    change: impl FnOnce(&mut StoreOptions),
) -> Arc<dyn ObjectStore> {
    let key = AccessKey { id: id.into(), secret: secret.into(), session_token: None };
    let mut options = StoreOptions {
        endpoint: Some(endpoint.into()),
        region: Some("us-east-1".into()),
        key: Some(key),
        ..StoreOptions::default()
    };
    change(&mut options);
    open(&Location::S3 { bucket: BUCKET.into(), prefix: "shop".into() }, options).unwrap()
}

fn statements(actions: &[&str], list: bool) -> Vec<Value> {
    let bucket = format!("arn:aws:s3:::{BUCKET}");
    let mut statements =
        vec![json!({"Effect": "Allow", "Action": actions, "Resource": [format!("{bucket}/*")]})];
    if list {
        statements.push(json!({"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": bucket}));
    }
    statements
}

/// mLab's two, which demand AES256. Its JSON `true` is written as a text, which every server takes.
fn demand_encryption(statements: &mut Vec<Value>) {
    for condition in [
        json!({"Null": {"s3:x-amz-server-side-encryption": "true"}}),
        json!({"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}),
    ] {
        statements.push(json!({"Effect": "Deny", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*"), "Condition": condition}));
    }
}

fn document(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// A bucket, and a user with a policy.
struct Guarded {
    sandbox: Sandbox,
    key: sandbox::AccessKey,
}

impl Guarded {
    async fn new(versioned: bool, statements: &[Value]) -> Self {
        let sandbox = Sandbox::builder().start().await.unwrap();
        assert!(sandbox.create_bucket(BUCKET));
        if versioned {
            assert!(sandbox.enable_versioning(BUCKET));
        }
        sandbox.account().create_user("backup").unwrap();
        let key = sandbox.account().create_access_key("backup").unwrap();
        let guarded = Self { sandbox, key };
        guarded.allow(statements);
        guarded
    }

    fn allow(&self, statements: &[Value]) {
        self.sandbox.account().put_user_policy("backup", "seed", &document(statements)).unwrap();
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        bucket(&self.sandbox.endpoint(), (&self.key.id, &self.key.secret))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_the_contract() {
    let place = tempfile::tempdir().unwrap();
    holds(&*folder(&place.path().join("store")), &Traits::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_keeps_the_contract_with_the_first_policy_and_asks_for_nothing_else() {
    let guarded = Guarded::new(false, &statements(&FIRST, true)).await;
    let traits = Traits { reported: Some("AES256"), ..Traits::default() };
    holds(&*guarded.store(), &traits).await;
    let asked: BTreeSet<String> = guarded.sandbox.requests().into_keys().collect();
    let table: BTreeSet<String> =
        OPERATIONS.iter().filter_map(|o| o.name.split(' ').next()).map(str::to_owned).collect();
    assert_eq!(asked, table, "the table of operations is what is asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_versions_keeps_the_contract_with_the_second_policy_and_its_demand_for_encryption() {
    let mut allowed = statements(&SECOND, true);
    demand_encryption(&mut allowed);
    let guarded = Guarded::new(true, &allowed).await;
    let traits = Traits { sse: Sse::Aes256, versions: true, reported: Some("AES256"), ..Traits::default() };
    holds(&*guarded.store(), &traits).await;
}

/// Its policies go into the bucket, where they need a principal.
async fn ceph_bucket(owner: &aws_sdk_s3::Client, versioned: bool) -> Traits {
    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    owner.create_bucket().bucket(BUCKET).send().await.unwrap();
    if versioned {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        owner.put_bucket_versioning().bucket(BUCKET).versioning_configuration(on).send().await.unwrap();
    }
    let mut allowed = statements(if versioned { &SECOND } else { &FIRST }, true);
    demand_encryption(&mut allowed);
    for statement in &mut allowed {
        statement["Principal"] = match statement["Effect"].as_str() {
            Some("Deny") => json!("*"),
            _ => json!({"AWS": "arn:aws:iam:::user/backup"}),
        };
    }
    owner.put_bucket_policy().bucket(BUCKET).policy(document(&allowed)).send().await.unwrap();
    // This release passes `If-None-Match` over in a bucket with versions, and never reports the encryption it
    // was asked for.
    Traits { sse: Sse::Aes256, versions: versioned, overwrites: versioned, reported: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_ceph_the_contract_is_kept_under_both_policies() {
    for versioned in [false, true] {
        let ceph = tokio::task::spawn_blocking(Ceph::start).await.unwrap().unwrap();
        let owner = client(&ceph.endpoint(), ceph::OWNER);
        let traits = ceph_bucket(&owner, versioned).await;
        let store = bucket(&ceph.endpoint(), ceph::BACKUP);
        holds(&*store, &traits).await;
        let refused = put(&*store, "plain", b"x", &Sse::None).await.unwrap_err();
        assert_eq!(refused.code(), Code::Denied);
        assert!(refused.help_text().unwrap().to_string().contains("`sse: AES256`"));
    }
}

pub(crate) fn client(endpoint: &str, (id, secret): (&str, &str)) -> aws_sdk_s3::Client {
    use aws_sdk_s3::config::{Credentials, Region};
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// The answer to one operation of each kind.
async fn attempt(store: &dyn ObjectStore, action: &str, version: Option<&str>) -> Result<(), Error> {
    match action {
        "s3:ListBucket" => store.list("").await.map(|_| ()),
        "s3:PutObject" => put(store, "new", b"x", &Sse::None).await.map(|_| ()),
        "s3:GetObject" => store.get("k", None, 5).await.map(|_| ()),
        "s3:GetObjectVersion" => store.get("k", version, 5).await.map(|_| ()),
        "s3:DeleteObject" => store.delete("k", None).await,
        "s3:DeleteObjectVersion" => store.delete("k", version).await,
        other => panic!("no operation needs {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_permission_that_is_missing_is_named_and_the_statement_that_is_offered_mends_it() {
    let guarded = Guarded::new(true, &statements(&SECOND, true)).await;
    let store = guarded.store();
    for operation in OPERATIONS {
        guarded.allow(&statements(&SECOND, true));
        let stored = put(&*store, "k", b"x", &Sse::None).await.unwrap();
        let version = stored.version_id.as_deref();
        let rest: Vec<&str> = SECOND.into_iter().filter(|action| *action != operation.action).collect();
        let mut allowed = statements(&rest, operation.action != "s3:ListBucket");
        guarded.allow(&allowed);
        let error = attempt(&*store, operation.action, version).await.unwrap_err();
        assert_eq!(error.code(), Code::Denied, "{error}");
        assert!(error.message().starts_with(&format!("`{}` on `arn:aws:s3:::{BUCKET}", operation.action)));

        let help = error.help_text().unwrap().to_string();
        let offered = &help[help.find('{').unwrap()..=help.rfind('}').unwrap()];
        allowed.push(serde_json::from_str(offered).unwrap());
        guarded.allow(&allowed);
        attempt(&*store, operation.action, version).await.unwrap();

        guarded.allow(&statements(&SECOND, true));
        for (key, version) in [("k", version), ("k", None), ("new", None)] {
            store.delete(key, version).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_lies_elsewhere_is_found() {
    let sandbox = Sandbox::builder().region("eu-central-1").start().await.unwrap();
    assert!(sandbox.create_bucket(BUCKET));
    let owner = sandbox.owner();
    let store = bucket(&sandbox.endpoint(), (&owner.id, &owner.secret));
    put(&*store, "k", b"x", &Sse::None).await.unwrap();
    assert_eq!(store.get("k", None, 1).await.unwrap().body, b"x"[..]);
}

#[test]
fn options_that_cannot_apply_to_a_folder_are_refused_and_show_no_secret() {
    let key = AccessKey { id: "AKIA1".into(), secret: "hush".into(), session_token: Some("hush".into()) };
    let options = StoreOptions { key: Some(key), ..StoreOptions::default() };
    assert!(!format!("{options:?}").contains("hush"));
    let error = open(&"file:///tmp/x".parse().unwrap(), options).unwrap_err();
    assert_eq!(error.code(), Code::Usage);
}

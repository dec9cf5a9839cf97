//! The same requests under the same policies against the sandbox and against Ceph's gateway. Where the two
//! differ, the difference is in a list with its reason.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, ServerSideEncryption,
    VersioningConfiguration,
};
use sandbox::Sandbox;
use serde_json::{Value, json};
use testbed::ceph::{self, Ceph};

use crate::setup::{client, outcome};

/// A server, as its owner and as the user whom policies are about.
struct Server {
    name: &'static str,
    owner: Client,
    user: Client,
    user_arn: String,
}

const FIRST: [&str; 5] =
    ["s3:GetObject", "s3:GetObjectAcl", "s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"];

/// A bucket and its policy.
struct Situation {
    name: &'static str,
    bucket: &'static str,
    versioned: bool,
    statements: fn(bucket: &str, user: &Value) -> Vec<Value>,
}

fn arn(bucket: &str, below: &str) -> String {
    format!("arn:aws:s3:::{bucket}{below}")
}

fn seed(bucket: &str, user: &Value, actions: &[&str]) -> Vec<Value> {
    vec![
        json!({"Effect": "Allow", "Principal": user, "Action": ["s3:ListBucket"], "Resource": arn(bucket, "")}),
        json!({"Effect": "Allow", "Principal": user, "Action": actions, "Resource": [arn(bucket, "/*")]}),
    ]
}

fn deny(bucket: &str, condition: &Value) -> Value {
    json!({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": arn(bucket, "/*"), "Condition": condition})
}

/// mLab's two statements. Its JSON `true` is written as a text, which AWS takes as well and Ceph alone takes.
fn both_denies(bucket: &str) -> Vec<Value> {
    vec![
        deny(bucket, &json!({"Null": {"s3:x-amz-server-side-encryption": "true"}})),
        deny(bucket, &json!({"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}})),
    ]
}

const SITUATIONS: [Situation; 4] = [
    Situation {
        name: "first policy",
        bucket: "first-policy",
        versioned: false,
        statements: |bucket, user| seed(bucket, user, &FIRST),
    },
    Situation {
        name: "first policy and both denies",
        bucket: "both-denies",
        versioned: false,
        statements: |bucket, user| [seed(bucket, user, &FIRST), both_denies(bucket)].concat(),
    },
    Situation {
        name: "versions, second policy, both denies",
        bucket: "second-policy",
        versioned: true,
        statements: |bucket, user| {
            let actions = [&FIRST[..], &["s3:GetObjectVersion", "s3:DeleteObjectVersion"]].concat();
            [seed(bucket, user, &actions), both_denies(bucket)].concat()
        },
    },
    Situation {
        name: "versions, first policy",
        bucket: "versions-first",
        versioned: true,
        statements: |bucket, user| seed(bucket, user, &FIRST),
    },
];

const NO_KEY_SERVER: &str = "this gateway has no key server to ask";
const UPLOADS_UNENCRYPTED: &str =
    "this release judges the beginning of an upload as if it had no encryption header";
const PARTS_UNENCRYPTED: &str =
    "this release looks for the encryption header on parts too; on AWS they inherit it from their upload";

/// Situation, request, what the sandbox does (as AWS documents), what Ceph 16.2 does, why.
const DIFFERENCES: &[(&str, &str, &str, &str, &str)] = &[
    ("first policy", "put aws:kms", "allowed", "InvalidArgument", NO_KEY_SERVER),
    ("versions, first policy", "put aws:kms", "allowed", "InvalidArgument", NO_KEY_SERVER),
    (
        "first policy and both denies",
        "begin an upload AES256",
        "allowed",
        "AccessDenied",
        UPLOADS_UNENCRYPTED,
    ),
    ("first policy and both denies", "upload a part", "allowed", "AccessDenied", PARTS_UNENCRYPTED),
    ("first policy and both denies", "complete an upload", "allowed", "AccessDenied", PARTS_UNENCRYPTED),
    (
        "versions, second policy, both denies",
        "begin an upload AES256",
        "allowed",
        "AccessDenied",
        UPLOADS_UNENCRYPTED,
    ),
    ("versions, second policy, both denies", "upload a part", "allowed", "AccessDenied", PARTS_UNENCRYPTED),
    (
        "versions, second policy, both denies",
        "complete an upload",
        "allowed",
        "AccessDenied",
        PARTS_UNENCRYPTED,
    ),
];

/// Ids of two uploads that the owner has begun.
type Uploads = [String; 2];

async fn prepare(server: &Server, situation: &Situation) -> Uploads {
    let bucket = situation.bucket;
    server.owner.create_bucket().bucket(bucket).send().await.unwrap();
    if situation.versioned {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        server
            .owner
            .put_bucket_versioning()
            .bucket(bucket)
            .versioning_configuration(on)
            .send()
            .await
            .unwrap();
    }
    // Before the policy, which binds the owner too (and which Ceph applies to this more strictly than AWS).
    let begin = async |key: &str| {
        let begin = server.owner.create_multipart_upload().bucket(bucket).key(key);
        let begun = begin.server_side_encryption(ServerSideEncryption::Aes256).send().await.unwrap();
        begun.upload_id().unwrap().to_owned()
    };
    let uploads = [begin("n").await, begin("o").await];
    let user = json!({"AWS": server.user_arn});
    let policy = json!({"Version": "2012-10-17", "Statement": (situation.statements)(bucket, &user)});
    server.owner.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
    uploads
}

fn body() -> ByteStream {
    ByteStream::from_static(b"bytes")
}

type Outcomes = Vec<(&'static str, String)>;

/// Every request once, in an order in which each finds what it needs: the owner puts it there.
async fn ask(server: &Server, bucket: &str, uploads: &Uploads) -> Outcomes {
    let (user, owner) = (&server.user, &server.owner);
    let sse = ServerSideEncryption::Aes256;
    let theirs = owner
        .put_object()
        .bucket(bucket)
        .key("k")
        .server_side_encryption(sse.clone())
        .body(body())
        .send()
        .await
        .unwrap();
    let version = theirs.version_id().filter(|id| *id != "null").map(str::to_owned);
    let put = || user.put_object().bucket(bucket).key("p").body(body());
    let mut outcomes = vec![
        ("put", outcome(put().send().await)),
        ("put AES256", outcome(put().server_side_encryption(sse.clone()).send().await)),
        ("put aws:kms", outcome(put().server_side_encryption(ServerSideEncryption::AwsKms).send().await)),
        ("get", outcome(user.get_object().bucket(bucket).key("k").send().await)),
        ("head", outcome(user.head_object().bucket(bucket).key("k").send().await)),
        ("get what is not there", outcome(user.get_object().bucket(bucket).key("none").send().await)),
        ("list", outcome(user.list_objects_v2().bucket(bucket).send().await)),
        ("head the bucket", outcome(user.head_bucket().bucket(bucket).send().await)),
        ("list versions", outcome(user.list_object_versions().bucket(bucket).send().await)),
        ("list uploads", outcome(user.list_multipart_uploads().bucket(bucket).send().await)),
        ("get the policy", outcome(user.get_bucket_policy().bucket(bucket).send().await)),
        ("get versioning", outcome(user.get_bucket_versioning().bucket(bucket).send().await)),
        ("delete the bucket", outcome(user.delete_bucket().bucket(bucket).send().await)),
    ];
    outcomes.extend(upload(server, bucket, uploads).await);
    if let Some(version) = version {
        let get = user.get_object().bucket(bucket).key("k").version_id(&version);
        outcomes.push(("get a version", outcome(get.send().await)));
        outcomes.push((
            "delete, leaving a marker",
            outcome(user.delete_object().bucket(bucket).key("k").send().await),
        ));
        let delete = user.delete_object().bucket(bucket).key("k").version_id(&version);
        outcomes.push(("delete a version", outcome(delete.send().await)));
    } else {
        outcomes.push(("delete", outcome(user.delete_object().bucket(bucket).key("k").send().await)));
    }
    outcomes
}

/// An upload in parts: the user begins one; the rest is done in one that the owner began.
async fn upload(server: &Server, bucket: &str, [begun, other]: &Uploads) -> Outcomes {
    let user = &server.user;
    let begin = user.create_multipart_upload().bucket(bucket).key("m");
    let begin = outcome(begin.server_side_encryption(ServerSideEncryption::Aes256).send().await);
    let part =
        user.upload_part().bucket(bucket).key("n").upload_id(begun).part_number(1).body(body()).send().await;
    let tag = part.as_ref().ok().and_then(|part| part.e_tag().map(str::to_owned));
    let done = CompletedPart::builder().part_number(1).set_e_tag(tag).build();
    let all = CompletedMultipartUpload::builder().parts(done).build();
    let parts = user.list_parts().bucket(bucket).key("n").upload_id(begun).send().await;
    let complete =
        user.complete_multipart_upload().bucket(bucket).key("n").upload_id(begun).multipart_upload(all);
    let completed = outcome(complete.send().await);
    let abort = user.abort_multipart_upload().bucket(bucket).key("o").upload_id(other).send().await;
    vec![
        ("begin an upload AES256", begin),
        ("upload a part", outcome(part)),
        ("list parts", outcome(parts)),
        ("complete an upload", completed),
        ("abort an upload", outcome(abort)),
    ]
}

async fn sandbox() -> (Sandbox, Server) {
    let sandbox = Sandbox::builder().start().await.unwrap();
    sandbox.account().create_user("backup").unwrap();
    let (key, owner) = (sandbox.account().create_access_key("backup").unwrap(), sandbox.owner().clone());
    let server = Server {
        name: "sandbox",
        owner: client(&sandbox.endpoint(), "us-east-1", &owner.id, &owner.secret),
        user: client(&sandbox.endpoint(), "us-east-1", &key.id, &key.secret),
        user_arn: format!("arn:aws:iam::{}:user/backup", sandbox.account().id()),
    };
    (sandbox, server)
}

async fn gateway() -> (Ceph, Server) {
    let ceph = tokio::task::spawn_blocking(Ceph::start).await.unwrap().unwrap();
    let server = Server {
        name: "Ceph",
        owner: client(&ceph.endpoint(), "us-east-1", ceph::OWNER.0, ceph::OWNER.1),
        user: client(&ceph.endpoint(), "us-east-1", ceph::BACKUP.0, ceph::BACKUP.1),
        user_arn: "arn:aws:iam:::user/backup".into(),
    };
    (ceph, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn compared_with_ceph_the_sandbox_differs_only_where_it_is_known_why() {
    let ((_sandbox, ours), (_ceph, theirs)) = tokio::join!(sandbox(), gateway());
    let mut found = Vec::new();
    let mut asked = 0;
    for situation in &SITUATIONS {
        let mut both = Vec::new();
        for server in [&ours, &theirs] {
            let uploads = prepare(server, situation).await;
            let outcomes = ask(server, situation.bucket, &uploads).await;
            assert!(
                outcomes.iter().all(|(_, outcome)| outcome != "no answer"),
                "{}: {outcomes:?}",
                server.name
            );
            both.push(outcomes);
        }
        for ((request, ours), (_, theirs)) in both[0].iter().zip(&both[1]) {
            asked += 1;
            if ours != theirs {
                found.push((situation.name, *request, ours.clone(), theirs.clone()));
            }
        }
    }
    let listed = |d: &(&str, &str, String, String)| {
        DIFFERENCES.iter().any(|l| (l.0, l.1, l.2, l.3) == (d.0, d.1, d.2.as_str(), d.3.as_str()))
    };
    let news: Vec<_> = found.iter().filter(|difference| !listed(difference)).collect();
    assert!(news.is_empty(), "of {asked} requests, not listed:\n{news:#?}");
    let still = |l: &&(&str, &str, &str, &str, &str)| {
        !found.iter().any(|d| (l.0, l.1, l.2, l.3) == (d.0, d.1, d.2.as_str(), d.3.as_str()))
    };
    let gone: Vec<_> = DIFFERENCES.iter().filter(still).collect();
    assert!(gone.is_empty(), "listed, and no difference any more:\n{gone:#?}");
    assert!(DIFFERENCES.iter().all(|difference| !difference.4.is_empty()));
}

//! `strongroom bucket explain`.

use std::fs;
use std::path::Path;

use crate::setup::{FIRST, deny_unencrypted, policy, program, run};

const LOCATION: &str = "s3://youraccountname-mlab-backups/shop";

fn seed(folder: &Path) -> String {
    let file = folder.join("policy.json");
    fs::write(&file, policy(true, &FIRST, deny_unencrypted())).unwrap();
    file.display().to_string()
}

#[tokio::test]
async fn a_refused_request_is_explained_offline() {
    let folder = tempfile::tempdir().unwrap();
    let file = seed(folder.path());
    let explain = |more: &[&str]| {
        let arguments =
            [&["--json", "bucket", "explain", LOCATION, "--identity-policy", &file], more].concat();
        run(program(&arguments))
    };
    let told = explain(&["--action", "s3:PutObject", "--key", "shop/a"]).await.ok().json();
    assert_eq!(told["decision"], "explicitly denied");
    assert!(told["because"][0].as_str().unwrap().contains("s3:x-amz-server-side-encryption"));
    assert!(told["advice"].as_str().unwrap().contains("--sse AES256"));
    let header = "x-amz-server-side-encryption=AES256";
    let told =
        explain(&["--action", "s3:PutObject", "--key", "shop/a", "--header", header]).await.ok().json();
    assert_eq!(told["allowed"], true);
    let told = explain(&["--action", "s3:ListBucketVersions"]).await.ok().json();
    assert_eq!(told["statement"]["Action"], "s3:ListBucketVersions");
    assert_eq!(told["statement"]["Resource"], "arn:aws:s3:::youraccountname-mlab-backups");
}

#[tokio::test]
async fn whether_a_plan_would_still_work_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = seed(folder.path());
    let check = |more: &[&str]| {
        let arguments = [&["--json", "bucket", "explain", LOCATION, "--policy", &file], more].concat();
        run(program(&arguments))
    };
    assert_eq!(check(&[]).await.ok().json()["works"], true);
    let unencrypted = check(&["--sse", "none"]).await;
    unencrypted.failed("SR-NOT-PROVED", 9, &["not every request"]);
    assert_eq!(unencrypted.json()["works"], false);
    check(&["--versioned"]).await.failed("SR-NOT-PROVED", 9, &[]);
}

#[tokio::test]
async fn what_a_thief_could_do_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = seed(folder.path());
    let arguments = ["--json", "bucket", "explain", LOCATION, "--identity-policy", &file, "--thief"];
    let told = run(program(&arguments)).await.ok().json();
    let can =
        |id: &str| told["thief"].as_array().unwrap().iter().find(|a| a["id"] == id).unwrap()["can"].clone();
    assert_eq!(
        (can("read-backups"), can("delete"), can("publish-object")),
        (true.into(), true.into(), true.into())
    );
    assert_eq!(
        (can("ransom"), can("delete-for-good"), can("publish-bucket")),
        (false.into(), false.into(), false.into())
    );
    let text = run(program(&arguments[1..])).await.ok().text();
    assert!(text.contains("CAN read the backups"));
}

/// S3 says that a Deny refused it; the bucket policy, where it may be read, says which and why.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_ends_with_the_statement_that_made_it() {
    use serde_json::json;
    let source = crate::setup::small().await;
    let bucket = format!("arn:aws:s3:::{}", crate::setup::BUCKET);
    let may_look = json!({"Effect": "Allow", "Action": "s3:GetBucketPolicy", "Resource": bucket});
    let guarded = crate::setup::Guarded::bucket(&policy(true, &FIRST, vec![may_look])).await;
    let strict = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "OnlyEncrypted", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": format!("{bucket}/*"),
         "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}}]});
    let owner = guarded.owner_client().await;
    owner.put_bucket_policy().bucket(crate::setup::BUCKET).policy(strict.to_string()).send().await.unwrap();
    let refused = guarded.backup(&source, &["--sse", "AES256"]).await;
    refused.failed("SR-DENIED", 4, &["statement 1 (OnlyEncrypted)", "it is AES256"]);
    guarded.backup(&source, &["--sse", "aws:kms"]).await.ok();

    // Without permission to look, what S3 says is what is told.
    guarded.set_policy(&policy(true, &FIRST, vec![]));
    let refused = guarded.backup(&source, &["--sse", "AES256"]).await;
    refused.failed("SR-DENIED", 4, &["A Deny in the bucket's policy forbids it"]);
}

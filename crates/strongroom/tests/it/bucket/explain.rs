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
    unencrypted.failed("SR-DENIED", 4, &["not every request"]);
    assert_eq!(unencrypted.json()["works"], false);
    check(&["--versioned"]).await.failed("SR-DENIED", 4, &[]);
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

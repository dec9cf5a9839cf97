//! The same against Ceph's gateway, whose policies are read in another way.

use std::process::Command;

use serde_json::{Value, json};
use testbed::ceph::{BACKUP, Ceph, OWNER};

use crate::setup::{Done, program, run};

const LOCATION: &str = "s3://acme-backups/shop";
const CLASSIC: [&str; 6] = wanted("classic");
const SINGLE: [&str; 6] = wanted("single");

const fn wanted(access: &'static str) -> [&'static str; 6] {
    ["--server", "ceph", "--access", access, "--grant-to", "arn:aws:iam:::user/backup"]
}

fn command(ceph: &Ceph, (key, secret): (&str, &str), arguments: &[&str]) -> Command {
    let mut command = program(arguments);
    command.env("AWS_ENDPOINT_URL", ceph.endpoint()).env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
    command
}

async fn provision(ceph: &Ceph, wanted: &[&str]) -> Done {
    let arguments = [&["--json", "bucket", "provision", LOCATION, "--yes"], wanted].concat();
    run(command(ceph, OWNER, &arguments)).await
}

async fn prove(ceph: &Ceph, wanted: &[&str]) -> Done {
    let arguments = [&["--json", "bucket", "prove", LOCATION], wanted].concat();
    run(command(ceph, BACKUP, &arguments)).await
}

fn verdict(report: &Value, id: &str) -> String {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|f| f["id"] == id)
        .map_or("none".into(), |f| f["verdict"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn mlabs_policies_lock_a_bucket_and_what_the_server_cannot_do_is_no_pass() {
    let ceph = tokio::task::spawn_blocking(Ceph::start).await.unwrap().unwrap();
    provision(&ceph, &CLASSIC).await.ok();
    let again = provision(&ceph, &CLASSIC).await.ok().json();
    assert_eq!(again["changes"], json!([]), "{again:#}");

    let done = prove(&ceph, &CLASSIC).await;
    let report = done.json();
    for id in [
        "backup-encrypted",
        "backup-unencrypted",
        "backup-verified",
        "no-header",
        "wrong-mode",
        "anonymous-get",
    ] {
        assert_eq!(verdict(&report, id), "pass", "{id}: {report:#}");
    }
    // This gateway knows no ownership controls, and mLab's ACL permissions let objects be published here.
    assert_eq!(verdict(&report, "ownership"), "not-offered");
    done.failed("SR-NOT-PROVED", 9, &["publish"]);
    assert_eq!(report["left_behind"], json!([]));

    // The narrow profile gives no ACL permissions, and takes the classic statements' place.
    provision(&ceph, &SINGLE).await.ok();
    let report = prove(&ceph, &SINGLE).await.ok().json();
    assert_eq!(
        (verdict(&report, "publish"), verdict(&report, "put-outside")),
        ("pass".into(), "pass".into())
    );
}

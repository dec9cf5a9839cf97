//! The same against Ceph's gateway, whose policies are read in another way.

use std::process::Command;

use serde_json::{Value, json};
use testbed::ceph::{BACKUP, Ceph, OWNER};

use crate::setup::{Done, program, run};

const LOCATION: &str = "s3://acme-backups/shop";
const WANTED: [&str; 6] =
    ["--server", "ceph", "--profile", "classic", "--grant-to", "arn:aws:iam:::user/backup"];

fn command(ceph: &Ceph, (key, secret): (&str, &str), arguments: &[&str]) -> Command {
    let mut command = program(arguments);
    command.env("AWS_ENDPOINT_URL", ceph.endpoint()).env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
    command
}

async fn provision(ceph: &Ceph) -> Done {
    let arguments = [&["--json", "bucket", "provision", LOCATION, "--yes"], &WANTED[..]].concat();
    run(command(ceph, OWNER, &arguments)).await
}

fn verdict(report: &Value, id: &str) -> String {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|f| f["id"] == id)
        .map_or("none".into(), |f| f["verdict"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_policies_lock_a_bucket_and_what_the_server_cannot_do_is_no_pass() {
    let ceph = tokio::task::spawn_blocking(Ceph::start).await.unwrap().unwrap();
    provision(&ceph).await.ok();
    let again = provision(&ceph).await.ok().json();
    assert_eq!(again["changes"], json!([]), "{again:#}");

    let arguments = [&["--json", "bucket", "prove", LOCATION], &WANTED[..]].concat();
    let done = run(command(&ceph, BACKUP, &arguments)).await;
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
    // This gateway speaks plain HTTP only, and knows no ownership controls.
    assert_eq!(verdict(&report, "plain-http"), "not-offered");
    assert_ne!(verdict(&report, "ownership"), "pass");
    assert_eq!(report["left_behind"], json!([]));
    println!("{report:#}");
}

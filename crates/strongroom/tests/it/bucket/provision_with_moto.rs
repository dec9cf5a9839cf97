//! `strongroom bucket provision`, against moto's IAM and S3.

use std::process::Command;

use serde_json::{Value, json};
use strongroom_engine::guard::Access;
use testbed::Moto;

use super::prove::Locked;
use crate::setup::{Done, program, run};

const LOCATION: &str = "s3://acme-backups/shop";

fn as_admin(moto: &Moto, arguments: &[&str]) -> Command {
    let mut command = program(arguments);
    command.env("AWS_ENDPOINT_URL", moto.endpoint()).env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "admin").env("AWS_SECRET_ACCESS_KEY", "admin");
    command
}

async fn provision(moto: &Moto, more: &[&str]) -> Done {
    run(as_admin(moto, &[&["--json", "bucket", "provision", LOCATION, "--yes"], more].concat())).await
}

fn subjects(answer: &Value) -> Vec<String> {
    answer["changes"].as_array().unwrap().iter().map(|c| c["subject"].as_str().unwrap().to_owned()).collect()
}

async fn started() -> Moto {
    tokio::task::spawn_blocking(Moto::start).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_changes_nothing_and_destroying_leaves_nothing() {
    let moto = started().await;
    let shown = provision(&moto, &["--dry-run"]).await.ok().json();
    assert!(shown["changes"].as_array().unwrap().len() > 8);
    let made = provision(&moto, &[]).await.ok().json();
    assert_eq!(subjects(&made), subjects(&shown), "what was shown is what is done");
    assert_eq!(made["complete"], true);
    let key = &made["keys"][0];
    assert!(key["access_key_id"].is_string() && key["secret_access_key"].is_string());

    let again = provision(&moto, &[]).await.ok().json();
    assert_eq!(subjects(&again), Vec::<String>::new());
    assert!(again["notes"].to_string().contains(key["access_key_id"].as_str().unwrap()));
    assert!(!again.to_string().contains(key["secret_access_key"].as_str().unwrap()));
    let another = provision(&moto, &["--new-key"]).await.ok().json();
    assert_eq!(another["keys"].as_array().unwrap().len(), 1);

    provision(&moto, &["--destroy"]).await.ok();
    let gone = provision(&moto, &["--destroy"]).await.ok().json();
    assert_eq!(subjects(&gone), Vec::<String>::new());
    let anew = provision(&moto, &["--dry-run"]).await.ok().json();
    assert_eq!(subjects(&anew), subjects(&shown));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_kept_and_what_widens_is_said() {
    let moto = started().await;
    provision(&moto, &["--access", "classic", "--name", "backups"]).await.ok();
    // The narrower profile takes permissions away from the same identity: that is no widening.
    let narrower = provision(&moto, &["--name", "backups", "--dry-run"]).await.ok().json();
    let policy = |answer: &Value| {
        answer["changes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["subject"] == "policy backups")
            .unwrap()
            .clone()
    };
    assert!(policy(&narrower)["statements"].as_array().unwrap().len() >= 3);
    provision(&moto, &["--name", "backups"]).await.ok();
    let wider = provision(&moto, &["--access", "classic", "--sse", "none", "--name", "backups", "--dry-run"])
        .await
        .ok();
    assert_eq!(policy(&wider.json())["widens"], true);
    let text = run(as_admin(
        &moto,
        &["bucket", "provision", LOCATION, "--access", "classic", "--name", "backups", "--dry-run"],
    ))
    .await;
    assert!(text.ok().text().contains("GRANTS MORE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_goes_into_a_profile_and_nowhere_else() {
    let moto = started().await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("aws/credentials");
    let command = |more: &[&str]| {
        let mut command = as_admin(
            &moto,
            &[&["bucket", "provision", LOCATION, "--write-profile", "backups"], more].concat(),
        );
        command.env("AWS_SHARED_CREDENTIALS_FILE", &file);
        command
    };
    run(command(&[])).await.failed("SR-USAGE", 2, &["--yes"]);
    let made = run(command(&["--yes"])).await.ok();
    let written = std::fs::read_to_string(&file).unwrap();
    let secret = written.lines().find_map(|line| line.strip_prefix("aws_secret_access_key = ")).unwrap();
    assert!(written.contains("[backups]") && !made.text().contains(secret) && !made.stderr.contains(secret));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    run(command(&["--yes"])).await.failed("SR-USAGE", 2, &["has a profile `backups` already"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_made_for_those_who_may_take_them_on() {
    let moto = started().await;
    let cross = ["--role", "444455556666", "--external-id", "word"];
    let made = provision(&moto, &cross).await.ok().json();
    let role = made["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["subject"].as_str().unwrap().starts_with("role "))
        .unwrap();
    let trust = &role["statements"][0]["after"];
    assert_eq!(trust["Condition"]["StringEquals"]["sts:ExternalId"], "word");
    assert_eq!(made["keys"].as_array().unwrap().len(), 0);
    assert_eq!(subjects(&provision(&moto, &cross).await.ok().json()), Vec::<String>::new());
    let other = provision(&moto, &["--role", "444455556666", "--external-id", "other"]).await.ok().json();
    assert_eq!(other["changes"][0]["effect"], "change");
    provision(&moto, &[&cross[..], &["--destroy"]].concat()).await.ok();
    let split = provision(
        &moto,
        &[
            "--access",
            "split",
            "--role",
            "kubernetes",
            "--oidc-provider",
            "oidc.example/id",
            "--service-account",
            "a:b",
        ],
    );
    let made = split.await.ok().json();
    assert_eq!(
        made["done"].as_array().unwrap().iter().filter(|s| s.as_str().unwrap().starts_with("role ")).count(),
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cut_off_is_finished_by_the_next_and_backups_keep_the_bucket() {
    let moto = started().await;
    // Everything up to the identities is what a run that was cut off leaves. moto takes a Deny with conditions for
    // one without, so a profile without bucket policy lets the backup below through.
    let open = ["--access", "classic", "--sse", "none"];
    provision(&moto, &[&open[..], &["--bucket-only"]].concat()).await.ok();
    let rest = provision(&moto, &open).await.ok().json();
    assert!(subjects(&rest).iter().all(|subject| !subject.starts_with("bucket ")));
    assert!(subjects(&rest).iter().any(|subject| subject.starts_with("user ")));

    let source = crate::setup::small().await;
    run(as_admin(&moto, &["backup", "--uri", &source.uri(), "--to", LOCATION])).await.ok();
    let refused = provision(&moto, &[&open[..], &["--destroy"]].concat()).await;
    refused.failed("SR-BUCKET-NOT-EMPTY", 4, &["Delete the backups first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_would_not_take_is_refused_before_anything_is_changed() {
    let moto = started().await;
    let wrong = provision(&moto, &["--account", "444455556666"]).await;
    wrong.failed("SR-USAGE", 2, &["not to 444455556666"]);

    let locked = Locked::bucket(Access::Single, &[], |_| {}).await;
    let stranger = locked.provision_with(&["--account", "444455556666"]).await;
    stranger.failed("SR-DENIED", 4, &["does not belong to account 444455556666"]);
    let keys = "x".repeat(19_500);
    let big = json!({"Sid": "Big", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::acme-backups/{keys}")});
    locked.change_policy(|statements| *statements = vec![big]).await;
    let refused = locked.provision().await;
    refused.failed("SR-USAGE", 2, &["more than the 20480 that AWS takes", "Nothing was changed"]);
}

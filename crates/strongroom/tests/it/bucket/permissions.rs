//! The table of permissions: with exactly these every command works, and without any one of them one does not.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_engine::bucket::actions::{Level, USES, When};
use testbed::Mongod;

use crate::setup::{BUCKET, Guarded, small};

const PREFIX: &str = "shop";

/// Actions of the table for a bucket of this kind, each once.
fn actions(versioned: bool) -> BTreeSet<(&'static str, bool)> {
    let applies = |when| match when {
        When::Always => true,
        When::Versioned => versioned,
        When::Unversioned => !versioned,
        When::Kms => false,
    };
    USES.iter()
        .filter(|line| applies(line.when))
        .map(|line| (line.operation.action, line.operation.level == Level::Bucket))
        .collect()
}

fn policy(actions: &BTreeSet<(&'static str, bool)>) -> String {
    let statement = |(action, on_bucket): &(&str, bool)| {
        if *on_bucket {
            json!({"Effect": "Allow", "Action": action, "Resource": format!("arn:aws:s3:::{BUCKET}"),
                   "Condition": {"StringLike": {"s3:prefix": [format!("{PREFIX}/*")]}}})
        } else {
            json!({"Effect": "Allow", "Action": action, "Resource": format!("arn:aws:s3:::{BUCKET}/{PREFIX}/*")})
        }
    };
    let statements: Vec<Value> = actions.iter().map(statement).collect();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// Runs every command once; the names of those that failed.
async fn failing(guarded: &Guarded, source: &Mongod) -> Vec<&'static str> {
    let mut failing = Vec::new();
    let made = guarded.backup(source, &["--sse", "AES256"]).await;
    if made.status != 0 {
        return vec!["backup"];
    }
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let location = guarded.location();
    for (name, arguments) in [
        ("list", vec!["list", location.as_str()]),
        ("verify", vec!["verify", &location, &id]),
        ("cat", vec!["cat", &location, &id]),
        ("delete", vec!["delete", &location, &id, "--yes"]),
        ("clean", vec!["clean", &location, "--yes"]),
    ] {
        if guarded.run(&arguments).await.status != 0 {
            failing.push(name);
        }
    }
    failing
}

async fn each_is_needed(versioned: bool) {
    let source = small().await;
    let all = actions(versioned);
    let guarded = Guarded::bucket(&policy(&all)).await;
    if versioned {
        guarded.keep_versions().await;
    }
    assert_eq!(failing(&guarded, &source).await, Vec::<&str>::new(), "{all:?}");
    for dropped in &all {
        let mut fewer = all.clone();
        fewer.remove(dropped);
        guarded.set_policy(&policy(&fewer));
        assert_ne!(failing(&guarded, &source).await, Vec::<&str>::new(), "{dropped:?} has no business there");
        guarded.set_policy(&policy(&all));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_permission_is_needed_in_a_bucket_without_versions() {
    each_is_needed(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_permission_is_needed_in_a_bucket_with_versions() {
    each_is_needed(true).await;
}

/// Three identities, each with its own policy alone: the second backup too, whose note on restoring is there already.
#[tokio::test(flavor = "multi_thread")]
async fn split_identities_do_all_there_is_to_do_between_them() {
    use strongroom_engine::guard::{Access, Settings, documents};
    let source = small().await;
    let mut settings = Settings::new(BUCKET, PREFIX);
    settings.access = Access::Split;
    let policies: Vec<String> = documents(&settings).iter().take(3).map(|d| d.policy.to_string()).collect();
    let [writer, restorer, pruner] = &policies[..] else { panic!("three identities") };
    let guarded = Guarded::bucket(writer).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let made = guarded.backup(&source, &["--sse", "AES256"]).await.ok().json();
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let location = guarded.location();
    guarded.run(&["list", &location]).await.failed("SR-DENIED", 4, &["s3:ListBucket"]);
    guarded.set_policy(restorer);
    for id in &ids {
        guarded.run(&["verify", &location, id]).await.ok();
    }
    guarded.run(&["delete", &location, &ids[0], "--yes"]).await.failed("SR-DENIED", 4, &[]);
    guarded.set_policy(pruner);
    guarded.run(&["delete", &location, &ids[0], "--yes"]).await.ok();
    guarded.run(&["clean", &location, "--yes"]).await.ok();
    guarded.set_policy(restorer);
    guarded.run(&["verify", &location, &ids[1]]).await.ok();
    assert!(guarded.keys().await.iter().all(|key| !key.contains(&ids[0])), "nothing of it is left");
}

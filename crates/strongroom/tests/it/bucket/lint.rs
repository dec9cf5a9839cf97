//! `strongroom bucket lint`.

use std::fs;

use serde_json::Value;

use crate::setup::{FIRST, policy, program, run};

fn rules(answer: &Value) -> Vec<String> {
    answer["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn faults_are_told_with_what_to_write_instead() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.json");
    let path = file.display().to_string();
    let lint = async |text: &str| {
        fs::write(&file, text).unwrap();
        run(program(&["--json", "bucket", "lint", &path])).await
    };
    let wrong = lint(r#"{"Version": "2021-10-17", "Statement": {"Effect": "Allow", "Action": "s3:HeadBucket", "Resource": "arn:aws:s3:::b"}}"#).await;
    wrong.failed("SR-NOT-PROVED", 9, &["errors"]);
    let found = rules(&wrong.json());
    assert!(
        found.contains(&"INVALID_VERSION".to_owned()) && found.contains(&"UNKNOWN_ACTION".to_owned()),
        "{found:?}"
    );
    assert!(wrong.text().contains("s3:ListBucket"));

    // mLab's page: its ACL actions are told, and are no errors.
    let seed = lint(&policy(true, &FIRST, vec![])).await.ok();
    assert!(rules(&seed.json()).contains(&"ACL_ACTION".to_owned()));

    let broken = lint("{\"Version\": \"2012-10-17\",\n \"Statement\": [}").await;
    broken.failed("SR-NOT-PROVED", 9, &[]);
    assert!(broken.text().contains("line 2, column 16"), "{}", broken.text());
    run(program(&["bucket", "lint", "/nonexistent"])).await.failed("SR-USAGE", 2, &["cannot be read"]);
}

/// What is printed must pass what is preached.
#[tokio::test]
async fn the_policies_that_are_printed_have_no_errors_and_the_narrow_ones_no_warnings() {
    let folder = tempfile::tempdir().unwrap();
    for access in ["single", "split"] {
        for only in ["identity", "restorer", "pruner", "bucket"] {
            let printed = [
                "bucket",
                "policy",
                "s3://acme-backups/shop",
                "--versioned",
                "--access",
                access,
                "--only",
                only,
            ];
            let done = run(program(&printed)).await.ok();
            let file = folder.path().join("policy.json");
            fs::write(&file, done.text()).unwrap();
            let linted =
                run(program(&["--json", "bucket", "lint", &file.display().to_string()])).await.ok().json();
            assert_eq!(rules(&linted), Vec::<String>::new(), "{access} {only}: {linted:#}");
        }
    }
}

//! `strongroom bucket policy`, in every format, read by the tools that read it elsewhere.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::setup::{program, run};

const LOCATION: &str = "s3://acme-backups/shop";
const KEY: &str = "aws:kms:arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Settings that differ in all that templates show.
fn variants() -> Vec<Vec<&'static str>> {
    vec![
        vec![],
        vec!["--access", "classic"],
        vec!["--access", "classic", "--sse", "none", "--versioned"],
        vec!["--access", "split", "--versioned", "--sse", KEY, "--object-lock", "governance:30d"],
        vec!["--role", "444455556666", "--external-id", "a-secret-word", "--account", "111122223333"],
        vec![
            "--role",
            "kubernetes",
            "--oidc-provider",
            "oidc.eks.eu-west-1.amazonaws.com/id/ABC",
            "--service-account",
            "backup:strongroom",
            "--account",
            "111122223333",
        ],
    ]
}

async fn printed(format: &str, more: &[&str]) -> String {
    let arguments =
        [&["bucket", "policy", LOCATION, "--region", "eu-west-1", "--format", format], more].concat();
    run(program(&arguments)).await.ok().text()
}

#[tokio::test]
async fn with_cfn_lint_the_template_passes_and_the_documents_are_json() {
    let mut lint = testbed::tools::cfn_lint().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (place, variant) in variants().iter().enumerate() {
        let documents: Value = serde_json::from_str(&printed("json", variant).await).unwrap();
        assert!(documents.is_object());
        let file = folder.path().join(format!("{place}.json"));
        fs::write(&file, printed("cloudformation", variant).await).unwrap();
        files.push(file);
    }
    let checked = lint.arg("--regions").arg("eu-west-1").arg("--").args(&files).output().unwrap();
    let said =
        String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
}

#[tokio::test]
async fn the_configuration_is_hcl_and_holds_the_same_policies() {
    for variant in variants() {
        let text = printed("terraform", &variant).await;
        let body: hcl::Body = hcl::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let labels: Vec<String> = body
            .blocks()
            .flat_map(|block| block.labels().iter().map(|label| label.as_str().to_owned()))
            .collect();
        assert!(labels.contains(&"aws_s3_bucket_public_access_block".to_owned()), "{labels:?}");
        let versioned = variant.contains(&"--versioned");
        assert_eq!(labels.contains(&"aws_s3_bucket_versioning".to_owned()), versioned);
        let role = variant.contains(&"--role");
        assert_eq!(labels.contains(&"aws_iam_role".to_owned()), role);
        assert_eq!(labels.contains(&"aws_iam_user".to_owned()), !role);
    }
}

#[tokio::test]
async fn the_commands_are_a_shell_script_and_the_steps_name_all_that_is_to_be_pasted() {
    for variant in variants() {
        let script = printed("aws-cli", &variant).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script.sh");
        fs::write(&file, &script).unwrap();
        // The shell reads it and runs nothing.
        let read = Command::new("sh").arg("-n").arg(&file).output().unwrap();
        assert!(read.status.success(), "{script}");
        // A stand-in for `aws` takes down what it is called with: each policy must arrive as JSON.
        let stub = folder.path().join("aws");
        fs::write(&stub, "#!/bin/sh\nfor word in \"$@\"; do printf '%s\\n' \"$word\" >>\"$CALLED\"; done\necho 111122223333\n").unwrap();
        Command::new("chmod").arg("755").arg(&stub).status().unwrap();
        let called = folder.path().join("called");
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let ran = Command::new("sh").arg(&file).env("PATH", path).env("CALLED", &called).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let called = fs::read_to_string(called).unwrap();
        let policies = called.lines().filter_map(|word| serde_json::from_str::<Value>(word).ok());
        assert!(policies.filter(|value| value["Version"] == "2012-10-17").count() >= 1);
        let steps = printed("console", &variant).await;
        assert!(steps.contains("Create policy") && steps.contains("\"Version\": \"2012-10-17\""));
    }
}

#[tokio::test]
async fn statements_are_added_to_a_policy_without_losing_or_moving_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.json");
    let own = json!({"Sid": "Reports", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/reports"},
                     "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-backups/reports/*"});
    fs::write(&file, json!({"Version": "2012-10-17", "Id": "ours", "Statement": [own]}).to_string()).unwrap();
    let path = file.display().to_string();
    let arguments = ["bucket", "policy", LOCATION, "--only", "bucket", "--merge", &path];
    let once = run(program(&arguments)).await.ok().json();
    assert_eq!((&once["Id"], &once["Statement"][0]), (&json!("ours"), &own));
    assert_eq!(once["Statement"].as_array().unwrap().len(), 5);
    fs::write(&file, once.to_string()).unwrap();
    assert_eq!(run(program(&arguments)).await.ok().json(), once, "a second time adds nothing");

    fs::write(&file, "{\"Version\": \"2012-10-17\",\n \"Statement\": [}").unwrap();
    run(program(&arguments)).await.failed("SR-USAGE", 2, &["line 2, column 16", "Fix the file"]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_what_to_do() {
    for (arguments, told) in [
        (vec!["s3://acme-backups/a*"], "`*`"),
        (vec!["s3://acme-backups/../x"], ".."),
        (vec!["s3://Acme/shop"], "lower-case"),
        (vec!["file:///tmp"], "is a folder"),
        (vec![LOCATION, "--object-lock", "governance:30d"], "--versioned"),
        (vec![LOCATION, "--sse", "aws:kms:alias/x"], "ARN"),
        (vec![LOCATION, "--account", "12"], "twelve digits"),
        (vec![LOCATION, "--role", "444455556666"], "--external-id"),
        (vec![LOCATION, "--role", "everybody"], "kubernetes"),
        (vec![LOCATION, "--object-lock", "soon"], "governance:30d"),
        (vec![LOCATION, "--access", "modern"], "split"),
    ] {
        let done = run(program(&[&["bucket", "policy"], &arguments[..]].concat())).await;
        assert_eq!(done.status, 2, "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
    }
}

/// docs/IAM.md is what the table says.
#[test]
fn the_page_on_permissions_is_made_from_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/IAM.md");
    let page = strongroom_engine::guard::iam_page();
    if std::env::var_os("STRONGROOM_WRITE_DOCS").is_some() {
        fs::write(path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(path).unwrap() == page,
        "write it anew: STRONGROOM_WRITE_DOCS=1 cargo test -p strongroom"
    );
}

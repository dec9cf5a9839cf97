//! Commands of the `aws` tool.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Document, bucket_policy, identities};
use crate::guard::settings::Settings;
use crate::guard::wish::{self, Wish};

pub(super) fn script(settings: &Settings, documents: &[Document]) -> String {
    let mut script = Script(String::from(
        "#!/bin/sh\n# Makes the bucket and the identities of these backups. Read it before you run it.\nset -eu\n\n",
    ));
    script.bucket(settings, &Wish::of(settings));
    if let Some(policy) = bucket_policy(documents) {
        script.line("# This replaces the bucket's policy: if it has one, merge first (strongroom bucket policy --merge FILE).");
        script.command(&[
            "aws",
            "s3api",
            "put-bucket-policy",
            "--bucket",
            &settings.bucket,
            "--policy",
            &policy.to_string(),
        ]);
    }
    for (name, policy, trust) in identities(documents) {
        script.identity(settings, name, policy, trust);
    }
    script.0
}

struct Script(String);

impl Script {
    fn line(&mut self, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{text}");
    }

    fn command(&mut self, words: &[&str]) {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        self.line(&words.join(" "));
    }

    fn setting(&mut self, bucket: &str, command: &str, option: &str, value: &Value) {
        self.command(&["aws", "s3api", command, "--bucket", bucket, option, &value.to_string()]);
    }

    fn bucket(&mut self, settings: &Settings, wish: &Wish) {
        let bucket = settings.bucket.as_str();
        let mut create =
            vec!["aws", "s3api", "create-bucket", "--bucket", bucket, "--region", &settings.region];
        let place = format!("LocationConstraint={}", settings.region);
        if settings.region != "us-east-1" {
            create.extend(["--create-bucket-configuration", &place]);
        }
        if wish.object_lock.is_some() {
            create.push("--object-lock-enabled-for-bucket");
        }
        self.line("# The bucket; leave this out if it is there.");
        self.command(&create);
        self.setting(
            bucket,
            "put-public-access-block",
            "--public-access-block-configuration",
            &wish::public_access_block(),
        );
        self.setting(
            bucket,
            "put-bucket-ownership-controls",
            "--ownership-controls",
            &json!({"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}),
        );
        self.setting(
            bucket,
            "put-bucket-encryption",
            "--server-side-encryption-configuration",
            &json!({"Rules": [wish.encryption_rule()]}),
        );
        if wish.versioned {
            self.setting(
                bucket,
                "put-bucket-versioning",
                "--versioning-configuration",
                &json!({"Status": "Enabled"}),
            );
        }
        self.line("# This replaces the bucket's lifecycle rules.");
        self.setting(
            bucket,
            "put-bucket-lifecycle-configuration",
            "--lifecycle-configuration",
            &json!({"Rules": [wish.lifecycle_rule()]}),
        );
        if let Some(retention) = wish.object_lock {
            let lock = json!({"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": retention.mode.as_str(), "Days": retention.days}}});
            self.setting(bucket, "put-object-lock-configuration", "--object-lock-configuration", &lock);
        }
        self.line("");
    }

    fn identity(&mut self, settings: &Settings, name: &str, policy: &Value, trust: Option<&Value>) {
        self.line("");
        let partition = crate::guard::partition(&settings.region);
        self.line("account=$(aws sts get-caller-identity --query Account --output text)");
        self.command(&[
            "aws",
            "iam",
            "create-policy",
            "--policy-name",
            name,
            "--policy-document",
            &policy.to_string(),
        ]);
        // The name holds letters, digits and hyphens only.
        let arn = format!("\"arn:{partition}:iam::$account:policy/{name}\"");
        if let Some(trust) = trust {
            self.command(&[
                "aws",
                "iam",
                "create-role",
                "--role-name",
                name,
                "--assume-role-policy-document",
                &trust.to_string(),
            ]);
            self.line(&format!("aws iam attach-role-policy --role-name {name} --policy-arn {arn}"));
            return;
        }
        self.command(&["aws", "iam", "create-group", "--group-name", name]);
        self.line(&format!("aws iam attach-group-policy --group-name {name} --policy-arn {arn}"));
        self.command(&["aws", "iam", "create-user", "--user-name", name]);
        self.command(&["aws", "iam", "add-user-to-group", "--group-name", name, "--user-name", name]);
        self.line("# Shows the secret once:");
        self.command(&["aws", "iam", "create-access-key", "--user-name", name]);
    }
}

/// A word that a POSIX shell takes as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

//! Steps in AWS' console, after mLab's page, as the console is today.

use std::fmt::Write;

use super::{Document, bucket_policy, identities};
use crate::guard::settings::Settings;
use crate::guard::wish::{self, Wish};

pub(super) fn steps(settings: &Settings, documents: &[Document]) -> String {
    let mut steps = Steps { text: String::new(), number: 0 };
    bucket(&mut steps, settings, &Wish::of(settings));
    if let Some(policy) = bucket_policy(documents) {
        steps.step("In the bucket: Permissions, Bucket policy, Edit. Paste this (if there is a policy, add its statements to the list `Statement`), Save changes:");
        steps.paste(policy);
    }
    for (name, policy, trust) in identities(documents) {
        steps.step("Open IAM (https://console.aws.amazon.com/iam/). Policies, Create policy, JSON. Paste this, and leave `Version` as it is:");
        steps.paste(policy);
        steps.step(&format!("Next. Policy name: {name}. Create policy."));
        match trust {
            Some(trust) => {
                steps.step("Roles, Create role, Custom trust policy. Paste this, Next:");
                steps.paste(trust);
                steps.step(&format!("Tick {name}, Next. Role name: {name}. Create role."));
            }
            None => user(&mut steps, name),
        }
    }
    steps.step(&format!("Prove it: strongroom bucket prove s3://{}/{}", settings.bucket, settings.prefix));
    steps.text
}

fn bucket(steps: &mut Steps, settings: &Settings, wish: &Wish) {
    steps.step(&format!(
        "Log in to AWS' console and open S3 (https://console.aws.amazon.com/s3/), region {}.",
        settings.region
    ));
    steps.step(&format!(
        "Create bucket (if there is none). Bucket name: {}. Object Ownership: ACLs disabled. Block all public access: on. Bucket Versioning: {}. Default encryption: {}{}. Create bucket.",
        settings.bucket,
        if wish.versioned { "Enable" } else { "Disable" },
        wish.sse.header().unwrap_or("AES256"),
        if wish.object_lock.is_some() { ". Advanced settings, Object Lock: Enable" } else { "" },
    ));
    if let Some(retention) = wish.object_lock {
        steps.step(&format!(
            "In the bucket: Properties, Object Lock, Edit. Default retention: Enable, {}, {} days.",
            retention.mode.as_str(),
            retention.days
        ));
    }
    let noncurrent = if wish.versioned {
        format!(
            ", permanently delete noncurrent versions after {} days, delete expired object delete markers",
            wish::NONCURRENT_DAYS
        )
    } else {
        String::new()
    };
    steps.step(&format!(
        "In the bucket: Management, Create lifecycle rule. Name: {}. Prefix: {}. Delete incomplete multipart uploads after {} days{noncurrent}.",
        wish::LIFECYCLE_ID,
        if wish.prefix.is_empty() { "none (all objects)" } else { &wish.prefix },
        wish::ABORT_DAYS
    ));
}

fn user(steps: &mut Steps, name: &str) {
    steps.step(&format!(
        "User groups, Create group. User group name: {name}. Tick the policy {name}. Create user group."
    ));
    steps.step(&format!("Users, Create user. User name: {name}, no access to the console. Next, add it to the group {name}. Create user."));
    steps.step(&format!(
        "Users, {name}, Security credentials, Create access key, \"Application running outside AWS\". Note key and secret: the secret is shown once. Put them into ~/.aws/credentials or the environment."
    ));
}

struct Steps {
    text: String,
    number: usize,
}

impl Steps {
    fn step(&mut self, text: &str) {
        self.number += 1;
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}. {text}", self.number);
    }

    fn paste(&mut self, policy: &serde_json::Value) {
        let _ = writeln!(self.text, "\n{policy:#}\n");
    }
}

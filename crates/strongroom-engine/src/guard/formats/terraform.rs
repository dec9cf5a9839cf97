//! A Terraform configuration.

use std::fmt::Write;

use serde_json::Value;

use super::{Document, bucket_policy, identities};
use crate::guard::settings::Settings;
use crate::guard::wish::{self, Wish};

pub(super) fn configuration(settings: &Settings, documents: &[Document]) -> String {
    let wish = Wish::of(settings);
    let mut text = bucket(settings, &wish);
    if let Some(policy) = bucket_policy(documents) {
        text += &resource("aws_s3_bucket_policy", "backups", &[BUCKET.into(), document("policy", policy)]);
    }
    for (place, (name, policy, trust)) in identities(documents).enumerate() {
        let label = if place == 0 { "backups".to_owned() } else { format!("backups_{}", place + 1) };
        text += &identity(&label, name, policy, trust);
    }
    text
}

const BUCKET: &str = "bucket = aws_s3_bucket.backups.id";

fn resource(kind: &str, label: &str, lines: &[String]) -> String {
    let mut text = format!("resource \"{kind}\" \"{label}\" {{\n");
    for line in lines.iter().flat_map(|line| line.lines()) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {line}");
    }
    text + "}\n\n"
}

fn bucket(settings: &Settings, wish: &Wish) -> String {
    let mut own = vec![format!("bucket = {}", quoted(&settings.bucket))];
    if wish.object_lock.is_some() {
        own.push("object_lock_enabled = true".into());
    }
    own.push("lifecycle {\n  prevent_destroy = true\n}".into());
    let mut text = resource("aws_s3_bucket", "backups", &own);
    let all = ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"];
    let mut blocked = vec![BUCKET.to_owned()];
    blocked.extend(all.map(|setting| format!("{setting} = true")));
    text += &resource("aws_s3_bucket_public_access_block", "backups", &blocked);
    let owner = "rule {\n  object_ownership = \"BucketOwnerEnforced\"\n}".to_owned();
    text += &resource("aws_s3_bucket_ownership_controls", "backups", &[BUCKET.into(), owner]);
    text += &resource(
        "aws_s3_bucket_server_side_encryption_configuration",
        "backups",
        &[BUCKET.into(), encryption(wish)],
    );
    if wish.versioned {
        let on = "versioning_configuration {\n  status = \"Enabled\"\n}".to_owned();
        text += &resource("aws_s3_bucket_versioning", "backups", &[BUCKET.into(), on]);
    }
    text += &resource("aws_s3_bucket_lifecycle_configuration", "backups", &[BUCKET.into(), lifecycle(wish)]);
    if let Some(retention) = wish.object_lock {
        let rule = format!(
            "rule {{\n  default_retention {{\n    mode = \"{}\"\n    days = {}\n  }}\n}}",
            retention.mode.as_str(),
            retention.days
        );
        text += &resource("aws_s3_bucket_object_lock_configuration", "backups", &[BUCKET.into(), rule]);
    }
    text
}

fn encryption(wish: &Wish) -> String {
    let mut lines = format!("    sse_algorithm = {}\n", quoted(wish.sse.header().unwrap_or("AES256")));
    if let Some(key) = wish.sse.kms_key() {
        lines += &format!("    kms_master_key_id = {}\n", quoted(key));
    }
    let bucket_key = if wish.sse.takes_bucket_key() { "  bucket_key_enabled = true\n" } else { "" };
    format!("rule {{\n{bucket_key}  apply_server_side_encryption_by_default {{\n{lines}  }}\n}}")
}

fn lifecycle(wish: &Wish) -> String {
    let mut rule = format!(
        "rule {{\n  id = \"{}\"\n  status = \"Enabled\"\n  filter {{\n    prefix = {}\n  }}\n  abort_incomplete_multipart_upload {{\n    days_after_initiation = {}\n  }}\n",
        wish::LIFECYCLE_ID,
        quoted(&wish.prefix),
        wish::ABORT_DAYS
    );
    if wish.versioned {
        rule += &format!(
            "  noncurrent_version_expiration {{\n    noncurrent_days = {}\n  }}\n  expiration {{\n    expired_object_delete_marker = true\n  }}\n",
            wish::NONCURRENT_DAYS
        );
    }
    rule + "}"
}

fn identity(label: &str, name: &str, policy: &Value, trust: Option<&Value>) -> String {
    let named = format!("name = {}", quoted(name));
    let mut text = resource("aws_iam_policy", label, &[named.clone(), document("policy", policy)]);
    let attached = format!("policy_arn = aws_iam_policy.{label}.arn");
    if let Some(trust) = trust {
        text += &resource("aws_iam_role", label, &[named, document("assume_role_policy", trust)]);
        let role = format!("role = aws_iam_role.{label}.name");
        return text + &resource("aws_iam_role_policy_attachment", label, &[role, attached]);
    }
    text += &resource("aws_iam_group", label, std::slice::from_ref(&named));
    let group = format!("aws_iam_group.{label}.name");
    text += &resource("aws_iam_group_policy_attachment", label, &[format!("group = {group}"), attached]);
    text += &resource("aws_iam_user", label, &[named]);
    let member = [format!("user = aws_iam_user.{label}.name"), format!("groups = [{group}]")];
    text + &resource("aws_iam_user_group_membership", label, &member)
}

/// A policy as HCL. JSON's objects are HCL's, but for the sign between name and value.
fn document(argument: &str, policy: &Value) -> String {
    format!("{argument} = jsonencode({})", hcl(policy, ""))
}

fn hcl(value: &Value, indent: &str) -> String {
    let deeper = format!("{indent}  ");
    match value {
        Value::String(text) => quoted(text),
        Value::Array(values) => {
            let values: Vec<String> =
                values.iter().map(|value| format!("{deeper}{}", hcl(value, &deeper))).collect();
            format!("[\n{}\n{indent}]", values.join(",\n"))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{deeper}{} = {}", quoted(name), hcl(value, &deeper)))
                .collect();
            format!("{{\n{}\n{indent}}}", members.join("\n"))
        }
        other => other.to_string(),
    }
}

/// A quoted string: as JSON's, and what HCL would fill in is left as it is written.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace("${", "$${").replace("%{", "%%{")
}

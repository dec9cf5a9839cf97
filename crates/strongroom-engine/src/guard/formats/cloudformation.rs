//! A CloudFormation template.

use serde_json::{Map, Value, json};

use super::{Document, bucket_policy, identities};
use crate::guard::settings::Settings;
use crate::guard::wish::{self, Wish};

pub(super) fn template(settings: &Settings, documents: &[Document]) -> String {
    let wish = Wish::of(settings);
    let mut resources = Map::new();
    resources.insert("Bucket".into(), bucket(settings, &wish));
    if let Some(policy) = bucket_policy(documents) {
        let properties = json!({"Bucket": {"Ref": "Bucket"}, "PolicyDocument": policy});
        resources.insert(
            "BucketPolicy".into(),
            json!({"Type": "AWS::S3::BucketPolicy", "Properties": properties}),
        );
    }
    for (place, (name, policy, trust)) in identities(documents).enumerate() {
        let logical = if place == 0 { String::new() } else { (place + 1).to_string() };
        identity(&mut resources, &logical, name, policy, trust);
    }
    let template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("MongoDB backups in s3://{}", settings.bucket),
        "Resources": resources,
    });
    format!("{template:#}\n")
}

fn bucket(settings: &Settings, wish: &Wish) -> Value {
    let mut properties = json!({
        "BucketName": settings.bucket,
        "PublicAccessBlockConfiguration": wish::public_access_block(),
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption(wish)]},
        "LifecycleConfiguration": {"Rules": [lifecycle(wish)]},
    });
    if wish.versioned {
        properties["VersioningConfiguration"] = json!({"Status": "Enabled"});
    }
    if let Some(retention) = wish.object_lock {
        properties["ObjectLockEnabled"] = json!(true);
        properties["ObjectLockConfiguration"] = json!({"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": retention.mode.as_str(), "Days": retention.days}}});
    }
    json!({"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain", "Properties": properties})
}

/// CloudFormation has names of its own for the same things.
fn encryption(wish: &Wish) -> Value {
    let rule = wish.encryption_rule();
    let mut named = json!({"ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"]});
    if let Some(key) = rule.get("BucketKeyEnabled") {
        named["BucketKeyEnabled"] = key.clone();
    }
    named
}

fn lifecycle(wish: &Wish) -> Value {
    let mut rule = json!({
        "Id": wish::LIFECYCLE_ID,
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": wish::ABORT_DAYS},
    });
    if !wish.prefix.is_empty() {
        rule["Prefix"] = json!(wish.prefix);
    }
    if wish.versioned {
        rule["NoncurrentVersionExpiration"] = json!({"NoncurrentDays": wish::NONCURRENT_DAYS});
        rule["ExpiredObjectDeleteMarker"] = json!(true);
    }
    rule
}

fn identity(
    resources: &mut Map<String, Value>,
    place: &str,
    name: &str,
    policy: &Value,
    trust: Option<&Value>,
) {
    let managed = format!("Policy{place}");
    let properties = json!({"ManagedPolicyName": name, "PolicyDocument": policy});
    resources.insert(managed.clone(), json!({"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}));
    let attached = json!([{"Ref": managed}]);
    if let Some(trust) = trust {
        let properties =
            json!({"RoleName": name, "AssumeRolePolicyDocument": trust, "ManagedPolicyArns": attached});
        resources.insert(format!("Role{place}"), json!({"Type": "AWS::IAM::Role", "Properties": properties}));
        return;
    }
    let group = format!("Group{place}");
    let properties = json!({"GroupName": name, "ManagedPolicyArns": attached});
    resources.insert(group.clone(), json!({"Type": "AWS::IAM::Group", "Properties": properties}));
    let properties = json!({"UserName": name, "Groups": [{"Ref": group}]});
    resources.insert(format!("User{place}"), json!({"Type": "AWS::IAM::User", "Properties": properties}));
}

//! From a request to its decision: operation, action, resource, condition keys. Source: Service Authorization
//! Reference, "Actions, resources, and condition keys for Amazon S3".

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use iam_policy::{Decision, Effect, Evaluation, Named, Policies, Principal, Request, evaluate};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Result, s3_error};

use crate::decisions::Judged;
use crate::state::{Peer, State};

/// Who sent a request, and from where: kept with the request for what is judged later.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) request: Request,
    pub(crate) operation: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Guard(pub(crate) Arc<State>);

#[async_trait::async_trait]
impl S3Auth for Guard {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.account.secret(access_key) {
            Some(secret) => Ok(secret.into()),
            None => Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Guard {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = cx.s3_op().name().to_owned();
        self.0.decisions.count(&operation);
        let request = request(&self.0, cx, &operation)?;
        let caller = Caller { request, operation };
        let judged = match caller.operation.as_str() {
            // Each of its keys is judged alone.
            "DeleteObjects" => Ok(()),
            "CopyObject" => self.0.judge(&source_of(cx, &caller)?).and_then(|()| self.0.judge(&caller)),
            _ => self.0.judge(&caller),
        };
        cx.extensions_mut().insert(caller);
        judged
    }
}

/// The action of an operation, and whether it is on the bucket. None: it is not supported.
fn action(operation: &str, versioned: bool) -> Option<(&'static str, bool)> {
    Some(match operation {
        "ListBuckets" => ("s3:ListAllMyBuckets", true),
        "CreateBucket" => ("s3:CreateBucket", true),
        "DeleteBucket" => ("s3:DeleteBucket", true),
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => ("s3:ListBucket", true),
        "ListObjectVersions" => ("s3:ListBucketVersions", true),
        "ListMultipartUploads" => ("s3:ListBucketMultipartUploads", true),
        "GetBucketLocation" => ("s3:GetBucketLocation", true),
        "GetBucketVersioning" => ("s3:GetBucketVersioning", true),
        "PutBucketVersioning" => ("s3:PutBucketVersioning", true),
        "GetBucketEncryption" => ("s3:GetEncryptionConfiguration", true),
        "PutBucketEncryption" | "DeleteBucketEncryption" => ("s3:PutEncryptionConfiguration", true),
        "GetBucketPolicy" => ("s3:GetBucketPolicy", true),
        "PutBucketPolicy" => ("s3:PutBucketPolicy", true),
        "DeleteBucketPolicy" => ("s3:DeleteBucketPolicy", true),
        "GetBucketPolicyStatus" => ("s3:GetBucketPolicyStatus", true),
        "GetPublicAccessBlock" => ("s3:GetBucketPublicAccessBlock", true),
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => ("s3:PutBucketPublicAccessBlock", true),
        "GetBucketOwnershipControls" => ("s3:GetBucketOwnershipControls", true),
        "PutBucketOwnershipControls" | "DeleteBucketOwnershipControls" => {
            ("s3:PutBucketOwnershipControls", true)
        }
        "GetBucketLifecycleConfiguration" => ("s3:GetLifecycleConfiguration", true),
        "PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle" => ("s3:PutLifecycleConfiguration", true),
        "GetBucketTagging" => ("s3:GetBucketTagging", true),
        "PutBucketTagging" | "DeleteBucketTagging" => ("s3:PutBucketTagging", true),
        "GetObject" | "HeadObject" if versioned => ("s3:GetObjectVersion", false),
        "GetObject" | "HeadObject" => ("s3:GetObject", false),
        "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" | "CopyObject" => {
            ("s3:PutObject", false)
        }
        "AbortMultipartUpload" => ("s3:AbortMultipartUpload", false),
        "ListParts" => ("s3:ListMultipartUploadParts", false),
        "DeleteObject" if versioned => ("s3:DeleteObjectVersion", false),
        "DeleteObject" => ("s3:DeleteObject", false),
        "DeleteObjects" => ("s3:DeleteObject", true),
        _ => return None,
    })
}

/// Headers whose values are condition keys of the same name.
const HEADER_KEYS: [&str; 9] = [
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

fn request(state: &State, cx: &mut S3AccessContext<'_>, operation: &str) -> S3Result<Request> {
    let principal = match cx.credentials() {
        None => Principal::Anonymous,
        Some(credentials) => {
            state.account.owner(&credentials.access_key).ok_or_else(|| s3_error!(InvalidAccessKeyId))?
        }
    };
    let query: Vec<(String, String)> = query(cx.uri().query().unwrap_or_default());
    let parameter = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let version = parameter("versionId");
    let Some((action, on_bucket)) = action(operation, version.is_some()) else {
        return Err(s3_error!(NotImplemented, "the sandbox does not know this operation"));
    };
    let resource = match cx.s3_path() {
        S3Path::Root => "arn:aws:s3:::".to_owned(),
        S3Path::Bucket { bucket } => format!("arn:aws:s3:::{bucket}"),
        S3Path::Object { bucket, .. } if on_bucket => format!("arn:aws:s3:::{bucket}"),
        S3Path::Object { bucket, key } => format!("arn:aws:s3:::{bucket}/{key}"),
    };
    let mut request = Request::new(principal, action, &resource);
    let context = &mut request.context;
    for name in HEADER_KEYS {
        if let Some(value) = cx.headers().get(name).and_then(|value| value.to_str().ok()) {
            context.set(&format!("s3:{name}"), value);
        }
    }
    for name in ["if-none-match", "if-match"] {
        if let Some(value) = cx.headers().get(name).and_then(|value| value.to_str().ok()) {
            context.set(&format!("s3:{name}"), value);
        }
    }
    for (name, key) in [("prefix", "s3:prefix"), ("delimiter", "s3:delimiter"), ("max-keys", "s3:max-keys")] {
        if let Some(value) = parameter(name) {
            context.set(key, value);
        }
    }
    if let Some(version) = version {
        context.set("s3:VersionId", version);
    }
    match operation {
        "PutObject" | "CompleteMultipartUpload" | "CopyObject" => {
            context.set("s3:ObjectCreationOperation", "true");
        }
        "CreateMultipartUpload" | "UploadPart" => context.set("s3:ObjectCreationOperation", "false"),
        _ => {}
    }
    if let Some(inherited) = parameter("uploadId").and_then(|id| state.upload_encryption(cx.s3_path(), id)) {
        context.set("s3:x-amz-server-side-encryption", inherited);
    }
    let presigned = parameter("X-Amz-Signature").is_some();
    if cx.credentials().is_some() {
        context.set("s3:authType", if presigned { "REST-QUERY-STRING" } else { "REST-HEADER" });
        context.set("s3:signatureversion", "AWS4-HMAC-SHA256");
    }
    context.set("s3:ResourceAccount", state.account.id());
    context.set("aws:ResourceAccount", state.account.id());
    let now: DateTime<Utc> = state.now().into();
    context.set("aws:CurrentTime", now.to_rfc3339_opts(SecondsFormat::Secs, true));
    context.set("aws:EpochTime", now.timestamp().to_string());
    if let Some(agent) = cx.headers().get("user-agent").and_then(|value| value.to_str().ok()) {
        context.set("aws:UserAgent", agent);
    }
    if let Some(Peer { address, secure }) = state.peer_of(cx) {
        context.set("aws:SecureTransport", secure.to_string());
        context.set("aws:SourceIp", address.to_string());
    }
    Ok(request)
}

/// Names and values of a query, decoded.
fn query(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            let escaped =
                (first == b'%').then(|| after.get(..2).and_then(|two| hex::decode(two).ok())).flatten();
            match escaped {
                Some(byte) => {
                    bytes.extend(byte);
                    rest = &after[2..];
                }
                None => {
                    bytes.push(first);
                    rest = after;
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// What CopyObject reads.
fn source_of(cx: &S3AccessContext<'_>, caller: &Caller) -> S3Result<Caller> {
    let header = cx.headers().get("x-amz-copy-source").and_then(|value| value.to_str().ok());
    let source = header.ok_or_else(|| s3_error!(InvalidArgument, "no x-amz-copy-source"))?;
    let (path, version) = source.split_once("?versionId=").map_or((source, None), |(p, v)| (p, Some(v)));
    let mut request = caller.request.clone();
    request.action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" }.into();
    request.resource = format!("arn:aws:s3:::{}", path.trim_start_matches('/'));
    Ok(Caller { request, operation: "CopyObject (its source)".into() })
}

impl State {
    /// Allows a request, or says in AWS's words why not.
    pub(crate) fn judge(&self, caller: &Caller) -> S3Result<()> {
        let evaluation = self.evaluate(&caller.request);
        let judged = Judged {
            operation: caller.operation.clone(),
            request: caller.request.clone(),
            evaluation: evaluation.clone(),
        };
        self.decisions.add(judged);
        if evaluation.decision == Decision::Allow {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "{}", message(&caller.request, &evaluation)))
    }

    /// Whether a caller may also do something else.
    pub(crate) fn may(&self, caller: &Caller, action: &str, resource: &str) -> bool {
        let mut request = caller.request.clone();
        request.action = action.into();
        request.resource = resource.into();
        self.evaluate(&request).decision == Decision::Allow
    }

    fn evaluate(&self, request: &Request) -> Evaluation {
        let identity = self.account.identity(&request.principal);
        let named: Vec<Named<'_>> =
            identity.policies.iter().map(|(name, policy)| Named::new(name, policy)).collect();
        let bucket =
            request.resource.trim_start_matches("arn:aws:s3:::").split('/').next().unwrap_or_default();
        let policy = self.buckets.with(|buckets| {
            buckets.get(bucket).and_then(|bucket| bucket.policy.as_ref().map(|(policy, _)| policy.clone()))
        });
        let policies = Policies {
            account: self.account.id(),
            identity: &named,
            resource: policy.as_ref().map(|policy| Named::new("bucket policy", policy)),
            boundary: identity.boundary.as_ref().map(|policy| Named::new("permissions boundary", policy)),
            session: None,
        };
        evaluate(&policies, request)
    }
}

/// As Amazon S3 has worded it since 2024.
fn message(request: &Request, evaluation: &Evaluation) -> String {
    let Some(who) = request.principal.arn() else { return "Access Denied".into() };
    let Request { action, resource, .. } = request;
    let denied_by = evaluation.deciding().find(|reason| reason.effect == Effect::Deny);
    let why = match (evaluation.decision, denied_by) {
        (Decision::ExplicitDeny, Some(reason)) if reason.policy == "bucket policy" => {
            "with an explicit deny in a resource-based policy".to_owned()
        }
        (Decision::ExplicitDeny, Some(reason)) if reason.policy == "permissions boundary" => {
            "with an explicit deny in a permissions boundary".to_owned()
        }
        (Decision::ExplicitDeny, _) => "with an explicit deny in an identity-based policy".to_owned(),
        _ => format!("because no identity-based policy allows the {action} action"),
    };
    format!("User: {who} is not authorized to perform: {action} on resource: \"{resource}\" {why}")
}

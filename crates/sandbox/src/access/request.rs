//! What is judged of a request: principal, action, resource, condition keys.

use chrono::{DateTime, SecondsFormat, Utc};
use iam_policy::{Context, Principal, Request};
use s3s::access::S3AccessContext;
use s3s::path::S3Path;
use s3s::{S3Result, s3_error};

use super::Caller;
use super::action::action;
use crate::state::{Peer, State};

/// Headers whose values are condition keys of the same name.
const HEADER_KEYS: [&str; 12] = [
    "if-match",
    "if-none-match",
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

pub(super) fn request(
    state: &State,
    cx: &mut S3AccessContext<'_>,
    operation: &str,
    principal: Principal,
) -> S3Result<Request> {
    let query = Query::of(cx);
    let version = query.get("versionId");
    let Some((action, on_bucket)) = action(operation, version.is_some()) else {
        return Err(s3_error!(NotImplemented, "the sandbox does not know this operation"));
    };
    let mut request = Request::new(principal, action, &resource(cx.s3_path(), on_bucket));
    let context = &mut request.context;
    from_headers(context, cx);
    from_query(context, &query);
    match operation {
        "PutObject" | "CompleteMultipartUpload" | "CopyObject" => {
            context.set("s3:ObjectCreationOperation", "true");
        }
        "CreateMultipartUpload" | "UploadPart" => context.set("s3:ObjectCreationOperation", "false"),
        _ => {}
    }
    if let Some(inherited) = query.get("uploadId").and_then(|id| state.upload_encryption(cx.s3_path(), id)) {
        context.set("s3:x-amz-server-side-encryption", inherited);
    }
    if cx.credentials().is_some() {
        let presigned = query.get("X-Amz-Signature").is_some();
        context.set("s3:authType", if presigned { "REST-QUERY-STRING" } else { "REST-HEADER" });
        context.set("s3:signatureversion", "AWS4-HMAC-SHA256");
    }
    from_surroundings(context, state, cx);
    Ok(request)
}

fn resource(path: &S3Path, on_bucket: bool) -> String {
    match path {
        S3Path::Root => "arn:aws:s3:::".to_owned(),
        S3Path::Bucket { bucket } => format!("arn:aws:s3:::{bucket}"),
        S3Path::Object { bucket, .. } if on_bucket => format!("arn:aws:s3:::{bucket}"),
        S3Path::Object { bucket, key } => format!("arn:aws:s3:::{bucket}/{key}"),
    }
}

fn from_headers(context: &mut Context, cx: &S3AccessContext<'_>) {
    let header = |name: &str| cx.headers().get(name).and_then(|value| value.to_str().ok());
    for name in HEADER_KEYS {
        if let Some(value) = header(name) {
            context.set(&format!("s3:{name}"), value);
        }
    }
    let others = [
        ("user-agent", "aws:UserAgent"),
        ("x-amz-object-lock-legal-hold", "s3:object-lock-legal-hold"),
        ("x-amz-object-lock-mode", "s3:object-lock-mode"),
        ("x-amz-object-lock-retain-until-date", "s3:object-lock-retain-until-date"),
    ];
    for (name, key) in others {
        if let Some(value) = header(name) {
            context.set(key, value);
        }
    }
}

fn from_query(context: &mut Context, query: &Query) {
    let keys = [
        ("prefix", "s3:prefix"),
        ("delimiter", "s3:delimiter"),
        ("max-keys", "s3:max-keys"),
        ("versionId", "s3:VersionId"),
    ];
    for (name, key) in keys {
        if let Some(value) = query.get(name) {
            context.set(key, value);
        }
    }
}

/// Account, time, connection.
fn from_surroundings(context: &mut Context, state: &State, cx: &mut S3AccessContext<'_>) {
    context.set("s3:ResourceAccount", state.account.id());
    context.set("aws:ResourceAccount", state.account.id());
    let now: DateTime<Utc> = state.now().into();
    context.set("aws:CurrentTime", now.to_rfc3339_opts(SecondsFormat::Secs, true));
    context.set("aws:EpochTime", now.timestamp().to_string());
    if let Some(Peer { address, secure }) = state.peer_of(cx) {
        context.set("aws:SecureTransport", secure.to_string());
        context.set("aws:SourceIp", address.to_string());
    }
}

/// Names and values of a query, decoded.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(cx: &S3AccessContext<'_>) -> Self {
        Self(query(cx.uri().query().unwrap_or_default()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

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
pub(super) fn source_of(cx: &S3AccessContext<'_>, caller: &Caller) -> S3Result<Caller> {
    let header = cx.headers().get("x-amz-copy-source").and_then(|value| value.to_str().ok());
    let source = header.ok_or_else(|| s3_error!(InvalidArgument, "no x-amz-copy-source"))?;
    let (path, version) = source.split_once("?versionId=").map_or((source, None), |(p, v)| (p, Some(v)));
    let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    let mut read = caller.asking(action, &format!("arn:aws:s3:::{}", path.trim_start_matches('/')));
    read.operation = "CopyObject (its source)".into();
    Ok(read)
}

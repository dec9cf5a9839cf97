//! What is in a bucket, page by page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::dto::*;
use s3s::{S3Request, S3Response, s3_error};

use super::{Answer, Api};
use crate::buckets::{self, Content, Version};

/// Names in one page of a listing (Amazon S3's own limit).
const PAGE_MAX: i32 = 1000;

pub(super) fn objects_v2(api: &Api, req: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
    let input = req.input;
    let prefix = input.prefix.clone().unwrap_or_default();
    let after =
        match &input.continuation_token {
            Some(token) => {
                Some(BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(
                    || s3_error!(InvalidArgument, "The continuation token provided is incorrect"),
                )?)
            }
            None => input.start_after.clone(),
        };
    let max = input.max_keys.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    api.bucket(&input.bucket, |bucket| {
        let page = page(live(bucket), &prefix, input.delimiter.as_deref(), after.as_deref(), max);
        let current =
            |key: &&str| bucket.current(key).map(|(version, content)| object(key, version, content));
        let contents: Vec<Object> = page.entries.iter().filter_map(current).collect();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket.clone()),
            prefix: Some(prefix.clone()),
            delimiter: input.delimiter.clone(),
            max_keys: Some(max),
            key_count: Some((contents.len() + page.folders.len()) as i32),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| BASE64.encode(next)),
            continuation_token: input.continuation_token.clone(),
            start_after: input.start_after.clone(),
            contents: Some(contents),
            common_prefixes: common_prefixes(page.folders),
            ..ListObjectsV2Output::default()
        }))
    })
}

pub(super) fn objects(api: &Api, req: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
    let input = req.input;
    let prefix = input.prefix.clone().unwrap_or_default();
    let max = input.max_keys.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    api.bucket(&input.bucket, |bucket| {
        let page = page(live(bucket), &prefix, input.delimiter.as_deref(), input.marker.as_deref(), max);
        let current =
            |key: &&str| bucket.current(key).map(|(version, content)| object(key, version, content));
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket.clone()),
            prefix: Some(prefix.clone()),
            delimiter: input.delimiter.clone(),
            max_keys: Some(max),
            marker: input.marker.clone(),
            is_truncated: Some(page.next.is_some()),
            next_marker: page.next,
            contents: Some(page.entries.iter().filter_map(current).collect()),
            common_prefixes: common_prefixes(page.folders),
            ..ListObjectsOutput::default()
        }))
    })
}

pub(super) fn versions(
    api: &Api,
    req: S3Request<ListObjectVersionsInput>,
) -> Answer<ListObjectVersionsOutput> {
    let input = req.input;
    let prefix = input.prefix.clone().unwrap_or_default();
    let max = input.max_keys.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    api.bucket(&input.bucket, |bucket| {
        let keys = bucket.objects.keys().map(String::as_str);
        // Versions of one key stay on one page, so a page may be a little longer than asked.
        let page = page(keys, &prefix, input.delimiter.as_deref(), input.key_marker.as_deref(), max);
        let (mut versions, mut markers) = (Vec::new(), Vec::new());
        for key in &page.entries {
            let all = bucket.objects.get(*key).map(Vec::as_slice).unwrap_or_default();
            for (place, version) in all.iter().enumerate().rev() {
                let is_latest = Some(place + 1 == all.len());
                match &version.content {
                    Some(content) => versions.push(ObjectVersion {
                        key: Some((*key).to_owned()),
                        version_id: Some(version.id.clone()),
                        is_latest,
                        size: Some(content.blob.length().cast_signed()),
                        e_tag: Some(ETag::Strong(content.etag.clone())),
                        last_modified: Some(version.modified.into()),
                        ..ObjectVersion::default()
                    }),
                    None => markers.push(DeleteMarkerEntry {
                        key: Some((*key).to_owned()),
                        version_id: Some(version.id.clone()),
                        is_latest,
                        last_modified: Some(version.modified.into()),
                        ..DeleteMarkerEntry::default()
                    }),
                }
            }
        }
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(input.bucket.clone()),
            prefix: Some(prefix.clone()),
            delimiter: input.delimiter.clone(),
            max_keys: Some(max),
            is_truncated: Some(page.next.is_some()),
            next_key_marker: page.next,
            versions: Some(versions),
            delete_markers: Some(markers),
            common_prefixes: common_prefixes(page.folders),
            ..ListObjectVersionsOutput::default()
        }))
    })
}

/// One page of names under a prefix, folders put together.
struct Page<'a> {
    entries: Vec<&'a str>,
    folders: Vec<String>,
    /// The last name or folder of the page, if there is more.
    next: Option<String>,
}

fn page<'a>(
    keys: impl Iterator<Item = &'a str>,
    prefix: &str,
    delimiter: Option<&str>,
    after: Option<&str>,
    max: i32,
) -> Page<'a> {
    let mut page = Page { entries: Vec::new(), folders: Vec::new(), next: None };
    let mut last: Option<String> = None;
    let room = usize::try_from(max.clamp(0, PAGE_MAX)).unwrap_or(0);
    for key in keys.filter(|key| key.starts_with(prefix)) {
        let folder = delimiter.filter(|d| !d.is_empty()).and_then(|delimiter| {
            let rest = &key[prefix.len()..];
            rest.find(delimiter).map(|at| key[..prefix.len() + at + delimiter.len()].to_owned())
        });
        let name = folder.as_deref().unwrap_or(key);
        let seen = after.is_some_and(|after| name <= after || key <= after) || last.as_deref() == Some(name);
        if seen {
            continue;
        }
        if page.entries.len() + page.folders.len() == room {
            page.next = last;
            break;
        }
        last = Some(name.to_owned());
        match folder {
            Some(folder) => page.folders.push(folder),
            None => page.entries.push(key),
        }
    }
    page
}

fn common_prefixes(folders: Vec<String>) -> Option<CommonPrefixList> {
    Some(folders.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect())
}

fn object(key: &str, version: &Version, content: &Content) -> Object {
    Object {
        key: Some(key.into()),
        size: Some(content.blob.length().cast_signed()),
        e_tag: Some(ETag::Strong(content.etag.clone())),
        last_modified: Some(version.modified.into()),
        ..Object::default()
    }
}

fn live(bucket: &buckets::Bucket) -> impl Iterator<Item = &str> {
    bucket.objects.keys().filter(|key| bucket.current(key).is_some()).map(String::as_str)
}

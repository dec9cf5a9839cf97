//! What S3 does, done.

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, VersioningConfiguration,
};
use sandbox::{Data, Sandbox};

use crate::setup::{outcome, owner, summing_owner};

async fn keep_versions(client: &Client) {
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket("box").versioning_configuration(on).send().await.unwrap();
}

async fn put(client: &Client, key: &str, body: &'static [u8]) -> Option<String> {
    let put = client.put_object().bucket("box").key(key).body(ByteStream::from_static(body));
    put.send().await.unwrap().version_id().map(str::to_owned)
}

async fn get(client: &Client, key: &str, version: Option<&str>) -> Result<Vec<u8>, String> {
    let answer =
        client.get_object().bucket("box").key(key).set_version_id(version.map(str::to_owned)).send().await;
    match answer {
        Ok(found) => Ok(found.body.collect().await.unwrap().to_vec()),
        failed => Err(outcome(failed)),
    }
}

#[tokio::test]
async fn objects_are_kept_in_memory_and_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for data in [Data::Memory, Data::Folder(folder.path().join("data"))] {
        let sandbox = Sandbox::builder().data(data).start().await.unwrap();
        let client = owner(&sandbox).await;
        assert_eq!(put(&client, "a/b c+ü", b"hello").await, None);
        assert_eq!(get(&client, "a/b c+ü", None).await.unwrap(), b"hello");
        let part = client.get_object().bucket("box").key("a/b c+ü").range("bytes=1-3").send().await.unwrap();
        assert_eq!(part.content_range(), Some("bytes 1-3/5"));
        assert_eq!(part.body.collect().await.unwrap().to_vec(), b"ell");
        assert_eq!(get(&client, "nothing", None).await.unwrap_err(), "NoSuchKey");
        client.delete_object().bucket("box").key("a/b c+ü").send().await.unwrap();
        assert_eq!(sandbox.stored_bytes("box"), 0);
    }
    assert_eq!(std::fs::read_dir(folder.path().join("data")).unwrap().count(), 0);
}

#[tokio::test]
async fn versions_and_delete_markers_come_and_go() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    keep_versions(&client).await;
    let first = put(&client, "k", b"first").await.unwrap();
    let second = put(&client, "k", b"second").await.unwrap();
    assert_eq!(get(&client, "k", None).await.unwrap(), b"second");
    assert_eq!(get(&client, "k", Some(&first)).await.unwrap(), b"first");
    let marker = client.delete_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(marker.delete_marker(), Some(true));
    assert_eq!(get(&client, "k", None).await.unwrap_err(), "NoSuchKey");
    assert_eq!(sandbox.stored_bytes("box"), 11, "a marker frees nothing");
    let listed = client.list_object_versions().bucket("box").send().await.unwrap();
    assert_eq!((listed.versions().len(), listed.delete_markers().len()), (2, 1));
    client
        .delete_object()
        .bucket("box")
        .key("k")
        .version_id(marker.version_id().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(get(&client, "k", None).await.unwrap(), b"second");
    client.delete_object().bucket("box").key("k").version_id(&second).send().await.unwrap();
    assert_eq!(get(&client, "k", None).await.unwrap(), b"first");
    assert_eq!(sandbox.stored_bytes("box"), 5);
}

#[tokio::test]
async fn encryption_is_remembered_and_answered() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    let put = || client.put_object().bucket("box").key("k").body(ByteStream::from_static(b"x"));
    assert_eq!(put().send().await.unwrap().server_side_encryption(), Some(&ServerSideEncryption::Aes256));
    let kms = put()
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id("my-key")
        .send()
        .await
        .unwrap();
    assert!(kms.ssekms_key_id().unwrap().ends_with("/my-key"));
    let head = client.head_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(head.server_side_encryption(), Some(&ServerSideEncryption::AwsKms));

    let by_default =
        ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms).build().unwrap();
    let rule =
        ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(by_default).build();
    let rules = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
    client
        .put_bucket_encryption()
        .bucket("box")
        .server_side_encryption_configuration(rules)
        .send()
        .await
        .unwrap();
    assert_eq!(put().send().await.unwrap().server_side_encryption(), Some(&ServerSideEncryption::AwsKms));
}

#[tokio::test]
async fn a_customers_key_is_needed_to_read_again() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    use base64::Engine;
    use md5::Digest;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let with = |byte: u8| {
        let key = [byte; 32];
        (encode(&key), encode(&md5::Md5::digest(key)))
    };
    let (key, sum) = with(1);
    let put = client.put_object().bucket("box").key("k").body(ByteStream::from_static(b"secret"));
    put.sse_customer_algorithm("AES256")
        .sse_customer_key(&key)
        .sse_customer_key_md5(&sum)
        .send()
        .await
        .unwrap();
    assert_eq!(get(&client, "k", None).await.unwrap_err(), "InvalidRequest");
    let read = |(key, sum): (String, String)| {
        client
            .get_object()
            .bucket("box")
            .key("k")
            .sse_customer_algorithm("AES256")
            .sse_customer_key(key)
            .sse_customer_key_md5(sum)
            .send()
    };
    assert_eq!(outcome(read(with(2)).await), "AccessDenied");
    assert_eq!(outcome(read(with(1)).await), "allowed");
}

#[tokio::test]
async fn a_conditional_write_never_replaces() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    let put =
        || client.put_object().bucket("box").key("k").if_none_match("*").body(ByteStream::from_static(b"x"));
    assert_eq!(outcome(put().send().await), "allowed");
    assert_eq!(outcome(put().send().await), "PreconditionFailed");
    client.delete_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(outcome(put().send().await), "allowed");
}

#[tokio::test]
async fn bytes_that_are_not_what_their_checksum_says_are_refused() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    let put = || client.put_object().bucket("box").key("k").body(ByteStream::from_static(b"x"));
    let nothing = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(outcome(put().checksum_sha256(nothing).send().await), "BadDigest");
    assert_eq!(outcome(put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await), "BadDigest");
    assert_eq!(outcome(put().checksum_crc32("AAAAAA==").send().await), "BadDigest");
    let summing = summing_owner(&sandbox);
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA256"] {
        let put = summing.put_object().bucket("box").key("k").body(ByteStream::from_static(b"x"));
        let put = put.checksum_algorithm(algorithm.into()).send().await;
        assert_eq!(outcome(put), "allowed", "{algorithm}");
    }
}

#[tokio::test]
async fn listings_come_in_pages_and_folders() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    for key in ["a/1", "a/2", "b", "c/d/1", "c/d/2", "e"] {
        put(&client, key, b"x").await;
    }
    let listed = client.list_objects_v2().bucket("box").delimiter("/").send().await.unwrap();
    let folders: Vec<_> = listed.common_prefixes().iter().filter_map(|p| p.prefix()).collect();
    let objects: Vec<_> = listed.contents().iter().filter_map(|o| o.key()).collect();
    assert_eq!((folders, objects), (vec!["a/", "c/"], vec!["b", "e"]));
    let mut all = Vec::new();
    let mut pages = client.list_objects_v2().bucket("box").max_keys(2).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.contents().len() <= 2);
        all.extend(page.contents().iter().filter_map(|o| o.key().map(str::to_owned)));
    }
    assert_eq!(all, ["a/1", "a/2", "b", "c/d/1", "c/d/2", "e"]);
}

#[tokio::test]
async fn uploads_in_parts_come_together() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    let begun = client
        .create_multipart_upload()
        .bucket("box")
        .key("k")
        .server_side_encryption(ServerSideEncryption::Aes256)
        .send()
        .await
        .unwrap();
    let id = begun.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, body) in [(1, &b"one "[..]), (2, b"two")] {
        let part = client.upload_part().bucket("box").key("k").upload_id(id).part_number(number);
        let done = part.body(ByteStream::from_static(body)).send().await.unwrap();
        parts.push(CompletedPart::builder().part_number(number).e_tag(done.e_tag().unwrap()).build());
    }
    assert_eq!(
        client.list_parts().bucket("box").key("k").upload_id(id).send().await.unwrap().parts().len(),
        2
    );
    let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    client
        .complete_multipart_upload()
        .bucket("box")
        .key("k")
        .upload_id(id)
        .multipart_upload(all)
        .send()
        .await
        .unwrap();
    assert_eq!(get(&client, "k", None).await.unwrap(), b"one two");
    let begun = client.create_multipart_upload().bucket("box").key("l").send().await.unwrap();
    client
        .abort_multipart_upload()
        .bucket("box")
        .key("l")
        .upload_id(begun.upload_id().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(client.list_multipart_uploads().bucket("box").send().await.unwrap().uploads().len(), 0);
}

#[tokio::test]
async fn a_presigned_url_needs_no_key_of_its_own() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    put(&client, "k", b"x").await;
    let expires = PresigningConfig::expires_in(std::time::Duration::from_secs(60)).unwrap();
    let url = client.get_object().bucket("box").key("k").presigned(expires).await.unwrap();
    let mut answer = std::process::Command::new("python3");
    answer.args([
        "-c",
        "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode(), end='')",
        url.uri(),
    ]);

    let output = tokio::task::spawn_blocking(move || answer.output()).await.unwrap().unwrap();
    assert_eq!(output.stdout, b"x", "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn of_many_keys_each_is_judged_alone() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    for key in ["mine/1", "theirs/1"] {
        put(&client, key, b"x").await;
    }
    let account = sandbox.account();
    account.create_user("u").unwrap();
    account
        .put_user_policy("u", "p", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::box/mine/*"}]}"#)
        .unwrap();
    let key = account.create_access_key("u").unwrap();
    let user = crate::setup::client(&sandbox.endpoint(), sandbox.region(), &key.id, &key.secret);
    let objects = ["mine/1", "theirs/1"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(objects.to_vec())).build().unwrap();
    let done = user.delete_objects().bucket("box").delete(delete).send().await.unwrap();
    assert_eq!(done.deleted()[0].key(), Some("mine/1"));
    assert_eq!((done.errors()[0].key(), done.errors()[0].code()), (Some("theirs/1"), Some("AccessDenied")));
    // A key that is missing is not told to one who may not list.
    assert_eq!(get(&user, "mine/2", None).await.unwrap_err(), "AccessDenied");
}

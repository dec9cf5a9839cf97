//! What no real server does when asked: connections that break in the middle, and answers that are wrong.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use strongroom_engine::Code;
use strongroom_engine::bucket::{ObjectStore, Sse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::bucket::bucket;
use crate::bucket_contract::put;

/// Answers each request with the next line of its script, word for word, and hangs up.
struct Script {
    endpoint: String,
    /// The first line and the headers of every request, in lower case.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut answers: VecDeque<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
        let log = heard.clone();
        tokio::spawn(async move {
            while let Some(answer) = answers.pop_front() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                log.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { endpoint, heard }
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        bucket(&self.endpoint, ("AKIATEST", "secret"))
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return head.to_owned();
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request breaks off: {text}");
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn refusal(status: &str, code: &str) -> String {
    answer(status, "", &format!("<Error><Code>{code}</Code><Message>so it is</Message></Error>"))
}

#[tokio::test]
async fn a_body_that_breaks_off_is_fetched_again() {
    let broken = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\n\r\n01234";
    let script = Script::start(&[broken, broken, &answer("200 OK", "", "0123456789")]).await;
    assert_eq!(script.store().get("k", None, 10).await.unwrap().body, b"0123456789"[..]);
    assert_eq!(script.heard().len(), 3);
}

#[tokio::test]
async fn a_put_that_meets_another_is_sent_again_and_is_always_conditional() {
    let conflict = refusal("409 Conflict", "ConditionalRequestConflict");
    let script = Script::start(&[&conflict, &answer("200 OK", "", "")]).await;
    put(&*script.store(), "k", b"x", &Sse::Aes256).await.unwrap();
    let heard = script.heard();
    assert_eq!(heard.len(), 2);
    for request in heard {
        for header in [
            "put /youraccountname-mlab-backups/shop/k",
            "if-none-match: *",
            "x-amz-server-side-encryption: aes256",
            "x-amz-checksum-sha256: ",
            "content-length: 1",
        ] {
            assert!(request.contains(header), "`{header}` is not in {request}");
        }
    }
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_is_done_when_its_bytes_are_there() {
    let there = refusal("412 Precondition Failed", "PreconditionFailed");
    let ours = answer("200 OK", "x-amz-version-id: v1\r\nx-amz-server-side-encryption: AES256\r\n", "x");
    let script = Script::start(&["", &there, &ours]).await;
    let stored = put(&*script.store(), "k", b"x", &Sse::Aes256).await.unwrap();
    assert_eq!(stored.version_id.as_deref(), Some("v1"));
    assert_eq!(stored.encryption.as_deref(), Some("AES256"));
}

/// The comparison could not be made: that is not the same as other bytes.
#[tokio::test]
async fn a_comparison_that_fails_is_not_taken_for_a_difference() {
    let there = refusal("412 Precondition Failed", "PreconditionFailed");
    let script = Script::start(&[&there, &refusal("403 Forbidden", "AccessDenied")]).await;
    assert_eq!(put(&*script.store(), "k", b"x", &Sse::None).await.unwrap_err().code(), Code::Denied);
}

#[tokio::test]
async fn servers_without_conditional_writes_get_plain_ones() {
    let script =
        Script::start(&[&refusal("501 Not Implemented", "NotImplemented"), &answer("200 OK", "", "")]).await;
    put(&*script.store(), "k", b"x", &Sse::None).await.unwrap();
    let heard = script.heard();
    assert!(heard[0].contains("if-none-match") && !heard[1].contains("if-none-match"), "{heard:?}");
}

#[tokio::test]
async fn another_encryption_than_the_one_asked_for_is_an_error() {
    for (asked, reported) in [
        (Sse::Kms(None), "x-amz-server-side-encryption: AES256\r\n"),
        (Sse::Aes256, "x-amz-server-side-encryption: aws:kms\r\n"),
        (
            Sse::Kms(Some("wanted".into())),
            "x-amz-server-side-encryption: aws:kms\r\n\
             x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:eu-west-1:1:key/other\r\n",
        ),
    ] {
        let script = Script::start(&[&answer("200 OK", reported, "")]).await;
        let error = put(&*script.store(), "k", b"x", &asked).await.unwrap_err();
        assert_eq!(error.code(), Code::Encryption, "{asked:?}: {error}");
    }
}

#[tokio::test]
async fn a_list_that_never_ends_is_ended() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
    let page = answer("200 OK", "content-type: application/xml\r\n", page);
    let script = Script::start(&[&page, &page]).await;
    assert_eq!(script.store().list("").await.unwrap_err().code(), Code::StoreHost);
}

#[tokio::test]
async fn what_does_not_speak_s3_is_said_not_to() {
    let page = answer("200 OK", "content-type: text/html\r\n", "<html><p>Welcome!</html>");
    let script = Script::start(&[&page]).await;
    let error = script.store().list("").await.unwrap_err();
    assert_eq!(error.code(), Code::StoreHost, "{error}");
    assert!(error.message().contains("does not answer as S3 does"), "{error}");
}

//! What no real server does when asked: connections that break in the middle, and answers that are wrong.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_engine::bucket::{
    AccessKey, Checksum, ObjectStore, Sse, StoreOptions, Stored, Watcher, open_object,
};
use strongroom_engine::{Code, Event, Location, Observer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::bucket::{bucket, store_with};
use crate::bucket_contract::put;

/// Answers each request with the next line of its script, word for word, and hangs up.
struct Script {
    endpoint: String,
    /// The first line and the headers of every request, in lower case.
    heard: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Script {
    async fn start(answers: &[&str]) -> Self {
        Self::start_slowly(answers, Duration::ZERO).await
    }

    /// Reads so slowly: a piece, and then a pause.
    async fn start_slowly(answers: &[&str], pause: Duration) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if pause > Duration::ZERO {
            // What the system takes in advance is not on a slow line.
            socket.set_recv_buffer_size(PIECE as u32).unwrap();
        }
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(64).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let answers: VecDeque<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
        let answers = Arc::new(Mutex::new(answers));
        let (log, rest) = (heard.clone(), answers.clone());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream, pause).await;
                log.lock().unwrap().push(request);
                let Some(answer) = rest.lock().unwrap().pop_front() else { break };
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { endpoint, heard, answers }
    }

    /// Adds to the script.
    fn go_on(&self, answers: &[&str]) {
        self.answers.lock().unwrap().extend(answers.iter().map(|&answer| answer.to_owned()));
    }

    fn store_with(&self, change: impl FnOnce(&mut StoreOptions)) -> Arc<dyn ObjectStore> {
        store_with(&self.endpoint, ("AKIATEST", "secret"), change)
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        bucket(&self.endpoint, ("AKIATEST", "secret"))
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// How much is read at once.
const PIECE: usize = 64 << 10;

async fn read(stream: &mut TcpStream, pause: Duration) -> String {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut left = length.map_or(0, |length| length.parse().unwrap()) - (bytes.len() - end - 4);
            let mut piece = vec![0; PIECE];
            while left > 0 {
                tokio::time::sleep(pause).await;
                match stream.read(&mut piece).await.unwrap() {
                    0 => panic!("the request breaks off: {head}"),
                    read => left -= read,
                }
            }
            return head;
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request breaks off");
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// The answer to what was done, with an ETag as S3 sends it.
fn done(headers: &str, body: &str) -> String {
    answer("200 OK", &format!("etag: \"e\"\r\n{headers}"), body)
}

fn refusal(status: &str, code: &str) -> String {
    answer(status, "", &format!("<Error><Code>{code}</Code><Message>so it is</Message></Error>"))
}

#[tokio::test]
async fn a_body_that_breaks_off_is_fetched_again() {
    let broken = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\netag: \"e\"\r\n\r\n01234";
    let script = Script::start(&[broken, broken, &done("", "0123456789")]).await;
    assert_eq!(script.store().get("k", None, 10).await.unwrap().body, b"0123456789"[..]);
    assert_eq!(script.heard().len(), 3);
}

#[tokio::test]
async fn a_put_that_meets_another_is_sent_again_and_is_always_conditional() {
    let conflict = refusal("409 Conflict", "ConditionalRequestConflict");
    let script = Script::start(&[&conflict, &done("", "")]).await;
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
    let ours = done("x-amz-version-id: v1\r\nx-amz-server-side-encryption: AES256\r\n", "x");
    let script = Script::start(&["", &there, &ours]).await;
    let stored = put(&*script.store(), "k", b"x", &Sse::Aes256).await.unwrap();
    assert_eq!(stored.version_id.as_deref(), Some("v1"));
    assert_eq!(stored.encryption.as_deref(), Some("AES256"));
}

/// The comparison could not be made: that is not the same as other bytes.
#[tokio::test]
async fn a_comparison_that_fails_is_not_taken_for_a_difference() {
    let there = refusal("412 Precondition Failed", "PreconditionFailed");
    let script = Script::start(&[&there, &refusal("400 Bad Request", "InvalidRequest")]).await;
    assert_eq!(put(&*script.store(), "k", b"x", &Sse::None).await.unwrap_err().code(), Code::Store);
    let script = Script::start(&[&there, &refusal("403 Forbidden", "AccessDenied")]).await;
    let error = put(&*script.store(), "k", b"x", &Sse::None).await.unwrap_err();
    assert_eq!(error.code(), Code::ObjectExists);
    assert!(error.message().contains("cannot be compared"), "{error}");
}

/// The writer of split access may only write: what its own lost PUT stored it cannot look at.
#[tokio::test]
async fn a_put_whose_answer_was_lost_is_done_though_the_object_may_not_be_read() {
    let there = refusal("412 Precondition Failed", "PreconditionFailed");
    let denied = refusal("403 Forbidden", "AccessDenied");
    for lost in ["", &refusal("500 Internal Server Error", "InternalError")] {
        let script = Script::start(&[lost, &there, &denied]).await;
        let stored = put(&*script.store(), "k", b"x", &Sse::Aes256).await.unwrap();
        assert_eq!(stored, Stored::default(), "its version is unknown");
    }
    // The first try was refused for certain: what is there is not ours.
    let slow = refusal("503 Service Unavailable", "SlowDown");
    let script = Script::start(&[&slow, &there, &denied]).await;
    assert_eq!(put(&*script.store(), "k", b"x", &Sse::None).await.unwrap_err().code(), Code::ObjectExists);
}

#[tokio::test]
async fn an_object_of_somebody_else_is_told_apart() {
    let there = refusal("412 Precondition Failed", "PreconditionFailed");
    for (lost, theirs) in [(None, "y"), (Some(""), "y"), (Some(""), "longer"), (None, "")] {
        let theirs = done("", theirs);
        let answers: Vec<&str> = lost.into_iter().chain([there.as_str(), theirs.as_str()]).collect();
        let script = Script::start(&answers).await;
        assert_eq!(
            put(&*script.store(), "k", b"x", &Sse::None).await.unwrap_err().code(),
            Code::ObjectExists
        );
    }
}

/// What proxies, portals and servers of another kind answer to everything.
fn answers_of_no_s3() -> Vec<String> {
    let page = "<html><p>Please log in.</html>";
    vec![
        answer("200 OK", "content-type: text/html\r\n", page),
        answer("200 OK", "content-type: text/html\r\netag: \"5d8\"\r\n", page),
        answer("200 OK", "", ""),
        answer("201 Created", "", ""),
        answer("403 Forbidden", "content-type: text/html\r\n", page),
        answer("403 Forbidden", "content-type: application/json\r\n", r#"{"message": "Forbidden"}"#),
        answer("404 Not Found", "content-type: text/html\r\n", page),
        answer("407 Proxy Authentication Required", "content-type: text/html\r\n", page),
        answer("302 Found", "location: https://portal.example.com/\r\ncontent-type: text/html\r\n", page),
    ]
}

#[tokio::test]
async fn what_is_not_answered_by_s3_is_neither_done_nor_refused() {
    for answer in answers_of_no_s3() {
        for verb in ["PUT", "GET", "start", "LIST", "DELETE"] {
            let script = Script::start(&[&answer]).await;
            let store = script.store();
            let outcome = match verb {
                "PUT" => put(&*store, "k", b"x", &Sse::None).await.map(|_| ()),
                "GET" => store.get("k", None, 1000).await.map(|_| ()),
                "start" => store.get_start("k", 1000).await.map(|_| ()),
                "LIST" => store.list("").await.map(|_| ()),
                _ => store.delete("k", None).await,
            };
            let error = outcome.expect_err(&format!("{verb}: {answer}"));
            assert_eq!(error.code(), Code::StoreHost, "{verb}: {error}: {answer}");
            assert!(error.refusal().is_none() && !error.message().contains("not allowed"), "{error}");
            // What may be a torn list is asked for again.
            assert!(script.heard().len() == 1 || verb == "LIST", "{verb}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_page_of_a_proxy_that_has_no_server_behind_it_is_waited_out() {
    let page = answer("503 Service Unavailable", "content-type: text/html\r\n", "<html>Bad gateway</html>");
    let script = Script::start(&[&page, &done("", "")]).await;
    put(&*script.store(), "k", b"x", &Sse::None).await.unwrap();
    let script = Script::start(&[page.as_str(); 5]).await;
    let error = put(&*script.store(), "k", b"x", &Sse::None).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreHost);
    assert!(error.help_text().unwrap().to_string().contains("No S3 server answered"), "{error:?}");
}

#[tokio::test]
async fn what_may_pass_is_sent_again_and_said_and_what_may_not_is_not() {
    for (again, status, code) in [
        (true, "429 Too Many Requests", ""),
        (true, "429 Too Many Requests", "TooManyRequests"),
        (true, "400 Bad Request", "BadDigest"),
        (true, "400 Bad Request", "XAmzContentSHA256Mismatch"),
        (true, "400 Bad Request", "RequestTimeout"),
        (true, "400 Bad Request", "IncompleteBody"),
        (true, "409 Conflict", "OperationAborted"),
        (true, "500 Internal Server Error", "InternalError"),
        (true, "503 Slow Down", "SlowDown"),
        (true, "502 Bad Gateway", ""),
        (false, "400 Bad Request", "InvalidDigest"),
        (false, "403 Forbidden", "AccessDenied"),
        (false, "400 Bad Request", "KMS.DisabledException"),
    ] {
        let refused = if code.is_empty() { answer(status, "", "") } else { refusal(status, code) };
        let script = Script::start(&[&refused, &done("", "")]).await;
        let watcher = Arc::new(Kept::default());
        let store = script
            .store_with(|options| options.watcher = Watcher::from(watcher.clone() as Arc<dyn Observer>));
        let stored = put(&*store, "k", b"x", &Sse::None).await;
        assert_eq!(stored.is_ok(), again, "{status} {code}");
        let said = watcher.0.lock().unwrap().clone();
        assert_eq!(said.len(), usize::from(again), "{said:?}");
        for event in said {
            let Event::Retrying { request, key, why, .. } = event else { panic!("{event:?}") };
            assert_eq!((request.as_str(), key.as_str()), ("PutObject", "shop/k"));
            assert!(why.contains(if code.is_empty() { &status[..3] } else { code }), "{why}");
        }
    }
}

/// Keeps what a store reports.
#[derive(Default)]
struct Kept(Mutex<Vec<Event>>);

impl Observer for Kept {
    fn observe(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[tokio::test]
async fn a_temporary_redirection_is_followed_within_the_service_and_nowhere_else() {
    let there = Script::start(&[&done("", "")]).await;
    let to = |host: &str| {
        let body = "<Error><Code>TemporaryRedirect</Code><Message>elsewhere</Message></Error>";
        answer(
            "307 Temporary Redirect",
            &format!("location: {host}/youraccountname-mlab-backups/shop/k?x=1\r\n"),
            body,
        )
    };
    let script = Script::start(&[&to(&there.endpoint)]).await;
    put(&*script.store(), "k", b"x", &Sse::None).await.unwrap();
    let heard = there.heard().remove(0);
    let port = there.endpoint.rsplit(':').next().unwrap();
    assert!(
        heard.contains(&format!("host: 127.0.0.1:{port}")) && heard.contains("authorization: "),
        "{heard}"
    );

    let stranger = Script::start(&[&done("", "")]).await;
    let elsewhere = stranger.endpoint.replace("127.0.0.1", "localhost");
    let script = Script::start(&[&to(&elsewhere)]).await;
    let error = put(&*script.store(), "k", b"x", &Sse::None).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreHost);
    assert!(error.message().contains("another service") && !error.message().contains("x=1"), "{error}");
    assert_eq!(stranger.heard(), Vec::<String>::new());

    // Round and round.
    let script = Script::start(&[]).await;
    let around = to(&script.endpoint);
    script.go_on(&[&around, &around, &around, &around, &around]);
    assert_eq!(put(&*script.store(), "k", b"x", &Sse::None).await.unwrap_err().code(), Code::StoreHost);
}

#[tokio::test]
async fn a_body_is_read_whole_whatever_is_said_of_its_length() {
    // No length, no range: what comes is all.
    let plain = "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"e\"\r\n\r\n0123456789";
    let script = Script::start(&[plain, plain, plain]).await;
    let store = script.store();
    assert_eq!(store.get_start("k", 100).await.unwrap().body, b"0123456789"[..]);
    assert_eq!(store.get_start("k", 4).await.unwrap().body, b"0123"[..]);
    assert_eq!(store.get("k", None, 10).await.unwrap().body, b"0123456789"[..]);
    // More is announced than memory holds, and little comes.
    let endless =
        "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"e\"\r\ncontent-length: 9000000000000\r\n\r\n01";
    let script = Script::start(&[endless; 5]).await;
    assert_eq!(script.store().get_start("k", 1 << 45).await.unwrap_err().code(), Code::StoreHost);
    assert_eq!(script.heard().len(), 5);
    let script = Script::start(&[endless]).await;
    assert_eq!(script.store().get("k", None, 32 << 40).await.unwrap_err().code(), Code::Damaged);
}

fn page(inner: &str) -> String {
    let body = format!("<ListBucketResult><Name>b</Name>{inner}</ListBucketResult>");
    answer("200 OK", "content-type: application/xml\r\n", &body)
}

fn folders(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("<CommonPrefixes><Prefix>shop/{name}/</Prefix></CommonPrefixes>"))
        .collect()
}

/// Servers that only know the first version of listing say that there is more, and give no token.
#[tokio::test]
async fn a_listing_without_tokens_goes_on_by_the_last_name() {
    let more = "<IsTruncated>true</IsTruncated>";
    let script = Script::start(&[
        &page(&format!("{more}{}", folders(&["a", "b"]))),
        &page(&format!("{more}<NextMarker>shop/c/</NextMarker>{}", folders(&["b", "c"]))),
        &page(&format!("<IsTruncated>false</IsTruncated>{}", folders(&["d"]))),
    ])
    .await;
    assert_eq!(script.store().list("").await.unwrap().folders, ["a", "b", "c", "d"]);
    let heard = script.heard();
    assert!(heard[1].contains("marker=shop%2fb%2f") && !heard[1].contains("list-type=2"), "{}", heard[1]);
    assert!(heard[2].contains("marker=shop%2fc%2f"), "{}", heard[2]);
}

#[tokio::test]
async fn a_listing_that_goes_in_circles_is_ended() {
    let more = |token: &str, names: &[&str]| {
        let token =
            format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>");
        page(&format!("{token}{}", folders(names)))
    };
    let (one, two) = (more("1", &["a"]), more("2", &["b"]));
    let stuck = page(&format!("<IsTruncated>true</IsTruncated>{}", folders(&["a"])));
    for answers in [vec![&one, &two, &one, &two], vec![&stuck, &stuck], vec![&one, &one]] {
        let answers: Vec<&str> = answers.into_iter().map(String::as_str).collect();
        let script = Script::start(&answers).await;
        let error = script.store().list("").await.unwrap_err();
        assert!(error.message().contains("has no end"), "{error}");
    }
}

#[tokio::test]
async fn what_is_archived_and_what_has_no_key_are_said_to_be_so() {
    for (status, code, message, wanted, told) in [
        (
            "403 Forbidden",
            "InvalidObjectState",
            "not valid for the object's storage class",
            Code::Store,
            "Restore the object first",
        ),
        (
            "400 Bad Request",
            "KMS.DisabledException",
            "arn:aws:kms:x:1:key/1 is disabled.",
            Code::Encryption,
            "enabled",
        ),
        (
            "403 Forbidden",
            "AccessDenied",
            "The key arn:aws:kms:eu-west-1:1:key/1 is pending deletion",
            Code::Encryption,
            "enabled",
        ),
        (
            "500 Internal Server Error",
            "InternalError",
            "We encountered an internal error.",
            Code::StoreBusy,
            "later",
        ),
    ] {
        let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let refused = answer(status, "", &body);
        let script = Script::start(&[refused.as_str(); 5]).await;
        let error = script.store().get("k", None, 10).await.unwrap_err();
        assert_eq!(error.code(), wanted, "{error}");
        let help = error.help_text().unwrap().to_string();
        assert!(help.contains(told) && !help.contains("statement"), "{help}");
    }
}

#[tokio::test]
async fn the_checksum_is_the_one_that_was_chosen() {
    for (checksum, sent, not_sent) in [
        (Checksum::Sha256, "x-amz-checksum-sha256: ", "content-md5"),
        (Checksum::Md5, "content-md5: ", "x-amz-checksum"),
        (Checksum::None, "x-amz-content-sha256: ", "content-md5"),
    ] {
        let script = Script::start(&[&done("", "")]).await;
        put(&*script.store_with(|options| options.checksum = checksum), "k", b"x", &Sse::None).await.unwrap();
        let heard = script.heard().remove(0);
        assert!(heard.contains(sent) && !heard.contains(not_sent), "{checksum}: {heard}");
        assert_eq!(heard.contains("x-amz-checksum-sha256"), checksum == Checksum::Sha256);
    }
}

#[tokio::test]
async fn bytes_that_never_arrive_as_they_were_sent_are_said_to_be_changed_on_the_way() {
    let refused = refusal("400 Bad Request", "XAmzContentSHA256Mismatch");
    let script = Script::start(&[refused.as_str(); 5]).await;
    let error = put(&*script.store(), "k", b"x", &Sse::None).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreBusy);
    assert!(error.message().contains("did not arrive as they were sent"), "{error}");
    assert!(error.help_text().unwrap().to_string().contains("`checksum: md5`"), "{error:?}");
}

/// They name it in the words of their kind, and none of it is about conditional writes.
#[tokio::test]
async fn a_server_that_takes_no_sha256_is_said_to_need_another_checksum() {
    for (status, code, message) in [
        (
            "501 Not Implemented",
            "NotImplemented",
            "A header you provided implies functionality that is not implemented: x-amz-checksum-sha256",
        ),
        ("400 Bad Request", "InvalidArgument", "Unsupported header x-amz-checksum-sha256"),
        ("400 Bad Request", "InvalidRequest", "The checksum algorithm SHA256 is not supported"),
    ] {
        let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let script = Script::start(&[&answer(status, "", &body)]).await;
        let error = put(&*script.store(), "k", b"x", &Sse::None).await.unwrap_err();
        assert_eq!(error.code(), Code::NotOffered, "{error}");
        assert!(error.help_text().unwrap().to_string().contains("`checksum: md5`"), "{error:?}");
        assert_eq!(script.heard().len(), 1);
    }
}

/// How a server stops: before it takes anything, before it answers, in the middle of an answer.
#[tokio::test]
async fn every_wait_has_an_end_that_says_which_it_was() {
    let begun = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 100\r\n\r\n0123";
    let listing = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<ListBucketResult>";
    for (said, wait) in [("", "first-byte=1s"), (begun, "next-byte=1s"), (listing, "next-byte=1s")] {
        let silent = Silent::start(said).await;
        let watcher = Arc::new(Kept::default());
        let store = silent.store(&watcher);
        let error = match said == listing {
            true => store.list("").await.unwrap_err(),
            false => store.get("k", None, 100).await.unwrap_err(),
        };
        assert_eq!(error.code(), Code::StoreStalled, "{error}");
        assert!(error.help_text().unwrap().to_string().contains(wait), "{error:?}");
        assert_eq!(watcher.0.lock().unwrap().len(), 1, "it is tried once more, and that is said");
    }
    // A body that nobody reads.
    let silent = Silent::start("").await;
    let store = silent.store(&Arc::default());
    let error = put(&*store, "k", &vec![0; 16 << 20], &Sse::None).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreStalled, "{error}");
    // No connection: an address that answers nothing (RFC 5737, for documentation).
    let store = short_waits("http://192.0.2.1:9", &Arc::default());
    let error = store.list("").await.unwrap_err();
    assert!(matches!(error.code(), Code::StoreStalled | Code::StoreHost), "{error}");
}

/// Once a store has shown that it does not answer, the requests after it do not each wait for as long again.
#[tokio::test]
async fn a_store_that_answers_nothing_is_given_up_by_all_requests_together() {
    let silent = Silent::start("").await;
    let watcher = Arc::new(Kept::default());
    let store = silent.store(&watcher);
    let all = (0..40).map(|i| {
        let store = store.clone();
        async move { store.get(&i.to_string(), None, 1).await }
    });
    for outcome in futures::future::join_all(all).await {
        assert_eq!(outcome.unwrap_err().code(), Code::StoreStalled);
    }
    let again = watcher.0.lock().unwrap().len();
    assert!(again < 10, "{again} of 40 were sent again");
    // Whoever cleans up behind them all is not kept waiting for each.
    let before = silent.accepted.load(Ordering::SeqCst);
    for i in 0..1000 {
        assert_eq!(store.delete(&i.to_string(), None).await.unwrap_err().code(), Code::StoreStalled);
    }
    assert_eq!(silent.accepted.load(Ordering::SeqCst), before);
}

/// A slow line is no stalled one: what moves is waited for.
#[tokio::test]
async fn a_body_that_goes_slowly_goes_through() {
    // Seven seconds at least, and no wait may take more than five.
    let script = Script::start_slowly(&[&done("", "")], Duration::from_millis(20)).await;
    let limits = ["first-byte=5s", "connect=5s"].map(|limit| limit.parse().unwrap());
    let store = script.store_with(|options| options.waits = options.waits.with(&limits));
    put(&*store, "k", &vec![7; 24 << 20], &Sse::None).await.unwrap();
    assert_eq!(script.heard().len(), 1);
}

/// Accepts, says the beginning of an answer once a request comes, and then nothing.
struct Silent {
    endpoint: String,
    accepted: Arc<AtomicUsize>,
}

impl Silent {
    async fn start(said: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                if !said.is_empty() {
                    stream.read_u8().await.unwrap();
                    stream.write_all(said.as_bytes()).await.unwrap();
                }
                kept.push(stream);
            }
        });
        Self { endpoint, accepted }
    }

    fn store(&self, watcher: &Arc<Kept>) -> Arc<dyn ObjectStore> {
        short_waits(&self.endpoint, watcher)
    }
}

fn short_waits(endpoint: &str, watcher: &Arc<Kept>) -> Arc<dyn ObjectStore> {
    store_with(endpoint, ("AKIATEST", "secret"), |options| {
        let limits = ["connect=1s", "first-byte=1s", "next-byte=1s"].map(|limit| limit.parse().unwrap());
        options.waits = options.waits.with(&limits);
        options.watcher = Watcher::from(watcher.clone() as Arc<dyn Observer>);
    })
}

#[tokio::test]
async fn servers_without_conditional_writes_get_plain_ones() {
    let script = Script::start(&[&refusal("501 Not Implemented", "NotImplemented"), &done("", "")]).await;
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
        let script = Script::start(&[&done(reported, "")]).await;
        let error = put(&*script.store(), "k", b"x", &asked).await.unwrap_err();
        assert_eq!(error.code(), Code::Encryption, "{asked:?}: {error}");
    }
}

#[tokio::test]
async fn what_does_not_speak_s3_is_said_not_to() {
    let page = answer("200 OK", "content-type: text/html\r\n", "<html><p>Welcome!</html>");
    let script = Script::start(&[&page]).await;
    let error = script.store().list("").await.unwrap_err();
    assert_eq!(error.code(), Code::StoreHost, "{error}");
    assert!(error.message().contains("does not answer as S3 does"), "{error}");
}

/// Whatever S3 takes as a key.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_with_any_key_can_be_read_as_a_stream() {
    let sandbox = sandbox::Sandbox::builder().start().await.unwrap();
    let name = "archives";
    assert!(sandbox.create_bucket(name));
    let owner = sandbox.owner();
    let key = AccessKey { id: owner.id.clone(), secret: owner.secret.clone(), session_token: None };
    let options =
        StoreOptions { endpoint: Some(sandbox.endpoint()), key: Some(key), ..StoreOptions::default() };
    let client = crate::bucket::client(&sandbox.endpoint(), (&owner.id, &owner.secret));
    for key in ["a//b", "a/", "dump-*?.archive", "$x${y}", "a b+c%20d", "x@y?z=1&a", "./a/../b"] {
        let body = format!("the object {key}").into_bytes();
        client.put_object().bucket(name).key(key).body(body.clone().into()).send().await.unwrap();
        let location = Location::of_object(&format!("s3://{name}/{key}")).unwrap();
        let mut stream = open_object(&location, options.clone()).unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut stream, &mut bytes).map(|_| bytes)
        });
        assert_eq!(read.await.unwrap().unwrap(), body, "{key}");
    }
}

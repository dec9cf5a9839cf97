//! Credentials that take a role on first.

use std::process::Command;
use std::sync::{Arc, Mutex};

use iam_policy::Principal;
use sandbox::{Sandbox, TemporaryKey};
use testbed::Moto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::setup::{BUCKET, Done, FIRST, policy, program, run, small};

const ROLE: &str = "arn:aws:iam::111122223333:role/backups";
const SECRET: &str = "the-secret-of-the-service";

/// A service that answers each request the same, and remembers what it was asked.
struct Sts {
    endpoint: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Sts {
    async fn answering(status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let answer = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                log.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { endpoint, heard }
    }

    async fn granting(key: &TemporaryKey, until: &str) -> Self {
        let TemporaryKey { id, secret, session_token } = key;
        let user = "<Arn>arn:aws:sts::111122223333:assumed-role/backups/s</Arn><AssumedRoleId>AROA:s</AssumedRoleId>";
        let credentials = format!(
            "<AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{session_token}</SessionToken><Expiration>{until}</Expiration>"
        );
        let result =
            format!("<AssumedRoleUser>{user}</AssumedRoleUser><Credentials>{credentials}</Credentials>");
        let body =
            format!("<AssumeRoleResponse><AssumeRoleResult>{result}</AssumeRoleResult></AssumeRoleResponse>");
        Self::answering("200 OK", body).await
    }

    async fn refusing(status: &'static str, code: &str, message: &str) -> Self {
        let error =
            format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
        Self::answering(status, format!("<ErrorResponse>{error}</ErrorResponse>")).await
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn command(&self, storage: &str, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command.args(["--role-arn", ROLE, "--external-id", "acme-7"]);
        command.env("AWS_ENDPOINT_URL_S3", storage).env("AWS_ENDPOINT_URL_STS", &self.endpoint);
        command.env("AWS_ACCESS_KEY_ID", "AKIASERVICE").env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("AWS_REGION", "us-east-1");
        command
    }

    async fn list(&self) -> Done {
        run(self.command("http://127.0.0.1:9", &["list", "s3://backups/shop"])).await
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request breaks off");
    }
}

/// A bucket of somebody else's, with a role that may use it.
async fn theirs() -> (Sandbox, TemporaryKey) {
    let sandbox = Sandbox::builder().start().await.unwrap();
    assert!(sandbox.create_bucket(BUCKET));
    let account = sandbox.account();
    account.put_policy("backups", &policy(true, &FIRST, vec![])).unwrap();
    let trust = serde_json::json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Condition": {"StringEquals": {"sts:ExternalId": "acme-7"}}}]});
    account.create_role("backups", &trust.to_string()).unwrap();
    account.attach_role_policy("backups", "backups").unwrap();
    let key = account.assume_role("backups", "strongroom", None).unwrap();
    (sandbox, key)
}

async fn back_up(sts: &Sts, sandbox: &Sandbox) -> Done {
    let source = small().await;
    let location = format!("s3://{BUCKET}/shop");
    let arguments = ["--json", "backup", "--uri", &source.uri(), "--to", &location];
    run(sts.command(&sandbox.endpoint(), &arguments)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_taken_on_once_with_its_external_id_and_its_session_signs() {
    let (sandbox, key) = theirs().await;
    let sts = Sts::granting(&key, "2100-01-01T00:00:00Z").await;
    back_up(&sts, &sandbox).await.ok();
    let heard = sts.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    for part in [
        "Action=AssumeRole",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fbackups",
        "RoleSessionName=strongroom",
        "ExternalId=acme-7",
        "Credential=AKIASERVICE/",
    ] {
        assert!(heard[0].contains(part), "{part} is not in {}", heard[0]);
    }
    for judged in sandbox.decisions() {
        assert!(matches!(judged.request.principal, Principal::RoleSession { .. }), "{judged:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_about_to_end_is_followed_by_the_next() {
    let (sandbox, key) = theirs().await;
    // Over already, as far as anybody counts on it: each request needs another.
    let sts = Sts::granting(&key, "2020-01-01T00:00:00Z").await;
    back_up(&sts, &sandbox).await.ok();
    assert!(sts.heard().len() > 3, "{}", sts.heard().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_refused_is_named_with_both_policies_that_must_allow_it() {
    let said = format!(
        "User: arn:aws:iam::444455556666:user/service is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
    );
    let sts = Sts::refusing("403 Forbidden", "AccessDenied", &said).await;
    let done = sts.list().await;
    let told = [ROLE, "not authorized to perform: sts:AssumeRole", "trust policy", "--external-id"];
    done.failed("SR-DENIED", 4, &told);
    assert!(!done.stderr.contains(SECRET) && !done.stderr.contains("acme-7"), "{}", done.stderr);
    assert_eq!(sts.heard().len(), 1, "what is refused is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_even_ask_is_a_wrong_key() {
    let said = "The security token included in the request is invalid.";
    let sts = Sts::refusing("403 Forbidden", "InvalidClientTokenId", said).await;
    sts.list().await.failed("SR-KEY", 4, &[said, ROLE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_is_not_a_wrong_key() {
    let sts = Sts { endpoint: "http://127.0.0.1:9".into(), heard: Arc::default() };
    let mut command = sts.command("http://127.0.0.1:9", &["list", "s3://backups/shop"]);
    command.env("AWS_MAX_ATTEMPTS", "1");
    run(command).await.failed("SR-STORE-HOST", 4, &[ROLE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_role_is_refused_before_anything_is_asked() {
    let mut command = program(&["list", "s3://backups/shop", "--role-arn", "backups"]);
    command.env("AWS_ACCESS_KEY_ID", "AKIASERVICE").env("AWS_SECRET_ACCESS_KEY", SECRET);
    run(command).await.failed("SR-USAGE", 2, &["`backups` is not the ARN of a role"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_moto_a_role_is_taken_on_at_the_same_address() {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap().unwrap();
    let at_moto = |mut command: Command| {
        command.env("AWS_ENDPOINT_URL", moto.endpoint()).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "admin").env("AWS_SECRET_ACCESS_KEY", "admin");
        command
    };
    let admin = aws_sdk_s3::config::Credentials::new("admin", "admin", None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .endpoint_url(moto.endpoint())
        .credentials_provider(admin)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config).create_bucket().bucket("acme-backups").send().await.unwrap();
    let list = ["--json", "list", "s3://acme-backups/shop", "--role-arn", ROLE];
    let listed = run(at_moto(program(&list))).await.ok().json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 0, "{listed}");
}

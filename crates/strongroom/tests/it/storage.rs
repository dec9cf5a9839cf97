//! Storage as people have it: servers that answer nothing or something else, certificates, endpoints, empty variables.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use sandbox::Sandbox;
use serde_json::json;

use crate::setup::{BUCKET, Done, Guarded, done, program, run, small};

/// What the identity may do that Strongroom's own profiles make: everything below a prefix, and to list there.
fn below_a_prefix() -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{BUCKET}"),
         "Condition": {"StringLike": {"s3:prefix": ["shop/*"]}}},
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"],
         "Resource": format!("arn:aws:s3:::{BUCKET}/shop/*")},
    ]})
    .to_string()
}

/// Answers every request with the same words, and keeps the first lines of all.
struct Says {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Says {
    /// None says nothing at all, and keeps the connection.
    fn start(answer: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                match answer {
                    None => kept.push(stream),
                    Some(answer) => reply(stream, answer, &log),
                }
            }
        });
        Self { endpoint, asked }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = program(arguments);
        command.env("AWS_ENDPOINT_URL", &self.endpoint).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    }

    async fn run(&self, arguments: &[&str]) -> Done {
        run(self.command(arguments)).await
    }
}

fn reply(mut stream: TcpStream, answer: &str, log: &Mutex<Vec<String>>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    log.lock().unwrap().extend(head.lines().next().map(str::to_owned));
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    // A client that hangs up has nothing more to say.
    let _ = stream.read_exact(&mut body).and_then(|()| stream.write_all(answer.as_bytes()));
}

const PAGE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/html\r\ncontent-length: 20\r\n\r\n<html>Hello</html>\r\n";
const NOTHING: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: text/html\r\ncontent-length: 20\r\n\r\n<html>Block</html>\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_called_a_backup_that_a_proxy_took() {
    let source = small().await;
    let uri = source.uri();
    for answer in [PAGE, NOTHING, NO_CONTENT, FORBIDDEN] {
        let says = Says::start(Some(answer));
        let failed = says.run(&["backup", "--uri", &uri, "--to", "s3://my-backups/shop"]).await;
        failed.failed("SR-STORE-HOST", 4, &["No S3 server answered"]);
        assert!(!failed.text().contains("backup 20") && !failed.stderr.contains("Statement"), "{failed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_never_answers_is_given_up_and_each_retry_is_said() {
    let says = Says::start(None);
    for command in ["list", "verify"] {
        let mut arguments = vec![command, "s3://my-backups/shop"];
        arguments.extend((command == "verify").then_some("latest"));
        arguments.extend(["--wait", "first-byte=1s"]);
        let failed = says.run(&arguments).await;
        failed.failed(
            "SR-STORE-STALLED",
            4,
            &["no answer of the bucket `my-backups`", "--wait first-byte=1s"],
        );
        assert_eq!(failed.stderr.matches("trying again in").count(), 1, "{}", failed.stderr);
    }
}

/// A bundle is trusted when the environment or the profile names it, and nothing else is then.
#[tokio::test(flavor = "multi_thread")]
async fn the_certificates_of_a_bundle_are_trusted() {
    let guarded = Guarded::bucket(&below_a_prefix()).await;
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bundle = file("ca.pem", guarded.sandbox.certificate_pem());
    let config = file("config", &format!("[profile corporate]\nca_bundle = {bundle}\n"));
    let location = guarded.location();
    let list = |variables: &[(&str, &str)]| {
        let mut command = guarded.command(&["list", &location]);
        command.env("AWS_ENDPOINT_URL", guarded.sandbox.tls_endpoint()).env("AWS_MAX_ATTEMPTS", "1");
        command.envs(variables.iter().copied());
        run(command)
    };
    list(&[]).await.failed("SR-STORE-ADDRESS", 4, &["no trusted TLS connection", "AWS_CA_BUNDLE"]);
    list(&[("AWS_CA_BUNDLE", &bundle)]).await.ok();
    list(&[("AWS_CONFIG_FILE", &config), ("AWS_PROFILE", "corporate")]).await.ok();
    let missing = list(&[("AWS_CA_BUNDLE", "/nonexistent/ca.pem")]).await;
    missing.failed("SR-USAGE", 2, &["cannot use the CA bundle `/nonexistent/ca.pem`"]);
    let wrong = file("wrong.pem", "no certificate");
    list(&[("AWS_CA_BUNDLE", &wrong)]).await.failed("SR-USAGE", 2, &["it holds no certificate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_may_have_a_path() {
    for (variable, path) in
        [("AWS_ENDPOINT_URL", "/s3"), ("AWS_ENDPOINT_URL_S3", "/a/s3/"), ("AWS_ENDPOINT_URL", "/")]
    {
        let says = Says::start(Some(NOTHING));
        let mut command = says.command(&["list", "s3://my-backups/shop"]);
        command.env(variable, format!("{}{path}", says.endpoint)).env("AWS_MAX_ATTEMPTS", "1");
        run(command).await.failed("SR-STORE-HOST", 4, &[]);
        let asked = says.asked.lock().unwrap().clone();
        let wanted = format!("get {}/my-backups?list-type=2", path.trim_end_matches('/'));
        assert!(asked[0].replace("/?", "?").starts_with(&wanted), "{path}: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_variables_count_as_not_set() {
    let guarded = Guarded::bucket(&below_a_prefix()).await;
    let mut command = guarded.command(&["list", &guarded.location()]);
    for name in [
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_CA_BUNDLE",
        "AWS_MAX_ATTEMPTS",
        "AWS_ENDPOINT_URL_S3",
    ] {
        command.env(name, "");
    }
    run(command).await.ok();
    let mut command = guarded.command(&["list", &guarded.location()]);
    command.env("AWS_ENDPOINT_URL", "").env("AWS_ENDPOINT_URL_S3", guarded.sandbox.endpoint());
    run(command).await.ok();
}

/// A plan that somebody keeps to themselves does not hide the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_may_not_be_listed_is_named_and_the_others_are_listed() {
    let (guarded, source) = (Guarded::bucket(&below_a_prefix()).await, small().await);
    let uri = source.uri();
    for plan in ["default", "private"] {
        guarded.backup(&source, &["--plan", plan]).await.ok();
    }
    let narrow = below_a_prefix().replace("\"shop/*\"", "\"shop/\",\"shop/default/*\"");
    guarded.set_policy(&narrow);
    let location = guarded.location();
    let listed = guarded.run(&["list", &location]).await;
    listed.failed("SR-INCOMPLETE", 8, &["the backups of 1 plan could not be listed"]);
    let text = listed.text();
    assert!(
        text.contains("  complete\n") && text.contains("plan private could not be listed (SR-DENIED"),
        "{text}"
    );
    let json = guarded.run(&["--json", "list", &location]).await.json();
    assert_eq!(json["backups"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&json["unlisted"][0]["plan"], &json["unlisted"][0]["error"]["code"]),
        (&json!("private"), &json!("SR-DENIED"))
    );
    guarded.run(&["list", &location, "--plan", "default"]).await.ok();
    guarded.run(&["list", &location, "--plan", "private"]).await.failed("SR-DENIED", 4, &["s3:ListBucket"]);
    let cleaned = guarded.run(&["clean", &location, "--yes"]).await;
    cleaned.failed("SR-INCOMPLETE", 8, &["1 plan could not be looked at"]);
    assert!(cleaned.text().contains("not looked at: plan private: "), "{}", cleaned.text());
    // Which backup is the newest of all cannot be said.
    let latest = guarded.run(&["restore", &location, "latest", "--uri", &uri, "--dry-run"]).await;
    latest.failed("SR-DENIED", 4, &[]);
}

/// Some servers answer 403 for a missing key to one who may list below a prefix only, others 404.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_there_whether_the_server_says_403_or_404() {
    let source = small().await;
    for is_prefix in [false, true] {
        let builder = Sandbox::builder().missing_key_is_prefix(is_prefix);
        let guarded = Guarded::of(builder, &below_a_prefix()).await;
        let location = guarded.location();
        let first = guarded.backup(&source, &[]).await.ok().json()["id"].as_str().unwrap().to_owned();
        // What a running backup looks like, and one that was killed.
        let unfinished = "20990101T000000Z-7f3k";
        let client = guarded.owner_client().await;
        let key = format!("shop/default/{unfinished}/segments/00000-00000.zst");
        client.put_object().bucket(BUCKET).key(key).send().await.unwrap();
        let listed = guarded.run(&["list", &location]).await.ok().text();
        assert!(listed.contains(&first) && listed.contains(unfinished), "{listed}");
        assert!(guarded.run(&["show", &location, "latest"]).await.ok().text().contains(&first));
        guarded.run(&["verify", &location, "latest"]).await.ok();
        let other = guarded.backup(&source, &["--plan", "other"]).await.ok().json()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        guarded.run(&["show", &location, &other]).await.ok();
        guarded.run(&["show", &location, unfinished]).await.failed("SR-NOT-A-BACKUP", 7, &[]);
        guarded.run(&["delete", &location, &other, "--yes"]).await.ok();
        // A deletion that was cut off behind its first step.
        let (manifest, deleting) =
            (format!("shop/default/{first}/manifest.json"), format!("shop/default/{first}/deleting.json"));
        let body = client
            .get_object()
            .bucket(BUCKET)
            .key(&manifest)
            .send()
            .await
            .unwrap()
            .body
            .collect()
            .await
            .unwrap();
        client.put_object().bucket(BUCKET).key(deleting).body(body.into_bytes().into()).send().await.unwrap();
        client.delete_object().bucket(BUCKET).key(manifest).send().await.unwrap();
        let listed = guarded.run(&["list", &location]).await.ok().text();
        assert!(listed.contains("deleting"), "{listed}");
        guarded.run(&["delete", &location, &first, "--yes"]).await.ok();
        let keys = guarded.keys().await;
        assert!(!keys.iter().any(|key| key.contains(&first) || key.contains(&other)), "{keys:?}");
    }
}

/// A deployment of which a reader has one collection at once, and the other one only after seconds at this rate.
async fn two_paces() -> testbed::Mongod {
    let source = small().await;
    let documents: Vec<bson::Document> = (0..10).map(|i| bson::doc! {"_id": i}).collect();
    source.client().await.unwrap().database("quick").collection("few").insert_many(documents).await.unwrap();
    source
}

const SLOWLY: [&str; 4] = ["--max-rate", "200KB", "--readers", "2"];

/// The folder goes away in the middle: a clean-up that is too thorough.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_into_a_folder_that_vanishes_fails_and_makes_nothing_anew() {
    let source = two_paces().await;
    let place = tempfile::tempdir().unwrap();
    let (store, elsewhere) = (place.path().join("disk"), place.path().join("elsewhere"));
    let (uri, location) = (source.uri(), format!("file://{}", store.display()));
    let mut command = program(&[&["backup", "--uri", &uri, "--to", &location], &SLOWLY[..]].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    std::fs::create_dir(&store).unwrap();
    let running = command.spawn().unwrap();
    while std::fs::read_dir(&store).unwrap().next().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    std::fs::rename(&store, &elsewhere).unwrap();
    let ended = tokio::task::spawn_blocking(move || done(running.wait_with_output().unwrap())).await.unwrap();
    ended.failed("SR-BUCKET-MISSING", 4, &["has vanished"]);
    assert!(!store.exists(), "nothing is made anew");
}

/// A disk that is in use cannot be unmounted by mistake, and one that is unmounted by force is missed.
#[tokio::test(flavor = "multi_thread")]
async fn with_small_disk_a_backup_onto_a_disk_that_is_unmounted_fails_and_goes_on_nowhere_else() {
    let source = two_paces().await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("disk");
    std::fs::create_dir(&path).unwrap();
    let script = r#"disk=$1; "$3" backup --uri "$4" --to "file://$disk" --max-rate 200KB --readers 2 & backup=$!
        while [ -z "$(ls -A "$disk")" ]; do sleep 0.01; done
        umount "$disk" 2>/dev/null && echo "it could be unmounted"
        umount --lazy "$disk"; wait "$backup"; status=$?; find "$disk" -mindepth 1; exit $status"#;
    let mut command = testbed::small_disk::command(&path, script);
    command.arg(assert_cmd::cargo::cargo_bin!("strongroom")).arg(source.uri());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let outcome = done(output);
    outcome.failed("SR-BUCKET-MISSING", 4, &["has vanished"]);
    assert_eq!(outcome.text(), "");
}

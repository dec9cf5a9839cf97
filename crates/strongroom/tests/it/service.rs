//! The service as a process: how it starts, answers, reads again what changed, and ends.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Certificate, Client, Version};
use serde_json::Value;
use testbed::Moto;
use testbed::certificates::Certificates;

use crate::setup::{program, run};

/// A service that was started, with the lines of its log so far.
pub(crate) struct Serving {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    pub(crate) address: String,
}

impl Serving {
    pub(crate) async fn start(folder: &Path, more: &[&str], set: &[(&str, &str)]) -> Self {
        let mut command = program(&[&["serve", "--listen", "127.0.0.1:0"], more].concat());
        command.env("STRONGROOM_DATA", folder).env("STRONGROOM_LOG_FORMAT", "json").envs(set.iter().copied());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                kept.lock().unwrap().push(line);
            }
        });
        let mut serving = Self { child, log, address: String::new() };
        serving.address = serving.said("listening").await["address"].as_str().unwrap().to_owned();
        serving
    }

    /// The first line of the log with this message.
    pub(crate) async fn said(&mut self, message: &str) -> Value {
        loop {
            let found = self.log.lock().unwrap().iter().find(|line| line["message"] == message).cloned();
            if let Some(line) = found {
                return line;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {:?}", self.log.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The secret of the link that makes the first admin. It is no line of the log.
    pub(crate) async fn link(&self) -> String {
        loop {
            let found = self
                .log
                .lock()
                .unwrap()
                .iter()
                .find_map(|line| Some(line.as_str()?.split_once("/setup#")?.1.to_owned()));
            if let Some(link) = found {
                return link;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Its exit status, and the log as text.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let status = tokio::task::spawn_blocking(move || (self.child.wait().unwrap(), self.log));
        let (status, log) = status.await.unwrap();
        let log = log.lock().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        (status.code(), log)
    }
}

pub(crate) fn client() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_starts_from_nothing_answers_and_ends_in_good_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut serving = Serving::start(&data, &[], &[]).await;
    let http = client().build().unwrap();
    let live = http.get(format!("http://{}/livez", serving.address)).send().await.unwrap();
    assert_eq!(live.status(), 200);
    let ready = http.get(format!("http://{}/readyz", serving.address)).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    assert_eq!(ready.json::<Value>().await.unwrap()["ready"], true);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("master.key"))), (0o700, 0o600));

    let second = run({
        let mut command = program(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("STRONGROOM_DATA", &data);
        command
    });
    second.await.failed("SR-USAGE", 2, &["another process has the state"]);

    serving.signal("-TERM");
    serving.said("stopped").await;
    let (status, log) = serving.ended().await;
    assert_eq!(status, Some(0), "{log}");
    let key = std::fs::read_to_string(data.join("master.key")).unwrap();
    assert!(!log.contains(key.trim()));

    std::fs::remove_file(data.join("master.key")).unwrap();
    let lost = run({
        let mut command = program(&["serve"]);
        command.env("STRONGROOM_DATA", &data);
        command
    });
    lost.await.failed("SR-MASTER-KEY", 2, &["cannot be read", "strongroom key generate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_speaks_http_2_and_a_new_certificate_is_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Certificates::make().unwrap(), Certificates::make().unwrap());
    let pem = folder.path().join("server.pem");
    std::fs::copy(first.server(), &pem).unwrap();
    let named = pem.to_str().unwrap();
    let set = [("STRONGROOM_TLS_CERTIFICATE", named), ("STRONGROOM_TLS_KEY", named)];
    let mut serving = Serving::start(folder.path(), &[], &set).await;
    let port = serving.address.rsplit(':').next().unwrap().to_owned();
    let ask = async |trusted: &Certificates| {
        let ca = Certificate::from_pem(&std::fs::read(trusted.ca()).unwrap()).unwrap();
        let http = client().tls_certs_only([ca]).build().unwrap();
        http.get(format!("https://127.0.0.1:{port}/livez")).send().await
    };
    assert_eq!(ask(&first).await.unwrap().version(), Version::HTTP_2);
    assert!(ask(&second).await.is_err());

    std::fs::write(&pem, "nonsense").unwrap();
    serving.signal("-HUP");
    serving.said("not read again: what was in use stays so").await;
    assert_eq!(ask(&first).await.unwrap().status(), 200);

    std::fs::copy(second.server(), &pem).unwrap();
    serving.signal("-HUP");
    while ask(&second).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(ask(&first).await.is_err());
    serving.signal("-INT");
    assert_eq!(serving.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_configuration_is_checked_without_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let data = folder.path().join("data");
    let check = async |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut command = program(&["--json", "serve", "--check-config", "--config", path.to_str().unwrap()]);
        run({
            command.env("STRONGROOM_DATA", &data).env("STRONGROOM_STATE_URL", "postgres://u:CANARY@h/d");
            command
        })
        .await
    };
    let key = folder.path().join("master.key");
    run(program(&["key", "generate", key.to_str().unwrap()])).await.ok();
    let good = format!("listen: 127.0.0.1:1\nmaster_key: {{file: {}}}\n", key.display());
    let said = check(&good).await.ok().json();
    assert_eq!((said["listen"].as_str(), said["tls"].as_bool()), (Some("127.0.0.1:1"), Some(false)));
    assert_eq!(said["state"], "postgres://h:5432/d");
    assert!(!data.exists(), "a check changes nothing");

    check(&format!("{good}lissten: x\n")).await.failed("SR-USAGE", 2, &["line 3, `lissten`"]);
    check("listen: 0.0.0.0:1\n").await.failed("SR-USAGE", 2, &["line 1, `listen`", "trusted_proxies"]);
    check("# no key\n").await.failed("SR-MASTER-KEY", 2, &["key generate"]);
    let certificate = format!("{good}tls: {{certificate: /nowhere.pem, key: /nowhere.pem}}\n");
    check(&certificate).await.failed("SR-USAGE", 2, &["`/nowhere.pem`"]);
}

#[tokio::test]
async fn a_master_key_is_made_and_rotated_by_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let path = path.to_str().unwrap();
    let made = run(program(&["--json", "key", "generate", path])).await.ok().json();
    let rotated = run(program(&["--json", "key", "rotate", path])).await.ok().json();
    assert_ne!(made["key"], rotated["key"]);
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 2);
    run(program(&["key", "generate", path])).await.failed("SR-MASTER-KEY", 2, &["File exists"]);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    run(program(&["key", "rotate", path])).await.failed("SR-MASTER-KEY", 2, &["mode 0644", "chmod 600"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_key_is_used_while_the_service_runs() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("master.key");
    let mut serving = Serving::start(folder.path(), &[], &[]).await;
    let rotated = run(program(&["--json", "key", "rotate", key.to_str().unwrap()])).await.ok().json();
    serving.signal("-HUP");
    let said = serving.said("all secrets are sealed with this key: older ones are not needed").await;
    assert_eq!(said["key"], rotated["key"]);
    std::fs::write(&key, "nonsense").unwrap();
    serving.signal("-HUP");
    serving.said("not read again: what was in use stays so").await;
    serving.signal("-TERM");
    assert_eq!(serving.ended().await.0, Some(0));
}

/// The id of a new key in KMS.
async fn kms_key(moto: &Moto) -> String {
    let scope = "Credential=admin/20261125/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0";
    let made = client().build().unwrap().post(moto.endpoint()).body("{}");
    let made = made.header("content-type", "application/x-amz-json-1.1");
    let made = made.header("x-amz-target", "TrentService.CreateKey");
    let made = made.header("authorization", format!("AWS4-HMAC-SHA256 {scope}")).send().await.unwrap();
    made.json::<Value>().await.unwrap()["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_moto_a_master_key_that_kms_encrypted_opens_the_service() {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap().unwrap();
    let (id, endpoint) = (kms_key(&moto).await, moto.endpoint());
    let folder = tempfile::tempdir().unwrap();
    let wrapped = folder.path().join("wrapped.key");
    let wrapped = wrapped.to_str().unwrap();
    let aws = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "admin"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
    ];
    for command in ["generate", "rotate"] {
        let mut made = program(&["key", command, wrapped, "--kms-key", &id]);
        run({
            made.envs(aws);
            made
        })
        .await
        .ok();
    }
    let set = [("STRONGROOM_MASTER_KEY_KMS_FILE", wrapped), ("STRONGROOM_MASTER_KEY_KMS_KEY", &id)];
    let serving = Serving::start(folder.path(), &[], &[&aws[..], &set].concat()).await;
    assert!(!folder.path().join("master.key").exists());
    serving.signal("-TERM");
    assert_eq!(serving.ended().await.0, Some(0));

    let mut denied = program(&["serve"]);
    denied.envs(aws).envs(set).env("STRONGROOM_DATA", folder.path());
    denied.env("STRONGROOM_MASTER_KEY_KMS_KEY", "11111111-2222-3333-4444-555555555555");
    run(denied).await.failed("SR-ENCRYPTION", 4, &["wrapped.key", "KMS key"]);
}

#[tokio::test]
async fn shells_complete_and_man_has_a_page_for_every_command() {
    let bash = run(program(&["completions", "bash"])).await.ok().text();
    assert!(bash.contains("complete -F _strongroom"), "{bash}");
    for shell in ["zsh", "fish"] {
        assert!(run(program(&["completions", shell])).await.ok().text().contains("check-config"), "{shell}");
    }
    assert!(run(program(&["man"])).await.ok().text().contains(".TH strongroom 1"));
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    run(program(&["man", pages.to_str().unwrap()])).await.ok();
    assert!(pages.join("strongroom.1").exists() && pages.join("strongroom-bucket-prove.1").exists());
    for command in ["backup", "serve", "key-rotate"] {
        let text = std::fs::read_to_string(pages.join(format!("strongroom-{command}.1"))).unwrap();
        let example = format!("Example: strongroom {} ", command.replace('-', " "));
        assert!(text.replace('\\', "").contains(&example), "{text}");
    }
}

/// Settings that keep the service from what it does not need (systemd.exec).
const HARDENED: [&str; 12] = [
    "DynamicUser=yes",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "RestrictNamespaces=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallFilter=@system-service",
    "UMask=0077",
];

#[tokio::test]
async fn the_unit_of_systemd_is_valid_hardened_and_starts_a_command_that_there_is() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/strongroom.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    for setting in HARDENED {
        assert!(unit.lines().any(|line| line == setting), "{setting}");
    }
    let start =
        unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/strongroom ")).unwrap();
    let arguments: Vec<&str> = start.split(' ').chain(["--help"]).collect();
    run(program(&arguments)).await.ok();
    // The longest that runs may go on by default must fit in.
    assert!(unit.contains("TimeoutStopSec=330s"));

    let built = assert_cmd::cargo::cargo_bin!("strongroom").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strongroom.service");
    std::fs::write(&path, unit.replace("/usr/local/bin/strongroom", &built)).unwrap();
    let mut verify = std::process::Command::new("systemd-analyze");
    // Machines without systemd have no such program.
    if let Ok(said) = verify.args(["verify", "--man=no"]).arg(&path).output() {
        assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    }
}

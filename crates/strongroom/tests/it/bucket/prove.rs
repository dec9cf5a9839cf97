//! `strongroom bucket prove`: a bucket that is locked passes, and each way to leave it open is named.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use sandbox::{AccessKey, Sandbox};
use serde_json::{Value, json};
use strongroom_engine::guard::{Access, Attached, Settings, documents};

use crate::setup::{Done, done, program, run};

const BUCKET: &str = "acme-backups";
const LOCATION: &str = "s3://acme-backups/shop";

/// A bucket as `provision` makes it, with the identities of its profile, and an admin.
pub(crate) struct Locked {
    pub(crate) sandbox: Sandbox,
    pub(crate) settings: Settings,
    /// Of each identity: its user's name and key.
    keys: Vec<(String, AccessKey)>,
    /// Options that `prove` gets besides.
    options: Vec<&'static str>,
    home: tempfile::TempDir,
}

impl Locked {
    pub(crate) async fn bucket(
        access: Access,
        options: &[&'static str],
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        Self::at(Sandbox::builder(), access, options, change).await
    }

    async fn at(
        builder: sandbox::Builder,
        access: Access,
        options: &[&'static str],
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let sandbox = builder.start().await.unwrap();
        let mut settings = Settings { access, ..Settings::new(BUCKET, "shop") };
        settings.account = Some(sandbox.account().id().to_owned());
        change(&mut settings);
        let home = tempfile::tempdir().unwrap();
        let mut locked = Self { sandbox, settings, keys: Vec::new(), options: options.to_vec(), home };
        locked.make_identities();
        locked.write_profiles();
        locked.provision().await.ok();
        locked
    }

    fn make_identities(&mut self) {
        let account = self.sandbox.account();
        for document in documents(&self.settings) {
            if let Attached::Identity { name, .. } = &document.attached {
                account.put_policy(name, &document.policy.to_string()).unwrap();
                account.create_user(name).unwrap();
                account.attach_user_policy(name, name).unwrap();
                self.keys.push((name.clone(), account.create_access_key(name).unwrap()));
            }
        }
    }

    fn write_profiles(&self) {
        let owner = ("admin".to_owned(), self.sandbox.owner().clone());
        let mut text = String::new();
        for (name, key) in self.keys.iter().chain([&owner]) {
            let name = name.trim_start_matches("strongroom-acme-backups-");
            text += &format!(
                "[{name}]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
                key.id, key.secret
            );
        }
        std::fs::write(self.home.path().join("credentials"), text).unwrap();
        std::fs::write(self.home.path().join("ca.pem"), self.sandbox.certificate_pem()).unwrap();
    }

    fn command(&self, arguments: &[&str], key: &AccessKey) -> Command {
        let mut command = program(arguments);
        command.env("AWS_ENDPOINT_URL", self.sandbox.tls_endpoint()).env("AWS_REGION", self.sandbox.region());
        command.env("AWS_ACCESS_KEY_ID", &key.id).env("AWS_SECRET_ACCESS_KEY", &key.secret);
        command.env("SSL_CERT_FILE", self.home.path().join("ca.pem"));
        command.env("AWS_SHARED_CREDENTIALS_FILE", self.home.path().join("credentials"));
        command
    }

    /// The options that describe these settings.
    fn wanted(&self) -> Vec<&str> {
        let mut options = vec!["--access", self.settings.access.as_str()];
        options.extend(&self.options);
        if self.settings.versioned {
            options.push("--versioned");
        }
        options
    }

    pub(crate) async fn provision(&self) -> Done {
        self.provision_with(&[]).await
    }

    pub(crate) async fn provision_with(&self, more: &[&str]) -> Done {
        let arguments = ["bucket", "provision", LOCATION, "--yes", "--bucket-only"];
        let arguments = [&arguments[..], &self.wanted(), more].concat();
        run(self.command(&arguments, self.sandbox.owner())).await
    }

    /// What a command says with the key of the first identity.
    pub(crate) async fn say(&self, arguments: &[&str]) -> Done {
        run(self.command(arguments, &self.keys[0].1)).await
    }

    /// What a command says with the key of the bucket's owner.
    pub(crate) async fn say_as_owner(&self, arguments: &[&str]) -> Done {
        run(self.command(arguments, self.sandbox.owner())).await
    }

    pub(crate) async fn prove(&self, more: &[&str]) -> Done {
        let mut arguments =
            [&["--json", "bucket", "prove", LOCATION, "--admin-profile", "admin"], &self.wanted()[..], more]
                .concat();
        if self.settings.access == Access::Split {
            arguments.extend([
                "--writer-profile",
                "writer",
                "--restorer-profile",
                "restorer",
                "--pruner-profile",
                "pruner",
            ]);
        }
        run(self.command(&arguments, &self.keys[0].1)).await
    }

    /// Ids of probes and what came of them; nothing may be left behind.
    async fn verdicts(&self) -> BTreeMap<String, String> {
        let report = self.prove(&[]).await.json();
        assert_eq!(report["left_behind"], json!([]), "{report:#}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        report["findings"].as_array().unwrap().iter().map(|f| (text(&f["id"]), text(&f["verdict"]))).collect()
    }

    async fn failing(&self) -> Vec<String> {
        let verdicts = self.verdicts().await;
        verdicts.into_iter().filter(|(_, verdict)| verdict == "fail").map(|(id, _)| id).collect()
    }

    /// The bucket policy, changed by its owner.
    pub(crate) async fn change_policy(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let client = self.owner().await;
        let text = client.get_bucket_policy().bucket(BUCKET).send().await.unwrap().policy.unwrap();
        let mut policy: Value = serde_json::from_str(&text).unwrap();
        let mut statements = policy["Statement"].as_array().unwrap().clone();
        change(&mut statements);
        policy["Statement"] = Value::Array(statements);
        client.put_bucket_policy().bucket(BUCKET).policy(policy.to_string()).send().await.unwrap();
    }

    async fn drop_statement(&self, sid: &str) {
        self.change_policy(|statements| statements.retain(|statement| statement["Sid"] != sid)).await;
    }

    /// Over TLS, which the bucket asks of its owner too.
    async fn owner(&self) -> aws_sdk_s3::Client {
        use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
        use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
        let trusted = TrustStore::empty().with_pem_certificate(self.sandbox.certificate_pem());
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(TlsContext::builder().with_trust_store(trusted).build().unwrap())
            .build_https();
        let plain = crate::setup::owner_client(&self.sandbox);
        let config = plain.config().to_builder().endpoint_url(self.sandbox.tls_endpoint()).http_client(http);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    async fn set_default_encryption(&self, mode: &str) {
        use aws_sdk_s3::types::{
            ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
            ServerSideEncryptionRule,
        };
        let default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::from(mode))
            .build()
            .unwrap();
        let rule =
            ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default).build();
        let all = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
        let put = self
            .owner()
            .await
            .put_bucket_encryption()
            .bucket(BUCKET)
            .server_side_encryption_configuration(all)
            .send()
            .await;
        put.unwrap();
    }

    /// An identity's policy, changed.
    fn change_identity(&self, place: usize, change: impl FnOnce(&mut Value)) {
        let name = &self.keys[place].0;
        let of = |document: &&strongroom_engine::guard::Document| matches!(&document.attached, Attached::Identity { name: of, .. } if of == name);
        let mut policy = documents(&self.settings).iter().find(of).unwrap().policy.clone();
        change(&mut policy);
        self.sandbox.account().put_policy(name, &policy.to_string()).unwrap();
    }
}

fn allow(policy: &mut Value, action: &str, resource: &str) {
    let statement = json!({"Effect": "Allow", "Action": action, "Resource": resource});
    policy["Statement"].as_array_mut().unwrap().push(statement);
}

fn without(policy: &mut Value, action: &str) {
    for statement in policy["Statement"].as_array_mut().unwrap() {
        if let Some(actions) = statement["Action"].as_array_mut() {
            actions.retain(|other| other != action);
            if actions.is_empty() {
                actions.push(json!("s3:GetBucketLocation"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_bucket_passes_in_every_profile() {
    for (access, options, versioned) in [
        (Access::Classic, &[][..], false),
        (Access::Classic, &[], true),
        (Access::Single, &[], false),
        (Access::Single, &["--require-header"], true),
        (Access::Split, &["--require-header"], false),
        (Access::Split, &[], true),
    ] {
        let locked = Locked::bucket(access, options, |settings| settings.versioned = versioned).await;
        let done = locked.prove(&[]).await;
        let report = done.json();
        assert_eq!(done.status, 0, "{access:?} {options:?}: {report:#}");
        assert_eq!(report["left_behind"], json!([]));
        assert!(report["counts"]["pass"].as_u64().unwrap() >= 18, "{report:#}");
        let keys = locked.owner().await.list_object_versions().bucket(BUCKET).send().await.unwrap();
        let left: Vec<&str> = keys.versions().iter().filter_map(|version| version.key()).collect();
        assert_eq!(left, Vec::<&str>::new(), "all is cleaned up, by version");
    }
}

/// The program gets a Ctrl-C while the server works on one of its requests.
async fn interrupted_at(locked: &Locked, request: u64, mut command: Command) -> Done {
    let (say, hear) = std::sync::mpsc::channel::<u32>();
    locked.sandbox.at_request(request, move || {
        let id = hear.recv().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    });
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    say.send(child.id()).unwrap();
    done(tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_nothing_of_a_proof_in_the_bucket() {
    let locked = Locked::bucket(Access::Single, &[], |settings| settings.versioned = true).await;
    for request in [1, 4, 6, 8, 10, 13, 17, 21, 26, 31, 36] {
        let prove = locked.command(&["bucket", "prove", LOCATION, "--versioned"], &locked.keys[0].1);
        let done = interrupted_at(&locked, request, prove).await;
        done.failed("SR-CANCELLED", 130, &[]);
        assert_eq!(locked.sandbox.contents(BUCKET), Vec::<String>::new(), "request {request}");
    }
}

/// The change that is under way is made whole, no other is begun, and the same command goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_provisioning_between_two_changes() {
    let locked = Locked::bucket(Access::Single, &[], |_| {}).await;
    let provision = |more: &[&str]| {
        let arguments =
            ["--json", "bucket", "provision", "s3://another-bucket/shop", "--bucket-only", "--yes"];
        locked.command(&[&arguments[..], more].concat(), locked.sandbox.owner())
    };
    let stopped = interrupted_at(&locked, 13, provision(&[])).await;
    stopped.failed("SR-CANCELLED", 130, &["changes were made", "Not done: ", "bucket policy"]);
    let made = stopped.json();
    assert_eq!(made["complete"], false);
    let done = made["done"].as_array().unwrap().len();
    assert!((1..made["changes"].as_array().unwrap().len()).contains(&done), "{made:#}");
    let rest = run(provision(&[])).await.ok().json();
    assert_eq!(rest["complete"], true);
    assert_eq!(run(provision(&[])).await.ok().json()["changes"], json!([]));
}

/// The environment's credentials are somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_the_one_of_aws_whatever_the_environment_holds() {
    let locked = Locked::bucket(Access::Single, &[], |_| {}).await;
    let prove = ["bucket", "prove", LOCATION, "--profile", "strongroom-acme-backups"];
    let mut command = locked.command(&prove, &locked.keys[0].1);
    command.env("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN");
    run(command).await.ok();
}

/// Breaks a locked bucket in one way; `prove` must name every probe that finds it.
async fn found(locked: &Locked, fault: &str, wanted: &[&str]) {
    let failing = locked.failing().await;
    for probe in wanted {
        assert!(failing.iter().any(|id| id == probe), "{fault}: `{probe}` is not among {failing:?}");
    }
}

const SINGLE: [(&str, &[&str]); 5] = [
    ("StrongroomDenyPlainHttp", &["plain-http", "tls-only"]),
    (
        "StrongroomDenyOtherEncryption",
        &["no-header", "wrong-mode", "wrong-mode-upload", "backup-unencrypted"],
    ),
    ("StrongroomDenyCustomerKeys", &["customer-key"]),
    ("StrongroomDenyOverwrite", &["overwrite"]),
    ("none of them", &[]),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_statement_that_is_missing_in_the_bucket_policy_is_missed() {
    for (sid, wanted) in SINGLE {
        let locked = Locked::bucket(Access::Single, &["--require-header"], |settings| {
            settings.header_required = true;
        })
        .await;
        locked.drop_statement(sid).await;
        // With the header required, SSE-C is refused by that rule too.
        if sid == "StrongroomDenyCustomerKeys" {
            locked.drop_statement("StrongroomDenyOtherEncryption").await;
        }
        found(&locked, sid, wanted).await;
        if wanted.is_empty() {
            assert_eq!(locked.failing().await, Vec::<String>::new());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fail_comes_with_the_statement_that_fixes_it() {
    let locked = Locked::bucket(Access::Single, &[], |_| {}).await;
    locked.drop_statement("StrongroomDenyPlainHttp").await;
    let done = locked.prove(&["--html", &locked.home.path().join("proof.html").display().to_string()]).await;
    done.failed("SR-NOT-PROVED", 9, &["plain-http", "tls-only"]);
    let report = done.json();
    let finding =
        report["findings"].as_array().unwrap().iter().find(|f| f["id"] == "plain-http").unwrap().clone();
    assert_eq!(finding["fix"]["Sid"], "StrongroomDenyPlainHttp");
    let page = std::fs::read_to_string(locked.home.path().join("proof.html")).unwrap();
    assert!(page.contains(report["sha256"].as_str().unwrap()) && page.contains("Something fails"));
    for fetched in ["src=", "<link", "<script", "@import", "url("] {
        assert!(!page.contains(fetched), "the page needs nothing else, and has {fetched}");
    }
    let secret = &locked.keys[0].1.secret;
    assert!(!page.contains(secret) && !done.text().contains(secret));
    // With the fix it passes.
    let fix = finding["fix"].clone();
    locked.change_policy(|statements| statements.push(fix)).await;
    assert_eq!(locked.failing().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_permission_too_few_or_too_many_is_named() {
    const OBJECTS: &str = "arn:aws:s3:::acme-backups/shop/*";
    const ALL: &str = "arn:aws:s3:::acme-backups/*";
    const WHOLE: &str = "arn:aws:s3:::acme-backups";
    /// What is wrong, where (access, identity, whether with versions), how it is made so, and what tells.
    type Fault = (&'static str, Access, usize, bool, fn(&mut Value), &'static [&'static str]);
    let faults: [Fault; 19] = [
        (
            "no PutObject",
            Access::Single,
            0,
            false,
            |p| without(p, "s3:PutObject"),
            &["backup-encrypted", "put"],
        ),
        (
            "no GetObject",
            Access::Single,
            0,
            false,
            |p| without(p, "s3:GetObject"),
            &["get", "backup-verified"],
        ),
        ("no ListBucket", Access::Single, 0, false, |p| without(p, "s3:ListBucket"), &["backup-listed"]),
        (
            "no DeleteObject",
            Access::Single,
            0,
            false,
            |p| without(p, "s3:DeleteObject"),
            &["delete", "backup-deleted"],
        ),
        (
            "no DeleteObjectVersion",
            Access::Single,
            0,
            true,
            |p| without(p, "s3:DeleteObjectVersion"),
            &["delete", "backup-deleted"],
        ),
        (
            "no GetObjectVersion",
            Access::Single,
            0,
            true,
            |p| without(p, "s3:GetObjectVersion"),
            &["backup-verified"],
        ),
        ("writes everywhere", Access::Single, 0, false, |p| allow(p, "s3:PutObject", ALL), &["put-outside"]),
        ("reads everywhere", Access::Single, 0, false, |p| allow(p, "s3:GetObject", ALL), &["get-outside"]),
        (
            "lists everything",
            Access::Single,
            0,
            false,
            |p| allow(p, "s3:ListBucket", WHOLE),
            &["list-outside"],
        ),
        (
            "the writer reads",
            Access::Split,
            0,
            false,
            |p| allow(p, "s3:GetObject", OBJECTS),
            &["writer-reads"],
        ),
        (
            "the writer lists",
            Access::Split,
            0,
            false,
            |p| allow(p, "s3:ListBucket", WHOLE),
            &["writer-lists"],
        ),
        (
            "the writer deletes",
            Access::Split,
            0,
            false,
            |p| allow(p, "s3:DeleteObject", OBJECTS),
            &["writer-deletes"],
        ),
        (
            "the writer deletes versions",
            Access::Split,
            0,
            true,
            |p| allow(p, "s3:DeleteObjectVersion", OBJECTS),
            &["writer-deletes"],
        ),
        (
            "the restorer deletes",
            Access::Split,
            1,
            false,
            |p| allow(p, "s3:DeleteObject", OBJECTS),
            &["restorer-deletes"],
        ),
        (
            "the restorer writes",
            Access::Split,
            1,
            false,
            |p| allow(p, "s3:PutObject", OBJECTS),
            &["restorer-writes"],
        ),
        (
            "the pruner reads",
            Access::Split,
            2,
            false,
            |p| allow(p, "s3:GetObject", OBJECTS),
            &["pruner-reads"],
        ),
        (
            "the pruner writes",
            Access::Split,
            2,
            false,
            |p| allow(p, "s3:PutObject", OBJECTS),
            &["pruner-writes"],
        ),
        (
            "the pruner cannot delete",
            Access::Split,
            2,
            false,
            |p| without(p, "s3:DeleteObject"),
            &["delete", "backup-deleted"],
        ),
        (
            "the restorer cannot list",
            Access::Split,
            1,
            false,
            |p| without(p, "s3:ListBucket"),
            &["backup-listed"],
        ),
    ];
    for (fault, access, identity, versioned, breaks, wanted) in faults {
        let locked = Locked::bucket(access, &[], |settings| settings.versioned = versioned).await;
        locked.change_identity(identity, breaks);
        found(&locked, fault, wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_setting_of_the_bucket_that_is_wrong_is_named() {
    use aws_sdk_s3::types::{
        BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus, LifecycleExpiration,
        LifecycleRule, LifecycleRuleFilter, ObjectOwnership, OwnershipControls, OwnershipControlsRule,
        VersioningConfiguration,
    };
    let locked = async || Locked::bucket(Access::Single, &[], |settings| settings.versioned = true).await;

    let open = locked().await;
    open.owner().await.delete_public_access_block().bucket(BUCKET).send().await.unwrap();
    found(&open, "no Block Public Access", &["block-public-access"]).await;

    let acls = locked().await;
    let client = acls.owner().await;
    client.delete_public_access_block().bucket(BUCKET).send().await.unwrap();
    let writer =
        OwnershipControlsRule::builder().object_ownership(ObjectOwnership::ObjectWriter).build().unwrap();
    let controls = OwnershipControls::builder().rules(writer).build().unwrap();
    client.put_bucket_ownership_controls().bucket(BUCKET).ownership_controls(controls).send().await.unwrap();
    acls.change_identity(0, |policy| allow(policy, "s3:PutObjectAcl", "arn:aws:s3:::acme-backups/*"));
    found(&acls, "ACLs are on", &["ownership", "public-acl", "public-acl-read", "publish"]).await;

    let suspended = locked().await;
    let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    suspended
        .owner()
        .await
        .put_bucket_versioning()
        .bucket(BUCKET)
        .versioning_configuration(off)
        .send()
        .await
        .unwrap();
    found(&suspended, "versions are suspended", &["versioning"]).await;

    let leftovers = locked().await;
    leftovers.owner().await.delete_bucket_lifecycle().bucket(BUCKET).send().await.unwrap();
    found(&leftovers, "no lifecycle rule", &["lifecycle"]).await;

    let expiring = locked().await;
    let rule = LifecycleRule::builder()
        .id("tidy")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("shop/").build())
        .expiration(LifecycleExpiration::builder().days(7).build())
        .build()
        .unwrap();
    let rules = BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    expiring
        .owner()
        .await
        .put_bucket_lifecycle_configuration()
        .bucket(BUCKET)
        .lifecycle_configuration(rules)
        .send()
        .await
        .unwrap();
    found(&expiring, "a rule deletes backups", &["expiry", "lifecycle"]).await;

    let kms = Locked::bucket(Access::Single, &["--sse", "aws:kms"], |settings| {
        settings.sse = strongroom_engine::bucket::Sse::Kms(None);
    })
    .await;
    kms.set_default_encryption("AES256").await;
    found(
        &kms,
        "the default is weaker than what is required",
        &["default-encryption", "backup-default-encrypted"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_else_the_bucket_policy_lets_in_is_named() {
    let everybody = |action: &str, resource: &str| json!({"Sid": "Everybody", "Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource});
    for (fault, action, resource, wanted) in [
        (
            "everybody reads",
            "s3:GetObject",
            "arn:aws:s3:::acme-backups/*",
            &["anonymous-get", "policy-public", "other-principals"],
        ),
        (
            "everybody lists",
            "s3:ListBucket",
            "arn:aws:s3:::acme-backups",
            &["anonymous-list", "policy-public", "other-principals"],
        ),
        (
            "everybody writes",
            "s3:PutObject",
            "arn:aws:s3:::acme-backups/*",
            &["anonymous-put", "policy-public", "other-principals"],
        ),
    ] {
        let locked = Locked::bucket(Access::Single, &[], |_| {}).await;
        locked.owner().await.delete_public_access_block().bucket(BUCKET).send().await.unwrap();
        locked.change_policy(|statements| statements.push(everybody(action, resource))).await;
        found(&locked, fault, wanted).await;
    }
    let locked = Locked::bucket(Access::Single, &[], |_| {}).await;
    let other = json!({"Sid": "Other", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-backups/*"});
    locked.change_policy(|statements| statements.push(other)).await;
    found(&locked, "another account reads", &["other-principals"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_missing_is_named_and_one_that_holds_passes() {
    let lock = ["--object-lock", "governance:1d"];
    let locked = Locked::bucket(Access::Single, &lock, |settings| {
        settings.versioned = true;
        settings.object_lock = "governance:1d".parse().ok();
    })
    .await;
    let report = locked.prove(&[]).await.ok().json();
    let findings = report["findings"].as_array().unwrap();
    let verdict = |id: &str| findings.iter().find(|f| f["id"] == id).unwrap()["verdict"].clone();
    for probe in ["locked", "backup-locked", "object-lock"] {
        assert_eq!(verdict(probe), "pass", "{report:#}");
    }
    assert_ne!(report["left_behind"], json!([]), "what is locked is still there, and is told");
    let open = Locked::bucket(Access::Single, &[], |settings| settings.versioned = true).await;
    let done = open.prove(&lock).await;
    done.failed("SR-NOT-PROVED", 9, &["object-lock", "locked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_enforces_nothing_fails_nearly_everything() {
    let locked =
        Locked::bucket(Access::Split, &["--require-header"], |settings| settings.header_required = true)
            .await;
    locked.sandbox.ignore_policies(true);
    found(
        &locked,
        "no policy is enforced",
        &[
            "no-header",
            "wrong-mode",
            "plain-http",
            "put-outside",
            "overwrite",
            "writer-reads",
            "writer-deletes",
        ],
    )
    .await;
}

/// What a server cannot do is no pass, and no fail either.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_not_offer_is_said_so() {
    use sandbox::Feature;
    let lesser = Sandbox::builder()
        .without(Feature::PublicAccessBlock)
        .without(Feature::OwnershipControls)
        .without(Feature::Lifecycle)
        .without(Feature::PolicyStatus)
        .without(Feature::CustomerKeys);
    let locked = Locked::at(lesser, Access::Single, &[], |_| {}).await;
    let verdicts = locked.verdicts().await;
    for absent in ["block-public-access", "ownership", "lifecycle", "policy-public", "customer-key"] {
        assert_eq!(verdicts[absent], "not-offered", "{absent}: {verdicts:?}");
    }
    assert_eq!(verdicts["backup-encrypted"], "pass");
}

/// A server that refuses the checksum that is sent takes another: which, is found.
#[tokio::test(flavor = "multi_thread")]
async fn a_checksum_that_a_server_refuses_is_found_and_can_be_changed() {
    let server = Sandbox::builder().without(sandbox::Feature::Sha256);
    let locked = Locked::at(server, Access::Single, &[], |_| {}).await;
    let refused = locked.prove(&[]).await;
    let report = refused.json();
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["id"] == "checksum").unwrap();
    assert_eq!(found["verdict"], "fail");
    assert_eq!(found["fix"], json!({"setting": "checksum", "to": "md5"}));
    let changed = locked.prove(&["--checksum", "md5"]).await.json();
    let findings = changed["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["id"] != "checksum"));
    let made = findings.iter().find(|finding| finding["id"] == "backup-encrypted").unwrap();
    assert_eq!(made["verdict"], "pass", "{made}");
}

/// Where nothing can be asked, nothing is proved, and no card is made up.
#[tokio::test(flavor = "multi_thread")]
async fn without_server_key_or_bucket_there_is_an_error_and_no_card() {
    let locked = Locked::bucket(Access::Single, &[], |_| {}).await;
    let key = &locked.keys[0].1;
    let prove = |location: &str, change: &dyn Fn(&mut Command)| {
        let mut command = locked.command(&["bucket", "prove", location], key);
        change(&mut command);
        run(command)
    };
    let nobody = prove(LOCATION, &|command| {
        command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_MAX_ATTEMPTS", "1");
    });
    let nobody = nobody.await;
    nobody.failed("SR-STORE-HOST", 4, &["nothing listens there"]);
    assert_eq!(nobody.text(), "");
    let unknown = prove(LOCATION, &|command| {
        command.env("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN");
    });
    unknown.await.failed("SR-KEY", 4, &[]);
    // One who may look is told that it is not there; others are denied.
    let mut missing =
        locked.command(&["bucket", "prove", "s3://no-such-bucket-here/shop"], locked.sandbox.owner());
    missing.env("AWS_MAX_ATTEMPTS", "1");
    run(missing).await.failed("SR-BUCKET-MISSING", 4, &[]);
}

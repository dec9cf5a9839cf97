//! A deployment, a bucket, and the program with its environment.

use std::process::{Command, Output};

use sandbox::{AccessKey, Sandbox};
use serde_json::Value;
use testbed::Mongod;

pub(crate) const BUCKET: &str = "youraccountname-mlab-backups";

/// The actions on objects that the first policy of mLab's page allows.
pub(crate) const FIRST: [&str; 5] =
    ["s3:GetObject", "s3:GetObjectAcl", "s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"];
/// What its second policy adds, for a bucket with versions.
pub(crate) const SECOND: [&str; 2] = ["s3:GetObjectVersion", "s3:DeleteObjectVersion"];

/// mLab's Deny statements: nothing without the header, and nothing but AES256.
pub(crate) fn deny_unencrypted() -> Vec<Value> {
    let deny = |condition: Value| serde_json::json!({"Effect": "Deny", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*"), "Condition": condition});
    vec![
        deny(serde_json::json!({"Null": {"s3:x-amz-server-side-encryption": true}})),
        deny(serde_json::json!({"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}})),
    ]
}

/// A policy as mLab's page prints it.
pub(crate) fn policy(list: bool, actions: &[&str], more: Vec<Value>) -> String {
    let mut statements = Vec::new();
    if list {
        statements.push(serde_json::json!({"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": format!("arn:aws:s3:::{BUCKET}")}));
    }
    statements.push(serde_json::json!({"Effect": "Allow", "Action": actions, "Resource": [format!("arn:aws:s3:::{BUCKET}/*")]}));
    statements.extend(more);
    serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// A bucket made by its owner, and a user in a group with a policy, as mLab's page says.
pub(crate) struct Guarded {
    pub(crate) sandbox: Sandbox,
    pub(crate) key: AccessKey,
}

impl Guarded {
    pub(crate) async fn bucket(policy: &str) -> Self {
        Self::of(Sandbox::builder(), policy).await
    }

    pub(crate) async fn of(builder: sandbox::Builder, policy: &str) -> Self {
        let sandbox = builder.start().await.unwrap();
        let account = sandbox.account();
        account.put_policy("mLabS3BackupsPolicy", policy).unwrap();
        account.create_group("mLabGroup").unwrap();
        account.attach_group_policy("mLabGroup", "mLabS3BackupsPolicy").unwrap();
        account.create_user("mLabUser").unwrap();
        account.add_user_to_group("mLabUser", "mLabGroup").unwrap();
        let key = account.create_access_key("mLabUser").unwrap();
        let guarded = Self { sandbox, key };
        let made = guarded.owner_client().await.create_bucket().bucket(BUCKET).send().await;
        made.unwrap();
        guarded
    }

    pub(crate) fn set_policy(&self, policy: &str) {
        self.sandbox.account().put_policy("mLabS3BackupsPolicy", policy).unwrap();
    }

    pub(crate) async fn owner_client(&self) -> aws_sdk_s3::Client {
        owner_client(&self.sandbox)
    }

    pub(crate) async fn keep_versions(&self) {
        use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let client = self.owner_client().await;
        client.put_bucket_versioning().bucket(BUCKET).versioning_configuration(on).send().await.unwrap();
    }

    /// Names of all objects there.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let listed = self.owner_client().await.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
    }

    pub(crate) fn location(&self) -> String {
        format!("s3://{BUCKET}/shop")
    }

    /// The program with this user's key.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command.env("AWS_ENDPOINT_URL", self.sandbox.endpoint());
        command.env("AWS_ACCESS_KEY_ID", &self.key.id).env("AWS_SECRET_ACCESS_KEY", &self.key.secret);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Done {
        run(self.command(arguments)).await
    }

    pub(crate) async fn backup(&self, source: &Mongod, more: &[&str]) -> Done {
        let (uri, location) = (source.uri(), self.location());
        let arguments = [&["--json", "backup", "--uri", &uri, "--to", &location], more].concat();
        self.run(&arguments).await
    }
}

/// A client with the key of the sandbox's owner.
pub(crate) fn owner_client(sandbox: &Sandbox) -> aws_sdk_s3::Client {
    let owner = sandbox.owner();
    let credentials = aws_sdk_s3::config::Credentials::new(&owner.id, &owner.secret, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_s3::config::Region::new(sandbox.region().to_owned()))
        .endpoint_url(sandbox.endpoint())
        .credentials_provider(credentials)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// The program, with nothing of this process' environment that could lead it elsewhere.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("strongroom"));
    command.args(arguments).env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_CONFIG_FILE", "/nonexistent").env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
    command
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// It must have gone well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{}", self.stderr);
        self
    }

    /// It must have failed so.
    #[track_caller]
    pub(crate) fn failed(&self, code: &str, status: i32, told: &[&str]) {
        assert!(self.stderr.contains(&format!("error[{code}]")), "{}", self.stderr);
        assert_eq!(self.status, status, "{}", self.stderr);
        for part in told {
            assert!(self.stderr.contains(part), "`{part}` is not in: {}", self.stderr);
        }
    }
}

pub(crate) async fn run(mut command: Command) -> Done {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    done(output)
}

pub(crate) fn done(output: Output) -> Done {
    Done {
        status: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A small deployment.
pub(crate) async fn small() -> Mongod {
    let source = Mongod::standalone().await.unwrap();
    let documents: Vec<bson::Document> =
        (0..2000).map(|i| bson::doc! {"_id": i, "text": "x".repeat(300)}).collect();
    source
        .client()
        .await
        .unwrap()
        .database("shop")
        .collection("orders")
        .insert_many(documents)
        .await
        .unwrap();
    source
}

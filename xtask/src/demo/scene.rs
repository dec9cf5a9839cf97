//! The bucket's side of the demo, and the program on the other.

use std::path::PathBuf;
use std::process::Stdio;

use sandbox::{AccessKey, Sandbox};
use serde_json::{Value, json};
use strongroom_engine::deployment::ConnectionString;
use testbed::Mongod;
use tokio::process::Command;

use crate::Outcome;

pub(super) const FIRST: [&str; 5] =
    ["s3:GetObject", "s3:GetObjectAcl", "s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"];

pub(super) fn seed_policy(bucket: &str, actions: &[&str], more: Vec<Value>) -> String {
    let mut statements = vec![
        json!({"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": format!("arn:aws:s3:::{bucket}")}),
        json!({"Effect": "Allow", "Action": actions, "Resource": [format!("arn:aws:s3:::{bucket}/*")]}),
    ];
    statements.extend(more);
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

pub(super) fn title(text: &str) {
    println!("\n\x1b[1m{text}\x1b[0m\n");
}

/// The bucket's side, and the program on the other.
pub(super) struct Scene {
    pub(super) sandbox: Sandbox,
    pub(super) key: AccessKey,
    pub(super) program: PathBuf,
}

impl Scene {
    pub(super) async fn new() -> Outcome<Self> {
        let sandbox = Sandbox::builder().region("eu-central-1").start().await?;
        let account = sandbox.account();
        account.create_group("mLabGroup")?;
        account.create_user("mLabUser")?;
        account.add_user_to_group("mLabUser", "mLabGroup")?;
        let key = account.create_access_key("mLabUser")?;
        let mut program = std::env::current_exe()?;
        program.set_file_name("strongroom");
        Ok(Self { sandbox, key, program })
    }

    pub(super) fn make_bucket(&self, bucket: &str, name: &str, policy: &str) -> Outcome {
        let account = self.sandbox.account();
        account.put_policy(name, policy)?;
        account.attach_group_policy("mLabGroup", name)?;
        self.sandbox.create_bucket(bucket);
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("AWS_ENDPOINT_URL", self.sandbox.endpoint()).env_remove("AWS_PROFILE");
        command.env("AWS_ACCESS_KEY_ID", &self.key.id).env("AWS_SECRET_ACCESS_KEY", &self.key.secret);
        command.env_remove("AWS_SESSION_TOKEN").kill_on_drop(true);
        command
    }

    /// Runs the program as a person would; its exit status.
    pub(super) async fn run(&self, arguments: &[&str]) -> Outcome<i32> {
        println!("\x1b[2m$ strongroom {}\x1b[0m", arguments.join(" "));
        Ok(self.command(arguments).status().await?.code().unwrap_or(-1))
    }

    pub(super) async fn must(&self, arguments: &[&str]) -> Outcome {
        match self.run(arguments).await? {
            0 => Ok(()),
            status => Err(format!("strongroom {} ended with status {status}", arguments[0]).into()),
        }
    }

    pub(super) async fn latest(&self, location: &str) -> Outcome<String> {
        let mut command = self.command(&["--json", "show", location, "latest"]);
        let shown = command.stderr(Stdio::inherit()).output().await?;
        let shown: Value = serde_json::from_slice(&shown.stdout)?;
        Ok(shown["id"].as_str().unwrap_or_default().to_owned())
    }

    pub(super) async fn keep(&self, source: &Mongod, target: &Mongod, location: &str) -> Outcome {
        // Only to be sure that what is printed can be used.
        let _: ConnectionString = source.uri().parse()?;
        title("Go on yourself, in another terminal");
        println!("export AWS_ENDPOINT_URL={}", self.sandbox.endpoint());
        println!("export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}", self.key.id, self.key.secret);
        println!("source: {}\ntarget: {}", source.uri(), target.uri());
        println!("{} list {location}", self.program.display());
        println!("\nCtrl-C ends all of it.");
        tokio::signal::ctrl_c().await?;
        Ok(())
    }
}

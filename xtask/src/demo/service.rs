//! The service: backups that happen by themselves, end by themselves, and survive what ends the process.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::{Mongod, dataset};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::scene::{FIRST, Scene, seed_policy, title};
use crate::Outcome;

const BUCKET: &str = "youraccountname-service";
const LOGIN: &str = "anna";
const PASSWORD: &str = "correct horse battery";
/// What makes a backup take some seconds, so that there is a middle of it.
const MORE_BYTES: u64 = 20_000_000;
const RATE: &str = "4MB";
/// Occurrences are a minute apart, and what is to be deleted is looked for every minute.
const PATIENCE: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn show(scene: &Scene, source: &Mongod) -> Outcome {
    title("The service: from nothing to a scheduled backup");
    let all = [&FIRST[..], &["s3:GetObjectVersion", "s3:DeleteObjectVersion"]].concat();
    scene.make_bucket(BUCKET, "ServicePolicy", &seed_policy(BUCKET, &all, vec![]))?;
    scene.sandbox.enable_versioning(BUCKET);
    dataset::generate(&source.client().await?, MORE_BYTES).await?;
    let mut desk = Desk::open(scene).await?;
    desk.first_admin().await?;
    desk.furnish(source).await?;
    let first = desk.scheduled_backup().await?;
    desk.frees(&first).await?;
    desk.survives().await
}

/// A service, and somebody who works with it.
struct Desk<'a> {
    scene: &'a Scene,
    folder: TempDir,
    listen: String,
    service: Child,
}

impl<'a> Desk<'a> {
    async fn open(scene: &'a Scene) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("demo-service-").tempdir()?;
        let listen = format!("127.0.0.1:{}", testbed::mongod::free_port()?);
        println!("\x1b[2m$ strongroom serve --listen {listen}\x1b[0m");
        let service = serve(scene, &folder, &listen)?;
        let desk = Self { scene, folder, listen, service };
        desk.ready().await?;
        Ok(desk)
    }

    fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    async fn ready(&self) -> Outcome {
        let log = self.folder.path().join("log");
        wait("the service to come up", async || {
            let answer = reqwest::get(format!("{}/readyz", self.url())).await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()).then_some(()))
        })
        .await
        .map_err(|error| format!("{error}\n{}", fs::read_to_string(log).unwrap_or_default()).into())
    }

    /// Does in the place of a browser what the page behind the link does.
    async fn first_admin(&self) -> Outcome {
        let log = fs::read_to_string(self.folder.path().join("log"))?;
        let link = log.split_once("/setup#").and_then(|(_, rest)| rest.split_whitespace().next());
        let link = link.ok_or("the service printed no link")?;
        let admin = json!({ "link": link, "login": LOGIN, "password": PASSWORD });
        let url = format!("{}/api/v1/setup", self.url());
        reqwest::Client::new().post(url).json(&admin).send().await?.error_for_status()?;
        println!(
            "\nIt printed a link that can be used once. Opened it, and made the first admin, {LOGIN}.\n"
        );
        let arguments = ["login", &self.url(), "--login", LOGIN];
        self.with_input(&arguments, PASSWORD).await
    }

    async fn furnish(&self, source: &Mongod) -> Outcome {
        let (uri, key) = (source.uri(), &self.scene.key);
        self.must_with(&["deployment", "create", "--name", "shop"], &[("STRONGROOM_URI", &uri)]).await?;
        self.must(&["deployment", "test", "shop"]).await?;
        let (to, endpoint) = (format!("s3://{BUCKET}/backups"), self.scene.sandbox.endpoint());
        let place = ["location", "create", "--name", "bucket", "--location", &to, "--endpoint", &endpoint];
        let how = ["--region", "eu-central-1", "--access", "classic", "--versioned", "true"];
        let arguments = [&place[..], &how, &["--access-key-id", &key.id]].concat();
        self.must_with(&arguments, &[("STRONGROOM_SECRET", &key.secret)]).await?;
        println!("\nBackups that expire can be kept again for a week. Here they go at once.\n");
        self.must(&["service", "set", "--grace-hours", "0"]).await?;
        println!("\nA plan: every minute, keep the newest one, read at most {RATE} a second.\n");
        let plan = ["plan", "create", "--name", "shop", "--deployment", "shop", "--location", "bucket"];
        let how = ["--cron", "* * * * *", "--last", "1", "--encryption", "AES256", "--max-rate", RATE];
        self.must(&[&plan[..], &how].concat()).await
    }

    /// Waits for a backup that nobody asked for, and verifies it; its name.
    async fn scheduled_backup(&self) -> Outcome<String> {
        println!("\nNow nobody does anything for a minute.\n");
        let name = wait("a scheduled backup", async || {
            let backups = self.ask(&["catalog", "list", "--plan", "shop"]).await?;
            Ok(backups.first().and_then(|backup| backup["name"].as_str()).map(str::to_owned))
        })
        .await?;
        self.must(&["run", "list", "--plan", "shop"]).await?;
        self.must(&["catalog", "list", "--plan", "shop"]).await?;
        self.must(&["run", "verify", &name, "--wait"]).await?;
        Ok(name)
    }

    /// Waits until retention has deleted a backup, all versions of it.
    async fn frees(&self, name: &str) -> Outcome {
        title("Retention deletes what the plan does not keep");
        let before = self.objects_of(name);
        println!("The bucket holds {before} versions of objects of {name}. Waiting for the next backup.\n");
        if before == 0 {
            return Err("the backup is not in the bucket".into());
        }
        wait("the first backup to be deleted", async || Ok((self.objects_of(name) == 0).then_some(())))
            .await?;
        self.must(&["run", "list", "--kind", "sweep"]).await?;
        self.must(&["catalog", "list", "--state", "swept"]).await?;
        println!("\nIt expired when the next one was whole. The bucket holds no version of it any more.");
        Ok(())
    }

    /// Kills the service in the middle of a backup, and shows what becomes of that.
    async fn survives(&mut self) -> Outcome {
        title("kill -9 in the middle of a backup");
        self.must(&["plan", "pause", "shop"]).await?;
        self.must(&["plan", "run", "shop"]).await?;
        let (run, name) = wait("a backup that is half done", async || {
            let runs = self.ask(&["run", "list", "--plan", "shop", "--state", "running"]).await?;
            let half = |run: &Value| {
                let name = run["backup_name"].as_str()?.to_owned();
                (self.objects_of(&name) > 0).then_some((run["id"].as_str()?.to_owned(), name))
            };
            Ok(runs.first().and_then(half))
        })
        .await?;
        self.service.kill().await?;
        let left = self.objects_of(&name);
        println!("\nKilled it. In the bucket are {left} versions of objects of {name}, without a manifest.");
        println!("Starting it again.\n");
        self.service = serve(self.scene, &self.folder, &self.listen)?;
        self.ready().await?;
        self.must(&["run", "watch", &run]).await?;
        self.must(&["run", "show", &run]).await?;
        println!(
            "\nIt began again under another name, and is whole. What the first try left is cleared away:\n"
        );
        wait("the leftovers to be cleared away", async || Ok((self.objects_of(&name) == 0).then_some(())))
            .await?;
        self.must(&["run", "list", "--kind", "sweep"]).await?;
        println!("\nThe bucket holds nothing of {name} any more.");
        Ok(())
    }

    /// Versions of objects of a backup that the bucket holds.
    fn objects_of(&self, backup: &str) -> usize {
        let contents = self.scene.sandbox.contents(BUCKET);
        // A folder of its own; what names a backup from elsewhere, such as a log, is none of it.
        contents.iter().filter(|key| key.contains(&format!("/{backup}/"))).count()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.scene.program);
        command.args(arguments).env("HOME", self.folder.path()).env_remove("XDG_CONFIG_HOME");
        command.env("STRONGROOM_SERVER", self.url()).kill_on_drop(true);
        command
    }

    async fn must(&self, arguments: &[&str]) -> Outcome {
        self.must_with(arguments, &[]).await
    }

    /// Runs the program as a person would, with secrets in its environment.
    async fn must_with(&self, arguments: &[&str], set: &[(&str, &str)]) -> Outcome {
        say(arguments);
        done(arguments, self.command(arguments).envs(set.iter().copied()).status().await?.code())
    }

    async fn with_input(&self, arguments: &[&str], line: &str) -> Outcome {
        say(arguments);
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().ok_or("no stdin")?;
        input.write_all(format!("{line}\n").as_bytes()).await?;
        drop(input);
        done(arguments, child.wait().await?.code())
    }

    /// The items of a list, without a word.
    async fn ask(&self, arguments: &[&str]) -> Outcome<Vec<Value>> {
        let mut command = self.command(&[&["--json"], arguments].concat());
        let answer = command.stderr(Stdio::inherit()).output().await?;
        done(arguments, answer.status.code())?;
        match serde_json::from_slice(&answer.stdout)? {
            Value::Array(items) => Ok(items),
            mut answer => Ok(answer["items"].as_array_mut().map(std::mem::take).unwrap_or_default()),
        }
    }
}

fn serve(scene: &Scene, folder: &TempDir, listen: &str) -> Outcome<Child> {
    let data: PathBuf = folder.path().join("data");
    let mut command = Command::new(&scene.program);
    command.args(["serve", "--listen", listen]).env("STRONGROOM_DATA", data).kill_on_drop(true);
    Ok(command.stderr(File::create(folder.path().join("log"))?).spawn()?)
}

fn say(arguments: &[&str]) {
    let quoted =
        |text: &&str| if text.contains([' ', '*']) { format!("'{text}'") } else { (*text).to_owned() };
    println!("\x1b[2m$ strongroom {}\x1b[0m", arguments.iter().map(quoted).collect::<Vec<_>>().join(" "));
}

fn done(arguments: &[&str], status: Option<i32>) -> Outcome {
    match status {
        Some(0) => Ok(()),
        status => Err(format!("strongroom {} ended with status {status:?}", arguments.join(" ")).into()),
    }
}

/// Asks until there is something.
async fn wait<T>(what: &str, ask: impl AsyncFn() -> Outcome<Option<T>>) -> Outcome<T> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("waited in vain for {what}").into())
}

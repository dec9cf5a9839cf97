//! Whole outputs of the program, so that every change of wording is seen. A changed text fails here: look at the new
//! one, and accept it with `INSTA_UPDATE=always cargo test -p strongroom --test it snapshots`.

use std::process::Command;

use bson::doc;
use strongroom_engine::guard::Access;
use testbed::Mongod;

use crate::bucket::prove::Locked;
use crate::setup::{BUCKET, Done, FIRST, Guarded, SECOND, policy, program, run};

/// What differs from run to run, and what stands for it.
const VARYING: [(&str, &str); 13] = [
    (r"\d{8}T\d{6}Z-[a-z0-9]{4}", "[id]"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
    (r"\b\d{10}\.\d+\b", "[moment]"),
    (r"127\.0\.0\.1:\d+", "[server]"),
    (r"MongoDB \d+\.\d+\.\d+", "MongoDB [version]"),
    (r" +\d+(\.\d+)? (B|KiB)\b", " [size]"),
    (r"\b\d+ (segments|objects)\b", "[some] $1"),
    (r"/tmp/[^/ `]+", "[folder]"),
    (r"sha256:[0-9a-f]+|\b[0-9a-f]{64}\b", "[sum]"),
    (r"(?i)request id: \S+", "[request]"),
    (r" +\n", "\n"),
    // Depends on whether the server writes a no-op meanwhile.
    (r"(?m)^oplog {7}.*$", "oplog       [window]"),
    // What a slow machine adds.
    (r"(?m)^(slowing down for|reading .* at full speed|\d.* of \d.*, \d+ document).*\n", ""),
];

fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, word) in VARYING {
        settings.add_filter(pattern, word);
    }
    settings.bind(|| insta::assert_snapshot!(name.replace(' ', "-"), text));
}

/// A command line and all that it says, as in a terminal.
fn session(arguments: &[&str], done: &Done) -> String {
    let (out, err) = (String::from_utf8_lossy(&done.stdout), &done.stderr);
    format!("$ strongroom {}\n{err}{out}[exit status {}]\n\n", arguments.join(" "), done.status)
}

#[tokio::test]
async fn the_help_of_every_command() {
    let commands: [&[&str]; 85] = [
        &[],
        &["backup"],
        &["list"],
        &["show"],
        &["verify"],
        &["restore"],
        &["cat"],
        &["delete"],
        &["clean"],
        &["bucket"],
        &["bucket", "policy"],
        &["bucket", "provision"],
        &["bucket", "prove"],
        &["bucket", "explain"],
        &["bucket", "lint"],
        &["serve"],
        &["key"],
        &["key", "generate"],
        &["key", "rotate"],
        &["completions"],
        &["man"],
        &["login"],
        &["logout"],
        &["deployment"],
        &["deployment", "list"],
        &["deployment", "show"],
        &["deployment", "create"],
        &["deployment", "update"],
        &["deployment", "delete"],
        &["deployment", "test"],
        &["location"],
        &["location", "list"],
        &["location", "show"],
        &["location", "create"],
        &["location", "update"],
        &["location", "delete"],
        &["location", "prove"],
        &["plan"],
        &["plan", "list"],
        &["plan", "show"],
        &["plan", "create"],
        &["plan", "update"],
        &["plan", "delete"],
        &["plan", "pause"],
        &["plan", "resume"],
        &["plan", "run"],
        &["plan", "next"],
        &["plan", "simulate"],
        &["run"],
        &["run", "list"],
        &["run", "show"],
        &["run", "log"],
        &["run", "watch"],
        &["run", "cancel"],
        &["run", "verify"],
        &["run", "restore"],
        &["catalog"],
        &["catalog", "list"],
        &["catalog", "show"],
        &["catalog", "hold"],
        &["catalog", "release"],
        &["catalog", "expire"],
        &["catalog", "keep"],
        &["change"],
        &["change", "list"],
        &["change", "show"],
        &["change", "approve"],
        &["change", "call-back"],
        &["user"],
        &["user", "list"],
        &["user", "show"],
        &["user", "create"],
        &["user", "update"],
        &["token"],
        &["token", "list"],
        &["token", "create"],
        &["token", "revoke"],
        &["audit"],
        &["audit", "list"],
        &["service"],
        &["service", "show"],
        &["service", "set"],
        &["summary"],
        &["apply"],
        &["export"],
    ];
    for command in commands {
        let help = run(program(&[command, &["--help"]].concat())).await.ok();
        let name = format!("help {}", command.join(" "));
        assert_snapshot(name.trim_end(), &help.text());
    }
}

async fn shop() -> Mongod {
    let server = Mongod::replica_set().await.unwrap();
    let db = server.client().await.unwrap().database("shop");
    let orders: Vec<bson::Document> = (0..1000).map(|i| doc! { "_id": i, "text": "x".repeat(50) }).collect();
    db.collection("orders").insert_many(orders).await.unwrap();
    db.collection("customers").insert_one(doc! { "_id": 1 }).await.unwrap();
    let index = doc! { "key": { "text": 1 }, "name": "by text" };
    db.run_command(doc! { "createIndexes": "orders", "indexes": [index] }).await.unwrap();
    db.run_command(doc! { "create": "cheap", "viewOn": "orders", "pipeline": [] }).await.unwrap();
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_its_beginning_to_its_end() {
    let (source, target) = (shop().await, Mongod::replica_set().await.unwrap());
    let guarded = Guarded::bucket(&policy(true, &[&FIRST[..], &SECOND].concat(), vec![])).await;
    let location = guarded.location();
    let (from, to) = (source.uri(), target.uri());
    let mut said = String::new();
    for arguments in [
        &["list", &location][..],
        &["backup", "--uri", &from, "--to", &location, "--sse", "AES256", "--readers", "1"],
        &["list", &location],
        &["show", &location, "latest"],
        &["verify", &location, "latest"],
        &["restore", &location, "latest", "--uri", &to, "--dry-run"],
        &["restore", &location, "latest", "--uri", &to, "--writers", "1"],
        &["restore", &location, "latest", "--uri", &to],
        &["restore", &location, "latest", "--uri", &to, "--drop", "--dry-run"],
    ] {
        said += &session(arguments, &guarded.run(arguments).await);
    }
    let listed = guarded.run(&["--json", "list", &location]).await.ok().json();
    let id = listed["backups"][0]["id"].as_str().unwrap();
    let delete = ["delete", &location, id, "--yes"];
    said += &session(&delete, &guarded.run(&delete).await);
    assert_snapshot("a backup from its beginning to its end", &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buckets_proof_and_its_provision() {
    let locked = Locked::bucket(Access::Single, &[], |_| {}).await;
    let prove = ["bucket", "prove", "s3://acme-backups/shop", "--admin-profile", "admin"];
    assert_snapshot("the card of a proof", &session(&prove, &locked.say(&prove).await));
    let provision = ["bucket", "provision", "s3://acme-backups/shop", "--bucket-only", "--dry-run"];
    let more = [&provision[..], &["--versioned", "--require-header"]].concat();
    let said = session(&provision, &locked.say_as_owner(&provision).await)
        + &session(&more, &locked.say_as_owner(&more).await);
    assert_snapshot("what provision would change", &said);
}

/// The commands of README's first section, word for word but for the server that is restored into.
#[tokio::test(flavor = "multi_thread")]
async fn the_quickstart_of_the_readme_runs() {
    let (source, target) = (shop().await, Mongod::standalone().await.unwrap());
    let sandbox = sandbox::Sandbox::builder().start().await.unwrap();
    assert!(sandbox.create_bucket("my-backups"));
    let readme = include_str!("../../../../README.md");
    let section = readme.split("\n## ").find(|section| section.contains("cargo install")).unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    strongroom "));
    let mut commands = Vec::new();
    for line in lines {
        let line = line.replace("mongodb://localhost", &target.uri());
        let mut command = program(&line.split_whitespace().collect::<Vec<_>>());
        command.env("AWS_ENDPOINT_URL", sandbox.endpoint()).env("STRONGROOM_URI", source.uri());
        command.env("AWS_ACCESS_KEY_ID", &sandbox.owner().id);
        command.env("AWS_SECRET_ACCESS_KEY", &sandbox.owner().secret);
        run(command).await.ok();
        commands.push(line.split(' ').next().unwrap().to_owned());
    }
    assert_eq!(commands, ["backup", "verify", "restore"]);
}

/// The errors that people meet most, each from the command line that provokes it.
#[tokio::test(flavor = "multi_thread")]
async fn the_most_likely_errors() {
    let source = shop().await;
    let guarded = Guarded::bucket(&policy(true, &FIRST, vec![])).await;
    let location = guarded.location();
    let (uri, nowhere) = (source.uri(), "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=1000");
    guarded.backup(&source, &[]).await.ok();
    let mut said = String::new();
    for arguments in [
        &["bakcup"][..],
        &["backup"],
        &["list", "nowhere"],
        &["list", "file:///nonexistent/folder"],
        &["backup", "--to", &location],
        &["backup", "--uri", "localhost", "--to", &location],
        &["backup", "--uri", nowhere, "--to", &location],
        &["backup", "--uri", &uri, "--to", &location, "--include", "shop"],
        &["backup", "--uri", &uri, "--to", &location, "--include", "nope.*"],
        &["backup", "--uri", &uri, "--to", &location, "--compress", "lz4"],
        &["backup", "--uri", &uri, "--to", &location, "--sse", "aes256"],
        &["backup", "--uri", &uri, "--to", &location, "--max-rate", "fast"],
        &["show", &location, "yesterday"],
        &["show", &location, "20200101T000000Z-aaaa"],
        &["restore", &location, "--uri", &uri],
        &["restore", &location, "latest", "--uri", &uri],
        &["restore", &location, "latest", "--uri", &uri, "--at", "yesterday"],
        &["restore", &location, "latest", "--uri", &uri, "--at", "2020-01-01T00:00:00Z", "--drop"],
        &["restore", &location, "latest", "--uri", &uri, "--users", "some"],
        &["restore", &location, "latest", "--uri", &uri, "--rename", "shop"],
        &["delete", &location, "20200101T000000Z-aaaa"],
    ] {
        said += &session(arguments, &guarded.run(arguments).await);
    }
    let list = ["list", &location];
    let mut changed = async |change: &dyn Fn(&mut Command)| {
        let mut command = guarded.command(&list);
        change(&mut command);
        said += &session(&list, &run(command).await);
    };
    changed(&|command| {
        command.env("AWS_SECRET_ACCESS_KEY", "wrong");
    })
    .await;
    changed(&|command| {
        command.env_remove("AWS_ACCESS_KEY_ID");
    })
    .await;
    changed(&|command| {
        command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_MAX_ATTEMPTS", "1");
    })
    .await;
    guarded.set_policy(&policy(false, &FIRST, vec![]));
    changed(&|_| ()).await;
    assert_snapshot("the most likely errors", &said.replace(BUCKET, "my-backups"));
}

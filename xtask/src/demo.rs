//! The main job, shown for real and told in plain words.

mod scene;
mod service;

use serde_json::{Value, json};
use testbed::fingerprint::{differences, fingerprint};
use testbed::{Mongod, dataset};

use self::scene::{FIRST, Scene, seed_policy, title};
use crate::Outcome;
use crate::steps;

const BUCKET: &str = "youraccountname-mlab-backups";
const VERSIONED: &str = "youraccountname-versioned";

/// Tells and does all of it; Ctrl-C ends it, and every process with it.
pub(crate) async fn run(keep: bool) -> Outcome {
    println!("Building strongroom (about five minutes the first time)");
    let build = ["build", "--package", "strongroom"];
    steps::run(std::process::Command::new(env!("CARGO")).args(build).current_dir(steps::root()))?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::select! {
        outcome = tell(keep) => outcome,
        _ = tokio::signal::ctrl_c() => Err("ended by Ctrl-C; every process it started is gone".into()),
    }
}

async fn tell(keep: bool) -> Outcome {
    title("A MongoDB with a bit of everything");
    let (source, target) = (Mongod::replica_set().await?, Mongod::replica_set().await?);
    dataset::every_kind(&source.client().await?).await?;
    println!(
        "Started two real MongoDB servers, and loaded the first with a small shop: every BSON type, every kind"
    );
    println!(
        "of index, capped, clustered and time-series collections, views on views, GridFS, users and roles."
    );

    title("A bucket that enforces its policies");
    let scene = Scene::new().await?;
    scene.make_bucket(BUCKET, "mLabS3BackupsPolicy", &seed_policy(BUCKET, &FIRST, vec![]))?;
    println!("Made, as mLab's page says: the bucket {BUCKET},");
    println!(
        "the policy mLabS3BackupsPolicy (list, get, put, delete, nothing else), the group mLabGroup with it, and"
    );
    println!(
        "the user mLabUser in the group, with an access key. Every request is judged by these policies."
    );

    title("Back up, encrypted");
    let uri = source.uri();
    let location = format!("s3://{BUCKET}/shop");
    scene.must(&["backup", "--uri", &uri, "--to", &location, "--sse", "AES256"]).await?;
    scene.must(&["list", &location]).await?;

    title("Prove that it is what was backed up");
    scene.must(&["verify", &location, "latest"]).await?;

    title("Restore it into the empty server, and compare");
    scene.must(&["restore", &location, "latest", "--uri", &target.uri()]).await?;
    compare(&source, &target).await?;

    two_tests(&scene, &uri, &location).await?;
    title("Prove the rest of it: what must be refused is refused, to the user and to strangers");
    scene.must(&["bucket", "prove", &location, "--access", "classic"]).await?;
    versions(&scene, &uri).await?;
    service::show(&scene, &source).await?;

    if keep {
        scene.keep(&source, &target, &location).await?;
    }
    println!("\nThat is all. Every server that was started is gone now.");
    Ok(())
}

/// The two tests that mLab's page tells its readers to make.
async fn two_tests(scene: &Scene, uri: &str, location: &str) -> Outcome {
    title("Demand encryption, and do mLab's two tests");
    let deny = |condition: Value| json!({"Effect": "Deny", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*"), "Condition": condition});
    let statements = vec![
        deny(json!({"Null": {"s3:x-amz-server-side-encryption": true}})),
        deny(json!({"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}})),
    ];
    scene.sandbox.account().put_policy("mLabS3BackupsPolicy", &seed_policy(BUCKET, &FIRST, statements))?;
    println!("Added its two Deny statements to the policy. First test: with encryption it must succeed.\n");
    scene.must(&["backup", "--uri", uri, "--to", location, "--sse", "AES256", "--quiet"]).await?;
    println!("\nSecond test: without encryption it must be refused.\n");
    let outcome = scene.run(&["backup", "--uri", uri, "--to", location, "--quiet"]).await?;
    if outcome == 0 {
        return Err("the unencrypted backup was not refused".into());
    }
    let refused = scene.sandbox.decisions().into_iter().rev().find(|judged| {
        judged.request.action == "s3:PutObject" && judged.evaluation.decision == iam_decision()
    });
    let Some(refused) = refused else { return Err("no refusal was decided".into()) };
    println!("\nIt was refused. The bucket's side of it:");
    for reason in refused.evaluation.deciding() {
        println!("  {reason}");
    }
    Ok(())
}

fn iam_decision() -> sandbox::Decision {
    sandbox::Decision::ExplicitDeny
}

/// A bucket that keeps versions, with mLab's second policy.
async fn versions(scene: &Scene, uri: &str) -> Outcome {
    title("A bucket that keeps versions, with the second policy");
    let all = [&FIRST[..], &["s3:GetObjectVersion", "s3:DeleteObjectVersion"]].concat();
    scene.make_bucket(VERSIONED, "mLabS3VersionedPolicy", &seed_policy(VERSIONED, &all, vec![]))?;
    scene.sandbox.enable_versioning(VERSIONED);
    let location = format!("s3://{VERSIONED}/shop");
    scene.must(&["backup", "--uri", uri, "--to", &location, "--sse", "AES256", "--quiet"]).await?;
    let before = scene.sandbox.stored_bytes(VERSIONED);
    let id = scene.latest(&location).await?;
    scene.must(&["delete", &location, &id, "--yes", "--quiet"]).await?;
    let after = scene.sandbox.stored_bytes(VERSIONED);
    println!(
        "\nBytes in the bucket, all versions counted: {before} before, {after} after (the note on restoring)."
    );
    if after * 10 > before { Err("deleting did not free the bytes".into()) } else { Ok(()) }
}

async fn compare(source: &Mongod, target: &Mongod) -> Outcome {
    let wanted = fingerprint(&source.client().await?).await?;
    let found = fingerprint(&target.client().await?).await?;
    let differences = differences(&wanted, &found);
    if !differences.is_empty() {
        return Err(format!("the restored data differs:\n{}", differences.join("\n")).into());
    }
    let hashes = wanted.keys().filter(|name| name.ends_with("dbHash")).count();
    println!("\nCompared {} facts, among them the dbHash of {hashes} collections: all equal.", wanted.len());
    Ok(())
}

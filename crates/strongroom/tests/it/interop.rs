//! Stock tools. They are in no registry, so this runs where somebody has them:
//! `MONGORESTORE=/path/to/mongorestore cargo test -p strongroom --test it interop -- --ignored`

use std::process::{Command, Stdio};

use testbed::fingerprint::{differences, fingerprint};
use testbed::{Mongod, dataset};

use crate::setup::{program, run};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real mongorestore, named by MONGORESTORE"]
async fn mongorestore_restores_what_cat_writes_and_the_segments_themselves() {
    let mongorestore = std::env::var("MONGORESTORE").expect("MONGORESTORE names mongorestore");
    let source = Mongod::replica_set().await.unwrap();
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let wanted = fingerprint(&source.client().await.unwrap()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let location = format!("file://{}", place.path().display());
    for (compress, gzip, raw) in [("zstd", false, false), ("zstd", true, false), ("gzip", true, true)] {
        run(program(&["backup", "--uri", &source.uri(), "--to", &location, "--compress", compress]))
            .await
            .ok();
        let target = Mongod::replica_set().await.unwrap();
        let mut restore = Command::new(&mongorestore);
        restore
            .args(["--archive", "--bypassDocumentValidation"])
            .arg(format!("--uri={}", target.uri()))
            .args(gzip.then_some("--gzip"));
        let mut child = restore.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let archive = if raw {
            let backup = std::fs::read_dir(place.path().join("default"))
                .unwrap()
                .map(|e| e.unwrap().path())
                .max()
                .unwrap();
            let mut segments: Vec<_> =
                std::fs::read_dir(backup.join("segments")).unwrap().map(|e| e.unwrap().path()).collect();
            segments.sort();
            segments.iter().flat_map(|segment| std::fs::read(segment).unwrap()).collect()
        } else {
            let cat = ["cat", &location, "latest"];
            let arguments = [&cat[..], if gzip { &["--gzip"] } else { &[] }].concat();
            run(program(&arguments)).await.ok().stdout
        };
        let written = tokio::task::spawn_blocking(move || std::io::Write::write_all(&mut input, &archive));
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
        written.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let found = fingerprint(&target.client().await.unwrap()).await.unwrap();
        assert_eq!(
            differences(&wanted, &found),
            Vec::<String>::new(),
            "{compress}, gzip {gzip}, raw {raw}: {said}"
        );
    }
}

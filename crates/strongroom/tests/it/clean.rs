//! `list` and `clean` on what killed runs left.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::setup::{program, run};

/// A segment without a manifest, last written so long ago.
#[expect(clippy::disallowed_methods, reason = "the program compares with the time of this machine")]
fn unfinished(place: &Path, id: &str, age: Duration) {
    let folder = place.join("default").join(id).join("segments");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("00000-00000.zst");
    fs::write(&path, [0; 2048]).unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

const RUNNING: &str = "20260101T000000Z-live";
const DEAD: &str = "20260101T000000Z-dead";

#[tokio::test]
async fn clean_shows_what_it_would_delete_and_deletes_it_when_told_to() {
    let place = tempfile::tempdir().unwrap();
    unfinished(place.path(), RUNNING, Duration::from_secs(60));
    unfinished(place.path(), DEAD, Duration::from_secs(3 * 86_400));
    let location = format!("file://{}", place.path().display());
    let listed = run(program(&["list", &location])).await.ok().text();
    assert!(listed.contains("last written 1 minute ago: probably running"), "{listed}");
    assert!(listed.contains("last written 3 days ago: probably dead"), "{listed}");

    let shown = run(program(&["clean", &location, "--dry-run"])).await.ok().text();
    let line = |id: &str| shown.lines().find(|line| line.contains(id)).unwrap().to_owned();
    assert!(line(DEAD).contains("2.0 KiB  unfinished, last written 20"), "{shown}");
    assert!(line(RUNNING).contains("stays: ") && line(RUNNING).contains("may be running"), "{shown}");

    // Nobody is there to confirm.
    let refused = run(program(&["clean", &location])).await;
    refused.failed("SR-USAGE", 2, &["stdin is not a terminal", "--yes"]);
    assert!(refused.stderr.contains(DEAD), "{refused:?}");
    run(program(&["clean", &location, "--older-than", "5m"])).await.failed("SR-USAGE", 2, &["too short"]);
    assert!(place.path().join("default").join(DEAD).exists());

    let answer = run(program(&["--json", "clean", &location, "--yes"])).await.ok().json();
    assert_eq!(answer["found"][0]["id"], DEAD);
    assert_eq!(answer["found"][0]["why"], "unfinished");
    assert_eq!(answer["cleared"]["objects"], 1);
    assert_eq!(answer["stays"][0]["id"], RUNNING);
    assert!(!place.path().join("default").join(DEAD).exists());
    assert!(place.path().join("default").join(RUNNING).exists());
}

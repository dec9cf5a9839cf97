//! What a person is told of a replica set's members, and the options that spare them.

use bson::doc;
use testbed::Set;
use testbed::mongod::Options;

use crate::setup::{program, run, small};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_and_show_tell_which_member_was_read_and_why() {
    let set =
        Set::start(&[doc! {}, doc! { "hidden": true, "priority": 0 }], Options::default()).await.unwrap();
    let client = set.client().await.unwrap();
    client.database("shop").collection("a").insert_one(doc! { "_id": 1 }).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let location = format!("file://{}", place.path().display());
    let uri = set.uri();
    let arguments = ["backup", "--uri", &uri, "--to", &location, "--max-lag", "1m", "--max-rate", "50MB"];
    let done = run(program(&arguments)).await.ok();
    let (primary, hidden) = (set.members()[0].address(), set.members()[1].address());
    let read = format!("read: {hidden}, hidden secondary: no client reads a hidden member");
    let spared = format!("not read: {primary}, primary: the primary is spared");
    for line in [&read, &spared] {
        assert!(done.stderr.contains(line.as_str()), "`{line}` is not in: {}", done.stderr);
    }
    let shown = run(program(&["show", &location, "latest"])).await.ok().text();
    for line in [&read, &spared] {
        assert!(shown.contains(line.as_str()), "`{line}` is not in: {shown}");
    }
    let shown = run(program(&["--json", "show", &location, "latest"])).await.ok().json();
    assert_eq!(shown["source"]["members"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_and_a_lag_that_make_no_sense_are_refused() {
    let (source, place) = (small().await, tempfile::tempdir().unwrap());
    let (uri, location) = (source.uri(), format!("file://{}", place.path().display()));
    for (option, value, told) in [("--max-rate", "0", "50MB"), ("--max-lag", "soon", "30s")] {
        let arguments = ["backup", "--uri", &uri, "--to", &location, option, value];
        run(program(&arguments)).await.failed("SR-USAGE", 2, &[option, told]);
    }
}

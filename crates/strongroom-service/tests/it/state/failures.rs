//! A database that is lost, full, or wrongly spoken to.

use std::process::Command;
use std::sync::Arc;

use strongroom_service::state::audit::AuditFilter;
use strongroom_service::state::{State, StateError, audit, deployments};
use testbed::{Postgres, small_disk};

use super::bed::{Bed, Still, first};
use super::on_both;

/// Set for the test that runs itself on a small disk: where that is.
const SMALL_DISK: &str = "STRONGROOM_TEST_SMALL_DISK";

on_both! {
    async fn a_text_with_a_nul_is_refused(bed: Bed) {
        let mut tx = bed.begin().await;
        let mut deployment = bed.deployment("a");
        deployment.address = "mongodb://a\0b".to_owned();
        // In JSON it is written as six characters, which both databases store.
        deployments::insert(&mut tx, &deployment).await.unwrap();
        let of_nul = AuditFilter { subject: Some("a\0b".to_owned()), ..AuditFilter::default() };
        let listed = audit::list(&mut tx, &of_nul, &first(1)).await;
        assert_eq!(listed.unwrap_err(), StateError::Nul);
    }

    async fn a_schema_of_a_newer_version_is_refused(bed: Bed) {
        bed.sql("INSERT INTO migrations (number, name, checksum, applied_at) VALUES (99, 'later', '', 0)").await;
        let refused = bed.open_again().await.unwrap_err();
        assert_eq!(refused, StateError::Newer { schema: 99 });
    }

    async fn a_schema_that_was_changed_is_refused(bed: Bed) {
        bed.sql("UPDATE migrations SET checksum = 'other' WHERE number = 1").await;
        let refused = bed.open_again().await.unwrap_err();
        assert!(matches!(refused, StateError::Damaged(_)), "{refused}");
    }

    async fn what_was_not_committed_is_not_there(bed: Bed) {
        let deployment = bed.deployment("a");
        let mut tx = bed.begin().await;
        deployments::insert(&mut tx, &deployment).await.unwrap();
        drop(tx);
        let mut conn = bed.reader().await;
        assert_eq!(deployments::get(&mut conn, &deployment.id).await, Ok(None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_postgres_a_server_that_is_lost_is_said_so_and_found_again() {
    let mut server = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap();
    let state = State::open(&server.url("strongroom").parse().unwrap(), Arc::new(Still)).await.unwrap();
    let mut tx = state.begin().await.unwrap();
    server = tokio::task::spawn_blocking(move || {
        server.stop();
        server
    })
    .await
    .unwrap();
    let cut = strongroom_service::state::users::any(&mut tx).await.unwrap_err();
    assert!(matches!(cut, StateError::Unavailable(_)), "{cut}");
    drop(tx);
    let gone = state.check().await.unwrap_err();
    assert!(matches!(gone, StateError::Unavailable(_)), "{gone}");
    let server = tokio::task::spawn_blocking(move || server.start_again().map(|()| server)).await.unwrap();
    let _server = server.unwrap();
    state.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_small_disk_a_full_disk_stores_nothing_more_and_loses_nothing() {
    if let Some(folder) = std::env::var_os(SMALL_DISK) {
        return fill(&std::path::Path::new(&folder).join("strongroom.db")).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let name = "state::failures::with_small_disk_a_full_disk_stores_nothing_more_and_loses_nothing";
    let script = r#"shift 2; exec "$@""#;
    let mut command: Command = small_disk::command(folder.path(), script);
    command.arg(this).args(["--exact", name, "--nocapture"]).env(SMALL_DISK, folder.path());
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
}

async fn fill(path: &std::path::Path) {
    let url = path.to_path_buf().into();
    let bed = Bed::sqlite().await;
    let state = State::open(&url, Arc::new(Still)).await.unwrap();
    let mut stored = Vec::new();
    let refused = loop {
        let mut deployment = bed.deployment(&format!("number {}", stored.len()));
        deployment.address = "x".repeat(4000);
        let mut tx = state.begin().await.unwrap();
        let inserted = deployments::insert(&mut tx, &deployment).await;
        match async { inserted.and(tx.commit().await) }.await {
            Ok(()) => stored.push(deployment.id),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, StateError::Full);
    assert!(stored.len() > 3, "{} fit", stored.len());
    state.close().await;
    drop(state);
    let state = State::open(&url, Arc::new(Still)).await.unwrap();
    let mut conn = state.reader().await.unwrap();
    for id in &stored {
        assert!(deployments::get(&mut conn, id).await.unwrap().is_some(), "{id} is lost");
    }
}

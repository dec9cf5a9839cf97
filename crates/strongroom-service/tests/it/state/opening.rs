//! Opening the state: twice, again, one of a newer program.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use strongroom_service::state::{State, StateError, StateUrl};

use super::bed::Still;

#[tokio::test]
async fn a_second_opener_of_a_file_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let url = StateUrl::from(folder.path().join("strongroom.db"));
    let first = State::open(&url, Arc::new(Still)).await.unwrap();
    let refused = State::open(&url, Arc::new(Still)).await.unwrap_err();
    assert!(matches!(refused, StateError::InUse(_)), "{refused}");
    assert!(refused.to_string().contains("strongroom.db"), "{refused}");
    first.close().await;
    drop(first);
    State::open(&url, Arc::new(Still)).await.unwrap().check().await.unwrap();
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strongroom.db");
    let _state = State::open(&path.clone().into(), Arc::new(Still)).await.unwrap();
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strongroom.db");
    std::fs::write(&path, "these are notes and no database, and there are quite a lot of them ".repeat(20))
        .unwrap();
    let refused = State::open(&path.into(), Arc::new(Still)).await.unwrap_err();
    assert!(matches!(refused, StateError::Damaged(_)), "{refused}");
}

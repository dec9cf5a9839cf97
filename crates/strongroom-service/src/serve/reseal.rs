//! A change of the master key: every secret gets its data key sealed by the first key, batch by batch. It can be cut off
//! at any point: what is sealed anew stays so, and the next start goes on.

use crate::secrets::Keyring;
use crate::state::{State, StateError, secrets};

/// Secrets of one transaction: others who write wait no longer than this takes.
const BATCH: u64 = 200;

/// Seals all secrets with the first key, and says how many were sealed with another one.
///
/// # Errors
/// [`StateError::Damaged`] if one was sealed with a key that is not here; what the database answers.
pub(super) async fn all(state: &State, keyring: &Keyring) -> Result<u64, StateError> {
    let (mut after, mut sealed) = (None, 0);
    loop {
        let mut tx = state.begin().await?;
        let done = secrets::reseal(&mut tx, keyring, after.as_ref(), BATCH).await?;
        tx.commit().await?;
        sealed += done.secrets;
        match done.next {
            Some(next) => after = Some(next),
            None => return Ok(sealed),
        }
    }
}

/// Does it and logs what came of it: then keys behind the first are not needed any more.
pub(super) async fn logged(state: &State, keyring: &Keyring) {
    let ids = keyring.ids();
    let (Some(first), others) = (ids.first(), ids.len() - 1) else { return };
    match all(state, keyring).await {
        Ok(0) if others == 0 => {}
        Ok(secrets) => {
            tracing::info!(key = %first, secrets, "all secrets are sealed with this key: older ones are not needed");
        }
        Err(error) => tracing::error!(%error, "not all secrets could be sealed with the first master key"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use chrono::{DateTime, Utc};
    use strongroom_engine::Clock;

    use super::*;
    use crate::model::Secret;
    use crate::secrets::MasterKey;

    #[derive(Debug)]
    struct Still;

    #[async_trait]
    impl Clock for Still {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }

        async fn sleep_until(&self, _: DateTime<Utc>) {
            std::future::pending::<()>().await;
        }
    }

    fn key(byte: u8) -> MasterKey {
        let mut bytes = [byte; 32];
        bytes[0] = !byte;
        MasterKey::new(&bytes).unwrap()
    }

    #[tokio::test]
    async fn every_secret_opens_with_the_new_key_alone_also_after_a_change_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("state.db").into();
        let state = State::open(&url, Arc::new(Still)).await.unwrap();
        let keyring = Keyring::new(vec![key(1)]).unwrap();
        let count = BATCH + 30;
        let mut tx = state.begin().await.unwrap();
        for number in 0..count {
            let secret = Secret::try_from(format!("hush {number}")).unwrap();
            secrets::put(&mut tx, &keyring, "deployments", &format!("{number:04}"), "uri", &secret)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();

        keyring.replace(vec![key(2), key(1)]).unwrap();
        let mut tx = state.begin().await.unwrap();
        secrets::reseal(&mut tx, &keyring, None, 10).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(all(&state, &keyring).await.unwrap(), count - 10);
        assert_eq!(all(&state, &keyring).await.unwrap(), 0);

        let new = Keyring::new(vec![key(2)]).unwrap();
        let mut conn = state.reader().await.unwrap();
        for number in 0..count {
            let found = secrets::get(&mut conn, &new, "deployments", &format!("{number:04}"), "uri").await;
            assert_eq!(found.unwrap().unwrap().expose(), format!("hush {number}"));
        }
        let missing = Keyring::new(vec![key(3)]).unwrap();
        assert!(matches!(all(&state, &missing).await, Err(StateError::Damaged(_))));
    }
}

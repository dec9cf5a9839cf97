//! Requests that may be repeated and are done once.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Actor, Error, Result, ServiceCode};
use crate::service::Service;
use crate::state::idempotency::{self, Answer};
use crate::state::{Conn, StateError, Tx};

/// What makes a repeated request give the first answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The client's key.
    pub key: String,
    /// SHA-256 of method, path and body in hexadecimal: the same key with another request is refused.
    pub request: String,
}

/// How a request that makes something begins.
pub(super) enum Begun<T> {
    /// It is done now, in this transaction.
    Now(Tx),
    /// It was done before, and this was made.
    Before(T),
}

/// Begins to make `made`. The key is taken before anything else is written, so that of two equal requests at once one waits
/// for the other, and then gets its answer.
pub(super) async fn begin<T: Serialize + DeserializeOwned>(
    service: &Service,
    actor: &Actor,
    once: Option<&Once>,
    made: &T,
) -> Result<Begun<T>> {
    let mut tx = service.state.begin().await?;
    let Some(once) = once else { return Ok(Begun::Now(tx)) };
    if let Some(before) = answered(&mut tx, service, actor, once).await? {
        return Ok(Begun::Before(before));
    }
    let body = serde_json::to_string(made).map_err(|error| Error::internal(&error.to_string()))?;
    let answer = Answer { request_hash: once.request.clone(), status: 201, body };
    match idempotency::keep(&mut tx, &actor.key(), &once.key, &answer, service.clock.now()).await {
        Ok(()) => return Ok(Begun::Now(tx)),
        Err(StateError::Taken { .. }) => drop(tx),
        Err(error) => return Err(error.into()),
    }
    let mut conn = service.state.reader().await?;
    let before = answered(&mut conn, service, actor, once).await?;
    before.map(Begun::Before).ok_or_else(|| {
        Error::new(ServiceCode::Conflict, "the same request is under way").help("Send it again.")
    })
}

async fn answered<T: DeserializeOwned>(
    conn: &mut Conn,
    service: &Service,
    actor: &Actor,
    once: &Once,
) -> Result<Option<T>> {
    let known = idempotency::find(conn, &actor.key(), &once.key, service.clock.now()).await?;
    let Some(answer) = known else { return Ok(None) };
    if answer.request_hash != once.request {
        let error = Error::new(ServiceCode::KeyReused, "this idempotency key was used for another request");
        return Err(error.help("Use a new key for each request that is not a repetition."));
    }
    serde_json::from_str(&answer.body).map(Some).map_err(|error| Error::internal(&error.to_string()))
}

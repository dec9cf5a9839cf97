//! The stream of events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures::{Stream, stream};
use http::HeaderMap;
use serde_json::json;

use super::{ApiError, ApiProblem};
use crate::control::{Actor, Credential, Seen, Watch};
use crate::service::Service;

const LAST_EVENT_ID: &str = "last-event-id";

/// Streams what changes, as server-sent events.
///
/// `change` tells that something changed, and has an id; `progress` how far a run is, and has none; after `resync` some
/// are missing, and everything is to be read anew. A browser that connects again sends the last id by itself as
/// `Last-Event-ID` and misses nothing. Every 15 seconds there is a comment. The stream ends with the session or token. A
/// user may have 20 streams at a time.
#[utoipa::path(
    get, path = "/api/v1/events", operation_id = "follow_events", tag = "events",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen.",
        max_length = 20, pattern = "^[0-9]*$")),
    responses(
        (status = 200, description = "Events.", content_type = "text/event-stream", body = String),
        (status = 429, response = ApiProblem),
    ),
)]
pub(super) async fn follow(
    State(service): State<Arc<Service>>,
    actor: Actor,
    credential: Credential,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    // An id that this service never gave is newer than all: the client begins anew.
    let last = headers.get(LAST_EVENT_ID).map(|id| id.to_str().ok().and_then(|id| id.parse().ok()));
    let last = last.map(|id| id.unwrap_or(i64::MAX));
    Ok(Sse::new(events(Watch::begin(service, actor, credential, last).await?)))
}

fn events(watch: Watch) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(watch, |mut watch| async {
        let seen = watch.next().await?;
        Some((Ok(written(&seen)), watch))
    })
}

fn written(seen: &Seen) -> Event {
    let (event, data) = match seen {
        Seen::Nothing => return Event::default().comment("alive"),
        Seen::Change(change) => {
            (Event::default().event("change").id(change.seq.to_string()), json!(**change))
        }
        Seen::Progress(run, progress) => {
            (Event::default().event("progress"), json!({ "run": run, "progress": progress }))
        }
        Seen::Resync(seq) => (Event::default().event("resync").id(seq.to_string()), json!({})),
    };
    event.data(data.to_string())
}

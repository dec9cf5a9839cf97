//! The stream of events.

use axum::body::Body;
use futures::StreamExt;
use http::{Method, Response};
use serde_json::{Value, json};
use strongroom_service::model::Role;

use super::bed::Api;

/// A stream that is read event by event.
struct Stream {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Stream {
    fn of(response: Response<Body>) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event: its kind, id and data.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let line = |name: &str| {
                    let start = format!("{name}: ");
                    event.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default().to_owned()
                };
                if event.starts_with(':') {
                    continue;
                }
                return Some((line("event"), line("id"), serde_json::from_str(&line("data")).unwrap()));
            }
            self.text += std::str::from_utf8(&self.body.next().await?.unwrap()).unwrap();
        }
    }
}

async fn follow(api: &Api, token: &str, last: Option<&str>) -> Stream {
    let call = api.get("/api/v1/events").bearer(token);
    let call = if let Some(last) = last { call.header("last-event-id", last) } else { call };
    Stream::of(call.open().await)
}

#[tokio::test]
async fn changes_are_told_as_they_happen_and_a_client_that_comes_back_misses_none() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let mut live = follow(&api, &admin, None).await;
    let made = api.deployment(&admin, "shop").await;
    let (kind, id, data) = live.next().await.unwrap();
    assert_eq!(
        (&*kind, &data["kind"], &data["subject"]),
        ("change", &json!("deployment.create"), &made["id"])
    );
    drop(live);
    api.deployment(&admin, "billing").await;
    let mut again = follow(&api, &admin, Some(&id)).await;
    let (_, next, data) = again.next().await.unwrap();
    assert_eq!(data["kind"], "deployment.create");
    assert_eq!(next.parse::<i64>().unwrap(), id.parse::<i64>().unwrap() + 1);
}

#[tokio::test]
async fn an_id_that_was_never_given_makes_the_client_begin_anew() {
    let api = Api::new().await;
    let admin = api.admin().await;
    for wrong in ["999999", "nonsense"] {
        let (kind, ..) = follow(&api, &admin, Some(wrong)).await.next().await.unwrap();
        assert_eq!(kind, "resync", "{wrong}");
    }
}

#[tokio::test]
async fn a_token_hears_nothing_of_deployments_that_it_is_not_for() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let (theirs, ours) = (api.deployment(&admin, "theirs").await, api.deployment(&admin, "ours").await);
    let scoped = api.token(Role::Viewer, false, json!({ "deployments": [ours["id"]] })).await;
    let mut stream = follow(&api, &scoped, None).await;
    for deployment in [&theirs, &ours] {
        let path = format!("/api/v1/deployments/{}", deployment["id"].as_str().unwrap());
        let patch = api.call(Method::PATCH, &path).bearer(&admin).header("if-match", "*");
        patch.json(&json!({ "runs_at_once": 2 })).send().await.must_be(200);
    }
    assert_eq!(stream.next().await.unwrap().2["subject"], ours["id"]);
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let token = api.token(Role::Viewer, false, json!({})).await;
    let mut stream = follow(&api, &token, None).await;
    let me = api.get("/api/v1/session").bearer(&token).send().await.json();
    let path = format!("/api/v1/tokens/{}", me["token"].as_str().unwrap());
    api.call(Method::DELETE, &path).bearer(&admin).send().await.must_be(204);
    while let Some((_, _, data)) = stream.next().await {
        assert_eq!(data["kind"], "token.delete", "nothing but its own end");
    }
}

#[tokio::test]
async fn a_user_has_so_many_streams_and_no_more() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(follow(&api, &admin, None).await);
    }
    let refused = api.get("/api/v1/events").bearer(&admin).send().await.must_be(429);
    assert_eq!(refused.json()["code"], "SR-TOO-MANY");
    streams.pop();
    follow(&api, &admin, None).await;
}

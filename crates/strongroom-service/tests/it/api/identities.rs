//! Signing in through the identity provider, as a browser does it.

use reqwest::Url;
use serde_json::json;
use strongroom_engine::Clock;
use strongroom_service::model::Role;

use super::bed::{Answer, Api, PASSWORD};
use crate::oidc::provider::{Next, Provider, Signed};
use crate::oidc::{claims, configure};

/// The cookies of an answer, as a browser sends them back.
fn cookies(answer: &Answer) -> String {
    let set = answer.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
    set.map(|set| set.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

/// A browser that goes to the provider, signs in as `subject` with these groups, and comes back.
async fn sign_in(api: &Api, provider: &Provider, subject: &str, groups: &[&str]) -> Answer {
    let begun = api.get("/api/v1/auth/oidc").send().await.must_be(303);
    let url = Url::parse(begun.header("location")).unwrap();
    let sent = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let mut claims = claims(provider, &sent("nonce"), api.clock.now());
    claims["sub"] = json!(subject);
    claims["groups"] = json!(groups);
    provider.answer_next(Next { claims, signed: Signed::Es256, challenge: sent("code_challenge") });
    let back = format!("/api/v1/auth/oidc/callback?code=good&state={}&session_state=x", sent("state"));
    api.get(&back).header("cookie", &cookies(&begun)).send().await
}

#[tokio::test]
async fn a_user_of_the_provider_is_made_once_and_has_the_role_that_it_gives_at_each_sign_in() {
    let provider = Provider::start().await;
    let api = Api::with(|config| configure(config, &provider)).await;
    let local = api.user("ada", Role::Admin, true, Some(PASSWORD)).await;
    let me = async |answer: &Answer| {
        api.get("/api/v1/session").header("cookie", &cookies(answer)).send().await.must_be(200).json()
    };
    let first = sign_in(&api, &provider, "user-17", &["staff"]).await.must_be(303);
    assert_eq!(first.header("location"), "/");
    let seen = me(&first).await["user"].clone();
    assert_eq!((seen["login"].as_str(), seen["role"].as_str()), (Some("ada (user-17)"), Some("viewer")));
    assert_ne!(seen["id"], json!(local.id), "nobody takes over a user of this service by a name");

    let second = sign_in(&api, &provider, "user-17", &["ops", "rescue"]).await.must_be(303);
    let again = me(&second).await["user"].clone();
    assert_eq!((&again["id"], again["role"].as_str()), (&seen["id"], Some("operator")));
    assert_eq!(again["restorer"], true);
    sign_in(&api, &provider, "user-17", &["others"]).await.must_be(401);
}

#[tokio::test]
async fn an_answer_of_the_provider_counts_only_in_the_browser_that_began() {
    let provider = Provider::start().await;
    let api = Api::with(|config| configure(config, &provider)).await;
    let begun = api.get("/api/v1/auth/oidc").send().await.must_be(303);
    let set = begun.header("set-cookie");
    assert!(set.starts_with("strongroom_sign_in=srl_") && set.contains("HttpOnly; SameSite=Lax"), "{set}");
    let url = Url::parse(begun.header("location")).unwrap();
    let state = url.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
    let back = format!("/api/v1/auth/oidc/callback?code=good&state={state}");
    let refused = api.get(&back).send().await.must_be(401).json();
    assert_eq!(refused["code"], "SR-SIGN-IN");
    let other = api.get("/api/v1/auth/oidc").send().await.must_be(303);
    api.get(&back).header("cookie", &cookies(&other)).send().await.must_be(401);
    let denied = api.get("/api/v1/auth/oidc/callback?error=access_denied").send().await.must_be(401);
    assert!(denied.text.contains("access_denied"));
    Api::new().await.get("/api/v1/auth/oidc").send().await.must_be(404);
}

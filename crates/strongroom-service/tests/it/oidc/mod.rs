//! Signing in through an identity provider.

pub(crate) mod provider;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Url;
use serde_json::{Value, json};
use strongroom_service::config::Config;
use strongroom_service::model::Role;
use strongroom_service::oidc::{Begun, Identity, Oidc, Refusal};
use strongroom_service::secrets::{Bearer, BearerKind};

use provider::{Next, Provider, SECRET, Signed};

fn now() -> DateTime<Utc> {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn config(provider: &Provider) -> Config {
    let mut config = Config::default();
    configure(&mut config, provider);
    config
}

pub(crate) fn configure(config: &mut Config, provider: &Provider) {
    config.public_url = Some("https://backups.example.com".into());
    config.oidc.issuer = Some(provider.issuer().into());
    config.oidc.client_id = Some("strongroom".into());
    config.oidc.client_secret = Some(SECRET.to_owned().try_into().unwrap());
    config.oidc.roles = [("staff".into(), Role::Viewer), ("ops".into(), Role::Operator)].into();
    config.oidc.restorers = vec!["rescue".into()];
}

/// A parameter of the URL that the browser is sent to.
fn parameter(begun: &Begun, name: &str) -> String {
    let url = Url::parse(&begun.url).unwrap();
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

pub(crate) fn claims(provider: &Provider, nonce: &str, now: DateTime<Utc>) -> Value {
    json!({
        "iss": provider.issuer(),
        "aud": "strongroom",
        "sub": "user-17",
        "nonce": nonce,
        "iat": now.timestamp(),
        "exp": (now + TimeDelta::minutes(5)).timestamp(),
        "preferred_username": "ada",
        "groups": ["staff", "ops", "rescue"],
    })
}

/// One sign-in, whose token is changed before it is signed.
async fn sign_in(signed: Signed, change: impl FnOnce(&mut Value)) -> Result<Identity, Refusal> {
    let provider = Provider::start().await;
    let oidc = Oidc::of(&config(&provider)).unwrap().unwrap();
    let begun = oidc.begin().await?;
    let mut claims = claims(&provider, &parameter(&begun, "nonce"), now());
    change(&mut claims);
    let challenge = parameter(&begun, "code_challenge");
    provider.answer_next(Next { claims, signed, challenge });
    oidc.finish(&begun.kept, "good".into(), &parameter(&begun, "state"), now()).await
}

fn is_refused(outcome: &Result<Identity, Refusal>) -> bool {
    matches!(outcome, Err(Refusal::Answer(_)))
}

#[tokio::test]
async fn a_user_signs_in_with_either_kind_of_key_and_has_the_highest_role_of_the_claim() {
    for signed in [Signed::Rs256, Signed::Es256] {
        let identity = sign_in(signed, |_| {}).await.unwrap();
        assert_eq!((identity.subject.as_str(), identity.login.as_str()), ("user-17", "ada"));
        assert_eq!((identity.role, identity.restorer), (Role::Operator, true));
    }
    let viewer = sign_in(Signed::Rs256, |claims| claims["groups"] = json!("staff")).await.unwrap();
    assert_eq!((viewer.role, viewer.restorer), (Role::Viewer, false));
    for nobody in [json!(["others"]), json!([]), json!(17), Value::Null] {
        let outcome = sign_in(Signed::Rs256, |claims| claims["groups"] = nobody).await;
        assert_eq!(outcome, Err(Refusal::NoRole));
    }
}

#[tokio::test]
async fn a_token_that_is_forged_is_refused() {
    for forged in [Signed::Not, Signed::Unknown, Signed::Hs256] {
        let outcome = sign_in(forged, |_| {}).await;
        assert!(is_refused(&outcome), "{forged:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_or_another_time_is_refused() {
    let wrong: [(&str, Value); 7] = [
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("aud", json!("another-service")),
        ("aud", json!(["strongroom", "another-service"])),
        ("iss", json!("https://another.example.com")),
        ("exp", json!((now() - TimeDelta::seconds(1)).timestamp())),
        ("iat", json!((now() + TimeDelta::hours(1)).timestamp())),
    ];
    for (claim, value) in wrong {
        let outcome = sign_in(Signed::Rs256, |claims| claims[claim] = value.clone()).await;
        assert!(is_refused(&outcome), "{claim} {value}: {outcome:?}");
    }
}

#[tokio::test]
async fn an_answer_counts_only_in_the_browser_that_asked_and_with_its_verifier() {
    let provider = Provider::start().await;
    let oidc = Oidc::of(&config(&provider)).unwrap().unwrap();
    let begun = oidc.begin().await.unwrap();
    assert_eq!(parameter(&begun, "code_challenge_method"), "S256");
    assert_eq!(parameter(&begun, "redirect_uri"), "https://backups.example.com/api/v1/auth/oidc/callback");
    assert_eq!(parameter(&begun, "scope"), "openid profile email");
    let (state, challenge) = (parameter(&begun, "state"), parameter(&begun, "code_challenge"));
    let next = Next {
        claims: claims(&provider, &parameter(&begun, "nonce"), now()),
        signed: Signed::Rs256,
        challenge,
    };

    let other = Bearer::random(BearerKind::Link).unwrap();
    assert!(is_refused(&oidc.finish(&other, "good".into(), &state, now()).await));
    assert!(is_refused(&oidc.finish(&begun.kept, "good".into(), "another", now()).await));
    provider.answer_next(Next { challenge: "another".into(), ..next.clone() });
    assert!(is_refused(&oidc.finish(&begun.kept, "good".into(), &state, now()).await));
    provider.answer_next(next.clone());
    assert!(is_refused(&oidc.finish(&begun.kept, "bad".into(), &state, now()).await));
    provider.answer_next(next);
    oidc.finish(&begun.kept, "good".into(), &state, now()).await.unwrap();
    assert!(is_refused(&oidc.finish(&begun.kept, "good".into(), &state, now()).await), "a code is used once");
}

#[tokio::test]
async fn a_provider_that_leads_elsewhere_or_where_requests_may_not_go_is_not_followed() {
    let provider = Provider::that_redirects().await;
    let oidc = Oidc::of(&config(&provider)).unwrap().unwrap();
    assert!(matches!(oidc.begin().await, Err(Refusal::Provider(_))));

    let provider = Provider::start().await;
    let mut closed = config(&provider);
    closed.egress.loopback = false;
    assert!(Oidc::of(&closed).is_err());
    let port = Url::parse(provider.issuer()).unwrap().port().unwrap();
    closed.oidc.issuer = Some(format!("http://localhost:{port}"));
    let Err(Refusal::Provider(why)) = Oidc::of(&closed).unwrap().unwrap().begin().await else {
        panic!("a name that leads to this machine was asked");
    };
    assert!(why.contains("this machine"), "{why}");
    assert!(Oidc::of(&Config::default()).unwrap().is_none());
}

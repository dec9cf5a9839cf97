//! Who may use which route.

use serde_json::{Value, json};
use strongroom_service::api::table;
use strongroom_service::model::Role;

use super::bed::Api;

/// What a route answers: it is open, or not to those who are not signed in, or forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Open,
    SignIn,
    Forbidden,
}

use To::{Forbidden as F, Open as O, SignIn as S};

/// Method and path; then nobody, viewer, operator, admin; the same three with the right to restore; an admin's token for
/// one deployment.
type Row = (&'static str, &'static str, [To; 8]);

const EVERYBODY: [To; 8] = [O; 8];
const SIGNED_IN: [To; 8] = [S, O, O, O, O, O, O, O];
const WHOLE: [To; 8] = [S, O, O, O, O, O, O, F];
const OPERATORS: [To; 8] = [S, F, O, O, F, O, O, O];
const WHOLE_OPERATORS: [To; 8] = [S, F, O, O, F, O, O, F];
const RESTORERS: [To; 8] = [S, F, F, F, F, O, O, O];
const ADMINS: [To; 8] = [S, F, F, O, F, F, O, O];
const WHOLE_ADMINS: [To; 8] = [S, F, F, O, F, F, O, F];

const EXPECTED: &[Row] = &[
    ("GET", "/api/v1/openapi.json", EVERYBODY),
    ("GET", "/api/v1/setup", EVERYBODY),
    ("POST", "/api/v1/setup", EVERYBODY),
    ("POST", "/api/v1/session", EVERYBODY),
    ("GET", "/api/v1/auth/oidc", EVERYBODY),
    ("GET", "/api/v1/auth/oidc/callback", EVERYBODY),
    ("GET", "/api/v1/session", SIGNED_IN),
    ("DELETE", "/api/v1/session", SIGNED_IN),
    ("GET", "/api/v1/sessions", WHOLE),
    ("DELETE", "/api/v1/sessions/{id}", WHOLE),
    ("GET", "/api/v1/users", WHOLE_ADMINS),
    ("POST", "/api/v1/users", WHOLE_ADMINS),
    ("GET", "/api/v1/users/{id}", WHOLE_ADMINS),
    ("PATCH", "/api/v1/users/{id}", WHOLE_ADMINS),
    ("GET", "/api/v1/tokens", WHOLE),
    ("POST", "/api/v1/tokens", SIGNED_IN),
    ("DELETE", "/api/v1/tokens/{id}", WHOLE),
    ("GET", "/api/v1/audit", WHOLE_ADMINS),
    ("GET", "/api/v1/deployments", SIGNED_IN),
    ("POST", "/api/v1/deployments", WHOLE_ADMINS),
    ("GET", "/api/v1/deployments/{id}", SIGNED_IN),
    ("PATCH", "/api/v1/deployments/{id}", ADMINS),
    ("DELETE", "/api/v1/deployments/{id}", ADMINS),
    ("POST", "/api/v1/deployments/{id}/test", OPERATORS),
    ("GET", "/api/v1/locations", WHOLE),
    ("POST", "/api/v1/locations", WHOLE_ADMINS),
    ("GET", "/api/v1/locations/{id}", WHOLE),
    ("PUT", "/api/v1/locations/{id}", WHOLE_ADMINS),
    ("DELETE", "/api/v1/locations/{id}", WHOLE_ADMINS),
    ("GET", "/api/v1/events", SIGNED_IN),
    ("GET", "/api/v1/summary", WHOLE),
    ("GET", "/api/v1/plans", SIGNED_IN),
    ("POST", "/api/v1/plans", ADMINS),
    ("POST", "/api/v1/plans/preview", ADMINS),
    ("GET", "/api/v1/plans/{id}", SIGNED_IN),
    ("PUT", "/api/v1/plans/{id}", ADMINS),
    ("DELETE", "/api/v1/plans/{id}", ADMINS),
    ("POST", "/api/v1/plans/{id}/pause", OPERATORS),
    ("POST", "/api/v1/plans/{id}/resume", OPERATORS),
    ("POST", "/api/v1/plans/{id}/run", OPERATORS),
    ("GET", "/api/v1/plans/{id}/occurrences", SIGNED_IN),
    ("GET", "/api/v1/runs", SIGNED_IN),
    ("POST", "/api/v1/runs", OPERATORS),
    ("GET", "/api/v1/runs/{id}", SIGNED_IN),
    ("POST", "/api/v1/runs/{id}/cancel", OPERATORS),
    ("GET", "/api/v1/runs/{id}/log", SIGNED_IN),
    ("POST", "/api/v1/restores/preview", RESTORERS),
    ("GET", "/api/v1/backups", SIGNED_IN),
    ("GET", "/api/v1/backups/{id}", SIGNED_IN),
    ("POST", "/api/v1/backups/{id}/hold", OPERATORS),
    ("DELETE", "/api/v1/backups/{id}/hold", ADMINS),
    ("POST", "/api/v1/backups/{id}/expire", ADMINS),
    ("POST", "/api/v1/backups/{id}/keep", OPERATORS),
    ("GET", "/api/v1/changes", WHOLE),
    ("GET", "/api/v1/changes/{id}", WHOLE),
    ("POST", "/api/v1/changes/{id}/approve", WHOLE_ADMINS),
    ("POST", "/api/v1/changes/{id}/call_back", WHOLE_OPERATORS),
    ("POST", "/api/v1/simulations", OPERATORS),
    ("GET", "/api/v1/settings", WHOLE),
    ("PUT", "/api/v1/settings", WHOLE_ADMINS),
];

#[test]
fn every_route_has_its_row_in_the_table_of_this_test() {
    let mut routes: Vec<_> = table().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let mut rows: Vec<_> = EXPECTED.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    routes.sort();
    rows.sort();
    assert_eq!(routes, rows);
}

#[tokio::test]
async fn every_route_answers_every_role_as_the_table_says() {
    let api = Api::new().await;
    let mut bearers = vec![None];
    for restorer in [false, true] {
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            bearers.push(Some(api.token(role, restorer, json!({})).await));
        }
    }
    let scope = json!({ "deployments": ["dep_01kb0s4r1q8f6v2m9c3t7x5zya"] });
    bearers.push(Some(api.token(Role::Admin, true, scope).await));
    for (method, path, expected) in EXPECTED {
        let mut found = Vec::new();
        for bearer in &bearers {
            let call = api.call(method.parse().unwrap(), &filled(path)).json(&json!({}));
            let call = if let Some(bearer) = bearer { call.bearer(bearer) } else { call };
            // The head is enough: a stream has no end.
            found.push(match call.open().await.status().as_u16() {
                401 => S,
                403 => F,
                status => {
                    assert!(status < 500, "{method} {path}: {status}");
                    O
                }
            });
        }
        assert_eq!(found, expected, "{method} {path}");
    }
}

/// The path with the id of nothing.
fn filled(path: &str) -> String {
    let kinds = [
        ("users", "usr"),
        ("tokens", "tok"),
        ("deployments", "dep"),
        ("locations", "loc"),
        ("sessions", "ses"),
        ("plans", "plan"),
        ("runs", "run"),
        ("backups", "bak"),
        ("changes", "chg"),
    ];
    let kind = kinds.iter().find(|(name, _)| path.contains(name)).map_or("", |(_, kind)| kind);
    path.replace("{id}", &format!("{kind}_01kb0s4r1q8f6v2m9c3t7x5zyb"))
}

#[tokio::test]
async fn a_token_can_do_no_more_than_its_user_may_by_now() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let other = api.admin().await;
    let me = api.get("/api/v1/session").bearer(&other).send().await.must_be(200).json();
    let id = me["user"]["id"].as_str().unwrap().to_owned();
    api.get("/api/v1/users").bearer(&other).send().await.must_be(200);
    let path = format!("/api/v1/users/{id}");
    let demoted = json!({ "role": "viewer" });
    let patch = |body: Value| {
        api.call("PATCH".parse().unwrap(), &path).bearer(&admin).header("if-match", "*").json(&body)
    };
    patch(demoted).send().await.must_be(200);
    api.get("/api/v1/users").bearer(&other).send().await.must_be(403);
    patch(json!({ "disabled": true })).send().await.must_be(200);
    api.get("/api/v1/session").bearer(&other).send().await.must_be(401);
}

#[tokio::test]
async fn nobody_makes_a_token_that_can_do_more_than_they_can() {
    let api = Api::new().await;
    let operator = api.token(Role::Operator, false, json!({})).await;
    let make = |body: Value| api.post("/api/v1/tokens").bearer(&operator).json(&body);
    let admin = json!({ "name": "a", "role": "admin" });
    let refused = make(admin).send().await.must_be(403).json();
    assert_eq!(refused["errors"][0]["field"], "role");
    make(json!({ "name": "a", "role": "viewer", "restorer": true })).send().await.must_be(403);
    let outlives = json!({ "name": "a", "role": "viewer", "days": 3650 });
    assert_eq!(make(outlives).send().await.must_be(400).json()["errors"][0]["field"], "days");
    let scoped = json!({ "deployments": ["dep_01kb0s4r1q8f6v2m9c3t7x5zya"] });
    let scoped = api.token(Role::Operator, false, scoped).await;
    let wider = json!({ "name": "a", "role": "viewer", "days": 1 });
    let refused = api.post("/api/v1/tokens").bearer(&scoped).json(&wider).send().await.must_be(403);
    assert_eq!(refused.json()["errors"][0]["field"], "deployments");
}

#[tokio::test]
async fn the_last_admin_who_can_sign_in_stays_one() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let me = api.get("/api/v1/session").bearer(&admin).send().await.json();
    let path = format!("/api/v1/users/{}", me["user"]["id"].as_str().unwrap());
    for change in [json!({ "role": "operator" }), json!({ "disabled": true })] {
        let patch = api.call("PATCH".parse().unwrap(), &path).bearer(&admin).header("if-match", "*");
        let refused = patch.json(&change).send().await.must_be(409).json();
        assert_eq!(refused["code"], "SR-CONFLICT");
    }
}

//! Signing in and out, the first admin, and requests that other sites make a browser send.

use chrono::TimeDelta;
use http::Method;
use serde_json::json;
use strongroom_service::control::setup;
use strongroom_service::model::Role;

use super::bed::{Api, PASSWORD};

/// The cookie of an answer, as a browser sends it back.
fn cookie(answer: &super::bed::Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn signed_in(api: &Api, login: &str) -> String {
    let body = json!({ "login": login, "password": PASSWORD });
    cookie(&api.post("/api/v1/session").json(&body).send().await.must_be(201))
}

#[tokio::test]
async fn the_first_admin_is_made_once_through_the_link() {
    let api = Api::new().await;
    assert_eq!(api.get("/api/v1/setup").send().await.must_be(200).json()["wanted"], true);
    let old = setup::link(&api.service).await.unwrap().unwrap();
    let link = setup::link(&api.service).await.unwrap().unwrap();
    let body = |link: &str| json!({ "link": link, "login": "ada", "password": PASSWORD });
    for wrong in ["srl_x", old.expose()] {
        api.post("/api/v1/setup").json(&body(wrong)).send().await.must_be(401);
    }
    let made = api.post("/api/v1/setup").json(&body(link.expose())).send().await.must_be(201);
    let session = cookie(&made);
    assert_eq!(made.json()["role"], "admin");
    api.get("/api/v1/users").header("cookie", &session).send().await.must_be(200);
    api.post("/api/v1/setup").json(&body(link.expose())).send().await.must_be(401);
    assert_eq!(api.get("/api/v1/setup").send().await.json()["wanted"], false);
    assert!(setup::link(&api.service).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_ends_when_it_is_signed_out_unused_or_its_password_changes() {
    let api = Api::new().await;
    let user = api.user("Ada", Role::Admin, false, Some(PASSWORD)).await;
    let me = |cookie: &str| api.get("/api/v1/session").header("cookie", cookie).send();
    let first = signed_in(&api, "ada").await;
    assert_eq!(me(&first).await.must_be(200).json()["user"]["login"], "Ada");
    let out = api.call(Method::DELETE, "/api/v1/session").header("cookie", &first);
    let out = out.header("sec-fetch-site", "same-origin").send().await.must_be(204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    me(&first).await.must_be(401);

    let idle = signed_in(&api, "ada").await;
    for _ in 0..3 {
        api.clock.forward(TimeDelta::hours(10));
        me(&idle).await.must_be(200);
    }
    api.clock.forward(TimeDelta::hours(13));
    me(&idle).await.must_be(401);

    let changed = signed_in(&api, "ada").await;
    let admin = api.admin().await;
    let patch = api.call(Method::PATCH, &format!("/api/v1/users/{}", user.id)).bearer(&admin);
    let patch = patch.header("if-match", "*").json(&json!({ "password": "another long password" }));
    patch.send().await.must_be(200);
    me(&changed).await.must_be(401);
}

#[tokio::test]
async fn one_sees_and_ends_ones_own_sessions_and_an_admin_those_of_others() {
    let api = Api::new().await;
    let ada = api.user("ada", Role::Viewer, false, Some(PASSWORD)).await;
    let (one, two) = (signed_in(&api, "ada").await, signed_in(&api, "ada").await);
    let list = api.get("/api/v1/sessions").header("cookie", &one).send().await.must_be(200).json();
    let sessions = list["items"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|session| session["current"] == false).unwrap();
    let path = format!("/api/v1/sessions/{}", other["id"].as_str().unwrap());
    let stranger = api.token(Role::Operator, false, json!({})).await;
    api.call(Method::DELETE, &path).bearer(&stranger).send().await.must_be(404);
    let of_ada = format!("/api/v1/sessions?user={}", ada.id);
    api.get(&of_ada).bearer(&stranger).send().await.must_be(403);
    let admin = api.admin().await;
    assert_eq!(api.get(&of_ada).bearer(&admin).send().await.json()["items"].as_array().unwrap().len(), 2);
    api.call(Method::DELETE, &path).bearer(&admin).send().await.must_be(204);
    api.get("/api/v1/session").header("cookie", &two).send().await.must_be(401);
    api.get("/api/v1/session").header("cookie", &one).send().await.must_be(200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_login_are_answered_alike_and_only_so_often() {
    let api = Api::new().await;
    api.user("ada", Role::Admin, false, Some(PASSWORD)).await;
    let attempt = |login: &str, address: &str| {
        let body = json!({ "login": login, "password": "wrong wrong wrong" });
        api.post("/api/v1/session").from(address).json(&body).send()
    };
    let (wrong, unknown) = (attempt("ada", "192.0.2.1").await, attempt("eve", "192.0.2.1").await);
    let detail = |answer: &super::bed::Answer| answer.json()["detail"].clone();
    assert_eq!((wrong.status.as_u16(), detail(&wrong)), (401, detail(&unknown)));
    for _ in 1..10 {
        attempt("ADA", "192.0.2.2").await.must_be(401);
    }
    let limited = attempt("ada", "192.0.2.3").await.must_be(429);
    assert_eq!(limited.json()["code"], "SR-TOO-MANY");
    let wait: i64 = limited.header("retry-after").parse().unwrap();
    let right = json!({ "login": "ada", "password": PASSWORD });
    api.post("/api/v1/session").json(&right).send().await.must_be(429);
    api.clock.forward(TimeDelta::seconds(wait));
    api.post("/api/v1/session").json(&right).send().await.must_be(201);

    for number in 0..30 {
        attempt(&format!("somebody {number}"), "192.0.2.1").await.must_be(401);
    }
    attempt("somebody else", "192.0.2.1").await.must_be(429);
    attempt("somebody else", "192.0.2.4").await.must_be(401);
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_with_the_cookie_of_a_session() {
    let api = Api::new().await;
    api.user("ada", Role::Admin, false, Some(PASSWORD)).await;
    let session = signed_in(&api, "ada").await;
    let create = |headers: &[(&str, &str)]| {
        let body =
            json!({ "name": format!("{headers:?}").len().to_string(), "uri": "mongodb://db.example/" });
        let mut call = api.post("/api/v1/deployments").header("cookie", &session).json(&body);
        for (name, value) in headers {
            call = call.header(name, value);
        }
        call.send()
    };
    let others: [&[(&str, &str)]; 5] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
    ];
    for headers in others {
        assert_eq!(create(headers).await.must_be(403).json()["code"], "SR-CROSS-SITE", "{headers:?}");
    }
    create(&[("sec-fetch-site", "same-origin")]).await.must_be(201);
    create(&[("origin", "http://backups.example.com")]).await.must_be(201);
    let sign_in = api.post("/api/v1/session").header("sec-fetch-site", "cross-site");
    sign_in.json(&json!({ "login": "ada", "password": PASSWORD })).send().await.must_be(403);
    api.get("/api/v1/users")
        .header("cookie", &session)
        .header("sec-fetch-site", "cross-site")
        .send()
        .await
        .must_be(200);
    let token = api.admin().await;
    let body = json!({ "name": "by token", "uri": "mongodb://db.example/" });
    api.post("/api/v1/deployments").bearer(&token).json(&body).send().await.must_be(201);
}

#[tokio::test]
async fn over_tls_the_cookie_is_for_this_host_alone_and_proxies_are_believed_by_name() {
    let api = Api::with(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    api.user("ada", Role::Viewer, false, Some(PASSWORD)).await;
    let body = json!({ "login": "ada", "password": PASSWORD });
    let sign_in = |peer| {
        let call = api.post("/api/v1/session").from(peer).json(&body);
        call.header("x-forwarded-proto", "https").header("x-forwarded-for", "203.0.113.9").send()
    };
    let behind = sign_in("10.0.0.1").await.must_be(201);
    let set = behind.header("set-cookie");
    assert!(
        set.starts_with("__Host-") && set.contains("; Secure") && set.contains("SameSite=Strict"),
        "{set}"
    );
    assert!(set.contains("HttpOnly") && set.contains("Path=/;") && !set.contains("Domain"), "{set}");
    assert_eq!(behind.header("strict-transport-security"), "max-age=31536000");
    let direct = sign_in("192.0.2.1").await.must_be(201);
    assert!(direct.header("set-cookie").starts_with("strongroom_session="));
    let list = api.get("/api/v1/sessions").header("cookie", &cookie(&direct)).send().await.json();
    let addresses: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|item| item["address"].clone()).collect();
    assert!(
        addresses.contains(&json!("203.0.113.9")) && addresses.contains(&json!("192.0.2.1")),
        "{addresses:?}"
    );
}

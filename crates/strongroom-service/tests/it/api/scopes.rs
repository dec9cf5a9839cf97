//! Tokens that are for certain deployments.

use serde_json::json;
use strongroom_service::model::Role;

use super::bed::Api;

#[tokio::test]
async fn a_token_sees_nothing_of_deployments_that_it_is_not_for() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let (ours, theirs) = (api.deployment(&admin, "ours").await, api.deployment(&admin, "theirs").await);
    let path = |of: &serde_json::Value| format!("/api/v1/deployments/{}", of["id"].as_str().unwrap());
    let token = api.token(Role::Admin, true, json!({ "deployments": [ours["id"]] })).await;
    let call = |method: &str, path: &str| api.call(method.parse().unwrap(), path).bearer(&token);
    let list = call("GET", "/api/v1/deployments").send().await.must_be(200);
    assert!(list.text.contains("ours") && !list.text.contains("theirs"), "{}", list.text);
    let by_name = call("GET", "/api/v1/deployments?name=theirs").send().await.json();
    assert_eq!(by_name["items"], json!([]));
    call("GET", &path(&ours)).send().await.must_be(200);
    call("GET", &path(&theirs)).send().await.must_be(404);
    call("POST", &format!("{}/test", path(&theirs))).send().await.must_be(404);
    call("DELETE", &path(&theirs)).header("if-match", "*").send().await.must_be(404);
    let rename = json!({ "name": "mine" });
    call("PATCH", &path(&theirs)).header("if-match", "*").json(&rename).send().await.must_be(404);
    api.get(&path(&theirs)).bearer(&admin).send().await.must_be(200);

    let plans_only = json!({ "plans": ["plan_01kb0s4r1q8f6v2m9c3t7x5zya"] });
    let plans_only = api.token(Role::Viewer, false, plans_only).await;
    let list = api.get("/api/v1/deployments").bearer(&plans_only).send().await.json();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn a_list_goes_on_where_its_page_ended() {
    let api = Api::new().await;
    let admin = api.admin().await;
    for name in ["a", "b", "c"] {
        api.deployment(&admin, name).await;
        api.clock.forward(chrono::TimeDelta::seconds(1));
    }
    let page = |query: String| api.get(&format!("/api/v1/deployments?limit=2{query}")).bearer(&admin).send();
    let first = page(String::new()).await.must_be(200).json();
    let names = |page: &serde_json::Value| -> Vec<String> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&first), ["c", "b"]);
    let rest = page(format!("&after={}", first["next"].as_str().unwrap())).await.json();
    assert_eq!(names(&rest), ["a"]);
    assert!(rest.get("next").is_none());
}

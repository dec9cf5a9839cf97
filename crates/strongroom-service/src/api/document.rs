//! The description of the API: OpenAPI 3.1, made from the table of routes and the types.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use utoipa::openapi::{self, Components, Content, Info, OpenApi, Paths, Ref, RefOr, ResponseBuilder};
use utoipa::{PartialSchema, ToResponse, ToSchema};

use super::routes::{Access, Route, table};
use super::{ApiProblem, PROBLEM_JSON, schema};
use crate::control::FieldError;

const ABOUT: &str = "\
Plans, runs, backups and all that belongs to them. The portal and the command line are clients of this API and use \
nothing else.\n\n\
Times are RFC 3339 in UTC. Lists have pages: `next` of one page is `after` of the following one, and is left out on the \
last. What fails answers with `application/problem+json`, whose `code` never changes its meaning.";

static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}", document()));

/// The description of this API.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "describe_api",
    tag = "service",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
pub(super) async fn show() -> Response {
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// The description, as JSON.
#[must_use]
pub fn document() -> Value {
    let mut api = OpenApi::new(info(), Paths::new());
    let mut components = Components::new();
    components.schemas.insert(ApiProblem::name().into(), ApiProblem::schema());
    components.schemas.insert(FieldError::name().into(), FieldError::schema());
    let (name, problem) = ApiProblem::response();
    components.responses.insert(name.into(), problem);
    let mut routes = table();
    for route in &mut routes {
        components.schemas.extend(std::mem::take(&mut route.made.0));
        for (path, item) in std::mem::take(&mut route.made.1.paths) {
            match api.paths.paths.get_mut(&path) {
                Some(known) => known.merge_operations(item),
                None => drop(api.paths.paths.insert(path, item)),
            }
        }
    }
    api.components = Some(components);
    let mut document = serde_json::to_value(&api).unwrap_or_default();
    for route in &routes {
        complete(&mut document, route);
    }
    document["components"]["securitySchemes"] = schemes();
    schema::put_right(&mut document);
    document
}

fn info() -> Info {
    let mut info = Info::new("Strongroom", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.into());
    info
}

impl<'r> ToResponse<'r> for ApiProblem {
    fn response() -> (&'r str, RefOr<openapi::Response>) {
        let content = Content::new(Some(Ref::from_schema_name(Self::name())));
        let described = ResponseBuilder::new().description("Why it was not done.");
        ("Problem", described.content(PROBLEM_JSON, content).build().into())
    }
}

fn schemes() -> Value {
    json!({
        "token": { "type": "http", "scheme": "bearer", "description": "An API token." },
        "session": {
            "type": "apiKey", "in": "cookie", "name": "strongroom_session",
            "description": "The session of somebody who is signed in. Over TLS its name is `__Host-strongroom_session`.",
        },
    })
}

/// Adds what follows from the table: who may use the route, and the problems it may answer with.
fn complete(document: &mut Value, route: &Route) {
    let method = route.method.as_str().to_ascii_lowercase();
    let Some(operation) = document["paths"][&route.path][&method].as_object_mut() else { return };
    let statuses = problems(operation, route);
    if let Some(answers) = operation.entry("responses").or_insert_with(|| json!({})).as_object_mut() {
        for status in statuses {
            answers.entry(status).or_insert_with(|| json!({ "$ref": "#/components/responses/Problem" }));
        }
        answers.sort_keys();
    }
    let needs = needs(route.access);
    let description = operation.get("description").and_then(Value::as_str).unwrap_or_default();
    operation.insert("description".into(), format!("{description}\n\n{needs}").trim().into());
    if route.access != Access::Public {
        operation.insert("security".into(), json!([{ "token": [] }, { "session": [] }]));
    }
}

fn problems(operation: &Map<String, Value>, route: &Route) -> Vec<&'static str> {
    let parameters = operation.get("parameters").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let has = |place: &str| parameters.iter().any(|parameter| parameter["in"] == place);
    let mut statuses = vec!["500", "503"];
    if route.access != Access::Public {
        statuses.extend(["401", "403"]);
    }
    if !parameters.is_empty() || operation.contains_key("requestBody") {
        statuses.push("400");
    }
    if has("path") {
        statuses.push("404");
    }
    if operation.contains_key("requestBody") {
        statuses.extend(["413", "415"]);
    }
    if parameters.iter().any(|parameter| parameter["name"] == "If-Match") {
        statuses.push("412");
    }
    if parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
        statuses.extend(["409", "422"]);
    }
    statuses
}

fn needs(access: Access) -> String {
    let Access::SignedIn { least, restorer, scoped } = access else {
        return "Everybody may do this.".into();
    };
    let role = least.word();
    let right = if restorer { " and the right to restore" } else { "" };
    let scope =
        if scoped { "" } else { " A token that is for certain deployments or plans may not do this." };
    format!("Needs the role `{role}`{right}.{scope}")
}

//! Which resource is meant, and lists of all.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_engine::{Code, Error};
use strongroom_service::control::ServiceCode;

use crate::failure::{Remote, RemoteCode, Result};
use crate::remote::paths::Kind;
use crate::remote::{Answer, Ask, Client};

/// Items of a page that is asked for.
const PAGE: u64 = 200;
/// No list is longer than this.
const ALL: u64 = 100_000;

/// A resource as it is, by its name or id.
pub(super) async fn find(client: &Client, kind: Kind, name: &str) -> Result<Answer> {
    let id = id(client, kind, name).await?;
    client.ask(Ask::get(kind.one(&id))).await
}

/// The id of a resource, by its name or id.
pub(super) async fn id(client: &Client, kind: Kind, name: &str) -> Result<String> {
    if kind.is_id(name) {
        return Ok(name.to_owned());
    }
    let word = kind.word();
    let Some(pointer) = kind.name() else {
        return Err(Error::new(Code::Usage, format!("`{name}` is no id of a {word}"))
            .help(format!("`strongroom {word} list` shows the ids."))
            .into());
    };
    let filter = kind.is_listed_by_name().then_some(name);
    let listed = list(client, Ask::get(kind.path()).query("name", filter), ALL).await?;
    let is_meant = |item: &&Value| {
        let known = item.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        known == name || kind == Kind::User && known.eq_ignore_ascii_case(name)
    };
    let mut found = items(&listed).iter().filter(is_meant);
    match (found.next(), found.next()) {
        (Some(one), None) => id_of(kind, one),
        (Some(_), Some(_)) => Err(Error::new(Code::Usage, format!("several have the name `{name}`"))
            .help("Give the id instead: the list shows it.")
            .into()),
        (None, _) => {
            let message = format!("there is no {word} of the name `{name}`");
            Err(Remote::new(RemoteCode::Service(ServiceCode::Missing), message).into())
        }
    }
}

/// The id of a resource that was answered.
pub(super) fn id_of(kind: Kind, found: &Value) -> Result<String> {
    let id = found["id"].as_str().filter(|id| kind.is_id(id)).map(str::to_owned);
    let wrong =
        || Remote::new(RemoteCode::Answer, format!("the {} that was answered has no id", kind.word()));
    Ok(id.ok_or_else(wrong)?)
}

/// The same, where something may be named.
pub(super) async fn maybe_id(client: &Client, kind: Kind, name: Option<&String>) -> Result<Option<String>> {
    match name {
        Some(name) => id(client, kind, name).await.map(Some),
        None => Ok(None),
    }
}

/// The items of a list, at most `limit`: all pages as one answer. `next` is there if there are more.
pub(super) async fn list(client: &Client, ask: Ask, limit: u64) -> Result<Value> {
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let wanted = (limit - all.len() as u64).min(PAGE);
        let page = ask.again().query("limit", Some(wanted.to_string())).query("after", after.clone());
        let Answer { mut value, .. } = client.ask(page).await?;
        let Value::Array(found) = value["items"].take() else {
            return Err(Remote::new(RemoteCode::Answer, "the answer is no list").into());
        };
        let next = value["next"].as_str().map(str::to_owned);
        let stands = found.is_empty() || next == after;
        all.extend(found);
        match next {
            None => return Ok(json!({ "items": all })),
            Some(next) if all.len() as u64 >= limit => return Ok(json!({ "items": all, "next": next })),
            Some(_) if stands => {
                return Err(
                    Remote::new(RemoteCode::Answer, "the pages of a list go round in a circle").into()
                );
            }
            next => after = next,
        }
    }
}

/// The items of a listed answer.
pub(super) fn items(listed: &Value) -> &[Value] {
    listed["items"].as_array().map_or(&[], Vec::as_slice)
}

/// Names by ids, where they may be listed: a token for one plan sees no list of all deployments.
pub(super) async fn names(client: &Client, kinds: &[Kind]) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for kind in kinds {
        let Ok(listed) = list(client, Ask::get(kind.path()), ALL).await else { continue };
        let Some(pointer) = kind.name() else { continue };
        names.extend(items(&listed).iter().filter_map(|item| {
            Some((item["id"].as_str()?.to_owned(), item.pointer(pointer)?.as_str()?.to_owned()))
        }));
    }
    names
}

/// A change of exactly the version that was looked at.
pub(super) fn change(method: Method, path: String, seen: &Answer) -> Ask {
    // Without a version there is none to compare.
    Ask::new(method, path).if_match(seen.tag.as_deref().unwrap_or("*"))
}

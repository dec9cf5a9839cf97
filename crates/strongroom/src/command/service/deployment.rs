//! `strongroom deployment`.

use std::path::Path;

use reqwest::Method;
use serde_json::Value;
use strongroom_engine::{Code, Error};

use super::fields::Fields;
use super::table::{self, bytes, column, shown};
use super::{secret, which};
use crate::cli::service::{Deleted, Deployment, DeploymentFields};
use crate::command::confirm;
use crate::failure::{Remote, RemoteCode, Result};
use crate::output::Output;
use crate::remote::paths::Kind;
use crate::remote::{Answer, Ask, Client};

pub(super) async fn run(client: &Client, command: Deployment, output: &Output) -> Result<()> {
    match command {
        Deployment::List(listed) => {
            let listed = which::list(client, Ask::get(Kind::Deployment.path()), listed.limit).await?;
            let state =
                shown("TEST", |item| match (&item["last_test"], item.pointer("/last_test/problem/code")) {
                    (Value::Null, _) => "never".into(),
                    (_, Some(Value::String(code))) => code.clone(),
                    _ => "ok".into(),
                });
            let columns = [
                column("NAME", "/name"),
                column("ADDRESS", "/address"),
                column("VERSION", "/last_test/server_version"),
                bytes("SIZE", "/last_test/bytes"),
                state,
                column("ID", "/id"),
            ];
            table::list(&listed, "deployments", &columns, output)
        }
        Deployment::Show(named) => {
            table::show(&which::find(client, Kind::Deployment, &named.name).await?.value, output)
        }
        Deployment::Create(new) => {
            let uri = uri(new.fields.uri_file.as_deref())?;
            let body = fields(new.fields, Some(uri)).set("name", Some(new.name)).alone();
            let made = client.ask(Ask::create(Kind::Deployment.path(), body)).await?.value;
            table::done(&made, &format!("made deployment {}", table::plain(&made["name"])), output)
        }
        Deployment::Update(changed) => {
            let uri = changed.fields.uri_file.as_deref().map(|path| secret(path, "the connection string"));
            let body = fields(changed.fields, uri.transpose()?).set("name", changed.new_name);
            something(&body)?;
            let seen = which::find(client, Kind::Deployment, &changed.which.name).await?;
            update(client, Kind::Deployment, Method::PATCH, &seen, body.alone(), output).await.map(drop)
        }
        Deployment::Delete(deleted) => delete(client, Kind::Deployment, deleted, output).await,
        Deployment::Test(named) => test(client, &named.name, output).await,
    }
}

fn fields(given: DeploymentFields, uri: Option<String>) -> Fields {
    Fields::default().set("uri", uri).set("runs_at_once", given.runs_at_once).labels(given.labels)
}

/// The connection string of a new deployment.
fn uri(file: Option<&Path>) -> Result<String> {
    match file {
        Some(path) => secret(path, "the connection string"),
        None => Ok(std::env::var("STRONGROOM_URI").map_err(|_| {
            Error::new(Code::Usage, "no MongoDB URI was given")
                .help("Set STRONGROOM_URI, or use --uri-file FILE.")
        })?),
    }
}

async fn test(client: &Client, name: &str, output: &Output) -> Result<()> {
    let id = which::id(client, Kind::Deployment, name).await?;
    let path = format!("{}/test", Kind::Deployment.one(&id));
    let found = client.ask(Ask::new(Method::POST, path)).await?.value;
    table::show(&found, output)?;
    let problem = &found["problem"];
    let Some(code) = problem["code"].as_str() else { return Ok(()) };
    let message = problem["message"].as_str().unwrap_or("it cannot be backed up");
    let mut remote = Remote::new(RemoteCode::named(code, false), message);
    remote.help = problem["help"].as_str().map(str::to_owned);
    Err(remote.into())
}

/// A change that changes nothing is a mistake.
pub(super) fn something(fields: &Fields) -> Result<()> {
    if fields.is_empty() {
        return Err(Error::new(Code::Usage, "nothing was named that is to be changed")
            .help("`--help` lists what can be changed.")
            .into());
    }
    Ok(())
}

/// Changes what was `seen`, if it is still so.
pub(super) async fn update(
    client: &Client,
    kind: Kind,
    method: Method,
    seen: &Answer,
    body: Value,
    output: &Output,
) -> Result<Value> {
    let id = which::id_of(kind, &seen.value)?;
    let changed = client.ask(which::change(method, kind.one(&id), seen).body(body)).await?.value;
    table::done(&changed, &format!("changed {} {id}", kind.word()), output)?;
    Ok(changed)
}

/// Deletes one, after a person agreed.
pub(super) async fn delete(client: &Client, kind: Kind, deleted: Deleted, output: &Output) -> Result<()> {
    let seen = which::find(client, kind, &deleted.name).await?;
    let id = which::id_of(kind, &seen.value)?;
    if !deleted.yes {
        confirm(&format!("Delete {} {}?", kind.word(), deleted.name), "nothing was deleted", output)?;
    }
    client.ask(which::change(Method::DELETE, kind.one(&id), &seen)).await?;
    let answer = serde_json::json!({ "deleted": id });
    table::done(&answer, &format!("deleted {} {}", kind.word(), deleted.name), output)
}

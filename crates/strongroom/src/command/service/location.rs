//! `strongroom location`.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::deployment::{delete, something, update};
use super::fields::Fields;
use super::table::{self, column, shown};
use super::{credentials, watch, which};
use crate::cli::service::{Location, LocationFields};
use crate::failure::Result;
use crate::output::Output;
use crate::remote::paths::Kind;
use crate::remote::{Ask, Client};

pub(super) async fn run(client: &Client, command: Location, output: &Output) -> Result<()> {
    match command {
        Location::List(listed) => {
            let listed = which::list(client, Ask::get(Kind::Location.path()), listed.limit).await?;
            let proof = shown("PROOF", |item| match item.pointer("/last_proof/passed") {
                Some(Value::Bool(true)) => format!("passed {}", table::plain(&item["last_proof"]["at"])),
                Some(Value::Bool(false)) => format!("FAILED {}", table::plain(&item["last_proof"]["at"])),
                _ => "never".into(),
            });
            let columns = [
                column("NAME", "/name"),
                column("LOCATION", "/location"),
                column("ACCESS", "/bucket/access"),
                column("ENCRYPTION", "/bucket/encryption"),
                proof,
                column("ID", "/id"),
            ];
            table::list(&listed, "locations", &columns, output)
        }
        Location::Show(named) => {
            table::show(&which::find(client, Kind::Location, &named.name).await?.value, output)
        }
        Location::Create(new) => {
            let body = fields(new.fields)?.set("name", Some(new.name)).alone();
            let made = client.ask(Ask::create(Kind::Location.path(), body)).await?.value;
            table::done(&made, &format!("made location {}", table::plain(&made["name"])), output)
        }
        Location::Update(changed) => {
            let fields = fields(changed.fields)?.set("name", changed.new_name);
            something(&fields)?;
            let seen = which::find(client, Kind::Location, &changed.which.name).await?;
            let body = fields.onto(settable(&seen.value));
            update(client, Kind::Location, Method::PUT, &seen, body, output).await.map(drop)
        }
        Location::Delete(deleted) => delete(client, Kind::Location, deleted, output).await,
        Location::Prove(proven) => {
            let location = which::id(client, Kind::Location, &proven.which.name).await?;
            watch::start(client, json!({ "kind": "prove", "location": location }), &proven.wait, output).await
        }
    }
}

/// What of a location is set, and not found out. The secrets of its keys are not there, and stay.
fn settable(location: &Value) -> Value {
    const SET: [&str; 12] = [
        "name",
        "location",
        "endpoint",
        "region",
        "expected_owner",
        "checksum",
        "bucket",
        "credentials",
        "restorer",
        "pruner",
        "labels",
        "runs_at_once",
    ];
    let set = SET.iter().filter(|name| !location[**name].is_null());
    set.map(|name| ((*name).to_owned(), location[*name].clone())).collect::<Map<_, _>>().into()
}

fn fields(given: LocationFields) -> Result<Fields> {
    Ok(Fields::default()
        .set("location", given.location)
        .or_none("endpoint", given.endpoint)
        .or_none("region", given.region)
        .or_none("expected_owner", given.expected_owner)
        .set("checksum", given.checksum)
        .set("bucket.access", given.access)
        .set("bucket.versioned", given.versioned)
        .set("bucket.encryption", given.encryption)
        .set("bucket.header_required", given.header_required)
        .or_none("bucket.object_lock", given.object_lock)
        .set("bucket.dialect", given.dialect)
        .set("runs_at_once", given.runs_at_once)
        .set("credentials", credentials::chosen(given.credentials)?)
        .set("restorer", credentials::from_file(given.restorer_file.as_deref())?)
        .set("pruner", credentials::from_file(given.pruner_file.as_deref())?)
        .labels(given.labels))
}

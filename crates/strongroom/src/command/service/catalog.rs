//! `strongroom catalog`: the backups that a service knows.

use reqwest::Method;
use serde_json::{Value, json};

use super::table::{self, bytes, column, shown};
use super::{change, which};
use crate::cli::service::{Backups, Catalog};
use crate::command::confirm;
use crate::failure::Result;
use crate::output::Output;
use crate::remote::paths::Kind;
use crate::remote::{Ask, Client};

pub(super) async fn run(client: &Client, command: Catalog, output: &Output) -> Result<()> {
    match command {
        Catalog::List(backups) => list(client, backups, output).await,
        Catalog::Show(named) => {
            table::show(&which::find(client, Kind::Backup, &named.name).await?.value, output)
        }
        Catalog::Hold(held) => {
            let path = format!("{}/hold", one(client, &held.which.name).await?);
            let reason = json!({ "reason": held.reason });
            let backup = client.ask(Ask::new(Method::POST, path).body(reason)).await?.value;
            table::done(&backup, &format!("backup {} is held", held.which.name), output)
        }
        Catalog::Release(named) => {
            let path = format!("{}/hold", one(client, &named.name).await?);
            let answer = client.ask(Ask::new(Method::DELETE, path)).await?.value;
            let line = match answer.is_null() {
                true => format!("backup {} is not held any more", named.name),
                false => format!("backup {} is still held", named.name),
            };
            table::done(&answer, &line, output)?;
            change::say_what_waits(&answer, output);
            Ok(())
        }
        Catalog::Expire(deleted) => {
            let path = format!("{}/expire", one(client, &deleted.name).await?);
            if !deleted.yes {
                confirm(&format!("Let backup {} expire?", deleted.name), "nothing was changed", output)?;
            }
            let backup = client.ask(Ask::new(Method::POST, path)).await?.value;
            let line =
                format!("backup {} is deleted after {}", deleted.name, table::plain(&backup["sweep_after"]));
            table::done(&backup, &line, output)
        }
        Catalog::Keep(named) => {
            let path = format!("{}/keep", one(client, &named.name).await?);
            let backup = client.ask(Ask::new(Method::POST, path)).await?.value;
            table::done(&backup, &format!("backup {} is kept", named.name), output)
        }
    }
}

async fn one(client: &Client, name: &str) -> Result<String> {
    Ok(Kind::Backup.one(&which::id(client, Kind::Backup, name).await?))
}

async fn list(client: &Client, backups: Backups, output: &Output) -> Result<()> {
    let ask = Ask::get(Kind::Backup.path())
        .query("plan", which::maybe_id(client, Kind::Plan, backups.plan.as_ref()).await?)
        .query("deployment", which::maybe_id(client, Kind::Deployment, backups.deployment.as_ref()).await?)
        .query("location", which::maybe_id(client, Kind::Location, backups.location.as_ref()).await?)
        .query("state", backups.state);
    let listed = which::list(client, ask, backups.listed.limit).await?;
    let columns = [
        column("BACKUP", "/name"),
        column("PLAN", "/folder"),
        column("FINISHED", "/finished_at"),
        column("DOCUMENTS", "/documents"),
        bytes("STORED", "/stored_bytes"),
        shown("STATE", state),
        column("VERIFIED", "/verified_at"),
    ];
    table::list(&listed, "backups", &columns, output)
}

fn state(backup: &Value) -> String {
    let state = table::plain(&backup["state"]);
    let held = backup["holds"].as_array().is_some_and(|holds| !holds.is_empty());
    let incomplete = backup["complete"] == false;
    let more = [held.then_some("held"), incomplete.then_some("incomplete")];
    [Some(state.as_str())].into_iter().chain(more).flatten().collect::<Vec<_>>().join(", ")
}

//! `strongroom run`: what a service does and did.

use reqwest::Method;
use serde_json::json;

use super::table::{self, column, shown};
use super::{restore, watch, which};
use crate::cli::service::{Run, Runs};
use crate::failure::Result;
use crate::output::Output;
use crate::remote::paths::Kind;
use crate::remote::{Ask, Client};

pub(super) async fn run(client: &Client, command: Run, output: &Output) -> Result<()> {
    match command {
        Run::List(runs) => list(client, runs, output).await,
        Run::Show(named) => table::show(&which::find(client, Kind::Run, &named.name).await?.value, output),
        Run::Log(log) => {
            let id = which::id(client, Kind::Run, &log.which.name).await?;
            let lines =
                which::list(client, Ask::get(format!("{}/log", Kind::Run.one(&id))), log.listed.limit)
                    .await?;
            let columns = [
                column("AT", "/at"),
                column("LEVEL", "/level"),
                column("CODE", "/code"),
                column("MESSAGE", "/message"),
            ];
            table::list(&lines, "lines", &columns, output)
        }
        Run::Watch(named) => {
            let id = which::id(client, Kind::Run, &named.name).await?;
            watch::until_it_ends(client, &id, output).await
        }
        Run::Cancel(named) => {
            let id = which::id(client, Kind::Run, &named.name).await?;
            let run =
                client.ask(Ask::new(Method::POST, format!("{}/cancel", Kind::Run.one(&id)))).await?.value;
            let line = match run["state"].as_str() {
                Some("cancelled") => format!("{id} is cancelled"),
                _ => format!("{id} was asked to stop"),
            };
            table::done(&run, &line, output)
        }
        Run::Verify(verify) => {
            let backup = which::id(client, Kind::Backup, &verify.backup).await?;
            watch::start(client, json!({ "kind": "verify", "backup": backup }), &verify.wait, output).await
        }
        Run::Restore(options) => restore::run(client, *options, output).await,
    }
}

async fn list(client: &Client, runs: Runs, output: &Output) -> Result<()> {
    let ask = Ask::get(Kind::Run.path())
        .query("plan", which::maybe_id(client, Kind::Plan, runs.plan.as_ref()).await?)
        .query("deployment", which::maybe_id(client, Kind::Deployment, runs.deployment.as_ref()).await?)
        .query("location", which::maybe_id(client, Kind::Location, runs.location.as_ref()).await?)
        .query("state", runs.state)
        .query("kind", runs.kind);
    let listed = which::list(client, ask, runs.listed.limit).await?;
    let names = which::names(client, &[Kind::Plan, Kind::Deployment, Kind::Location]).await;
    let columns = [
        column("ID", "/id"),
        column("KIND", "/request/kind"),
        shown("OF", move |item| {
            let ids = ["plan", "deployment", "location"].into_iter().filter_map(|name| item[name].as_str());
            ids.map(|id| names.get(id).map_or(id, String::as_str).to_owned()).next().unwrap_or_default()
        }),
        column("STATE", "/state"),
        column("STARTED", "/started_at"),
        column("ENDED", "/ended_at"),
        column("WHY", "/problem/code"),
    ];
    table::list(&listed, "runs", &columns, output)
}

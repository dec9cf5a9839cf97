//! `strongroom change`: what loosens something waits.

use reqwest::Method;
use serde_json::Value;

use super::table::{self, column, shown};
use super::which;
use crate::cli::service::Change;
use crate::failure::Result;
use crate::output::Output;
use crate::remote::paths::Kind;
use crate::remote::{Ask, Client};

pub(super) async fn run(client: &Client, command: Change, output: &Output) -> Result<()> {
    match command {
        Change::List(changes) => {
            let ask = Ask::get(Kind::Change.path()).query("state", changes.state);
            let listed = which::list(client, ask, changes.listed.limit).await?;
            let columns = [
                column("ID", "/id"),
                shown("STATE", |item| match &item["approval_wanted"] {
                    Value::Bool(true) if item["state"] == "waiting" => "wants a second admin".into(),
                    _ => table::plain(&item["state"]),
                }),
                column("EFFECTIVE", "/effective_at"),
                column("WHAT", "/what/kind"),
                column("LOOSENS", "/loosens"),
            ];
            table::list(&listed, "changes", &columns, output)
        }
        Change::Show(named) => {
            table::show(&which::find(client, Kind::Change, &named.name).await?.value, output)
        }
        Change::Approve(named) => decide(client, &named.name, "approve", output).await,
        Change::CallBack(named) => decide(client, &named.name, "call_back", output).await,
    }
}

async fn decide(client: &Client, name: &str, what: &str, output: &Output) -> Result<()> {
    let id = which::id(client, Kind::Change, name).await?;
    let path = format!("{}/{what}", Kind::Change.one(&id));
    let change = client.ask(Ask::new(Method::POST, path)).await?.value;
    let line = match what {
        "approve" => format!("agreed; it takes effect at {}", table::plain(&change["effective_at"])),
        _ => "called back; nothing was changed".into(),
    };
    table::done(&change, &line, output)
}

/// What of a change of a plan waits.
pub(super) fn say_what_waits(change: &Value, output: &Output) {
    let Some(id) = change["id"].as_str().filter(|id| Kind::Change.is_id(id)) else { return };
    let when = match change["approval_wanted"].as_bool() {
        Some(true) => {
            format!("waits for a second admin, and until {}", table::plain(&change["effective_at"]))
        }
        _ => format!("waits until {}", table::plain(&change["effective_at"])),
    };
    output.remark(&format!(
        "what loosens something {when}: {}. `strongroom change call-back {id}` calls it back",
        table::plain(&change["loosens"])
    ));
}

//! `strongroom run restore`: shows what will be done, and does exactly that.

use std::io::{self, BufRead, IsTerminal};

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_engine::{Code, Error};

use super::fields::Fields;
use super::{table, watch, which};
use crate::cli::service::Restore;
use crate::command::confirm;
use crate::failure::{Remote, RemoteCode, Result};
use crate::output::Output;
use crate::remote::paths::{self, Kind};
use crate::remote::{Ask, Client};

pub(super) async fn run(client: &Client, options: Restore, output: &Output) -> Result<()> {
    let backup = which::id(client, Kind::Backup, &options.backup).await?;
    let target = which::find(client, Kind::Deployment, &options.target).await?.value;
    let id = which::id_of(Kind::Deployment, &target)?;
    let settings = settings(&options);
    let asked = json!({ "backup": backup, "target": id, "settings": settings });
    let preview = client.ask(Ask::new(Method::POST, paths::RESTORE_PREVIEW).body(asked)).await?.value;
    let digest = preview["digest"].as_str().map(str::to_owned);
    let digest = digest
        .ok_or_else(|| Remote::new(RemoteCode::Answer, "the preview that was answered has no digest"))?;
    if options.confirm.dry_run {
        return table::show(&preview, output);
    }
    if preview["can_run"] == false {
        let message = format!("collections of {} exist, and nothing was said about them", options.target);
        output.remark(table::outlined(&preview).trim_end());
        return Err(Error::new(Code::TargetNotEmpty, message)
            .help("Choose with --existing drop or --existing keep, restore under other names with --rename, or leave them out with --exclude.")
            .into());
    }
    // Stdout is for the answer.
    output.remark(table::outlined(&preview).trim_end());
    let typed = agreed(&options, &preview, target["name"].as_str().unwrap_or_default(), output)?;
    let request = json!({
        "kind": "restore", "backup": backup, "target": id, "settings": settings,
        "preview": digest, "confirm_target": typed,
    });
    watch::start(client, request, &options.wait, output).await
}

fn settings(options: &Restore) -> Value {
    Fields::default()
        .list("include", options.include.clone())
        .list("exclude", options.exclude.clone())
        .list("rename", options.rename.clone())
        .set("existing", Some(options.existing.as_str()))
        .set("collection_options", Some(options.collection_options.as_str()))
        .set("indexes", Some(options.indexes.as_str()))
        .set("users", Some(options.users.as_str()))
        .set("ttl", Some(options.ttl.as_str()))
        .set("at", options.at.clone())
        .alone()
}

/// The name of the target, as a person typed it, where collections are replaced; else a plain yes.
fn agreed(options: &Restore, preview: &Value, name: &str, output: &Output) -> Result<Option<String>> {
    if let Some(typed) = &options.confirm.confirm_target {
        return Ok(Some(typed.clone()));
    }
    if !overwrites(options, preview) {
        if !options.confirm.yes {
            confirm(&format!("Restore into {name}?"), "nothing was restored", output)?;
        }
        return Ok(None);
    }
    if !io::stdin().is_terminal() {
        return Err(Error::new(
            Code::Usage,
            format!("this replaces collections of {name}, and nobody can confirm it"),
        )
        .help("Pass --confirm-target with the name of the target.")
        .into());
    }
    output.remark(&format!("This replaces collections of {name}. Type its name to go ahead:"));
    let mut typed = String::new();
    match io::stdin().lock().read_line(&mut typed) {
        Ok(_) if typed.trim() == name => Ok(Some(name.to_owned())),
        _ => Err(Error::new(Code::Cancelled, "nothing was restored").into()),
    }
}

/// Whether anything that exists is replaced: as the service says, or because it was asked for.
fn overwrites(options: &Restore, preview: &Value) -> bool {
    preview["replaces"].as_bool().unwrap_or(false) || options.existing == "drop"
}

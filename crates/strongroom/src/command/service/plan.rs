//! `strongroom plan`.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_engine::{Code, Error};

use super::deployment::{something, update};
use super::fields::{Fields, quiet_hours};
use super::table::{self, bytes, column, shown};
use super::{change, watch, which};
use crate::cli::service::{NewPlan, Plan, PlanFields, Plans, ScheduleFields, Simulate};
use crate::command::confirm;
use crate::failure::Result;
use crate::output::Output;
use crate::remote::paths::{self, Kind};
use crate::remote::{Ask, Client};

pub(super) async fn run(client: &Client, command: Plan, output: &Output) -> Result<()> {
    match command {
        Plan::List(plans) => list(client, plans, output).await,
        Plan::Show(named) => table::show(&which::find(client, Kind::Plan, &named.name).await?.value, output),
        Plan::Create(new) => create(client, *new, output).await,
        Plan::Update(changed) => {
            let seen = which::find(client, Kind::Plan, &changed.which.name).await?;
            let settings = seen.value["settings"].clone();
            let fields =
                fields(client, changed.fields, &settings["schedule"]).await?.set("name", changed.new_name);
            something(&fields)?;
            let changed =
                update(client, Kind::Plan, Method::PUT, &seen, fields.onto(settings), output).await?;
            change::say_what_waits(&changed["waiting"], output);
            Ok(())
        }
        Plan::Delete(deleted) => {
            let seen = which::find(client, Kind::Plan, &deleted.which.name).await?;
            let id = which::id_of(Kind::Plan, &seen.value)?;
            if !deleted.yes {
                let backups =
                    if deleted.backups == "keep" { "Its backups stay" } else { "Its backups expire" };
                confirm(
                    &format!("{backups}. Delete plan {}?", deleted.which.name),
                    "nothing was deleted",
                    output,
                )?;
            }
            let ask = which::change(Method::DELETE, Kind::Plan.one(&id), &seen);
            let answer = client.ask(ask.query("backups", Some(deleted.backups))).await?.value;
            let word = if answer.is_null() { "deleted plan" } else { "the deletion waits of plan" };
            table::done(&answer, &format!("{word} {}", deleted.which.name), output)?;
            change::say_what_waits(&answer, output);
            Ok(())
        }
        Plan::Pause(named) => switch(client, &named.name, "pause", output).await,
        Plan::Resume(named) => switch(client, &named.name, "resume", output).await,
        Plan::Run(asked) => {
            let plan = which::id(client, Kind::Plan, &asked.which.name).await?;
            watch::start(client, json!({ "kind": "backup", "plan": plan }), &asked.wait, output).await
        }
        Plan::Next(next) => {
            let id = which::id(client, Kind::Plan, &next.which.name).await?;
            let path = format!("{}/occurrences", Kind::Plan.one(&id));
            let answer = client.ask(Ask::get(path).query("limit", Some(next.limit.to_string()))).await?.value;
            let time = shown("TIME", |item| table::plain(item.get("at").unwrap_or(item)));
            table::list(&answer, "runs to come", &[time], output)
        }
        Plan::Simulate(simulated) => simulate(client, simulated, output).await,
    }
}

async fn list(client: &Client, plans: Plans, output: &Output) -> Result<()> {
    let deployment = which::maybe_id(client, Kind::Deployment, plans.deployment.as_ref()).await?;
    let location = which::maybe_id(client, Kind::Location, plans.location.as_ref()).await?;
    let ask = Ask::get(Kind::Plan.path()).query("deployment", deployment).query("location", location);
    let listed = which::list(client, ask, plans.listed.limit).await?;
    let names = which::names(client, &[Kind::Deployment, Kind::Location]).await;
    let others = names.clone();
    let name_of = |names: &std::collections::BTreeMap<String, String>, id: &Value| {
        let id = id.as_str().unwrap_or_default();
        names.get(id).cloned().unwrap_or_else(|| id.to_owned())
    };
    let columns = [
        column("NAME", "/settings/name"),
        shown("DEPLOYMENT", move |item| name_of(&names, &item["settings"]["deployment"])),
        shown("LOCATION", move |item| name_of(&others, &item["settings"]["location"])),
        shown("NEXT", |item| match item.pointer("/settings/paused") {
            Some(Value::Bool(true)) => "paused".into(),
            _ => table::plain(&item["status"]["next_due"]),
        }),
        column("LAST GOOD", "/status/last_good_at"),
        column("LAST PROVEN", "/status/last_proven_at"),
        shown("STATE", state),
    ];
    table::list(&listed, "plans", &columns, output)
}

/// What somebody should look at.
fn state(plan: &Value) -> String {
    let status = &plan["status"];
    let mut said = Vec::new();
    if let Some(code) = status.pointer("/refused_by_bucket/code") {
        said.push(format!("its bucket refuses it ({})", table::plain(code)));
    }
    if let Some(code) = status.pointer("/last_problem/code") {
        said.push(format!("failed ({})", table::plain(code)));
    }
    if status["waiting_changes"].as_array().is_some_and(|changes| !changes.is_empty()) {
        said.push("a change waits".into());
    }
    if said.is_empty() { "ok".into() } else { said.join("; ") }
}

async fn create(client: &Client, new: NewPlan, output: &Output) -> Result<()> {
    let fields = fields(client, new.fields, &Value::Null).await?;
    let body = fields.set("name", Some(new.name)).set("folder", new.folder).alone();
    let made = client.ask(Ask::create(Kind::Plan.path(), body)).await?.value;
    let next = table::plain(&made["status"]["next_due"]);
    let when = if next.is_empty() { String::new() } else { format!("; it runs next at {next}") };
    let line = format!("made plan {}{when}", table::plain(&made["settings"]["name"]));
    table::done(&made, &line, output)?;
    if let Some(message) = made.pointer("/status/refused_by_bucket/message").and_then(Value::as_str) {
        output.remark(&format!("warning: its bucket would refuse what it stores: {message}"));
    }
    Ok(())
}

async fn fields(client: &Client, given: PlanFields, old: &Value) -> Result<Fields> {
    let PlanFields { deployment, location, schedule: times, backup, retention, running, labels, paused } =
        given;
    let quiet = running.quiet_hours.map(quiet_hours);
    Ok(Fields::default()
        .set("deployment", which::maybe_id(client, Kind::Deployment, deployment.as_ref()).await?)
        .set("location", which::maybe_id(client, Kind::Location, location.as_ref()).await?)
        .set("schedule", schedule(times, old)?)
        .list("backup.include", backup.include)
        .list("backup.exclude", backup.exclude)
        .set("backup.encryption", backup.encryption)
        .set("backup.consistency", backup.consistency)
        .set("backup.compression", backup.compression)
        .or_none("backup.readers", backup.readers)
        .set("backup.max_lag", backup.max_lag)
        .or_none("backup.max_rate", backup.max_rate)
        .or_none("retention.last", retention.last)
        .or_none("retention.max_age_days", retention.max_age_days)
        .or_none("retention.hourly", retention.hourly)
        .or_none("retention.daily", retention.daily)
        .or_none("retention.weekly", retention.weekly)
        .or_none("retention.monthly", retention.monthly)
        .or_none("retention.yearly", retention.yearly)
        .or_none("running.start_within_minutes", running.start_within_minutes)
        .set("running.catch_up", running.catch_up)
        .set("running.attempts", running.attempts)
        .set("running.retry_after_seconds", running.retry_after_seconds)
        .or_none("running.deadline_minutes", running.deadline_minutes)
        .set("running.quiet_hours", quiet)
        .labels(labels)
        .set("paused", paused))
}

/// The schedule; what is not given of it is as in the old one, if that is of the same kind.
fn schedule(given: ScheduleFields, old: &Value) -> Result<Option<Value>> {
    let ScheduleFields { cron, once, every, anchor, zone } = given;
    let old_of = |kind: &str, name: &str| if old["kind"] == kind { old[name].clone() } else { Value::Null };
    let zone_or_old = |zone: Option<String>| zone.map_or_else(|| old["zone"].clone(), Value::from);
    let utc = |zone: Value| if zone.is_null() { "UTC".into() } else { zone };
    if let Some(pattern) = cron {
        return Ok(Some(json!({ "kind": "cron", "pattern": pattern, "zone": utc(zone_or_old(zone)) })));
    }
    if let Some(at) = once {
        let at = if at == "now" { Value::Null } else { at.into() };
        return Ok(Some(json!({ "kind": "once", "at": at, "zone": utc(zone_or_old(zone)) })));
    }
    if every.is_some() || anchor.is_some() {
        let anchor = anchor.map_or_else(|| old_of("every", "anchor"), Value::from);
        let hours = every.map_or_else(|| old_of("every", "hours"), Value::from);
        if anchor.is_null() || hours.is_null() {
            return Err(Error::new(Code::Usage, "--every and --anchor belong together")
                .help("Such as --every 6 --anchor 2026-12-01T02:00:00Z.")
                .into());
        }
        return Ok(Some(
            json!({ "kind": "every", "hours": hours, "anchor": anchor, "zone": utc(zone_or_old(zone)) }),
        ));
    }
    match (zone, old) {
        (None, _) => Ok(None),
        (Some(zone), Value::Object(_)) => {
            let mut schedule = old.clone();
            schedule["zone"] = zone.into();
            Ok(Some(schedule))
        }
        (Some(_), _) => Err(Error::new(Code::Usage, "--zone needs --cron, --once or --every").into()),
    }
}

async fn switch(client: &Client, name: &str, what: &str, output: &Output) -> Result<()> {
    let id = which::id(client, Kind::Plan, name).await?;
    let path = format!("{}/{what}", Kind::Plan.one(&id));
    let plan = client.ask(Ask::new(Method::POST, path)).await?.value;
    let next = table::plain(&plan["status"]["next_due"]);
    let line = match what {
        "pause" => format!("plan {name} is paused"),
        _ if next.is_empty() => format!("plan {name} is resumed"),
        _ => format!("plan {name} is resumed; it runs next at {next}"),
    };
    table::done(&plan, &line, output)
}

async fn simulate(client: &Client, simulated: Simulate, output: &Output) -> Result<()> {
    let id = which::id(client, Kind::Plan, &simulated.which.name).await?;
    let at = if simulated.at.contains('T') { simulated.at } else { format!("{}T00:00:00Z", simulated.at) };
    let asked = json!({ "plan": id, "scenario": { "until": at } });
    let found = client.ask(Ask::new(Method::POST, paths::SIMULATIONS).body(asked)).await?.value;
    Ok(output.answer(&found, &foreseen(&found))?)
}

/// What there will be: each backup with its reasons, and what they cost.
fn foreseen(found: &Value) -> String {
    let columns = [
        column("BACKUP OF", "/at"),
        bytes("STORED", "/bytes"),
        shown("STATE", |item| match item["expired_at"].is_string() {
            true => format!("deleted {}", table::plain(&item["swept_at"])),
            false => "kept".into(),
        }),
        column("WHY", "/reasons"),
    ];
    let backups = found["backups"].as_array().map_or(&[][..], Vec::as_slice);
    let (count, size) = (backups.len() as u64, found["bytes"].as_u64().unwrap_or(0));
    let (count, size) = (crate::words::count(count, "backup"), crate::words::size(size));
    let cost = found["total_micros"].as_f64().unwrap_or(0.0) / 1e6;
    format!(
        "{}at {} there are {count}, {size}; until then it costs {cost:.2} {}\nsizes: {}\n",
        table::tabled(backups, "backups", &columns),
        table::plain(&found["until"]),
        table::plain(&found["currency"]),
        table::plain(&found["sizes"])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(change: impl Fn(&mut ScheduleFields)) -> ScheduleFields {
        let mut given = ScheduleFields { cron: None, once: None, every: None, anchor: None, zone: None };
        change(&mut given);
        given
    }

    #[test]
    fn a_schedule_keeps_what_is_not_given() {
        let old =
            json!({"kind": "every", "hours": 6, "anchor": "2026-12-01T02:00:00Z", "zone": "Europe/Berlin"});
        let new = |change: fn(&mut ScheduleFields)| schedule(given(change), &old).unwrap();
        assert_eq!(new(|_| ()), None);
        let hours = new(|given| given.every = Some(12)).unwrap();
        let expected =
            json!({"kind": "every", "hours": 12, "anchor": "2026-12-01T02:00:00Z", "zone": "Europe/Berlin"});
        assert_eq!(hours, expected);
        let cron = new(|given| given.cron = Some("0 2 * * *".into())).unwrap();
        assert_eq!(cron, json!({"kind": "cron", "pattern": "0 2 * * *", "zone": "Europe/Berlin"}));
        assert_eq!(new(|given| given.zone = Some("UTC".into())).unwrap()["hours"], 6);
    }

    #[test]
    fn a_new_schedule_is_whole_or_refused() {
        let new = |change: fn(&mut ScheduleFields)| schedule(given(change), &Value::Null);
        assert_eq!(new(|given| given.once = Some("now".into())).unwrap().unwrap()["at"], Value::Null);
        assert!(new(|given| given.every = Some(6)).is_err());
        assert!(new(|given| given.zone = Some("UTC".into())).is_err());
    }
}

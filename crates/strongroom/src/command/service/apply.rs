//! `strongroom apply` and `strongroom export`: plans, deployments and locations as a file says.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use strongroom_engine::{Code, Error};
use strongroom_service::desired::{self, Action, Choice, Desired, Existing, Resolve, SecretFrom, Step};
use strongroom_service::loosening;
use strongroom_service::model::{DeploymentId, LocationId, Name, NewPlan, Plan};

use super::{change, credentials, table, which};
use crate::cli::service::{Apply, Export};
use crate::command::confirm;
use crate::failure::{Remote, RemoteCode, Result};
use crate::output::Output;
use crate::remote::paths::Kind;
use crate::remote::{Answer, Ask, Client};
use crate::words::{count, in_line};

/// So many of a kind are read.
const EACH_MAX: u64 = desired::EACH_MAX as u64;

pub(super) async fn apply(client: &Client, options: &Apply, output: &Output) -> Result<()> {
    let want = desired::read(&text(&options.file)?).map_err(|why| wrong(&options.file, &why))?;
    let existing = existing(client).await?;
    let have = Desired::of(&existing).map_err(|why| unreadable(&why))?;
    let choice = Choice { delete: options.prune, secrets: options.secrets };
    let mut steps = desired::steps(&have, &want, choice).map_err(|why| wrong(&options.file, &why))?;
    leave_what_waits(client, &existing, &want, &mut steps).await?;
    let mut work = Work { client, existing, want, secrets: SecretsSeen::default(), output };
    work.read_secrets(&steps)?;
    let waits = work.foretold(&steps);
    let done = |applied| Applied { steps: &steps, waits: &waits, applied };
    let to_do = steps.iter().filter(|step| step.action != Action::Leave).count() as u64;
    if options.dry_run || to_do == 0 {
        return Ok(output.answer(&done(false), &done(false))?);
    }
    if !options.yes {
        // Stdout is for what was done.
        output.remark(done(false).to_string().trim_end());
        confirm(&format!("Take {}?", count(to_do, "step")), "nothing was changed", output)?;
    }
    for (taken, step) in steps.iter().enumerate() {
        if let Err(failure) = work.take(step).await {
            output.remark(&format!(
                "stopped at {} `{}`; {} done before",
                step.kind,
                step.name,
                count(taken as u64, "step")
            ));
            return Err(failure);
        }
    }
    Ok(output.answer(&done(true), &done(true))?)
}

pub(super) async fn export(client: &Client, options: &Export, output: &Output) -> Result<()> {
    let have = Desired::of(&existing(client).await?).map_err(|why| unreadable(&why))?;
    let text = desired::write(&have).map_err(|why| unreadable(&why))?;
    match &options.file {
        None => Ok(output.answer(&have, &text)?),
        Some(path) => {
            let shown = path.display();
            std::fs::write(path, &text)
                .map_err(|e| Error::new(Code::Usage, format!("`{shown}` cannot be written: {e}")))?;
            table::done(&json!({ "file": shown.to_string() }), &format!("written to {shown}"), output)
        }
    }
}

fn text(path: &Path) -> Result<String> {
    let failed = |e: io::Error| Error::new(Code::Usage, format!("`{}` cannot be read: {e}", path.display()));
    let most = desired::FILE_MAX as u64 + 1;
    let mut text = String::new();
    match path.as_os_str() == "-" {
        true => io::stdin().take(most).read_to_string(&mut text),
        false => std::fs::File::open(path).map_err(failed)?.take(most).read_to_string(&mut text),
    }
    .map_err(failed)?;
    Ok(text)
}

fn wrong(path: &Path, why: &str) -> Error {
    Error::new(Code::Usage, format!("`{}` cannot be applied: {why}", path.display()))
        .help("`strongroom export` writes a file that can be applied.")
}

fn unreadable(why: &str) -> Remote {
    Remote::new(RemoteCode::Answer, format!("what the service has cannot be read: {why}"))
}

/// All that the service has.
async fn existing(client: &Client) -> Result<Existing> {
    Ok(Existing {
        deployments: all(client, Kind::Deployment).await?,
        locations: all(client, Kind::Location).await?,
        plans: all(client, Kind::Plan).await?,
    })
}

async fn all<T: DeserializeOwned>(client: &Client, kind: Kind) -> Result<Vec<T>> {
    let mut listed = which::list(client, Ask::get(kind.path()), EACH_MAX).await?;
    if listed["next"].is_string() {
        let message = format!("there are more than {}", count(EACH_MAX, kind.word()));
        return Err(Remote::new(RemoteCode::Answer, message).into());
    }
    let items = serde_json::from_value(listed["items"].take());
    Ok(items.map_err(|e| unreadable(&format!("a {}: {e}", kind.word())))?)
}

/// Drops the steps of plans that were asked for before, and wait.
async fn leave_what_waits(
    client: &Client,
    existing: &Existing,
    want: &Desired,
    steps: &mut Vec<Step>,
) -> Result<()> {
    let is_change = |step: &Step| step.kind == desired::Kind::Plan && step.action == Action::Update;
    if !steps.iter().any(is_change) {
        return Ok(());
    }
    let ask = Ask::get(Kind::Change.path()).query("state", Some("waiting"));
    let waiting = which::list(client, ask, EACH_MAX).await?;
    let mut later = existing.clone();
    for change in which::items(&waiting).iter().filter(|change| change["what"]["kind"] == "change_plan") {
        let plan = later.plans.iter_mut().find(|plan| change["what"]["plan"] == plan.id.as_str());
        let settings = serde_json::from_value(change["what"]["settings"].clone());
        if let (Some(plan), Ok(settings)) = (plan, settings) {
            plan.settings = settings;
        }
    }
    let later = Desired::of(&later).map_err(|why| unreadable(&why))?;
    // What cannot be compared is not dropped.
    let left = desired::steps(&later, want, Choice::default()).unwrap_or_else(|_| steps.clone());
    steps.retain(|step| !is_change(step) || left.iter().any(|one| is_change(one) && one.name == step.name));
    Ok(())
}

/// Secrets that the file refers to, each read once and before anything is changed.
#[derive(Default)]
struct SecretsSeen(BTreeMap<String, String>);

impl SecretsSeen {
    fn key(from: &SecretFrom) -> String {
        format!("{from:?}")
    }
}

/// What a file wants, what there is, and who is asked.
struct Work<'a> {
    client: &'a Client,
    existing: Existing,
    want: Desired,
    secrets: SecretsSeen,
    output: &'a Output,
}

/// Ids and secrets for one step.
struct Resolver<'a> {
    existing: &'a Existing,
    secrets: &'a mut SecretsSeen,
    /// Whether secrets are sent.
    send: bool,
}

impl Resolve for Resolver<'_> {
    fn secret(&mut self, from: &SecretFrom) -> Result<Option<String>, String> {
        if !self.send {
            return Ok(None);
        }
        let key = SecretsSeen::key(from);
        if let Some(known) = self.secrets.0.get(&key) {
            return Ok(Some(known.clone()));
        }
        let secret = credentials::referred(from)?;
        self.secrets.0.insert(key, secret.clone());
        Ok(Some(secret))
    }

    fn deployment(&mut self, name: &Name) -> Result<DeploymentId, String> {
        let found = self.existing.deployments.iter().find(|one| one.name == *name);
        found.map(|one| one.id.clone()).ok_or_else(|| format!("there is no deployment `{name}`"))
    }

    fn location(&mut self, name: &Name) -> Result<LocationId, String> {
        let found = self.existing.locations.iter().find(|one| one.name == *name);
        found.map(|one| one.id.clone()).ok_or_else(|| format!("there is no location `{name}`"))
    }
}

impl Work<'_> {
    /// Reads the secrets of all steps, so that a missing one is known before the first.
    fn read_secrets(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps.iter().filter(|step| step.kind != desired::Kind::Plan) {
            if matches!(step.action, Action::Create | Action::Update) {
                self.body(step)?;
            }
        }
        Ok(())
    }

    /// The body of the request for a step.
    fn body(&mut self, step: &Step) -> Result<Value> {
        let mut resolver =
            Resolver { existing: &self.existing, secrets: &mut self.secrets, send: step.secrets };
        let body = match step.kind {
            desired::Kind::Deployment => named(self.want.deployments.as_slice(), |one| one.name == step.name)
                .map(|one| one.body(&mut resolver)),
            desired::Kind::Location => named(self.want.locations.as_slice(), |one| one.name == step.name)
                .map(|one| one.body(&mut resolver)),
            desired::Kind::Plan => named(self.want.plans.as_slice(), |one| one.name == step.name)
                .map(|one| one.body(&mut resolver)),
        };
        let body = body.unwrap_or_else(|| Err("it is not in the file".into()));
        let failed = |why: String| {
            Error::new(Code::Usage, format!("the {} `{}`: {why}", step.kind, in_line(step.name.as_str())))
        };
        Ok(body.map_err(failed)?)
    }

    /// What of the changes will wait, in words.
    fn foretold(&mut self, steps: &[Step]) -> Vec<String> {
        let mut waits = Vec::new();
        for step in
            steps.iter().filter(|step| step.kind == desired::Kind::Plan && step.action == Action::Update)
        {
            let old = self.existing.plans.iter().find(|plan| plan.settings.name == step.name);
            let Some(old) = old.map(|plan| plan.settings.clone()) else { continue };
            // What it refers to may have to be made first; that loosens nothing.
            let Ok(body) = self.body(step) else { continue };
            let Ok(new) = serde_json::from_value::<NewPlan>(body) else { continue };
            waits.extend(
                loosening::of_plan(&old, &new)
                    .loosens
                    .into_iter()
                    .map(|what| format!("{}: {what}", step.name)),
            );
        }
        waits
    }

    async fn take(&mut self, step: &Step) -> Result<()> {
        let kind = match step.kind {
            desired::Kind::Deployment => Kind::Deployment,
            desired::Kind::Location => Kind::Location,
            desired::Kind::Plan => Kind::Plan,
        };
        match step.action {
            Action::Leave => Ok(()),
            Action::Create => {
                let body = self.body(step)?;
                let made = self.client.ask(Ask::create(kind.path(), body)).await?;
                self.learn(kind, made)
            }
            Action::Update => {
                let body = self.body(step)?;
                let (id, tag) = self.known(kind, &step.name)?;
                let method = if kind == Kind::Deployment { Method::PATCH } else { Method::PUT };
                let ask = Ask::new(method, kind.one(&id)).body(body).if_match(tag);
                let changed = self.client.ask(ask).await?.value;
                change::say_what_waits(&changed["waiting"], self.output);
                Ok(())
            }
            Action::Delete => {
                let (id, tag) = self.known(kind, &step.name)?;
                let answer =
                    self.client.ask(Ask::new(Method::DELETE, kind.one(&id)).if_match(tag)).await?.value;
                change::say_what_waits(&answer, self.output);
                Ok(())
            }
        }
    }

    /// The id of what there was, and the version that was compared.
    fn known(&self, kind: Kind, name: &Name) -> Result<(String, String)> {
        let tag = |version: u64| format!("\"{version}\"");
        let found = match kind {
            Kind::Deployment => named(&self.existing.deployments, |one| one.name == *name)
                .map(|one| (one.id.to_string(), tag(one.version))),
            Kind::Location => named(&self.existing.locations, |one| one.name == *name)
                .map(|one| (one.id.to_string(), tag(one.version))),
            _ => named(&self.existing.plans, |one| one.settings.name == *name)
                .map(|one: &Plan| (one.id.to_string(), tag(one.version))),
        };
        let gone = || {
            Error::new(Code::Internal, format!("the {} `{name}` was compared and is not there", kind.word()))
        };
        Ok(found.ok_or_else(gone)?)
    }

    /// What was made is referred to by what comes after.
    fn learn(&mut self, kind: Kind, made: Answer) -> Result<()> {
        let failed = |e: serde_json::Error| unreadable(&format!("a {}: {e}", kind.word()));
        match kind {
            Kind::Deployment => {
                self.existing.deployments.push(serde_json::from_value(made.value).map_err(failed)?);
            }
            Kind::Location => {
                self.existing.locations.push(serde_json::from_value(made.value).map_err(failed)?);
            }
            _ => {}
        }
        Ok(())
    }
}

fn named<T>(all: &[T], is_meant: impl Fn(&T) -> bool) -> Option<&T> {
    all.iter().find(|one| is_meant(one))
}

/// What is done or would be.
#[derive(Serialize)]
struct Applied<'a> {
    steps: &'a [Step],
    /// What loosens something, and waits.
    waits: &'a [String],
    /// Whether it was done.
    applied: bool,
}

impl fmt::Display for Applied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = self.steps.iter().filter(|step| step.action != Action::Leave).count() as u64;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        self.waits.iter().try_for_each(|what| writeln!(f, "this loosens, and waits: {what}"))?;
        match (self.applied, changes) {
            (_, 0) => writeln!(f, "no difference: everything is as the file says"),
            (true, _) => writeln!(f, "{} done", count(changes, "step")),
            (false, _) => writeln!(f, "{} to take; nothing has been changed", count(changes, "step")),
        }
    }
}

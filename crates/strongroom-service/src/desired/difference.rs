//! What is to be done for the service to have what a file says.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Desired;
use super::file::{Entry, SECRETS};
use crate::model::Name;

/// A kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A deployment.
    Deployment,
    /// A location.
    Location,
    /// A plan.
    Plan,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployment => "deployment",
            Self::Location => "location",
            Self::Plan => "plan",
        })
    }
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Create,
    /// It gets other settings.
    Update,
    /// It is deleted. The backups of a plan stay.
    Delete,
    /// Nothing: the file does not list it, and deleting was not asked for.
    Leave,
}

/// A setting that becomes another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Its name, such as `retention.last`.
    pub name: String,
    /// What it was.
    pub before: Option<Value>,
    /// What it will be.
    pub after: Option<Value>,
}

/// One thing to be done. Its text is what a person reads first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// To a thing of which kind.
    pub kind: Kind,
    /// And of which name.
    pub name: Name,
    /// Which settings change; when it is made, those that are not as they would be anyway.
    pub fields: Vec<Field>,
    /// Whether its secrets are sent, though nobody can tell whether they changed.
    pub secrets: bool,
}

/// What a person decided beforehand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    /// Whether what the file does not list is deleted.
    pub delete: bool,
    /// Whether secrets are sent again, also of what does not change.
    pub secrets: bool,
}

/// The steps from what there is to what there should be, in an order in which each can be done.
///
/// Secrets are not compared, since the service does not give them back: they are sent with what is made, and with all
/// others if that is chosen.
///
/// # Errors
///
/// In words, if a plan refers to what would not be there, or if the folder of a plan would change.
pub fn steps(have: &Desired, want: &Desired, choice: Choice) -> Result<Vec<Step>, String> {
    refer(have, want, choice)?;
    let (mut steps, mut last) = (Vec::new(), Vec::new());
    let mut of_kind = |(mut changes, deletions): (Vec<Step>, Vec<Step>)| {
        steps.append(&mut changes);
        // What is referred to is made first and deleted last.
        last.splice(0..0, deletions);
    };
    of_kind(compared(Kind::Deployment, have.deployments.as_slice(), want.deployments.as_slice(), choice));
    of_kind(compared(Kind::Location, have.locations.as_slice(), want.locations.as_slice(), choice));
    of_kind(compared(Kind::Plan, have.plans.as_slice(), want.plans.as_slice(), choice));
    let moved = |step: &&Step| {
        step.action == Action::Update && step.fields.iter().any(|field| field.name == "folder")
    };
    if let Some(step) = steps.iter().find(moved) {
        return Err(format!(
            "the folder of the plan `{}` cannot change; leave it out, or give the plan another name",
            step.name
        ));
    }
    steps.append(&mut last);
    Ok(steps)
}

/// Looks whether everything that plans refer to will be there.
fn refer(have: &Desired, want: &Desired, choice: Choice) -> Result<(), String> {
    let listed = |have: bool, want: bool| want || (have && !choice.delete);
    for plan in want.plans.as_slice() {
        let deployments =
            |all: &Desired| all.deployments.as_slice().iter().any(|one| one.name == plan.deployment);
        let locations = |all: &Desired| all.locations.as_slice().iter().any(|one| one.name == plan.location);
        if !listed(deployments(have), deployments(want)) {
            return Err(format!(
                "the plan `{}` refers to the deployment `{}`, which is not there",
                plan.name, plan.deployment
            ));
        }
        if !listed(locations(have), locations(want)) {
            return Err(format!(
                "the plan `{}` refers to the location `{}`, which is not there",
                plan.name, plan.location
            ));
        }
    }
    Ok(())
}

/// What is made or changed, and then what is not listed.
fn compared<T: Entry>(kind: Kind, have: &[T], want: &[T], choice: Choice) -> (Vec<Step>, Vec<Step>) {
    let step =
        |action, one: &T, fields, secrets| Step { action, kind, name: one.name().clone(), fields, secrets };
    let change = |wanted: &T| {
        let Some(there) = have.iter().find(|one| one.name() == wanted.name()) else {
            let fields = fields(&Map::new(), &wanted.sparse());
            return Some(step(Action::Create, wanted, fields, has_secrets(&wanted.members())));
        };
        let fields = fields(&there.members(), &wanted.members());
        let secrets = choice.secrets && has_secrets(&wanted.members());
        (secrets || !fields.is_empty()).then(|| step(Action::Update, wanted, fields, secrets))
    };
    let unlisted = have.iter().filter(|one| !want.iter().any(|wanted| wanted.name() == one.name()));
    let action = if choice.delete { Action::Delete } else { Action::Leave };
    let left = unlisted.map(|one| step(action, one, Vec::new(), false)).collect();
    (want.iter().filter_map(change).collect(), left)
}

fn has_secrets(members: &Map<String, Value>) -> bool {
    members.iter().any(|(name, value)| match value {
        Value::Null => false,
        _ if SECRETS.contains(&name.as_str()) => true,
        Value::Object(inner) => has_secrets(inner),
        _ => false,
    })
}

/// Settings that differ, each by its path.
fn fields(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Field> {
    let (before, after) = (flat(before), flat(after));
    let find = |all: &[(String, Value)], name: &str| {
        all.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    let gone = before.iter().filter(|(name, _)| find(&after, name).is_none());
    let names = after.iter().chain(gone).map(|(name, _)| name.clone());
    names
        .map(|name| Field { before: find(&before, &name), after: find(&after, &name), name })
        .filter(|field| field.before != field.after && field.name != "name")
        // A folder that is not named is chosen when the plan is made, and stays.
        .filter(|field| !(field.name == "folder" && field.after.is_none()))
        .collect()
}

/// Values by their paths. Lists are values; nulls, empty objects and secrets are left out.
fn flat(members: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, value) in members {
        match value {
            Value::Null => {}
            _ if SECRETS.contains(&name.as_str()) => {}
            Value::Object(inner) => {
                all.extend(flat(inner).into_iter().map(|(path, value)| (format!("{name}.{path}"), value)));
            }
            value => all.push((name.clone(), value.clone())),
        }
    }
    all
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thing = format!("{} `{}`", self.kind, self.name);
        match self.action {
            Action::Create => write!(f, "{thing} is made")?,
            Action::Update => write!(f, "{thing} changes")?,
            Action::Delete if self.kind == Kind::Plan => write!(f, "{thing} is deleted; its backups stay")?,
            Action::Delete => write!(f, "{thing} is deleted")?,
            Action::Leave => write!(f, "{thing} is not in the file, and stays as it is")?,
        }
        for field in &self.fields {
            write!(f, "\n  {}: ", field.name)?;
            match (&field.before, &field.after) {
                (Some(before), Some(after)) => write!(f, "{before} becomes {after}")?,
                (Some(before), None) => write!(f, "{before} is taken away")?,
                (None, Some(after)) => write!(f, "{after}")?,
                (None, None) => {}
            }
        }
        if self.secrets { f.write_str("\n  its secrets are sent") } else { Ok(()) }
    }
}

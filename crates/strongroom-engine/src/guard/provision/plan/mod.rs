//! What has to change, from what is there and what is wanted. Pure.

mod bucket;
mod destruction;
mod identity;

pub use destruction::destruction;

use iam_policy::edit::{self, StatementDiff};
use serde::Serialize;
use serde_json::Value;

use super::{BucketFacts, IdentityFacts, Seen};
use crate::error::{Code, Error, Result};
use crate::guard::settings::Settings;
use crate::guard::steps::Step;

/// What was looked at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// None: there is no bucket yet.
    pub bucket: Option<BucketFacts>,
    /// By name.
    pub identities: Vec<(String, IdentityFacts)>,
}

/// What a change does to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Something new.
    Create,
    /// Something that is there becomes another.
    Change,
    /// Something goes.
    Remove,
}

/// One change.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// What changes, in words.
    pub subject: String,
    /// How.
    pub effect: Effect,
    /// As it is.
    pub before: Option<String>,
    /// As it will be.
    pub after: Option<String>,
    /// Of a policy: statement by statement.
    pub statements: Vec<StatementDiff>,
    /// Whether somebody may do more afterwards than before, or a protection gets weaker.
    pub widens: bool,
    /// How it is done.
    #[serde(skip)]
    pub step: Step,
}

/// What is to be done, in order, and what should be known besides.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// In the order they are made.
    pub changes: Vec<Change>,
    /// What is left as it is although the settings say otherwise, and why.
    pub notes: Vec<String>,
}

/// Compares.
///
/// # Errors
/// [`Code::Denied`] when a setting may not be looked at, for then nothing can be compared; [`Code::Usage`] when what
/// is there cannot be brought together with what is wanted.
pub fn plan(settings: &Settings, facts: &Facts, bucket_only: bool) -> Result<Plan> {
    settings.check()?;
    let mut plan = Plan::default();
    plan.bucket(settings, facts.bucket.as_ref())?;
    if bucket_only {
        return Ok(plan);
    }
    for (name, found) in &facts.identities {
        plan.identity(settings, name, found)?;
    }
    Ok(plan)
}

fn change(subject: impl Into<String>, effect: Effect, step: impl Into<Step>) -> Change {
    Change {
        subject: subject.into(),
        effect,
        before: None,
        after: None,
        statements: Vec::new(),
        widens: false,
        step: step.into(),
    }
}

impl Change {
    fn between(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        self.before = Some(before.into());
        self.after = Some(after.into());
        self
    }
}

impl Plan {
    /// What a setting is, where it can be changed.
    fn look<'a, T>(&mut self, what: &str, seen: &'a Seen<T>) -> Result<Option<&'a T>> {
        match seen {
            Seen::Is(value) => Ok(Some(value)),
            Seen::NotOffered => {
                self.notes.push(format!("{what}: not offered by this server, left out"));
                Ok(None)
            }
            Seen::Denied(action) => Err(Error::new(
                Code::Denied,
                format!("{what} may not be looked at: `{action}` is not allowed, so nothing can be compared"),
            )
            .help("Use the credentials of an administrator of this account (AWS_PROFILE); docs/IAM.md lists the permissions they need. Nothing was changed.")),
        }
    }

    fn policy_change<S: Into<Step>>(
        &mut self,
        subject: &str,
        before: Option<&Value>,
        after: Option<&Value>,
        step: impl FnOnce(Option<String>) -> S,
    ) {
        let statements = edit::diff(before, after);
        if statements.is_empty() {
            return;
        }
        let effect = match (before, after) {
            (None, _) => Effect::Create,
            (_, None) => Effect::Remove,
            _ => Effect::Change,
        };
        let mut change = change(subject, effect, step(after.map(Value::to_string)));
        change.widens = before.is_some() && statements.iter().any(widens);
        change.statements = statements;
        self.changes.push(change);
    }
}

/// More is allowed, or less denied. A statement that changed is taken for the worse.
fn widens(diff: &StatementDiff) -> bool {
    let effect = |statement: &Option<Value>| statement.as_ref().map(|s| s["Effect"] == "Allow");
    matches!(
        (effect(&diff.before), effect(&diff.after)),
        (None, Some(true)) | (Some(false), _) | (Some(true), Some(true))
    )
}

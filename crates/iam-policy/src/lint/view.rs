//! A statement as the rules look at it: as parsed and as written.

use std::collections::BTreeSet;

use serde_json::Value;

use super::texts;
use crate::glob::Glob;
use crate::pattern::{Pattern, Reading};
use crate::policy::{Effect, Policy, Statement};
use crate::service::{self, Action, ResourceType};

#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) place: String,
    pub(super) statement: &'a Statement,
    /// Of `Action` or `NotAction`.
    pub(super) actions: Vec<&'a str>,
    /// The known actions that each of them covers.
    covered: Vec<Vec<&'static Action>>,
    /// Of `Resource` or `NotResource`.
    pub(super) resources: Vec<&'a str>,
    /// The forms of resources that a `Resource` can match.
    forms: BTreeSet<&'static str>,
}

impl<'a> View<'a> {
    pub(super) fn all(policy: &'a Policy) -> Vec<Self> {
        let written = match policy.document().get("Statement") {
            Some(Value::Array(statements)) => statements.iter().collect(),
            one => Vec::from_iter(one),
        };
        let pairs = policy.statements().iter().zip(written).enumerate();
        pairs.map(|(i, (statement, written))| Self::new(i, statement, written)).collect()
    }

    fn new(i: usize, statement: &'a Statement, written: &'a Value) -> Self {
        let either = |name: &str, not: &str| {
            let value = written.get(name).or_else(|| written.get(not));
            value.map(texts).unwrap_or_default()
        };
        let resources = either("Resource", "NotResource");
        let globs: Vec<Glob> = resources.iter().map(|text| Glob::of_resource(&meant(text))).collect();
        let matched = service::types().filter(|of| globs.iter().any(|glob| of.meets(glob)));
        let forms = matched.map(|of| of.arn).collect();
        let actions = either("Action", "NotAction");
        let covered = actions.iter().map(|pattern| service::matching(pattern)).collect();
        Self { place: format!("Statement[{i}]"), statement, actions, covered, resources, forms }
    }

    pub(super) fn is(&self, effect: Effect) -> bool {
        self.statement.effect() == effect
    }

    /// Whether it lists what it is not about.
    pub(super) fn has_not_action(&self) -> bool {
        self.statement.actions.not
    }

    pub(super) fn has_not_resource(&self) -> bool {
        self.statement.resources.as_ref().is_none_or(|listed| listed.not)
    }

    /// The place of its actions.
    pub(super) fn action_place(&self) -> String {
        let element = if self.has_not_action() { "NotAction" } else { "Action" };
        format!("{}.{element}", self.place)
    }

    /// The place of its resources.
    pub(super) fn resource_place(&self) -> String {
        let element = if self.has_not_resource() { "NotResource" } else { "Resource" };
        format!("{}.{element}", self.place)
    }

    /// Its actions as written, each with the known actions that it covers.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&'a str, &[&'static Action])> {
        self.actions.iter().copied().zip(self.covered.iter().map(Vec::as_slice))
    }

    /// The known actions that its `Action` covers; none if it has a `NotAction`.
    pub(super) fn covered(&self) -> impl Iterator<Item = &'static Action> {
        let listed = if self.has_not_action() { &[] } else { self.covered.as_slice() };
        listed.iter().flatten().copied()
    }

    /// Whether an action can be asked for on one of its resources.
    pub(super) fn reaches(&self, action: &Action) -> bool {
        if action.resource_types().next().is_none() {
            return self.resources.iter().any(|resource| fits_no_resource(resource));
        }
        action.types().any(|of| self.can_match(of))
    }

    pub(super) fn can_match(&self, of: &ResourceType) -> bool {
        self.forms.contains(of.arn)
    }

    /// Whether all that another statement is about, this one is about too, by how they are written.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let nots = |view: &Self| (view.has_not_action(), view.has_not_resource());
        nots(self) == (false, false)
            && nots(other) == (false, false)
            && other
                .actions
                .iter()
                .all(|action| any_fits(&self.actions, action, Pattern::matches_without_case))
            && other.resources.iter().all(|resource| any_fits(&self.resources, resource, Pattern::matches))
            && self.covers_principals(other)
    }

    fn covers_principals(&self, other: &Self) -> bool {
        match (&self.statement.principal, &other.statement.principal) {
            (None, None) => true,
            (Some(ours), Some(theirs)) if !ours.not && !theirs.not => {
                ours.entries.contains(&crate::principal::Entry::Everyone)
                    || theirs.entries.iter().all(|entry| ours.entries.contains(entry))
            }
            _ => false,
        }
    }
}

/// An ARN of a bucket or object with a region or account is read as if it had none.
fn meant(resource: &str) -> String {
    without_region(resource).unwrap_or_else(|| resource.to_owned())
}

/// Requests of actions without resources are about `*`; S3's are seen about all buckets too.
fn fits_no_resource(resource: &str) -> bool {
    let reading = Reading { wildcards: true, variables: false };
    let pattern = Pattern::new(resource, reading);
    ["*", "arn:aws:s3:::*", "arn:aws-cn:s3:::*", "arn:aws-us-gov:s3:::*"]
        .iter()
        .any(|asked| pattern.matches(asked))
}

/// Whether a pattern covers another: where it fits its text, wildcards taken for characters.
fn any_fits(patterns: &[&str], text: &str, fits: fn(&Pattern, &str) -> bool) -> bool {
    let reading = Reading { wildcards: true, variables: false };
    patterns.iter().any(|pattern| fits(&Pattern::new(pattern, reading), text))
}

/// An ARN of S3 with a region or account that can be neither an access point nor a job or the like, without them.
pub(super) fn without_region(resource: &str) -> Option<String> {
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let ["arn", partition, "s3", region, account, name] = parts[..] else { return None };
    if region.is_empty() && account.is_empty() || name.is_empty() {
        return None;
    }
    let glob = Glob::of_resource(resource);
    let matched = service::types().any(|of| of.meets(&glob));
    (!matched).then(|| format!("arn:{partition}:s3:::{name}"))
}

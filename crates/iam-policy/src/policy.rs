//! A policy, parsed: what it says, and how it was written.

use std::fmt;

use serde_json::Value;

use crate::Truth;
use crate::condition::Condition;
use crate::notes::{Notes, note};
use crate::pattern::Pattern;
use crate::principal::{self, Entry, Naming, Principal};
use crate::request::{Asked, Request};

/// What a policy is attached to; that decides which elements it must and must not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To a user, a group or a role.
    Identity,
    /// To a resource, such as a bucket.
    Resource,
    /// To a user or a role, as the most it may ever do.
    Boundary,
    /// To one session.
    Session,
}

/// Whether a statement allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It allows what it matches.
    Allow,
    /// It denies what it matches.
    Deny,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        })
    }
}

/// A parsed policy. It prints as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub(crate) kind: Kind,
    pub(crate) document: Value,
    pub(crate) statements: Vec<Statement>,
}

/// One statement, ready to be evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) principal: Option<Listed<Entry>>,
    pub(crate) actions: Listed<Pattern>,
    pub(crate) resources: Option<Listed<Pattern>>,
    pub(crate) conditions: Vec<Condition>,
    /// Whether an Allow to everyone names the callers in a condition on `aws:PrincipalArn`.
    pub(crate) names_arns: bool,
}

/// A list in an element that has a `Not…` form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed<T> {
    pub(crate) not: bool,
    pub(crate) entries: Vec<T>,
}

impl Policy {
    /// What kind of policy it was parsed as.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its statements, in order.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The document, as the JSON value that was parsed: members in their order, texts and lists as written.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The document on one line.
    #[must_use]
    pub fn to_compact(&self) -> String {
        self.document.to_string()
    }

    /// The document over several lines, indented by two spaces.
    #[must_use]
    pub fn to_pretty(&self) -> String {
        format!("{:#}", self.document)
    }
}

impl Statement {
    /// Its `Sid`.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Its `Effect`.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Its conditions.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Whether the statement speaks of this request. Without notes it stops at the first thing that does not match.
    pub(crate) fn matches(&self, asked: &Asked<'_>, limited: bool, mut notes: Notes<'_>) -> Truth {
        let request = asked.request();
        let notes = &mut notes;
        let mut truth = self.matches_action(asked, notes);
        if truth == Truth::No && notes.is_none() {
            return truth;
        }
        truth = truth.and(self.matches_resource(request, notes));
        if truth == Truth::No && notes.is_none() {
            return truth;
        }
        truth = truth.and(self.matches_principal(&request.principal, limited, notes));
        if truth == Truth::No && notes.is_none() {
            return truth;
        }
        truth.and(self.matches_conditions(request, notes))
    }

    fn matches_action(&self, asked: &Asked<'_>, notes: &mut Notes<'_>) -> Truth {
        let listed = self.actions.entries.iter().any(|pattern| pattern.matches(asked.action()));
        let truth = Truth::from(listed != self.actions.not);
        if truth == Truth::No {
            let element = if self.actions.not { "NotAction" } else { "Action" };
            note(notes, || format!("{element} does not cover {}", asked.request().action));
        }
        // An empty list: the documentation does not say what it means.
        if self.actions.entries.is_empty() { Truth::Unknown } else { truth }
    }

    fn matches_resource(&self, request: &Request, notes: &mut Notes<'_>) -> Truth {
        let Some(resources) = &self.resources else { return Truth::Yes };
        let mut listed = Truth::No;
        for pattern in &resources.entries {
            let fits = match pattern.has_variables().then(|| pattern.resolve(&request.context)) {
                None => pattern.matches(&request.resource).into(),
                Some(Ok(resolved)) => resolved.matches(&request.resource).into(),
                Some(Err(missing)) if missing.many => Truth::Unknown,
                Some(Err(missing)) => {
                    note(notes, || format!("the variable ${{{}}} in Resource has no value", missing.key));
                    // A Resource with a variable without a value matches nothing, and neither does a NotResource.
                    if resources.not { Truth::Unknown } else { Truth::No }
                }
            };
            listed = listed.or(fits);
        }
        let truth = if resources.not { listed.not() } else { listed };
        if truth == Truth::No {
            let element = if resources.not { "NotResource" } else { "Resource" };
            note(notes, || format!("{element} does not cover {}", request.resource));
        }
        if resources.entries.is_empty() { Truth::Unknown } else { truth }
    }

    /// `limited` says that the one who asks has a permissions boundary: then NotPrincipal exempts nobody.
    fn matches_principal(&self, who: &Principal, limited: bool, notes: &mut Notes<'_>) -> Truth {
        let Some(principal) = &self.principal else { return Truth::Yes };
        let truth = if principal.not {
            match (self.effect, limited) {
                (Effect::Deny, true) => Truth::Yes,
                _ => principal::exempts(&principal.entries, who).not(),
            }
        } else {
            principal.entries.iter().map(|entry| entry.names(who).0).fold(Truth::No, Truth::or)
        };
        if truth == Truth::No {
            let who = who.arn().unwrap_or_else(|| format!("{who:?}"));
            let element = if principal.not { "NotPrincipal exempts" } else { "Principal does not name" };
            note(notes, || format!("{element} {who}"));
        }
        truth
    }

    fn matches_conditions(&self, request: &Request, notes: &mut Notes<'_>) -> Truth {
        let mut truth = Truth::Yes;
        for condition in &self.conditions {
            truth = truth.and(condition.matches(&request.context, notes));
            if truth == Truth::No && notes.is_none() {
                break;
            }
        }
        truth
    }

    /// How it names the one it allows.
    pub(crate) fn naming(&self, who: &Principal) -> Option<Naming> {
        let principal = self.principal.as_ref()?;
        if principal.not {
            return Some(Naming::Other);
        }
        let named =
            principal.entries.iter().map(|entry| entry.names(who)).filter(|(truth, _)| *truth == Truth::Yes);
        let rank = |naming: &Naming| match naming {
            Naming::Itself => 0,
            Naming::Everyone => 1,
            Naming::Role => 2,
            Naming::Other => 3,
        };
        named.map(|(_, naming)| naming).min_by_key(rank)
    }
}

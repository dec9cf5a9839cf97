//! How a request is judged. Source: IAM User Guide, "Policy evaluation logic".

use std::fmt;

use crate::Truth;
use crate::policy::{Effect, Policy, Statement};
use crate::principal::{Naming, Principal};
use crate::request::{Asked, Request};

/// What comes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Something allows it and nothing denies it.
    Allow,
    /// A Deny matches.
    ExplicitDeny,
    /// Nothing allows it.
    ImplicitDeny,
    /// It hangs on something that AWS does not document, or that is not supported here. Take it for a denial.
    NotCertain,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allowed",
            Self::ExplicitDeny => "explicitly denied",
            Self::ImplicitDeny => "denied, because nothing allows it",
            Self::NotCertain => "not certain",
        })
    }
}

/// A policy and what it is called in reasons.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    name: &'a str,
    policy: &'a Policy,
}

impl<'a> Named<'a> {
    /// Names a policy.
    #[must_use]
    pub fn new(name: &'a str, policy: &'a Policy) -> Self {
        Self { name, policy }
    }
}

/// Everything that bears on a request.
#[derive(Debug, Clone, Copy)]
pub struct Policies<'a> {
    /// The account that the resource belongs to.
    pub account: &'a str,
    /// Of the user and its groups, or of the role.
    pub identity: &'a [Named<'a>],
    /// Of the bucket.
    pub resource: Option<Named<'a>>,
    /// The most that the user or role may ever do.
    pub boundary: Option<Named<'a>>,
    /// The most that this session may do.
    pub session: Option<Named<'a>>,
}

impl<'a> Policies<'a> {
    /// No policies at all, for a resource in this account.
    #[must_use]
    pub fn in_account(account: &'a str) -> Self {
        Self { account, identity: &[], resource: None, boundary: None, session: None }
    }

    fn all(&self) -> impl Iterator<Item = Named<'a>> {
        self.identity.iter().copied().chain(self.resource).chain(self.boundary).chain(self.session)
    }
}

/// What a statement had to do with a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The policy, as it was named.
    pub policy: String,
    /// The statement's place in it, from 0.
    pub statement: usize,
    /// Its `Sid`.
    pub sid: Option<String>,
    /// Whether it allows or denies.
    pub effect: Effect,
    /// Whether it matches; none where that is not certain.
    pub matched: Option<bool>,
    /// What does not match, or is not certain: element or condition, what was wanted, what was seen. Of a
    /// statement that matches: its conditions, and what was seen.
    pub notes: Vec<String>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, statement {}", self.policy, self.statement + 1)?;
        if let Some(sid) = &self.sid {
            write!(f, " ({sid})")?;
        }
        let verdict = match self.matched {
            Some(true) => "matches",
            Some(false) => "does not match",
            None => "may match",
        };
        write!(f, ": {} {verdict}", self.effect)?;
        if self.notes.is_empty() { Ok(()) } else { write!(f, ": {}", self.notes.join("; ")) }
    }
}

/// A decision and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// What comes of it.
    pub decision: Decision,
    /// Every statement of every policy, in order.
    pub reasons: Vec<Reason>,
}

impl Evaluation {
    /// The statements that the decision stands on. For an implicit denial: those that would have allowed it
    /// but for one thing.
    pub fn deciding(&self) -> impl Iterator<Item = &Reason> {
        let decision = self.decision;
        self.reasons.iter().filter(move |reason| match decision {
            Decision::Allow => reason.effect == Effect::Allow && reason.matched == Some(true),
            Decision::ExplicitDeny => reason.effect == Effect::Deny && reason.matched == Some(true),
            Decision::ImplicitDeny => {
                reason.effect == Effect::Allow && reason.matched == Some(false) && reason.notes.len() == 1
            }
            Decision::NotCertain => reason.matched.is_none(),
        })
    }
}

/// Judges a request.
#[must_use]
pub fn decide(policies: &Policies<'_>, request: &Request) -> Decision {
    judge(policies, &Asked::new(request))
}

fn judge(policies: &Policies<'_>, asked: &Asked<'_>) -> Decision {
    let limited = policies.boundary.is_some();
    let mut denied = Truth::No;
    for named in policies.all() {
        denied = denied.or(any(named, Effect::Deny, |s| s.matches(asked, limited, None)));
        if denied == Truth::Yes {
            return Decision::ExplicitDeny;
        }
    }
    let allowed = allowed(policies, asked);
    match (allowed, denied) {
        (Truth::No, _) => Decision::ImplicitDeny,
        (Truth::Yes, Truth::No) => Decision::Allow,
        _ => Decision::NotCertain,
    }
}

/// Judges a request, and says why.
#[must_use]
pub fn evaluate(policies: &Policies<'_>, request: &Request) -> Evaluation {
    let (asked, limited) = (Asked::new(request), policies.boundary.is_some());
    let mut reasons = Vec::new();
    for named in policies.all() {
        for (place, statement) in named.policy.statements().iter().enumerate() {
            let mut notes = Vec::new();
            let truth = statement.matches(&asked, limited, Some(&mut notes));
            if truth == Truth::Yes {
                notes.extend(statement.conditions().iter().map(|c| c.describe(&request.context)));
            }
            reasons.push(Reason {
                policy: named.name.into(),
                statement: place,
                sid: statement.sid().map(str::to_owned),
                effect: statement.effect(),
                matched: match truth {
                    Truth::Yes => Some(true),
                    Truth::No => Some(false),
                    Truth::Unknown => None,
                },
                notes,
            });
        }
    }
    Evaluation { decision: judge(policies, &asked), reasons }
}

fn any(named: Named<'_>, effect: Effect, matches: impl Fn(&Statement) -> Truth) -> Truth {
    let mut truth = Truth::No;
    for statement in named.policy.statements().iter().filter(|s| s.effect() == effect) {
        truth = truth.or(matches(statement));
        if truth == Truth::Yes {
            break;
        }
    }
    truth
}

/// Whether something allows it, explicit denials aside.
fn allowed(policies: &Policies<'_>, asked: &Asked<'_>) -> Truth {
    let request = asked.request();
    let allows = |named: Named<'_>| any(named, Effect::Allow, |s| s.matches(asked, false, None));
    let limit = |policy: Option<Named<'_>>| policy.map_or(Truth::Yes, allows);
    let limits = limit(policies.boundary).and(limit(policies.session));
    let identity = match request.principal {
        Principal::Root { .. } => Truth::Yes,
        Principal::Anonymous | Principal::Service(_) => Truth::No,
        // Such a session has what its session policy gives, and nothing without one.
        Principal::FederatedUser { .. } if policies.session.is_none() => Truth::No,
        _ => policies.identity.iter().map(|named| allows(*named)).fold(Truth::No, Truth::or),
    };
    let own = identity.and(limits);
    let Some(resource) = policies.resource else {
        return if outside(policies, request) { Truth::No } else { own };
    };
    if request.principal.account().is_some() && outside(policies, request) {
        return own.and(allows(resource));
    }
    own.or(granted(resource, asked, limits))
}

/// Whether the one who asks belongs to another account than the resource.
fn outside(policies: &Policies<'_>, request: &Request) -> bool {
    request.principal.account().is_some_and(|account| account != policies.account)
}

/// What the resource's policy gives within one account. A boundary or a session policy that merely does not
/// allow it takes nothing from a grant to the user or session itself, and all of a grant to the role.
fn granted(resource: Named<'_>, asked: &Asked<'_>, limits: Truth) -> Truth {
    any(resource, Effect::Allow, |statement| {
        let matches = statement.matches(asked, false, None);
        if matches == Truth::No {
            return matches;
        }
        let rest = match statement.naming(&asked.request().principal) {
            Some(Naming::Itself) => Truth::Yes,
            Some(Naming::Everyone) if statement.names_arns => Truth::Yes,
            Some(Naming::Role) => limits,
            // The documentation speaks of neither the account nor everyone here.
            _ if limits == Truth::Yes => Truth::Yes,
            _ => Truth::Unknown,
        };
        matches.and(rest)
    })
}

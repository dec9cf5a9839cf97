//! Allowed or not, and in which words.

use std::sync::atomic::Ordering;

use iam_policy::{
    Decision, Effect, Evaluation, Named, Policies, Policy, Principal, Reason, Request, evaluate,
};
use s3s::{S3Result, s3_error};

use super::Caller;
use crate::buckets::Bucket;
use crate::decisions::Judged;
use crate::public::is_public;
use crate::state::State;

/// How the policies are called in reasons.
const BUCKET_POLICY: &str = "bucket policy";
const BOUNDARY: &str = "permissions boundary";
const SESSION: &str = "session policy";

/// What a bucket brings to a decision.
#[derive(Debug, Default)]
struct Facts {
    policy: Option<Policy>,
    /// Whether its policy is public and therefore nothing for strangers.
    restricted: bool,
    acl: Option<Reason>,
}

impl State {
    /// Allows a request, or says in AWS's words why not.
    pub(crate) fn judge(&self, caller: &Caller) -> S3Result<()> {
        let evaluation = self.evaluate(caller);
        let judged = Judged {
            operation: caller.operation.clone(),
            request: caller.request.clone(),
            evaluation: evaluation.clone(),
        };
        self.decisions.add(judged);
        if evaluation.decision == Decision::Allow {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "{}", self.message(caller, &evaluation)))
    }

    /// Whether a caller may also do something else.
    pub(crate) fn may(&self, caller: &Caller, action: &str, resource: &str) -> bool {
        self.evaluate(&caller.asking(action, resource)).decision == Decision::Allow
    }

    fn evaluate(&self, caller: &Caller) -> Evaluation {
        let request = &caller.request;
        let signed = request.principal != Principal::Anonymous;
        if signed && self.ignores_policies.load(Ordering::Relaxed) {
            return Evaluation { decision: Decision::Allow, reasons: Vec::new() };
        }
        let identity = self.identity(&request.principal);
        let named: Vec<Named<'_>> =
            identity.policies.iter().map(|(name, policy)| Named::new(name, policy)).collect();
        let facts = self.facts(request);
        let policies = Policies {
            account: self.account.id(),
            identity: &named,
            resource: facts.policy.as_ref().map(|policy| Named::new(BUCKET_POLICY, policy)),
            boundary: identity.boundary.as_ref().map(|policy| Named::new(BOUNDARY, policy)),
            session: caller.session.as_deref().map(|policy| Named::new(SESSION, policy)),
        };
        let mut evaluation = evaluate(&policies, request);
        let stranger = request.principal.account() != Some(self.account.id());
        if evaluation.decision == Decision::Allow && stranger && facts.restricted {
            evaluation.decision = Decision::ImplicitDeny;
        }
        if evaluation.decision == Decision::ImplicitDeny
            && let Some(reason) = facts.acl
        {
            evaluation.decision = Decision::Allow;
            evaluation.reasons.push(reason);
        }
        evaluation
    }

    /// As Amazon S3 has worded it since 2024 (IAM User Guide, "Troubleshoot access denied error messages").
    fn message(&self, caller: &Caller, evaluation: &Evaluation) -> String {
        let Request { principal, action, resource, .. } = &caller.request;
        let Some(who) = principal.arn() else { return "Access Denied".into() };
        let denied_by = evaluation.deciding().find(|reason| reason.effect == Effect::Deny);
        let why = match (evaluation.decision, denied_by) {
            (Decision::ExplicitDeny, Some(reason)) => {
                format!("with an explicit deny in {}", a_policy(&reason.policy))
            }
            _ => format!("because no {} allows the {action} action", self.missing_policy(caller, evaluation)),
        };
        format!("User: {who} is not authorized to perform: {action} on resource: \"{resource}\" {why}")
    }

    /// Which kind of policy would have to allow it.
    fn missing_policy(&self, caller: &Caller, evaluation: &Evaluation) -> &'static str {
        let allows = |kind: fn(&str) -> bool| {
            let mut reasons = evaluation.reasons.iter();
            reasons.any(|r| r.effect == Effect::Allow && r.matched == Some(true) && kind(&r.policy))
        };
        let stranger = caller.request.principal.account() != Some(self.account.id());
        let root = matches!(caller.request.principal, Principal::Root { .. });
        if !root && !allows(|name| ![BUCKET_POLICY, BOUNDARY, SESSION].contains(&name)) {
            return "identity-based policy";
        }
        if caller.session.is_some() && !allows(|name| name == SESSION) {
            return SESSION;
        }
        if stranger { "resource-based policy" } else { BOUNDARY }
    }

    fn facts(&self, request: &Request) -> Facts {
        let path = request.resource.trim_start_matches("arn:aws:s3:::");
        let (name, key) = path.split_once('/').map_or((path, None), |(name, key)| (name, Some(key)));
        self.buckets.with(|buckets| {
            let Some(bucket) = buckets.get(name) else { return Facts::default() };
            let policy = bucket.policy.as_ref().map(|(policy, _)| policy);
            let restricts = bucket.settings.blocks(|block| block.restrict_public_buckets);
            Facts {
                policy: policy.cloned(),
                restricted: restricts && policy.is_some_and(is_public),
                acl: granted_by_acl(bucket, key, request),
            }
        })
    }
}

/// What an access control list gives to everyone, or to everyone with an account.
fn granted_by_acl(bucket: &Bucket, key: Option<&str>, request: &Request) -> Option<Reason> {
    let settings = &bucket.settings;
    if settings.acls_disabled() || settings.blocks(|block| block.ignore_public_acls) {
        return None;
    }
    let (acl, of) = match (key, request.action.as_str()) {
        (Some(key), "s3:GetObject") => (bucket.current(key)?.1.acl, "object ACL"),
        (Some(key), "s3:GetObjectVersion") => {
            let version = request.context.get("s3:versionid")?.first()?;
            (bucket.version(key, version)?.content.as_ref()?.acl, "object ACL")
        }
        _ => (settings.acl, "bucket ACL"),
    };
    let anonymous = request.principal.account().is_none();
    acl.gives(&request.action, anonymous).then(|| Reason {
        policy: of.into(),
        statement: 0,
        sid: Some(acl.name().into()),
        effect: Effect::Allow,
        matched: Some(true),
        notes: Vec::new(),
    })
}

fn a_policy(name: &str) -> &'static str {
    match name {
        BUCKET_POLICY => "a resource-based policy",
        BOUNDARY => "a permissions boundary",
        SESSION => "a session policy",
        _ => "an identity-based policy",
    }
}

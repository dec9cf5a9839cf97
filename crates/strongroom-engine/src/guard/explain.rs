//! Why a request is refused, and what would let it through: from policies alone. Pure.

use iam_policy::{
    Decision, Effect, Evaluation, Kind, Named, Policies, Policy, Principal, Request, decide, evaluate,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::policy::{HEADER, HEADER_KEY, IF_NONE_MATCH, applies};
use super::settings::Settings;
use crate::bucket::actions::{Level, PUT, USES, Use};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::{Help, Setting};

/// What the policy of the bucket is called in reasons.
const BUCKET_POLICY: &str = "bucket policy";

/// The policies that bear on a request, as far as they are known.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The account that owns the bucket.
    pub account: String,
    /// Of the one who asks: names and policies.
    pub identity: Vec<(String, Policy)>,
    /// Of the bucket.
    pub bucket: Option<Policy>,
    /// The most that the identity may do.
    pub boundary: Option<Policy>,
    /// Whether the identity's policies are known; none of them is something else than none at all.
    pub identity_known: bool,
}

impl Sources {
    /// Adds a policy of the identity.
    ///
    /// # Errors
    /// [`Code::Usage`] with place and rule, where AWS would not take it.
    pub fn add_identity(&mut self, name: &str, text: &str) -> Result<()> {
        self.identity.push((name.into(), parse(name, text, Kind::Identity)?));
        self.identity_known = true;
        Ok(())
    }

    /// Sets the bucket policy.
    ///
    /// # Errors
    /// As [`Sources::add_identity`].
    pub fn set_bucket(&mut self, name: &str, text: &str) -> Result<()> {
        self.bucket = Some(parse(name, text, Kind::Resource)?);
        Ok(())
    }

    fn with<T>(&self, work: impl FnOnce(&Policies<'_>) -> T) -> T {
        let identity: Vec<Named<'_>> =
            self.identity.iter().map(|(name, policy)| Named::new(name, policy)).collect();
        work(&Policies {
            account: &self.account,
            identity: &identity,
            resource: self.bucket.as_ref().map(|policy| Named::new(BUCKET_POLICY, policy)),
            boundary: self.boundary.as_ref().map(|policy| Named::new("permissions boundary", policy)),
            session: None,
        })
    }

    pub(super) fn evaluate(&self, request: &Request) -> Evaluation {
        self.with(|policies| evaluate(policies, request))
    }

    /// A statement of the policy that is called so, by its place from 0.
    pub(super) fn statement(&self, policy: &str, place: usize) -> Value {
        let identity = self.identity.iter().map(|(name, policy)| (name.as_str(), policy));
        let bucket = self.bucket.as_ref().map(|policy| (BUCKET_POLICY, policy));
        let found = identity.chain(bucket).find(|(name, _)| *name == policy);
        match found.map(|(_, policy)| &policy.document()["Statement"]) {
            Some(Value::Array(statements)) => statements.get(place).cloned().unwrap_or_default(),
            Some(one) => one.clone(),
            None => Value::Null,
        }
    }

    pub(super) fn decide(&self, request: &Request) -> Decision {
        self.with(|policies| decide(policies, request))
    }
}

fn parse(name: &str, text: &str, kind: Kind) -> Result<Policy> {
    Policy::parse(text, kind).map_err(|e| {
        Error::new(Code::Usage, format!("{name} is not a policy: {e}"))
            .help("`bucket lint` says more about it.")
    })
}

/// A decision, why, and what would change it.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// What was asked for.
    pub action: String,
    /// On what.
    pub resource: String,
    /// `allowed`, `explicitly denied` and so on.
    pub decision: String,
    /// Whether these policies allow it.
    pub allowed: bool,
    /// The statements that decide, and what they saw.
    pub because: Vec<String>,
    /// What to do.
    pub advice: Help,
    /// A statement that would allow it, for the identity's policy.
    pub statement: Option<Value>,
}

/// Explains what comes of a request under these policies.
#[must_use]
pub fn explain(sources: &Sources, request: &Request) -> Explained {
    let evaluation = sources.evaluate(request);
    let because = evaluation.deciding().map(ToString::to_string).collect();
    let (advice, statement) = advice(sources, request, &evaluation);
    Explained {
        action: request.action.clone(),
        resource: request.resource.clone(),
        decision: evaluation.decision.to_string(),
        allowed: evaluation.decision == Decision::Allow,
        because,
        advice,
        statement,
    }
}

fn advice(sources: &Sources, request: &Request, evaluation: &Evaluation) -> (Help, Option<Value>) {
    match evaluation.decision {
        Decision::Allow => (
            "These policies allow it. If it was refused nevertheless, something else forbids it: a service control \
             policy, a permissions boundary, a VPC endpoint's policy, the KMS key's policy or Object Lock."
                .into(),
            None,
        ),
        Decision::ExplicitDeny => (denied(sources, request, evaluation), None),
        Decision::ImplicitDeny => {
            let statement = json!({"Effect": "Allow", "Action": request.action, "Resource": request.resource});
            (missing(sources, request, evaluation), Some(statement))
        }
        Decision::NotCertain => (
            "AWS does not document what follows from the statements above, or the answer depends on something unknown \
             here. Treat it as denied, and rewrite the statements in a documented form."
                .into(),
            None,
        ),
    }
}

/// Which Allow is missing.
fn missing(sources: &Sources, request: &Request, evaluation: &Evaluation) -> Help {
    let level = if request.resource.contains('/') { "object" } else { "bucket" };
    if evaluation.deciding().next().is_some() {
        return format!("One condition named above keeps an Allow from applying. Fix it, or add the statement for this {level}.")
            .into();
    }
    if evaluation.reasons.iter().any(|reason| reason.effect == Effect::Allow) {
        return format!(
            "No Allow covers {} on this {level}. Add the statement to the identity's policy.",
            request.action
        )
        .into();
    }
    if sources.identity_known || sources.bucket.is_some() {
        return format!(
            "No policy allows anything here. Add the statement for this {level} to the identity's policy."
        )
        .into();
    }
    help!["No policy is known. Give the identity's with ", Setting::IdentityPolicy, "."]
}

/// What the request would have to be like to get past the statements that deny it.
fn denied(sources: &Sources, request: &Request, evaluation: &Evaluation) -> Help {
    let with = |change: &dyn Fn(&mut Request)| {
        let mut other = request.clone();
        change(&mut other);
        sources.decide(&other) == Decision::Allow
    };
    let sent = request.context.get(HEADER).is_some();
    for mode in ["AES256", "aws:kms", "aws:kms:dsse"] {
        if request.action.eq_ignore_ascii_case(PUT.action) && with(&|other| other.context.set(HEADER, mode)) {
            return help![
                format!("With encryption {mode} it would be allowed: use "),
                Setting::Sse.to(mode),
                "."
            ];
        }
    }
    if sent && with(&|other| other.context.remove(HEADER)) {
        return help![
            "Without the encryption header it would be allowed: use ",
            Setting::Sse.to("none"),
            "."
        ];
    }
    if with(&|other| other.context.set("aws:SecureTransport", "true")) {
        return "Over TLS it would be allowed: use an https:// endpoint.".into();
    }
    let names: Vec<String> =
        evaluation.deciding().map(|r| format!("statement {} of the {}", r.statement + 1, r.policy)).collect();
    format!(
        "An explicit Deny overrides every Allow. Change {}, if it should not apply to this identity.",
        names.join(" and ")
    )
    .into()
}

/// A request that Strongroom makes, and what comes of it under given policies.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Which commands make it.
    pub commands: String,
    /// Who.
    pub role: String,
    /// What it is for.
    pub why: String,
    /// What comes of it.
    #[serde(flatten)]
    pub explained: Explained,
}

/// Whether backing up, restoring and pruning would still work under these policies.
#[must_use]
pub fn plan_check(settings: &Settings, sources: &Sources, principal: &Principal) -> Vec<Checked> {
    let lines = USES.iter().filter(|line| applies(settings, line) && line.operation.level != Level::Key);
    lines
        .map(|line| Checked {
            commands: line.commands.into(),
            role: line.role.as_str().into(),
            why: line.why.into(),
            explained: explain(sources, &request(settings, line, principal)),
        })
        .collect()
}

/// The request of a line of the table, as S3 sees it when Strongroom makes it.
fn request(settings: &Settings, line: &Use, principal: &Principal) -> Request {
    let pattern = line.scope.patterns().first().copied().unwrap_or("*");
    let key = pattern.replace('*', "default/20261123T020000Z-7f3k");
    let resource = match line.operation.level {
        Level::Bucket => settings.bucket_arn(),
        _ => settings.object_arn(&key),
    };
    let mut request = Request::new(principal.clone(), line.operation.action, &resource);
    usual(settings, &mut request);
    if line.operation.level == Level::Bucket {
        request.context.set("s3:prefix", settings.below());
        request.context.set("s3:delimiter", "/");
    }
    request
}

/// The condition keys that every request of Strongroom's carries, and those of a PUT.
pub(super) fn usual(settings: &Settings, request: &mut Request) {
    let context = &mut request.context;
    context.set("aws:SecureTransport", "true");
    context.set("s3:authType", "REST-HEADER");
    context.set("s3:signatureversion", "AWS4-HMAC-SHA256");
    context.set("aws:RequestedRegion", settings.region.as_str());
    if let Some(account) = &settings.account {
        context.set("aws:ResourceAccount", account.as_str());
        context.set("s3:ResourceAccount", account.as_str());
    }
    if request.action == "s3:PutObject" {
        context.set(IF_NONE_MATCH, "*");
        context.set("s3:ObjectCreationOperation", "true");
        if let Some(mode) = settings.sse.header() {
            context.set(HEADER, mode);
        }
        if let Some(key) = settings.sse.kms_key() {
            context.set(HEADER_KEY, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::{Access, documents};
    use crate::location::Location;

    fn classic() -> (Settings, Sources) {
        let location: Location = "s3://backups/shop".parse().unwrap();
        let settings = Settings { access: Access::Classic, ..Settings::of(&location).unwrap() };
        let mut sources = Sources { account: "111122223333".into(), ..Sources::default() };
        sources.add_identity("mLabS3BackupsPolicy", &documents(&settings)[0].policy.to_string()).unwrap();
        (settings, sources)
    }

    fn put(header: Option<&str>) -> Request {
        let mut request =
            Request::new(Principal::user("111122223333", "b"), "s3:PutObject", "arn:aws:s3:::backups/shop/a");
        if let Some(mode) = header {
            request.context.set(HEADER, mode);
        }
        request
    }

    #[test]
    fn a_missing_header_is_what_is_told() {
        let (_, sources) = classic();
        let told = explain(&sources, &put(None));
        assert!(!told.allowed);
        assert_eq!(told.because.len(), 2);
        assert!(
            told.because[0].contains("statement 3") && told.because[0].contains("it is missing"),
            "{told:?}"
        );
        assert!(told.advice.to_string().contains("`sse: AES256`"), "{told:?}");
        assert!(explain(&sources, &put(Some("aws:kms"))).advice.to_string().contains("`sse: AES256`"));
        assert!(explain(&sources, &put(Some("AES256"))).allowed);
    }

    #[test]
    fn a_missing_allow_is_told_with_the_statement_that_gives_it() {
        let (_, sources) = classic();
        let request = Request::new(
            Principal::user("111122223333", "b"),
            "s3:GetObjectVersion",
            "arn:aws:s3:::backups/shop/a",
        );
        let told = explain(&sources, &request);
        assert_eq!(told.statement.unwrap()["Action"], "s3:GetObjectVersion");
        assert!(told.advice.to_string().contains("One condition"), "{}", told.advice);
    }

    #[test]
    fn what_would_still_work_is_told_for_each_request() {
        let (mut settings, sources) = classic();
        let user = Principal::user("111122223333", "b");
        assert!(plan_check(&settings, &sources, &user).iter().all(|checked| checked.explained.allowed));
        settings.versioned = true;
        let refused: Vec<String> = plan_check(&settings, &sources, &user)
            .into_iter()
            .filter(|checked| !checked.explained.allowed)
            .map(|checked| checked.explained.action)
            .collect();
        assert!(
            refused.contains(&"s3:GetObjectVersion".to_owned())
                && refused.contains(&"s3:DeleteObjectVersion".to_owned())
        );
    }
}

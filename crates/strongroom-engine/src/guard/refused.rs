//! Whether a bucket would refuse what a plan stores, before a run tries it: from policies that were read earlier, or from
//! those that the bucket should have.

use iam_policy::{Decision, Principal, Request};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::explain::{Sources, explain, usual};
use super::policy::{Attached, documents};
use super::refusal::principal;
use super::settings::Settings;
use crate::bucket::Sse;
use crate::bucket::actions::{PUT, Role};
use crate::error::{Code, Error};
use crate::help::Help;
use crate::layout::PlanName;

/// A backup's name, as a policy sees one.
const ANY_BACKUP: &str = "20261123T020000Z-7f3k";
/// An account, where it is not known.
const ANY_ACCOUNT: &str = "111122223333";

/// Policies as they were read: to be kept, and judged later without another request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct KnownPolicies {
    /// The ARN of the one who stores backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Names and texts of that identity's policies; none where they may not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Vec<(String, String)>>,
    /// The text of the bucket's policy, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Whether it is known that the bucket has that policy, or none.
    pub bucket_known: bool,
}

/// Why a bucket would refuse what a plan stores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanRefusal {
    /// The permission.
    pub action: String,
    /// The ARN of an object that the plan would store.
    pub resource: String,
    /// The statements that refuse it; none where one that allows it is missing.
    pub statements: Vec<Refusing>,
    /// Each of them, and what it saw, in words.
    pub why: Vec<String>,
    /// What to change.
    pub advice: Help,
    /// A statement that would allow it, for the identity's policy.
    pub allow: Option<Value>,
    /// Whether the policies are those that the location's settings ask for, since the real ones could not be read.
    pub expected: bool,
}

/// A statement that refuses a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refusing {
    /// What its policy is called.
    pub policy: String,
    /// Its place in the policy, from 1.
    pub number: usize,
    /// Its `Sid`.
    pub sid: Option<String>,
    /// The statement itself.
    pub statement: Value,
}

impl PlanRefusal {
    /// The same as the error that a run would end with.
    #[must_use]
    pub fn error(&self) -> Error {
        let why = if self.why.is_empty() { "nothing allows it".to_owned() } else { self.why.join("; ") };
        let message = format!("`{}` on `{}` would be refused: {why}", self.action, self.resource);
        let statement = self.allow.iter().map(|statement| format!(" {statement}").into());
        Error::new(Code::Denied, message)
            .help(Help::new(self.advice.parts().iter().cloned().chain(statement)))
    }
}

/// Whether the bucket of these settings would refuse what the plan stores with the encryption that it asks for. What is
/// not known of the policies is taken from what the settings ask for. None where nothing known refuses it, which is no
/// promise: what an organization, a KMS key or an endpoint forbids is seen by a run only.
#[must_use]
pub fn refused(
    settings: &Settings,
    plan: &PlanName,
    sse: &Sse,
    known: &KnownPolicies,
) -> Option<PlanRefusal> {
    let caller = known.caller.as_deref().and_then(principal);
    let account = caller.as_ref().and_then(Principal::account).or(settings.account.as_deref());
    let account = account.unwrap_or(ANY_ACCOUNT).to_owned();
    let caller = caller.unwrap_or_else(|| Principal::user(&account, &settings.name));
    let (sources, expected) = sources(settings, known, account);
    let resource = settings.object_arn(&format!("{plan}/{ANY_BACKUP}/manifest.json"));
    let mut request = Request::new(caller, PUT.action, &resource);
    usual(&Settings { sse: sse.clone(), ..settings.clone() }, &mut request);
    let evaluation = sources.evaluate(&request);
    let told = explain(&sources, &request);
    // Of policies that are not known nobody can say that they allow nothing.
    let certain = match evaluation.decision {
        Decision::Allow | Decision::NotCertain => false,
        Decision::ExplicitDeny => true,
        Decision::ImplicitDeny => sources.identity_known,
    };
    let denying = evaluation.deciding().filter(|_| evaluation.decision == Decision::ExplicitDeny);
    let statements = denying.map(|reason| Refusing {
        policy: reason.policy.clone(),
        number: reason.statement + 1,
        sid: reason.sid.clone(),
        statement: sources.statement(&reason.policy, reason.statement),
    });
    certain.then(|| PlanRefusal {
        action: told.action,
        resource: told.resource,
        statements: statements.collect(),
        why: told.because,
        advice: told.advice,
        allow: told.statement,
        expected,
    })
}

/// What is known, and where something is not, what it should be; whether that was needed.
fn sources(settings: &Settings, known: &KnownPolicies, account: String) -> (Sources, bool) {
    let mut sources = Sources { account, ..Sources::default() };
    // What AWS took and is not understood here counts as not known.
    let identity = known
        .identity
        .as_ref()
        .is_some_and(|policies| policies.iter().all(|(name, text)| sources.add_identity(name, text).is_ok()));
    let bucket = match &known.bucket {
        Some(text) => sources.set_bucket("bucket policy", text).is_ok(),
        None => known.bucket_known,
    };
    for document in documents(settings) {
        let (title, text) = (document.title(), document.policy.to_string());
        // What is made here is a policy.
        let _ = match &document.attached {
            Attached::Identity { roles, .. } if !identity && roles.contains(&Role::Writer) => {
                sources.add_identity(&title, &text)
            }
            Attached::Bucket if !bucket => sources.set_bucket(&title, &text),
            Attached::Identity { .. } | Attached::Bucket | Attached::Trust { .. } => Ok(()),
        };
    }
    sources.identity_known = identity;
    (sources, !identity || !bucket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Access;
    use crate::location::Location;

    fn settings() -> Settings {
        let location: Location = "s3://backups/shop".parse().unwrap();
        Settings { access: Access::Classic, ..Settings::of(&location).unwrap() }
    }

    fn of_page(settings: &Settings) -> KnownPolicies {
        let text = documents(settings)[0].policy.to_string();
        KnownPolicies {
            caller: Some("arn:aws:iam::111122223333:user/mLabUser".into()),
            identity: Some(vec![("mLabS3BackupsPolicy".into(), text)]),
            bucket_known: true,
            ..KnownPolicies::default()
        }
    }

    fn told(known: &KnownPolicies, sse: &Sse) -> Option<PlanRefusal> {
        refused(&settings(), &PlanName::default(), sse, known)
    }

    #[test]
    fn a_plan_without_encryption_is_refused_by_the_policy_that_asks_for_it() {
        let settings = Settings { sse: Sse::Aes256, header_required: true, ..settings() };
        let known = of_page(&settings);
        let refusal = told(&known, &Sse::None).unwrap();
        assert_eq!(refusal.resource, format!("arn:aws:s3:::backups/shop/default/{ANY_BACKUP}/manifest.json"));
        let [first, second] = &refusal.statements[..] else { panic!("{refusal:?}") };
        assert_eq!((first.policy.as_str(), first.number, second.number), ("mLabS3BackupsPolicy", 3, 4));
        assert_eq!(first.statement["Condition"]["Null"]["s3:x-amz-server-side-encryption"], "true");
        assert!(refusal.advice.to_string().contains("`sse: AES256`"), "{refusal:?}");
        assert!(!refusal.expected);
        let error = refusal.error();
        assert_eq!(error.code(), Code::Denied);
        assert!(error.message().contains("mLabS3BackupsPolicy, statement 3"), "{error}");
        assert!(told(&known, &Sse::Kms(None)).is_some());
        assert_eq!(told(&known, &Sse::Aes256), None);
    }

    #[test]
    fn what_nobody_may_read_is_taken_from_the_settings() {
        let demanding = Settings { sse: Sse::Aes256, header_required: true, ..settings() };
        let unknown = KnownPolicies::default();
        for access in [Access::Classic, Access::Single, Access::Split] {
            let settings = Settings { access, ..demanding.clone() };
            let refusal = refused(&settings, &PlanName::default(), &Sse::None, &unknown).unwrap();
            assert!(refusal.expected && !refusal.statements.is_empty(), "{refusal:?}");
            assert_eq!(refused(&settings, &PlanName::default(), &Sse::Aes256, &unknown), None);
        }
        assert_eq!(told(&unknown, &Sse::None).is_some(), settings().sse != Sse::None);
    }

    #[test]
    fn a_folder_that_no_statement_allows_is_refused_with_the_one_that_would() {
        let text = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::backups/shop/nightly/*"}}"#;
        let known =
            KnownPolicies { identity: Some(vec![("mine".into(), text.into())]), ..of_page(&settings()) };
        let refusal = told(&known, &Sse::Aes256).unwrap();
        assert!(refusal.statements.is_empty());
        assert_eq!(refusal.allow.as_ref().unwrap()["Action"], "s3:PutObject");
        assert!(refusal.error().help_text().unwrap().to_string().contains("\"s3:PutObject\""));
        assert_eq!(refused(&settings(), &"nightly".parse().unwrap(), &Sse::Aes256, &known), None);
    }

    #[test]
    fn a_bucket_that_is_known_to_ask_for_nothing_refuses_nothing() {
        let location: Location = "s3://backups/shop".parse().unwrap();
        let demanding = Settings {
            access: Access::Single,
            sse: Sse::Aes256,
            header_required: true,
            ..Settings::of(&location).unwrap()
        };
        let known = KnownPolicies { bucket_known: true, ..KnownPolicies::default() };
        assert_eq!(refused(&demanding, &PlanName::default(), &Sse::None, &known), None);
        let policy = documents(&demanding).into_iter().find(|document| document.attached == Attached::Bucket);
        let known = KnownPolicies { bucket: policy.map(|policy| policy.policy.to_string()), ..known };
        let refusal = refused(&demanding, &PlanName::default(), &Sse::None, &known).unwrap();
        assert!(refusal.statements[0].sid.as_deref().unwrap().starts_with("Strongroom"), "{refusal:?}");
    }

    #[test]
    fn known_policies_are_kept_as_data() {
        let known = of_page(&settings());
        let written = serde_json::to_string(&known).unwrap();
        assert_eq!(serde_json::from_str::<KnownPolicies>(&written).unwrap(), known);
    }
}

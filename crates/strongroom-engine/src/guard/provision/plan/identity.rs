//! The identities' part of a plan.

use iam_policy::Attachment;
use serde_json::Value;

use super::bucket::fits;
use super::{Effect, Facts, Plan, Step, change};
use crate::bucket::facts::IdentityFacts;
use crate::error::Result;
use crate::guard::policy::{Attached, Document, documents};
use crate::guard::provision::policy_arn;
use crate::guard::settings::Settings;

impl Plan {
    pub(super) fn identity(&mut self, settings: &Settings, name: &str, found: &IdentityFacts) -> Result<()> {
        let documents = documents(settings);
        let wanted = documents
            .iter()
            .find(|d| matches!(&d.attached, Attached::Identity { name: of, .. } if of == name));
        let Some(wanted) = wanted else { return Ok(()) };
        fits(&format!("policy {name}"), &wanted.policy, Attachment::Managed)?;
        let arn = policy_arn(settings, name);
        match &found.policy {
            None => {
                let step = |text: Option<String>| Step::CreatePolicy(name.into(), text.unwrap_or_default());
                self.policy_change(&format!("policy {name}"), None, Some(&wanted.policy), step);
            }
            Some(there) => {
                let before: Value = serde_json::from_str(&there.text).unwrap_or_default();
                let step = |text: Option<String>| Step::ChangePolicy(arn.clone(), text.unwrap_or_default());
                self.policy_change(&format!("policy {name}"), Some(&before), Some(&wanted.policy), step);
            }
        }
        let trust =
            documents.iter().find(|d| matches!(&d.attached, Attached::Trust { name: of } if of == name));
        match trust {
            Some(trust) => self.role(name, &arn, trust, found),
            None => self.user(name, &arn, found),
        }
        Ok(())
    }

    fn user(&mut self, name: &str, arn: &str, found: &IdentityFacts) {
        let (attached, members) = match &found.group {
            None => {
                self.changes.push(change(
                    format!("group {name}"),
                    Effect::Create,
                    Step::CreateGroup(name.into()),
                ));
                (false, false)
            }
            Some((policies, users)) => (policies.iter().any(|p| p == arn), users.iter().any(|u| u == name)),
        };
        if !attached {
            let step = Step::AttachToGroup(name.into(), arn.into());
            let mut attach = change(format!("policy {name} on group {name}"), Effect::Create, step);
            attach.widens = found.group.as_ref().is_some_and(|(_, users)| !users.is_empty());
            self.changes.push(attach);
        }
        if found.user.is_none() {
            self.changes.push(change(format!("user {name}"), Effect::Create, Step::CreateUser(name.into())));
        }
        if !members {
            self.changes.push(change(
                format!("user {name} in group {name}"),
                Effect::Create,
                Step::JoinGroup(name.into()),
            ));
        }
        match found.user.as_deref() {
            None | Some([]) => {
                self.changes.push(change(
                    format!("access key of user {name}"),
                    Effect::Create,
                    Step::CreateKey(name.into()),
                ));
            }
            Some(keys) => self.notes.push(format!(
                "user {name} has the access key {}; its secret is not shown again (--new-key makes another)",
                keys.join(" and ")
            )),
        }
    }

    fn role(&mut self, name: &str, arn: &str, trust: &Document, found: &IdentityFacts) {
        let text = trust.policy.to_string();
        let subject = format!("role {name}, and who may take it on");
        match &found.role {
            None => {
                let step = |_: Option<String>| Step::CreateRole(name.into(), text.clone());
                self.policy_change(&subject, None, Some(&trust.policy), step);
            }
            Some((now, _)) => {
                let before: Value = serde_json::from_str(now).unwrap_or_default();
                let step = |_: Option<String>| Step::ChangeTrust(name.into(), text.clone());
                self.policy_change(&subject, Some(&before), Some(&trust.policy), step);
            }
        }
        if !found.role.as_ref().is_some_and(|(_, attached)| attached.iter().any(|p| p == arn)) {
            let step = Step::AttachToRole(name.into(), arn.into());
            self.changes.push(change(format!("policy {name} on role {name}"), Effect::Create, step));
        }
    }

    /// A further access key for each user.
    pub fn add_keys(&mut self, facts: &Facts) {
        for (name, found) in &facts.identities {
            if found.user.as_ref().is_some_and(|keys| !keys.is_empty()) {
                self.changes.push(change(
                    format!("another access key of user {name}"),
                    Effect::Create,
                    Step::CreateKey(name.clone()),
                ));
            }
        }
    }
}

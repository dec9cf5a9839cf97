//! The identities' part of a plan.

use iam_policy::Attachment;
use serde_json::Value;

use super::bucket::fits;
use super::{Effect, Facts, Plan, change};
use crate::bucket::facts::IdentityFacts;
use crate::error::Result;
use crate::guard::policy::{Attached, Document, documents};
use crate::guard::provision::policy_arn;
use crate::guard::settings::Settings;
use crate::guard::steps::IdentityStep;

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
                let step = |text: Option<String>| IdentityStep::CreatePolicy {
                    name: name.into(),
                    text: text.unwrap_or_default(),
                };
                self.policy_change(&format!("policy {name}"), None, Some(&wanted.policy), step);
            }
            Some(there) => {
                let before: Value = serde_json::from_str(&there.text).unwrap_or_default();
                let step = |text: Option<String>| IdentityStep::ChangePolicy {
                    arn: arn.clone(),
                    text: text.unwrap_or_default(),
                };
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
        let (name_of, group) = (|| name.to_owned(), found.group.as_ref());
        let create = |subject: String, step| change(subject, Effect::Create, step);
        if group.is_none() {
            self.changes.push(create(format!("group {name}"), IdentityStep::CreateGroup { name: name_of() }));
        }
        if !group.is_some_and(|group| group.policies.iter().any(|policy| policy == arn)) {
            let step = IdentityStep::AttachToGroup { name: name_of(), arn: arn.into() };
            let mut attach = create(format!("policy {name} on group {name}"), step);
            attach.widens = group.is_some_and(|group| !group.users.is_empty());
            self.changes.push(attach);
        }
        if found.user.is_none() {
            self.changes.push(create(format!("user {name}"), IdentityStep::CreateUser { name: name_of() }));
        }
        if !group.is_some_and(|group| group.users.iter().any(|user| user == name)) {
            let step = IdentityStep::JoinGroup { name: name_of() };
            self.changes.push(create(format!("user {name} in group {name}"), step));
        }
        match found.user.as_ref().map_or(&[][..], |user| &user.access_keys) {
            [] => {
                let step = IdentityStep::CreateKey { name: name_of() };
                self.changes.push(create(format!("access key of user {name}"), step));
            }
            keys => self.notes.push(format!(
                "user {name} has the access key {}; its secret cannot be shown again, only another key can be created",
                keys.join(" and ")
            )),
        }
    }

    fn role(&mut self, name: &str, arn: &str, trust: &Document, found: &IdentityFacts) {
        let text = trust.policy.to_string();
        let subject = format!("role {name}, and who may assume it");
        match &found.role {
            None => {
                let step =
                    |_: Option<String>| IdentityStep::CreateRole { name: name.into(), trust: text.clone() };
                self.policy_change(&subject, None, Some(&trust.policy), step);
            }
            Some(role) => {
                let before: Value = serde_json::from_str(&role.trust).unwrap_or_default();
                let step =
                    |_: Option<String>| IdentityStep::ChangeTrust { name: name.into(), trust: text.clone() };
                self.policy_change(&subject, Some(&before), Some(&trust.policy), step);
            }
        }
        if !found.role.as_ref().is_some_and(|role| role.policies.iter().any(|p| p == arn)) {
            let step = IdentityStep::AttachToRole { name: name.into(), arn: arn.into() };
            self.changes.push(change(format!("policy {name} on role {name}"), Effect::Create, step));
        }
    }

    /// A further access key for each user.
    pub fn add_keys(&mut self, facts: &Facts) {
        for (name, found) in &facts.identities {
            if found.user.as_ref().is_some_and(|user| !user.access_keys.is_empty()) {
                self.changes.push(change(
                    format!("another access key of user {name}"),
                    Effect::Create,
                    IdentityStep::CreateKey { name: name.clone() },
                ));
            }
        }
    }
}

//! Rules of the target's own by which documents expire that are added to its collections: a restore that holds such rules
//! back cannot hold these.

use std::collections::BTreeSet;

use super::expiry::Rule;
use super::item::{Action, Item};
use super::settings::{Options, Ttl};
use crate::definition::Definition;
use crate::deployment::Target;
use crate::error::Result;
use crate::job::Job;
use crate::names::NamespaceKind;
use crate::progress::Warning;

/// Those rules, and the collections of which the user may not see the indexes.
#[derive(Debug, Default)]
pub(super) struct InForce {
    pub(super) rules: Vec<Rule>,
    unseen: Vec<String>,
}

impl InForce {
    /// Looks at the collections of these items that the target has, where their rules were to be held back.
    pub(super) async fn look(target: &Target, items: &[Item], settings: &Options) -> Result<Self> {
        let mut found = Self::default();
        if settings.ttl != Ttl::Hold {
            return Ok(found);
        }
        let there = |item: &&Item| {
            matches!(item.action, Action::Add | Action::Index) && item.kind != NamespaceKind::View
        };
        let there: Vec<&Item> = items.iter().filter(there).collect();
        for db in there.iter().map(|item| item.to.db.as_str()).collect::<BTreeSet<_>>() {
            let options = target.options(db).await?;
            for Item { to, .. } in there.iter().filter(|item| item.to.db == db) {
                let options = options.get(&to.collection).cloned().unwrap_or_else(Definition::default);
                // The name may be that of a view there.
                if options.contains("viewOn") {
                    continue;
                }
                let indexes = target.indexes(to).await?;
                found.unseen.extend(indexes.is_none().then(|| to.to_string()));
                found.rules.extend(Rule::of_existing(to, &options, &indexes.unwrap_or_default()));
            }
        }
        Ok(found)
    }

    /// Says so while there is time to do something about it.
    pub(super) fn warn(&self, job: &Job) {
        for rule in &self.rules {
            job.warn(Warning::ExpiryNotHeld {
                namespace: rule.on.to_string(),
                index: rule.index.clone(),
                switched_off_by: rule.switched_off_by(),
            });
        }
        if !self.unseen.is_empty() {
            job.warn(Warning::ExpiryNotSeen { namespaces: self.unseen.clone() });
        }
    }
}

//! Capped collections of the target that documents are added to: to make room they throw others out without a word.

use std::collections::BTreeSet;

use super::item::{Action, Item};
use super::tally::Tally;
use crate::deployment::Target;
use crate::error::{Code, Result};
use crate::names::Name;

/// Those collections, and what they held before.
pub(super) struct Rings(Vec<Ring>);

struct Ring {
    /// Of the namespace whose documents are added.
    number: usize,
    name: Name,
    /// None where the user may not count them.
    held: Option<u64>,
}

impl Rings {
    pub(super) async fn look(target: &Target, items: &[Item]) -> Result<Self> {
        let added: Vec<&Item> = items.iter().filter(|item| item.action == Action::Add).collect();
        let dbs: BTreeSet<&str> = added.iter().map(|item| item.to.db.as_str()).collect();
        let mut rings = Vec::new();
        for db in dbs {
            let options = target.options(db).await?;
            for item in added.iter().filter(|item| item.to.db == db) {
                if options.get(&item.to.collection).is_some_and(|options| options.says_yes("capped")) {
                    let held = count(target, &item.to).await?;
                    rings.push(Ring { number: item.number, name: item.to.clone(), held });
                }
            }
        }
        Ok(Self(rings))
    }

    /// What they threw out, in sentences.
    pub(super) async fn compare(&self, target: &Target, tally: &Tally) -> Result<Vec<String>> {
        let mut lost = Vec::new();
        for Ring { number, name, held } in &self.0 {
            let thrown_out = match (held, count(target, name).await?) {
                (Some(before), Some(now)) => match (before + tally.inserted(*number)).checked_sub(now) {
                    None | Some(0) => continue,
                    Some(documents) => format!("threw out {documents} documents"),
                },
                _ => "may have thrown out documents, which this user may not count,".to_owned(),
            };
            lost.push(format!("`{name}` is capped in the target, and {thrown_out} to make room for others"));
        }
        Ok(lost)
    }
}

async fn count(target: &Target, name: &Name) -> Result<Option<u64>> {
    match target.count_all(name).await {
        Ok(documents) => Ok(Some(documents)),
        Err(error) if error.code() == Code::MongoPrivilege => Ok(None),
        Err(error) => Err(error),
    }
}

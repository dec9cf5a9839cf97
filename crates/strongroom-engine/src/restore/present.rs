//! What the target holds: looked at for the plan, and once more before anything is touched.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::deployment::Target;
use crate::error::{Code, Error, Result};
use crate::names::Name;

/// Names of collections and views, of some databases.
#[derive(Debug, Clone, Default)]
pub(super) struct Present(BTreeMap<String, HashSet<String>>);

impl Present {
    /// All collections and views of these databases.
    pub(super) async fn look(target: &Target, dbs: BTreeSet<&str>) -> Result<Self> {
        let mut present = Self::default();
        for db in dbs {
            present.0.insert(db.to_owned(), target.collections(db).await?.into_iter().collect());
        }
        Ok(present)
    }

    /// The same look again.
    pub(super) async fn look_again(&self, target: &Target) -> Result<Self> {
        Self::look(target, self.0.keys().map(String::as_str).collect()).await
    }

    pub(super) fn contains(&self, name: &Name) -> bool {
        self.0.get(&name.db).is_some_and(|names| names.contains(&name.collection))
    }

    /// Refuses to go on when one of these names appeared or vanished.
    ///
    /// # Errors
    /// [`Code::TargetChanged`].
    pub(super) fn unchanged<'a>(&self, now: &Self, names: impl Iterator<Item = &'a Name>) -> Result<()> {
        let changed: Vec<&Name> = names.filter(|name| self.contains(name) != now.contains(name)).collect();
        let Some(first) = changed.first() else { return Ok(()) };
        let what = if now.contains(first) { "was created" } else { "was dropped" };
        let more = match changed.len() - 1 {
            0 => String::new(),
            1 => ", and 1 more changed".to_owned(),
            more => format!(", and {more} more changed"),
        };
        let message = format!("the target changed after the restore was planned: `{first}` {what}{more}");
        Err(Error::new(Code::TargetChanged, message)
            .help("Make sure that nothing else writes to the target, and plan the restore again. Nothing was touched."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(names: &[&str]) -> Present {
        Present(BTreeMap::from([("shop".to_owned(), names.iter().map(ToString::to_string).collect())]))
    }

    #[test]
    fn a_change_of_what_was_planned_is_named() {
        let planned = ["a", "b"].map(|collection| Name::new("shop", collection));
        let unchanged =
            |before: &[&str], now: &[&str]| present(before).unchanged(&present(now), planned.iter());
        unchanged(&["b"], &["b", "other"]).unwrap();
        let error = unchanged(&["b"], &["a", "b"]).unwrap_err();
        assert_eq!(error.code(), Code::TargetChanged);
        assert!(error.message().ends_with("`shop.a` was created"), "{error}");
        let error = unchanged(&["a", "b"], &[]).unwrap_err();
        assert!(error.message().ends_with("`shop.a` was dropped, and 1 more changed"), "{error}");
    }
}

//! What is left to do once the data is there: indexes and views.

use std::collections::BTreeSet;

use super::item::{Action, Item};
use super::metadata::Metadata;
use super::views::View;
use crate::definition::Definition;
use crate::names::{Name, NamespaceKind};

/// What is to be built and created at the end of a restore.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Left {
    /// The collections and views that are restored, by their names in the target.
    pub(super) names: BTreeSet<Name>,
    pub(super) indexes: Vec<Build>,
    pub(super) views: Vec<View>,
    /// The collections that are created, with their options by now.
    pub(super) created: Vec<(Name, Definition)>,
    /// Changes of users and roles, as operations.
    pub(super) of_users: Vec<bson::RawDocumentBuf>,
    /// What cannot be done, in sentences.
    pub(super) exceptions: Vec<String>,
}

/// Indexes of one collection.
#[derive(Debug, PartialEq)]
pub(super) struct Build {
    /// The collection: a time-series, or that of its buckets.
    pub(super) on: Name,
    pub(super) indexes: Vec<Definition>,
    pub(super) search_indexes: Vec<Definition>,
    /// The collection is not there.
    pub(super) missing: bool,
}

impl Left {
    /// Without an oplog, all is as the source describes it.
    pub(super) fn of(items: &[Item]) -> Self {
        let mut left = Self::default();
        for item in items {
            match item.kind {
                NamespaceKind::View => left.view(item),
                _ => left.collection(item, &item.metadata),
            }
        }
        left
    }

    pub(super) fn view(&mut self, item: &Item) {
        if item.action.creates() {
            self.names.insert(item.to.clone());
            self.views.push(View { name: item.to.clone(), options: item.options.clone() });
        } else {
            let name = &item.to;
            self.exceptions
                .push(format!("the view `{name}` was not created: the target has something of this name"));
        }
    }

    /// `metadata` is how the collection is by now.
    pub(super) fn collection(&mut self, item: &Item, metadata: &Metadata) {
        if item.action != Action::Skip {
            self.names.insert(item.to.clone());
        }
        if item.action.creates() {
            self.created.push((item.to.clone(), metadata.options.clone()));
        }
        if !matches!(item.action, Action::Merge | Action::Skip) {
            self.build(&item.to, metadata, item.action == Action::Missing);
        }
    }

    pub(super) fn build(&mut self, on: &Name, metadata: &Metadata, missing: bool) {
        let indexes = metadata.indexes_to_build();
        let search_indexes = metadata.search_indexes.clone();
        if !indexes.is_empty() || !search_indexes.is_empty() {
            self.indexes.push(Build { on: on.clone(), indexes, search_indexes, missing });
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::super::item::tests::item;
    use super::*;
    use crate::definition::tests::definition;

    #[test]
    fn only_what_is_created_gets_views_and_only_what_is_the_users_gets_indexes() {
        let with_index = |name, action| {
            let mut item = item(name, action);
            item.metadata.indexes = vec![definition(doc! { "key": { "x": 1 }, "name": "x" })];
            item
        };
        let view = |name, action| Item { kind: NamespaceKind::View, ..item(name, action) };
        let left = Left::of(&[
            with_index("shop.a", Action::Add),
            with_index("shop.b", Action::Missing),
            with_index("admin.system.users", Action::Merge),
            view("shop.v", Action::Create),
            view("shop.w", Action::Add),
        ]);
        assert_eq!(left.names.len(), 4);
        assert!(left.exceptions[0].contains("`shop.w`"), "{:?}", left.exceptions);
        let builds: Vec<_> = left.indexes.iter().map(|build| (build.on.to_string(), build.missing)).collect();
        assert_eq!(builds, [("shop.a".to_owned(), false), ("shop.b".to_owned(), true)]);
        assert_eq!(left.views.iter().map(|view| view.name.to_string()).collect::<Vec<_>>(), ["shop.v"]);
    }
}

//! One collection or view of a restore: what it is in the source, and what becomes of it in the target.

use serde::Serialize;

use super::metadata::Metadata;
use crate::definition::Definition;
use crate::names::{Authorization, Name, NamespaceKind};

/// What will be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Create it: it does not exist.
    Create,
    /// Drop it and create it anew.
    Replace,
    /// Insert into the one that exists.
    Add,
    /// Nothing: it exists, and nothing said that it may be touched.
    Refuse,
    /// Merge into the users and roles of the target.
    Merge,
    /// Nothing: the target has its own.
    Skip,
    /// Build its indexes, and nothing else.
    Index,
    /// Nothing: its indexes were to be built, and it does not exist.
    Missing,
}

impl Action {
    pub(super) fn creates(self) -> bool {
        matches!(self, Self::Create | Self::Replace)
    }

    pub(super) fn inserts(self) -> bool {
        self.creates() || matches!(self, Self::Add | Self::Merge)
    }

    /// Whether it was chosen by what exists in the target.
    pub(super) fn depends_on_target(self) -> bool {
        !matches!(self, Self::Merge | Self::Skip)
    }
}

/// A collection or view that is restored.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its number in the source's list of contents, by which segments name it.
    pub(super) number: usize,
    /// Its name in the source.
    pub(super) from: Name,
    /// Its name in the target.
    pub(super) to: Name,
    pub(super) kind: NamespaceKind,
    /// What it holds of users and roles.
    pub(super) authorization: Option<Authorization>,
    pub(super) action: Action,
    /// Options and indexes as the source has them.
    pub(super) metadata: Metadata,
    /// Options as the target gets them: a view reads the new names.
    pub(super) options: Definition,
    /// What its options name that is no option.
    pub(super) left_out: Vec<String>,
    /// Documents to insert; an archive does not say.
    pub(super) documents: Option<u64>,
    /// Their bytes.
    pub(super) bytes: Option<u64>,
}

impl Item {
    /// Whether documents of it have no place in the target, though it was chosen: it is a view, or the server's own.
    /// That a server has its own version of users is no loss.
    pub(super) fn has_no_place(&self) -> bool {
        let skipped = self.action == Action::Skip && self.authorization.is_none();
        skipped || (self.action.inserts() && self.data_to().is_none())
    }

    /// Where its documents stand in the source.
    pub(super) fn data_from(&self) -> Name {
        Name::new(&self.from.db, self.kind.data_collection(&self.from.collection))
    }

    /// Where its documents are inserted. Views have none; the server keeps users, roles and their version itself.
    pub(super) fn data_to(&self) -> Option<Name> {
        match self.authorization {
            Some(kept) => kept.temporary(),
            None if self.kind == NamespaceKind::View => None,
            None => Some(Name::new(&self.to.db, self.kind.data_collection(&self.to.collection))),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An item of an archive, called the same in source and target.
    pub(in crate::restore) fn item(name: &str, action: Action) -> Item {
        let (db, collection) = name.split_once('.').unwrap();
        Item {
            number: 0,
            from: Name::new(db, collection),
            to: Name::new(db, collection),
            kind: NamespaceKind::Collection,
            authorization: Authorization::of(db, collection),
            action,
            metadata: Metadata::default(),
            options: Definition::default(),
            left_out: Vec::new(),
            documents: None,
            bytes: None,
        }
    }

    #[test]
    fn documents_go_where_the_server_keeps_them() {
        let mut series = item("shop.weather", Action::Create);
        series.kind = NamespaceKind::Timeseries;
        series.to = Name::new("copy", "w");
        assert_eq!(series.data_from(), Name::new("shop", "system.buckets.weather"));
        assert_eq!(series.data_to(), Some(Name::new("copy", "system.buckets.w")));
        let mut view = item("shop.v", Action::Create);
        view.kind = NamespaceKind::View;
        assert_eq!(view.data_to(), None);
        assert_eq!(
            item("admin.system.users", Action::Merge).data_to(),
            Some(Name::new("admin", "tempusers"))
        );
        assert_eq!(item("admin.system.version", Action::Skip).data_to(), None);
    }
}

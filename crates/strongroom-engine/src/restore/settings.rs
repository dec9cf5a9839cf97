//! What a person can choose for a restore.

use crate::moment::ClusterTime;
use crate::renames::Renames;
use crate::selection::Filter;

/// What to restore, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which namespaces of the backup, by their names in it.
    pub filter: Filter,
    /// Where they go.
    pub renames: Renames,
    /// What to do with collections that exist in the target.
    pub existing: Existing,
    /// What to do about indexes.
    pub indexes: Indexes,
    /// What to do about users and roles.
    pub users: Users,
    /// The moment to restore, by replaying the oplog that comes along; if not said, the earliest that is consistent.
    pub at: Option<ClusterTime>,
    /// Segments read and inserted at once; 0 counts as 1.
    pub writers: usize,
}

/// What to do with collections that exist in the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse to begin.
    #[default]
    Refuse,
    /// Drop those that the backup holds (and no others), then restore them.
    Drop,
    /// Leave their options, add documents and missing indexes.
    Keep,
}

/// What to do about indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Indexes {
    /// Build them when the data is there.
    #[default]
    Build,
    /// Build none (but those on `_id`, which servers make themselves).
    None,
    /// Build them on the collections that exist, and do nothing else.
    Only,
}

/// What to do about users and roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Users {
    /// Merge them into those of the target.
    #[default]
    Merge,
    /// Leave them out.
    None,
    /// Restore nothing else.
    Only,
}

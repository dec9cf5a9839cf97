//! What a person can choose for a restore.

use serde::{Deserialize, Serialize};

use crate::deployment::CommitQuorum;
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::moment::ClusterTime;
use crate::renames::Renames;
use crate::selection::Filter;
use crate::settings::{self, at_once_default, choices};

/// What to restore, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// Which namespaces of the backup, by their names in it.
    pub filter: Filter,
    /// Where they go.
    pub renames: Renames,
    /// What to do with collections that exist in the target.
    pub existing: Existing,
    /// What to do about the options of collections.
    pub collection_options: CollectionOptions,
    /// What to do about indexes.
    pub indexes: Indexes,
    /// Which members of a replica set must have built an index before it counts as built; if not said, the server's
    /// default: all that vote and hold data, so a member that is down is waited for.
    #[serde(with = "settings::optional_text", skip_serializing_if = "Option::is_none")]
    pub commit_quorum: Option<CommitQuorum>,
    /// What to do about users and roles.
    pub users: Users,
    /// What to do about documents that expire.
    pub ttl: Ttl,
    /// The moment to restore, by replaying the oplog that comes along; if not said, the earliest that is consistent.
    #[serde(with = "settings::optional_text", skip_serializing_if = "Option::is_none")]
    pub at: Option<ClusterTime>,
    /// Segments read and inserted at once, 1 to 64.
    #[serde(deserialize_with = "settings::at_once")]
    pub writers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            renames: Renames::default(),
            existing: Existing::default(),
            collection_options: CollectionOptions::default(),
            indexes: Indexes::default(),
            commit_quorum: None,
            users: Users::default(),
            ttl: Ttl::default(),
            at: None,
            writers: at_once_default(),
        }
    }
}

impl Options {
    /// Refuses what cannot be together.
    ///
    /// # Errors
    /// [`Code::Usage`], with what to change.
    pub fn check(&self) -> Result<()> {
        let more = self.existing != Existing::Refuse || self.users == Users::Only;
        if self.indexes == Indexes::Only && more {
            return Err(Error::new(
                Code::Usage,
                "a restore of indexes alone touches neither documents nor users",
            )
            .help(help![
                "Leave out ",
                Setting::Existing.to("drop"),
                ", ",
                Setting::Existing.to("keep"),
                " and ",
                Setting::Users.to("only"),
                "."
            ]));
        }
        Ok(())
    }
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

/// What to do about the options of collections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CollectionOptions {
    /// Create each with the options it had.
    #[default]
    Keep,
    /// Create collections without any, such as validators, sizes and default collations. Views and time-series, which are
    /// nothing without theirs, keep them.
    None,
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

/// What to do about documents that a server deletes some time after a date in them (TTL).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ttl {
    /// Let them expire as in the source, once all is restored.
    #[default]
    Keep,
    /// Restore without it, and say how it is switched on.
    Hold,
}

choices!(Existing is "a treatment of collections that exist" { Refuse "refuse" Drop "drop" Keep "keep" });
choices!(CollectionOptions is "a treatment of options of collections" { Keep "keep" None "none" });
choices!(Indexes is "a treatment of indexes" { Build "build" None "none" Only "only" });
choices!(Users is "a treatment of users and roles" { Merge "merge" None "none" Only "only" });
choices!(Ttl is "a treatment of documents that expire" { Keep "keep" Hold "hold" });

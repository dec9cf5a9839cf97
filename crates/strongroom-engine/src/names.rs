//! Names of databases and collections.

use serde::{Deserialize, Serialize};

/// A database and a collection in it. A time-series collection's documents are in the collection of its buckets.
pub use mongo_archive::Namespace as Name;

/// What the name of the collection that holds a time-series collection's documents begins with.
pub(crate) const BUCKETS: &str = "system.buckets.";
/// The collection that holds the definitions of a database's views.
pub(crate) const VIEWS: &str = "system.views";
/// The collection of stored functions: of all `system.` collections the one that people fill.
pub(crate) const STORED_FUNCTIONS: &str = "system.js";

/// What the names of collections that servers made begin with.
pub(crate) const SYSTEM: &str = "system.";
/// The databases that each server has for itself.
const SERVERS_OWN: [&str; 2] = ["local", "config"];
/// Where mongodump puts the users and roles of one database (`--dumpDbUsersAndRoles`).
const OF_A_DATABASE: &str = "$admin.";

/// What a namespace is to its server, as its name says. The predicates below are the only lists of what belongs to a
/// server; a test shows where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// A collection or view like any other.
    Ordinary,
    /// Documents of a time-series collection.
    Buckets,
    /// Definitions of views.
    Views,
    StoredFunctions,
    Authorization,
    /// Each server has its own.
    ServersOwn,
}

fn standing(db: &str, collection: &str) -> Standing {
    match collection {
        _ if is_server_database(db) => Standing::ServersOwn,
        // Copies of users and roles that a restore left: nobody's data, and never to be merged.
        TEMPORARY_USERS | TEMPORARY_ROLES if db == "admin" => Standing::ServersOwn,
        _ if Authorization::of(db, collection).is_some() => Standing::Authorization,
        STORED_FUNCTIONS => Standing::StoredFunctions,
        VIEWS => Standing::Views,
        _ if collection.starts_with(BUCKETS) => Standing::Buckets,
        _ if collection.starts_with(SYSTEM) => Standing::ServersOwn,
        _ => Standing::Ordinary,
    }
}

/// Whether a server has a database of this name for itself.
pub(crate) fn is_server_database(db: &str) -> bool {
    SERVERS_OWN.contains(&db)
}

/// Whether a backup holds it under this name. Buckets are held under the name of their time-series, definitions of
/// views under that of the view.
pub(crate) fn is_backed_up(db: &str, collection: &str) -> bool {
    use Standing::{Authorization, Ordinary, StoredFunctions};
    matches!(standing(db, collection), Ordinary | StoredFunctions | Authorization)
}

/// Whether changes of it in the oplog are changes of what a backup holds.
pub(crate) fn is_replayed(db: &str, collection: &str) -> bool {
    !db.is_empty() && standing(db, collection) != Standing::ServersOwn && !is_temporary(collection)
}

/// Whether a restore creates it as a collection or view: users and roles are merged, and an archive of another
/// program may hold what the target has for itself.
pub(crate) fn is_created(db: &str, collection: &str) -> bool {
    matches!(standing(db, collection), Standing::Ordinary | Standing::StoredFunctions)
}

/// Whether something may be restored under this name.
pub(crate) fn is_free(db: &str, collection: &str) -> bool {
    use Standing::{Buckets, Ordinary, StoredFunctions};
    matches!(standing(db, collection), Ordinary | StoredFunctions | Buckets)
}

/// What the names of collections begin with that a server fills while it distributes another one anew.
pub(crate) const RESHARDING: &str = "system.resharding.";

/// Whether a server made it for an `$out` or a distribution that is under way, or one that it did not end.
pub(crate) fn is_temporary(collection: &str) -> bool {
    if collection.starts_with(RESHARDING) {
        return true;
    }
    let of = collection.strip_prefix("tmp.agg_out.");
    of.is_some_and(|uuid| {
        uuid.len() == 36 && uuid.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
    })
}

/// The name that users know: a time-series instead of the collection of its buckets.
pub(crate) fn known_as(collection: &str) -> &str {
    collection.strip_prefix(BUCKETS).unwrap_or(collection)
}

/// The first version whose time-series are read and written under their own names (`rawData`): no collection of buckets
/// has a name there, and archives of such servers have none either (`SupportsRawData` in mongo-tools' common/db).
const WITHOUT_BUCKETS: (u32, u32) = (8, 3);

/// Whether a server of this version gives and takes the buckets of a time-series under its own name.
pub(crate) fn names_no_buckets(server_version: &str) -> bool {
    let mut numbers = server_version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= WITHOUT_BUCKETS
}

/// The collections that MongoDB's own role `restore` may merge users and roles from.
pub(crate) const TEMPORARY_USERS: &str = "tempusers";
pub(crate) const TEMPORARY_ROLES: &str = "temproles";

/// The namespaces that hold users and roles, in the order in which mongodump writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Authorization {
    Users,
    Roles,
    /// How users are stored, of the server they came from.
    Version,
}

impl Authorization {
    /// What a namespace holds of users and roles: those of the server, or those of its database alone, which
    /// `mongodump --dumpDbUsersAndRoles` names `$admin.system.users`.
    pub(crate) fn of(db: &str, collection: &str) -> Option<Self> {
        let name = match collection.strip_prefix(OF_A_DATABASE) {
            Some(name) => name,
            None if db == "admin" => collection,
            None => return None,
        };
        match name {
            "system.users" => Some(Self::Users),
            "system.roles" => Some(Self::Roles),
            "system.version" => Some(Self::Version),
            _ => None,
        }
    }

    /// What sorts namespaces in the order of an archive, before their names do: mongorestore takes users, roles and
    /// their version only from an archive's beginning (`HandleSpecialCollection` in its source).
    pub(crate) fn rank(db: &str, collection: &str) -> (bool, Option<Self>) {
        let kept = Self::of(db, collection);
        (kept.is_none(), kept)
    }

    /// Where a restore inserts users or roles, before the server merges them. Their version is the target's own.
    pub(crate) fn temporary(self) -> Option<Name> {
        match self {
            Self::Users => Some(Name::new("admin", TEMPORARY_USERS)),
            Self::Roles => Some(Name::new("admin", TEMPORARY_ROLES)),
            Self::Version => None,
        }
    }
}

/// The kinds of namespaces that a mongodump archive knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// A collection.
    Collection,
    /// A view: no documents of its own.
    View,
    /// A time-series collection; its documents are those of `system.buckets.<name>`.
    Timeseries,
    /// The oplog: the namespace `oplog` of the database without a name. No collection of the deployment.
    Oplog,
}

impl NamespaceKind {
    /// Its name in the archive, where the oplog has none.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::View => "view",
            Self::Timeseries => "timeseries",
            Self::Oplog => "",
        }
    }

    /// The collection that holds the documents of one of this kind and name.
    #[must_use]
    pub fn data_collection(self, collection: &str) -> String {
        match self {
            Self::Timeseries => format!("{BUCKETS}{collection}"),
            Self::Collection | Self::View | Self::Oplog => collection.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_name_no_buckets_from_8_3_on() {
        for (version, expected) in [
            ("6.0.5", false),
            ("8.0.14", false),
            ("8.2.3", false),
            ("8.3.0", true),
            ("8.3.0-rc1", true),
            ("9.0.1", true),
            ("10.0.0", true),
            ("", false),
        ] {
            assert_eq!(names_no_buckets(version), expected, "{version}");
        }
    }

    /// Backed up, replayed, created, free as a name: where they differ is meant.
    #[test]
    fn what_belongs_to_the_server_is_left_alone() {
        for (name, expected) in [
            ("shop.orders", [true, true, true, true]),
            ("shop.tmp.agg_out.1b4e28ba-2fa1-11d2-883f-0016d3cca427", [true, false, true, true]),
            ("shop.system.js", [true, true, true, true]),
            ("shop.system.buckets.w", [false, true, false, true]),
            ("shop.system.views", [false, true, false, false]),
            ("shop.system.profile", [false, false, false, false]),
            ("shop.system.users", [false, false, false, false]),
            ("admin.system.users", [true, true, false, false]),
            ("admin.system.roles", [true, true, false, false]),
            ("admin.system.version", [true, true, false, false]),
            ("admin.notes", [true, true, true, true]),
            ("admin.tempusers", [false, false, false, false]),
            ("admin.temproles", [false, false, false, false]),
            ("shop.tempusers", [true, true, true, true]),
            ("shop.$admin.system.users", [true, true, false, false]),
            ("local.oplog.rs", [false, false, false, false]),
            ("config.settings", [false, false, false, false]),
        ] {
            let (db, collection) = name.split_once('.').unwrap();
            let found = [is_backed_up, is_replayed, is_created, is_free].map(|is| is(db, collection));
            assert_eq!(found, expected, "{name}");
        }
        assert!(!is_replayed("", "oplog"), "an entry about no database changes nothing");
    }
}

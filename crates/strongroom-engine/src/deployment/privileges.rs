//! What a MongoDB user may do, and what of that a piece of work needs. Pure, but for one question.

use std::fmt;

use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};

use super::{Deployment, Target, any_member, run};
use crate::error::{Code, Error, Result};
use crate::names::{BUCKETS, Name, SYSTEM, is_server_database};
use crate::waits::Wait;

/// An action on something, as MongoDB's roles grant them (MongoDB manual, "Privilege Actions").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privilege {
    action: &'static str,
    on: On,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum On {
    Collection(String, String),
    EveryDatabase,
    Cluster,
}

impl Privilege {
    /// An action on the deployment as a whole.
    #[must_use]
    pub fn on_cluster(action: &'static str) -> Self {
        Self { action, on: On::Cluster }
    }

    /// An action on one collection.
    #[must_use]
    pub fn on_collection(action: &'static str, db: &str, collection: &str) -> Self {
        Self { action, on: On::Collection(db.into(), collection.into()) }
    }

    /// An action on one collection, by its name.
    #[must_use]
    pub fn on(action: &'static str, name: &Name) -> Self {
        Self::on_collection(action, &name.db, &name.collection)
    }

    /// An action on all databases at once.
    #[must_use]
    pub fn on_every_database(action: &'static str) -> Self {
        Self { action, on: On::EveryDatabase }
    }

    /// As `grantPrivilegesToRole` takes it.
    fn as_granted(&self) -> String {
        let on = |db: &str, collection: &str| {
            format!("{{db: {}, collection: {}}}", quoted(db), quoted(collection))
        };
        let resource = match &self.on {
            On::Collection(db, collection) => on(db, collection),
            On::EveryDatabase => on("", ""),
            On::Cluster => "{cluster: true}".into(),
        };
        format!("{{resource: {resource}, actions: [{:?}]}}", self.action)
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.on {
            On::Collection(db, collection) if collection.is_empty() => {
                write!(f, "`{}` on the database `{db}`", self.action)
            }
            On::Collection(db, collection) => write!(f, "`{}` on `{db}.{collection}`", self.action),
            On::EveryDatabase => write!(f, "`{}` on every database", self.action),
            On::Cluster => write!(f, "`{}` on the cluster", self.action),
        }
    }
}

/// A text as JavaScript writes it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What one user may do.
#[derive(Debug, Clone)]
pub struct Privileges {
    user: String,
    db: String,
    grants: Vec<Grant>,
}

#[derive(Debug, Clone)]
struct Grant {
    resource: Resource,
    actions: Vec<String>,
}

#[derive(Debug, Clone)]
enum Resource {
    Anything,
    /// Empty parts stand for any.
    Collections(String, String),
    /// Buckets of time-series collections; empty parts stand for any.
    Buckets(String, String),
    Cluster,
    Other,
}

/// Actions that change what users have stored.
const WRITES: [&str; 6] =
    ["insert", "update", "remove", "dropCollection", "dropDatabase", "createCollection"];

impl Deployment {
    /// What the user may do; none without a user: then the server has no access control, or refuses by itself.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn privileges(&self) -> Result<Option<Privileges>> {
        let client = self.client();
        self.waits.limit(Wait::FirstByte, self.member(), ask(&client)).await
    }
}

impl Target {
    /// What the user may do; none without a user.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn privileges(&self) -> Result<Option<Privileges>> {
        ask(&self.primary.client).await
    }
}

async fn ask(client: &Client) -> Result<Option<Privileges>> {
    let command = doc! { "connectionStatus": 1, "showPrivileges": true };
    let answer = run(&client.database("admin"), command, &any_member()).await?;
    Ok(Privileges::of(&answer))
}

impl Privileges {
    fn of(answer: &Document) -> Option<Self> {
        let info = answer.get_document("authInfo").ok()?;
        let user = info.get_array("authenticatedUsers").ok()?.first()?.as_document()?;
        let text = |key| user.get_str(key).unwrap_or_default().to_owned();
        let grants = info.get_array("authenticatedUserPrivileges").map(Vec::as_slice).unwrap_or_default();
        let grants = grants.iter().filter_map(|grant| Grant::of(grant.as_document()?)).collect();
        Some(Self { user: text("user"), db: text("db"), grants })
    }

    /// Refuses a user who lacks any of what is needed, naming it; `role` is the built-in role that is enough.
    ///
    /// # Errors
    /// [`Code::MongoPrivilege`].
    pub fn require(&self, needed: &[Privilege], role: &str) -> Result<()> {
        let missing: Vec<&Privilege> = self.lacks(needed).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let more = match missing.len() {
            1 => String::new(),
            all => format!(", and {} more privileges", all - 1),
        };
        let (user, grant, only) = (&self.user, self.grant(role), first.as_granted());
        Err(Error::new(Code::MongoPrivilege, format!("the MongoDB user `{user}` lacks {first}{more}")).help(
            format!(
                "Grant the built-in role `{role}`: {grant}; or, to a role of your own, what is missing, such as {only}. \
                 Nothing was touched."
            ),
        ))
    }

    /// What of `needed` the user may not do.
    pub fn lacks<'a>(&self, needed: &'a [Privilege]) -> impl Iterator<Item = &'a Privilege> {
        needed.iter().filter(|needed| !self.allows(needed))
    }

    /// The command of mongosh that grants a built-in role to the user, whatever the user's name holds.
    #[must_use]
    pub fn grant(&self, role: &str) -> String {
        let (user, db, role) = (quoted(&self.user), quoted(&self.db), quoted(role));
        format!("db.getSiblingDB({db}).grantRolesToUser({user}, [{{role: {role}, db: \"admin\"}}])")
    }

    /// The name of the user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What the user may write of people's data, in words; none if nothing.
    #[must_use]
    pub fn writes(&self) -> Option<String> {
        let grant = self.grants.iter().find(|grant| grant.reaches_user_data())?;
        let action = grant.actions.iter().find(|action| WRITES.contains(&action.as_str()))?;
        let user = &self.user;
        Some(format!("the MongoDB user `{user}` may `{action}` on {}", grant.resource))
    }

    /// Whether the user may do this.
    #[must_use]
    pub fn allows(&self, needed: &Privilege) -> bool {
        self.grants.iter().any(|grant| {
            grant.actions.iter().any(|action| action == needed.action) && grant.resource.covers(&needed.on)
        })
    }
}

impl Grant {
    fn of(grant: &Document) -> Option<Self> {
        let actions = grant.get_array("actions").ok()?;
        let actions = actions.iter().filter_map(Bson::as_str).map(str::to_owned).collect();
        Some(Self { resource: Resource::of(grant.get_document("resource").ok()?), actions })
    }

    fn reaches_user_data(&self) -> bool {
        let reaches = match &self.resource {
            Resource::Anything => true,
            Resource::Collections(db, collection) => {
                !(db == "admin" || is_server_database(db) || collection.starts_with(SYSTEM))
            }
            Resource::Buckets(..) | Resource::Cluster | Resource::Other => false,
        };
        reaches && self.actions.iter().any(|action| WRITES.contains(&action.as_str()))
    }
}

impl Resource {
    fn of(resource: &Document) -> Self {
        let text = |key| resource.get_str(key).unwrap_or_default().to_owned();
        if resource.contains_key("anyResource") {
            Self::Anything
        } else if resource.contains_key("system_buckets") {
            Self::Buckets(text("db"), text("system_buckets"))
        } else if resource.contains_key("collection") {
            Self::Collections(text("db"), text("collection"))
        } else if resource.contains_key("cluster") {
            Self::Cluster
        } else {
            Self::Other
        }
    }

    /// As the server decides it: an empty name stands for all, but neither for collections of the system nor,
    /// where both are empty, for the databases `local` and `config`.
    fn covers(&self, on: &On) -> bool {
        match (self, on) {
            (Self::Anything, _) => true,
            (Self::Collections(db, collection), On::EveryDatabase) => db.is_empty() && collection.is_empty(),
            (Self::Collections(of, named), On::Collection(db, collection)) => {
                let system = collection.starts_with(SYSTEM);
                match (of.as_str(), named.as_str()) {
                    ("", "") => !system && !is_server_database(db),
                    ("", named) => named == collection,
                    (of, "") => of == db && !system,
                    (of, named) => of == db && named == collection,
                }
            }
            (Self::Buckets(of, named), On::Collection(db, collection)) => {
                let fits = |pattern: &str, name: &str| pattern.is_empty() || pattern == name;
                collection.strip_prefix(BUCKETS).is_some_and(|name| fits(of, db) && fits(named, name))
            }
            (Self::Cluster, On::Cluster) => true,
            (Self::Buckets(..), On::EveryDatabase | On::Cluster)
            | (Self::Collections(..), On::Cluster)
            | (Self::Cluster | Self::Other, _) => false,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collections(db, collection) if db.is_empty() && collection.is_empty() => {
                f.write_str("every database")
            }
            Self::Collections(db, collection) if collection.is_empty() => write!(f, "the database `{db}`"),
            Self::Collections(db, collection) if db.is_empty() => {
                write!(f, "`{collection}` of every database")
            }
            Self::Collections(db, collection) => write!(f, "`{db}.{collection}`"),
            Self::Cluster => f.write_str("the cluster"),
            Self::Anything | Self::Buckets(..) | Self::Other => f.write_str("anything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(grants: Vec<Document>) -> Privileges {
        let users = [doc! { "user": "u", "db": "admin" }];
        let info = doc! { "authenticatedUsers": users, "authenticatedUserPrivileges": grants };
        Privileges::of(&doc! { "authInfo": info }).unwrap()
    }

    fn grant(db: &str, collection: &str, actions: &[&str]) -> Document {
        doc! { "resource": { "db": db, "collection": collection }, "actions": actions }
    }

    fn find(db: &str, collection: &str) -> Privilege {
        Privilege::on_collection("find", db, collection)
    }

    #[test]
    fn without_a_user_there_is_nothing_to_check() {
        let nobody = doc! { "authenticatedUsers": [], "authenticatedUserPrivileges": [] };
        assert!(Privileges::of(&doc! { "authInfo": nobody }).is_none());
    }

    #[test]
    fn an_empty_name_stands_for_all_but_the_system() {
        let normal = may(vec![grant("", "", &["find"])]);
        assert!(normal.allows(&find("shop", "orders")) && normal.allows(&find("admin", "notes")));
        for (db, collection) in [("shop", "system.js"), ("local", "oplog.rs"), ("config", "settings")] {
            assert!(!normal.allows(&find(db, collection)), "{db}.{collection}");
        }
        assert!(normal.allows(&Privilege::on_every_database("find")));
        let one = may(vec![grant("shop", "", &["find"])]);
        assert!(one.allows(&find("shop", "orders")));
        assert!(!one.allows(&find("shop", "system.js")) && !one.allows(&find("sho", "p")));
        assert!(may(vec![grant("", "system.js", &["find"])]).allows(&find("shop", "system.js")));
        assert!(may(vec![grant("local", "", &["find"])]).allows(&find("local", "oplog.rs")));
        let anything = doc! { "resource": { "anyResource": true }, "actions": ["find"] };
        assert!(may(vec![anything]).allows(&find("shop", "system.js")));
        let cluster = doc! { "resource": { "cluster": true }, "actions": ["find"] };
        let cluster = may(vec![cluster]);
        assert!(!cluster.allows(&find("shop", "orders")) && cluster.allows(&Privilege::on_cluster("find")));
        assert!(!normal.allows(&Privilege::on_cluster("find")));
    }

    #[test]
    fn buckets_of_time_series_are_granted_apart() {
        let buckets = |resource: Document| may(vec![doc! { "resource": resource, "actions": ["find"] }]);
        let needed = find("shop", "system.buckets.weather");
        assert!(buckets(doc! { "system_buckets": "" }).allows(&needed));
        assert!(buckets(doc! { "db": "shop", "system_buckets": "weather" }).allows(&needed));
        assert!(!buckets(doc! { "db": "shop", "system_buckets": "wind" }).allows(&needed));
        assert!(!buckets(doc! { "system_buckets": "" }).allows(&find("shop", "orders")));
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_grant() {
        let error = may(vec![grant("shop", "orders", &["find"])])
            .require(&[find("shop", "orders"), find("shop", "items"), find("local", "oplog.rs")], "backup")
            .unwrap_err();
        assert_eq!(error.code(), Code::MongoPrivilege);
        assert!(error.message().contains("`u` lacks `find` on `shop.items`, and 1 more"), "{error}");
        let help = error.help_text().unwrap().to_string();
        assert!(help.contains(r#"grantRolesToUser("u", [{role: "backup", db: "admin"}])"#), "{help}");
        assert!(
            help.contains(r#"{resource: {db: "shop", collection: "items"}, actions: ["find"]}"#),
            "{help}"
        );
    }

    #[test]
    fn a_users_name_is_quoted_whatever_it_holds() {
        let users = [doc! { "user": "o'\"b\\\n${x}", "db": "$external" }];
        let info = doc! { "authenticatedUsers": users, "authenticatedUserPrivileges": [] };
        let nobody = Privileges::of(&doc! { "authInfo": info }).unwrap();
        let grant = r#"db.getSiblingDB("$external").grantRolesToUser("o'\"b\\\n${x}", [{role: "backup", db: "admin"}])"#;
        assert_eq!(nobody.grant("backup"), grant);
    }

    #[test]
    fn one_who_may_write_is_told_from_one_who_may_not() {
        // What the role `backup` may write.
        let backup = may(vec![grant("", "", &["find"]), grant("config", "settings", &["find", "insert"])]);
        assert_eq!(backup.writes(), None);
        let writer = may(vec![grant("shop", "", &["find", "insert", "update"])]);
        assert!(writer.writes().unwrap().contains("`insert` on the database `shop`"));
        let root = doc! { "resource": { "anyResource": true }, "actions": ["remove"] };
        assert!(may(vec![root]).writes().is_some());
    }
}

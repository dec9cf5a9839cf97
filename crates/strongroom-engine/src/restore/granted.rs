//! What a user or role is granted, and what a stored function is called. Pure.

use std::fmt;

use bson::{RawBsonRef, RawDocument};
use serde::Serialize;

use crate::names::Name;

/// Roles that can lead to any right (MongoDB manual, "Built-In Roles").
const POWERFUL: [&str; 8] = [
    "root",
    "__system",
    "userAdminAnyDatabase",
    "userAdmin",
    "dbOwner",
    "dbAdminAnyDatabase",
    "clusterAdmin",
    "restore",
];
/// Actions that do (the same manual, "Privilege Actions").
const LEADING_ON: [&str; 5] = ["anyAction", "createRole", "createUser", "changePassword", "grantRole"];

/// What a document of users and roles describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantedKind {
    /// A user.
    User,
    /// A role.
    Role,
}

/// A user or role, and what it is granted. Its `Display` is all of it in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// Which of the two.
    #[serde(rename = "type")]
    pub kind: GrantedKind,
    /// `name@database`.
    pub name: String,
    /// The roles that it has, each as `role@database`.
    pub roles: Vec<String>,
    /// Whether these, or its own privileges, lead to any right.
    #[serde(rename = "may_do_anything")]
    pub is_powerful: bool,
}

/// A function in `system.js`, which whoever may run JavaScript on the server can call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredFunction {
    /// `database.system.js` in the target.
    pub namespace: String,
    /// Its name, or in parentheses the BSON type of what stands in the place of one.
    pub name: String,
}

impl Granted {
    /// None of a document that describes neither a user nor a role.
    pub(super) fn of(document: &RawDocument) -> Option<Self> {
        let db = document.get_str("db").ok()?;
        let (kind, name) = match (document.get_str("user"), document.get_str("role")) {
            (Ok(user), _) => (GrantedKind::User, user),
            (_, Ok(role)) => (GrantedKind::Role, role),
            _ => return None,
        };
        let roles: Vec<(&str, &str)> = document
            .get_array("roles")
            .ok()
            .into_iter()
            .flatten()
            .filter_map(|role| {
                let role = role.ok()?.as_document()?;
                Some((role.get_str("role").ok()?, role.get_str("db").ok()?))
            })
            .collect();
        let is_powerful = roles.iter().any(|(role, _)| POWERFUL.contains(role))
            || actions(document).any(|action| LEADING_ON.contains(&action));
        let roles = roles.into_iter().map(|(role, db)| format!("{role}@{db}")).collect();
        Some(Self { kind, name: format!("{name}@{db}"), roles, is_powerful })
    }
}

impl fmt::Display for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            GrantedKind::User => "user",
            GrantedKind::Role => "role",
        };
        write!(f, "{kind} `{}`", self.name)?;
        match self.roles.as_slice() {
            [] => Ok(()),
            roles => write!(f, " ({})", roles.join(", ")),
        }
    }
}

impl StoredFunction {
    /// None of a document without an `_id`, which no server has.
    pub(super) fn of(to: &Name, document: &RawDocument) -> Option<Self> {
        let name = match document.get("_id").ok()?? {
            RawBsonRef::String(name) => name.to_owned(),
            other => format!("({:?})", other.element_type()),
        };
        Some(Self { namespace: to.to_string(), name })
    }
}

/// The actions that a role allows by itself.
fn actions(role: &RawDocument) -> impl Iterator<Item = &str> {
    let privileges = role.get_array("privileges").ok().into_iter().flatten().flatten();
    let actions = privileges.filter_map(|privilege| privilege.as_document()?.get_array("actions").ok());
    actions.flatten().flatten().filter_map(RawBsonRef::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_allows_any_action_by_itself_may_do_anything() {
        let role = |action: &str| {
            let privilege =
                bson::rawdoc! { "resource": { "anyResource": true }, "actions": ["find", action] };
            let role = bson::rawdoc! { "role": "r", "db": "admin", "roles": [], "privileges": [privilege] };
            Granted::of(&role).unwrap().is_powerful
        };
        assert!(role("anyAction") && role("grantRole") && !role("insert"));
    }

    #[test]
    fn a_function_is_called_what_its_id_says() {
        let of = |document: bson::RawDocumentBuf| {
            StoredFunction::of(&Name::new("shop", "system.js"), &document).map(|function| function.name)
        };
        assert_eq!(of(bson::rawdoc! { "_id": "total", "value": 1 }).as_deref(), Some("total"));
        assert_eq!(of(bson::rawdoc! { "_id": 5 }).as_deref(), Some("(Int32)"));
        assert_eq!(of(bson::rawdoc! {}), None);
    }
}

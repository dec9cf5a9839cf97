//! An AWS account: users, groups, policies and access keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use iam_policy::{Kind, Policy, PolicyError, Principal};

/// What cannot be done in an account.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// There is no such user, group or policy.
    #[error("there is no {0} `{1}`")]
    Missing(&'static str, String),
    /// It exists already.
    #[error("the {0} `{1}` exists already")]
    Exists(&'static str, String),
    /// A policy that AWS would refuse.
    #[error("malformed policy: {0}")]
    Malformed(#[from] PolicyError),
}

type Outcome<T = ()> = Result<T, AccountError>;

/// An access key. The secret does not show in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The part that goes with every request.
    pub id: String,
    /// The part that signs.
    pub secret: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKey({})", self.id)
    }
}

#[derive(Debug, Default)]
struct User {
    groups: BTreeSet<String>,
    attached: BTreeSet<String>,
    inline: BTreeMap<String, Policy>,
    boundary: Option<Policy>,
}

#[derive(Debug)]
struct Key {
    secret: String,
    owner: Principal,
    active: bool,
}

#[derive(Debug, Default)]
struct Inner {
    policies: BTreeMap<String, Policy>,
    groups: BTreeMap<String, BTreeSet<String>>,
    users: BTreeMap<String, User>,
    keys: BTreeMap<String, Key>,
}

/// An account, and a handle on it: clones are the same account.
#[derive(Debug, Clone)]
pub struct Account {
    id: Arc<str>,
    inner: Arc<Mutex<Inner>>,
}

/// All that an identity brings to a decision.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    pub(crate) policies: Vec<(String, Policy)>,
    pub(crate) boundary: Option<Policy>,
}

impl Account {
    pub(crate) fn new(id: &str) -> Self {
        Self { id: id.into(), inner: Arc::default() }
    }

    /// The account's number.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Creates a managed policy, or replaces it by a new version.
    ///
    /// # Errors
    /// [`AccountError::Malformed`].
    pub fn put_policy(&self, name: &str, document: &str) -> Outcome {
        let policy = Policy::parse(document, Kind::Identity)?;
        self.with(|inner| inner.policies.insert(name.into(), policy));
        Ok(())
    }

    /// Creates a group.
    ///
    /// # Errors
    /// [`AccountError::Exists`].
    pub fn create_group(&self, name: &str) -> Outcome {
        self.with(|inner| match inner.groups.contains_key(name) {
            true => Err(AccountError::Exists("group", name.into())),
            false => {
                inner.groups.insert(name.into(), BTreeSet::new());
                Ok(())
            }
        })
    }

    /// Attaches a managed policy to a group.
    ///
    /// # Errors
    /// [`AccountError::Missing`].
    pub fn attach_group_policy(&self, group: &str, policy: &str) -> Outcome {
        self.with(|inner| {
            known(inner.policies.contains_key(policy), "policy", policy)?;
            inner.groups.get_mut(group).ok_or_else(|| missing("group", group))?.insert(policy.into());
            Ok(())
        })
    }

    /// Creates a user.
    ///
    /// # Errors
    /// [`AccountError::Exists`].
    pub fn create_user(&self, name: &str) -> Outcome {
        self.with(|inner| match inner.users.contains_key(name) {
            true => Err(AccountError::Exists("user", name.into())),
            false => {
                inner.users.insert(name.into(), User::default());
                Ok(())
            }
        })
    }

    fn user<T>(&self, name: &str, work: impl FnOnce(&mut User) -> T) -> Outcome<T> {
        self.with(|inner| inner.users.get_mut(name).map(work).ok_or_else(|| missing("user", name)))
    }

    /// Puts a user into a group.
    ///
    /// # Errors
    /// [`AccountError::Missing`].
    pub fn add_user_to_group(&self, user: &str, group: &str) -> Outcome {
        self.with(|inner| known(inner.groups.contains_key(group), "group", group))?;
        self.user(user, |user| user.groups.insert(group.into()))?;
        Ok(())
    }

    /// Attaches a managed policy to a user.
    ///
    /// # Errors
    /// [`AccountError::Missing`].
    pub fn attach_user_policy(&self, user: &str, policy: &str) -> Outcome {
        self.with(|inner| known(inner.policies.contains_key(policy), "policy", policy))?;
        self.user(user, |user| user.attached.insert(policy.into()))?;
        Ok(())
    }

    /// Writes a policy into a user.
    ///
    /// # Errors
    /// [`AccountError::Missing`], [`AccountError::Malformed`].
    pub fn put_user_policy(&self, user: &str, name: &str, document: &str) -> Outcome {
        let policy = Policy::parse(document, Kind::Identity)?;
        self.user(user, |user| user.inline.insert(name.into(), policy))?;
        Ok(())
    }

    /// Sets a user's permissions boundary.
    ///
    /// # Errors
    /// [`AccountError::Missing`], [`AccountError::Malformed`].
    pub fn put_user_permissions_boundary(&self, user: &str, document: &str) -> Outcome {
        let policy = Policy::parse(document, Kind::Boundary)?;
        self.user(user, |user| user.boundary = Some(policy))
    }

    /// Makes an access key for a user.
    ///
    /// # Errors
    /// [`AccountError::Missing`].
    pub fn create_access_key(&self, user: &str) -> Outcome<AccessKey> {
        self.user(user, |_| ())?;
        Ok(self.add_key(Principal::user(&self.id, user)))
    }

    /// Makes an access key for the account's root user, who may do everything.
    #[must_use]
    pub fn create_root_access_key(&self) -> AccessKey {
        self.add_key(Principal::Root { account: self.id.to_string() })
    }

    fn add_key(&self, owner: Principal) -> AccessKey {
        let id = format!("AKIA{}", hex::encode_upper(rand::random::<[u8; 8]>()));
        let secret = hex::encode(rand::random::<[u8; 20]>());
        let key = Key { secret: secret.clone(), owner, active: true };
        self.with(|inner| inner.keys.insert(id.clone(), key));
        AccessKey { id, secret }
    }

    /// Switches an access key off or on.
    ///
    /// # Errors
    /// [`AccountError::Missing`].
    pub fn set_access_key_active(&self, id: &str, active: bool) -> Outcome {
        self.with(|inner| {
            inner.keys.get_mut(id).ok_or_else(|| missing("access key", id))?.active = active;
            Ok(())
        })
    }

    /// The secret of an active key.
    pub(crate) fn secret(&self, id: &str) -> Option<String> {
        self.with(|inner| inner.keys.get(id).filter(|key| key.active).map(|key| key.secret.clone()))
    }

    pub(crate) fn owner(&self, id: &str) -> Option<Principal> {
        self.with(|inner| inner.keys.get(id).map(|key| key.owner.clone()))
    }

    /// The policies of a user and of its groups.
    pub(crate) fn identity(&self, principal: &Principal) -> Identity {
        let Principal::User { name, .. } = principal else { return Identity::default() };
        self.with(|inner| {
            let Some(user) = inner.users.get(name) else { return Identity::default() };
            let mut policies = Vec::new();
            let mut attach = |names: &BTreeSet<String>, of: String| {
                for name in names {
                    let found = inner.policies.get(name).cloned();
                    policies.extend(found.map(|policy| (format!("policy {name} of {of}"), policy)));
                }
            };
            attach(&user.attached, format!("user {name}"));
            for group in &user.groups {
                if let Some(attached) = inner.groups.get(group) {
                    attach(attached, format!("group {group}"));
                }
            }
            let inline = user.inline.iter();
            policies.extend(inline.map(|(called, p)| (format!("policy {called} in user {name}"), p.clone())));
            Identity { policies, boundary: user.boundary.clone() }
        })
    }
}

fn known(there: bool, kind: &'static str, name: &str) -> Outcome {
    if there { Ok(()) } else { Err(missing(kind, name)) }
}

fn missing(kind: &'static str, name: &str) -> AccountError {
    AccountError::Missing(kind, name.into())
}

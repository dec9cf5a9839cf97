//! An AWS account: users, groups, roles, policies and access keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use iam_policy::{Kind, Policy, PolicyError, Principal};
use serde_json::Value;

/// What cannot be done in an account.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// There is no such user, group, role, policy or key.
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

/// A key of a role's session. Secret and token do not show in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct TemporaryKey {
    /// The part that goes with every request.
    pub id: String,
    /// The part that signs.
    pub secret: String,
    /// What goes with every request too, as `x-amz-security-token`.
    pub session_token: String,
}

impl fmt::Debug for TemporaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TemporaryKey({})", self.id)
    }
}

/// A key as the account knows it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) owner: Principal,
    pub(crate) session: Option<Session>,
    active: bool,
}

/// What makes a key temporary.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) token: String,
    /// The most that the session may do.
    pub(crate) policy: Option<Arc<Policy>>,
}

#[derive(Debug, Default)]
struct Inner {
    policies: BTreeMap<String, Policy>,
    groups: BTreeMap<String, BTreeSet<String>>,
    users: BTreeMap<String, User>,
    /// Of every role: the policies that are attached to it.
    roles: BTreeMap<String, BTreeSet<String>>,
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
        Ok(self.add_key("AKIA", Principal::user(&self.id, user), None))
    }

    /// Makes an access key for the account's root user, who may do everything.
    #[must_use]
    pub fn create_root_access_key(&self) -> AccessKey {
        self.add_key("AKIA", Principal::Root { account: self.id.to_string() }, None)
    }

    /// Creates a role. Its trust policy must be well-formed; it is not asked, since
    /// [`assume_role`](Self::assume_role) has no caller.
    ///
    /// # Errors
    /// [`AccountError::Exists`], [`AccountError::Malformed`].
    pub fn create_role(&self, name: &str, trust: &str) -> Outcome {
        check_trust(trust)?;
        self.with(|inner| match inner.roles.contains_key(name) {
            true => Err(AccountError::Exists("role", name.into())),
            false => {
                inner.roles.insert(name.into(), BTreeSet::new());
                Ok(())
            }
        })
    }

    /// Attaches a managed policy to a role.
    ///
    /// # Errors
    /// [`AccountError::Missing`].
    pub fn attach_role_policy(&self, role: &str, policy: &str) -> Outcome {
        self.with(|inner| {
            known(inner.policies.contains_key(policy), "policy", policy)?;
            inner.roles.get_mut(role).ok_or_else(|| missing("role", role))?.insert(policy.into());
            Ok(())
        })
    }

    /// Begins a session of a role, as `AssumeRole` of AWS STS would, with what it may do at most if that is given.
    /// Its key does not expire; [`set_access_key_active`](Self::set_access_key_active) ends it.
    ///
    /// # Errors
    /// [`AccountError::Missing`], [`AccountError::Malformed`].
    pub fn assume_role(&self, name: &str, session: &str, policy: Option<&str>) -> Outcome<TemporaryKey> {
        let policy = policy.map(|text| Policy::parse(text, Kind::Session)).transpose()?.map(Arc::new);
        self.with(|inner| known(inner.roles.contains_key(name), "role", name))?;
        let owner = Principal::RoleSession {
            account: self.id.to_string(),
            role: name.into(),
            session: session.into(),
        };
        let session_token = hex::encode(rand::random::<[u8; 32]>());
        let session = Session { token: session_token.clone(), policy };
        let AccessKey { id, secret } = self.add_key("ASIA", owner, Some(session));
        Ok(TemporaryKey { id, secret, session_token })
    }

    fn add_key(&self, kind: &str, owner: Principal, session: Option<Session>) -> AccessKey {
        let id = format!("{kind}{}", hex::encode_upper(rand::random::<[u8; 8]>()));
        let secret = hex::encode(rand::random::<[u8; 20]>());
        let key = Key { secret: secret.clone(), owner, session, active: true };
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

    /// A key that is active.
    pub(crate) fn key(&self, id: &str) -> Option<Key> {
        self.with(|inner| inner.keys.get(id).filter(|key| key.active).cloned())
    }

    /// The policies of a user and of its groups, or of a role.
    pub(crate) fn identity(&self, principal: &Principal) -> Identity {
        self.with(|inner| match principal {
            Principal::User { name, .. } => inner.of_user(name),
            Principal::RoleSession { role, .. } => {
                let attached = inner.roles.get(role);
                let policies = attached.map(|names| inner.attached(names, &format!("role {role}")));
                Identity { policies: policies.unwrap_or_default(), boundary: None }
            }
            _ => Identity::default(),
        })
    }
}

impl Inner {
    fn of_user(&self, name: &str) -> Identity {
        let Some(user) = self.users.get(name) else { return Identity::default() };
        let mut policies = self.attached(&user.attached, &format!("user {name}"));
        for group in &user.groups {
            if let Some(attached) = self.groups.get(group) {
                policies.extend(self.attached(attached, &format!("group {group}")));
            }
        }
        let inline = user.inline.iter();
        policies.extend(inline.map(|(called, p)| (format!("policy {called} in user {name}"), p.clone())));
        Identity { policies, boundary: user.boundary.clone() }
    }

    /// Managed policies, with what they are called in reasons.
    fn attached(&self, names: &BTreeSet<String>, of: &str) -> Vec<(String, Policy)> {
        let found = names.iter().filter_map(|name| Some((name, self.policies.get(name)?)));
        found.map(|(name, policy)| (format!("policy {name} of {of}"), policy.clone())).collect()
    }
}

/// A trust policy is a policy of the role itself, so it names principals and no resource.
fn check_trust(text: &str) -> Outcome {
    let Ok(mut document) = serde_json::from_str::<Value>(text) else {
        // The parser of policies knows the place.
        Policy::parse(text, Kind::Resource)?;
        return Ok(());
    };
    let statements = match document.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.as_mut_slice(),
        Some(statement) => std::slice::from_mut(statement),
        None => &mut [],
    };
    for members in statements.iter_mut().filter_map(Value::as_object_mut) {
        if members.insert("Resource".into(), "*".into()).is_some() {
            let rule = "a trust policy has no Resource".into();
            return Err(PolicyError { place: "Statement".into(), rule }.into());
        }
    }
    Policy::parse(&document.to_string(), Kind::Resource)?;
    Ok(())
}

fn known(there: bool, kind: &'static str, name: &str) -> Outcome {
    if there { Ok(()) } else { Err(missing(kind, name)) }
}

fn missing(kind: &'static str, name: &str) -> AccountError {
    AccountError::Missing(kind, name.into())
}

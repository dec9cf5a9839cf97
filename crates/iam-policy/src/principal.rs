//! Who asks, and whom a policy names. Source: IAM User Guide, "AWS JSON policy elements: Principal" and
//! "NotPrincipal".

use crate::Truth;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody: a request without a signature.
    Anonymous,
    /// The account's root user.
    Root {
        /// The account's number.
        account: String,
    },
    /// An IAM user.
    User {
        /// The account's number.
        account: String,
        /// The user's name, with its path before it if it has one (`team/anna`).
        name: String,
    },
    /// A session of a role.
    RoleSession {
        /// The account's number.
        account: String,
        /// The role's name, with its path.
        role: String,
        /// The session's name.
        session: String,
    },
    /// A session of a federated user (`GetFederationToken`).
    FederatedUser {
        /// The account's number.
        account: String,
        /// The session's name.
        name: String,
    },
    /// An AWS service, such as `logging.s3.amazonaws.com`.
    Service(String),
}

impl Principal {
    /// An IAM user.
    #[must_use]
    pub fn user(account: &str, name: &str) -> Self {
        Self::User { account: account.into(), name: name.into() }
    }

    /// The account it belongs to.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Anonymous | Self::Service(_) => None,
            Self::Root { account }
            | Self::User { account, .. }
            | Self::RoleSession { account, .. }
            | Self::FederatedUser { account, .. } => Some(account),
        }
    }

    /// Its ARN; a role session's is that of the session.
    #[must_use]
    pub fn arn(&self) -> Option<String> {
        match self {
            Self::Anonymous | Self::Service(_) => None,
            Self::Root { account } => Some(format!("arn:aws:iam::{account}:root")),
            Self::User { account, name } => Some(format!("arn:aws:iam::{account}:user/{name}")),
            Self::RoleSession { account, role, session } => {
                let role = role.rsplit('/').next().unwrap_or(role);
                Some(format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"))
            }
            Self::FederatedUser { account, name } => {
                Some(format!("arn:aws:sts::{account}:federated-user/{name}"))
            }
        }
    }

    /// What `aws:PrincipalArn` holds: a role session's is that of the role.
    #[must_use]
    pub fn context_arn(&self) -> Option<String> {
        self.role_arn().or_else(|| self.arn())
    }

    fn role_arn(&self) -> Option<String> {
        match self {
            Self::RoleSession { account, role, .. } => Some(format!("arn:aws:iam::{account}:role/{role}")),
            _ => None,
        }
    }
}

/// One entry of a policy's `Principal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Everyone,
    /// An account, by its number or its root's ARN.
    Account(String),
    Arn(String),
    Service(String),
    /// Something that cannot be judged here, such as a canonical user id or a web identity.
    Unsupported(String),
}

/// How a resource policy's Allow names whom it allows: that decides what a boundary still takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// The user's or the session's own ARN.
    Itself,
    /// The ARN of the session's role.
    Role,
    /// Everyone.
    Everyone,
    /// Its account, or its service.
    Other,
}

impl Entry {
    /// Whether this entry of a `Principal` is the one who asks, and how it names it.
    pub(crate) fn names(&self, who: &Principal) -> (Truth, Naming) {
        match self {
            Self::Everyone => (Truth::Yes, Naming::Everyone),
            Self::Account(account) => ((who.account() == Some(account)).into(), Naming::Other),
            Self::Arn(arn) if who.role_arn().as_deref() == Some(arn) => (Truth::Yes, Naming::Role),
            Self::Arn(arn) => ((who.arn().as_deref() == Some(arn)).into(), Naming::Itself),
            Self::Service(service) => {
                (matches!(who, Principal::Service(name) if name == service).into(), Naming::Other)
            }
            Self::Unsupported(_) => (Truth::Unknown, Naming::Other),
        }
    }
}

/// Whether a `NotPrincipal` list exempts the one who asks. A user or session is exempt when the list holds it
/// **and** its account's root (and the role, for a session); half of that is not certain.
pub(crate) fn exempts(entries: &[Entry], who: &Principal) -> Truth {
    let holds = |wanted: Option<String>| {
        let wanted = wanted.unwrap_or_default();
        Truth::from(entries.iter().any(|entry| matches!(entry, Entry::Arn(arn) if *arn == wanted)))
    };
    let unsupported = entries.iter().any(|entry| matches!(entry, Entry::Unsupported(_)));
    let account = who.account().is_some_and(|account| {
        entries.iter().any(|entry| matches!(entry, Entry::Account(listed) if listed == account))
    });
    let everyone = entries.contains(&Entry::Everyone);
    let own = match who {
        Principal::Anonymous => Truth::No,
        Principal::Service(name) => Truth::from(entries.contains(&Entry::Service(name.clone()))),
        Principal::Root { .. } => Truth::from(account),
        Principal::User { .. } | Principal::FederatedUser { .. } => with_account(holds(who.arn()), account),
        Principal::RoleSession { .. } => {
            let (role, session) = (holds(who.role_arn()), holds(who.arn()));
            match (role, session) {
                (Truth::No, Truth::No) => Truth::No,
                (Truth::Yes, Truth::Yes) => with_account(Truth::Yes, account),
                _ => Truth::Unknown,
            }
        }
    };
    let unknown = if unsupported { Truth::Unknown } else { Truth::No };
    Truth::from(everyone).or(own).or(unknown)
}

fn with_account(itself: Truth, account: bool) -> Truth {
    match (itself, account) {
        (Truth::Yes, false) => Truth::Unknown,
        (itself, _) => itself,
    }
}

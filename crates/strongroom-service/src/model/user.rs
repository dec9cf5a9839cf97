//! Who may do what: users, tokens, the audit log; and the settings of the service.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AuditId, DeploymentId, Few, Int, Line, Name, PlanId, Secret, SessionId, TokenId, UserId};
use crate::schedule::QuietHours;

/// What a user or a token may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// See everything but secrets and the audit log.
    Viewer,
    /// Start and cancel runs, pause and resume plans, place holds.
    Operator,
    /// Everything but restores.
    Admin,
}

impl Role {
    /// Its name, as JSON has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// The name that a user signs in with.
pub type Login = Line<1, 100>;

/// What is set when a user is made.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name to sign in with. No two users have the same; case does not count.
    #[schema(inline)]
    pub login: Login,
    /// The password, 12 to 1024 characters; none: the user signs in through the identity provider.
    #[schema(inline)]
    pub password: Option<Secret>,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may restore.
    #[serde(default)]
    pub restorer: bool,
}

/// What of a user is to be changed; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// A new password. It ends the user's sessions.
    #[schema(inline)]
    pub password: Option<Secret>,
    /// What the user may do.
    pub role: Option<Role>,
    /// Whether the user may restore.
    pub restorer: Option<bool>,
    /// Whether the user may not sign in. It ends the user's sessions and tokens.
    pub disabled: Option<bool>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Its id.
    #[schema(inline)]
    pub id: UserId,
    /// The name to sign in with.
    #[schema(inline)]
    pub login: Login,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may restore.
    pub restorer: bool,
    /// Whether the user may not sign in.
    pub disabled: bool,
    /// Whether there is a password; without one the user signs in through the identity provider.
    pub has_password: bool,
    /// When the user last signed in.
    pub last_sign_in_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Counts its changes; its ETag.
    pub version: u64,
}

/// Makes the first admin, with the link that the service prints when it starts without users.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstAdmin {
    /// The last part of the link.
    #[schema(inline)]
    pub link: Secret,
    /// The name to sign in with.
    #[schema(inline)]
    pub login: Login,
    /// The password, 12 to 1024 characters.
    #[schema(inline)]
    pub password: Secret,
}

/// Signs somebody in.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// The name to sign in with; case does not count.
    #[schema(inline)]
    pub login: Login,
    /// The password.
    #[schema(inline)]
    pub password: Secret,
}

/// The session of somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id.
    #[schema(inline)]
    pub id: SessionId,
    /// Who is signed in.
    #[schema(inline)]
    pub user: UserId,
    /// When they signed in.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: DateTime<Utc>,
    /// When it ends if it is not used.
    pub expires_at: DateTime<Utc>,
    /// The address that they signed in from.
    #[schema(max_length = 45)]
    pub address: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Who asks: the user, and what this session or token may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The user.
    pub user: User,
    /// The token that the request carries; none: a session.
    #[schema(inline)]
    pub token: Option<TokenId>,
    /// What may be done: with a token no more than the user may.
    pub role: Role,
    /// Whether restores are allowed.
    pub restorer: bool,
    /// Deployments that may be seen; none: all.
    #[schema(inline, value_type = Vec<DeploymentId>, max_items = 100)]
    pub deployments: Few<DeploymentId, 100>,
    /// Plans that may be seen; none: all of these deployments.
    #[schema(inline, value_type = Vec<PlanId>, max_items = 100)]
    pub plans: Few<PlanId, 100>,
}

/// What is set when a token is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    #[schema(inline)]
    pub name: Name,
    /// What it may do: no more than the one who makes it.
    pub role: Role,
    /// Whether it may restore: only if the one who makes it may.
    #[serde(default)]
    pub restorer: bool,
    /// Days until it expires.
    #[serde(default = "a_quarter")]
    #[schema(inline)]
    pub days: Int<1, 3650>,
    /// Deployments it is for; none: all. Of others it sees nothing.
    #[serde(default)]
    #[schema(inline, value_type = Vec<DeploymentId>, max_items = 100)]
    pub deployments: Few<DeploymentId, 100>,
    /// Plans it is for; none: all of its deployments.
    #[serde(default)]
    #[schema(inline, value_type = Vec<PlanId>, max_items = 100)]
    pub plans: Few<PlanId, 100>,
}

fn a_quarter() -> Int<1, 3650> {
    Int::of(90)
}

/// An API token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    #[schema(inline)]
    pub id: TokenId,
    /// What it is for.
    #[schema(inline)]
    pub name: Name,
    /// Whose it is. It ends with the user.
    #[schema(inline)]
    pub user: UserId,
    /// What it may do.
    pub role: Role,
    /// Whether it may restore.
    pub restorer: bool,
    /// Deployments it is for; none: all.
    #[schema(inline, value_type = Vec<DeploymentId>, max_items = 100)]
    pub deployments: Few<DeploymentId, 100>,
    /// Plans it is for; none: all of its deployments.
    #[schema(inline, value_type = Vec<PlanId>, max_items = 100)]
    pub plans: Few<PlanId, 100>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A token that was just made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenMade {
    /// The token.
    pub token: Token,
    /// What requests carry, as `Authorization: Bearer …`. It is shown once.
    #[schema(max_length = 60)]
    pub bearer: String,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEvent {
    /// Its id.
    #[schema(inline)]
    pub id: AuditId,
    /// When it was.
    pub at: DateTime<Utc>,
    /// Who did it; none: the service itself, or nobody who is known.
    #[schema(inline)]
    pub user: Option<UserId>,
    /// The token that was used.
    #[schema(inline)]
    pub token: Option<TokenId>,
    /// From which address.
    #[schema(max_length = 45)]
    pub address: Option<String>,
    /// What was done, such as `plan.update`.
    #[schema(max_length = 60)]
    pub action: String,
    /// The id of what it was done to.
    #[schema(max_length = 60)]
    pub subject: Option<String>,
    /// How that was before, without secrets.
    #[schema(value_type = Option<Object>)]
    pub before: Option<serde_json::Value>,
    /// How it is since, without secrets.
    #[schema(value_type = Option<Object>)]
    pub after: Option<serde_json::Value>,
}

/// What holds for the whole service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether no run starts, whatever plans say.
    pub paused: bool,
    /// When no scheduled run starts, whatever plans say.
    pub quiet_hours: Option<QuietHours>,
    /// How many runs one worker does at a time.
    #[schema(inline)]
    pub runs_at_once: Int<1, 256>,
    /// How long a backup that expired can be kept again before it is deleted, in hours.
    #[schema(inline)]
    pub grace_hours: Int<0, 8760>,
    /// How long a change waits that loosens something, in hours.
    #[schema(inline)]
    pub loosening_delay_hours: Int<0, 8760>,
    /// Whether a second admin must agree to a change that loosens something.
    pub second_admin: bool,
    /// How long the log and the record of a run are kept after it ended, in days.
    #[schema(inline)]
    pub run_history_days: Int<1, 36_500>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            paused: false,
            quiet_hours: None,
            runs_at_once: Int::of(4),
            grace_hours: Int::of(168),
            loosening_delay_hours: Int::of(24),
            second_admin: false,
            run_history_days: Int::of(400),
        }
    }
}

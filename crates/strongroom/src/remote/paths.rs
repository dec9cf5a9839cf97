//! Where the API has what.

/// The resources that are found by name or id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Deployment,
    Location,
    Plan,
    Run,
    Backup,
    Change,
    User,
    Token,
}

impl Kind {
    /// The path of the list of all.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Deployment => "/api/v1/deployments",
            Self::Location => "/api/v1/locations",
            Self::Plan => "/api/v1/plans",
            Self::Run => "/api/v1/runs",
            Self::Backup => "/api/v1/backups",
            Self::Change => "/api/v1/changes",
            Self::User => "/api/v1/users",
            Self::Token => "/api/v1/tokens",
        }
    }

    /// The path of one, whose `id` was looked at.
    pub(crate) fn one(self, id: &str) -> String {
        format!("{}/{id}", self.path())
    }

    /// The word for one.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Location => "location",
            Self::Plan => "plan",
            Self::Run => "run",
            Self::Backup => "backup",
            Self::Change => "change",
            Self::User => "user",
            Self::Token => "token",
        }
    }

    /// Where one has its name, as a JSON pointer; none: it has none.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Deployment | Self::Location | Self::Token | Self::Backup => Some("/name"),
            Self::Plan => Some("/settings/name"),
            Self::User => Some("/login"),
            Self::Run | Self::Change => None,
        }
    }

    /// Whether its list takes a name as filter.
    pub(crate) fn is_listed_by_name(self) -> bool {
        matches!(self, Self::Deployment | Self::Location | Self::Plan)
    }

    /// Whether the text is an id of one.
    pub(crate) fn is_id(self, text: &str) -> bool {
        use strongroom_service::model as m;
        match self {
            Self::Deployment => text.parse::<m::DeploymentId>().is_ok(),
            Self::Location => text.parse::<m::LocationId>().is_ok(),
            Self::Plan => text.parse::<m::PlanId>().is_ok(),
            Self::Run => text.parse::<m::RunId>().is_ok(),
            Self::Backup => text.parse::<m::BackupKey>().is_ok(),
            Self::Change => text.parse::<m::ChangeId>().is_ok(),
            Self::User => text.parse::<m::UserId>().is_ok(),
            Self::Token => text.parse::<m::TokenId>().is_ok(),
        }
    }
}

/// Signs in, says who asks, and signs out.
pub(crate) const SESSION: &str = "/api/v1/session";
pub(crate) const SETUP: &str = "/api/v1/setup";
pub(crate) const AUDIT: &str = "/api/v1/audit";
pub(crate) const SETTINGS: &str = "/api/v1/settings";
pub(crate) const SUMMARY: &str = "/api/v1/summary";
pub(crate) const EVENTS: &str = "/api/v1/events";
pub(crate) const RESTORE_PREVIEW: &str = "/api/v1/restores/preview";
pub(crate) const SIMULATIONS: &str = "/api/v1/simulations";

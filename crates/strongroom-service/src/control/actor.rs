//! Who asks for something, and what they may do and see.

use std::net::IpAddr;

use super::{Error, Result, ServiceCode};
use crate::model::{DeploymentId, PlanId, Role, SessionId, TokenId, UserId};
pub use crate::state::Scope;

/// The one who asks: somebody who is signed in, or a token of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user; none: nobody who is known.
    pub user: Option<UserId>,
    /// The token that the request carries.
    pub token: Option<TokenId>,
    /// The session that the request carries.
    pub session: Option<SessionId>,
    /// What they may do: of a token no more than its user may.
    pub role: Role,
    /// Whether they may restore.
    pub restorer: bool,
    /// What they may see.
    pub scope: Scope,
    /// From which address.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// Refuses who has not at least this role, or not the right to restore where it is wanted.
    ///
    /// # Errors
    /// `SR-FORBIDDEN`.
    pub fn must_be(&self, least: Role, restorer: bool) -> Result<()> {
        if self.role < least {
            let wanted = least.word();
            let message = format!("this needs the role `{wanted}`, and you have `{}`", self.role.word());
            return Err(Error::new(ServiceCode::Forbidden, message).help("Ask an admin for it."));
        }
        if restorer && !self.restorer {
            let error = Error::new(ServiceCode::Forbidden, "this needs the right to restore");
            return Err(error.help("No role includes it. Ask an admin for it."));
        }
        Ok(())
    }

    /// Whose idempotency keys these are.
    #[must_use]
    pub fn key(&self) -> String {
        match (&self.token, &self.user) {
            (Some(token), _) => token.to_string(),
            (None, Some(user)) => user.to_string(),
            (None, None) => "nobody".into(),
        }
    }
}

impl Scope {
    /// Whether it is everything.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.deployments.is_empty() && self.plans.is_empty()
    }

    /// Whether a deployment is seen. Who is limited to certain plans alone sees no deployment.
    #[must_use]
    pub fn has_deployment(&self, deployment: &DeploymentId) -> bool {
        self.is_whole() || self.deployments.contains(deployment)
    }

    /// Whether a plan of this deployment is seen.
    #[must_use]
    pub fn has_plan(&self, plan: &PlanId, deployment: &DeploymentId) -> bool {
        let in_deployments = self.deployments.is_empty() || self.deployments.contains(deployment);
        in_deployments && (self.plans.is_empty() || self.plans.contains(plan))
    }

    /// Whether it is no more than `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        is_within(&self.deployments, &other.deployments) && is_within(&self.plans, &other.plans)
    }
}

fn is_within<T: PartialEq>(less: &[T], more: &[T]) -> bool {
    more.is_empty() || (!less.is_empty() && less.iter().all(|item| more.contains(item)))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn deployment(number: u128) -> DeploymentId {
        DeploymentId::new(DateTime::UNIX_EPOCH, number)
    }

    fn plan(number: u128) -> PlanId {
        PlanId::new(DateTime::UNIX_EPOCH, number)
    }

    #[test]
    fn a_scope_shows_only_what_is_in_it() {
        let whole = Scope::default();
        assert!(whole.has_deployment(&deployment(1)) && whole.has_plan(&plan(1), &deployment(1)));
        let one = Scope { deployments: vec![deployment(1)], plans: Vec::new() };
        assert!(one.has_deployment(&deployment(1)) && !one.has_deployment(&deployment(2)));
        assert!(one.has_plan(&plan(1), &deployment(1)) && !one.has_plan(&plan(1), &deployment(2)));
        let narrow = Scope { deployments: Vec::new(), plans: vec![plan(1)] };
        assert!(!narrow.has_deployment(&deployment(1)));
        assert!(narrow.has_plan(&plan(1), &deployment(2)) && !narrow.has_plan(&plan(2), &deployment(2)));
    }

    #[test]
    fn no_scope_is_within_a_smaller_one() {
        let whole = Scope::default();
        let one = Scope { deployments: vec![deployment(1)], plans: Vec::new() };
        let two = Scope { deployments: vec![deployment(1), deployment(2)], plans: Vec::new() };
        assert!(one.is_within(&whole) && one.is_within(&two) && one.is_within(&one));
        assert!(!whole.is_within(&one) && !two.is_within(&one));
        let plans = Scope { deployments: vec![deployment(1)], plans: vec![plan(1)] };
        assert!(plans.is_within(&one) && !one.is_within(&plans));
    }
}

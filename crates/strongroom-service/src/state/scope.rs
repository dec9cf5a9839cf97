//! What of the state somebody may see.

use super::sql::Sql;
use crate::model::{DeploymentId, LocationId, PlanId};

/// Deployments and plans that may be seen. Empty lists are no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Deployments.
    pub deployments: Vec<DeploymentId>,
    /// Plans.
    pub plans: Vec<PlanId>,
}

/// What a row is of. The narrowest of these finds it by an index. The others are written so that they only sift what that
/// one finds: without statistics SQLite would rather believe that a location has few rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) plan: Option<&'a PlanId>,
    pub(super) deployment: Option<&'a DeploymentId>,
    pub(super) location: Option<&'a LocationId>,
    pub(super) scope: &'a Scope,
}

impl Of<'_> {
    /// The condition on rows with a `plan`, a `deployment` and a `location`.
    pub(super) fn only(self, sql: Sql) -> Sql {
        let sql = sql.push_some(" AND plan = ", self.plan);
        let sql = match self.plan {
            None => sql.push_some(" AND deployment = ", self.deployment),
            Some(_) => sql.push_some(" AND deployment || '' = ", self.deployment),
        };
        let sql = match (self.plan, self.deployment) {
            (None, None) => sql.push_some(" AND location = ", self.location),
            _ => sql.push_some(" AND location || '' = ", self.location),
        };
        self.within(sql)
    }

    fn within(self, sql: Sql) -> Sql {
        let (deployments, plans) = (self.scope.deployments.iter(), self.scope.plans.iter());
        match self.plan {
            None => sql.push_among(" AND deployment IN (", deployments).push_among(" AND plan IN (", plans),
            Some(_) => {
                let sql = sql.push_among(" AND deployment || '' IN (", deployments);
                sql.push_among(" AND plan || '' IN (", plans)
            }
        }
    }
}

//! What of the state somebody may see.

use super::sql::Sql;
use crate::model::{DeploymentId, PlanId};

/// Deployments and plans that may be seen. Empty lists are no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Deployments.
    pub deployments: Vec<DeploymentId>,
    /// Plans.
    pub plans: Vec<PlanId>,
}

impl Scope {
    /// The condition on rows with a `deployment` and a `plan`.
    pub(super) fn within(&self, sql: Sql) -> Sql {
        sql.push_among(" AND deployment IN (", self.deployments.iter())
            .push_among(" AND plan IN (", self.plans.iter())
    }
}

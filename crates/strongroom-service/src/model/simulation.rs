//! What is asked of the simulator.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{NewPlan, PlanId};
use crate::simulate::Scenario;

/// Asks what a plan will have stored on a date: a plan that there is, with its backups, or settings that are not saved, or
/// such a plan with other settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Simulation {
    /// The plan whose backups are there already; none: no backup is.
    #[schema(inline)]
    pub plan: Option<PlanId>,
    /// Settings to try out; none: those of the plan.
    pub settings: Option<NewPlan>,
    /// The date, the sizes and the prices.
    pub scenario: Scenario,
}

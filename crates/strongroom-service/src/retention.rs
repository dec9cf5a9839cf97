//! How long backups are kept.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::Int;

/// How many backups a rule keeps.
pub type Keep = Int<1, 10_000>;

/// How long backups of a plan are kept. A backup is kept if any rule keeps it. Without rules nothing is ever deleted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// The newest so many.
    #[schema(inline)]
    pub last: Option<Keep>,
    /// Those that are not older than so many days.
    #[schema(inline)]
    pub max_age_days: Option<Int<1, 36_500>>,
    /// The newest of each of so many hours.
    #[schema(inline)]
    pub hourly: Option<Keep>,
    /// The newest of each of so many days.
    #[schema(inline)]
    pub daily: Option<Keep>,
    /// The newest of each of so many weeks; a week begins on Monday.
    #[schema(inline)]
    pub weekly: Option<Keep>,
    /// The newest of each of so many months.
    #[schema(inline)]
    pub monthly: Option<Keep>,
    /// The newest of each of so many years.
    #[schema(inline)]
    pub yearly: Option<Keep>,
}

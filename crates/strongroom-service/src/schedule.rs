//! When a plan runs.

use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Int, Line};

/// When a plan runs. Each kind has its own members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Schedule {
    /// Once.
    Once(Once),
    /// At times of the day, by a cron pattern in a time zone.
    Cron(Cron),
    /// Every so many hours that have passed.
    Every(Every),
}

/// Once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Once {
    /// When; none: at once.
    pub at: Option<DateTime<Utc>>,
}

/// At times of the day. Each time of the clock on each day is run once, also where clocks change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    /// Minute, hour, day of the month, month and day of the week, such as `30 1,13 * * *`.
    #[schema(inline)]
    pub pattern: Line<1, 200>,
    /// The time zone whose clock counts, such as `Europe/Berlin` or `UTC`.
    #[schema(value_type = String, max_length = 60, example = "Europe/Berlin")]
    pub zone: Tz,
}

/// Every so many hours that have passed. The time of the day moves when clocks change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Every {
    /// Hours from one run to the next.
    #[schema(inline)]
    pub hours: Int<1, 8760>,
    /// A time at which it runs; the others follow from it.
    pub anchor: DateTime<Utc>,
}

/// A part of each day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// When it begins, such as `08:00:00`.
    #[schema(value_type = String, example = "08:00:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$")]
    pub from: NaiveTime,
    /// When it ends. Before or at the beginning: on the next day.
    #[schema(value_type = String, example = "18:00:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$")]
    pub until: NaiveTime,
    /// The time zone whose clock counts.
    #[schema(value_type = String, max_length = 60, example = "Europe/Berlin")]
    pub zone: Tz,
}

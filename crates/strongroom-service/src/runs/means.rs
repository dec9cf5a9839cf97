//! What the loops work with.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use strongroom_engine::{Clock, Code, Error, Waits};

use crate::events::Events;
use crate::secrets::Keyring;
use crate::state::{State, StateError};

/// What the loops work with. Clones share it.
#[derive(Debug, Clone)]
pub struct Means {
    /// What the service knows.
    pub state: State,
    /// Opens its secrets.
    pub keyring: Arc<Keyring>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Tells those who look on.
    pub events: Events,
    /// How long servers are waited for.
    pub waits: Waits,
    /// How long things may take.
    pub timing: Timing,
}

/// How long things may take, and how often they are done.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// A worker that was not heard of for so long has lost its runs.
    pub lease: TimeDelta,
    /// How often a worker says that it is still there; several times within a lease.
    pub heartbeat: Duration,
    /// How often those who look on hear how far a run is.
    pub progress: Duration,
    /// How often what is due is looked for though nothing announced it.
    pub look: Duration,
    /// How long runs may go on when the service is stopped, before they are handed over.
    pub finish_within: Duration,
    /// How long runs that are handed over may take to clean up.
    pub hand_over_within: Duration,
    /// How long after its worker was lost what a try left may still be written to: the worker may only have been frozen.
    pub settles_after: TimeDelta,
    /// How often retention, waiting changes and old records are looked after though nothing announced it.
    pub upkeep: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: TimeDelta::seconds(60),
            heartbeat: Duration::from_secs(10),
            progress: Duration::from_secs(1),
            look: Duration::from_secs(5),
            finish_within: Duration::from_secs(10),
            hand_over_within: Duration::from_secs(30),
            settles_after: TimeDelta::hours(1),
            upkeep: Duration::from_secs(60),
        }
    }
}

impl Means {
    /// The time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// A failure of the state, as the failure of a run.
pub(super) fn of_state(error: &StateError) -> Error {
    Error::new(Code::Internal, error.to_string()).help("See whether the database of the service answers.")
}

//! What every part of the service works with.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use strongroom_engine::Clock;
use tokio::sync::{Mutex, Semaphore};

use crate::config::Config;
use crate::control::{Streams, Throttle};
use crate::events::Events;
use crate::oidc::Oidc;
use crate::secrets::{Keyring, Passwords};
use crate::state::State;

/// The service: shared by HTTP and by the loops, through an `Arc`.
#[derive(Debug)]
pub struct Service {
    /// What it must not forget.
    pub state: State,
    /// The keys that secrets in the state are sealed with.
    pub keyring: Arc<Keyring>,
    /// What changes, as it changes.
    pub events: Events,
    /// Hashes of passwords.
    pub passwords: Passwords,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What was decided before it started.
    pub config: Config,
    /// How often somebody may try to sign in.
    pub sign_ins: SignIns,
    /// Signing in through an identity provider, if the configuration names one.
    pub oidc: Option<Oidc>,
    /// Tests of deployments that may be under way at a time.
    pub tests: Semaphore,
    /// Streams of events that are open.
    pub streams: Streams,
}

/// How many deployments are tested at a time.
const TESTS_AT_ONCE: usize = 4;

impl Service {
    /// A service that was just started.
    ///
    /// # Errors
    /// `SR-INTERNAL` if the system gives no random bytes.
    pub fn new(
        state: State,
        events: Events,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        config: Config,
    ) -> strongroom_engine::Result<Self> {
        Ok(Self {
            state,
            keyring,
            events,
            passwords: Passwords::new()?,
            clock,
            oidc: Oidc::of(&config)?,
            config,
            sign_ins: SignIns::default(),
            tests: Semaphore::new(TESTS_AT_ONCE),
            streams: Streams::default(),
        })
    }
}

/// How often somebody may try to sign in: by address, and by the name that is tried.
#[derive(Debug)]
pub struct SignIns {
    by_address: Mutex<Throttle<Option<IpAddr>>>,
    by_login: Mutex<Throttle<String>>,
}

impl Default for SignIns {
    fn default() -> Self {
        Self {
            by_address: Mutex::new(Throttle::new(30, TimeDelta::seconds(10))),
            by_login: Mutex::new(Throttle::new(10, TimeDelta::seconds(30))),
        }
    }
}

impl SignIns {
    /// Uses up a try. Addresses of IPv6 count by their network of 64 bits, which is one machine's to choose from.
    ///
    /// # Errors
    /// The seconds to wait when none is left.
    pub async fn take(&self, address: Option<IpAddr>, login: &str, now: DateTime<Utc>) -> Result<(), u64> {
        let network = address.map(|address| match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        });
        self.by_address.lock().await.take(&network, now)?;
        self.by_login.lock().await.take(&login.to_lowercase(), now)
    }
}

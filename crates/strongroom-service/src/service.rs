//! What every part of the service works with.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::TimeDelta;
use ipnet::IpNet;
use strongroom_engine::Clock;
use tokio::sync::Mutex;

use crate::control::Throttle;

/// The service: shared by HTTP and by the loops, through an `Arc`.
#[derive(Debug)]
pub struct Service {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How requests come in.
    pub http: Http,
    /// How often somebody may try to sign in.
    pub sign_ins: SignIns,
}

impl Service {
    /// A service that was just started.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, http: Http) -> Self {
        Self { clock, http, sign_ins: SignIns::default() }
    }
}

/// How requests come in.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// Whether the service itself speaks TLS.
    pub tls: bool,
    /// Proxies whose word about the client is taken: its address and whether it speaks TLS.
    pub trusted_proxies: Vec<IpNet>,
    /// Where browsers reach the service, such as `https://backups.example.com`; none: by the name they asked for.
    pub origin: Option<String>,
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

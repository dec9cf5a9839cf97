//! The sandbox as the real AWS SDK sees it, and beside Ceph's gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, that is how it fails")]

mod callers;
mod faults;
mod lock;
mod matrix;
mod posture;
mod protocol;
mod public;
mod setup;
mod tls;

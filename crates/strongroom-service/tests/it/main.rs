//! The service against real databases.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, that is how it fails")]

mod api;
mod oidc;
mod state;
mod work;

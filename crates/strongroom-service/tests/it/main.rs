//! The service against real databases.

mod oidc;
mod state;
mod work;

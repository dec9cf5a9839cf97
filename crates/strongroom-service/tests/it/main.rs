//! The service against real databases.

mod state;

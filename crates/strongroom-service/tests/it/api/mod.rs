//! The HTTP interface, as clients meet it.

mod access;
mod backups;
mod bed;
mod description;
mod events;
mod identities;
mod loosening;
mod plans;
mod problems;
mod races;
mod runs;
mod scopes;
mod secrets;
mod sign_in;
mod site;

//! The HTTP interface, as clients meet it.

mod access;
mod bed;
mod description;
mod events;
mod problems;
mod races;
mod scopes;
mod secrets;
mod sign_in;

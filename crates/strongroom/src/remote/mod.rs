//! The service as a client sees it: HTTP with JSON, events, and the tokens that this machine keeps.
//!
//! Whatever a server answers is bounded, and shown as text that steers no terminal. A token goes to the server that it
//! was made for and nowhere else: no redirect is followed.

mod address;
mod client;
mod events;
pub(crate) mod paths;
mod problem;
mod tokens;

pub(crate) use address::Address;
pub(crate) use client::{Answer, Ask, Bearer, Client, Limits};
pub(crate) use events::{Event, Events};
pub(crate) use tokens::{Kept, Tokens};

//! The service: plans, their schedule, runs, retention, and the API over all of it.
//!
//! [`model`] is what the API, the state, files and clients speak of: plain data. What is decided about it is pure and
//! takes the time as a value: [`job`], [`schedule`], [`retention`], [`loosening`]. The edges are thin: the state in a
//! database, the work through the engine, HTTP.

pub mod api;
pub mod config;
pub mod control;
pub mod desired;
pub mod egress;
pub mod events;
pub mod job;
pub mod loosening;
pub mod model;
pub mod oidc;
pub mod retention;
pub mod retry;
pub mod runs;
pub mod schedule;
pub mod scheduler;
pub mod secrets;
pub mod serve;
pub mod service;
pub mod simulate;
pub mod state;
pub mod upkeep;
pub mod worker;

//! The program as a person runs it, against a real mongod and a bucket that enforces policies.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, that is how it fails")]

mod bucket;
mod clean;
mod errors;
mod interop_with_mongorestore;
mod jobs;
mod killed;
mod members;
mod remote;
mod restore;
mod roles;
mod service;
mod setup;
mod snapshots;
mod storage;
mod text;
mod with_schemathesis;

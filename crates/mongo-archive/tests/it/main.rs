//! The archive against archives of the real mongodump, against itself, and against hostile bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, that is how it fails")]

mod fixtures;
mod hostile;
mod round_trip;

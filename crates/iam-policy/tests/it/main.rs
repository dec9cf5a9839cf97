//! The policy language against a corpus, against properties, and against another implementation.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, that is how it fails")]

mod corpus;
mod lint;
mod peer;
mod properties;

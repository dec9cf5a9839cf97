//! What Strongroom can do to one MongoDB deployment and one bucket.

pub mod bucket;
pub mod deployment;
pub mod error;
pub mod layout;
pub mod location;
pub mod manifest;
pub mod progress;
pub mod selection;

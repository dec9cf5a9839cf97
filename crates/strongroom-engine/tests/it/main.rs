//! The engine against a real mongod and real stores.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, that is how it fails")]

mod anew;
mod archives;
mod bucket;
mod bucket_contract;
mod bucket_faults;
mod bucket_prove;
mod catalog;
mod changes;
mod clean;
mod consistency;
mod damage;
mod damaged_replies;
mod definitions;
mod dumps;
mod expiry;
mod faults;
mod format;
mod interruptions;
mod lost_members;
mod on_the_way;
mod open_files;
mod partial;
mod prepared;
mod privileges;
mod ranges;
mod refused;
mod replay;
mod rings;
mod round_trip;
mod settings;
mod setup;
mod silence;
mod topology;
mod users;
mod writing;

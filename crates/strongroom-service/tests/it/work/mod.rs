//! Runs, from what is due to what stands in the catalogue: real mongod, real stores, a real database.
//!
//! Every test that makes backups ends with [`house::House::all_restore`]: what the catalogue calls a backup is one.

mod house;
mod retention;
mod runs;
mod schedule;
mod workers;

//! Real parts for tests, the demo and the bench: MongoDB servers, and data that shows every kind of thing
//! that MongoDB knows. Not part of the product.

pub mod ceph;
pub mod certificates;
mod daemon;
pub mod dataset;
mod debian;
pub mod fingerprint;
mod libraries;
pub mod mongod;
pub mod moto;
pub mod postgres;
pub mod set;
pub mod small_disk;
pub mod tools;
pub mod versions;
mod wine;

pub use fingerprint::fingerprint;
pub use mongod::Mongod;
pub use moto::Moto;
pub use postgres::Postgres;
pub use set::Set;
pub use versions::Version;

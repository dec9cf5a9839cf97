//! Real parts for tests, the demo and the bench: MongoDB servers, and data that shows every kind of thing
//! that MongoDB knows. Not part of the product.

pub mod ceph;
mod daemon;
pub mod dataset;
pub mod fingerprint;
pub mod mongod;
pub mod moto;
pub mod tools;

pub use fingerprint::fingerprint;
pub use mongod::Mongod;
pub use moto::Moto;

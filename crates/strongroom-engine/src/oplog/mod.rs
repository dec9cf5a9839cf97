//! The oplog: understanding its entries, and saying which of them can be replayed. Pure: no server, no store.

pub mod entry;
pub mod filter;
pub mod refuse;

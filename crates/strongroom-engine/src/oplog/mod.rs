//! The oplog: understanding its entries, saying which of them can be replayed, and preparing them for it. Pure: no
//! server, no store.

pub mod catalog;
pub mod entry;
pub mod filter;
pub mod refuse;
pub(crate) mod rewrite;
pub mod transactions;

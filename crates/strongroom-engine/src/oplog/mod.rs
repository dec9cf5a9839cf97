//! The oplog: understanding its entries, saying which of them can be replayed, and preparing them for it. Pure: no
//! server, no store.

pub(crate) mod catalog;
pub(crate) mod entry;
pub(crate) mod filter;
pub(crate) mod refuse;
pub(crate) mod rewrite;
pub(crate) mod transactions;

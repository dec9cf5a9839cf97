//! mongo-archive

//! Ceph's object gateway.

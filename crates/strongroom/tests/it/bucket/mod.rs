//! `strongroom bucket`.

mod ceph;
mod explain;
mod permissions;
mod policy;
mod provision;
// mod prove;

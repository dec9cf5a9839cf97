//! `strongroom bucket`.

mod ceph;
mod explain;
mod lint;
mod permissions;
mod policy;
mod prove;
mod provision;

//! `strongroom bucket`.

mod ceph;
mod explain;
mod lint;
mod permissions;
mod policy;
mod provision;
mod prove;

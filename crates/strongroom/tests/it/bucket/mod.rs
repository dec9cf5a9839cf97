//! `strongroom bucket`.

mod explain;
mod lint;
mod permissions;
mod policy;
mod prove;
mod provision_with_moto;
mod with_ceph;

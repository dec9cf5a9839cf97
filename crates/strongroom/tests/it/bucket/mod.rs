//! `strongroom bucket`.

mod explain;
mod lint;
mod permissions;
mod policy;
pub(crate) mod prove;
mod provision_with_moto;
mod with_ceph;

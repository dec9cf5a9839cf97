//! `strongroom bucket`.

mod explain;
mod permissions;
mod policy;
mod provision;
mod prove;

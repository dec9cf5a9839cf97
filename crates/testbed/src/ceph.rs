//! Ceph's object gateway: a second, independent server that speaks S3 and enforces policies.

use crate::tools::Missing;

/// The Debian packages it needs.
pub const PACKAGES: [&str; 5] = ["radosgw", "ceph-mon", "ceph-mgr", "ceph-osd", "ceph-common"];

/// Installs what is missing.
///
/// # Errors
/// Where that may not be done, naming the packages.
pub fn install() -> Result<(), Missing> {
    Ok(())
}

//! The shared libraries of mongod, on systems that lack them.

use std::path::Path;
use std::process::Command;

use crate::debian::Unpacked;
use crate::tools::Missing;

/// Libraries that this build of mongod wants from the system, and the Debian packages that hold them.
const LIBRARIES: [(&str, &str); 3] =
    [("libcurl.so", "libcurl4"), ("libssl.so", "libssl3"), ("liblzma.so", "liblzma5")];

/// The libraries that a mongod needs and the system lacks; `None` where it lacks none.
///
/// # Errors
/// When they cannot be fetched, naming them.
pub(crate) fn missing(mongod: &Path) -> Result<Option<Unpacked>, Missing> {
    let listed = Command::new("ldd").arg(mongod).output().map_err(|e| Missing(format!("no ldd: {e}")))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let missing: Vec<&str> = listed
        .lines()
        .filter(|line| line.contains("not found"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let wanted = |library: &str| missing.iter().any(|name| name.starts_with(library));
    let packages: Vec<&str> =
        LIBRARIES.iter().filter(|(library, _)| wanted(library)).map(|(_, package)| *package).collect();
    Unpacked::get("libraries", &packages)
        .map(Some)
        .map_err(|e| Missing(format!("mongod needs {}, which this system lacks: {e}", missing.join(", "))))
}

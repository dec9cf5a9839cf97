//! Paths that come from elsewhere.

use std::io;

/// The same path, relative and without detours.
///
/// # Errors
/// For one that is not UTF-8 or goes upwards.
pub(super) fn clean(path: &[u8]) -> io::Result<String> {
    let text = String::from_utf8_lossy(path);
    let wrong = |why: &str| {
        let message = format!("the path `{}` {why}", text.escape_debug());
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    };
    if std::str::from_utf8(path).is_err() {
        return wrong("is not UTF-8");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return wrong("leads elsewhere");
    }
    Ok(parts.join("/"))
}

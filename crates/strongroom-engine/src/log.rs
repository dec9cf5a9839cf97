//! The log of a run, beside what the run stored: `log.jsonl`, a line of JSON for each event. It is no part of the backup;
//! a run that failed leaves it too.

use bytes::Bytes;

use crate::bucket::{ObjectStore, Sse, Stored};
use crate::error::{Code, Error, Result};
use crate::hash::sha256;
use crate::layout::{self, BackupId, PlanName};

/// No log is longer, in bytes. Whoever writes one leaves the middle of a longer one out.
pub const LOG_BYTES_MAX: u64 = 16 << 20;

/// Stores the log of the run that made, or was to make, the backup `id`. It takes no more than the permission to write, and
/// `sse` is asked for as for segments. The same log again is no error.
///
/// # Errors
/// [`Code::Usage`] for one that is too long; [`Code::ObjectExists`] where another log of this run is there; as the store
/// fails.
pub async fn store_log(
    store: &dyn ObjectStore,
    (plan, id): (&PlanName, &BackupId),
    lines: Bytes,
    sse: &Sse,
) -> Result<Stored> {
    if lines.len() as u64 > LOG_BYTES_MAX {
        let message = format!("the log of `{plan}/{id}` is longer than {LOG_BYTES_MAX} bytes");
        return Err(Error::new(Code::Usage, message).help("Leave out what is least worth keeping."));
    }
    let sum = sha256(&lines);
    store.put(&layout::backup_key(plan, id, layout::LOG), lines, &sum, sse).await
}

/// Reads the log of a run; none if it left none.
///
/// # Errors
/// [`Code::Damaged`] for one that is longer than a log can be; as the store fails.
pub async fn read_log(store: &dyn ObjectStore, (plan, id): (&PlanName, &BackupId)) -> Result<Option<Bytes>> {
    match store.get(&layout::backup_key(plan, id, layout::LOG), None, LOG_BYTES_MAX).await {
        Ok(found) => Ok(Some(found.body)),
        Err(error) if error.code() == Code::ObjectMissing => Ok(None),
        Err(error) => Err(error),
    }
}

//! Several readers side by side: each takes the next stretch until none is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::read::StretchRead;
use super::reader::Reader;
use crate::error::{Code, Error, Result};

/// Reads all stretches with `count` readers; the answer is in the order of the archive.
pub(super) async fn read_all(reader: &Arc<Reader>, count: usize) -> Result<Vec<StretchRead>> {
    let queue = Arc::new(Queue { order: reader.stretches.order(), next: AtomicUsize::new(0) });
    let mut readers = JoinSet::new();
    for _ in 0..count.clamp(1, queue.order.len().max(1)) {
        readers.spawn(read_until_none_is_left(reader.clone(), queue.clone()));
    }
    let mut read = Vec::new();
    let mut failure = None;
    while let Some(ended) = readers.join_next().await {
        match ended {
            Ok(Ok(stretches)) => read.extend(stretches),
            Ok(Err(error)) => failure = Some(more_telling(failure, error)),
            Err(panic) => {
                failure = Some(Error::new(Code::Internal, "a reader ended abruptly").caused_by(panic));
            }
        }
        if failure.is_some() {
            reader.sink.job.cancel.cancel();
        }
    }
    read.sort_by_key(|stretch: &StretchRead| stretch.place);
    failure.map_or(Ok(read), Err)
}

/// The first failure stops the others, which then say `cancelled`: that is not the news.
pub(super) fn more_telling(known: Option<Error>, error: Error) -> Error {
    match known {
        Some(known) if known.code() != Code::Cancelled => known,
        _ => error,
    }
}

/// Stretches in the order they are to be read.
struct Queue {
    order: Vec<usize>,
    next: AtomicUsize,
}

async fn read_until_none_is_left(reader: Arc<Reader>, queue: Arc<Queue>) -> Result<Vec<StretchRead>> {
    let mut read = Vec::new();
    while let Some(&place) = queue.order.get(queue.next.fetch_add(1, Ordering::Relaxed)) {
        read.push(reader.read(place).await?);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_reader_does_not_hide_why_another_failed() {
        let (cancelled, failed) =
            (Error::new(Code::Cancelled, "cancelled"), Error::new(Code::MongoHost, "it broke"));
        for (first, then) in [(&cancelled, &failed), (&failed, &cancelled)] {
            assert_eq!(more_telling(Some(first.clone()), then.clone()).code(), Code::MongoHost);
        }
        assert_eq!(more_telling(None, cancelled).code(), Code::Cancelled);
    }
}

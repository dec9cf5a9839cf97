//! Several readers side by side: each takes the next stretch until none is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::read::StretchRead;
use super::reader::{Ended, Reader};
use super::stretches::Stretches;
use crate::error::{Code, Error, Result};

/// Reads all stretches with `count` readers; the answer is in the order of the archive.
pub(super) async fn read_all(reader: &Arc<Reader>, count: usize) -> Result<Vec<StretchRead>> {
    let order = reader.stretches.order().into_iter().map(|place| Work { place, whole_from: None });
    let ended = read_each(reader, order.collect(), count).await?;
    let (mut read, whole) = sort_out(&reader.stretches, ended);
    for (place, parts) in whole.iter().flat_map(|whole| &whole.stored) {
        reader.sink.take_back_stretch(reader.stretches.number(*place), *parts).await;
    }
    let again = whole.iter().map(|whole| Work { place: whole.first, whole_from: Some(whole.first_part) });
    let again = read_each(reader, again.collect(), count).await?;
    read.extend(sort_out(&reader.stretches, again).0);
    read.sort_by_key(|stretch: &StretchRead| stretch.place);
    Ok(read)
}

/// A collection in ranges that must be read again as a whole.
#[derive(Debug, Default, PartialEq)]
struct Whole {
    /// The first of its stretches, which is to hold all of it.
    first: usize,
    /// The part number after the last one that was used there.
    first_part: usize,
    /// Its stretches that were read to their ends, and how many parts each has.
    stored: Vec<(usize, usize)>,
}

/// What was read; of a collection of which one range means nothing any more, no range counts.
fn sort_out(stretches: &Stretches, ended: Vec<Ended>) -> (Vec<StretchRead>, Vec<Whole>) {
    let collection = |ended: &Ended| stretches.list[ended.place()].namespaces[0];
    let meaningless = |ended: &&Ended| matches!(ended, Ended::Meaningless { .. });
    let torn: BTreeSet<usize> = ended.iter().filter(meaningless).map(collection).collect();
    let mut whole: BTreeMap<usize, Whole> = BTreeMap::new();
    let mut read = Vec::new();
    for one in ended {
        let (collection, place, parts) = (collection(&one), one.place(), one.parts());
        let stretch = match one {
            Ended::Read(stretch) if !torn.contains(&collection) => {
                read.push(stretch);
                continue;
            }
            Ended::Read(stretch) => Some(stretch),
            Ended::Meaningless { .. } => None,
        };
        let whole = whole.entry(collection).or_insert(Whole { first: usize::MAX, ..Whole::default() });
        whole.stored.extend(stretch.map(|_| (place, parts)));
        if place < whole.first {
            (whole.first, whole.first_part) = (place, parts);
        }
    }
    (read, whole.into_values().collect())
}

async fn read_each(reader: &Arc<Reader>, order: Vec<Work>, count: usize) -> Result<Vec<Ended>> {
    let queue = Arc::new(Queue { order, next: AtomicUsize::new(0) });
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
    failure.map_or(Ok(read), Err)
}

/// The first failure stops the others, which then say `cancelled`: that is not the news.
pub(super) fn more_telling(known: Option<Error>, error: Error) -> Error {
    match known {
        Some(known) if known.code() != Code::Cancelled => known,
        _ => error,
    }
}

/// A stretch that is to be read.
#[derive(Debug, Clone, Copy)]
struct Work {
    place: usize,
    /// With this part first, it is to hold the whole of its collection.
    whole_from: Option<usize>,
}

/// Stretches in the order they are to be read.
struct Queue {
    order: Vec<Work>,
    next: AtomicUsize,
}

async fn read_until_none_is_left(reader: Arc<Reader>, queue: Arc<Queue>) -> Result<Vec<Ended>> {
    let mut read = Vec::new();
    while let Some(&work) = queue.order.get(queue.next.fetch_add(1, Ordering::Relaxed)) {
        read.push(match work.whole_from {
            None => reader.read(work.place).await?,
            Some(part) => reader.read_whole(work.place, part).await?,
        });
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

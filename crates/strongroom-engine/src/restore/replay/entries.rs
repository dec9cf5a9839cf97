//! Where the entries come from: the segments of a backup, or what an archive's stream brought along.

use mongo_archive::Crc64;

use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Command;
use crate::job::Job;
use crate::manifest::Segment;
use crate::names::NamespaceKind;
use crate::restore::{Backup, Source};
use crate::segments::{self, Names, Step, Walk};
use crate::spool::{self, Spool};

/// Entries taken from a spool at once.
const AT_ONCE: usize = 64;

/// The entries of an oplog in their order, some at a time.
pub(super) enum Entries<'a> {
    Segments(Box<FromSegments<'a>>),
    Spool(spool::Entries<'a>),
    None,
}

pub(super) struct FromSegments<'a> {
    backup: &'a Backup,
    names: Names,
    /// The oplog's number in the manifest's list of contents.
    number: usize,
    left: std::slice::Iter<'a, Segment>,
    sum: Crc64,
}

impl<'a> Entries<'a> {
    /// All entries, from the first.
    ///
    /// # Errors
    /// [`Code::Internal`] when a spool cannot be read.
    pub(super) fn of(source: &'a Source, spool: &'a Spool) -> Result<Self> {
        let Source::Backup(backup) = source else { return Ok(Self::Spool(spool.entries())) };
        let manifest = &backup.manifest;
        let Some(number) = manifest.namespaces.iter().position(|n| n.kind == NamespaceKind::Oplog) else {
            return Ok(Self::None);
        };
        let names = Names::of(&manifest.namespaces);
        let left = manifest.segments.iter();
        Ok(Self::Segments(Box::new(FromSegments { backup, names, number, left, sum: Crc64::new() })))
    }

    /// The next entries; none at the end.
    ///
    /// # Errors
    /// [`Code::Damaged`] when they are not those that the manifest describes; [`Code::Cancelled`]; as the store fails.
    pub(super) async fn next(&mut self, job: &Job) -> Result<Option<Vec<Vec<u8>>>> {
        match self {
            Self::None => Ok(None),
            Self::Spool(entries) => {
                job.check()?;
                let some: Vec<Vec<u8>> = entries.take(AT_ONCE).collect::<Result<_>>()?;
                Ok((!some.is_empty()).then_some(some))
            }
            Self::Segments(segments) => segments.next(job).await,
        }
    }
}

impl FromSegments<'_> {
    async fn next(&mut self, job: &Job) -> Result<Option<Vec<Vec<u8>>>> {
        let number = self.number;
        let holds = |segment: &&Segment| segment.contents.iter().any(|c| c.namespace == number);
        let Some(segment) = self.left.find(holds) else {
            self.check()?;
            return Ok(None);
        };
        let body = job.unless_cancelled(segments::fetch(&*self.backup.store, segment, job)).await?;
        self.read(segment, &body).map(Some)
    }

    fn read(&mut self, segment: &Segment, body: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut walk = Walk::new(self.backup.manifest.compression, &self.names, segment, body)?;
        let (mut entries, mut inside) = (Vec::new(), false);
        let ours = segment.contents.iter().filter(|content| content.namespace == self.number);
        let mut left: u64 = ours.map(|content| content.bytes).sum();
        while let Some(step) = walk.next().map_err(|e| segments::damaged(segment, e))? {
            match step {
                Step::Begin(number) => inside = number == self.number,
                Step::Document(entry) if inside => {
                    // Nothing that could take all memory is gathered before it is compared.
                    left = left.checked_sub(entry.len() as u64).ok_or_else(|| {
                        segments::damaged(segment, "it holds more of the oplog than the manifest says")
                    })?;
                    entries.push(entry.to_vec());
                }
                Step::Document(_) | Step::End | Step::Ended => {}
            }
        }
        let found = walk.finish(segment).map_err(|e| segments::damaged(segment, e))?;
        let ours = found.contents.iter().filter(|(content, _)| content.namespace == self.number);
        ours.for_each(|(_, crc)| self.sum.append(crc));
        Ok(entries)
    }

    fn check(&self) -> Result<()> {
        let manifest = &self.backup.manifest;
        if self.sum.to_string() == manifest.namespaces[self.number].crc64 {
            return Ok(());
        }
        Err(Error::new(Code::Damaged, "the entries of the oplog are not those that the manifest describes")
            .help(help![Command::Verify, " looks for the cause; restore another backup."]))
    }
}

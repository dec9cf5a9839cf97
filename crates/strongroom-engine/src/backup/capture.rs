//! The oplog, kept while a backup is made: with it, what was read at different moments becomes one moment, and a
//! restore can choose a moment within the window.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mongo_archive::Namespace as ArchiveNamespace;
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::Instant;

use super::lost;
use super::moment::Moment;
use super::reach::{Reach, no_moment};
use super::read::NamespaceRead;
use super::resume::Elsewhere;
use super::writer::StretchWriter;
use crate::deployment::{Batch, Deployment, Setback, Turn};
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::manifest::{OplogWindow, Segment};
use crate::moment::ClusterTime;
use crate::oplog::entry::{Entry, Role};
use crate::oplog::filter::touches;
use crate::oplog::refuse::refusal;
use crate::oplog::transactions::{Transactions, Unfit, key};
use crate::selection::Filter;
use crate::spool::{Place, Spool};

/// How the archive names the oplog: a collection of the database without a name.
pub(super) const ARCHIVED: (&str, &str) = ("", "oplog");
/// How often to look for new entries: far less than any oplog lasts, and few requests.
const PAUSE: Duration = Duration::from_secs(1);
/// How often to look again after a lost connection: with the pauses, time for a member to restart.
const TRIES_MAX: u32 = 60;

/// From so many tries on another member is read if this one does not answer.
const ELSEWHERE_FROM: u32 = 2;

/// How long a majority of the set may take to have what was read.
const REACHED_WITHIN: Duration = Duration::from_secs(30);
const NO_MAJORITY: &str = "no majority of the replica set's members has it yet";

/// A capture under way.
pub(super) struct Capture {
    task: JoinHandle<Result<Captured>>,
    enough: watch::Sender<Option<ClusterTime>>,
}

/// What was kept.
pub(super) struct Captured {
    pub(super) read: NamespaceRead,
    pub(super) segments: Vec<Segment>,
    pub(super) window: OplogWindow,
}

impl Capture {
    /// Keeps what `filter` accepts of what comes after the moment; of what stands before it, the parts of
    /// transactions that are under way then. Nothing, where the moment needs no oplog. `writer` writes it, as the
    /// namespace at `place`. It ends at once, with the cause, if `reach` needs an entry that cannot be replayed.
    pub(super) fn start(
        deployment: &Arc<Deployment>,
        filter: &Filter,
        (moment, reach): (&Moment, &Arc<Reach>),
        writer: StretchWriter,
        place: usize,
    ) -> Option<Self> {
        let (begin, from) = (moment.capture_from?, moment.from?);
        let mut keeper = Keeper {
            deployment: deployment.clone(),
            filter: filter.clone(),
            job: writer.job().clone(),
            writer,
            from,
            reach: reach.clone(),
            seen: Seen::UpToBefore(begin),
            read: NamespaceRead::new(place),
            cut_short: None,
            turn: deployment.turn(),
            found_on: deployment.turn(),
            begun: HashMap::new(),
            early: Transactions::default(),
            kept: Spool::default(),
        };
        let (enough, wanted) = watch::channel(None);
        let task = tokio::spawn(async move {
            let kept = keeper.keep(wanted).await;
            // Whatever happened: an upload under way is waited for, so that its outcome is known.
            let stored = keeper.writer.wait().await;
            if kept.is_err() || stored.is_err() {
                keeper.job.cancel.cancel();
            }
            kept.and(stored).map(|()| keeper.captured())
        });
        Some(Self { task, enough })
    }

    /// Takes what has come until now, at least up to `needed`, and ends.
    ///
    /// # Errors
    /// As the store fails; if entries up to `needed` could not be kept, with the cause.
    pub(super) async fn finish(self, needed: Option<ClusterTime>) -> Result<Captured> {
        // The task may have ended by itself: then it says why.
        let _ = self.enough.send(Some(needed.unwrap_or_default()));
        let ended = self.task.await;
        let captured = ended.map_err(|e| {
            Error::new(Code::Internal, "the capture of the oplog ended abruptly").caused_by(e)
        })??;
        match needed {
            Some(needed) if captured.window.to < needed => {
                let cause = captured.window.cut_short.as_deref().unwrap_or(NO_MAJORITY);
                Err(no_moment(needed, cause))
            }
            _ => Ok(captured),
        }
    }
}

struct Keeper {
    deployment: Arc<Deployment>,
    filter: Filter,
    writer: StretchWriter,
    /// Its cancel ends the readers too.
    job: Job,
    from: ClusterTime,
    reach: Arc<Reach>,
    /// The newest entry that was seen.
    seen: Seen,
    read: NamespaceRead,
    cut_short: Option<String>,
    /// The member that was asked last.
    turn: Turn,
    /// The member on which the entry that was seen last was found.
    found_on: Turn,
    /// Transactions that are under way, and whether their beginning was seen.
    begun: HashMap<(Vec<u8>, i64), bool>,
    /// Those that were under way before `from`: what of them is needed is known when that is reached.
    early: Transactions<Place>,
    /// Their entries.
    kept: Spool,
}

/// How far the oplog was seen.
#[derive(Clone, Copy)]
enum Seen {
    /// It begins with this entry, which was not seen yet.
    UpToBefore(ClusterTime),
    /// This entry was the last one.
    UpTo(ClusterTime),
}

impl Seen {
    fn time(self) -> ClusterTime {
        match self {
            Self::UpToBefore(time) | Self::UpTo(time) => time,
        }
    }
}

impl Keeper {
    async fn keep(&mut self, mut enough: watch::Receiver<Option<ClusterTime>>) -> Result<()> {
        let (db, collection) = ARCHIVED;
        let name = ArchiveNamespace { db: db.into(), collection: collection.into() };
        self.writer.begin_namespace(self.read.place, name)?;
        let mut tries = 0;
        let mut asked_at: Option<Instant> = None;
        let job = self.job.clone();
        loop {
            let wanted = *enough.borrow_and_update();
            asked_at = asked_at.or(wanted.map(|_| Instant::now()));
            let looked = job.unless_cancelled(self.look()).await?;
            match looked {
                Ok(()) => tries = 0,
                Err(error) if tries >= TRIES_MAX => {
                    self.cut(format!("it cannot be read on: {}", error.message()));
                }
                Err(error) => {
                    tries += 1;
                    self.recover(&error, tries).await?;
                }
            }
            let reached = wanted.is_some_and(|wanted| tries == 0 && self.seen.time() >= wanted);
            let late = asked_at.is_some_and(|asked_at| asked_at.elapsed() > REACHED_WITHIN);
            if self.cut_short.is_some() || reached || late {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                // While connections are lost, the pause is kept.
                _ = enough.changed(), if tries == 0 && wanted.is_none() => {}
                () = job.cancel.cancelled() => {}
            }
            job.check()?;
        }
        self.write_early()?;
        self.read.crc = self.writer.end_namespace()?;
        self.writer.end_segment()?;
        self.writer.store_finished().await
    }

    /// Says that the connection was lost, and goes on with another member if this one does not come back.
    async fn recover(&self, error: &Error, tries: u32) -> Result<()> {
        self.deployment.retries("reading", "the oplog", error.message(), PAUSE);
        let elsewhere = if tries < ELSEWHERE_FROM { Elsewhere::No } else { Elsewhere::IfLost };
        let going = lost::go_elsewhere(&self.deployment, self.turn, elsewhere, &self.job);
        self.job
            .unless_cancelled(async {
                going.await;
                Ok(())
            })
            .await
    }

    /// Takes what is new. The inner error is of a connection that may come back.
    async fn look(&mut self) -> Result<Result<(), Error>> {
        self.turn = self.deployment.turn();
        let mut batches = match self.deployment.oplog(self.seen.time()).await {
            Ok(batches) => batches,
            Err(setback) => return self.after(setback),
        };
        let mut first = true;
        loop {
            match batches.next().await {
                Ok(Some(batch)) => {
                    block_in_place(|| self.take(&batch, &mut first))?;
                    self.writer.store_finished().await?;
                }
                Ok(None) if first && self.turn != self.found_on => {
                    return Ok(Err(Error::new(Code::MongoHost, "this member has not got there yet")));
                }
                Ok(None) if first => {
                    self.roll_over();
                    return Ok(Ok(()));
                }
                Ok(None) => return Ok(Ok(())),
                Err(setback) => return self.after(setback),
            }
            if self.cut_short.is_some() {
                return Ok(Ok(()));
            }
        }
    }

    fn after(&mut self, setback: Setback) -> Result<Result<(), Error>> {
        match setback {
            Setback::Lost(error) | Setback::Damaged(error) => Ok(Err(error)),
            // The oplog's tail was overwritten while it was read.
            Setback::PositionGone(_) => {
                self.roll_over();
                Ok(Ok(()))
            }
            other => Err(other.into_error().context("reading the oplog")),
        }
    }

    /// The entry that was seen last must still be there: else others after it may be gone too.
    fn take(&mut self, batch: &Batch, first: &mut bool) -> Result<()> {
        for document in batch.documents()? {
            let document = document?;
            let entry = Entry::of(document)?;
            if std::mem::take(first) {
                if entry.ts != self.seen.time() {
                    self.roll_over();
                    return Ok(());
                }
                self.found_on = self.turn;
                if let Seen::UpTo(_) = self.seen {
                    continue;
                }
            }
            if let Err(cause) = self.follow(&entry) {
                return self.end_before(&entry, cause);
            }
            if entry.ts <= self.from {
                self.hold(&entry, document)?;
            } else {
                self.write_early()?;
                if let Some(cause) = self.refused(&entry)? {
                    let cause = format!("its entry at {} cannot be replayed: {cause}", entry.ts);
                    return self.end_before(&entry, cause);
                }
                if self.wants(&entry)? {
                    self.write(document)?;
                }
            }
            self.seen = Seen::UpTo(entry.ts);
        }
        self.deployment.has_seen(self.seen.time());
        Ok(())
    }

    fn write(&mut self, document: &[u8]) -> Result<()> {
        self.read.count(document);
        self.writer.document(document)
    }

    /// A transaction cannot be replayed without its beginning.
    fn follow(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        let (transaction, ends) = match entry.role {
            Role::Alone => return Ok(()),
            Role::Part(transaction) | Role::Prepared(transaction) => (transaction, false),
            Role::Last(transaction) | Role::Commit(transaction) => (transaction, true),
            Role::Abort(transaction) => {
                self.begun.remove(&key(transaction));
                return Ok(());
            }
        };
        if !ends {
            self.begun.entry(key(transaction)).or_insert(!transaction.continues);
            return Ok(());
        }
        match self.begun.remove(&key(transaction)) {
            Some(true) => Ok(()),
            // It took effect before the moment.
            _ if entry.ts <= self.from => Ok(()),
            _ => Err(format!(
                "its entry at {} ends a transaction that began before the oplog was kept",
                entry.ts
            )),
        }
    }

    /// Keeps what may belong to a transaction that takes effect after `from`, and forgets those that do before.
    fn hold(&mut self, entry: &Entry<'_>, document: &[u8]) -> Result<()> {
        let kept = if entry.role.waits() { Some(self.kept.push(document)?) } else { None };
        match self.early.take(entry, kept) {
            Ok(_) => {}
            // Its beginning is unknown, and it took effect before the moment.
            Err(Unfit::BeganBefore { .. }) => {}
            Err(unfit @ Unfit::TooMany { .. }) => self.cut(unfit.to_string()),
        }
        Ok(())
    }

    fn write_early(&mut self) -> Result<()> {
        let mut places = std::mem::take(&mut self.early).into_open();
        places.sort_unstable();
        for place in places {
            let entry = self.kept.get(place)?;
            self.write(&entry)?;
        }
        if self.kept.len() > 0 { self.kept.clear() } else { Ok(()) }
    }

    fn refused(&self, entry: &Entry<'_>) -> Result<Option<String>> {
        let accepts = |db: &str, collection: &str| self.filter.accepts(db, collection);
        Ok(if touches(entry, &accepts)? { refusal(entry) } else { None })
    }

    fn wants(&self, entry: &Entry<'_>) -> Result<bool> {
        touches(entry, &|db, collection| self.filter.accepts(db, collection))
    }

    fn roll_over(&mut self) {
        let seen = self.seen.time();
        self.cut(format!(
            "it has rolled over: the entry at {seen} is no longer there (a larger oplog helps)"
        ));
    }

    /// What comes from `entry` on is of no use.
    fn end_before(&mut self, entry: &Entry<'_>, cause: String) -> Result<()> {
        let ended = self.reach.ends_before(entry.ts, &cause);
        self.cut(cause);
        ended
    }

    fn cut(&mut self, cause: String) {
        self.cut_short = Some(cause);
    }

    fn captured(self) -> Captured {
        let to = match self.seen {
            Seen::UpTo(time) => time.max(self.from),
            Seen::UpToBefore(_) => self.from,
        };
        let window = OplogWindow { from: self.from, to, cut_short: self.cut_short };
        Captured { read: self.read, segments: self.writer.into_segments(), window }
    }
}

//! Replaying the oplog: after the data and before the indexes, which what lies in between may contradict.
//!
//! Inserts, updates and deletes are applied as the server wrote them down. Commands about collections are run as
//! ordinary commands; those about indexes and views only change what is built and created afterwards.

mod capped;
mod entries;
mod look;
mod outcome;
pub(super) mod window;

pub(super) use look::{look, may};
pub(super) use outcome::may_repeat;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::plan::Action;
use super::settings::Existing;
use super::spool::Spool;
use super::users::authorization;
use super::{Restored, STORED_FUNCTIONS, Users, Work};
use crate::deployment::{OperationBatch, Refused};
use crate::error::{Code, Error, Result};
use crate::moment::ClusterTime;
use crate::oplog::catalog::{Catalog, Change, Name};
use crate::oplog::entry::{Entry, Kind, Operation, strange};
use crate::oplog::filter::{BUCKETS, VIEWS, part_touches};
use crate::oplog::refuse::part_refusal;
use crate::oplog::rewrite::rewrite;
use crate::oplog::transactions::{Effect, Transactions};
use crate::progress::Phase;
use capped::Held;
use entries::Entries;

/// Replays what the plan says, and gives what is to be done from then on.
pub(super) async fn run(work: &Arc<Work>, spool: &Spool, restored: &mut Restored) -> Result<Arc<Work>> {
    if work.plan.replay.is_none() {
        return Ok(work.clone());
    }
    work.phase(Phase::Replaying);
    if spool.len() > 0 {
        look(work, spool).await?;
    }
    make_room_for_users(work).await?;
    let mut replay = Replay {
        work,
        catalog: outcome::catalog(work),
        transactions: Transactions::default(),
        batch: OperationBatch::default(),
        names: Vec::new(),
        held: capped::held(work, spool).await?,
        unmatched: BTreeMap::new(),
        exceptions: Vec::new(),
        last: None,
    };
    let mut entries = Entries::of(work, spool)?;
    while let Some(some) = entries.next(work).await? {
        for bytes in some {
            replay.entry(&bytes).await?;
        }
    }
    replay.send().await?;
    let (left, exceptions) = outcome::after(work, &replay.catalog);
    replay.exceptions.extend(exceptions);
    replay.report(restored);
    Ok(Arc::new(left))
}

/// Users and roles are merged from collections that exist only where the backup holds some.
async fn make_room_for_users(work: &Work) -> Result<()> {
    for planned in work.plan.namespaces.iter().filter(|planned| planned.action == Action::Merge) {
        let Some((db, temporary)) = work.data_target(planned.place) else { continue };
        if planned.documents == Some(0) {
            work.target.drop_collection(db, &temporary).await?;
        }
        match work.target.create(db, &temporary, bson::Document::new()).await {
            Ok(()) | Err(Refused::Exists) => {}
            Err(Refused::Other(error)) => return Err(error),
        }
    }
    Ok(())
}

/// A replay under way. Names are those of the source.
struct Replay<'a> {
    work: &'a Work,
    catalog: Catalog,
    transactions: Transactions,
    batch: OperationBatch,
    /// Which collection each mark in the batch stands for.
    names: Vec<Name>,
    held: Held,
    /// Updates that found no document.
    unmatched: BTreeMap<Name, u64>,
    exceptions: Vec<String>,
    /// The newest entry that there is.
    last: Option<ClusterTime>,
}

impl Replay<'_> {
    async fn entry(&mut self, bytes: &[u8]) -> Result<()> {
        let entry = Entry::of(bytes)?;
        self.last = self.last.max(Some(entry.ts));
        if is_after(self.work, entry.ts) {
            return Ok(());
        }
        let effect = self.transactions.take(&entry, bytes);
        // What took effect earlier is in the data; the beginnings of transactions that go on had to be seen.
        if !in_window(self.work, entry.ts) {
            return Ok(());
        }
        match effect? {
            Effect::Nothing => Ok(()),
            Effect::Alone => self.operation(entry.operation).await,
            Effect::Together(entries) => {
                for bytes in entries {
                    self.operation(Entry::of(&bytes)?.operation).await?;
                }
                Ok(())
            }
        }
    }

    async fn operation(&mut self, operation: Operation<'_>) -> Result<()> {
        for part in operation.parts()? {
            if !touches(self.work, &part)? {
                continue;
            }
            if let Some(why) = part_refusal(&part) {
                return Err(refused(&why));
            }
            match part.kind {
                Kind::Noop => {}
                Kind::Command => self.command(&part).await?,
                _ if part.collection == VIEWS => self.catalog.view(&part)?,
                _ => self.change(&part).await?,
            }
        }
        Ok(())
    }

    async fn change(&mut self, part: &Operation<'_>) -> Result<()> {
        let name = (part.db.to_owned(), part.collection.to_owned());
        if !self.catalog.holds(part.db, part.collection) || self.is_held(&name, part)? {
            return Ok(());
        }
        let Some((db, collection)) = target_of(self.work, &name) else { return Ok(()) };
        for operation in rewrite(part, &db, &collection)? {
            if self.batch.is_full_for(&operation) {
                self.send().await?;
            }
            if self.names.last() != Some(&name) {
                self.names.push(name.clone());
            }
            self.batch.push(operation, self.names.len() - 1);
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        for mark in self.work.target.apply(&mut self.batch).await? {
            *self.unmatched.entry(self.names[mark].clone()).or_default() += 1;
        }
        self.names.clear();
        Ok(())
    }

    /// The server makes the collections of users and roles itself.
    async fn command(&mut self, part: &Operation<'_>) -> Result<()> {
        let argument = part.command()?.1.as_str().unwrap_or_default();
        if authorization(part.db, argument).is_some() {
            return Ok(());
        }
        let Some(change) = self.catalog.command(part)? else { return Ok(()) };
        self.send().await?;
        match change {
            Change::Create(name, options) => self.create(&name, options).await,
            Change::Drop(name) => self.drop(&name).await,
            Change::Modify(name, options) => {
                let (db, collection) = user_name(self.work, &name);
                match self.work.target.modify(&db, &collection, options).await {
                    Err(error) if error.code() == Code::Mongo => self.exceptions.push(error.to_string()),
                    outcome => outcome?,
                }
                Ok(())
            }
        }
    }

    async fn create(&self, name: &Name, options: bson::Document) -> Result<()> {
        let (target, existing) = (&self.work.target, self.work.options.existing);
        let (db, collection) = user_name(self.work, name);
        let may_drop = existing == Existing::Drop && collection != STORED_FUNCTIONS;
        match target.create(&db, &collection, options.clone()).await {
            Ok(()) => Ok(()),
            Err(Refused::Exists) if may_drop => {
                target.drop_collection(&db, &collection).await?;
                Ok(target.create(&db, &collection, options).await?)
            }
            // A server makes this one by itself.
            Err(Refused::Exists) if existing == Existing::Keep || collection == STORED_FUNCTIONS => Ok(()),
            Err(refused) => {
                Err(Error::from(refused)
                    .context(format!("cannot create `{db}.{collection}`, as the oplog says")))
            }
        }
    }

    async fn drop(&mut self, name: &Name) -> Result<()> {
        self.held.remove(name);
        let (db, collection) = user_name(self.work, name);
        match collection.as_str() {
            STORED_FUNCTIONS => self.work.target.empty_collection(&db, &collection).await,
            _ => self.work.target.drop_collection(&db, &collection).await,
        }
    }

    /// What did not fit together: changes of what the backup does not hold, though it should.
    fn report(self, restored: &mut Restored) {
        restored.exceptions.extend(self.exceptions);
        for ((db, collection), changes) in &self.catalog.orphans {
            restored.exceptions.push(format!(
                "{changes} changes of `{db}.{collection}` in the oplog: the backup does not hold that collection"
            ));
        }
        let read_later = |name: &Name| outcome::was_read_later(self.work, name);
        for (name, updates) in self.unmatched.iter().filter(|(name, _)| !read_later(name)) {
            restored.exceptions.push(format!(
                "{updates} updates of `{}.{}` in the oplog found no document to change",
                name.0, name.1
            ));
        }
        let to = self.work.plan.replay.and_then(|window| window.to);
        if let (Some(to), Some(last), true) =
            (to, self.last, matches!(&*self.work.source, super::Source::Archive(_)))
            && to > last
        {
            restored.exceptions.push(format!("the archive's oplog ends at {last}, before {to}"));
        }
    }
}

fn refused(why: &str) -> Error {
    Error::new(Code::Damaged, format!("the oplog cannot be replayed: {why}")).help(
        "Choose an earlier moment with --at, or leave out what is affected with --exclude, or take another backup.",
    )
}

fn in_window(work: &Work, ts: ClusterTime) -> bool {
    work.plan.replay.is_some_and(|window| ts > window.from) && !is_after(work, ts)
}

fn is_after(work: &Work, ts: ClusterTime) -> bool {
    work.plan.replay.and_then(|window| window.to).is_some_and(|to| ts > to)
}

/// Whether a part is of what is restored.
fn touches(work: &Work, part: &Operation<'_>) -> Result<bool> {
    let options = &work.options;
    part_touches(part, &|db, collection| {
        let kept = authorization(db, collection).is_some();
        let wanted = match options.users {
            Users::Merge => true,
            Users::None => !kept,
            Users::Only => kept,
        };
        wanted && options.filter.accepts(db, collection)
    })
}

/// Where the documents of a collection go; none for what the server keeps itself.
fn target_of(work: &Work, (db, collection): &Name) -> Option<Name> {
    match authorization(db, collection) {
        Some(kept) => kept.temporary().map(|temporary| ("admin".to_owned(), temporary.to_owned())),
        None => Some(work.options.renames.apply(db, collection)),
    }
}

/// The collection as users know it in the target: a time-series instead of its buckets.
fn user_name(work: &Work, (db, collection): &Name) -> Name {
    work.options.renames.apply(db, collection.strip_prefix(BUCKETS).unwrap_or(collection))
}

/// The collection that a command is about.
fn argument<'a>(part: &Operation<'a>) -> Result<&'a str> {
    part.command()?.1.as_str().ok_or_else(|| strange("a command names no collection"))
}

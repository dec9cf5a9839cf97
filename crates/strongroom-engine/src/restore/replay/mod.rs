//! Replaying the oplog: after the data and before the indexes, which what lies in between may contradict.
//!
//! Inserts, updates and deletes are applied as the server wrote them down. Commands about collections are run as
//! ordinary commands; those about indexes and views only change what is built and created afterwards.

mod capped;
mod entries;
mod look;
mod outcome;
mod ring;
mod scope;
mod window;

pub(super) use scope::Scope;
pub use window::Window;
pub(super) use window::window;

use std::collections::{BTreeMap, BTreeSet};

use bson::RawDocumentBuf;

use super::item::Item;
use super::known::{self, Known};
use super::left::Left;
use super::settings::Existing;
use super::{Source, create};
use crate::definition::Definition;
use crate::deployment::{OperationBatch, Privilege, Privileges, Refused, Target};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::job::Job;
use crate::moment::ClusterTime;
use crate::names::{Authorization, Name, NamespaceKind, STORED_FUNCTIONS, VIEWS};
use crate::oplog::catalog::{Catalog, Change};
use crate::oplog::entry::{Entry, Kind, Operation, strange};
use crate::oplog::refuse::part_refusal;
use crate::oplog::rewrite::rewrite;
use crate::oplog::transactions::{Effect, Transactions};
use crate::progress::Phase;
use crate::spool::{Place, Spool};
use capped::Held;
use entries::Entries;
use look::Met;

/// The roles that grant what is needed, as far as roles of MongoDB do.
const RESTORING: &str = "restore";
const CHANGING: &str = "readWriteAnyDatabase";

/// An oplog that is to be replayed.
pub(super) struct Replay<'a> {
    source: &'a Source,
    target: &'a Target,
    items: &'a [Item],
    scope: Scope<'a>,
    /// What the user may do, where there is one.
    privileges: Option<&'a Privileges>,
    job: &'a Job,
}

impl<'a> Replay<'a> {
    pub(super) fn new(
        source: &'a Source,
        target: &'a Target,
        items: &'a [Item],
        scope: Scope<'a>,
        privileges: Option<&'a Privileges>,
        job: &'a Job,
    ) -> Self {
        Self { source, target, items, scope, privileges, job }
    }

    /// Whether the target can replay, and its user may.
    ///
    /// # Errors
    /// [`Code::MongoPrivilege`] with what is missing; [`Code::NotReplayable`] for entries that cannot be replayed;
    /// [`Code::TargetNotEmpty`] where a collection that the oplog creates exists.
    pub(super) async fn check(&self, oplog: Option<&Spool>) -> Result<()> {
        let inserted = self.items.iter().filter(|item| item.action.inserts());
        let names: Vec<Name> = inserted.filter_map(Item::data_to).collect();
        if let Some(name) = names.first() {
            self.target.can_replay(name).await?;
        }
        let none = Spool::default();
        match (self.source, oplog) {
            // It comes after the data, and may hold anything.
            (Source::Archive(_), None) => {
                let actions = ["update", "remove"];
                let anything =
                    names.iter().flat_map(|name| actions.map(|action| Privilege::on(action, name)));
                self.require(&anything.collect::<Vec<_>>(), CHANGING)
            }
            (_, oplog) => {
                let looked = self.look(oplog.unwrap_or(&none)).await;
                looked.map_err(|e| e.context("nothing was touched"))
            }
        }
    }

    /// Whether all entries can be replayed, and the user may.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(super) async fn look(&self, spool: &Spool) -> Result<()> {
        let mut met = Met::default();
        let mut entries = Entries::of(self.source, spool)?;
        while let Some(some) = entries.next(self.job).await? {
            for bytes in some {
                met.entry(&Entry::of(&bytes)?, &self.scope)?;
            }
        }
        self.require(&met.for_commands(&self.scope), RESTORING)?;
        self.require(&met.for_changes(&self.scope), CHANGING)?;
        let planned: BTreeSet<&Name> = self.items.iter().map(|item| &item.to).collect();
        met.check_created(&self.scope, &planned, self.target).await
    }

    fn require(&self, needed: &[Privilege], role: &str) -> Result<()> {
        self.privileges.map_or(Ok(()), |privileges| privileges.require(needed, role))
    }

    /// Replays, and gives what is to be done from then on.
    pub(super) async fn run(&self, spool: &Spool) -> Result<Left> {
        self.job.phase(Phase::Replaying);
        let mut running = Running::new(self, capped::held(self, spool).await?);
        let mut entries = Entries::of(self.source, spool)?;
        while let Some(some) = entries.next(self.job).await? {
            for bytes in some {
                running.entry(&bytes).await?;
            }
        }
        running.send().await?;
        Ok(running.end())
    }
}

/// A replay under way. Names are those of the source.
struct Running<'a> {
    replay: &'a Replay<'a>,
    catalog: Catalog,
    transactions: Transactions<Place>,
    /// The entries of transactions that are under way, which may be larger than memory.
    waiting: Spool,
    batch: OperationBatch,
    /// Which collection each mark in the batch stands for.
    names: Vec<Name>,
    held: Held,
    /// Updates that found no document.
    unmatched: BTreeMap<Name, u64>,
    exceptions: Vec<String>,
    /// Changes of users and roles, for when they are merged.
    of_users: Vec<RawDocumentBuf>,
    /// The newest entry that there is.
    last: Option<ClusterTime>,
}

impl<'a> Running<'a> {
    fn new(replay: &'a Replay<'a>, held: Held) -> Self {
        Self {
            replay,
            catalog: outcome::catalog(replay.items),
            transactions: Transactions::default(),
            waiting: Spool::default(),
            batch: OperationBatch::default(),
            names: Vec::new(),
            held,
            unmatched: BTreeMap::new(),
            exceptions: Vec::new(),
            of_users: Vec::new(),
            last: None,
        }
    }

    async fn entry(&mut self, bytes: &[u8]) -> Result<()> {
        let entry = Entry::of(bytes)?;
        self.last = self.last.max(Some(entry.ts));
        if self.replay.scope.is_after(entry.ts) {
            return Ok(());
        }
        let kept = if entry.role.waits() { Some(self.keep(bytes)?) } else { None };
        let effect = self.transactions.take(&entry, kept);
        // What took effect earlier is in the data; the beginnings of transactions that go on had to be seen.
        if !self.replay.scope.holds(entry.ts) {
            return Ok(());
        }
        match effect? {
            Effect::Nothing => Ok(()),
            Effect::Alone => self.operation(entry.operation).await,
            Effect::Together(places) => self.together(places).await,
        }
    }

    async fn together(&mut self, places: Vec<Place>) -> Result<()> {
        for place in places {
            let bytes = self.waiting.get(place)?;
            self.operation(Entry::of(&bytes)?.operation).await?;
        }
        Ok(())
    }

    /// Keeps an entry until its transaction takes effect.
    fn keep(&mut self, bytes: &[u8]) -> Result<Place> {
        if self.transactions.is_empty() && self.waiting.len() > 0 {
            self.waiting.clear()?;
        }
        self.waiting.push(bytes)
    }

    async fn operation(&mut self, operation: Operation<'_>) -> Result<()> {
        for part in operation.parts()? {
            if !self.replay.scope.touches(&part)? {
                continue;
            }
            if let Some(why) = part_refusal(&part) {
                return Err(not_replayable(&why));
            }
            match part.kind {
                Kind::Noop | Kind::Unknown => {}
                Kind::Command => self.command(&part).await?,
                _ if part.collection == VIEWS => self.catalog.view(&part)?,
                _ => self.change(&part).await?,
            }
        }
        Ok(())
    }

    async fn change(&mut self, part: &Operation<'_>) -> Result<()> {
        let name = self.catalog.data_name(part.name());
        if !self.catalog.holds(&name) || self.held.has(&name, part)? {
            return Ok(());
        }
        let Some(to) = self.replay.scope.data_to(&name) else { return Ok(()) };
        let to = self.replay.target.holding(to);
        let is_kept = Authorization::of(part.db, part.collection).is_some();
        for operation in rewrite(part, &to)? {
            if is_kept {
                self.of_users.push(operation);
                continue;
            }
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
        for mark in self.replay.target.apply(&mut self.batch).await? {
            *self.unmatched.entry(self.names[mark].clone()).or_default() += 1;
        }
        self.names.clear();
        Ok(())
    }

    /// The server makes the collections of users and roles itself.
    async fn command(&mut self, part: &Operation<'_>) -> Result<()> {
        let argument = part.command()?.1.as_str().unwrap_or_default();
        if Authorization::of(part.db, argument).is_some() {
            return Ok(());
        }
        let Some(change) = self.catalog.command(part)? else { return Ok(()) };
        self.send().await?;
        match change {
            Change::Create(name, options) => self.create(&name, &options).await,
            Change::Drop(name) => self.drop(&name).await,
            Change::Modify(name, options) => {
                match self.replay.target.modify(&self.replay.scope.known_as(&name), &options).await {
                    Err(Refused::Answer(error)) => self.exceptions.push(error.to_string()),
                    outcome => outcome?,
                }
                Ok(())
            }
        }
    }

    async fn create(&mut self, from: &Name, options: &Definition) -> Result<()> {
        let (target, existing) = (self.replay.target, self.replay.scope.settings.existing);
        let name = self.replay.scope.known_as(from);
        let may_drop = existing == Existing::Drop && name.collection != STORED_FUNCTIONS;
        let is_series = options.contains("timeseries");
        let kind = if is_series { NamespaceKind::Timeseries } else { NamespaceKind::Collection };
        let Known { definition: options, left_out } = known::options(kind, &from.collection, options);
        if !left_out.is_empty() {
            self.exceptions.push(create::without_unknown(&name, &left_out));
        }
        let mut created = create::with_fewer(target, &name, &options).await;
        if let (Err(Refused::Exists), true) = (&created, may_drop) {
            target.drop_collection(&name).await?;
            created = create::with_fewer(target, &name, &options).await;
        }
        match created {
            Ok((known, why)) => {
                self.exceptions.extend(why.map(|why| create::without(&name, &known.left_out, &why)));
                Ok(())
            }
            // A server makes this one by itself.
            Err(Refused::Exists) if existing == Existing::Keep || name.collection == STORED_FUNCTIONS => {
                Ok(())
            }
            // What the oplog changes in it from now on is counted as of a collection that is not there.
            Err(Refused::Answer(error)) => {
                self.catalog.collections.remove(from);
                self.exceptions.push(format!("`{name}` is not restored: {}", error.message()));
                Ok(())
            }
            Err(refused) => {
                Err(Error::from(refused).context(format!("cannot create `{name}`, as the oplog says")))
            }
        }
    }

    async fn drop(&mut self, name: &Name) -> Result<()> {
        self.held.forget(name);
        let name = self.replay.scope.known_as(name);
        match name.collection.as_str() {
            STORED_FUNCTIONS => self.replay.target.empty_collection(&name).await,
            _ => self.replay.target.drop_collection(&name).await,
        }
    }

    /// What is left to be done, and what did not fit together: changes of what the backup does not hold, though it
    /// should.
    fn end(self) -> Left {
        let Replay { source, items, scope, .. } = self.replay;
        let mut exceptions = self.exceptions;
        for (name, changes) in &self.catalog.orphans {
            exceptions.push(format!(
                "{changes} changes of `{name}` in the oplog: the backup does not hold that collection"
            ));
        }
        for (name, updates) in self.unmatched.iter().filter(|(name, _)| !source.is_read_later(name)) {
            exceptions
                .push(format!("{updates} updates of `{name}` in the oplog found no document to change"));
        }
        if let (Source::Archive(_), Some(to), Some(last)) = (source, scope.window.to, self.last)
            && to.within(last) > last
        {
            let to = to.in_words();
            exceptions.push(format!("the archive's oplog ends at {last}, before {to}"));
        }
        let mut left = outcome::left(items, self.catalog, scope);
        exceptions.append(&mut left.exceptions);
        Left { exceptions, of_users: self.of_users, ..left }
    }
}

fn not_replayable(why: &str) -> Error {
    Error::new(Code::NotReplayable, format!("the oplog cannot be replayed: {why}")).help(help![
        "Choose an earlier moment with ",
        Setting::At,
        ", or leave out what is affected with ",
        Setting::Exclude,
        ", or take another backup.",
    ])
}

/// The collection that a command is about.
fn argument<'a>(part: &Operation<'a>) -> Result<&'a str> {
    part.command()?.1.as_str().ok_or_else(|| strange("a command names no collection"))
}

//! A look at the oplog before anything is touched: whether all of it can be replayed, and into what.

use std::collections::{BTreeMap, BTreeSet};

use super::scope::Scope;
use super::{argument, not_replayable};
use crate::deployment::{Privilege, Target};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::names::{Authorization, Name, STORED_FUNCTIONS, VIEWS};
use crate::oplog::entry::{Entry, Kind, Operation};
use crate::oplog::refuse::part_refusal;
use crate::oplog::rewrite::is_filled_in;
use crate::oplog::transactions::Transactions;
use crate::restore::settings::Existing;

/// What is met in the oplog.
#[derive(Debug, Default)]
pub(super) struct Met {
    created: BTreeSet<Name>,
    /// Commands are run as ordinary ones, and need the same.
    commands: BTreeSet<(&'static str, Name)>,
    changes: BTreeSet<(&'static str, Name)>,
    transactions: Transactions<()>,
}

impl Met {
    /// Takes an entry.
    ///
    /// # Errors
    /// [`Code::NotReplayable`] for one that cannot be replayed.
    pub(super) fn entry(&mut self, entry: &Entry<'_>, scope: &Scope<'_>) -> Result<()> {
        // What stands before the window are parts of transactions that may take effect in it.
        if scope.is_after(entry.ts) {
            return Ok(());
        }
        let effect = self.transactions.take(entry, Some(()));
        if scope.holds(entry.ts) {
            effect?;
        }
        entry.operation.parts()?.iter().try_for_each(|part| self.part(part, scope))
    }

    fn part(&mut self, part: &Operation<'_>, scope: &Scope<'_>) -> Result<()> {
        if !scope.touches(part)? {
            return Ok(());
        }
        if let Some(why) = part_refusal(part) {
            return Err(not_replayable(&why));
        }
        match part.kind {
            Kind::Noop | Kind::Unknown => {}
            Kind::Command => self.command(part)?,
            _ if part.collection == VIEWS => {}
            Kind::Insert => {
                self.change("insert", part);
                self.change("bypassDocumentValidation", part);
                if is_filled_in(part) {
                    self.change("remove", part);
                }
            }
            Kind::Update => self.change("update", part),
            Kind::Delete => self.change("remove", part),
        }
        Ok(())
    }

    fn change(&mut self, action: &'static str, part: &Operation<'_>) {
        self.changes.insert((action, part.name()));
    }

    fn command(&mut self, part: &Operation<'_>) -> Result<()> {
        let action = match part.command()?.0 {
            "create" => "createCollection",
            "drop" => "dropCollection",
            "collMod" => "collMod",
            _ => return Ok(()),
        };
        let name = Name::new(part.db, argument(part)?);
        if name.collection == VIEWS || Authorization::of(&name.db, &name.collection).is_some() {
            return Ok(());
        }
        if action == "createCollection" {
            self.created.insert(name.clone());
        }
        self.commands.insert((action, name));
        Ok(())
    }

    /// What commands need.
    pub(super) fn for_commands(&self, scope: &Scope<'_>) -> Vec<Privilege> {
        self.commands.iter().map(|(action, name)| Privilege::on(action, &scope.known_as(name))).collect()
    }

    /// What changes of documents need.
    pub(super) fn for_changes(&self, scope: &Scope<'_>) -> Vec<Privilege> {
        let changes = self.changes.iter();
        changes.filter_map(|(action, name)| Some(Privilege::on(action, &scope.data_to(name)?))).collect()
    }

    /// What the oplog creates and the backup does not hold must not stand in the target's way either.
    ///
    /// # Errors
    /// [`Code::TargetNotEmpty`].
    pub(super) async fn check_created(
        &self,
        scope: &Scope<'_>,
        planned: &BTreeSet<&Name>,
        target: &Target,
    ) -> Result<()> {
        if scope.settings.existing != Existing::Refuse {
            return Ok(());
        }
        let mut present = BTreeMap::new();
        for name in self.created.iter().map(|name| scope.known_as(name)) {
            if planned.contains(&name) || name.collection == STORED_FUNCTIONS {
                continue;
            }
            if !present.contains_key(&name.db) {
                present.insert(name.db.clone(), target.collections(&name.db).await?);
            }
            if present[&name.db].contains(&name.collection) {
                return Err(exists(&name));
            }
        }
        Ok(())
    }
}

fn exists(name: &Name) -> Error {
    Error::new(
        Code::TargetNotEmpty,
        format!("`{name}`, which was created while the backup was made, exists in the target"),
    )
    .help(help![
        "Restore into an empty deployment or under other names (",
        Setting::Rename,
        "), or pass ",
        Setting::Existing.to("drop"),
        " to replace it, or ",
        Setting::Existing.to("keep"),
        " to add to it.",
    ])
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, Timestamp, rawdoc};

    use super::*;
    use crate::moment::ClusterTime;
    use crate::renames::Renames;
    use crate::restore::replay::window::Window;
    use crate::restore::settings::Options;

    fn met(entries: Vec<RawDocumentBuf>) -> Result<(Vec<Privilege>, Vec<Privilege>)> {
        let renames = Renames::new(["shop.*=copy.*".to_owned()]).unwrap();
        let settings = Options { renames, ..Options::default() };
        let to = ClusterTime { seconds: 5, increment: 0 };
        let scope = Scope::new(Window { from: ClusterTime::default(), to: Some(to) }, &settings);
        let mut met = Met::default();
        for raw in entries {
            met.entry(&Entry::of(raw.as_bytes()).unwrap(), &scope)?;
        }
        Ok((met.for_commands(&scope), met.for_changes(&scope)))
    }

    fn entry(op: &str, ns: &str, o: RawDocumentBuf, seconds: u32) -> RawDocumentBuf {
        rawdoc! { "op": op, "ns": ns, "o": o, "ts": Timestamp { time: seconds, increment: 0 } }
    }

    #[test]
    fn what_is_replayed_needs_the_privileges_of_the_same_work_under_the_new_names() {
        let empty = Timestamp { time: 0, increment: 0 };
        let (commands, changes) = met(vec![
            entry("c", "shop.$cmd", rawdoc! { "create": "system.buckets.w" }, 1),
            entry("c", "shop.$cmd", rawdoc! { "createIndexes": "a" }, 1),
            entry("i", "shop.a", rawdoc! { "_id": 1, "at": empty }, 2),
            entry("i", "admin.system.users", rawdoc! { "_id": 1 }, 2),
            entry("d", "shop.later", rawdoc! { "_id": 1 }, 6),
        ])
        .unwrap();
        let on = |action, collection| Privilege::on(action, &Name::new("copy", collection));
        assert_eq!(commands, [on("createCollection", "w")]);
        let wanted = ["bypassDocumentValidation", "insert", "remove"].map(|action| on(action, "a"));
        assert!(wanted.iter().all(|privilege| changes.contains(privilege)), "{changes:?}");
        assert!(changes.contains(&Privilege::on_collection("insert", "admin", "tempusers")));
        assert_eq!(changes.len(), 5, "{changes:?}");
    }

    #[test]
    fn what_cannot_be_replayed_is_no_damage() {
        let rename = rawdoc! { "renameCollection": "shop.a", "to": "shop.b" };
        let error = met(vec![entry("c", "shop.$cmd", rename.clone(), 1)]).unwrap_err();
        assert_eq!(error.code(), Code::NotReplayable);
        assert!(error.message().contains("renamed to `shop.b`"), "{error}");
        met(vec![entry("c", "shop.$cmd", rename, 6)]).unwrap();
    }
}

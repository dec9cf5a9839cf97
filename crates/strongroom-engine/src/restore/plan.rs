//! What a restore will do, decided before anything is touched. Pure.

use std::collections::HashMap;

use super::item::{Action, Item};
use super::known::{self, Known};
use super::metadata::Metadata;
use super::present::Present;
use super::settings::{CollectionOptions, Existing, Indexes, Options, Users};
use super::{Source, expiry, views};
use crate::definition::Definition;
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::manifest::Namespace;
use crate::names::{Authorization, Name, NamespaceKind, is_created};
use crate::renames::{Renames, check_name, servers_own};

/// Collections and views of an archive that one restore creates.
const LISTED_MAX: usize = 100_000;

/// What is to be restored, and where it goes.
pub(super) struct Wanted<'a> {
    number: usize,
    namespace: &'a Namespace,
    from: Name,
    pub(super) to: Name,
    authorization: Option<Authorization>,
}

/// What the settings choose of a source.
///
/// # Errors
/// [`Code::Usage`] when they choose nothing, or names cannot be as asked.
pub(super) fn wanted<'a>(source: &'a Source, settings: &Options) -> Result<Vec<Wanted<'a>>> {
    let all = source.namespaces().iter().enumerate().filter(|(_, n)| n.kind != NamespaceKind::Oplog);
    let accepted = all.filter(|(_, n)| settings.filter.accepts(&n.db, &n.collection));
    let wanted: Vec<Wanted<'_>> = accepted
        .map(|(number, namespace)| Wanted {
            number,
            namespace,
            from: Name::new(&namespace.db, &namespace.collection),
            to: settings.renames.apply(&namespace.db, &namespace.collection),
            authorization: Authorization::of(&namespace.db, &namespace.collection),
        })
        .filter(|wanted| match (settings.indexes, settings.users) {
            (Indexes::Only, _) => {
                wanted.authorization.is_none() && wanted.namespace.kind != NamespaceKind::View
            }
            (_, Users::None) => wanted.authorization.is_none(),
            (_, Users::Only) => wanted.authorization.is_some(),
            (_, Users::Merge) => true,
        })
        .collect();
    if wanted.is_empty() && !settings.filter.is_everything() {
        return Err(nothing_matches(source.name()));
    }
    if matches!(source, Source::Archive(_)) {
        check_number(wanted.len())?;
    }
    check_names(&wanted, &settings.renames)?;
    Ok(wanted)
}

/// All collections are created before the first document comes, and what an archive lists need not be in it.
fn check_number(wanted: usize) -> Result<()> {
    if wanted <= LISTED_MAX {
        return Ok(());
    }
    let message = format!(
        "{wanted} collections of the archive are chosen, and at most {LISTED_MAX} are restored at once"
    );
    Err(Error::new(Code::Usage, message).help(help![
        "Restore it in parts, each of some databases or collections: choose them with ",
        Setting::Include,
        ". Nothing was touched."
    ]))
}

fn nothing_matches(source: &str) -> Error {
    Error::new(Code::Usage, format!("nothing in `{source}` matches the patterns")).help(help![
        "Change ",
        Setting::Include,
        " and ",
        Setting::Exclude,
        ": they are compared with database.collection."
    ])
}

/// Everything has a name of its own that a server takes, and every rule did something.
fn check_names(wanted: &[Wanted<'_>], renames: &Renames) -> Result<()> {
    let mut taken: HashMap<&Name, &Name> = HashMap::new();
    for Wanted { namespace, from, to, .. } in wanted.iter().filter(|wanted| wanted.authorization.is_none()) {
        if to != from {
            check_name(&Name::new(&to.db, namespace.kind.data_collection(&to.collection)))?;
            // What becomes buckets of a time-series has to be buckets.
            if !is_created(&to.db, &to.collection) && is_created(&from.db, &from.collection) {
                return Err(servers_own(to));
            }
        }
        if let Some(other) = taken.insert(to, from) {
            return Err(both_become(other, from, to));
        }
    }
    match renames.unused(wanted.iter().map(|wanted| &wanted.from)) {
        None => Ok(()),
        Some(rule) => Err(Error::new(Code::Usage, format!("the rule `{rule}` renames nothing")).help(help![
            "Of several ",
            Setting::Rename,
            " rules the first that matches decides; users, roles and `system.` collections keep their names. Nothing was touched."
        ])),
    }
}

fn both_become(one: &Name, other: &Name, to: &Name) -> Error {
    Error::new(Code::Usage, format!("`{one}` and `{other}` would both become `{to}`")).help(help![
        "Rename one of them to another name, or leave it out with ",
        Setting::Exclude,
        ". Nothing was touched."
    ])
}

/// What becomes of each, in a target that holds what is `present`.
///
/// # Errors
/// [`Code::Usage`] for a view that could not read what it reads; [`Code::Damaged`] for metadata that cannot be read.
pub(super) fn items(
    wanted: &[Wanted<'_>],
    source: &Source,
    present: &Present,
    settings: &Options,
) -> Result<Vec<Item>> {
    wanted.iter().map(|wanted| item(wanted, source, present, settings)).collect()
}

fn item(wanted: &Wanted<'_>, source: &Source, present: &Present, settings: &Options) -> Result<Item> {
    let Wanted { number, namespace, from, to, authorization } = wanted;
    let metadata = Metadata::of(namespace)?;
    let options = match namespace.kind {
        NamespaceKind::View => {
            views::rename(&metadata.options, from, &settings.renames).map_err(|read| elsewhere(to, &read))?
        }
        NamespaceKind::Collection if settings.collection_options == CollectionOptions::None => {
            Definition::default()
        }
        _ => expiry::without(&metadata.options),
    };
    let Known { definition: options, left_out } = known::options(namespace.kind, &from.collection, &options);
    let counted = |count| matches!(source, Source::Backup(_)).then_some(count);
    Ok(Item {
        number: *number,
        kind: namespace.kind,
        authorization: *authorization,
        action: action(from, *authorization, present.contains(to), settings),
        metadata,
        options,
        left_out,
        documents: counted(namespace.documents),
        bytes: counted(namespace.bytes),
        from: from.clone(),
        to: to.clone(),
    })
}

/// A view reads from its own database alone.
fn elsewhere(view: &Name, read: &Name) -> Error {
    let message = format!("the view `{view}` reads `{read}`, which would be in another database");
    Error::new(Code::Usage, message).help(help![
        "Rename both into the same database, or leave the view out with ",
        Setting::Exclude,
        ". Nothing was touched."
    ])
}

fn action(from: &Name, authorization: Option<Authorization>, exists: bool, settings: &Options) -> Action {
    match (authorization, settings.indexes, settings.existing) {
        (Some(Authorization::Version), ..) => Action::Skip,
        (Some(_), ..) => Action::Merge,
        _ if !is_created(&from.db, &from.collection) => Action::Skip,
        (None, Indexes::Only, _) if exists => Action::Index,
        (None, Indexes::Only, _) => Action::Missing,
        _ if !exists => Action::Create,
        (None, _, Existing::Refuse) => Action::Refuse,
        (None, _, Existing::Drop) => Action::Replace,
        (None, _, Existing::Keep) => Action::Add,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(name: (&str, &str), exists: bool, settings: &Options) -> Action {
        let authorization = Authorization::of(name.0, name.1);
        action(&Name::new(name.0, name.1), authorization, exists, settings)
    }

    #[test]
    fn what_exists_is_touched_only_as_the_settings_say() {
        let orders = ("shop", "orders");
        for (existing, expected) in [
            (Existing::Refuse, Action::Refuse),
            (Existing::Drop, Action::Replace),
            (Existing::Keep, Action::Add),
        ] {
            let settings = Options { existing, ..Options::default() };
            assert_eq!(decided(orders, true, &settings), expected);
            assert_eq!(decided(orders, false, &settings), Action::Create);
        }
        let only = Options { indexes: Indexes::Only, ..Options::default() };
        assert_eq!(decided(orders, true, &only), Action::Index);
        assert_eq!(decided(orders, false, &only), Action::Missing);
    }

    #[test]
    fn users_are_merged_and_what_the_target_has_itself_is_skipped() {
        let settings = Options { existing: Existing::Drop, ..Options::default() };
        for (name, expected) in [
            (("admin", "system.users"), Action::Merge),
            (("shop", "$admin.system.roles"), Action::Merge),
            (("admin", "system.version"), Action::Skip),
            (("config", "settings"), Action::Skip),
            (("shop", "system.profile"), Action::Skip),
            (("shop", "system.js"), Action::Replace),
        ] {
            assert_eq!(decided(name, true, &settings), expected, "{name:?}");
        }
    }
}

//! What there is before and after the oplog was replayed, in the terms of a restore. Pure.

use super::scope::Scope;
use crate::definition::Definition;
use crate::names::{Name, NamespaceKind};
use crate::oplog::catalog::{Catalog, Collection};
use crate::restore::item::Item;
use crate::restore::known;
use crate::restore::left::Left;
use crate::restore::metadata::Metadata;
use crate::restore::views::{self, View};

/// What the restore began with, by the names of the source.
pub(super) fn catalog(items: &[Item]) -> Catalog {
    let mut catalog = Catalog::default();
    for item in items {
        let Metadata { options, indexes, .. } = item.metadata.clone();
        let name = item.data_from();
        match item.kind {
            NamespaceKind::View => drop(catalog.views.insert(name, options)),
            _ => {
                let collection = Collection { options, indexes, ..Collection::default() };
                catalog.collections.insert(name, collection);
            }
        }
    }
    catalog
}

/// What is left to be done: indexes and views are those at the end of the window.
pub(super) fn left(items: &[Item], catalog: Catalog, scope: &Scope<'_>) -> Left {
    let mut left = Left::default();
    let mut catalog = catalog;
    for item in items {
        match item.kind {
            NamespaceKind::View => view_that_stayed(item, &mut catalog, &mut left),
            _ => collection_that_stayed(item, &mut catalog, &mut left, scope),
        }
    }
    for (name, collection) in catalog.collections {
        new_collection(&name, collection, &mut left, scope);
    }
    for (name, options) in catalog.views {
        new_view(&name, &options, &mut left, scope);
    }
    left
}

/// One that was changed is created as a new one.
fn view_that_stayed(item: &Item, catalog: &mut Catalog, left: &mut Left) {
    let name = item.data_from();
    if catalog.views.get(&name) == Some(&item.metadata.options) {
        catalog.views.remove(&name);
        left.view(item);
    }
}

fn collection_that_stayed(item: &Item, catalog: &mut Catalog, left: &mut Left, scope: &Scope<'_>) {
    let name = item.data_from();
    let Some(Collection { options, indexes, bucket_indexes }) = catalog.collections.remove(&name) else {
        return;
    };
    let search_indexes = item.metadata.search_indexes.clone();
    left.collection(item, &Metadata { options: options.clone(), indexes, search_indexes });
    on_buckets(&name, &Metadata { options, indexes: bucket_indexes, ..Metadata::default() }, left, scope);
}

fn new_collection(name: &Name, collection: Collection, left: &mut Left, scope: &Scope<'_>) {
    let Collection { options, indexes, bucket_indexes } = collection;
    let target = scope.known_as(name);
    left.build(&target, &Metadata { options: options.clone(), indexes, ..Metadata::default() }, false);
    left.created.push((target.clone(), options.clone()));
    left.names.insert(target);
    on_buckets(name, &Metadata { options, indexes: bucket_indexes, ..Metadata::default() }, left, scope);
}

/// Indexes of a time-series that the oplog specifies for its buckets.
fn on_buckets(name: &Name, metadata: &Metadata, left: &mut Left, scope: &Scope<'_>) {
    left.build(&scope.settings.renames.apply(&name.db, &name.collection), metadata, false);
}

fn new_view(name: &Name, options: &Definition, left: &mut Left, scope: &Scope<'_>) {
    let target = scope.settings.renames.apply(&name.db, &name.collection);
    match views::rename(options, name, &scope.settings.renames) {
        Ok(options) => {
            // A definition is a document that may hold anything.
            let options = known::options(NamespaceKind::View, &name.collection, &options).definition;
            left.names.insert(target.clone());
            left.views.push(View { name: target, options });
        }
        Err(read) => {
            left.exceptions.push(format!("the view `{target}` reads `{read}`, which is in another database"));
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::definition::tests::definition;
    use crate::moment::ClusterTime;
    use crate::renames::Renames;
    use crate::restore::item::Action;
    use crate::restore::item::tests::item;
    use crate::restore::replay::window::Window;
    use crate::restore::settings::Options;

    fn index(name: &str) -> Definition {
        definition(doc! { "key": { name: 1 }, "name": name })
    }

    fn left_by(items: &[Item], rules: &[&str], change: impl FnOnce(&mut Catalog)) -> Left {
        let renames = Renames::new(rules.iter().map(ToString::to_string)).unwrap();
        let settings = Options { renames, ..Options::default() };
        let window = Window { from: ClusterTime::default(), to: None };
        let mut catalog = catalog(items);
        change(&mut catalog);
        left(items, catalog, &Scope::new(window, &settings))
    }

    fn view(name: &str, on: &str) -> Item {
        let mut view = item(name, Action::Create);
        view.kind = NamespaceKind::View;
        view.metadata.options = definition(doc! { "viewOn": on, "pipeline": [] });
        view.options = view.metadata.options.clone();
        view
    }

    fn names(left: &Left) -> Vec<String> {
        left.names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_oplog_that_changes_nothing_leaves_what_the_backup_describes() {
        let mut a = item("shop.a", Action::Create);
        a.metadata.indexes = vec![index("x")];
        let mut series = item("shop.w", Action::Create);
        series.kind = NamespaceKind::Timeseries;
        let items = [a, series, item("admin.system.users", Action::Merge), view("shop.v", "a")];
        assert_eq!(left_by(&items, &[], |_| {}), Left::of(&items));
    }

    #[test]
    fn collections_are_those_at_the_end_of_the_window() {
        let items = [item("shop.a", Action::Create), item("shop.gone", Action::Create)];
        let left = left_by(&items, &["shop.*=copy.*"], |catalog| {
            catalog.collections.remove(&Name::new("shop", "gone"));
            let made = Collection {
                indexes: vec![index("x")],
                bucket_indexes: vec![index("y")],
                ..Collection::default()
            };
            catalog.collections.insert(Name::new("shop", "system.buckets.w"), made);
        });
        assert_eq!(names(&left), ["copy.w", "shop.a"]);
        let builds: Vec<String> = left.indexes.iter().map(|build| build.on.to_string()).collect();
        assert_eq!(builds, ["copy.w", "copy.system.buckets.w"]);
        assert_eq!(left.indexes[1].indexes, [index("y")]);
    }

    #[test]
    fn views_are_those_at_the_end_of_the_window() {
        let items = [view("shop.same", "a"), view("shop.changed", "a"), view("shop.gone", "a")];
        let left = left_by(&items, &["shop.new=copy.new"], |catalog| {
            catalog.views.remove(&Name::new("shop", "gone"));
            catalog.views.insert(Name::new("shop", "changed"), definition(doc! { "viewOn": "b" }));
            catalog.views.insert(Name::new("shop", "new"), definition(doc! { "viewOn": "a" }));
        });
        assert_eq!(names(&left), ["shop.changed", "shop.same"]);
        let changed =
            View { name: Name::new("shop", "changed"), options: definition(doc! { "viewOn": "b" }) };
        assert_eq!(left.views[1], changed);
        assert_eq!(left.exceptions, ["the view `copy.new` reads `shop.a`, which is in another database"]);
    }
}

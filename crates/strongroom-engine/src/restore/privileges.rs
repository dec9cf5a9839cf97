//! What a user needs for a restore. Pure.

use super::expiry;
use super::item::{Action, Item};
use super::users::Merging;
use crate::deployment::Privilege;
use crate::names::{NamespaceKind, STORED_FUNCTIONS};

/// Everything but what the oplog needs.
pub(super) fn needed(items: &[Item], builds_indexes: bool, merging: Option<&Merging>) -> Vec<Privilege> {
    let mut needed: Vec<Privilege> = items.iter().flat_map(|item| for_item(item, builds_indexes)).collect();
    needed.extend(merging.map(Merging::needed).unwrap_or_default());
    needed
}

fn for_item(item: &Item, builds_indexes: bool) -> Vec<Privilege> {
    let on = |action| Privilege::on(action, &item.to);
    let mut needed = match item.action {
        Action::Create => vec![on("createCollection")],
        Action::Replace if item.to.collection == STORED_FUNCTIONS => vec![on("remove")],
        Action::Replace => vec![on("dropCollection"), on("createCollection")],
        Action::Add | Action::Index => Vec::new(),
        Action::Merge | Action::Skip | Action::Refuse | Action::Missing => return Vec::new(),
    };
    if item.kind == NamespaceKind::View {
        return needed;
    }
    if let (true, Some(data)) = (item.action != Action::Index, item.data_to()) {
        needed.extend(["insert", "bypassDocumentValidation"].map(|action| Privilege::on(action, &data)));
    }
    if item.action.creates() && expiry::without(&item.metadata.options) != item.metadata.options {
        needed.push(on("collMod"));
    }
    if builds_indexes && !item.metadata.indexes_to_build().is_empty() {
        needed.push(on("createIndex"));
    }
    needed
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::super::item::tests::item;
    use super::*;
    use crate::definition::tests::definition;
    use crate::names::Name;

    fn on(action: &'static str, collection: &str) -> Privilege {
        Privilege::on(action, &Name::new("shop", collection))
    }

    #[test]
    fn each_action_needs_what_it_does() {
        let insert = |collection| [on("insert", collection), on("bypassDocumentValidation", collection)];
        let [create, replace, add] = [Action::Create, Action::Replace, Action::Add]
            .map(|action| needed(&[item("shop.a", action)], true, None));
        assert_eq!(create, [&[on("createCollection", "a")][..], &insert("a")].concat());
        assert_eq!(
            replace,
            [&[on("dropCollection", "a"), on("createCollection", "a")][..], &insert("a")].concat()
        );
        assert_eq!(add, insert("a"));
        let functions = needed(&[item("shop.system.js", Action::Replace)], true, None);
        assert_eq!(functions, [&[on("remove", "system.js")][..], &insert("system.js")].concat());
    }

    #[test]
    fn indexes_and_buckets_and_views_differ() {
        let mut series = item("shop.w", Action::Index);
        series.kind = NamespaceKind::Timeseries;
        series.metadata.indexes = vec![definition(doc! { "key": { "x": 1 }, "name": "x" })];
        assert_eq!(needed(std::slice::from_ref(&series), true, None), [on("createIndex", "w")]);
        assert!(needed(std::slice::from_ref(&series), false, None).is_empty());
        series.action = Action::Add;
        let buckets = needed(&[series], false, None);
        assert_eq!(buckets[0], on("insert", "system.buckets.w"));
        let mut view = item("shop.v", Action::Create);
        view.kind = NamespaceKind::View;
        assert_eq!(needed(&[view], true, None), [on("createCollection", "v")]);
    }

    #[test]
    fn merging_users_needs_the_right_to() {
        let users = [item("admin.system.users", Action::Merge)];
        let merging = Merging::of(&users, false);
        assert!(needed(&users, true, merging.as_ref()).contains(&Privilege::on_every_database("createUser")));
        assert!(needed(&users, true, None).is_empty());
    }
}

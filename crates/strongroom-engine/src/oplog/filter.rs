//! Which entries matter to a selection of namespaces.

use bson::RawBsonRef;

use super::entry::{Entry, Kind, Operation, Role, split, strange};
use crate::error::Result;
use crate::names::{VIEWS, is_replayed, known_as};

/// Stands for a whole database where the selection is asked about it.
const WHOLE: &str = "$cmd";

/// Whether any part of an entry is of a namespace that `accepts` says (by database and collection) is wanted.
///
/// A time-series' buckets count as the time-series, a view's definition as the view. What belongs to a transaction
/// of several entries is always wanted: its parts make sense only together. What a server keeps for itself never is.
///
/// # Errors
/// [`Code::Damaged`](crate::error::Code::Damaged) for entries that are not as MongoDB writes them.
pub(crate) fn touches(entry: &Entry<'_>, accepts: &dyn Fn(&str, &str) -> bool) -> Result<bool> {
    // The end of a transaction gathers its other parts, whatever it holds itself.
    if entry.role != Role::Alone {
        return Ok(true);
    }
    for part in entry.operation.parts()? {
        if part_touches(&part, accepts)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether one operation (no `applyOps`) is of a namespace that is wanted.
pub(crate) fn part_touches(part: &Operation<'_>, accepts: &dyn Fn(&str, &str) -> bool) -> Result<bool> {
    let wanted =
        |db: &str, collection: &str| is_replayed(db, collection) && accepts(db, known_as(collection));
    match part.kind {
        Kind::Noop => Ok(false),
        // What it is about is not certain either: nothing is known of the entry but that it is not known.
        Kind::Unknown => Ok(part.collection.is_empty() || wanted(part.db, part.collection)),
        Kind::Command => command_touches(part, &wanted),
        Kind::Insert | Kind::Update | Kind::Delete if part.collection == VIEWS => {
            let (db, view) = split(view_name(part)?);
            Ok(wanted(db, view))
        }
        Kind::Insert | Kind::Update | Kind::Delete => Ok(wanted(part.db, part.collection)),
    }
}

fn command_touches(part: &Operation<'_>, wanted: &dyn Fn(&str, &str) -> bool) -> Result<bool> {
    let (name, argument) = part.command()?;
    let RawBsonRef::String(argument) = argument else { return Ok(wanted(part.db, WHOLE)) };
    Ok(match name {
        "renameCollection" => {
            let to = part.o.get_str("to").map_err(|e| strange("a renaming goes nowhere").caused_by(e))?;
            [argument, to].iter().any(|ns| wanted(split(ns).0, split(ns).1))
        }
        "importCollection" => wanted(split(argument).0, split(argument).1),
        // It holds any view of the database, wanted or not.
        "create" | "drop" if argument == VIEWS => is_replayed(part.db, argument),
        _ => wanted(part.db, argument),
    })
}

/// The full name of the view that a change of `system.views` is about.
pub(crate) fn view_name<'a>(part: &Operation<'a>) -> Result<&'a str> {
    let named = if part.kind == Kind::Update { part.o2.unwrap_or(part.o) } else { part.o };
    named.get_str("_id").map_err(|e| strange("a view has no name").caused_by(e))
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, Timestamp, rawdoc};
    use proptest::prelude::*;

    use super::*;

    fn touched(part: RawDocumentBuf, wanted: &str) -> bool {
        let mut raw = part;
        raw.append(bson::raw::cstr!("ts"), Timestamp { time: 1, increment: 1 });
        let entry = Entry::of(raw.as_bytes()).unwrap();
        touches(&entry, &|db, collection| format!("{db}.{collection}") == wanted).unwrap()
    }

    fn change(op: &str, ns: &str, o: RawDocumentBuf) -> RawDocumentBuf {
        rawdoc! { "op": op, "ns": ns, "o": o }
    }

    #[test]
    fn changes_and_commands_are_of_their_collection() {
        assert!(touched(change("i", "shop.a", rawdoc! { "_id": 1 }), "shop.a"));
        assert!(!touched(change("i", "shop.a", rawdoc! { "_id": 1 }), "shop.b"));
        for command in ["create", "drop", "createIndexes", "commitIndexBuild", "dropIndexes", "collMod"] {
            let mut o = RawDocumentBuf::new();
            o.append(<&bson::raw::CStr>::try_from(command).unwrap(), "a");
            assert!(touched(change("c", "shop.$cmd", o.clone()), "shop.a"), "{command}");
            assert!(!touched(change("c", "shop.$cmd", o), "shop.b"), "{command}");
        }
        let rename = || change("c", "shop.$cmd", rawdoc! { "renameCollection": "shop.a", "to": "other.b" });
        assert!(touched(rename(), "shop.a") && touched(rename(), "other.b") && !touched(rename(), "shop.b"));
        assert!(touched(change("c", "shop.$cmd", rawdoc! { "dropDatabase": 1 }), "shop.$cmd"));
    }

    #[test]
    fn buckets_and_definitions_are_of_what_they_belong_to() {
        assert!(touched(change("i", "shop.system.buckets.w", rawdoc! { "_id": 1 }), "shop.w"));
        assert!(touched(change("c", "shop.$cmd", rawdoc! { "create": "system.buckets.w" }), "shop.w"));
        assert!(touched(change("i", "shop.system.views", rawdoc! { "_id": "shop.v" }), "shop.v"));
        let mut update = change("u", "shop.system.views", rawdoc! { "$v": 2, "diff": {} });
        update.append(bson::raw::cstr!("o2"), rawdoc! { "_id": "shop.v" });
        assert!(touched(update, "shop.v"));
    }

    #[test]
    fn nested_operations_count() {
        let list = bson::RawArrayBuf::from_iter([
            change("i", "shop.b", rawdoc! { "_id": 1 }),
            change("c", "admin.$cmd", rawdoc! { "applyOps": [change("d", "shop.a", rawdoc! { "_id": 1 })] }),
        ]);
        let entry = || change("c", "admin.$cmd", rawdoc! { "applyOps": list.clone() });
        assert!(touched(entry(), "shop.a") && touched(entry(), "shop.b") && !touched(entry(), "shop.c"));
    }

    #[test]
    fn what_ends_a_transaction_is_always_wanted() {
        for o in [
            rawdoc! { "commitTransaction": 1 },
            rawdoc! { "abortTransaction": 1 },
            rawdoc! { "applyOps": [], "partialTxn": true },
        ] {
            let mut entry = change("c", "admin.$cmd", o);
            entry.append(bson::raw::cstr!("lsid"), rawdoc! { "id": 1 });
            entry.append(bson::raw::cstr!("txnNumber"), 1_i64);
            assert!(touched(entry, "shop.a"));
        }
    }

    proptest! {
        #[test]
        fn what_a_server_keeps_for_itself_never_counts(
            ns in prop_oneof!["(local|config)[.][a-z.]{1,9}", Just("admin.system.keys".to_owned()), Just("shop.system.profile".to_owned())],
            op in "[iudn]",
        ) {
            let mut raw = change(&op, &ns, rawdoc! { "_id": 1 });
            raw.append(bson::raw::cstr!("ts"), Timestamp { time: 1, increment: 1 });
            prop_assert!(!touches(&Entry::of(raw.as_bytes()).unwrap(), &|_, _| true).unwrap());
        }
    }
}

//! Entries that cannot be replayed: better said while the backup is made than found out by the restore.

use bson::RawBsonRef;

use super::entry::{Entry, Kind, Operation};

/// Why an entry cannot be replayed, nested operations included; none if it can.
///
/// It says nothing about whether the entry matters: ask [`touches`](super::filter::touches) first.
#[must_use]
pub(crate) fn refusal(entry: &Entry<'_>) -> Option<String> {
    match entry.operation.parts() {
        Ok(parts) => parts.iter().find_map(part_refusal),
        Err(error) => Some(error.to_string()),
    }
}

/// Why one operation (no `applyOps`) cannot be replayed.
pub(crate) fn part_refusal(part: &Operation<'_>) -> Option<String> {
    match part.kind {
        Kind::Noop => None,
        Kind::Unknown => {
            let (op, db, collection) = (part.op.escape_debug(), part.db, part.collection);
            Some(format!("entries of the kind `{op}` (of `{db}.{collection}`) are not known to this version"))
        }
        Kind::Command => command_refusal(part),
        Kind::Insert | Kind::Update | Kind::Delete => change_refusal(part),
    }
}

/// The documents of `admin.system.version` say how a server stores things.
fn change_refusal(part: &Operation<'_>) -> Option<String> {
    if (part.db, part.collection) != ("admin", "system.version") {
        return None;
    }
    let named = if part.kind == Kind::Update { part.o2.unwrap_or(part.o) } else { part.o };
    Some(match named.get_str("_id") {
        Ok("authSchema") => "the schema of users and roles was changed".into(),
        Ok("featureCompatibilityVersion") => "the feature compatibility version was changed".into(),
        _ => "`admin.system.version` was changed".into(),
    })
}

/// What is not known to be replayable is refused: a newer server may log commands that nobody has heard of.
fn command_refusal(part: &Operation<'_>) -> Option<String> {
    let (name, argument) = match part.command() {
        Ok(command) => command,
        Err(error) => return Some(error.to_string()),
    };
    let what = match argument {
        RawBsonRef::String(collection) if collection.starts_with(part.db) => format!("`{collection}`"),
        RawBsonRef::String(collection) => format!("`{}.{collection}`", part.db),
        _ => format!("database `{}`", part.db),
    };
    match name {
        "create" | "drop" | "dropDatabase" | "createIndexes" | "startIndexBuild" | "commitIndexBuild"
        | "abortIndexBuild" | "dropIndexes" | "deleteIndexes" | "dropIndex" | "collMod"
        | "commitTransaction" | "abortTransaction" | "dbCheck" => None,
        // What a server does about its own files, since 8.3.
        "dropIdent" | "setMultikeyMetadata" => None,
        "renameCollection" => {
            let to = part.o.get_str("to").unwrap_or("something else");
            Some(format!("{what} was renamed to `{to}` (an aggregation with `$out` does that too)"))
        }
        "convertToCapped" | "emptycapped" => Some(format!("{what} was converted or emptied by `{name}`")),
        "importCollection" => Some(format!("{what} was imported as files")),
        "upgradeDowngradeViewlessTimeseries" => {
            Some(format!("the time-series {what} was converted to another layout by `{name}`"))
        }
        name => Some(format!("`{name}` was run on {what}, which cannot be replayed")),
    }
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, Timestamp, rawdoc};

    use super::*;

    fn why(ns: &str, o: RawDocumentBuf) -> Option<String> {
        let op = if ns.ends_with("$cmd") { "c" } else { "u" };
        let raw = rawdoc! { "op": op, "ns": ns, "o": o, "ts": Timestamp { time: 1, increment: 1 } };
        refusal(&Entry::of(raw.as_bytes()).unwrap())
    }

    #[test]
    fn what_can_be_replayed_is_not_refused() {
        for o in [
            rawdoc! { "create": "a" },
            rawdoc! { "drop": "a" },
            rawdoc! { "dropDatabase": 1 },
            rawdoc! { "startIndexBuild": "a" },
            rawdoc! { "dropIndexes": "a" },
            rawdoc! { "collMod": "a" },
            rawdoc! { "commitTransaction": 1 },
            rawdoc! { "dropIdent": "collection-7-123" },
            rawdoc! { "setMultikeyMetadata": "a", "indexName": "x_1" },
        ] {
            assert_eq!(why("shop.$cmd", o), None);
        }
        assert_eq!(why("shop.orders", rawdoc! { "_id": 1 }), None);
    }

    #[test]
    fn what_cannot_says_what_was_done_to_what() {
        let rename = || rawdoc! { "renameCollection": "shop.a", "to": "shop.b" };
        let reason = why("shop.$cmd", rename()).unwrap();
        assert!(reason.starts_with("`shop.a` was renamed to `shop.b`"), "{reason}");
        let nested = rawdoc! { "applyOps": [{ "op": "c", "ns": "shop.$cmd", "o": rename() }] };
        assert_eq!(why("admin.$cmd", nested).unwrap(), reason);
        for (o, word) in [
            (rawdoc! { "importCollection": "shop.a" }, "imported"),
            (rawdoc! { "convertToCapped": "a" }, "`shop.a`"),
            (rawdoc! { "upgradeDowngradeViewlessTimeseries": "a" }, "`upgradeDowngradeViewlessTimeseries`"),
            (rawdoc! { "somethingNew": "a" }, "`somethingNew`"),
            (rawdoc! { "applyOps": 1 }, "no array"),
        ] {
            let reason = why("shop.$cmd", o).unwrap();
            assert!(reason.contains(word), "{reason}");
        }
        let ts = Timestamp { time: 1, increment: 1 };
        let unknown = rawdoc! { "op": "zz", "ns": "shop.a", "ts": ts };
        assert!(refusal(&Entry::of(unknown.as_bytes()).unwrap()).unwrap().contains("kind `zz`"));
        assert!(why("admin.system.version", rawdoc! { "_id": "authSchema" }).unwrap().contains("users"));
        let version = rawdoc! { "_id": "featureCompatibilityVersion" };
        assert!(why("admin.system.version", version).unwrap().contains("compatibility"));
    }
}

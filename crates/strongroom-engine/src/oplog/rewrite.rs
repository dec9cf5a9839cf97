//! Operations in the form in which `applyOps` takes them.

use bson::raw::cstr;
use bson::{RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::entry::{Kind, Operation, strange};
use crate::error::Result;
use crate::names::Name;
use crate::timestamps;

/// Writes an insert, update or delete as `applyOps` takes it, for the collection `name` of the target.
///
/// What only the source knows (collection UUIDs, sessions, retry images, migration marks) is left out. A document with
/// an empty timestamp is inserted where there is none of its `_id`: replacing one, a server fills in the timestamp.
///
/// # Errors
/// [`Code::Damaged`](crate::error::Code::Damaged) for documents that cannot be read.
pub(crate) fn rewrite(part: &Operation<'_>, name: &Name) -> Result<Vec<RawDocumentBuf>> {
    let op = match part.kind {
        Kind::Insert => "i",
        Kind::Update => "u",
        Kind::Delete => "d",
        Kind::Command | Kind::Noop | Kind::Unknown => {
            return Err(strange("a command stands where a change should"));
        }
    };
    let ns = name.to_string();
    let mut written = rawdoc! { "op": op, "ns": ns.as_str() };
    let old_form = part.kind == Kind::Update && is_versioned_as_1(part.o)?;
    if old_form {
        written.append(cstr!("o"), without_version(part.o)?);
    } else {
        written.append(cstr!("o"), part.o);
    }
    if let (Kind::Update, Some(o2)) = (part.kind, part.o2) {
        written.append(cstr!("o2"), o2);
    }
    let id = timestamps::id(part.o.as_bytes()).filter(|_| is_filled_in(part));
    let before = id.map(|id| delete(&ns, id)).transpose()?;
    Ok(before.into_iter().chain([written]).collect())
}

/// Whether the server would fill in an empty timestamp of what is inserted, so that a delete comes before it.
pub(crate) fn is_filled_in(part: &Operation<'_>) -> bool {
    part.kind == Kind::Insert && timestamps::has_empty(part.o.as_bytes())
}

/// `{$v: 1, $set: …}` is how servers before 5.0 write changes; `applyOps` takes it without the version.
fn is_versioned_as_1(o: &RawDocument) -> Result<bool> {
    let version = o.get("$v").map_err(|e| strange("a change cannot be read").caused_by(e))?;
    Ok(matches!(version, Some(RawBsonRef::Int32(1) | RawBsonRef::Int64(1))))
}

fn without_version(o: &RawDocument) -> Result<RawDocumentBuf> {
    let mut kept = RawDocumentBuf::new();
    for element in o.iter_elements() {
        let element = element.map_err(|e| strange("a change is cut off").caused_by(e))?;
        if element.key().as_str() != "$v" {
            let value = element.value().map_err(|e| strange("a change cannot be read").caused_by(e))?;
            kept.append(element.key(), value);
        }
    }
    Ok(kept)
}

/// The delete of what has this `_id`, given as type, name and value.
fn delete(ns: &str, id: &[u8]) -> Result<RawDocumentBuf> {
    let length = (4 + id.len() + 1) as u32;
    let o = RawDocumentBuf::from_bytes([&length.to_le_bytes(), id, &[0]].concat());
    let o = o.map_err(|e| strange("an `_id` cannot be read").caused_by(e))?;
    Ok(rawdoc! { "op": "d", "ns": ns, "o": o })
}

#[cfg(test)]
mod tests {
    use bson::{Document, Timestamp, doc};

    use super::super::entry::Entry;
    use super::*;

    fn rewritten(op: &str, o: RawDocumentBuf, o2: RawDocumentBuf) -> Vec<Document> {
        let raw = rawdoc! {
            "op": op, "ns": "shop.a", "ui": 7, "o": o, "o2": o2, "ts": Timestamp { time: 1, increment: 1 },
            "fromMigrate": true, "needsRetryImage": "preImage", "stmtId": 0, "v": 2_i64, "t": 1_i64,
        };
        let operation = Entry::of(raw.as_bytes()).unwrap().operation;
        let written = rewrite(&operation, &Name::new("copy", "b")).unwrap();
        written.iter().map(|raw| Document::try_from(raw.as_ref()).unwrap()).collect()
    }

    #[test]
    fn what_only_the_source_knows_is_left_out() {
        let inserted = rewritten("i", rawdoc! { "_id": 1, "x": 2 }, rawdoc! { "_id": 1 });
        assert_eq!(inserted, [doc! { "op": "i", "ns": "copy.b", "o": { "_id": 1, "x": 2 } }]);
        let deleted = rewritten("d", rawdoc! { "_id": 1 }, rawdoc! {});
        assert_eq!(deleted, [doc! { "op": "d", "ns": "copy.b", "o": { "_id": 1 } }]);
        let diff = || rawdoc! { "$v": 2, "diff": { "u": { "x": 1 } } };
        let expected = doc! { "op": "u", "ns": "copy.b", "o": { "$v": 2, "diff": { "u": { "x": 1 } } }, "o2": { "_id": 1 } };
        assert_eq!(rewritten("u", diff(), rawdoc! { "_id": 1 }), [expected]);
    }

    /// Servers from 8.0 on write changes of compressed buckets as differences of bytes (`b`), and from 8.3 on the
    /// record's id beside them (`rid`).
    #[test]
    fn differences_of_compressed_buckets_pass_as_they_are() {
        let bytes = bson::Binary { subtype: bson::spec::BinarySubtype::Column, bytes: vec![1, 2, 255] };
        let diff = rawdoc! { "$v": 2, "diff": { "scontrol": { "u": { "version": 3 } }, "sdata": { "b": { "t": { "o": 7, "d": bytes } } } } };
        let entry = rawdoc! {
            "op": "u", "ns": "shop.system.buckets.w", "o": diff.clone(), "o2": { "_id": 1 }, "rid": 9_i64,
            "ts": Timestamp { time: 1, increment: 1 },
        };
        let operation = Entry::of(entry.as_bytes()).unwrap().operation;
        let written = rewrite(&operation, &Name::new("copy", "system.buckets.w")).unwrap();
        assert_eq!((written.len(), written[0].get("rid").unwrap()), (1, None));
        assert_eq!(written[0].get_document("o").unwrap().as_bytes(), diff.as_bytes());
    }

    #[test]
    fn old_changes_lose_their_version() {
        let old = rewritten("u", rawdoc! { "$v": 1, "$set": { "x": 1 } }, rawdoc! { "_id": 1 });
        assert_eq!(old[0].get_document("o").unwrap(), &doc! { "$set": { "x": 1 } });
    }

    #[test]
    fn what_has_empty_timestamps_replaces_nothing() {
        let at = timestamps::EMPTY_TIMESTAMP;
        let document = rawdoc! { "_id": 1, "at": at, "at": at };
        let written = rewritten("i", document, rawdoc! { "_id": 1 });
        assert_eq!(written[0], doc! { "op": "d", "ns": "copy.b", "o": { "_id": 1 } });
        assert_eq!(written[1].get_str("op").unwrap(), "i");
        let inner = rawdoc! { "_id": 1, "in": { "at": at } };
        assert_eq!(
            rewritten("i", inner, rawdoc! { "_id": 1 }).len(),
            1,
            "only those at the top are filled in"
        );
    }
}

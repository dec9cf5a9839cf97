//! One entry of `local.oplog.rs`, over its bytes: only what is needed is looked at.
//!
//! The format is the server's own (`src/mongo/db/repl/oplog_entry.idl`); what stands here was read off the
//! entries of MongoDB 6.0 and the sources of 4.4 to 8.0.

use bson::raw::RawElement;
use bson::{RawBsonRef, RawDocument};

use crate::error::{Code, Error, Result};
use crate::moment::ClusterTime;
use crate::names::Name;

/// The deepest nesting of `applyOps` that is looked into: the server's own limit.
const DEPTH_MAX: u32 = 10;

/// What servers note for themselves, and every restore leaves out, as mongorestore does: `km`, `ki`, `kd` are about
/// sharded key ranges; `ci`, `cu`, `cd` (8.3 and later) about containers, such as the tables of indexes and of
/// replicated record ids, which the target fills by itself.
const INTERNAL: [&str; 6] = ["km", "ki", "kd", "ci", "cu", "cd"];

/// An entry: when, and what.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    /// Its place in the oplog.
    pub ts: ClusterTime,
    /// What was done.
    pub operation: Operation<'a>,
    /// What it is to a transaction.
    pub role: Role<'a>,
}

/// What was done, by itself or as a part of an `applyOps`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    /// What kind of thing.
    pub kind: Kind,
    /// The same as the entry spells it.
    pub op: &'a str,
    /// The database.
    pub db: &'a str,
    /// The collection, `$cmd` for a command; empty where there is none.
    pub collection: &'a str,
    /// The document, the change or the command.
    pub o: &'a RawDocument,
    /// Which document is changed, or more about a command.
    pub o2: Option<&'a RawDocument>,
}

/// The kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `i`: a document was inserted.
    Insert,
    /// `u`: a document was changed.
    Update,
    /// `d`: a document was deleted.
    Delete,
    /// `c`: a command.
    Command,
    /// `n` and others: nothing that changes data.
    Noop,
    /// Something that this version does not know.
    Unknown,
}

/// What an entry is to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role<'a> {
    /// It takes effect by itself, as a transaction of a single entry does.
    Alone,
    /// A part of a transaction that goes on in a later entry.
    Part(Transaction<'a>),
    /// The last of several parts: the transaction takes effect here.
    Last(Transaction<'a>),
    /// The last part of a transaction that takes effect when it is committed.
    Prepared(Transaction<'a>),
    /// A prepared transaction takes effect here.
    Commit(Transaction<'a>),
    /// A transaction is given up.
    Abort(Transaction<'a>),
}

/// Which transaction: a session and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Transaction<'a> {
    /// The session's id as the bytes of its document.
    pub session: &'a [u8],
    /// Counts up within the session.
    pub number: i64,
    /// Whether parts of it stand in earlier entries.
    pub continues: bool,
}

/// The fields of an entry that are looked at.
#[derive(Default)]
struct Fields<'a> {
    ts: Option<ClusterTime>,
    op: Option<&'a str>,
    ns: Option<&'a str>,
    o: Option<&'a RawDocument>,
    o2: Option<&'a RawDocument>,
    session: Option<&'a [u8]>,
    number: Option<i64>,
    continues: bool,
    separately: bool,
}

impl Role<'_> {
    /// Whether the entry is needed later: when the transaction that it is a part of takes effect.
    #[must_use]
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::Part(_) | Self::Prepared(_) | Self::Last(_))
    }
}

impl<'a> Entry<'a> {
    /// Understands an entry.
    ///
    /// # Errors
    /// [`Code::Damaged`] for bytes that are no oplog entry.
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self> {
        let document =
            RawDocument::from_bytes(bytes).map_err(|e| strange("it is no document").caused_by(e))?;
        let fields = Fields::of(document)?;
        let ts = fields.ts.ok_or_else(|| strange("it has no `ts`"))?;
        let operation = fields.operation()?;
        let role = fields.role(&operation)?;
        Ok(Self { ts, operation, role })
    }
}

impl<'a> Fields<'a> {
    fn of(document: &'a RawDocument) -> Result<Self> {
        let mut fields = Self::default();
        for element in document.iter_elements() {
            let element = element.map_err(|e| strange("it is cut off").caused_by(e))?;
            fields.take(&element)?;
        }
        Ok(fields)
    }

    fn take(&mut self, element: &RawElement<'a>) -> Result<()> {
        let key = element.key().as_str();
        match key {
            "ts" | "op" | "ns" | "o" | "o2" | "lsid" | "txnNumber" | "prevOpTime" | "multiOpType" => {}
            _ => return Ok(()),
        }
        let value = value_of(element)?;
        match (key, value) {
            ("ts", RawBsonRef::Timestamp(ts)) => {
                self.ts = Some(ts.into());
            }
            ("op", RawBsonRef::String(op)) => self.op = Some(op),
            ("ns", RawBsonRef::String(ns)) => self.ns = Some(ns),
            ("o", RawBsonRef::Document(o)) => self.o = Some(o),
            ("o2", RawBsonRef::Document(o2)) => self.o2 = Some(o2),
            ("lsid", RawBsonRef::Document(lsid)) => self.session = Some(lsid.as_bytes()),
            ("txnNumber", RawBsonRef::Int64(number)) => self.number = Some(number),
            ("prevOpTime", RawBsonRef::Document(before)) => self.continues = is_a_moment(before)?,
            // 1: the parts are applied one by one (inserts of one batch), this is no transaction.
            ("multiOpType", kind) => self.separately = matches!(whole(kind), Some(1)),
            (name, _) => return Err(strange(format!("its `{name}` is of the wrong type"))),
        }
        Ok(())
    }

    fn operation(&self) -> Result<Operation<'a>> {
        let op = self.op.ok_or_else(|| strange("it has no `op`"))?;
        let kind = match op {
            "i" => Kind::Insert,
            "u" => Kind::Update,
            "d" => Kind::Delete,
            "c" => Kind::Command,
            "n" => Kind::Noop,
            op if INTERNAL.contains(&op) => Kind::Noop,
            _ => Kind::Unknown,
        };
        let changes = matches!(kind, Kind::Insert | Kind::Update | Kind::Delete | Kind::Command);
        let (db, collection) = match self.ns {
            Some(ns) => split(ns),
            None if changes => return Err(strange("it has no `ns`")),
            None => ("", ""),
        };
        if collection.is_empty() && changes {
            return Err(strange("its `ns` is no namespace"));
        }
        let o = match self.o {
            Some(o) => o,
            None if changes => return Err(strange("it has no `o`")),
            None => nothing()?,
        };
        Ok(Operation { kind, op, db, collection, o, o2: self.o2 })
    }

    fn role(&self, operation: &Operation<'a>) -> Result<Role<'a>> {
        if operation.kind != Kind::Command || self.separately {
            return Ok(Role::Alone);
        }
        let (Some(session), Some(number)) = (self.session, self.number) else { return Ok(Role::Alone) };
        let transaction = Transaction { session, number, continues: self.continues };
        Ok(match operation.command()?.0 {
            "applyOps" if flag(operation.o, "partialTxn")? => Role::Part(transaction),
            "applyOps" if flag(operation.o, "prepare")? => Role::Prepared(transaction),
            "applyOps" if self.continues => Role::Last(transaction),
            "commitTransaction" => Role::Commit(transaction),
            "abortTransaction" => Role::Abort(transaction),
            _ => Role::Alone,
        })
    }
}

impl<'a> Operation<'a> {
    /// What it changes.
    #[must_use]
    pub(crate) fn name(&self) -> Name {
        Name::new(self.db, self.collection)
    }

    /// A command's name and argument: the first field of `o`.
    ///
    /// # Errors
    /// [`Code::Damaged`] when there is none.
    pub(crate) fn command(&self) -> Result<(&'a str, RawBsonRef<'a>)> {
        let first = self.o.iter_elements().next().ok_or_else(|| strange("it holds an empty command"))?;
        let first = first.map_err(|e| strange("its command is cut off").caused_by(e))?;
        Ok((first.key().as_str(), value_of(&first)?))
    }

    /// The operations that this one consists of: itself, or those of an `applyOps`, to any depth.
    ///
    /// # Errors
    /// [`Code::Damaged`] when what is nested are no operations, or too deep.
    pub(crate) fn parts(self) -> Result<Vec<Self>> {
        let mut parts = Vec::new();
        self.gather(0, &mut parts)?;
        Ok(parts)
    }

    fn gather(self, depth: u32, parts: &mut Vec<Self>) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(strange("`applyOps` is nested too deeply in it"));
        }
        let list = match self.kind {
            Kind::Command => match self.command()? {
                ("applyOps", list) => list,
                _ => return push(parts, self),
            },
            _ => return push(parts, self),
        };
        let list = list.as_array().ok_or_else(|| strange("its `applyOps` is no array"))?;
        for part in list {
            let part = part.map_err(|e| strange("its `applyOps` is cut off").caused_by(e))?;
            let part = part.as_document().ok_or_else(|| strange("its `applyOps` holds no operation"))?;
            Fields::of(part)?.operation()?.gather(depth + 1, parts)?;
        }
        Ok(())
    }
}

/// A document without fields.
fn nothing() -> Result<&'static RawDocument> {
    RawDocument::from_bytes(&[5, 0, 0, 0, 0]).map_err(|e| strange("it has no `o`").caused_by(e))
}

fn push<'a>(parts: &mut Vec<Operation<'a>>, part: Operation<'a>) -> Result<()> {
    parts.push(part);
    Ok(())
}

/// `db.collection` in two; a database's name holds no dot.
pub(crate) fn split(ns: &str) -> (&str, &str) {
    ns.split_once('.').unwrap_or((ns, ""))
}

fn value_of<'a>(element: &RawElement<'a>) -> Result<RawBsonRef<'a>> {
    element
        .value()
        .map_err(|e| strange(format!("its `{}` cannot be read", element.key().as_str())).caused_by(e))
}

/// A flag in a document; what is not there is not set.
fn flag(document: &RawDocument, name: &str) -> Result<bool> {
    match document.get(name).map_err(|e| strange(format!("its `{name}` cannot be read")).caused_by(e))? {
        Some(RawBsonRef::Boolean(set)) => Ok(set),
        _ => Ok(false),
    }
}

/// `prevOpTime` points to nothing as `{ts: Timestamp(0, 0), t: -1}`.
fn is_a_moment(before: &RawDocument) -> Result<bool> {
    match before.get("ts").map_err(|e| strange("its `prevOpTime` cannot be read").caused_by(e))? {
        Some(RawBsonRef::Timestamp(ts)) => Ok((ts.time, ts.increment) != (0, 0)),
        _ => Ok(false),
    }
}

fn whole(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(number) => Some(number.into()),
        RawBsonRef::Int64(number) => Some(number),
        _ => None,
    }
}

/// What is strange about an entry.
pub(crate) fn strange(what: impl std::fmt::Display) -> Error {
    Error::new(Code::Damaged, format!("an oplog entry is not as MongoDB writes them: {what}"))
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, Timestamp, rawdoc};
    use proptest::prelude::*;

    use super::*;

    fn command(o: RawDocumentBuf, more: &RawDocumentBuf) -> RawDocumentBuf {
        let mut entry = rawdoc! {
            "op": "c", "ns": "admin.$cmd", "o": o, "ts": Timestamp { time: 7, increment: 2 }, "lsid": { "id": 1 },
            "txnNumber": 4_i64,
        };
        for element in more.iter_elements() {
            let element = element.unwrap();
            entry.append(element.key(), bson::RawBson::from(element.value().unwrap()));
        }
        entry
    }

    #[test]
    fn understands_a_change_and_splits_its_namespace_at_the_first_dot() {
        let raw = rawdoc! {
            "op": "u", "ns": "shop.or.ders", "ui": 5, "o": { "$v": 2, "diff": {} }, "o2": { "_id": 1 },
            "ts": Timestamp { time: 7, increment: 2 }, "lsid": { "id": 1 }, "txnNumber": 4_i64,
        };
        let entry = Entry::of(raw.as_bytes()).unwrap();
        assert_eq!(entry.ts, ClusterTime { seconds: 7, increment: 2 });
        let Operation { kind, db, collection, o2, .. } = entry.operation;
        assert_eq!((kind, db, collection), (Kind::Update, "shop", "or.ders"));
        assert_eq!(o2.unwrap().get_i32("_id").unwrap(), 1);
        // A retryable write has a session and a number too.
        assert_eq!(entry.role, Role::Alone);
    }

    #[test]
    fn tells_what_an_entry_is_to_a_transaction() {
        let role = |o, more| {
            let raw = command(o, &more);
            format!("{:?}", Entry::of(raw.as_bytes()).unwrap().role)
        };
        let first = rawdoc! { "prevOpTime": { "ts": Timestamp { time: 0, increment: 0 }, "t": -1_i64 } };
        let later = rawdoc! { "prevOpTime": { "ts": Timestamp { time: 7, increment: 1 }, "t": 1_i64 } };
        let part = role(rawdoc! { "applyOps": [], "partialTxn": true }, first.clone());
        assert!(part.starts_with("Part") && part.contains("continues: false"), "{part}");
        let last = role(rawdoc! { "applyOps": [], "count": 2_i64 }, later.clone());
        assert!(last.starts_with("Last") && last.contains("continues: true"), "{last}");
        assert_eq!(role(rawdoc! { "applyOps": [] }, first.clone()), "Alone");
        assert!(role(rawdoc! { "applyOps": [], "prepare": true }, first).starts_with("Prepared"));
        assert!(role(rawdoc! { "commitTransaction": 1 }, later.clone()).starts_with("Commit"));
        assert!(role(rawdoc! { "abortTransaction": 1 }, later).starts_with("Abort"));
        assert_eq!(role(rawdoc! { "applyOps": [] }, rawdoc! { "multiOpType": 1 }), "Alone");
        assert_eq!(role(rawdoc! { "create": "a" }, rawdoc! {}), "Alone");
    }

    #[test]
    fn takes_nested_operations_apart() {
        let inner = rawdoc! { "op": "i", "ns": "shop.a", "o": { "_id": 1 } };
        let nested =
            rawdoc! { "op": "c", "ns": "admin.$cmd", "o": { "applyOps": [inner.clone(), inner.clone()] } };
        let raw = command(rawdoc! { "applyOps": [inner, nested] }, &rawdoc! {});
        let parts = Entry::of(raw.as_bytes()).unwrap().operation.parts().unwrap();
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| (part.kind, part.collection) == (Kind::Insert, "a")));
    }

    #[test]
    fn what_servers_note_for_themselves_changes_nothing_and_what_is_unknown_stays_so() {
        let ts = Timestamp { time: 1, increment: 1 };
        let kind = |raw: &RawDocumentBuf| Entry::of(raw.as_bytes()).unwrap().operation.kind;
        for op in INTERNAL {
            let o = rawdoc! { "k": 5_i64, "v": "x" };
            let raw =
                rawdoc! { "op": op, "ns": "admin.$container", "container": "internal-1", "o": o, "ts": ts };
            assert_eq!(kind(&raw), Kind::Noop, "{op}");
            assert_eq!(kind(&rawdoc! { "op": op, "ns": "", "ts": ts }), Kind::Noop, "{op}");
        }
        let raw = rawdoc! { "op": "zz", "ns": "shop.a", "o": {}, "ts": ts };
        let entry = Entry::of(raw.as_bytes()).unwrap();
        assert_eq!((entry.operation.kind, entry.operation.op), (Kind::Unknown, "zz"));
    }

    #[test]
    fn hostile_entries_are_errors() {
        let mut deep = rawdoc! { "op": "i", "ns": "shop.a", "o": { "_id": 1 } };
        for _ in 0..20 {
            deep = rawdoc! { "op": "c", "ns": "admin.$cmd", "o": { "applyOps": [deep] } };
        }
        let raw = command(rawdoc! { "applyOps": [deep] }, &rawdoc! {});
        let error = Entry::of(raw.as_bytes()).unwrap().operation.parts().unwrap_err();
        assert!(error.message().contains("too deeply"), "{error}");
        let ts = Timestamp { time: 1, increment: 1 };
        for raw in [
            rawdoc! {},
            rawdoc! { "op": "i", "ns": "shop.a", "o": {} },
            rawdoc! { "op": "i", "ns": "shop", "o": {}, "ts": ts },
            rawdoc! { "op": "i", "ns": "shop.a", "ts": ts },
            rawdoc! { "op": "i", "ns": 1, "o": {}, "ts": ts },
        ] {
            assert_eq!(Entry::of(raw.as_bytes()).unwrap_err().code(), Code::Damaged);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Entry::of(&bytes);
        }

        #[test]
        fn no_changed_byte_makes_it_panic(at in 0_usize..100, to in any::<u8>()) {
            let inner = rawdoc! { "op": "i", "ns": "shop.a", "o": { "_id": 1 } };
            let mut bytes = command(rawdoc! { "applyOps": [inner] }, &rawdoc! {}).into_bytes();
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(entry) = Entry::of(&bytes) {
                let _ = entry.operation.parts();
            }
        }
    }
}

//! Which options collections, views and indexes can have, and what is done about others. Pure.
//!
//! A manifest or an archive may say anything, and its options become members of a command: only options that MongoDB
//! documents get there. Old servers, drivers and tools wrote others.

use bson::raw::cstr;
use bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use crate::definition::Definition;
use crate::names::NamespaceKind;

/// Options of `create` (MongoDB manual, versions 3.0 to 9.0), of collections.
const OF_COLLECTIONS: [&str; 17] = [
    "capped",
    "size",
    "max",
    "storageEngine",
    "indexOptionDefaults",
    "validator",
    "validationLevel",
    "validationAction",
    "collation",
    "idIndex",
    "clusteredIndex",
    "expireAfterSeconds",
    "changeStreamPreAndPostImages",
    "recordPreImages",
    "encryptedFields",
    "recordIdsReplicated",
    "autoIndexId",
];
const OF_VIEWS: [&str; 3] = ["viewOn", "pipeline", "collation"];
const OF_TIME_SERIES: [&str; 5] =
    ["timeseries", "expireAfterSeconds", "collation", "storageEngine", "indexOptionDefaults"];
/// Without meaning for what is restored: a server makes temporary collections itself, and `flags` were those of a storage
/// engine that is gone.
const MEANINGLESS: [&str; 2] = ["temp", "flags"];

/// Options that a server may refuse, and without which the documents are still what they were.
const LEFT_OUT_WHEN_REFUSED: [&str; 11] = [
    "autoIndexId",
    "storageEngine",
    "recordIdsReplicated",
    "indexOptionDefaults",
    "recordPreImages",
    "changeStreamPreAndPostImages",
    "encryptedFields",
    "expireAfterSeconds",
    "validationLevel",
    "validationAction",
    "validator",
];

/// Options of `createIndexes` (MongoDB manual, versions 3.0 to 9.0).
const OF_INDEXES: [&str; 24] = [
    "v",
    "key",
    "name",
    "background",
    "unique",
    "dropDups",
    "partialFilterExpression",
    "sparse",
    "expireAfterSeconds",
    "hidden",
    "storageEngine",
    "collation",
    "weights",
    "default_language",
    "language_override",
    "textIndexVersion",
    "2dsphereIndexVersion",
    "bits",
    "min",
    "max",
    "bucketSize",
    "wildcardProjection",
    "prepareUnique",
    "clustered",
];

/// What old servers kept among the options of an index and no index was ever built by: its collection, and how the driver
/// that created it waited for the answer. mongorestore leaves them out without a word, too (`ConvertLegacyIndexOptions`).
const NEVER_MEANT_INDEXES: [&str; 7] = ["ns", "safe", "w", "wtimeout", "j", "fsync", "writeConcern"];
/// Versions of the format of indexes, which a server chooses itself where none is given. That before 2.0 is gone.
const INDEX_VERSIONS: [f64; 2] = [1.0, 2.0];
const GONE_INDEX_VERSION: f64 = 0.0;

/// How the version of a collation is called among what is left out.
const COLLATION_VERSION: &str = "collation.version";

/// A definition as a server is given it, and what had to be changed for that.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) definition: Definition,
    /// Names of what is left out.
    pub(super) left_out: Vec<String>,
}

/// Options of a collection or view of this name, without what is none.
pub(super) fn options(kind: NamespaceKind, collection: &str, options: &Definition) -> Known {
    let known: &[&str] = match kind {
        NamespaceKind::View => &OF_VIEWS,
        NamespaceKind::Timeseries => &OF_TIME_SERIES,
        NamespaceKind::Collection | NamespaceKind::Oplog => &OF_COLLECTIONS,
    };
    let is_nothing = |name: &str| {
        MEANINGLESS.contains(&name)
            // MongoDB 2 kept the whole command.
            || (name == "create" && options.text(name) == Some(collection))
            || (name == "autoIndexId" && options.says_yes(name))
    };
    let left_out = options.names().filter(|name| !known.contains(name) && !is_nothing(name));
    Known {
        left_out: left_out.map(str::to_owned).collect(),
        definition: options.only(|name| known.contains(&name) && !is_nothing(name)),
    }
}

/// What to try when a server refuses these options: without each of those that may be left out, and without all. A
/// collation names the version of a library, of which each server has its own.
pub(super) fn fewer_options(options: &Definition) -> Vec<Known> {
    let Some(definition) = any_collation_version(options) else { return fewer(options) };
    let any_version = Known { definition, left_out: vec![COLLATION_VERSION.into()] };
    let more = fewer(&any_version.definition).into_iter().map(|mut known| {
        known.left_out.push(COLLATION_VERSION.into());
        known
    });
    let more: Vec<Known> = more.collect();
    std::iter::once(any_version).chain(fewer(options)).chain(more).collect()
}

fn any_collation_version(definition: &Definition) -> Option<Definition> {
    let collation = definition.part("collation").filter(|collation| collation.contains("version"))?;
    Some(definition.with(cstr!("collation"), RawDocumentBuf::from(collation.without("version"))))
}

fn fewer(options: &Definition) -> Vec<Known> {
    let present: Vec<&str> =
        LEFT_OUT_WHEN_REFUSED.into_iter().filter(|name| options.contains(name)).collect();
    let mut tries: Vec<Vec<&str>> = present.iter().map(|name| vec![*name]).collect();
    if present.len() > 1 {
        tries.push(present);
    }
    let without = |names: Vec<&str>| {
        // How to validate says nothing without what to validate.
        let with_it = |name: &str| names.contains(&"validator") && name.starts_with("validation");
        Known {
            definition: options.only(|name| !names.contains(&name) && !with_it(name)),
            left_out: names.iter().map(ToString::to_string).collect(),
        }
    };
    tries.into_iter().map(without).collect()
}

/// An index as servers of today take it. Old ones took more options, versions and directions, and did not say which
/// version of a geographical or text index they meant, which was the first.
pub(super) fn index(index: &Definition) -> Known {
    let is_unknown = |name: &&str| !OF_INDEXES.contains(name) && !NEVER_MEANT_INDEXES.contains(name);
    let mut left_out: Vec<String> = index.names().filter(is_unknown).map(str::to_owned).collect();
    let mut definition = index.only(|name| OF_INDEXES.contains(&name));
    if let Some(version) = definition.get("v").map(number)
        && !version.is_some_and(|version| INDEX_VERSIONS.contains(&version))
    {
        definition = definition.without("v");
        left_out.extend((version != Some(GONE_INDEX_VERSION)).then(|| "v".to_owned()));
    }
    if let Some(key) = definition.get("key").and_then(RawBsonRef::as_document) {
        let (versions, key) = (first_versions(key), directions(key));
        definition = definition.with(cstr!("key"), key);
        for version in versions {
            if !definition.contains(version.as_str()) {
                definition = definition.with(version, 1);
            }
        }
    }
    Known { definition, left_out }
}

/// What to try when a server refuses this index.
pub(super) fn lesser_index(index: &Definition) -> Option<Known> {
    let is_nothing = |name: &str| match index.get(name) {
        Some(RawBsonRef::Null | RawBsonRef::Undefined) => true,
        // It takes all documents, as no filter does. Servers from 8.2 on refuse it.
        Some(RawBsonRef::Document(filter)) if name == "partialFilterExpression" => filter.is_empty(),
        _ => name == "storageEngine",
    };
    let mut left_out: Vec<String> =
        index.names().filter(|name| is_nothing(name)).map(str::to_owned).collect();
    let mut definition = index.only(|name| !is_nothing(name));
    if let Some(any_version) = any_collation_version(&definition) {
        definition = any_version;
        left_out.push(COLLATION_VERSION.into());
    }
    (!left_out.is_empty()).then_some(Known { definition, left_out })
}

fn first_versions(key: &RawDocument) -> Vec<&'static bson::raw::CStr> {
    let has = |kind: &str| key.iter().flatten().any(|(_, value)| value.as_str() == Some(kind));
    let mut versions = Vec::new();
    versions.extend(has("2dsphere").then_some(cstr!("2dsphereIndexVersion")));
    versions.extend(has("text").then_some(cstr!("textIndexVersion")));
    versions
}

/// Servers before 3.4 took anything for a direction: what is no number, or zero, meant ascending.
fn directions(key: &RawDocument) -> RawDocumentBuf {
    let mut directions = RawDocumentBuf::new();
    for (field, value) in key.iter().flatten() {
        let says = match value {
            RawBsonRef::String(kind) => !kind.is_empty(),
            value => number(value).is_some_and(|direction| direction != 0.0 && !direction.is_nan()),
        };
        match says {
            true => directions.append(field, value),
            false => directions.append(field, 1),
        }
    }
    directions
}

fn number(value: RawBsonRef<'_>) -> Option<f64> {
    match value {
        RawBsonRef::Int32(number) => Some(f64::from(number)),
        RawBsonRef::Int64(number) => Some(number as f64),
        RawBsonRef::Double(number) => Some(number),
        RawBsonRef::Decimal128(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, Document, doc};

    use super::*;
    use crate::definition::tests::definition;

    fn known(kind: NamespaceKind, members: Document) -> (Definition, Vec<String>) {
        let Known { definition, left_out } = options(kind, "a", &definition(members));
        (definition, left_out)
    }

    #[test]
    fn only_options_become_members_of_a_command() {
        let (kept, left_out) = known(
            NamespaceKind::Collection,
            doc! { "create": "other", "capped": true, "viewOn": "b", "size": 4096, "writeConcern": {}, "temp": true, "flags": 1 },
        );
        assert_eq!(kept, definition(doc! { "capped": true, "size": 4096 }));
        assert_eq!(left_out, ["create", "viewOn", "writeConcern"]);
        let (kept, left_out) = known(NamespaceKind::Collection, doc! { "create": "a", "autoIndexId": true });
        assert!(kept.is_empty() && left_out.is_empty());
        let (kept, left_out) = known(NamespaceKind::View, doc! { "viewOn": "b", "capped": true });
        assert_eq!((kept, left_out), (definition(doc! { "viewOn": "b" }), vec!["capped".into()]));
        let (_, left_out) = known(NamespaceKind::Timeseries, doc! { "timeseries": {}, "validator": {} });
        assert_eq!(left_out, ["validator"]);
    }

    #[test]
    fn what_may_be_left_out_is_left_out_alone_before_all_of_it() {
        let options = definition(
            doc! { "capped": true, "storageEngine": {}, "validator": {}, "validationLevel": "off" },
        );
        let tries: Vec<Vec<String>> =
            fewer_options(&options).into_iter().map(|known| known.left_out).collect();
        let each = ["storageEngine", "validationLevel", "validator"];
        assert_eq!(tries, [&each[..1], &each[1..2], &each[2..], &each]);
        let least = fewer_options(&options).pop().unwrap().definition;
        assert_eq!(least, definition(doc! { "capped": true }));
        assert!(fewer_options(&definition(doc! { "capped": true })).is_empty());
    }

    #[test]
    fn a_collation_is_tried_without_its_version_first() {
        let french = |version: Document| {
            let mut collation = doc! { "locale": "fr" };
            collation.extend(version);
            definition(doc! { "collation": collation })
        };
        let tried = fewer_options(&french(doc! { "version": "57.1" }));
        let expected = Known { definition: french(doc! {}), left_out: vec!["collation.version".into()] };
        assert_eq!(tried, std::slice::from_ref(&expected));
        assert_eq!(lesser_index(&french(doc! { "version": "57.1" })), Some(expected));
        assert!(fewer_options(&french(doc! {})).is_empty());
    }

    #[test]
    fn old_indexes_are_built_as_they_were_meant() {
        let built = |members: Document| {
            let Known { definition, left_out } = index(&definition(members));
            (Document::try_from(definition.as_raw()).unwrap(), left_out)
        };
        let (found, left_out) = built(
            doc! { "v": 0, "key": { "a": true, "b": 0.0, "c": -5.5, "d": "", "e": "hashed" }, "name": "x",
            "ns": "shop.a", "safe": Bson::Null, "w": 1, "colour": "red" },
        );
        assert_eq!(found, doc! { "key": { "a": 1, "b": 1, "c": -5.5, "d": 1, "e": "hashed" }, "name": "x" });
        assert_eq!(left_out, ["colour"], "what never meant the index is not missed");
        for (version, expected) in
            [(Bson::Int32(3), &["v"][..]), (Bson::Boolean(true), &["v"]), (Bson::Double(0.0), &[])]
        {
            let (found, left_out) = built(doc! { "v": version, "key": { "a": 1 }, "name": "x" });
            assert_eq!(
                (found, left_out),
                (doc! { "key": { "a": 1 }, "name": "x" }, expected.iter().map(ToString::to_string).collect())
            );
        }
        let (found, left_out) = built(doc! { "v": 1, "key": { "l": "2dsphere" }, "name": "l" });
        assert_eq!(
            found,
            doc! { "v": 1, "key": { "l": "2dsphere" }, "name": "l", "2dsphereIndexVersion": 1 }
        );
        assert!(left_out.is_empty());
        let (found, _) = built(
            doc! { "v": 2.0, "key": { "_fts": "text", "_ftsx": 1 }, "name": "t", "textIndexVersion": 3 },
        );
        assert_eq!(found.get_i32("textIndexVersion").unwrap(), 3);
    }

    #[test]
    fn an_index_that_is_refused_is_tried_without_what_says_nothing() {
        let refused = definition(
            doc! { "key": { "a": 1 }, "partialFilterExpression": {}, "sparse": Bson::Null, "storageEngine": { "mmapv1": {} } },
        );
        let lesser = lesser_index(&refused).unwrap();
        assert_eq!(lesser.definition, definition(doc! { "key": { "a": 1 } }));
        assert_eq!(lesser.left_out, ["partialFilterExpression", "sparse", "storageEngine"]);
        assert_eq!(lesser_index(&definition(doc! { "key": { "a": 1 }, "sparse": true })), None);
    }
}

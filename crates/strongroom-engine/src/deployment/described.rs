//! A collection or view, and how an archive and a manifest write its options and indexes. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, rawdoc};

use crate::definition::Definition;
use crate::extended_json;
use crate::names::{BUCKETS, NamespaceKind};

/// A collection or view, as it will stand in the archive.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its database.
    pub db: String,
    /// Its name.
    pub collection: String,
    /// What it is.
    pub kind: NamespaceKind,
    /// Whether documents stand in the order of their insertion, in a ring.
    pub capped: bool,
    /// Whether records stand by their `_id` rather than by a number.
    pub clustered: bool,
    /// Whether it is a time-series without a collection of buckets beside it (MongoDB 9.0): its documents are read with
    /// `rawData`.
    pub is_raw: bool,
    /// The UUID of the collection that holds the documents; none for a view, if the server does not tell, or if the user
    /// may not read by it.
    pub uuid: Option<[u8; 16]>,
    /// Options and indexes in canonical Extended JSON v2, as mongodump writes them.
    pub metadata: String,
    /// Whether that text comes back as what it was.
    pub is_exact: bool,
    /// Options and indexes as BSON in base64, where the text is not exact, or there are search indexes, which it has no
    /// place for.
    pub metadata_bson: Option<String>,
    /// Documents, as the server's statistics say.
    pub documents: u64,
    /// Their bytes, as the server's statistics say.
    pub bytes: u64,
}

impl Described {
    /// `db.collection`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.db, self.collection)
    }

    /// The collection on the server that holds the documents; none for a view.
    #[must_use]
    pub fn data_collection(&self) -> Option<String> {
        match self.kind {
            NamespaceKind::View | NamespaceKind::Oplog => None,
            NamespaceKind::Timeseries if !self.is_raw => Some(format!("{BUCKETS}{}", self.collection)),
            NamespaceKind::Collection | NamespaceKind::Timeseries => Some(self.collection.clone()),
        }
    }
}

/// The metadata of a namespace: as text, and as BSON where the text is not enough.
pub(super) struct Metadata {
    pub(super) text: String,
    pub(super) is_exact: bool,
    pub(super) bson: Option<String>,
}

impl Metadata {
    /// Of options, indexes and search indexes; `uuid` is that of a collection that mongodump would name.
    pub(super) fn of(
        (name, kind): (&str, NamespaceKind),
        (options, indexes, search_indexes): (&Definition, &[Definition], &[Definition]),
        uuid: Option<[u8; 16]>,
    ) -> Self {
        let written = written(options, indexes);
        let is_exact = written.as_ref().is_some_and(|written| written.comes_back(options, indexes));
        let is_enough = is_exact && search_indexes.is_empty();
        let bson = (!is_enough).then(|| STANDARD.encode(as_bson(options, indexes, search_indexes)));
        // What is no text at all is left to the BSON.
        let written = written.unwrap_or_default();
        Self { text: written.text((name, kind), uuid), is_exact, bson }
    }
}

#[derive(Default)]
struct Written {
    options: Option<String>,
    indexes: Vec<String>,
}

/// None if there is no such text.
fn written(options: &Definition, indexes: &[Definition]) -> Option<Written> {
    let write = |definition: &Definition| extended_json::document(definition.as_raw());
    Some(Written {
        options: if options.is_empty() { None } else { Some(write(options)?) },
        indexes: indexes.iter().map(write).collect::<Option<_>>()?,
    })
}

impl Written {
    fn comes_back(&self, options: &Definition, indexes: &[Definition]) -> bool {
        let is_exact = extended_json::is_exact;
        self.options.iter().all(|text| is_exact(text, options))
            && self.indexes.iter().zip(indexes).all(|(text, index)| is_exact(text, index))
    }

    /// With the members that mongodump writes, in its order.
    fn text(&self, (name, kind): (&str, NamespaceKind), uuid: Option<[u8; 16]>) -> String {
        let string = extended_json::text;
        let mut members = Vec::new();
        members.extend(self.options.iter().map(|options| format!(r#""options":{options}"#)));
        members.push(format!(r#""indexes":[{}]"#, self.indexes.join(",")));
        members.extend(uuid.map(|uuid| format!(r#""uuid":"{}""#, hex::encode(uuid))));
        members.push(format!(r#""collectionName":{}"#, string(name)));
        members.push(format!(r#""type":{}"#, string(kind.as_str())));
        format!("{{{}}}", members.join(","))
    }
}

fn as_bson(options: &Definition, indexes: &[Definition], search_indexes: &[Definition]) -> Vec<u8> {
    let array = |definitions: &[Definition]| {
        let mut array = RawArrayBuf::new();
        definitions.iter().for_each(|definition| array.push(definition.as_raw()));
        array
    };
    let mut all = rawdoc! { "options": options.as_raw().to_owned(), "indexes": array(indexes) };
    if !search_indexes.is_empty() {
        all.append(cstr!("searchIndexes"), array(search_indexes));
    }
    all.into_bytes()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{RawDocumentBuf, doc};

    use super::*;
    use crate::definition::tests::definition;

    fn metadata(options: &Definition, indexes: &[Definition]) -> Metadata {
        Metadata::of(("odd \"name\"", NamespaceKind::Collection), (options, indexes, &[]), Some([7; 16]))
    }

    #[test]
    fn the_text_is_that_of_mongodump() {
        let index = definition(doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" });
        let found = metadata(&definition(doc! { "capped": true, "size": 4096 }), &[index]);
        let expected = concat!(
            r#"{"options":{"capped":true,"size":{"$numberInt":"4096"}},"#,
            r#""indexes":[{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}],"#,
            r#""uuid":"07070707070707070707070707070707","collectionName":"odd \"name\"","type":"collection"}"#
        );
        assert_eq!((found.text.as_str(), found.bson), (expected, None));
        let plain = metadata(&Definition::default(), &[]).text;
        assert!(plain.starts_with(r#"{"indexes":[],"uuid""#), "{plain}");
    }

    #[test]
    fn what_the_text_would_change_is_kept_as_it_is() {
        let look_alike = definition(doc! { "validator": { "a": { "$numberInt": "5" } } });
        let kept = metadata(&look_alike, &[]).bson.unwrap();
        let kept = Definition::checked(&STANDARD.decode(kept).unwrap()).unwrap();
        assert_eq!(kept.part("options"), Some(look_alike));
        let invalid = definition(doc! { "validator": { "a": { "$oid": "zz" } } });
        assert!(!metadata(&invalid, &[]).is_exact, "other tools refuse it");
    }

    #[test]
    fn search_indexes_are_kept_where_the_text_has_no_place_for_them() {
        let search = [definition(doc! { "name": "default", "definition": {} })];
        let options = Definition::default();
        let found = Metadata::of(("a", NamespaceKind::Collection), (&options, &[], &search), None);
        assert!(found.is_exact && !found.text.contains("default"));
        let kept = Definition::checked(&STANDARD.decode(found.bson.unwrap()).unwrap()).unwrap();
        assert_eq!(kept.names().collect::<Vec<_>>(), ["options", "indexes", "searchIndexes"]);
    }

    #[test]
    fn what_is_no_text_is_kept_too() {
        let mut bytes = rawdoc! { "pipeline": "xy" }.into_bytes();
        let at = bytes.len() - 3;
        bytes[at] = 0xff;
        let options = Definition::from(RawDocumentBuf::from_bytes(bytes.clone()).unwrap());
        let found = metadata(&options, &[]);
        let bson = STANDARD.decode(found.bson.unwrap()).unwrap();
        assert!(bson.windows(bytes.len()).any(|window| window == bytes));
        assert!(!found.text.contains("options"), "{}", found.text);
    }
}

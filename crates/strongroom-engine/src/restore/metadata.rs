//! What the metadata of a namespace says, as the server takes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::raw::cstr;
use bson::{RawBsonRef, rawdoc};

use crate::definition::Definition;
use crate::error::{Code, Error, Result};
use crate::extended_json;
use crate::manifest::Namespace;

/// A namespace's options and indexes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Metadata {
    pub(super) options: Definition,
    pub(super) indexes: Vec<Definition>,
    /// As `createSearchIndexes` takes them; those of the collections that the source has, whatever its oplog says.
    pub(super) search_indexes: Vec<Definition>,
}

impl Metadata {
    /// Reads the metadata of a manifest or an archive: Extended JSON, or where a manifest has it, BSON.
    ///
    /// # Errors
    /// [`Code::Damaged`], with the name of the namespace.
    pub(super) fn of(namespace: &Namespace) -> Result<Self> {
        let metadata = match &namespace.metadata_bson {
            Some(bson) => exact(bson).and_then(|exact| agreeing(exact, namespace.metadata.get())),
            None => extended_json::read(namespace.metadata.get()),
        };
        metadata.and_then(|metadata| Self::in_members(&metadata)).map_err(|why| {
            Error::new(Code::Damaged, format!("the metadata of `{}` cannot be read: {why}", namespace.name()))
        })
    }

    fn in_members(metadata: &Definition) -> Result<Self, String> {
        let options = match metadata.get("options") {
            Some(RawBsonRef::Document(options)) => checked(options.as_bytes())?,
            None | Some(RawBsonRef::Null) => Definition::default(),
            Some(_) => return Err("its options are not an object".into()),
        };
        // Servers before 4.4 wrote the collection's name into each index; it may be another one here.
        let indexes = list(metadata, "indexes")?.iter().map(|index| index.without("ns")).collect();
        Ok(Self { options, indexes, search_indexes: list(metadata, "searchIndexes")? })
    }

    /// What is not there by itself. An index without a collation compares simply, but made without one on a
    /// collection that has a default collation it would take that: so it is said.
    pub(super) fn indexes_to_build(&self) -> Vec<Definition> {
        let by_itself = |index: &Definition| {
            let is_id = index.part("key").is_some_and(|key| key.names().eq(["_id"]));
            (is_id && index.text("name") == Some("_id_")) || index.says_yes("clustered")
        };
        let collates = self.options.contains("collation");
        let said = |index: &Definition| match collates && !index.contains("collation") {
            true => index.with(cstr!("collation"), rawdoc! { "locale": "simple" }),
            false => index.clone(),
        };
        self.indexes.iter().filter(|index| !by_itself(index)).map(said).collect()
    }

    pub(super) fn capped(&self) -> bool {
        self.options.says_yes("capped")
    }
}

fn list(metadata: &Definition, name: &str) -> Result<Vec<Definition>, String> {
    let wrong = || format!("its {name} are not objects");
    match metadata.get(name) {
        Some(RawBsonRef::Array(definitions)) => definitions
            .into_iter()
            .map(|definition| match definition {
                Ok(RawBsonRef::Document(definition)) => checked(definition.as_bytes()),
                _ => Err(wrong()),
            })
            .collect(),
        None | Some(RawBsonRef::Null) => Ok(Vec::new()),
        Some(_) => Err(wrong()),
    }
}

fn checked(bytes: &[u8]) -> Result<Definition, String> {
    Definition::checked(bytes).map_err(|wrong| wrong.to_string())
}

fn exact(bson: &str) -> Result<Definition, String> {
    checked(&STANDARD.decode(bson).map_err(|_| "its BSON is not base64")?)
}

/// The exact form, if it is one of what the text says, which the archive holds too.
fn agreeing(exact: Definition, text: &str) -> Result<Definition, String> {
    let said = extended_json::read(text)?;
    let Some(written) = extended_json::document(exact.as_raw()) else { return Ok(exact) };
    let again = extended_json::read(&written)?;
    // The text leaves empty options out.
    let options = |of: &Definition| of.part("options").unwrap_or_default();
    match options(&again) == options(&said) && again.get("indexes") == said.get("indexes") {
        true => Ok(exact),
        false => Err("its text and its BSON differ".into()),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use serde_json::value::RawValue;

    use super::*;
    use crate::definition::tests::definition;
    use crate::names::NamespaceKind;

    fn read(text: &str, bson: Option<String>) -> Result<Metadata> {
        Metadata::of(&Namespace {
            db: "shop".into(),
            collection: "a".into(),
            kind: NamespaceKind::Collection,
            metadata: RawValue::from_string(text.into()).unwrap(),
            metadata_bson: bson,
            documents: 0,
            bytes: 0,
            crc64: String::new(),
        })
    }

    #[test]
    fn options_and_indexes_are_read_in_their_order_and_twice_if_they_stand_there_twice() {
        let text = r#"{"options": {"validator": {"$or": [1], "$or": [2]}}, "indexes": [{"ns": "shop.a", "name": "x"}]}"#;
        let found = read(text, None).unwrap();
        let validator = found.options.part("validator").unwrap();
        assert_eq!(validator.names().collect::<Vec<_>>(), ["$or", "$or"]);
        assert_eq!(found.indexes, [definition(doc! { "name": "x" })]);
        assert_eq!(read("{}", None).unwrap(), Metadata::default());
    }

    #[test]
    fn the_exact_form_is_preferred_and_damage_is_named() {
        let exact = rawdoc! { "options": { "validator": { "a": { "$numberInt": "5" } } }, "indexes": [] };
        let text = r#"{"options": {"validator": {"a": {"$numberInt": "5"}}}, "indexes": []}"#;
        let found = read(text, Some(STANDARD.encode(exact.as_bytes()))).unwrap();
        assert_eq!(found.options, exact.get_document("options").unwrap().to_owned().into());
        let other = Some(STANDARD.encode(rawdoc! { "options": { "validator": { "a": 5 } } }.as_bytes()));
        let (number, damaged) = (r#"{"options": 5}"#, Some("zz?".to_owned()));
        for (text, bson) in [("[]", None), (number, None), ("{}", damaged), ("{}", other)] {
            let error = read(text, bson).unwrap_err();
            assert_eq!(error.code(), Code::Damaged);
            assert!(error.message().contains("`shop.a`"), "{error}");
        }
    }

    #[test]
    fn what_is_there_by_itself_is_not_built() {
        let found = read(
            r#"{"options": {"collation": {"locale": "fr"}}, "indexes": [{"key": {"_id": 1}, "name": "_id_"},
                {"key": {"_id": 1}, "name": "c", "clustered": true}, {"key": {"_id": "hashed"}, "name": "h"}]}"#,
            None,
        );
        let built = found.unwrap().indexes_to_build();
        let simple = doc! { "key": { "_id": "hashed" }, "name": "h", "collation": { "locale": "simple" } };
        assert_eq!(built, [definition(simple)]);
    }
}

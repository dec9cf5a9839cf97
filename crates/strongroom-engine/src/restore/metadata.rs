//! What the metadata of a namespace says, as the server takes it.

use bson::{Bson, Document, doc};

use crate::error::{Code, Error, Result};
use crate::manifest::Namespace;

/// A namespace's options and indexes as BSON.
#[derive(Debug, Clone, Default)]
pub(super) struct Metadata {
    pub(super) options: Document,
    pub(super) indexes: Vec<Document>,
}

impl Metadata {
    /// Reads the metadata of the manifest, which is canonical Extended JSON v2.
    pub(super) fn of(namespace: &Namespace) -> Result<Self> {
        let unreadable = |why: String| {
            Error::new(Code::Damaged, format!("the metadata of `{}` cannot be read: {why}", namespace.name()))
        };
        let json: serde_json::Value =
            serde_json::from_str(namespace.metadata.get()).map_err(|e| unreadable(e.to_string()))?;
        let Bson::Document(mut metadata) = Bson::try_from(json).map_err(|e| unreadable(e.to_string()))?
        else {
            return Err(unreadable("it is not an object".into()));
        };
        let options = match metadata.remove("options") {
            Some(Bson::Document(options)) => options,
            None => Document::new(),
            Some(_) => return Err(unreadable("its options are not an object".into())),
        };
        let indexes = match metadata.remove("indexes") {
            Some(Bson::Array(indexes)) => indexes.into_iter().map(into_index).collect::<Option<_>>(),
            None => Some(Vec::new()),
            Some(_) => None,
        };
        Ok(Self {
            options,
            indexes: indexes.ok_or_else(|| unreadable("its indexes are not objects".into()))?,
        })
    }

    /// What is not there by itself. An index without a collation compares simply, but made without one on a
    /// collection that has a default collation it would take that: so it is said.
    pub(super) fn indexes_to_build(&self) -> Vec<Document> {
        let by_itself = |index: &Document| {
            let is_id = index.get_document("key").is_ok_and(|key| key.len() == 1 && key.contains_key("_id"));
            (is_id && index.get_str("name").is_ok_and(|name| name == "_id_"))
                || index.get_bool("clustered").unwrap_or(false)
        };
        let mut indexes: Vec<Document> =
            self.indexes.iter().filter(|index| !by_itself(index)).cloned().collect();
        if self.options.contains_key("collation") {
            for index in indexes.iter_mut().filter(|index| !index.contains_key("collation")) {
                index.insert("collation", doc! { "locale": "simple" });
            }
        }
        indexes
    }

    pub(super) fn capped(&self) -> bool {
        self.options.get_bool("capped").unwrap_or(false)
    }
}

/// Servers before 4.4 wrote the collection's name into each index; it may be another one here.
fn into_index(value: Bson) -> Option<Document> {
    match value {
        Bson::Document(mut index) => {
            index.remove("ns");
            Some(index)
        }
        _ => None,
    }
}

//! A namespace as an archive or a dump describes it.

use mongo_archive::Crc64;
use serde_json::value::RawValue;

use crate::error::{Code, Error, Result};
use crate::extended_json;
use crate::manifest::Namespace;
use crate::names::{Name, NamespaceKind};

/// The namespace of this name, and what its metadata says, which may be nothing. Old versions of mongodump leave the
/// kind out, and with `--viewsAsCollections` they say `view` of what comes as documents: what it is shows in its options.
pub(super) fn namespace(name: &Name, kind: &str, metadata: &str) -> Result<Namespace> {
    let mut namespace = Namespace {
        db: name.db.clone(),
        collection: name.collection.clone(),
        kind: NamespaceKind::Collection,
        metadata: json(metadata)
            .map_err(|e| Error::new(Code::Damaged, format!("the metadata of `{name}` is not text: {e}")))?,
        metadata_bson: None,
        documents: 0,
        bytes: 0,
        crc64: Crc64::new().to_string(),
    };
    let reads_another = is_view(metadata);
    namespace.kind = match kind {
        "" | "collection" if name.db.is_empty() => NamespaceKind::Oplog,
        "" | "collection" | "view" if reads_another => NamespaceKind::View,
        "" | "collection" | "view" => NamespaceKind::Collection,
        "timeseries" => NamespaceKind::Timeseries,
        other => {
            let what = format!("`{name}` is of the unknown kind `{}`", other.escape_debug());
            return Err(Error::new(Code::Damaged, what));
        }
    };
    Ok(namespace)
}

fn is_view(metadata: &str) -> bool {
    let options = extended_json::read(metadata).ok().and_then(|metadata| metadata.part("options"));
    options.is_some_and(|options| options.text("viewOn").is_some())
}

/// The metadata as JSON. Old tools wrote numbers that are none in JSON; what cannot be read at all is kept as a string,
/// and matters only where it is restored.
fn json(text: &str) -> serde_json::Result<Box<RawValue>> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    RawValue::from_string(text.to_owned()).or_else(|_| {
        let read = extended_json::read(text).ok();
        let written = read.and_then(|metadata| extended_json::document(metadata.as_raw()));
        RawValue::from_string(written.unwrap_or_else(|| extended_json::text(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_namespace_is_shows_in_its_options_where_the_label_does_not_say() {
        let kind = |db: &str, label: &str, metadata: &str| {
            namespace(&Name::new(db, "x"), label, metadata).map(|namespace| namespace.kind)
        };
        let view = r#"{"options":{"viewOn":"a","pipeline":[]},"indexes":[]}"#;
        assert_eq!(kind("shop", "view", view).unwrap(), NamespaceKind::View);
        assert_eq!(kind("shop", "", view).unwrap(), NamespaceKind::View);
        assert_eq!(kind("shop", "collection", view).unwrap(), NamespaceKind::View);
        let as_collection = r#"{"indexes":[],"collectionName":"v","type":"view"}"#;
        assert_eq!(kind("shop", "view", as_collection).unwrap(), NamespaceKind::Collection);
        assert_eq!(kind("shop", "timeseries", "{}").unwrap(), NamespaceKind::Timeseries);
        assert_eq!(kind("", "", "").unwrap(), NamespaceKind::Oplog);
        assert_eq!(kind("shop", "picture", "{}").unwrap_err().code(), Code::Damaged);
        assert_eq!(kind("shop", "", "{").unwrap(), NamespaceKind::Collection, "it may not be chosen");
    }
}

//! Empty timestamps. A server fills in a `Timestamp(0, 0)` that stands at the top of a document when it inserts or
//! replaces the document, so what was stored empty has to be put back.

use bson::spec::ElementType;
use bson::{RawBsonRef, RawDocument, Timestamp};

/// The value that a server fills in.
pub(crate) const EMPTY_TIMESTAMP: Timestamp = Timestamp { time: 0, increment: 0 };

/// What a server would fill in of one document.
#[derive(Debug)]
pub(crate) struct EmptyTimestamps<'a> {
    pub(crate) id: RawBsonRef<'a>,
    pub(crate) fields: Vec<&'a str>,
}

impl<'a> EmptyTimestamps<'a> {
    /// None where a server changes nothing. An `_id` is never filled in.
    ///
    /// # Errors
    /// When the document cannot be read.
    pub(crate) fn of(document: &'a RawDocument) -> Result<Option<Self>, bson::error::Error> {
        let (mut id, mut fields) = (None, Vec::new());
        for element in document.iter_elements() {
            let element = element?;
            // Most values are not looked at: that is done for every document of a restore.
            let is_timestamp = element.element_type() == ElementType::Timestamp;
            if element.key().as_str() == "_id" {
                id = Some(element.value()?);
            } else if is_timestamp && element.value()? == RawBsonRef::Timestamp(EMPTY_TIMESTAMP) {
                fields.push(element.key().as_str());
            }
        }
        Ok(id.filter(|_| !fields.is_empty()).map(|id| Self { id, fields }))
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn only_empty_timestamps_at_the_top_are_filled_in() {
        let set = Timestamp { time: 1, increment: 0 };
        let inner = rawdoc! { "at": EMPTY_TIMESTAMP };
        let document = rawdoc! { "_id": EMPTY_TIMESTAMP, "a": EMPTY_TIMESTAMP, "b": set, "c": inner, "d": EMPTY_TIMESTAMP };
        let found = EmptyTimestamps::of(&document).unwrap().unwrap();
        assert_eq!((found.id, found.fields), (RawBsonRef::Timestamp(EMPTY_TIMESTAMP), vec!["a", "d"]));
        assert!(EmptyTimestamps::of(&rawdoc! { "_id": 1, "b": set }).unwrap().is_none());
        assert!(
            EmptyTimestamps::of(&rawdoc! { "a": EMPTY_TIMESTAMP }).unwrap().is_none(),
            "no `_id`, no update"
        );
    }
}

//! Documents as bytes, cut out of a server's reply. Pure.

use mongodb::bson::{RawBson, RawDocument, RawDocumentBuf};

use crate::error::{Code, Error, Result};

/// The `_id` of a document, if it has one, as a document of its own: so its bytes tell whether it is the same.
#[must_use]
pub fn id_of(document: &[u8]) -> Option<RawDocumentBuf> {
    let id = RawDocument::from_bytes(document).ok()?.get("_id").ok()??;
    Some(mongodb::bson::rawdoc! { "_id": RawBson::from(id) })
}

/// Cuts documents out of a BSON array: each element is a type byte, its index as a C string, a document.
#[derive(Debug)]
pub struct Documents<'a> {
    rest: &'a [u8],
}

const TYPE_DOCUMENT: u8 = 0x03;

impl<'a> Documents<'a> {
    pub(super) fn of(array: &'a [u8]) -> Self {
        // The length in front and the NUL at the end are not elements.
        let rest = array.get(4..array.len().saturating_sub(1)).unwrap_or_default();
        Self { rest }
    }

    fn cut(&mut self) -> Option<&'a [u8]> {
        let (&TYPE_DOCUMENT, keyed) = self.rest.split_first()? else { return None };
        let key = keyed.iter().position(|&b| b == 0)?;
        let document = &keyed[key + 1..];
        let length = u32::from_le_bytes(*document.first_chunk()?) as usize;
        let (document, rest) = document.split_at_checked(length.max(5))?;
        self.rest = rest;
        Some(document)
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.cut().ok_or_else(|| {
            self.rest = &[];
            Error::new(Code::Mongo, "the server's reply holds something that is not a document")
        }))
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{RawArrayBuf, rawdoc};

    use super::*;

    #[test]
    fn cuts_documents_out_of_an_array() {
        let documents: Vec<RawDocumentBuf> =
            (0..1200).map(|i| rawdoc! { "_id": i, "text": "x".repeat(i as usize % 7) }).collect();
        let array: RawArrayBuf = documents.iter().cloned().collect();
        let cut: Vec<&[u8]> = Documents::of(array.as_bytes()).collect::<Result<_>>().unwrap();
        let expected: Vec<&[u8]> = documents.iter().map(|d| d.as_bytes()).collect();
        assert_eq!(cut, expected);
    }

    #[test]
    fn anything_but_documents_is_an_error_and_ends_there() {
        let mut array = RawArrayBuf::new();
        array.push(rawdoc! { "a": 1 });
        array.push(7_i32);
        array.push(rawdoc! { "a": 1 });
        let cut: Vec<_> = Documents::of(array.as_bytes()).collect();
        assert_eq!(cut.len(), 2);
        assert_eq!(cut[1].as_ref().unwrap_err().code(), Code::Mongo);
        assert!(Documents::of(&[]).next().is_none());
    }
}

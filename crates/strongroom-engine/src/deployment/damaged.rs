//! Replies that are not BSON any more: damaged on the way, or by the server.
//!
//! Only their structure is looked at, as a server does when a document is inserted. Without TLS nothing tells whether a
//! value is what was sent.

use mongo_archive::{DocumentError, check_document};
use mongodb::bson::{Bson, RawBson};

use super::documents::{Documents, id_of};
use crate::error::{Code, Error};

/// Of the documents of a reply in which something is `wrong`.
pub(super) fn explain(mut documents: Documents<'_>, wrong: DocumentError) -> Error {
    let damaged = documents.find_map(|document| {
        let document = document.ok()?;
        Some((document, check_document(document).err()?))
    });
    let message = match damaged {
        Some((document, wrong)) => match id_text(document) {
            Some(id) => format!("the document with `_id` {id} came damaged: {wrong}"),
            None => format!("a document came damaged: {wrong}"),
        },
        None => format!("a reply of MongoDB came damaged: {wrong}"),
    };
    Error::new(Code::Damaged, message).help(
        "Run `validate` on the collection. If it finds nothing, the bytes change between the server and here: use TLS, \
         which notices it, and check the network and this machine's memory.",
    )
}

fn id_text(document: &[u8]) -> Option<String> {
    let id = id_of(document)?;
    let id = RawBson::from(id.get("_id").ok()??);
    Some(Bson::try_from(id).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{RawArrayBuf, rawdoc};

    use super::*;

    /// What is said of an array of documents in which one byte of `of` is another one.
    fn said(of: &[u8], to: u8) -> String {
        let array: RawArrayBuf = (0..3).map(|i| rawdoc! { "_id": i, "text": "word", "after": 1 }).collect();
        let mut bytes = array.as_bytes().to_vec();
        let place = bytes.windows(of.len()).position(|window| window == of).unwrap();
        bytes[place] = to;
        let wrong = check_document(&bytes).unwrap_err();
        explain(Documents::of(&bytes), wrong).message().to_owned()
    }

    #[test]
    fn the_damaged_document_is_named() {
        assert_eq!(
            said(b"\x02text", 0x42),
            "the document with `_id` 0 came damaged: at byte 19: an element of an unknown type"
        );
        assert!(said(&[5, 0, 0, 0, b'w'], 90).contains("`_id` 0 came damaged: "));
        assert!(said(b"\x10_id", 0x42).starts_with("a document came damaged: "));
    }
}

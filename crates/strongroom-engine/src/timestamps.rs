//! Empty timestamps. A server fills in a `Timestamp(0, 0)` that stands at the top of a document when it inserts or
//! replaces the document, so what was stored empty has to be kept from it.
//!
//! Documents are looked at as bytes: servers keep what is not quite BSON, such as names that are not UTF-8.

#[cfg(test)]
use bson::Timestamp;

const TYPE_TIMESTAMP: u8 = 0x11;
const LENGTH_BYTES: usize = 4;

/// The value that a server fills in.
#[cfg(test)]
pub(crate) const EMPTY_TIMESTAMP: Timestamp = Timestamp { time: 0, increment: 0 };

/// What stands at the top of a document.
struct Element<'a> {
    kind: u8,
    name: &'a [u8],
    value: &'a [u8],
    /// Type, name and value.
    whole: &'a [u8],
}

/// Whether a server would change this document. An `_id` is never filled in.
pub(crate) fn has_empty(document: &[u8]) -> bool {
    Elements::of(document).any(|element| element.is_filled_in())
}

/// The names of what a server would fill in, each as often as it is there.
pub(crate) fn empty(document: &[u8]) -> Vec<&[u8]> {
    Elements::of(document).filter(Element::is_filled_in).map(|element| element.name).collect()
}

/// The document's `_id`: its type, its name and its value.
pub(crate) fn id(document: &[u8]) -> Option<&[u8]> {
    Elements::of(document).find(|element| element.name == b"_id").map(|element| element.whole)
}

impl Element<'_> {
    fn is_filled_in(&self) -> bool {
        // Most values are not looked at: that is done for every document of a restore.
        self.kind == TYPE_TIMESTAMP && self.value.iter().all(|byte| *byte == 0) && self.name != b"_id"
    }
}

/// The elements up to the end, or up to what cannot be understood: such a document is left to the server's judgement.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    fn of(document: &'a [u8]) -> Self {
        Self(document.get(LENGTH_BYTES..).unwrap_or_default())
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let all = self.0;
        let (&kind, named) = all.split_first()?;
        let (name, value) = cut_text(named)?;
        let (value, rest) = value.split_at_checked(length(kind, value)?)?;
        let whole = &all[..all.len() - rest.len()];
        self.0 = rest;
        Some(Element { kind, name, value, whole })
    }
}

/// The length of a value of this type (the BSON specification, version 1.1); none at the end of a document.
fn length(kind: u8, value: &[u8]) -> Option<usize> {
    let counted = || Some(u32::from_le_bytes(*value.first_chunk::<LENGTH_BYTES>()?) as usize);
    Some(match kind {
        0x06 | 0x0a | 0x7f | 0xff => 0,
        0x08 => 1,
        0x10 => 4,
        0x01 | 0x09 | TYPE_TIMESTAMP | 0x12 => 8,
        0x07 => 12,
        0x13 => 16,
        0x02 | 0x0d | 0x0e => counted()?.checked_add(LENGTH_BYTES)?,
        0x05 => counted()?.checked_add(LENGTH_BYTES + 1)?,
        0x0c => counted()?.checked_add(LENGTH_BYTES + 12)?,
        0x03 | 0x04 | 0x0f => counted()?,
        0x0b => value.len() - cut_text(cut_text(value)?.1)?.1.len(),
        _ => return None,
    })
}

/// A text that ends with a zero, and what follows.
fn cut_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc, rawdoc};

    use super::*;

    #[test]
    fn only_empty_timestamps_at_the_top_are_filled_in() {
        let set = Timestamp { time: 1, increment: 0 };
        let inner = rawdoc! { "at": EMPTY_TIMESTAMP };
        let document = rawdoc! { "_id": EMPTY_TIMESTAMP, "a": EMPTY_TIMESTAMP, "b": set, "c": inner.clone(), "a": EMPTY_TIMESTAMP };
        assert_eq!(empty(document.as_bytes()), [b"a", b"a"], "each as often as it is there");
        assert!(has_empty(document.as_bytes()));
        assert_eq!(
            id(document.as_bytes()),
            Some(&[TYPE_TIMESTAMP, b'_', b'i', b'd', 0, 0, 0, 0, 0, 0, 0, 0, 0][..])
        );
        assert!(!has_empty(rawdoc! { "_id": 1, "b": set, "c": inner }.as_bytes()));
        assert_eq!(id(rawdoc! { "a": EMPTY_TIMESTAMP }.as_bytes()), None);
    }

    #[test]
    fn every_type_is_stepped_over() {
        let values: Vec<Bson> = vec![
            1.5.into(),
            "text".into(),
            doc! { "x": 1 }.into(),
            vec![Bson::Int32(1)].into(),
            Bson::Binary(bson::Binary {
                subtype: bson::spec::BinarySubtype::BinaryOld,
                bytes: vec![1, 2, 3],
            }),
            Bson::Undefined,
            bson::oid::ObjectId::new().into(),
            true.into(),
            bson::DateTime::now().into(),
            Bson::Null,
            Bson::RegularExpression(bson::Regex {
                pattern: "a".try_into().unwrap(),
                options: "i".try_into().unwrap(),
            }),
            Bson::JavaScriptCode("x".into()),
            Bson::Symbol("s".into()),
            Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope {
                code: "x".into(),
                scope: doc! { "y": 1 },
            }),
            1.into(),
            Bson::Int64(1),
            Bson::Decimal128("1.5".parse().unwrap()),
            Bson::MinKey,
            Bson::MaxKey,
        ];
        for value in values {
            let document = doc! { "v": value.clone(), "at": EMPTY_TIMESTAMP };
            let mut bytes = bson::serialize_to_vec(&document).unwrap();
            assert_eq!(empty(&bytes), [b"at"], "{value:?}");
            // A name that is not UTF-8 hides nothing.
            bytes[5] = 0xff;
            assert_eq!(empty(&bytes), [b"at"], "{value:?}");
            bytes.truncate(bytes.len() - 12);
            assert!(!has_empty(&bytes), "what is cut off is no reason to panic");
        }
    }
}

//! Options of a collection, a view or an index: as the bytes that a server sent or takes. Pure.
//!
//! A map would lose a name that stands twice, and text forms of BSON take some documents for values of other types. So
//! members are copied as they are, and only looked at by name.

use bson::raw::{BindRawBsonRef, CStr};
use bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use mongo_archive::{DocumentError, check_document};

const LENGTH_BYTES: usize = 4;
const EMPTY_BYTES: usize = 5;

/// A document whose members keep their order and their bytes. Where a name stands twice, the first is meant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Definition(RawDocumentBuf);

impl Definition {
    /// Takes bytes that are a document through and through, of at most 200 levels.
    ///
    /// # Errors
    /// Where and why they are not.
    pub fn checked(bytes: &[u8]) -> Result<Self, DocumentError> {
        check_document(bytes)?;
        let document = RawDocumentBuf::from_bytes(bytes.to_vec());
        document.map(Self).map_err(|_| DocumentError { offset: 0, what: "a document's length is wrong" })
    }

    /// The document.
    #[must_use]
    pub fn as_raw(&self) -> &RawDocument {
        &self.0
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is said under a name; nothing if it cannot be read.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<RawBsonRef<'_>> {
        self.0.get(name).ok().flatten()
    }

    /// Whether a name stands in it.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// The text under a name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// Whether a name says yes, in any way that a server takes for one: `true`, and numbers but for zero.
    #[must_use]
    pub fn says_yes(&self, name: &str) -> bool {
        match self.get(name) {
            Some(RawBsonRef::Boolean(yes)) => yes,
            Some(RawBsonRef::Int32(number)) => number != 0,
            Some(RawBsonRef::Int64(number)) => number != 0,
            Some(RawBsonRef::Double(number)) => number != 0.0,
            Some(RawBsonRef::Decimal128(number)) => {
                number.to_string().bytes().any(|digit| matches!(digit, b'1'..=b'9'))
            }
            _ => false,
        }
    }

    /// The document under a name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<Self> {
        Self::checked(self.get(name)?.as_document()?.as_bytes()).ok()
    }

    /// All names, in their order; those that are no text are left out.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        elements(self.as_bytes()).filter_map(|element| std::str::from_utf8(element.name).ok())
    }

    /// The same without what is not kept; names that are no text are not.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept = elements(self.as_bytes())
            .filter(|element| std::str::from_utf8(element.name).is_ok_and(&keep))
            .flat_map(|element| element.bytes);
        Self(of_elements(kept.copied()))
    }

    /// The same without a name.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        self.only(|known| known != name)
    }

    /// The same with another value under a name: in the place of the old one, or at the end.
    #[must_use]
    pub fn with(&self, name: &CStr, value: impl BindRawBsonRef) -> Self {
        let mut one = RawDocumentBuf::new();
        one.append(name, value);
        let new = one.as_bytes()[LENGTH_BYTES..one.as_bytes().len() - 1].to_vec();
        let mut bytes = Vec::with_capacity(self.as_bytes().len() + new.len());
        let mut is_there = false;
        for element in elements(self.as_bytes()) {
            match element.name == name.as_str().as_bytes() {
                false => bytes.extend_from_slice(element.bytes),
                true if is_there => {}
                true => {
                    bytes.extend_from_slice(&new);
                    is_there = true;
                }
            }
        }
        if !is_there {
            bytes.extend_from_slice(&new);
        }
        Self(of_elements(bytes))
    }

    /// These members and then those of another one.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let all = elements(self.as_bytes()).chain(elements(other.as_bytes()));
        Self(of_elements(all.flat_map(|element| element.bytes).copied()))
    }
}

impl From<RawDocumentBuf> for Definition {
    fn from(document: RawDocumentBuf) -> Self {
        Self(document)
    }
}

impl From<Definition> for RawDocumentBuf {
    fn from(definition: Definition) -> Self {
        definition.0
    }
}

fn of_elements(elements: impl IntoIterator<Item = u8>) -> RawDocumentBuf {
    let mut bytes = vec![0; LENGTH_BYTES];
    bytes.extend(elements);
    bytes.push(0);
    let length = i32::try_from(bytes.len()).unwrap_or(0);
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    // Only one above 2 GiB has no length; no server sends or takes it.
    RawDocumentBuf::from_bytes(bytes).unwrap_or_default()
}

/// A member: its name, and all of it.
pub(crate) struct Element<'a> {
    name: &'a [u8],
    bytes: &'a [u8],
}

/// The members of a document that was checked; of one that was not, those up to the first that is damaged.
fn elements(document: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let end = document.len().saturating_sub(1);
    let mut rest = document.get(LENGTH_BYTES..end).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&kind, named) = rest.split_first()?;
        let name = &named[..named.iter().position(|&byte| byte == 0)?];
        let value = &named[name.len() + 1..];
        let length = 1 + name.len() + 1 + value_bytes(kind, value)?;
        let (bytes, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(Element { name, bytes })
    })
}

/// How long a value is (bsonspec.org, version 1.1).
fn value_bytes(kind: u8, value: &[u8]) -> Option<usize> {
    let said = || value.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
    let c_string =
        |from: usize| value.get(from..)?.iter().position(|&byte| byte == 0).map(|at| from + at + 1);
    match kind {
        0x06 | 0x0a | 0x7f | 0xff => Some(0),
        0x08 => Some(1),
        0x10 => Some(4),
        0x01 | 0x09 | 0x11 | 0x12 => Some(8),
        0x07 => Some(12),
        0x13 => Some(16),
        0x02 | 0x0d | 0x0e => said()?.checked_add(LENGTH_BYTES),
        0x0c => said()?.checked_add(LENGTH_BYTES + 12),
        0x05 => said()?.checked_add(EMPTY_BYTES),
        0x03 | 0x04 | 0x0f => said(),
        0x0b => c_string(c_string(0)?),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bson::raw::cstr;
    use bson::{Document, rawdoc};

    use super::*;

    /// A definition by its members.
    #[allow(clippy::needless_pass_by_value, reason = "members are written where they are passed")]
    pub(crate) fn definition(members: Document) -> Definition {
        Definition(RawDocumentBuf::try_from(&members).unwrap())
    }

    fn twice() -> Definition {
        let mut document = rawdoc! { "a": 1, "b": { "x": [1, "two"] } };
        document.append(cstr!("a"), "again");
        Definition::checked(document.as_bytes()).unwrap()
    }

    #[test]
    fn members_keep_their_order_and_their_bytes() {
        let twice = twice();
        assert_eq!(twice.names().collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(twice.only(|_| true), twice);
        assert_eq!(twice.without("a"), Definition(rawdoc! { "b": { "x": [1, "two"] } }));
        assert_eq!(twice.with(cstr!("a"), true), Definition(rawdoc! { "a": true, "b": { "x": [1, "two"] } }));
        assert_eq!(twice.without("a").with(cstr!("c"), 5).names().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(twice.without("b").and(&twice).names().collect::<Vec<_>>(), ["a", "a", "a", "b", "a"]);
        assert_eq!(twice.part("b").unwrap().names().collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn every_type_is_passed_over_by_its_length() {
        let all = testing::every_type();
        let all = Definition::checked(all.as_bytes()).unwrap();
        assert_eq!(all.names().last(), Some("end"));
        assert_eq!(all.only(|_| true), all);
    }

    #[test]
    fn numbers_are_taken_for_yes_and_no() {
        for yes in [rawdoc! { "c": true }, rawdoc! { "c": 1 }, rawdoc! { "c": 1.0 }, rawdoc! { "c": 5_i64 }] {
            assert!(Definition(yes).says_yes("c"));
        }
        for no in [rawdoc! {}, rawdoc! { "c": false }, rawdoc! { "c": 0 }, rawdoc! { "c": "yes" }] {
            assert!(!Definition(no).says_yes("c"));
        }
    }

    pub(crate) mod testing {
        use super::*;

        /// A document with a value of every type of BSON, last a text `end`.
        pub(crate) fn every_type() -> RawDocumentBuf {
            let binary = bson::Binary {
                subtype: bson::spec::BinarySubtype::Uuid,
                bytes: (0..16).collect::<Vec<u8>>(),
            };
            let code = bson::RawJavaScriptCodeWithScope { code: "f()".into(), scope: rawdoc! { "x": 1 } };
            let regex = bson::Regex { pattern: cstr!("^a\"").into(), options: cstr!("i").into() };
            let mut all = rawdoc! {
                "double": 1.5, "whole": 1.0, "nan": f64::NAN, "large": 1e300, "below": f64::NEG_INFINITY, "minus": -0.0,
                "text": "a\"\\\u{1}\u{e9}\u{1f512}\u{2028}", "": "no name", "document": { "a.b": 1, "$c": {} }, "array": [1, [2]],
                "binary": binary, "id": bson::oid::ObjectId::from_bytes([7; 12]), "yes": true, "null": null,
                "at": bson::DateTime::from_millis(-62_135_596_800_001), "regex": regex, "code": code, "int": -5_i32,
                "timestamp": bson::Timestamp { time: u32::MAX, increment: 2 }, "long": i64::MIN,
            };
            let decimal = bson::Decimal128::from_bytes([1; 16]);
            all.append(cstr!("decimal"), decimal);
            all.append(cstr!("script"), bson::RawBson::JavaScriptCode("g()".into()));
            all.append(cstr!("symbol"), bson::RawBson::Symbol("s".into()));
            all.append(cstr!("undefined"), bson::RawBson::Undefined);
            all.append(cstr!("min"), bson::RawBson::MinKey);
            all.append(cstr!("max"), bson::RawBson::MaxKey);
            all.append(cstr!("end"), "end");
            all
        }
    }
}

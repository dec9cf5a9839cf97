//! Definitions as text: MongoDB's Extended JSON (version 2.0 of its specification), which archives hold.
//!
//! Some documents come back as something else, such as `{"$oid": "…"}`, which is an object id in that text. What must be
//! exact is kept as BSON beside it.

mod parse;
mod read;
mod write;

pub(crate) use read::{is_exact, read};
pub(crate) use write::{document, text};

/// The deepest nesting that is written and read. MongoDB takes 180 levels of BSON, some more in what its commands answer;
/// the wrappers of values, and what is around them, come on top.
const DEPTH_MAX: usize = 220;

#[cfg(test)]
mod tests {
    use bson::raw::cstr;
    use bson::{RawDocumentBuf, rawdoc};
    use proptest::prelude::*;

    use super::*;
    use crate::definition::tests::testing::every_type;

    fn again(of: &RawDocumentBuf) -> RawDocumentBuf {
        read(&document(of).unwrap()).unwrap().into()
    }

    #[test]
    fn every_type_comes_back() {
        let all = every_type();
        assert_eq!(again(&all).as_bytes(), all.as_bytes(), "{}", document(&all).unwrap());
        let by_serde: serde_json::Value = serde_json::from_str(&document(&all).unwrap()).unwrap();
        let theirs = bson::Bson::Document(bson::Document::try_from(all.as_ref()).unwrap());
        assert_eq!(by_serde["id"], theirs.clone().into_canonical_extjson()["id"]);
        assert_eq!(by_serde["code"], theirs.clone().into_canonical_extjson()["code"]);
        assert_eq!(by_serde["binary"], theirs.clone().into_canonical_extjson()["binary"]);
        assert_eq!(by_serde["decimal"], theirs.into_canonical_extjson()["decimal"]);
    }

    #[test]
    fn a_name_that_stands_twice_comes_back_twice() {
        let mut twice = rawdoc! { "$or": [1] };
        twice.append(cstr!("$or"), rawdoc! { "b": 2 });
        assert_eq!(again(&twice), twice);
    }

    #[test]
    fn look_alikes_of_values_stay_documents_unless_they_are_right() {
        for same in [
            rawdoc! { "a": { "$oid": "zz" } },
            rawdoc! { "a": { "$uuid": "x" } },
            rawdoc! { "a": { "$date": "yesterday" } },
            rawdoc! { "a": { "$numberInt": "5x" } },
            rawdoc! { "a": { "$binary": "??", "$type": "04" } },
            rawdoc! { "a": { "$numberDecimal": "many" } },
            rawdoc! { "a": { "$timestamp": { "t": -1, "i": 1 } } },
            rawdoc! { "a": { "$regex": "^a", "$options": "i" } },
            rawdoc! { "a": { "$minKey": 2, "more": 1 } },
            rawdoc! { "a": { "$undefined": false } },
        ] {
            assert_eq!(again(&same), same);
            let is_operator = same.get_document("a").unwrap().get("$regex").unwrap().is_some();
            let text = document(&same).unwrap();
            assert_eq!(is_exact(&text, &same.clone().into()), is_operator, "{text}: other readers refuse it");
        }
        let look_alike = rawdoc! { "a": { "$oid": "000000000000000000000001" } };
        assert_ne!(again(&look_alike), look_alike, "this is why the bytes are kept");
    }

    #[test]
    fn nesting_is_read_as_deep_as_mongodb_takes_it_and_no_deeper() {
        let nested = |levels: usize| (1..levels).fold(rawdoc! { "x": 1 }, |inner, _| rawdoc! { "a": inner });
        assert_eq!(again(&nested(180)), nested(180));
        assert!(document(&nested(300)).is_none());
        assert!(read(&format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000))).is_err());
        assert!(read(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn what_is_not_text_cannot_be_written() {
        let mut bytes = rawdoc! { "a": "xy" }.into_bytes();
        bytes[11] = 0xff;
        assert_eq!(document(&RawDocumentBuf::from_bytes(bytes).unwrap()), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r#"[\[\]{}",:$a-z0-9\\. -]{0,60}"#) {
            if let (Ok(read), Ok(theirs)) = (read(&text), serde_json::from_str::<serde_json::Value>(&text)) {
                prop_assert_eq!(read.names().next().is_none(), theirs.as_object().unwrap().is_empty());
            }
            prop_assert_eq!(parse::parse(&text).is_ok(), serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }

        #[test]
        fn doubles_and_texts_come_back(number in any::<f64>(), text in any::<String>()) {
            let value = rawdoc! { "number": number, "text": text };
            let found = again(&value);
            prop_assert_eq!(found.as_bytes(), value.as_bytes());
        }
    }
}

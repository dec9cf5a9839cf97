//! What a target says of its collections, views and indexes, compared with what was asked for. Pure.

use bson::{RawBson, RawBsonRef, RawDocument};

use crate::definition::Definition;

/// Their values are compared byte by byte: a server keeps them as they are, and their meaning is in every byte.
const EXACT: [&str; 3] = ["validator", "pipeline", "partialFilterExpression"];
/// Not in what servers list, or listed by other names.
const NOT_LISTED: [&str; 7] =
    ["idIndex", "recordPreImages", "recordIdsReplicated", "autoIndexId", "v", "background", "dropDups"];
/// What differs from server to server.
const OF_THE_SERVER: [&str; 1] = ["version"];

/// The names of what was asked for and is not so. What a server adds by itself is no difference.
pub(super) fn differences(asked: &Definition, found: &Definition) -> Vec<String> {
    let is_different = |name: &str| {
        !NOT_LISTED.contains(&name)
            && !asked.get(name).is_some_and(|value| is_so(name, value, found.get(name)))
    };
    asked.names().filter(|name| is_different(name)).map(str::to_owned).collect()
}

fn is_so(name: &str, asked: RawBsonRef<'_>, found: Option<RawBsonRef<'_>>) -> bool {
    let Some(found) = found else { return says_nothing(asked) || is_simple(name, asked) };
    match name {
        name if EXACT.contains(&name) => bytes(asked) == bytes(found),
        // Servers round the size of a ring up.
        "size" => number(found) >= number(asked),
        "key" => names(asked) == names(found) && is_within(asked, found),
        _ => is_within(asked, found),
    }
}

/// The simple collation is what there is where none is listed.
fn is_simple(name: &str, asked: RawBsonRef<'_>) -> bool {
    let locale = asked.as_document().and_then(|collation| collation.get_str("locale").ok());
    name == "collation" && locale == Some("simple")
}

fn says_nothing(value: RawBsonRef<'_>) -> bool {
    match value {
        RawBsonRef::Null | RawBsonRef::Undefined | RawBsonRef::Boolean(false) => true,
        RawBsonRef::Document(document) => document.is_empty(),
        value => number(value) == Some(0.0),
    }
}

fn is_within(asked: RawBsonRef<'_>, found: RawBsonRef<'_>) -> bool {
    match (asked, found) {
        (RawBsonRef::Document(asked), RawBsonRef::Document(found)) => document_is_within(asked, found),
        (RawBsonRef::Array(asked), RawBsonRef::Array(found)) => {
            let (mut asked, mut found) = (asked.into_iter().flatten(), found.into_iter().flatten());
            let all = asked.by_ref().all(|asked| found.next().is_some_and(|found| is_within(asked, found)));
            all && found.next().is_none()
        }
        (asked, found) => match (number(asked), number(found)) {
            (Some(asked), Some(found)) => asked == found || (asked.is_nan() && found.is_nan()),
            _ => bytes(asked) == bytes(found),
        },
    }
}

fn document_is_within(asked: &RawDocument, found: &RawDocument) -> bool {
    let is_there = |name: &str, value| match found.get(name) {
        Ok(Some(found)) => is_within(value, found),
        _ => says_nothing(value),
    };
    let mut members = asked.iter().flatten().filter(|(name, _)| !OF_THE_SERVER.contains(&name.as_str()));
    members.all(|(name, value)| is_there(name.as_str(), value))
}

fn names(value: RawBsonRef<'_>) -> Vec<String> {
    let members = value.as_document().map(|document| document.iter().flatten());
    members.map(|members| members.map(|(name, _)| name.as_str().to_owned()).collect()).unwrap_or_default()
}

fn number(value: RawBsonRef<'_>) -> Option<f64> {
    match value {
        RawBsonRef::Boolean(yes) => Some(f64::from(u8::from(yes))),
        RawBsonRef::Int32(number) => Some(f64::from(number)),
        RawBsonRef::Int64(number) => Some(number as f64),
        RawBsonRef::Double(number) => Some(number),
        RawBsonRef::Decimal128(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// A value as a document of its own, whose bytes tell whether it is the same.
fn bytes(value: RawBsonRef<'_>) -> Vec<u8> {
    bson::rawdoc! { "": RawBson::from(value) }.into_bytes()
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;
    use crate::definition::tests::definition;

    fn different(asked: Document, found: Document) -> Vec<String> {
        differences(&definition(asked), &definition(found))
    }

    #[test]
    fn what_a_server_adds_is_no_difference() {
        for (asked, found) in [
            (doc! { "capped": 1, "size": 5 }, doc! { "capped": true, "size": 256 }),
            (doc! { "capped": false }, doc! {}),
            (doc! { "validator": { "a": 1 } }, doc! { "validator": { "a": 1 }, "validationLevel": "strict" }),
            (
                doc! { "timeseries": { "timeField": "t" } },
                doc! { "timeseries": { "timeField": "t", "granularity": "seconds" } },
            ),
            (
                doc! { "collation": { "locale": "fr", "version": "1" } },
                doc! { "collation": { "locale": "fr", "version": "2" } },
            ),
            (
                doc! { "key": { "a": 1.0 }, "name": "a", "v": 1 },
                doc! { "v": 2, "key": { "a": 1 }, "name": "a" },
            ),
            (doc! { "collation": { "locale": "simple" } }, doc! {}),
            (
                doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true } },
                doc! { "clusteredIndex": { "v": 2, "key": { "_id": 1 }, "name": "c", "unique": true } },
            ),
        ] {
            assert_eq!(different(asked.clone(), found), Vec::<String>::new(), "{asked}");
        }
    }

    #[test]
    fn what_is_not_as_it_was_asked_for_is_named() {
        for (asked, found, name) in [
            (doc! { "validator": { "a": 1 } }, doc! { "validator": { "a": 1_i64 } }, "validator"),
            (doc! { "pipeline": [] }, doc! { "pipeline": [{}] }, "pipeline"),
            (doc! { "size": 4096 }, doc! { "size": 256 }, "size"),
            (doc! { "capped": true }, doc! {}, "capped"),
            (doc! { "key": { "a": 1, "b": 1 } }, doc! { "key": { "b": 1, "a": 1 } }, "key"),
            (doc! { "unique": true }, doc! {}, "unique"),
            (doc! { "expireAfterSeconds": 5 }, doc! { "expireAfterSeconds": 6 }, "expireAfterSeconds"),
            (doc! { "viewOn": "a" }, doc! { "viewOn": "b" }, "viewOn"),
        ] {
            assert_eq!(different(asked, found), [name]);
        }
    }
}

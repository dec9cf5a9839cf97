//! Extended JSON as BSON: version 2, canonical and relaxed, and version 1, which MongoDB's tools wrote before 4.2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::raw::CStr;
use bson::spec::BinarySubtype;
use bson::{Binary, RawArrayBuf, RawBson, RawDocumentBuf, RawJavaScriptCodeWithScope, Regex, Timestamp};

use super::parse::{Json, parse};
use crate::definition::Definition;

/// What the objects begin with that stand for values of other types (Extended JSON specification, version 2.1).
const WRAPPERS: [&str; 17] = [
    "$oid",
    "$symbol",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$binary",
    "$uuid",
    "$code",
    "$scope",
    "$timestamp",
    "$regularExpression",
    "$dbPointer",
    "$date",
    "$minKey",
    "$maxKey",
    "$undefined",
];

/// Reads an object. What only looks like a value of another type, as `{"$oid": "no id"}` does, is taken for a document.
///
/// # Errors
/// Where it is not JSON, and what is wrong there.
pub(crate) fn read(text: &str) -> Result<Definition, String> {
    let Json::Object(members) = parse(text)? else { return Err("it is not an object".into()) };
    let document = document(members)?;
    Definition::checked(document.as_bytes()).map_err(|wrong| wrong.to_string())
}

/// Whether any reader takes a text for this definition. Others refuse what only looks like a value of another type.
pub(crate) fn is_exact(text: &str, definition: &Definition) -> bool {
    let is_clear = parse(text).is_ok_and(|json| is_clear(&json));
    is_clear && read(text).is_ok_and(|read| read == *definition)
}

fn is_clear(json: &Json) -> bool {
    match json {
        Json::Array(values) => values.iter().all(is_clear),
        Json::Object(members) => {
            let looks_wrapped = members.first().is_some_and(|(name, _)| WRAPPERS.contains(&name.as_str()));
            let is_wrapped = matches!(wrapped(members), Ok(Some(_)));
            is_wrapped || (!looks_wrapped && members.iter().all(|(_, value)| is_clear(value)))
        }
        Json::Null | Json::Boolean(_) | Json::Number(_) | Json::String(_) => true,
    }
}

fn document(members: Vec<(String, Json)>) -> Result<RawDocumentBuf, String> {
    let mut document = RawDocumentBuf::new();
    for (name, json) in members {
        let name =
            <&CStr>::try_from(name.as_str()).map_err(|_| format!("the name {name:?} holds a zero byte"))?;
        document.append(name, value(json)?);
    }
    Ok(document)
}

fn value(json: Json) -> Result<RawBson, String> {
    Ok(match json {
        Json::Null => RawBson::Null,
        Json::Boolean(value) => RawBson::Boolean(value),
        Json::Number(number) => self::number(&number)?,
        Json::String(value) => RawBson::String(value),
        Json::Array(values) => {
            let mut array = RawArrayBuf::new();
            for json in values {
                array.push(value(json)?);
            }
            RawBson::Array(array)
        }
        Json::Object(members) => match wrapped(&members)? {
            Some(value) => value,
            None => RawBson::Document(document(members)?),
        },
    })
}

/// A relaxed number: the smallest type that holds it.
fn number(text: &str) -> Result<RawBson, String> {
    if let Ok(number) = text.parse::<i32>()
        && text != "-0"
    {
        return Ok(RawBson::Int32(number));
    }
    if let Ok(number) = text.parse::<i64>()
        && text != "-0"
    {
        return Ok(RawBson::Int64(number));
    }
    text.parse().map(RawBson::Double).map_err(|_| format!("{text} is not a number"))
}

/// The value that an object stands for, if it does for one.
fn wrapped(members: &[(String, Json)]) -> Result<Option<RawBson>, String> {
    Ok(match members {
        [(name, json)] if name.starts_with('$') => one(name, json),
        [(a, json), (b, more)] if a.starts_with('$') && b.starts_with('$') => {
            match ((a.as_str(), json), (b.as_str(), more)) {
                (("$code", Json::String(code)), ("$scope", Json::Object(scope)))
                | (("$scope", Json::Object(scope)), ("$code", Json::String(code))) => {
                    let scope = document(scope.clone())?;
                    Some(RawBson::JavaScriptCodeWithScope(RawJavaScriptCodeWithScope {
                        code: code.clone(),
                        scope,
                    }))
                }
                (("$binary", Json::String(bytes)), ("$type", kind))
                | (("$type", kind), ("$binary", Json::String(bytes))) => binary(bytes, kind),
                _ => None,
            }
        }
        _ => None,
    })
}

fn one(name: &str, json: &Json) -> Option<RawBson> {
    match (name, json) {
        ("$oid", Json::String(id)) => bson::oid::ObjectId::parse_str(id).ok().map(RawBson::ObjectId),
        ("$numberInt", Json::String(number)) => number.parse().ok().map(RawBson::Int32),
        ("$numberLong", Json::String(number) | Json::Number(number)) => {
            number.parse().ok().map(RawBson::Int64)
        }
        ("$numberDouble", Json::String(number)) => double(number).map(RawBson::Double),
        ("$numberDecimal", Json::String(number)) => number.parse().ok().map(RawBson::Decimal128),
        ("$symbol", Json::String(symbol)) => Some(RawBson::Symbol(symbol.clone())),
        ("$code", Json::String(code)) => Some(RawBson::JavaScriptCode(code.clone())),
        ("$undefined", Json::Boolean(true)) => Some(RawBson::Undefined),
        ("$minKey", one) if is_one(one) => Some(RawBson::MinKey),
        ("$maxKey", one) if is_one(one) => Some(RawBson::MaxKey),
        ("$date", at) => date(at).map(|at| RawBson::DateTime(bson::DateTime::from_millis(at))),
        ("$uuid", Json::String(uuid)) => {
            let bytes = bson::Uuid::parse_str(uuid).ok()?.bytes().to_vec();
            Some(RawBson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes }))
        }
        ("$binary", Json::Object(members)) => match two(members, "base64", "subType")? {
            (Json::String(bytes), kind) => binary(bytes, kind),
            _ => None,
        },
        ("$timestamp", Json::Object(members)) => {
            let (t, i) = two(members, "t", "i")?;
            Some(RawBson::Timestamp(Timestamp { time: small(t)?, increment: small(i)? }))
        }
        ("$regularExpression", Json::Object(members)) => match two(members, "pattern", "options")? {
            (Json::String(pattern), Json::String(options)) => {
                let c = |text: &str| text.to_owned().try_into().ok();
                Some(RawBson::RegularExpression(Regex { pattern: c(pattern)?, options: c(options)? }))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The values of an object of exactly these two names.
fn two<'a>(members: &'a [(String, Json)], one: &str, other: &str) -> Option<(&'a Json, &'a Json)> {
    match members {
        [(a, x), (b, y)] if a == one && b == other => Some((x, y)),
        [(a, x), (b, y)] if a == other && b == one => Some((y, x)),
        _ => None,
    }
}

fn is_one(json: &Json) -> bool {
    match json {
        Json::Number(number) => number == "1",
        Json::Object(members) => matches!(
            members.as_slice(),
            [(name, Json::String(number))] if name == "$numberInt" && number == "1"
        ),
        _ => false,
    }
}

fn small(json: &Json) -> Option<u32> {
    let Json::Number(number) = json else { return None };
    number.parse().ok()
}

fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        // Rust reads words for these too, which are none here.
        text if text.bytes().any(|byte| matches!(byte, b'n' | b'N' | b'i' | b'I')) => None,
        text => text.parse().ok(),
    }
}

/// `kind` is a subtype in hex digits; version 1 also had numbers.
fn binary(bytes: &str, kind: &Json) -> Option<RawBson> {
    let kind = match kind {
        Json::String(kind) if kind.len() <= 2 => u8::from_str_radix(kind, 16).ok()?,
        // Version 1 wrote user-defined subtypes as negative numbers in hex digits.
        Json::String(kind) if kind.len() == 8 => u8::from_str_radix(kind.strip_prefix("ffffff")?, 16).ok()?,
        Json::Number(kind) => kind.parse().ok()?,
        _ => return None,
    };
    let bytes = STANDARD.decode(bytes).ok()?;
    Some(RawBson::Binary(Binary { subtype: BinarySubtype::from(kind), bytes }))
}

/// Milliseconds since 1970. Version 1 wrote numbers, and offsets without a colon.
fn date(json: &Json) -> Option<i64> {
    match json {
        Json::Number(number) => number.parse().ok(),
        Json::Object(members) => match members.as_slice() {
            [(name, Json::String(number))] if name == "$numberLong" => number.parse().ok(),
            _ => None,
        },
        Json::String(at) => {
            let read = chrono::DateTime::parse_from_rfc3339(at)
                .or_else(|_| chrono::DateTime::parse_from_str(at, "%Y-%m-%dT%H:%M:%S%.f%z"));
            read.ok().map(|at| at.timestamp_millis())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn relaxed_text_and_that_of_version_1_are_read() {
        let text = r#"{"a": 1, "b": 3000000000, "c": 1.5, "d": 1e3, "u": {"$binary": "AAECAwQFBgcICQoLDA0ODw==", "$type": "04"},
            "g": {"$binary": "AA==", "$type": 0}, "at": {"$date": "2016-01-02T03:04:05.678+0000"}, "z": {"$date": "2016-01-02T03:04:05.678Z"},
            "m": {"$date": 5}, "l": {"$numberLong": "7"}, "t": {"$timestamp": {"t": 1, "i": 2}}, "n": {"$undefined": true},
            "i": -Infinity, "r": {"$regex": "^a", "$options": "i"}, "d2": {"$ref": "c", "$id": {"$oid": "000000000000000000000001"}}}"#;
        let at = bson::DateTime::from_millis(1_451_703_845_678);
        let binary = |subtype, bytes: Vec<u8>| Binary { subtype, bytes };
        let id = bson::oid::ObjectId::parse_str("000000000000000000000001").unwrap();
        let mut expected = rawdoc! {
            "a": 1, "b": 3_000_000_000_i64, "c": 1.5, "d": 1000.0, "u": binary(BinarySubtype::Uuid, (0..16).collect()),
            "g": binary(BinarySubtype::Generic, vec![0]), "at": at, "z": at, "m": bson::DateTime::from_millis(5), "l": 7_i64,
            "t": Timestamp { time: 1, increment: 2 },
        };
        expected.append(bson::raw::cstr!("n"), RawBson::Undefined);
        expected.append(bson::raw::cstr!("i"), f64::NEG_INFINITY);
        expected.append(bson::raw::cstr!("r"), rawdoc! { "$regex": "^a", "$options": "i" });
        expected.append(bson::raw::cstr!("d2"), rawdoc! { "$ref": "c", "$id": id });
        assert_eq!(RawDocumentBuf::from(read(text).unwrap()), expected);
    }

    #[test]
    fn what_is_no_object_says_where() {
        for (text, wrong) in [
            ("[]", "not an object"),
            (r#"{"a": tru}"#, "at byte 6"),
            (r#"{"a": 1} x"#, "at byte 9"),
            (r#"{"a\u0000b": 1}"#, "zero byte"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(wrong), "{text}: {found}");
        }
    }
}

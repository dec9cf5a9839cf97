//! BSON as canonical Extended JSON, in its order, with names that stand twice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::{RawArray, RawBsonRef, RawDocument};

use super::DEPTH_MAX;

/// A document as text; none if it holds what is no text, or is nested too deeply.
pub(crate) fn document(document: &RawDocument) -> Option<String> {
    let mut writer = Writer { text: String::new(), depth: 0 };
    writer.document(document)?;
    Some(writer.text)
}

/// A JSON string.
pub(crate) fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn document(&mut self, document: &RawDocument) -> Option<()> {
        self.deeper('{')?;
        for (place, element) in document.iter().enumerate() {
            let (name, value) = element.ok()?;
            self.put(if place == 0 { "" } else { "," });
            self.put(&text(name.as_str()));
            self.put(":");
            self.value(value)?;
        }
        self.higher('}')
    }

    fn array(&mut self, array: &RawArray) -> Option<()> {
        self.deeper('[')?;
        for (place, value) in array.into_iter().enumerate() {
            self.put(if place == 0 { "" } else { "," });
            self.value(value.ok()?)?;
        }
        self.higher(']')
    }

    fn deeper(&mut self, bracket: char) -> Option<()> {
        self.depth += 1;
        self.text.push(bracket);
        (self.depth <= DEPTH_MAX).then_some(())
    }

    fn higher(&mut self, bracket: char) -> Option<()> {
        self.depth -= 1;
        self.text.push(bracket);
        Some(())
    }

    fn value(&mut self, value: RawBsonRef<'_>) -> Option<()> {
        match value {
            RawBsonRef::Document(document) => return self.document(document),
            RawBsonRef::Array(array) => return self.array(array),
            RawBsonRef::JavaScriptCodeWithScope(code) => {
                self.put(&format!(r#"{{"$code":{},"$scope":"#, text(code.code)));
                self.document(code.scope)?;
                self.put("}");
            }
            value => {
                let written = plain(value).or_else(|| wrapped(value))?;
                self.put(&written);
            }
        }
        Some(())
    }
}

/// Values that JSON has.
fn plain(value: RawBsonRef<'_>) -> Option<String> {
    match value {
        RawBsonRef::String(value) => Some(text(value)),
        RawBsonRef::Boolean(value) => Some(value.to_string()),
        RawBsonRef::Null => Some("null".into()),
        _ => None,
    }
}

/// Values that JSON has not.
fn wrapped(value: RawBsonRef<'_>) -> Option<String> {
    let one = |wrapper: &str, value: String| Some(format!(r#"{{"{wrapper}":{value}}}"#));
    match value {
        RawBsonRef::Double(number) => one("$numberDouble", text(&double(number))),
        RawBsonRef::Int32(number) => one("$numberInt", text(&number.to_string())),
        RawBsonRef::Int64(number) => one("$numberLong", text(&number.to_string())),
        RawBsonRef::Decimal128(number) => one("$numberDecimal", text(&number.to_string())),
        RawBsonRef::DateTime(at) => one("$date", format!(r#"{{"$numberLong":"{}"}}"#, at.timestamp_millis())),
        RawBsonRef::ObjectId(id) => one("$oid", text(&id.to_hex())),
        RawBsonRef::Symbol(symbol) => one("$symbol", text(symbol)),
        RawBsonRef::JavaScriptCode(code) => one("$code", text(code)),
        RawBsonRef::Undefined => one("$undefined", "true".into()),
        RawBsonRef::MinKey => one("$minKey", "1".into()),
        RawBsonRef::MaxKey => one("$maxKey", "1".into()),
        RawBsonRef::Timestamp(at) => {
            one("$timestamp", format!(r#"{{"t":{},"i":{}}}"#, at.time, at.increment))
        }
        RawBsonRef::Binary(binary) => {
            let (bytes, subtype) = (STANDARD.encode(binary.bytes), u8::from(binary.subtype));
            one("$binary", format!(r#"{{"base64":"{bytes}","subType":"{subtype:02x}"}}"#))
        }
        RawBsonRef::RegularExpression(regex) => {
            let (pattern, options) = (text(regex.pattern.as_str()), text(regex.options.as_str()));
            one("$regularExpression", format!(r#"{{"pattern":{pattern},"options":{options}}}"#))
        }
        // A pointer, which is long out of use and cannot be looked into here: the bytes are kept instead.
        _ => None,
    }
}

/// The shortest digits that are this number again; whole numbers have a point, so that they stay doubles.
fn double(number: f64) -> String {
    match number {
        number if number.is_nan() => "NaN".into(),
        number if number.is_infinite() => (if number > 0.0 { "Infinity" } else { "-Infinity" }).into(),
        number => format!("{number:?}"),
    }
}

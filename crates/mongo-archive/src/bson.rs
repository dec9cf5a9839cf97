//! Just enough BSON for the headers of an archive: flat documents of strings, booleans and integers.

const TYPE_STRING: u8 = 0x02;
const TYPE_BOOLEAN: u8 = 0x08;
const TYPE_INT32: u8 = 0x10;
const TYPE_INT64: u8 = 0x12;

/// A value in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Flag(bool),
    Int32(i32),
    Int64(i64),
}

/// Writes a document with these fields. Names and texts hold no NUL in their names, as they come from here.
pub(crate) fn write(fields: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut document = vec![0; 4];
    for (name, value) in fields {
        let kind = match value {
            Value::Text(_) => TYPE_STRING,
            Value::Flag(_) => TYPE_BOOLEAN,
            Value::Int32(_) => TYPE_INT32,
            Value::Int64(_) => TYPE_INT64,
        };
        document.push(kind);
        document.extend_from_slice(name.as_bytes());
        document.push(0);
        match value {
            Value::Text(text) => {
                document.extend_from_slice(&(text.len() as u32 + 1).to_le_bytes());
                document.extend_from_slice(text.as_bytes());
                document.push(0);
            }
            Value::Flag(flag) => document.push(u8::from(*flag)),
            Value::Int32(number) => document.extend_from_slice(&number.to_le_bytes()),
            Value::Int64(number) => document.extend_from_slice(&number.to_le_bytes()),
        }
    }
    document.push(0);
    let length = document.len() as u32;
    document[..4].copy_from_slice(&length.to_le_bytes());
    document
}

/// Reads exactly the named fields, in any order, each once and no others.
pub(crate) fn read<'a, const N: usize>(
    document: &'a [u8],
    names: [&'static str; N],
) -> Result<[Value<'a>; N], String> {
    let mut found: [Option<Value<'a>>; N] = [None; N];
    // The length in front and the NUL at the end were checked when the document was cut out.
    let mut rest = document.get(4..document.len().saturating_sub(1)).unwrap_or_default();
    while !rest.is_empty() {
        let (name, value, after) = element(rest)?;
        rest = after;
        let place = names.iter().position(|n| *n == name);
        let Some(place) = place else { return Err(format!("the unknown field `{}`", name.escape_debug())) };
        if found[place].replace(value).is_some() {
            return Err(format!("the field `{name}` twice"));
        }
    }
    let mut values = [Value::Flag(false); N];
    for (place, value) in found.into_iter().enumerate() {
        values[place] = value.ok_or_else(|| format!("no field `{}`", names[place]))?;
    }
    Ok(values)
}

fn element(bytes: &[u8]) -> Result<(&str, Value<'_>, &[u8]), String> {
    let short = || "an element that is cut off".to_owned();
    let (&kind, rest) = bytes.split_first().ok_or_else(short)?;
    let end = rest.iter().position(|&b| b == 0).ok_or_else(short)?;
    let name = utf8(&rest[..end])?;
    let rest = &rest[end + 1..];
    let (value, rest) = match kind {
        TYPE_STRING => {
            let (text, rest) = text(rest)?;
            (Value::Text(text), rest)
        }
        TYPE_BOOLEAN => {
            let (&flag, rest) = rest.split_first().ok_or_else(short)?;
            (Value::Flag(flag != 0), rest)
        }
        TYPE_INT32 => {
            let (number, rest) = rest.split_first_chunk().ok_or_else(short)?;
            (Value::Int32(i32::from_le_bytes(*number)), rest)
        }
        TYPE_INT64 => {
            let (number, rest) = rest.split_first_chunk().ok_or_else(short)?;
            (Value::Int64(i64::from_le_bytes(*number)), rest)
        }
        kind => return Err(format!("a field of the unexpected type 0x{kind:02x}")),
    };
    Ok((name, value, rest))
}

fn text(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let bad = || "a string whose length is wrong".to_owned();
    let (length, rest) = bytes.split_first_chunk().ok_or_else(bad)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (text, rest) = rest.split_at_checked(length).ok_or_else(bad)?;
    let (&0, text) = text.split_last().ok_or_else(bad)? else { return Err(bad()) };
    Ok((utf8(text)?, rest))
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8".to_owned())
}

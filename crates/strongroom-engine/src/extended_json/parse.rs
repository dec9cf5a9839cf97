//! JSON with what other readers lose: names that stand twice, and numbers as they are written. Nesting has a limit of
//! its own.

use super::DEPTH_MAX;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Boolean(bool),
    /// As it is written.
    Number(String),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Reads one value and nothing else.
///
/// # Errors
/// Where it is not JSON, and what is wrong there.
pub(super) fn parse(text: &str) -> Result<Json, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let value = parser.value()?;
    parser.space();
    if parser.at == text.len() { Ok(value) } else { Err(parser.fault("something follows its end")) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn fault(&self, what: &str) -> String {
        format!("at byte {}: {what}", self.at)
    }

    fn space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&mut self) -> Option<u8> {
        self.space();
        self.text.as_bytes().get(self.at).copied()
    }

    fn is_next(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn value(&mut self) -> Result<Json, String> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') if !self.text[self.at..].starts_with("-I") => self.number(),
            _ => self.word(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, String>) -> Result<Json, String> {
        if self.depth == DEPTH_MAX {
            return Err(self.fault("it is nested too deeply"));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Json, String> {
        let mut members = Vec::new();
        if self.is_next(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault("a name is missing"));
            }
            let name = self.string()?;
            if !self.is_next(b':') {
                return Err(self.fault("a colon is missing"));
            }
            members.push((name, self.value()?));
            match (self.is_next(b','), self.is_next(b'}')) {
                (true, false) => {}
                (false, true) => return Ok(Json::Object(members)),
                _ => return Err(self.fault("an object does not go on and does not end")),
            }
        }
    }

    fn array(&mut self) -> Result<Json, String> {
        let mut values = Vec::new();
        if self.is_next(b']') {
            return Ok(Json::Array(values));
        }
        loop {
            values.push(self.value()?);
            match (self.is_next(b','), self.is_next(b']')) {
                (true, false) => {}
                (false, true) => return Ok(Json::Array(values)),
                _ => return Err(self.fault("an array does not go on and does not end")),
            }
        }
    }

    /// Where a string ends is looked for here; what is in it is unescaped by the library.
    fn string(&mut self) -> Result<String, String> {
        let rest = &self.text[self.at..];
        let mut escaped = false;
        let end = rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let end = end.ok_or_else(|| self.fault("a text does not end"))? + 2;
        let string = serde_json::from_str(&rest[..end]).map_err(|_| self.fault("a text is not one"))?;
        self.at += end;
        Ok(string)
    }

    fn number(&mut self) -> Result<Json, String> {
        let rest = &self.text[self.at..];
        let length =
            rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        let number = &rest[..length.count()];
        if serde_json::from_str::<serde_json::Number>(number).is_err() {
            return Err(self.fault("a number is not one"));
        }
        self.at += number.len();
        Ok(Json::Number(number.to_owned()))
    }

    fn word(&mut self) -> Result<Json, String> {
        let number = |text: &str| Json::Number(text.to_owned());
        let words = [
            ("null", Json::Null),
            ("true", Json::Boolean(true)),
            ("false", Json::Boolean(false)),
            // No JSON, but MongoDB's tools wrote it before version 3.
            ("NaN", number("NaN")),
            ("Infinity", number("Infinity")),
            ("-Infinity", number("-Infinity")),
        ];
        for (word, value) in words {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.fault("a value is missing"))
    }
}

//! Whether bytes are a BSON document through and through (bsonspec.org, version 1.1): lengths, types and ends,
//! deprecated types included. Text is not checked for UTF-8, as MongoDB stores what it is given.

/// The deepest nesting: MongoDB refuses documents nested deeper than 180 levels.
const DEPTH_MAX: u32 = 200;

/// Where and why bytes are not a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {what}")]
pub struct DocumentError {
    /// From the document's first byte.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// Walks a document without allocating.
///
/// # Errors
/// At the first byte that contradicts BSON.
pub fn check_document(document: &[u8]) -> Result<(), DocumentError> {
    let mut walk = Walk { bytes: document, at: 0 };
    walk.document(0)?;
    if walk.at == document.len() { Ok(()) } else { Err(walk.fault("bytes after the document's end")) }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn fault(&self, what: &'static str) -> DocumentError {
        DocumentError { offset: self.at, what }
    }

    fn document(&mut self, depth: u32) -> Result<(), DocumentError> {
        if depth > DEPTH_MAX {
            return Err(self.fault("documents nested too deeply"));
        }
        let start = self.at;
        let length = self.length()?;
        let end = start.checked_add(length).filter(|&end| length >= 5 && end <= self.bytes.len());
        let Some(end) = end else {
            return Err(DocumentError { offset: start, what: "a document's length is wrong" });
        };
        loop {
            match self.byte()? {
                0 if self.at == end => return Ok(()),
                0 => return Err(self.fault("a document ends before its length says")),
                kind => self.element(kind, depth)?,
            }
            if self.at >= end {
                return Err(self.fault("a document goes on after its length's end"));
            }
        }
    }

    fn element(&mut self, kind: u8, depth: u32) -> Result<(), DocumentError> {
        self.c_string()?;
        match kind {
            0x01 | 0x09 | 0x11 | 0x12 => self.skip(8),
            0x02 | 0x0d | 0x0e => self.string(),
            0x03 | 0x04 => self.document(depth + 1),
            0x05 => {
                let length = self.length()?;
                self.skip(1)?;
                self.skip(length)
            }
            0x06 | 0x0a | 0x7f | 0xff => Ok(()),
            0x07 => self.skip(12),
            0x08 => self.skip(1),
            0x0b => {
                self.c_string()?;
                self.c_string()
            }
            0x0c => {
                self.string()?;
                self.skip(12)
            }
            0x0f => self.code_with_scope(depth),
            0x10 => self.skip(4),
            0x13 => self.skip(16),
            _ => Err(self.fault("an element of an unknown type")),
        }
    }

    fn code_with_scope(&mut self, depth: u32) -> Result<(), DocumentError> {
        let start = self.at;
        let length = self.length()?;
        self.string()?;
        self.document(depth + 1)?;
        if self.at - start == length {
            Ok(())
        } else {
            Err(self.fault("the length of code with scope is wrong"))
        }
    }

    fn string(&mut self) -> Result<(), DocumentError> {
        let length = self.length()?;
        if length == 0 {
            return Err(self.fault("a string without its final zero byte"));
        }
        self.skip(length - 1)?;
        if self.byte()? == 0 { Ok(()) } else { Err(self.fault("a string's length is wrong")) }
    }

    fn c_string(&mut self) -> Result<(), DocumentError> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == 0).ok_or_else(|| self.fault("a name that does not end"))?;
        self.at += end + 1;
        Ok(())
    }

    fn length(&mut self) -> Result<usize, DocumentError> {
        let length = self.bytes[self.at..].first_chunk().copied();
        let length = length.ok_or_else(|| self.fault("the document is cut off"))?;
        let length =
            usize::try_from(i32::from_le_bytes(length)).map_err(|_| self.fault("a length is negative"))?;
        self.at += 4;
        Ok(length)
    }

    fn byte(&mut self) -> Result<u8, DocumentError> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(|| self.fault("the document is cut off"))?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), DocumentError> {
        if bytes > self.bytes.len() - self.at {
            return Err(self.fault("the document is cut off"));
        }
        self.at += bytes;
        Ok(())
    }
}

//! Whether bytes are a BSON document through and through (bsonspec.org, version 1.1): lengths, types and ends,
//! deprecated types included. Text is not checked for UTF-8, as MongoDB stores what it is given.

/// The deepest nesting: MongoDB refuses documents nested deeper than 180 levels, or where it is set up so (its parameter
/// `maxBSONDepth`), 250.
const DEPTH_MAX: u32 = 250;

/// Where and why bytes are not a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {what}")]
pub struct DocumentError {
    /// From the document's first byte.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// Walks a document without allocating: several gigabytes in a second where documents are of some hundred bytes.
///
/// # Errors
/// At the first byte that contradicts BSON.
pub fn check_document(document: &[u8]) -> Result<(), DocumentError> {
    let mut walk = Walk { bytes: document, fault: None };
    match walk.document(0, 0) {
        Some(end) if end == document.len() => Ok(()),
        Some(end) => Err(DocumentError { offset: end, what: "bytes after the document's end" }),
        None => Err(walk.fault.unwrap_or(DocumentError { offset: 0, what: CUT_OFF })),
    }
}

const CUT_OFF: &str = "the document is cut off";

/// Each step begins at a place and gives the place after it; none where something is wrong. Places are handed on rather
/// than kept here, so that the processor has them in registers.
struct Walk<'a> {
    bytes: &'a [u8],
    fault: Option<DocumentError>,
}

impl Walk<'_> {
    #[cold]
    fn fault(&mut self, offset: usize, what: &'static str) -> Option<usize> {
        self.fault = Some(DocumentError { offset, what });
        None
    }

    fn document(&mut self, start: usize, depth: u32) -> Option<usize> {
        if depth > DEPTH_MAX {
            return self.fault(start, "documents nested too deeply");
        }
        let length = self.length(start)?;
        let end = start + length;
        if length < 5 || end > self.bytes.len() {
            return self.fault(start, "a document's length is wrong");
        }
        let mut at = start + 4;
        while at < end {
            at = match self.bytes[at] {
                0 if at + 1 == end => return Some(end),
                0 => return self.fault(at + 1, "a document ends before its length says"),
                kind => self.element(kind, at + 1, depth)?,
            };
        }
        self.fault(at, "a document goes on after its length's end")
    }

    #[inline]
    fn element(&mut self, kind: u8, at: usize, depth: u32) -> Option<usize> {
        let at = self.c_string(at)?;
        match kind {
            0x01 | 0x09 | 0x11 | 0x12 => self.skip(at, 8),
            0x02 | 0x0d | 0x0e => self.string(at),
            0x03 | 0x04 => self.document(at, depth + 1),
            0x05 => {
                let length = self.length(at)?;
                self.skip(at + 5, length)
            }
            0x06 | 0x0a | 0x7f | 0xff => Some(at),
            0x07 => self.skip(at, 12),
            0x08 => self.skip(at, 1),
            0x0b => {
                let options = self.c_string(at)?;
                self.c_string(options)
            }
            0x0c => {
                let id = self.string(at)?;
                self.skip(id, 12)
            }
            0x0f => self.code_with_scope(at, depth),
            0x10 => self.skip(at, 4),
            0x13 => self.skip(at, 16),
            _ => self.fault(at, "an element of an unknown type"),
        }
    }

    fn code_with_scope(&mut self, start: usize, depth: u32) -> Option<usize> {
        let length = self.length(start)?;
        let scope = self.string(start + 4)?;
        let end = self.document(scope, depth + 1)?;
        if end - start == length {
            Some(end)
        } else {
            self.fault(end, "the length of code with scope is wrong")
        }
    }

    fn string(&mut self, at: usize) -> Option<usize> {
        let length = self.length(at)?;
        let end = self.skip(at + 4, length)?;
        match self.bytes[end - 1] {
            0 if length > 0 => Some(end),
            _ => self.fault(end, "a string's length is wrong"),
        }
    }

    fn c_string(&mut self, mut at: usize) -> Option<usize> {
        // Byte by byte is quicker than many at once: the processor foresees where names end.
        while let Some(some) = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            for (place, byte) in some.iter().enumerate() {
                if *byte == 0 {
                    return Some(at + place + 1);
                }
            }
            at += some.len();
        }
        let rest = self.bytes.get(at..).unwrap_or_default();
        match rest.iter().position(|&byte| byte == 0) {
            Some(place) => Some(at + place + 1),
            None => self.fault(at, "a name that does not end"),
        }
    }

    fn length(&mut self, at: usize) -> Option<usize> {
        let Some(length) = self.bytes.get(at..).and_then(|rest| rest.first_chunk()) else {
            return self.fault(at, CUT_OFF);
        };
        match usize::try_from(i32::from_le_bytes(*length)) {
            Ok(length) => Some(length),
            Err(_) => self.fault(at, "a length is negative"),
        }
    }

    fn skip(&mut self, at: usize, bytes: usize) -> Option<usize> {
        let end = at + bytes;
        if end <= self.bytes.len() { Some(end) } else { self.fault(at, CUT_OFF) }
    }
}

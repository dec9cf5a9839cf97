//! Writing an archive, or a piece of one.

use std::io::{self, Write};

use crate::bson::{self, Value};
use crate::names::{Namespace, Prelude};
use crate::{MAGIC, TERMINATOR};

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A call that does not fit what was written before.
    #[error("{0}")]
    Order(&'static str),
    /// Bytes that are no document: their length in front differs from how many there are.
    #[error("a document of {bytes} bytes says that it has {says}")]
    Document {
        /// How many there are.
        bytes: usize,
        /// What stands in front.
        says: i64,
    },
    /// The writer failed.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
}

/// Writes blocks. Nothing is allocated for a document.
#[derive(Debug)]
pub struct Encoder<W> {
    writer: W,
    in_block: bool,
}

impl<W: Write> Encoder<W> {
    /// A whole archive: writes the magic number and the prelude.
    ///
    /// # Errors
    /// As `writer` fails.
    pub fn archive(mut writer: W, prelude: &Prelude) -> Result<Self, EncodeError> {
        writer.write_all(&MAGIC)?;
        let header = &prelude.header;
        writer.write_all(&bson::write(&[
            ("concurrent_collections", Value::Int32(header.concurrent_collections)),
            ("version", Value::Text(&header.version)),
            ("server_version", Value::Text(&header.server_version)),
            ("tool_version", Value::Text(&header.tool_version)),
        ]))?;
        for metadata in &prelude.metadata {
            writer.write_all(&bson::write(&[
                ("db", Value::Text(&metadata.db)),
                ("collection", Value::Text(&metadata.collection)),
                ("metadata", Value::Text(&metadata.metadata)),
                ("size", Value::Int32(metadata.size)),
                ("type", Value::Text(&metadata.kind)),
            ]))?;
        }
        writer.write_all(&TERMINATOR)?;
        Ok(Self::blocks(writer))
    }

    /// A piece of an archive: blocks alone.
    pub fn blocks(writer: W) -> Self {
        Self { writer, in_block: false }
    }

    /// Begins a block of documents of `namespace`.
    ///
    /// # Errors
    /// When a block is open, or as the writer fails.
    pub fn begin_block(&mut self, namespace: &Namespace) -> Result<(), EncodeError> {
        self.no_open_block()?;
        self.header(namespace, false, 0)?;
        self.in_block = true;
        Ok(())
    }

    /// Writes one BSON document into the open block.
    ///
    /// # Errors
    /// When no block is open, when the bytes' own length differs, or as the writer fails.
    pub fn document(&mut self, document: &[u8]) -> Result<(), EncodeError> {
        if !self.in_block {
            return Err(EncodeError::Order("a document stands outside of a block"));
        }
        let says = document.first_chunk().map_or(-1, |length| i64::from(i32::from_le_bytes(*length)));
        if says < 5 || says != document.len() as i64 {
            return Err(EncodeError::Document { bytes: document.len(), says });
        }
        self.writer.write_all(document)?;
        Ok(())
    }

    /// Writes documents that are laid end to end into the open block, in one go. Each must have been checked
    /// before: its length in front is that of its bytes.
    ///
    /// # Errors
    /// When no block is open, or as the writer fails.
    pub fn documents(&mut self, documents: &[u8]) -> Result<(), EncodeError> {
        if !self.in_block {
            return Err(EncodeError::Order("a document stands outside of a block"));
        }
        self.writer.write_all(documents)?;
        Ok(())
    }

    /// Ends the open block.
    ///
    /// # Errors
    /// When no block is open, or as the writer fails.
    pub fn end_block(&mut self) -> Result<(), EncodeError> {
        if !self.in_block {
            return Err(EncodeError::Order("no block is open that could end"));
        }
        self.writer.write_all(&TERMINATOR)?;
        self.in_block = false;
        Ok(())
    }

    /// Says that no more blocks come for `namespace`; `crc` is that of all its documents in their order.
    ///
    /// # Errors
    /// When a block is open, or as the writer fails.
    pub fn eof(&mut self, namespace: &Namespace, crc: u64) -> Result<(), EncodeError> {
        self.no_open_block()?;
        self.header(namespace, true, crc)?;
        self.writer.write_all(&TERMINATOR)?;
        Ok(())
    }

    /// The writer, when the last block has ended.
    ///
    /// # Errors
    /// When a block is open.
    pub fn finish(self) -> Result<W, EncodeError> {
        self.no_open_block()?;
        Ok(self.writer)
    }

    fn no_open_block(&self) -> Result<(), EncodeError> {
        if self.in_block { Err(EncodeError::Order("the block before has not ended")) } else { Ok(()) }
    }

    fn header(&mut self, namespace: &Namespace, eof: bool, crc: u64) -> Result<(), EncodeError> {
        let header = bson::write(&[
            ("db", Value::Text(&namespace.db)),
            ("collection", Value::Text(&namespace.collection)),
            ("EOF", Value::Flag(eof)),
            ("CRC", Value::Int64(crc.cast_signed())),
        ]);
        self.writer.write_all(&header)?;
        Ok(())
    }
}

//! The archive that `mongodump --archive` writes and `mongorestore --archive` reads (format 0.1): an encoder,
//! a decoder, its CRC-64, and a structural check of BSON documents. Streaming, with bounded memory; no async
//! runtime, no network, no clock.
//!
//! An archive is a magic number, a *prelude* (a header and the options and indexes of every namespace) and
//! *blocks*: a namespace's name, documents, a terminator. After a namespace's last block stands one that says
//! so and carries the CRC-64 of all its documents. [`Encoder::blocks`] and [`Decoder::blocks`] work on a piece
//! of an archive that holds whole blocks and no prelude: pieces laid end to end make an archive again.
//!
//! ```
//! use mongo_archive::{Crc64, Decoder, Encoder, Event, Header, Limits, Metadata, Namespace, Prelude};
//!
//! let document = b"\x0e\0\0\0\x10_id\0\x07\0\0\0\0"; // {_id: 7}
//! let orders = Namespace { db: "shop".into(), collection: "orders".into() };
//! let prelude = Prelude {
//!     header: Header::new(1, "6.0.5", "example"),
//!     metadata: vec![Metadata {
//!         db: "shop".into(),
//!         collection: "orders".into(),
//!         metadata: r#"{"indexes":[]}"#.into(),
//!         size: 0,
//!         kind: "collection".into(),
//!     }],
//! };
//! let mut crc = Crc64::new();
//! crc.update(document);
//!
//! let mut encoder = Encoder::archive(Vec::new(), &prelude)?;
//! encoder.begin_block(&orders)?;
//! encoder.document(document)?;
//! encoder.end_block()?;
//! encoder.eof(&orders, crc.value())?;
//! let archive = encoder.finish()?;
//!
//! let mut decoder = Decoder::new(&archive[..], Limits::default());
//! let mut documents = 0;
//! while let Some(event) = decoder.next()? {
//!     match event {
//!         Event::Prelude(found) => assert_eq!(*found, prelude),
//!         Event::Document(found) => {
//!             assert_eq!(found, document);
//!             documents += 1;
//!         }
//!         Event::Eof { namespace, crc: found } => assert_eq!((namespace, found), (&orders, crc.value())),
//!         Event::BlockStart(_) | Event::BlockEnd => {}
//!     }
//! }
//! assert_eq!(documents, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bson;
mod crc;
mod decode;
mod document;
mod encode;
mod names;
mod summary;

pub use crc::Crc64;
pub use decode::{DecodeError, Decoder, Event, Fault, Limits};
pub use document::{DocumentError, check_document};
pub use encode::{EncodeError, Encoder};
pub use names::{Header, Metadata, Namespace, Prelude};
pub use summary::{NamespaceSummary, Summary};

/// The first four bytes of an archive (`0x8199e26d`, little-endian).
pub const MAGIC: [u8; 4] = [0x6d, 0xe2, 0x99, 0x81];
/// What stands in place of a document's length at the end of the prelude and of every block.
pub const TERMINATOR: [u8; 4] = [0xff; 4];
/// The version of the format.
pub const VERSION: &str = "0.1";

//! What an archive holds, from its events.

use std::collections::BTreeMap;
use std::io::Read;

use crate::crc::Crc64;
use crate::decode::{DecodeError, Decoder, Event, Limits};
use crate::names::Namespace;

/// What is in an archive. Events of successive pieces may be given one after another.
#[derive(Debug, Default)]
pub struct Summary {
    namespaces: BTreeMap<Namespace, NamespaceSummary>,
    current: Option<Namespace>,
}

/// What is in an archive of one namespace.
#[derive(Debug, Default, Clone)]
pub struct NamespaceSummary {
    /// Documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their CRC.
    pub crc: Crc64,
    /// The CRC that the archive gives at the namespace's end, if it was met.
    pub given: Option<u64>,
}

impl NamespaceSummary {
    /// Whether the namespace has ended and its documents are those it was written with.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.given == Some(self.crc.value())
    }
}

impl Summary {
    /// Reads a whole archive.
    ///
    /// # Errors
    /// As [`Decoder::next`]; a wrong CRC is not an error here, see [`wrong`](Self::wrong).
    pub fn of(archive: impl Read, limits: Limits) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(archive, limits);
        let mut summary = Self::default();
        while let Some(event) = decoder.next()? {
            summary.add(&event);
        }
        Ok(summary)
    }

    /// Takes one event in.
    pub fn add(&mut self, event: &Event<'_>) {
        match event {
            Event::BlockStart(namespace) => {
                self.namespaces.entry((*namespace).clone()).or_default();
                self.current = Some((*namespace).clone());
            }
            Event::Document(document) => {
                let open = self.current.as_ref().and_then(|current| self.namespaces.get_mut(current));
                if let Some(open) = open {
                    open.documents += 1;
                    open.bytes += document.len() as u64;
                    open.crc.update(document);
                }
            }
            Event::Eof { namespace, crc } => {
                self.namespaces.entry((*namespace).clone()).or_default().given = Some(*crc);
            }
            Event::Prelude(_) | Event::BlockEnd => {}
        }
    }

    /// Every namespace that has blocks.
    #[must_use]
    pub fn namespaces(&self) -> &BTreeMap<Namespace, NamespaceSummary> {
        &self.namespaces
    }

    /// Namespaces that have not ended, or whose documents are not those they were written with.
    pub fn wrong(&self) -> impl Iterator<Item = &Namespace> {
        self.namespaces.iter().filter(|(_, summary)| !summary.is_right()).map(|(namespace, _)| namespace)
    }
}

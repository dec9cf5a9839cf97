//! What a list shows of a backup. A manifest begins with it, so that a list fetches a few kilobytes of each.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::moment::ClusterTime;

/// How many bytes of a manifest hold its summary, with room to spare.
pub(crate) const BYTES_MAX: u64 = 16 * 1024;

/// A backup in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The backup's name.
    pub id: String,
    /// The plan it belongs to.
    pub plan: String,
    /// Whether anything that was to be in it is missing.
    pub status: Status,
    /// When reading began.
    pub started_at: DateTime<Utc>,
    /// When the last segment was stored.
    pub finished_at: DateTime<Utc>,
    /// The version of MongoDB that was read.
    pub server_version: String,
    /// Sums over the whole backup.
    pub totals: Totals,
    /// What moment it holds.
    pub consistency: Moment,
    /// How each object is encrypted.
    pub encryption: Encryption,
}

/// Whether a backup holds all that it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// All of it.
    Complete,
    /// Something is missing; `exceptions` lists it.
    Incomplete,
}

/// Sums over a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Collections and views.
    pub namespaces: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes of the archive: documents and what frames them.
    pub raw_bytes: u64,
    /// Bytes of all segments as stored.
    pub stored_bytes: u64,
    /// Segments.
    pub segments: u64,
}

/// What was asked and what was reported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// The `x-amz-server-side-encryption` header that was sent with every PUT; none if none was sent.
    pub requested: Option<String>,
    /// The KMS key that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// What the server's answer to every PUT reported; none if it reported nothing.
    pub reported: Option<String>,
}

/// What moment a backup holds, without the list of what was read later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Moment {
    /// One cluster time.
    Snapshot {
        /// The moment.
        cluster_time: ClusterTime,
    },
    /// One moment, reached by replaying the oplog that the backup holds.
    Oplog {
        /// The oplog is applied from here.
        from: ClusterTime,
        /// The earliest consistent moment.
        at: ClusterTime,
        /// How many namespaces were read later than `from`.
        namespaces_read_plainly: u64,
    },
    /// No one moment.
    None {
        /// Why.
        reason: String,
    },
}

/// The members with which a manifest begins.
#[derive(Debug, Default)]
pub(crate) struct Start {
    /// As text: a newer format may have another summary.
    pub(crate) summary: Option<Box<RawValue>>,
    pub(crate) format: Option<String>,
    pub(crate) version: Option<u32>,
}

impl Start {
    /// Reads the beginning of a manifest, which may be cut off anywhere; what was not reached is missing.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut start = Self::default();
        // The end of the text, or the first member that does not belong to the start, ends the reading.
        let _ = serde_json::Deserializer::from_slice(text).deserialize_map(Members(&mut start));
        start
    }
}

struct Members<'a>(&'a mut Start);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "summary" => self.0.summary = Some(map.next_value()?),
                "format" => self.0.format = Some(map.next_value()?),
                "version" => self.0.version = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            if self.0.summary.is_some() && self.0.format.is_some() && self.0.version.is_some() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "summary": {
            "id": "20261123T020000Z-7f3k", "plan": "default", "status": "complete",
            "started_at": "2026-11-23T02:00:00Z", "finished_at": "2026-11-23T02:00:09Z",
            "server_version": "6.0.5",
            "totals": {"namespaces": 1, "documents": 2, "raw_bytes": 3, "stored_bytes": 4, "segments": 5},
            "consistency": {"kind": "snapshot", "cluster_time": {"seconds": 1, "increment": 2}},
            "encryption": {"requested": null, "reported": null},
            "a later addition": [1, {"x": 2}]
        },
        "format": "strongroom-backup",
        "version": 1,
        "id": "#;

    #[test]
    fn the_summary_is_read_from_a_manifest_that_is_cut_off_behind_it() {
        let start = Start::of(TEXT.as_bytes());
        let summary: Summary = serde_json::from_str(start.summary.unwrap().get()).unwrap();
        assert_eq!((summary.id.as_str(), summary.totals.segments), ("20261123T020000Z-7f3k", 5));
        assert_eq!((start.format.as_deref(), start.version), (Some("strongroom-backup"), Some(1)));
    }

    #[test]
    fn what_is_cut_off_earlier_or_is_no_manifest_has_none() {
        for end in [0, 1, 30, 400] {
            assert!(Start::of(&TEXT.as_bytes()[..end]).summary.is_none(), "{end}");
        }
        for text in ["[]", "{\"format\": \"x\"}", "\u{0}"] {
            assert!(Start::of(text.as_bytes()).summary.is_none(), "{text}");
        }
    }
}

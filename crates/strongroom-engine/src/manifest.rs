//! The manifest: everything there is to know about one backup, and its commit point.
//!
//! `docs/FORMAT.md` describes it for other programs; `docs/manifest.schema.json` is its JSON Schema.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::bucket::OBJECT_BYTES_MAX;
use crate::compression::Compression;
use crate::counts;
use crate::error::{Code, Error, Result};
use crate::hash::sha256;
use crate::layout::SEGMENTS;
use crate::members::Source;
use crate::moment::ClusterTime;
use crate::names::NamespaceKind;
use crate::summary::{Encryption, Moment, Start, Status, Summary, Totals};

/// The name that marks a JSON document as a manifest.
pub(crate) const FORMAT: &str = "strongroom-backup";
/// The version this program writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;
/// The longest manifest that is read: room for 100,000 collections, a bound for hostile input.
pub(crate) const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// One backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// The version of this format.
    pub version: u32,
    /// The backup's name.
    pub id: String,
    /// The plan it belongs to.
    pub plan: String,
    /// Whether anything that was to be in it is missing.
    pub status: Status,
    /// What is missing and why; empty when the backup is complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<String>,
    /// The program that made it.
    pub tool: Tool,
    /// When reading began.
    pub started_at: DateTime<Utc>,
    /// When the last segment was stored.
    pub finished_at: DateTime<Utc>,
    /// Where the data came from.
    pub source: Source,
    /// What moment it holds.
    pub consistency: Consistency,
    /// The oplog that it holds, as the archive's namespace `oplog` of no database; none where none was captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oplog: Option<OplogWindow>,
    /// Which namespaces were wanted.
    pub selection: Selection,
    /// Sums over the whole backup.
    pub totals: Totals,
    /// How each segment is compressed.
    pub compression: Compression,
    /// How each object is encrypted.
    pub encryption: Encryption,
    /// Every collection and view, in the order of the archive; last the oplog, where there is one.
    pub namespaces: Vec<Namespace>,
    /// Every segment, in the order of the archive.
    pub segments: Vec<Segment>,
}

/// The program that made a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tool {
    /// `strongroom`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What moment a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Consistency {
    /// Every namespace as it was at one cluster time.
    Snapshot {
        /// The moment.
        cluster_time: ClusterTime,
    },
    /// Some namespaces as they were when their turn came: as of one moment once the oplog that the backup holds
    /// was applied up to it.
    Oplog {
        /// The moment of everything that is not in `read_plainly`; the oplog is applied from here.
        from: ClusterTime,
        /// The earliest moment at which the whole is consistent: the end of the last plain read.
        at: ClusterTime,
        /// Namespaces that were read later than `from`.
        read_plainly: Vec<String>,
    },
    /// Each collection as it was when it was read.
    None {
        /// Why not a snapshot.
        reason: String,
    },
}

/// The stretch of the oplog that a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OplogWindow {
    /// Entries after this moment are in it.
    pub from: ClusterTime,
    /// Entries up to this moment are in it, this one included.
    pub to: ClusterTime,
    /// Why it does not go on to the end of the backup, such as an entry that cannot be replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<String>,
}

/// Which namespaces were wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Only those matching one of these, unless empty.
    pub include: Vec<String>,
    /// None of those matching one of these.
    pub exclude: Vec<String>,
    /// The query that picked documents, as canonical Extended JSON v2; none where all were wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<serde_json::Value>,
}

/// One collection or view.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Namespace {
    /// Its database.
    pub db: String,
    /// Its name within the database.
    pub collection: String,
    /// Whether it is a collection, a view or a time-series collection.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// Options and indexes as the archive's prelude holds them: canonical Extended JSON v2.
    pub metadata: Box<RawValue>,
    /// Options, indexes and search indexes as a BSON document in base64, where there are search indexes or the others do
    /// not come back from `metadata` as they were: that
    /// text takes a document such as `{"$oid": "…"}` for a value of another type. A restore prefers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_bson: Option<String>,
    /// Documents stored for it (a time-series collection's are buckets).
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// CRC-64/XZ over the documents' bytes in the archive's order, 16 hex digits.
    pub crc64: String,
}

/// One stored piece of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its key, relative to the location's prefix.
    pub key: String,
    /// The version that its PUT made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// Bytes of the archive that it holds.
    pub raw_bytes: u64,
    /// SHA-256 of the stored bytes, 64 hex digits.
    pub sha256: String,
    /// What it holds of which namespace, in order; the prelude's segment holds none.
    pub contents: Vec<Content>,
}

/// What a segment holds of one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The namespace's place in the manifest's list, from 0.
    pub namespace: usize,
    /// Documents in this segment.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Totals {
    /// The sums over these parts.
    #[must_use]
    pub fn of(namespaces: &[Namespace], segments: &[Segment]) -> Self {
        let collections = || namespaces.iter().filter(|n| n.kind != NamespaceKind::Oplog);
        Self {
            namespaces: collections().count() as u64,
            documents: collections().map(|n| n.documents).fold(0, u64::saturating_add),
            raw_bytes: segments.iter().map(|s| s.raw_bytes).fold(0, u64::saturating_add),
            stored_bytes: segments.iter().map(|s| s.stored_bytes).fold(0, u64::saturating_add),
            segments: segments.len() as u64,
        }
    }
}

impl Segment {
    /// Its name within its folder.
    pub(crate) fn name(&self) -> &str {
        self.key.rsplit_once('/').map_or(&self.key, |(_, name)| name)
    }
}

impl Namespace {
    /// `db.collection`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.db, self.collection)
    }

    /// What the archive's prelude says of it: the metadata, but of the oplog nothing.
    #[must_use]
    pub fn archived_metadata(&self) -> &str {
        match self.kind {
            NamespaceKind::Oplog => "",
            NamespaceKind::Collection | NamespaceKind::View | NamespaceKind::Timeseries => {
                self.metadata.get()
            }
        }
    }

    /// The collection that holds its documents in the archive and on the server.
    #[must_use]
    pub fn data_collection(&self) -> String {
        self.kind.data_collection(&self.collection)
    }
}

/// Just enough to tell whether the rest can be understood.
#[derive(Deserialize)]
struct Envelope<'a> {
    format: String,
    version: u32,
    /// Older manifests have none.
    #[serde(default, borrow)]
    summary: Option<&'a RawValue>,
    #[serde(default, borrow)]
    consistency: Option<&'a RawValue>,
    #[serde(default, borrow)]
    oplog: Option<&'a RawValue>,
    /// Older manifests have none.
    #[serde(default)]
    moment_sha256: Option<String>,
    #[serde(default)]
    namespaces: counts::Count,
    #[serde(default)]
    segments: counts::Segments,
    #[serde(default, borrow)]
    exceptions: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool: Option<&'a RawValue>,
    #[serde(default, borrow)]
    source: Option<&'a RawValue>,
    #[serde(default, borrow)]
    selection: Option<&'a RawValue>,
    #[serde(default, borrow)]
    totals: Option<&'a RawValue>,
    #[serde(default, borrow)]
    compression: Option<&'a RawValue>,
    #[serde(default, borrow)]
    encryption: Option<&'a RawValue>,
}

/// A manifest as it is stored: its summary stands first.
#[derive(Serialize)]
struct Stored<'a> {
    summary: Summary,
    #[serde(flatten)]
    manifest: &'a Manifest,
    moment_sha256: String,
}

impl Envelope<'_> {
    /// Memory is bounded by what the text lists, not by its bytes alone.
    fn check_counts(&self) -> Result<()> {
        if let Some(excess) = counts::excess(&self.namespaces, &self.segments) {
            return Err(damaged(&excess));
        }
        let Self { summary, consistency, oplog, exceptions, tool, source, .. } = self;
        let Self { selection, totals, compression, encryption, .. } = self;
        let others = [summary, consistency, oplog, exceptions, tool, source];
        let others = others.into_iter().chain([selection, totals, compression, encryption]);
        match counts::is_excessive(others.flatten().map(|member| member.get())) {
            true => Err(damaged("it holds more than any backup needs")),
            false => Ok(()),
        }
    }

    /// Nothing in the archive repeats what moment it holds.
    fn check_moment(&self) -> Result<()> {
        let Some(wanted) = &self.moment_sha256 else { return Ok(()) };
        let consistency = self.consistency.map_or("", RawValue::get);
        if moment_sha256(consistency, self.oplog.map(RawValue::get)).eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
        Err(damaged("its `consistency` or its `oplog` is not what was written"))
    }
}

/// The hash of the two as JSON without white space, the one behind the other.
fn moment_sha256(consistency: &str, oplog: Option<&str>) -> String {
    let both = [dense(consistency), dense(oplog.unwrap_or_default())].concat();
    hex::encode(sha256(both.as_bytes()))
}

/// JSON without the white space between its parts.
fn dense(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let keep = |c: &char| {
        in_text ^= *c == '"' && !escaped;
        escaped = in_text && *c == '\\' && !escaped;
        in_text || !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`Code::NewerFormat`] for a version above [`VERSION`]; [`Code::Damaged`] for anything that is not a
    /// manifest or contradicts itself.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        let envelope: Envelope<'_> = serde_json::from_slice(text).map_err(unreadable)?;
        check_format(&envelope.format, envelope.version)?;
        envelope.check_counts()?;
        let manifest: Self = serde_json::from_slice(text).map_err(unreadable)?;
        manifest.check()?;
        envelope.check_moment()?;
        let summary = envelope.summary.map(|summary| serde_json::from_str::<Summary>(summary.get()));
        match summary.transpose().map_err(unreadable)? {
            Some(summary) if summary != Summary::from(&manifest) => {
                Err(damaged("its summary is not that of its contents"))
            }
            _ => Ok(manifest),
        }
    }

    /// Reads the summary from the first bytes of a manifest; none if it does not begin with one, as
    /// older ones.
    ///
    /// # Errors
    /// As [`Manifest::from_json`], of a manifest that cannot be used.
    pub fn summary(start: &[u8]) -> Result<Option<Summary>> {
        let Start { summary, format, version } = Start::of(start);
        let (Some(summary), Some(format), Some(version)) = (summary, format, version) else {
            return Ok(None);
        };
        check_format(&format, version)?;
        serde_json::from_str(summary.get()).map(Some).map_err(unreadable)
    }

    /// The text that is stored.
    ///
    /// # Errors
    /// [`Code::Internal`] if it cannot be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let wrong = |e| Error::new(Code::Internal, "the manifest cannot be written as JSON").caused_by(e);
        let consistency = serde_json::to_string(&self.consistency).map_err(wrong)?;
        let oplog = self.oplog.as_ref().map(serde_json::to_string).transpose().map_err(wrong)?;
        let moment_sha256 = moment_sha256(&consistency, oplog.as_deref());
        serde_json::to_vec_pretty(&Stored { summary: Summary::from(self), manifest: self, moment_sha256 })
            .map_err(wrong)
    }

    /// The segments that hold anything of the namespaces that `wanted` accepts (by their place in the list).
    pub fn segments_of<'a>(
        &'a self,
        wanted: impl Fn(usize) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Segment> {
        self.segments.iter().filter(move |segment| segment.contents.iter().any(|c| wanted(c.namespace)))
    }

    fn check(&self) -> Result<()> {
        self.check_segments()?;
        self.check_namespaces()?;
        self.check_oplog()?;
        if Totals::of(&self.namespaces, &self.segments) != self.totals {
            return Err(damaged("its totals are not the sums of its parts"));
        }
        Ok(())
    }

    /// What the oplog leads to, and from where, must be of the oplog that is there.
    fn check_oplog(&self) -> Result<()> {
        let holds = self.namespaces.iter().any(|n| n.kind == NamespaceKind::Oplog);
        if holds != self.oplog.is_some() {
            return Err(damaged("its `oplog` and its list of namespaces differ"));
        }
        if !holds && matches!(self.consistency, Consistency::Oplog { .. }) {
            return Err(damaged("its `consistency` needs an oplog that it does not hold"));
        }
        Ok(())
    }

    /// Whether the oplog leads from the moment at which the data was read to the one that is promised.
    pub(crate) fn oplog_leads_to_its_moment(&self) -> bool {
        match &self.consistency {
            Consistency::Oplog { from, at, .. } => self
                .oplog
                .as_ref()
                .is_some_and(|window| window.from == *from && from <= at && *at <= window.to),
            Consistency::Snapshot { cluster_time: at } => {
                self.oplog.as_ref().is_none_or(|window| *at <= window.to)
            }
            Consistency::None { .. } => true,
        }
    }

    fn check_segments(&self) -> Result<()> {
        // Even a backup of nothing has the beginning of an archive.
        if self.segments.first().is_none_or(|first| !first.contents.is_empty()) {
            return Err(damaged("it lists no segment that begins an archive"));
        }
        let own = format!("{}/{}/", self.plan, self.id);
        let mut keys = HashSet::new();
        for segment in &self.segments {
            let key = &segment.key;
            if !is_segment_key(key) || !keys.insert(key) {
                return Err(damaged(&format!("`{key}` cannot be the key of a segment, or stands twice")));
            }
            // What another backup consists of must not be deleted with this one, nor be taken for it.
            if !key.starts_with(&own) {
                return Err(damaged(&format!("it lists `{key}`, which belongs elsewhere")));
            }
            if segment.sha256.len() != 64 || hex::decode(&segment.sha256).is_err() {
                return Err(damaged(&format!("the SHA-256 of `{key}` is not 64 hex digits")));
            }
            if segment.stored_bytes > OBJECT_BYTES_MAX {
                return Err(damaged(&format!("`{key}` is longer than any segment can be")));
            }
            if segment.contents.iter().any(|c| c.namespace >= self.namespaces.len()) {
                return Err(damaged(&format!("`{key}` holds a namespace that is not listed")));
            }
        }
        Ok(())
    }

    fn check_namespaces(&self) -> Result<()> {
        let mut sums = vec![(0u64, 0u64); self.namespaces.len()];
        for content in self.segments.iter().flat_map(|s| &s.contents) {
            let (documents, bytes) = &mut sums[content.namespace];
            *documents = documents.saturating_add(content.documents);
            *bytes = bytes.saturating_add(content.bytes);
        }
        let mut names = HashSet::new();
        for (namespace, sum) in self.namespaces.iter().zip(sums) {
            let name = namespace.name();
            if !names.insert(name.clone()) {
                return Err(damaged(&format!("`{name}` stands twice")));
            }
            if (namespace.documents, namespace.bytes) != sum {
                return Err(damaged(&format!("the segments do not add up to the documents of `{name}`")));
            }
            if namespace.crc64.len() != 16 || u64::from_str_radix(&namespace.crc64, 16).is_err() {
                return Err(damaged(&format!("the CRC-64 of `{name}` is not 16 hex digits")));
            }
        }
        Ok(())
    }
}

impl From<&Consistency> for Moment {
    fn from(consistency: &Consistency) -> Self {
        match consistency {
            Consistency::Snapshot { cluster_time } => Self::Snapshot { cluster_time: *cluster_time },
            Consistency::Oplog { from, at, read_plainly } => {
                Self::Oplog { from: *from, at: *at, namespaces_read_plainly: read_plainly.len() as u64 }
            }
            Consistency::None { reason } => Self::None { reason: reason.clone() },
        }
    }
}

impl From<&Manifest> for Summary {
    fn from(manifest: &Manifest) -> Self {
        Self {
            id: manifest.id.clone(),
            plan: manifest.plan.clone(),
            status: manifest.status,
            started_at: manifest.started_at,
            finished_at: manifest.finished_at,
            server_version: manifest.source.server_version.clone(),
            totals: manifest.totals,
            consistency: Moment::from(&manifest.consistency),
            encryption: manifest.encryption.clone(),
        }
    }
}

/// `<plan>/<id>/segments/<name>`, and nothing that could lead elsewhere.
fn is_segment_key(key: &str) -> bool {
    let parts: Vec<_> = key.split('/').collect();
    let odd = |c: char| c == '\\' || c.is_control();
    let plain = |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains(odd);
    parts.len() == 4 && parts[2] == SEGMENTS && parts.iter().all(plain)
}

fn check_format(format: &str, version: u32) -> Result<()> {
    if format != FORMAT {
        return Err(damaged(&format!("its format is `{format}`, not `{FORMAT}`")));
    }
    if version > VERSION {
        return Err(Error::new(
            Code::NewerFormat,
            format!("the manifest has version {version}, this program reads up to {VERSION}"),
        )
        .help("Use a newer Strongroom, or restore with stock tools as RESTORE.md in the bucket says."));
    }
    Ok(())
}

fn unreadable(error: serde_json::Error) -> Error {
    damaged(&format!("line {}, column {}: not what a manifest holds", error.line(), error.column()))
        .caused_by(error)
}

fn damaged(what: &str) -> Error {
    Error::new(Code::Damaged, format!("the manifest is damaged: {what}"))
        .help("Restore another backup; an earlier version of the object may still be in a versioned bucket.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest with one member beside those that mark it as one.
    fn with(member: &str) -> Error {
        let text = format!(r#"{{"format": "{FORMAT}", "version": {VERSION}, {member}}}"#);
        Manifest::from_json(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_manifest_of_many_small_values_is_damaged_and_takes_no_memory() {
        let many = |number: usize| format!("[0{}]", ",0".repeat(number));
        for (member, told) in [
            (format!(r#""namespaces": {}"#, many(1_000_000)), "more than 1000000 namespaces"),
            (format!(r#""segments": [{{}}{}]"#, ",{}".repeat(1_000_000)), "more than 1000000 segments"),
            (
                format!(r#""segments": [{{"contents": {}}}]"#, many(4_000_000)),
                "more than 4000000 parts of namespaces",
            ),
            (format!(r#""exceptions": {}"#, many(1_000_000)), "more than any backup needs"),
            (
                format!(r#""consistency": {{"kind": "none", "reason": "", "x": {}}}"#, many(1_000_000)),
                "more than any backup needs",
            ),
            (format!(r#""selection": {{"query": {}}}"#, many(1_000_000)), "more than any backup needs"),
        ] {
            let error = with(&member);
            assert_eq!(error.code(), Code::Damaged);
            assert!(error.message().contains(told), "{error}");
        }
        let few = with(&format!(r#""namespaces": {}"#, many(999_999)));
        assert!(few.message().contains("line 1"), "another fault of it: {few}");
    }
}

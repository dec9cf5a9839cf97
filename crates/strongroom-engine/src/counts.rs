//! How much a manifest lists, counted before any of it is kept: a short text can list more than any memory holds.

use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Namespaces in one manifest. In the longest one that is read there is room for fewer, as they are written.
const NAMESPACES_MAX: u64 = 1_000_000;
/// Segments in one manifest; 10 TB take 238,000.
const SEGMENTS_MAX: u64 = 1_000_000;
/// What all segments together hold of namespaces: at most one for each segment and one for each namespace.
const CONTENTS_MAX: u64 = 4_000_000;
/// The bytes of all that is neither, most of which can be names of namespaces, and how many values these are.
const OTHERS_BYTES_MAX: usize = 32 << 20;
const OTHERS_VALUES_MAX: usize = 1_000_000;

/// The length of a list.
#[derive(Debug, Default)]
pub(crate) struct Count(u64);

/// The length of a list of segments, and of what they hold.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    segments: u64,
    contents: u64,
}

#[derive(Deserialize)]
struct Segment {
    #[serde(default)]
    contents: Count,
}

/// What is too much of these lists; none where all can be kept.
pub(crate) fn excess(namespaces: &Count, segments: &Segments) -> Option<String> {
    let limits = [
        (namespaces.0, NAMESPACES_MAX, "namespaces"),
        (segments.segments, SEGMENTS_MAX, "segments"),
        (segments.contents, CONTENTS_MAX, "parts of namespaces in its segments"),
    ];
    let (_, limit, what) = limits.into_iter().find(|(count, limit, _)| count > limit)?;
    Some(format!("it lists more than {limit} {what}"))
}

/// Whether the other members of a manifest, as they are written, are too long or have too many values.
pub(crate) fn is_excessive<'a>(others: impl Iterator<Item = &'a str>) -> bool {
    let (mut bytes, mut values) = (0, 0);
    for text in others {
        bytes += text.len();
        // Those within texts count too: it is a bound.
        values += text.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    }
    bytes > OTHERS_BYTES_MAX || values > OTHERS_VALUES_MAX
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CountVisitor)
    }
}

impl<'de> Deserialize<'de> for Segments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SegmentsVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
        let mut count = Count::default();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count.0 += 1;
        }
        Ok(count)
    }
}

struct SegmentsVisitor;

impl<'de> Visitor<'de> for SegmentsVisitor {
    type Value = Segments;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of segments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Segments, A::Error> {
        let mut found = Segments::default();
        while let Some(segment) = list.next_element::<Segment>()? {
            found.segments += 1;
            found.contents += segment.contents.0;
        }
        Ok(found)
    }
}

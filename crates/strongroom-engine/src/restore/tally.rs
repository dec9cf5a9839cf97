//! What became of the documents of a restore, counted and compared. Pure.

use std::collections::BTreeMap;

use mongo_archive::Crc64;

use super::users::Kept;
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Command;
use crate::manifest::Namespace;

/// What became of documents, by the number of their namespace in the source's list of contents.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) documents: u64,
    /// Namespaces whose sum was compared with the manifest's.
    pub(super) compared: u64,
    /// Users and roles, to be merged when all else is there.
    pub(super) kept: Kept,
    inserted: BTreeMap<usize, u64>,
    refused: BTreeMap<usize, Refusals>,
    /// By the number of the segment: the sum of each block.
    sums: Vec<(usize, Vec<(usize, Crc64)>)>,
}

/// How many documents were refused, and the first reason.
#[derive(Debug)]
struct Refusals {
    documents: u64,
    first: String,
}

impl Tally {
    pub(super) fn insert(&mut self, namespace: usize, documents: u64) {
        self.documents += documents;
        *self.inserted.entry(namespace).or_default() += documents;
    }

    /// How many documents of one namespace were inserted.
    pub(super) fn inserted(&self, namespace: usize) -> u64 {
        self.inserted.get(&namespace).copied().unwrap_or_default()
    }

    pub(super) fn refuse(&mut self, namespace: usize, documents: u64, reason: &str) {
        let refusals = self.refused.entry(namespace);
        refusals.or_insert_with(|| Refusals { documents: 0, first: reason.to_owned() }).documents +=
            documents;
    }

    pub(super) fn segment(&mut self, number: usize, sums: Vec<(usize, Crc64)>) {
        self.sums.push((number, sums));
    }

    pub(super) fn add(&mut self, other: Self) {
        for (namespace, documents) in other.inserted {
            self.insert(namespace, documents);
        }
        self.kept.add(other.kept);
        self.sums.extend(other.sums);
        for (namespace, Refusals { documents, first }) in other.refused {
            self.refuse(namespace, documents, &first);
        }
    }

    /// The documents of each collection, put together in the archive's order, must be those that were backed up.
    ///
    /// # Errors
    /// [`Code::Damaged`].
    pub(super) fn compare(&mut self, namespaces: &[Namespace]) -> Result<()> {
        self.sums.sort_by_key(|(segment, _)| *segment);
        let mut whole: BTreeMap<usize, Crc64> = BTreeMap::new();
        for (namespace, sum) in self.sums.iter().flat_map(|(_, sums)| sums) {
            whole.entry(*namespace).or_default().append(sum);
        }
        self.compared = whole.len() as u64;
        for (namespace, sum) in whole {
            let namespace = &namespaces[namespace];
            if sum.to_string() != namespace.crc64 {
                return Err(Error::new(
                    Code::Damaged,
                    format!(
                        "the documents of `{}` are not those that the manifest describes",
                        namespace.name()
                    ),
                )
                .help(help![
                    "Do not use what was restored; ",
                    Command::Verify,
                    " looks for the cause."
                ]));
            }
        }
        Ok(())
    }

    /// How many documents were refused or changed.
    pub(super) fn refused(&self) -> u64 {
        self.refused.values().map(|refusals| refusals.documents).sum()
    }

    /// A sentence for each namespace with documents that were refused.
    pub(super) fn exceptions(&self, namespaces: &[Namespace]) -> Vec<String> {
        let sentence = |(namespace, Refusals { documents, first }): (&usize, &Refusals)| {
            let name = namespaces[*namespace].name();
            format!("{documents} documents of `{name}` were refused or changed; the first: {first}")
        };
        self.refused.iter().map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::names::NamespaceKind;

    fn sum(text: &str) -> Crc64 {
        let mut sum = Crc64::new();
        sum.update(text.as_bytes());
        sum
    }

    fn namespace(text: &str) -> Namespace {
        Namespace {
            db: "shop".into(),
            collection: "a".into(),
            kind: NamespaceKind::Collection,
            metadata: RawValue::from_string("{}".into()).unwrap(),
            metadata_bson: None,
            documents: 0,
            bytes: 0,
            crc64: sum(text).to_string(),
        }
    }

    #[test]
    fn sums_are_put_together_in_the_order_of_the_segments() {
        let namespaces = [namespace("onetwo"), namespace("three")];
        let mut tally = Tally::default();
        tally.segment(7, vec![(0, sum("two"))]);
        let mut other = Tally::default();
        other.segment(2, vec![(1, sum("three")), (0, sum("one"))]);
        tally.add(other);
        tally.compare(&namespaces).unwrap();
        tally.segment(9, vec![(1, sum("more"))]);
        let error = tally.compare(&namespaces).unwrap_err();
        assert_eq!(error.code(), Code::Damaged);
        assert!(error.message().contains("`shop.a`"), "{error}");
    }

    #[test]
    fn refusals_keep_the_first_reason() {
        let mut tally = Tally::default();
        tally.insert(0, 3);
        tally.refuse(0, 1, "first");
        let mut other = Tally::default();
        other.insert(0, 3);
        other.insert(1, 1);
        other.refuse(0, 2, "second");
        tally.add(other);
        assert_eq!((tally.documents, tally.inserted(0), tally.refused()), (7, 6, 3));
        let sentence = "3 documents of `shop.a` were refused or changed; the first: first";
        assert_eq!(tally.exceptions(&[namespace("")]), [sentence]);
    }
}

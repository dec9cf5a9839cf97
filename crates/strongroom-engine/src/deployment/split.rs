//! Where to cut a large collection, so that several readers can have a part of it each.

use mongodb::bson::{Bson, Document, RawBson, RawDocumentBuf, doc, rawdoc};

use super::batches::{CollectionId, ReadAt};
use super::documents::id_of;
use super::{Deployment, Described};
use crate::error::Result;
use crate::names::NamespaceKind;

/// Samples for each part: more of them make parts more even.
const SAMPLES_FOR_EACH: usize = 16;

/// A document between two parts: the last one of the part before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// Its place in natural order.
    pub record: i64,
    /// Its `_id`, by which it is known when it comes along (see [`id_of`](super::id_of)).
    pub id: RawDocumentBuf,
}

/// How a collection is cut; there is one part more than bounds.
#[derive(Debug, Clone, PartialEq)]
pub enum Split {
    /// By place in natural order: each part is read as it lies on the disk.
    Natural(Vec<Bound>),
    /// By `_id`, in the server's order over all types; the last bound is `MaxKey`.
    Ids(Vec<RawBson>),
}

impl Split {
    /// How many parts.
    #[must_use]
    pub fn parts(&self) -> usize {
        1 + match self {
            Self::Natural(bounds) => bounds.len(),
            Self::Ids(bounds) => bounds.len(),
        }
    }
}

impl Deployment {
    /// Cuts a collection into about `parts`, by documents that the server picks at random: by place where the
    /// server tells places, else by `_id`.
    ///
    /// # Errors
    /// As the server fails; the collection can be read whole then.
    pub async fn split(&self, described: &Described, parts: usize, at: ReadAt) -> Result<Split> {
        // Before 6.0 buckets may have no index on `_id` (MongoDB manual, "Time Series").
        // Where they have no name of their own, a pipeline finds measurements.
        let has_no_ids = described.kind == NamespaceKind::Timeseries && self.major_version() < 6;
        if has_no_ids || described.is_raw {
            return Ok(Split::Ids(Vec::new()));
        }
        if let CollectionId::Uuid(_) = self.collection_id(described)
            && !described.clustered
            && let Ok(split) = self.split_by_place(described, parts, at).await
        {
            return Ok(split);
        }
        self.split_by_id(described, parts, at).await
    }

    /// By `_id`, whether or not the server tells places.
    ///
    /// # Errors
    /// As [`split`](Self::split).
    pub async fn split_by_id(&self, described: &Described, parts: usize, at: ReadAt) -> Result<Split> {
        // The server sorts, since it alone knows its order of all types under the collection's collation.
        let ids = self.sample(described, parts, at, &[doc! { "$sort": { "_id": 1 } }]).await?;
        let mut bounds = quantiles(&ids, parts);
        bounds.push(rawdoc! { "_id": RawBson::MaxKey });
        bounds.dedup_by(|a, b| a.as_bytes() == b.as_bytes());
        let id = |bound: RawDocumentBuf| Some(RawBson::from(bound.get("_id").ok()??));
        Ok(Split::Ids(bounds.into_iter().filter_map(id).collect()))
    }

    async fn split_by_place(&self, described: &Described, parts: usize, at: ReadAt) -> Result<Split> {
        let sampled = self.sample(described, parts, at, &[]).await?;
        let id = |sampled: &RawDocumentBuf| Document::try_from(sampled.as_ref()).ok()?.remove("_id");
        let ids: Vec<Bson> = sampled.iter().filter_map(id).collect();
        let find = doc! {
            "find": described.data_collection(),
            "filter": { "_id": { "$in": ids } },
            "projection": { "_id": 1 },
            "showRecordId": true,
        };
        let found = self.documents(&described.db, &find, at).await?;
        let bound = |document: &RawDocumentBuf| {
            Some(Bound { record: document.get_i64("$recordId").ok()?, id: id_of(document.as_bytes())? })
        };
        let mut bounds: Vec<Bound> = found.iter().filter_map(bound).collect();
        bounds.sort_by_key(|bound| bound.record);
        bounds.dedup_by_key(|bound| bound.record);
        Ok(Split::Natural(quantiles(&bounds, parts)))
    }

    /// Documents with an `_id` alone.
    async fn sample(
        &self,
        described: &Described,
        parts: usize,
        at: ReadAt,
        then: &[Document],
    ) -> Result<Vec<RawDocumentBuf>> {
        let size = i64::try_from(parts * SAMPLES_FOR_EACH).unwrap_or(i64::MAX);
        let mut pipeline = vec![doc! { "$sample": { "size": size } }, doc! { "$project": { "_id": 1 } }];
        pipeline.extend_from_slice(then);
        let command = doc! { "aggregate": described.data_collection(), "pipeline": pipeline, "cursor": {} };
        self.documents(&described.db, &command, at).await
    }
}

/// `parts - 1` of `sorted`, evenly spaced; fewer if there are not so many.
fn quantiles<T: Clone>(sorted: &[T], parts: usize) -> Vec<T> {
    let parts = parts.min(sorted.len() + 1).max(1);
    (1..parts).map(|part| sorted[part * sorted.len() / parts].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_evenly_spaced() {
        let sorted: Vec<u32> = (0..64).collect();
        assert_eq!(quantiles(&sorted, 4), [16, 32, 48]);
        assert_eq!(quantiles(&sorted, 1), Vec::<u32>::new());
        assert_eq!(quantiles(&sorted[..2], 4), [0, 1]);
        assert_eq!(quantiles::<u32>(&[], 4), Vec::<u32>::new());
    }
}

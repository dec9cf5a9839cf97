//! Views stand on collections and on other views: those come first.

use std::collections::{HashMap, HashSet};

use bson::{Bson, Document};

use super::plan::Metadata;
use crate::manifest::{Namespace, NamespaceKind};

/// Those of `places` that are views, each after the views it reads.
pub(super) fn in_order(namespaces: &[Namespace], metadata: &[Metadata], places: &[usize]) -> Vec<usize> {
    let is_view = |place: &&usize| namespaces[**place].kind == NamespaceKind::View;
    let views: HashMap<(&str, &str), usize> = places
        .iter()
        .filter(is_view)
        .map(|&place| ((namespaces[place].db.as_str(), namespaces[place].collection.as_str()), place))
        .collect();
    let mut order = Order { namespaces, metadata, views: &views, begun: HashSet::new(), done: Vec::new() };
    places.iter().filter(is_view).for_each(|&place| order.take(place));
    order.done
}

struct Order<'a> {
    namespaces: &'a [Namespace],
    metadata: &'a [Metadata],
    views: &'a HashMap<(&'a str, &'a str), usize>,
    begun: HashSet<usize>,
    done: Vec<usize>,
}

impl Order<'_> {
    /// MongoDB allows 20 views upon each other and no circle; a hostile manifest ends here too, as nothing
    /// is begun twice.
    fn take(&mut self, place: usize) {
        if !self.begun.insert(place) {
            return;
        }
        let mut names = Vec::new();
        reads(&self.metadata[place].options, &mut names);
        let db = self.namespaces[place].db.as_str();
        let before: Vec<usize> =
            names.iter().filter_map(|name| self.views.get(&(db, name.as_str())).copied()).collect();
        before.into_iter().for_each(|place| self.take(place));
        self.done.push(place);
    }
}

/// Every name that a view's definition may read from: `viewOn`, and `from` or `coll` of its stages.
fn reads(document: &Document, names: &mut Vec<String>) {
    for (key, value) in document {
        match value {
            Bson::String(name) if matches!(key.as_str(), "viewOn" | "from" | "coll" | "$unionWith") => {
                names.push(name.clone());
            }
            value => reads_in(value, names),
        }
    }
}

fn reads_in(value: &Bson, names: &mut Vec<String>) {
    match value {
        Bson::Document(document) => reads(document, names),
        Bson::Array(values) => values.iter().for_each(|value| reads_in(value, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn view(name: &str, options: Document) -> (Namespace, Metadata) {
        let namespace = Namespace {
            db: "shop".into(),
            collection: name.into(),
            kind: NamespaceKind::View,
            metadata: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
            documents: 0,
            bytes: 0,
            crc64: "0000000000000000".into(),
        };
        (namespace, Metadata { options, indexes: Vec::new() })
    }

    fn order(views: Vec<(Namespace, Metadata)>) -> Vec<String> {
        let (namespaces, metadata): (Vec<_>, Vec<_>) = views.into_iter().unzip();
        let places: Vec<usize> = (0..namespaces.len()).collect();
        let order = in_order(&namespaces, &metadata, &places);
        order.into_iter().map(|place| namespaces[place].collection.clone()).collect()
    }

    #[test]
    fn a_view_comes_after_the_views_it_reads() {
        let nested = doc! { "viewOn": "c", "pipeline": [{ "$lookup": { "from": "y", "pipeline": [{ "$unionWith": "z" }] } }] };
        let views = vec![
            view("a", doc! { "viewOn": "b", "pipeline": [] }),
            view("b", nested),
            view("y", doc! { "viewOn": "orders", "pipeline": [{ "$unionWith": { "coll": "z" } }] }),
            view("z", doc! { "viewOn": "orders", "pipeline": [] }),
        ];
        assert_eq!(order(views), ["z", "y", "b", "a"]);
    }

    #[test]
    fn a_circle_ends() {
        let views = vec![view("a", doc! { "viewOn": "b" }), view("b", doc! { "viewOn": "a" })];
        assert_eq!(order(views).len(), 2);
    }
}

//! Views stand on collections and on other views: those come first.

use std::collections::{HashMap, HashSet};

use bson::{Bson, Document};

use super::metadata::Metadata;
use crate::renames::Renames;

/// Views in an order in which they can be created: each after the views it reads. Both lists are by place.
pub(super) fn in_order(names: &[(String, String)], metadata: &[Metadata], places: &[usize]) -> Vec<usize> {
    let named = |&place: &usize| ((names[place].0.as_str(), names[place].1.as_str()), place);
    let views: HashMap<(&str, &str), usize> = places.iter().map(named).collect();
    let mut order = Order { names, metadata, views: &views, begun: HashSet::new(), done: Vec::new() };
    places.iter().for_each(|&place| order.take(place));
    order.done
}

struct Order<'a> {
    names: &'a [(String, String)],
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
        let db = self.names[place].0.as_str();
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

/// Makes the definition of a view of `db` read what it read before, under its new names.
///
/// # Errors
/// The name of what would be in another database than the others, where no view can read it.
pub(super) fn rename(options: &mut Document, db: &str, view: &str, renames: &Renames) -> Result<(), String> {
    let there = renames.apply(db, view).0;
    let renaming = Renaming { db, there: &there, renames };
    if let Some(on) = options.get_mut("viewOn") {
        renaming.name(on)?;
    }
    options.get_mut("pipeline").map_or(Ok(()), |pipeline| renaming.pipeline(pipeline))
}

struct Renaming<'a> {
    db: &'a str,
    /// The view's new database.
    there: &'a str,
    renames: &'a Renames,
}

impl Renaming<'_> {
    /// Anything but text is left to the server's judgement.
    fn name(&self, value: &mut Bson) -> Result<(), String> {
        let Bson::String(name) = value else { return Ok(()) };
        let (db, renamed) = self.renames.apply(self.db, name);
        if db != self.there {
            return Err(format!("{db}.{renamed}"));
        }
        *name = renamed;
        Ok(())
    }

    fn pipeline(&self, pipeline: &mut Bson) -> Result<(), String> {
        let Bson::Array(stages) = pipeline else { return Ok(()) };
        let stages = stages.iter_mut().filter_map(Bson::as_document_mut);
        stages
            .flat_map(|stage| stage.iter_mut())
            .try_for_each(|(operator, argument)| self.stage(operator, argument))
    }

    /// The stages that name collections or hold pipelines (MongoDB manual, "Aggregation Stages").
    fn stage(&self, operator: &str, argument: &mut Bson) -> Result<(), String> {
        match (operator, argument) {
            ("$unionWith", name @ Bson::String(_)) => self.name(name),
            ("$lookup" | "$graphLookup" | "$unionWith", Bson::Document(argument)) => {
                for (key, value) in argument.iter_mut() {
                    match key.as_str() {
                        "from" | "coll" => self.name(value)?,
                        "pipeline" => self.pipeline(value)?,
                        _ => {}
                    }
                }
                Ok(())
            }
            ("$facet", Bson::Document(facets)) => {
                facets.iter_mut().try_for_each(|(_, pipeline)| self.pipeline(pipeline))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn order(views: Vec<(&str, Document)>) -> Vec<String> {
        let names: Vec<_> = views.iter().map(|(name, _)| ("shop".to_owned(), (*name).to_owned())).collect();
        let metadata: Vec<_> =
            views.into_iter().map(|(_, options)| Metadata { options, indexes: Vec::new() }).collect();
        let places: Vec<usize> = (0..names.len()).collect();
        in_order(&names, &metadata, &places).into_iter().map(|place| names[place].1.clone()).collect()
    }

    #[test]
    fn a_view_comes_after_the_views_it_reads() {
        let nested = doc! { "viewOn": "c", "pipeline": [{ "$lookup": { "from": "y", "pipeline": [{ "$unionWith": "z" }] } }] };
        let views = vec![
            ("a", doc! { "viewOn": "b", "pipeline": [] }),
            ("b", nested),
            ("y", doc! { "viewOn": "orders", "pipeline": [{ "$unionWith": { "coll": "z" } }] }),
            ("z", doc! { "viewOn": "orders", "pipeline": [] }),
        ];
        assert_eq!(order(views), ["z", "y", "b", "a"]);
    }

    #[test]
    fn a_circle_ends() {
        assert_eq!(order(vec![("a", doc! { "viewOn": "b" }), ("b", doc! { "viewOn": "a" })]).len(), 2);
    }

    fn renames(rule: &str) -> Renames {
        Renames::new([rule.to_owned()]).unwrap()
    }

    #[test]
    fn a_renamed_view_reads_what_it_read_before() {
        let definition = |a: &str, b: &str| {
            doc! { "viewOn": a, "pipeline": [
                { "$lookup": { "from": b, "as": "a", "pipeline": [{ "$unionWith": a }] } },
                { "$graphLookup": { "from": b, "startWith": "$a" } },
                { "$facet": { "a": [{ "$unionWith": { "coll": b, "pipeline": [{ "$unionWith": a }] } }] } },
                { "$project": { "from": "a", "coll": { "$literal": "b" } } },
            ] }
        };
        let mut options = definition("a", "b");
        rename(&mut options, "shop", "v", &renames("shop.*=copy.old_*")).unwrap();
        assert_eq!(options, definition("old_a", "old_b"));
        let mut options = definition("a", "b");
        rename(&mut options, "shop", "v", &renames("shop.v=shop.w")).unwrap();
        assert_eq!(options, definition("a", "b"));
    }

    #[test]
    fn a_view_cannot_read_from_another_database() {
        let mut options = doc! { "viewOn": "a", "pipeline": [] };
        assert_eq!(rename(&mut options, "shop", "v", &renames("shop.v=copy.v")), Err("shop.a".into()));
        assert_eq!(rename(&mut options, "shop", "v", &renames("shop.a=copy.a")), Err("copy.a".into()));
    }
}

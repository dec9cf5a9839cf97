//! Views stand on collections and on other views: those come first.

use std::collections::{HashMap, HashSet};

use bson::{Bson, Document};

use crate::names::Name;
use crate::renames::Renames;

/// A view that is to be created.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub(super) name: Name,
    /// Its definition, with the names of the target.
    pub(super) options: Document,
}

/// Views in an order in which they can be created: each after the views it reads.
pub(super) fn in_order(views: &[View]) -> Vec<&View> {
    let named = views.iter().map(|view| (&view.name, view)).collect();
    let mut order = Order { views: &named, begun: HashSet::new(), done: Vec::new() };
    views.iter().for_each(|view| order.take(view));
    order.done
}

struct Order<'o, 'a> {
    views: &'o HashMap<&'a Name, &'a View>,
    begun: HashSet<&'a Name>,
    done: Vec<&'a View>,
}

impl<'a> Order<'_, 'a> {
    /// MongoDB allows 20 views upon each other and no circle; a hostile manifest ends here too, as nothing
    /// is begun twice.
    fn take(&mut self, view: &'a View) {
        if !self.begun.insert(&view.name) {
            return;
        }
        let mut names = Vec::new();
        reads(&view.options, &mut names);
        for name in names {
            if let Some(before) = self.views.get(&Name::new(&view.name.db, name)) {
                self.take(before);
            }
        }
        self.done.push(view);
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

/// Makes the definition of the view `view` (its name in the source) read what it read before, under its new names.
///
/// # Errors
/// The name of what would be in another database than the others, where no view can read it.
pub(super) fn rename(options: &mut Document, view: &Name, renames: &Renames) -> Result<(), Name> {
    let there = renames.apply(&view.db, &view.collection).db;
    let renaming = Renaming { db: &view.db, there: &there, renames };
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
    fn name(&self, value: &mut Bson) -> Result<(), Name> {
        let Bson::String(name) = value else { return Ok(()) };
        let renamed = self.renames.apply(self.db, name);
        if renamed.db != self.there {
            return Err(renamed);
        }
        *name = renamed.collection;
        Ok(())
    }

    fn pipeline(&self, pipeline: &mut Bson) -> Result<(), Name> {
        let Bson::Array(stages) = pipeline else { return Ok(()) };
        let stages = stages.iter_mut().filter_map(Bson::as_document_mut);
        stages
            .flat_map(|stage| stage.iter_mut())
            .try_for_each(|(operator, argument)| self.stage(operator, argument))
    }

    /// The stages that name collections or hold pipelines (MongoDB manual, "Aggregation Stages").
    fn stage(&self, operator: &str, argument: &mut Bson) -> Result<(), Name> {
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
        let view = |(name, options)| View { name: Name::new("shop", name), options };
        let views: Vec<View> = views.into_iter().map(view).collect();
        in_order(&views).into_iter().map(|view| view.name.collection.clone()).collect()
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
        rename(&mut options, &Name::new("shop", "v"), &renames("shop.*=copy.old_*")).unwrap();
        assert_eq!(options, definition("old_a", "old_b"));
        let mut options = definition("a", "b");
        rename(&mut options, &Name::new("shop", "v"), &renames("shop.v=shop.w")).unwrap();
        assert_eq!(options, definition("a", "b"));
    }

    #[test]
    fn a_view_cannot_read_from_another_database() {
        let mut options = doc! { "viewOn": "a", "pipeline": [] };
        assert_eq!(
            rename(&mut options, &Name::new("shop", "v"), &renames("shop.v=copy.v")),
            Err(Name::new("shop", "a"))
        );
        assert_eq!(
            rename(&mut options, &Name::new("shop", "v"), &renames("shop.a=copy.a")),
            Err(Name::new("copy", "a"))
        );
    }
}

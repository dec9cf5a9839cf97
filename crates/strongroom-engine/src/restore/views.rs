//! Views stand on collections and on other views: those come first.

use std::collections::{BTreeSet, HashMap, HashSet};

use bson::raw::cstr;
use bson::{RawArray, RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::definition::Definition;
use crate::names::Name;
use crate::renames::Renames;

/// A view that is to be created.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub(super) name: Name,
    /// Its definition, with the names of the target.
    pub(super) options: Definition,
}

/// Views in an order in which they can be created: each after the views it reads. MongoDB allows 20 views upon each
/// other and no circle; a manifest may say anything, so nothing is begun twice, and no call waits for another.
pub(super) fn in_order(views: &[View]) -> Vec<&View> {
    let named: HashMap<&Name, &View> = views.iter().map(|view| (&view.name, view)).collect();
    let (mut begun, mut done) = (HashSet::new(), Vec::new());
    let mut ahead: Vec<(&View, bool)> = views.iter().rev().map(|view| (view, false)).collect();
    while let Some((view, has_all_before)) = ahead.pop() {
        if has_all_before {
            done.push(view);
        } else if begun.insert(&view.name) {
            ahead.push((view, true));
            let before = read_by(&view.options).into_iter().rev();
            let before = before.filter_map(|name| named.get(&Name::new(&view.name.db, name)));
            ahead.extend(before.map(|before| (*before, false)));
        }
    }
    done
}

/// Those of these views that read themselves, by way of others: no server creates them.
pub(super) fn in_circles<'a>(views: &[(&'a Name, &'a Definition)]) -> BTreeSet<&'a Name> {
    let reads: HashMap<&Name, Vec<Name>> = views
        .iter()
        .map(|(name, options)| {
            (*name, read_by(options).into_iter().map(|read| Name::new(&name.db, read)).collect())
        })
        .collect();
    let circles = views.iter().map(|(name, _)| *name).filter(|name| {
        let mut seen: HashSet<&Name> = HashSet::new();
        let mut ahead: Vec<&Name> = reads[name].iter().collect();
        while let Some(next) = ahead.pop() {
            if next == *name {
                return true;
            }
            if seen.insert(next) {
                ahead.extend(reads.get(next).into_iter().flatten());
            }
        }
        false
    });
    circles.collect()
}

/// The names that a view's definition reads. Other members are called `from` and `coll` too.
fn read_by(options: &Definition) -> Vec<&str> {
    let mut names: Vec<&str> = options.text("viewOn").into_iter().collect();
    let mut ahead: Vec<&RawArray> =
        options.get("pipeline").and_then(RawBsonRef::as_array).into_iter().collect();
    while let Some(pipeline) = ahead.pop() {
        let stages = pipeline.into_iter().flatten().filter_map(RawBsonRef::as_document);
        for (operator, argument) in stages.flat_map(|stage| stage.iter().flatten()) {
            read_by_stage(operator.as_str(), argument, &mut names, &mut ahead);
        }
    }
    names
}

/// Adds the names and the pipelines of a stage (MongoDB manual, "Aggregation Stages").
fn read_by_stage<'a>(
    operator: &str,
    argument: RawBsonRef<'a>,
    names: &mut Vec<&'a str>,
    pipelines: &mut Vec<&'a RawArray>,
) {
    if operator == "$unionWith" {
        names.extend(argument.as_str());
    }
    let names_some = matches!(operator, "$lookup" | "$graphLookup" | "$unionWith");
    if !names_some && operator != "$facet" {
        return;
    }
    for (key, value) in argument.as_document().into_iter().flat_map(|members| members.iter().flatten()) {
        match key.as_str() {
            "from" | "coll" if names_some => names.extend(value.as_str()),
            "pipeline" if names_some => pipelines.extend(value.as_array()),
            _ if !names_some => pipelines.extend(value.as_array()),
            _ => {}
        }
    }
}

/// The definition of the view `view` (its name in the source), reading what it read before, under its new names.
///
/// # Errors
/// The name of what would be in another database than the others, where no view can read it.
pub(super) fn rename(options: &Definition, view: &Name, renames: &Renames) -> Result<Definition, Name> {
    let there = renames.apply(&view.db, &view.collection).db;
    let renaming = Renaming { db: &view.db, there: &there, renames };
    let mut renamed = options.clone();
    if let Some(on) = options.text("viewOn") {
        renamed = renamed.with(cstr!("viewOn"), renaming.name(on)?);
    }
    if let Some(RawBsonRef::Array(pipeline)) = options.get("pipeline")
        && !renames.is_empty()
    {
        renamed = renamed.with(cstr!("pipeline"), renaming.pipeline(pipeline)?);
    }
    Ok(renamed)
}

struct Renaming<'a> {
    db: &'a str,
    /// The view's new database.
    there: &'a str,
    renames: &'a Renames,
}

impl Renaming<'_> {
    fn name(&self, name: &str) -> Result<String, Name> {
        let renamed = self.renames.apply(self.db, name);
        if renamed.db != self.there {
            return Err(renamed);
        }
        Ok(renamed.collection)
    }

    fn pipeline(&self, pipeline: &RawArray) -> Result<RawArrayBuf, Name> {
        let mut renamed = RawArrayBuf::new();
        for stage in pipeline.into_iter().flatten() {
            match stage {
                RawBsonRef::Document(stage) => renamed.push(self.members(stage, Self::stage)?),
                other => renamed.push(other),
            }
        }
        Ok(renamed)
    }

    /// A document with other values.
    fn members(&self, document: &RawDocument, change: Change<Self>) -> Result<RawDocumentBuf, Name> {
        let mut renamed = RawDocumentBuf::new();
        for (key, value) in document.iter().flatten() {
            match change(self, key.as_str(), value)? {
                Some(changed) => renamed.append(key, changed),
                None => renamed.append(key, value),
            }
        }
        Ok(renamed)
    }

    /// The stages that name collections or hold pipelines (MongoDB manual, "Aggregation Stages").
    fn stage(&self, operator: &str, argument: RawBsonRef<'_>) -> Result<Option<RawBson>, Name> {
        let changed = match (operator, argument) {
            ("$unionWith", RawBsonRef::String(name)) => RawBson::String(self.name(name)?),
            ("$lookup" | "$graphLookup" | "$unionWith", RawBsonRef::Document(argument)) => {
                RawBson::Document(self.members(argument, Self::argument)?)
            }
            ("$facet", RawBsonRef::Document(facets)) => RawBson::Document(self.members(facets, Self::facet)?),
            _ => return Ok(None),
        };
        Ok(Some(changed))
    }

    /// Anything but text is left to the server's judgement.
    fn argument(&self, key: &str, value: RawBsonRef<'_>) -> Result<Option<RawBson>, Name> {
        match (key, value) {
            ("from" | "coll", RawBsonRef::String(name)) => self.name(name).map(RawBson::String).map(Some),
            ("pipeline", RawBsonRef::Array(pipeline)) => {
                self.pipeline(pipeline).map(RawBson::Array).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn facet(&self, _: &str, value: RawBsonRef<'_>) -> Result<Option<RawBson>, Name> {
        let RawBsonRef::Array(pipeline) = value else { return Ok(None) };
        self.pipeline(pipeline).map(RawBson::Array).map(Some)
    }
}

/// What becomes of one member of a document; none if it stays.
type Change<R> = fn(&R, &str, RawBsonRef<'_>) -> Result<Option<RawBson>, Name>;

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;
    use crate::definition::tests::definition;

    fn order(views: Vec<(&str, Document)>) -> Vec<String> {
        let view = |(name, options)| View { name: Name::new("shop", name), options: definition(options) };
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
    fn views_that_read_themselves_are_found() {
        let views = [("a", "b"), ("b", "c"), ("c", "b"), ("d", "d"), ("e", "orders")]
            .map(|(name, on)| (Name::new("shop", name), definition(doc! { "viewOn": on })));
        let views: Vec<_> = views.iter().map(|(name, options)| (name, options)).collect();
        let found: Vec<String> = in_circles(&views).into_iter().map(ToString::to_string).collect();
        assert_eq!(found, ["shop.b", "shop.c", "shop.d"]);
    }

    #[test]
    fn a_value_that_is_called_as_a_view_is_not_read() {
        let audit = doc! { "viewOn": "log", "pipeline": [
            { "$match": { "coll": "orders", "from": "orders", "viewOn": "orders" } },
            { "$lookup": { "from": "users", "as": "orders", "let": { "coll": "orders" } } },
            { "$project": { "$unionWith": { "$literal": { "from": "orders" } } } },
        ] };
        let name = Name::new("shop", "orders");
        assert!(in_circles(&[(&name, &definition(audit))]).is_empty());
        let inside = doc! { "viewOn": "log", "pipeline": [
            { "$facet": { "x": [{ "$lookup": { "pipeline": [{ "$unionWith": "orders" }] } }] } },
        ] };
        assert_eq!(in_circles(&[(&name, &definition(inside))]).len(), 1);
    }

    #[test]
    fn a_chain_of_any_length_is_put_in_order() {
        let number = |n: u32| Name::new("shop", n.to_string());
        let options = |n: u32| definition(doc! { "viewOn": (n + 1).to_string() });
        let views: Vec<View> = (0..50_000).map(|n| View { name: number(n), options: options(n) }).collect();
        let found = in_order(&views);
        assert!(
            found.iter().map(|view| &view.name).eq((0..50_000).rev().map(number).collect::<Vec<_>>().iter())
        );
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
        let view = |a: &str, b: &str| {
            let mut twice = bson::rawdoc! { "$match": { "x": 1 } };
            twice.append(cstr!("$match"), bson::rawdoc! { "x": 2 });
            let view = doc! { "viewOn": a, "pipeline": [
                { "$lookup": { "from": b, "as": "a", "pipeline": [{ "$unionWith": a }] } },
                { "$graphLookup": { "from": b, "startWith": "$a" } },
                { "$facet": { "a": [{ "$unionWith": { "coll": b, "pipeline": [{ "$unionWith": a }] } }] } },
                { "$project": { "from": "a", "coll": { "$literal": "b" } } },
            ] };
            let mut pipeline = RawArrayBuf::new();
            definition(view.clone()).get("pipeline").unwrap().as_array().unwrap().into_iter().for_each(
                |stage| {
                    pipeline.push(stage.unwrap());
                },
            );
            pipeline.push(twice);
            definition(view).with(cstr!("pipeline"), pipeline)
        };
        let renamed = |rule| rename(&view("a", "b"), &Name::new("shop", "v"), &renames(rule)).unwrap();
        assert_eq!(renamed("shop.*=copy.old_*"), view("old_a", "old_b"));
        assert_eq!(renamed("shop.v=shop.w"), view("a", "b"));
    }

    #[test]
    fn a_view_cannot_read_from_another_database() {
        let options = definition(doc! { "viewOn": "a", "pipeline": [] });
        let renamed = |rule| rename(&options, &Name::new("shop", "v"), &renames(rule));
        assert_eq!(renamed("shop.v=copy.v"), Err(Name::new("shop", "a")));
        assert_eq!(renamed("shop.a=copy.a"), Err(Name::new("copy", "a")));
    }
}

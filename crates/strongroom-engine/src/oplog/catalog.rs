//! Which collections, indexes and views there are, and how commands of the oplog change that.
//!
//! Indexes are built after the data, and views are created last: so the commands that make them only change what
//! stands here, and only commands about collections themselves have to be run when their turn comes.

use std::collections::BTreeMap;

use bson::raw::{CStr, cstr};
use bson::{RawBsonRef, RawDocument};

use super::entry::{Kind, Operation, split, strange};
use super::filter::view_name;
use crate::definition::Definition;
use crate::error::Result;
use crate::names::{BUCKETS, Name, VIEWS};

/// A clustered collection's or a time-series' option; `"off"` takes it away (MongoDB manual, "collMod").
const EXPIRES: &str = "expireAfterSeconds";

/// What there is. A time-series stands under the name of the collection of its buckets.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Catalog {
    /// Collections.
    pub collections: BTreeMap<Name, Collection>,
    /// The definition of each view.
    pub views: BTreeMap<Name, Definition>,
    /// Changes of collections that were not there, until they are dropped.
    pub orphans: BTreeMap<Name, u64>,
}

/// A collection.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Collection {
    /// Its options; of these only the default collation and the time after which documents expire are kept up to date.
    pub options: Definition,
    /// Indexes by their specification. A time-series' are as its user sees them.
    pub indexes: Vec<Definition>,
    /// Indexes of a time-series that were made since: specified for its buckets.
    pub bucket_indexes: Vec<Definition>,
}

/// What a command changes in the collections themselves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// A collection (or time-series) is created with these options.
    Create(Name, Definition),
    /// It is dropped.
    Drop(Name),
    /// These options of it are changed, as `collMod` takes them.
    Modify(Name, Definition),
}

impl Catalog {
    /// Whether there is such a collection; changes of one that is not there are counted.
    pub(crate) fn holds(&mut self, name: &Name) -> bool {
        let holds = self.collections.contains_key(name);
        if !holds {
            *self.orphans.entry(name.clone()).or_default() += 1;
        }
        holds
    }

    /// The name that stands here: servers that give buckets no name of their own (MongoDB 8.3 and later) log changes of
    /// them under that of their time-series.
    pub(crate) fn data_name(&self, name: Name) -> Name {
        let buckets = Name::new(&name.db, format!("{BUCKETS}{}", name.collection));
        let is_series = !self.collections.contains_key(&name) && self.collections.contains_key(&buckets);
        if is_series { buckets } else { name }
    }

    /// Takes a change of `system.views`. A time-series' definition is not one of a view.
    ///
    /// # Errors
    /// [`Code::Damaged`](crate::error::Code::Damaged) for what is not a view's definition.
    pub(crate) fn view(&mut self, part: &Operation<'_>) -> Result<()> {
        let (db, view) = split(view_name(part)?);
        let name = Name::new(db, view);
        if part.kind == Kind::Delete {
            self.views.remove(&name);
            return Ok(());
        }
        let definition = document(part.o)?.without("_id");
        let on = definition.text("viewOn").ok_or_else(|| strange("a view is on nothing"))?;
        if !on.starts_with(BUCKETS) {
            self.views.insert(name, definition);
        }
        Ok(())
    }

    /// Takes a command; what is to be run for it, if anything.
    ///
    /// # Errors
    /// [`Code::Damaged`](crate::error::Code::Damaged) for commands that are not as MongoDB writes them.
    pub(crate) fn command(&mut self, part: &Operation<'_>) -> Result<Option<Change>> {
        let (command, RawBsonRef::String(collection)) = part.command()? else { return Ok(None) };
        let o = document(part.o)?.without(command);
        let name = self.data_name(Name::new(part.db, collection));
        match command {
            // The views themselves are documents of it, and go with it.
            "create" if collection == VIEWS => Ok(None),
            "drop" if collection == VIEWS => {
                self.views.retain(|view, _| view.db != part.db);
                Ok(None)
            }
            "create" => Ok(self.create(name, &o)),
            "drop" => Ok(self.drop(name)),
            "createIndexes" => Ok(self.add(&name, vec![o])),
            "commitIndexBuild" => Ok(self.add(&name, specifications(&o)?)),
            "dropIndexes" | "deleteIndexes" | "dropIndex" => self.remove(&name, &o),
            "collMod" => self.modify(name, &o),
            _ => Ok(None),
        }
    }

    /// One that is there already was created before it was listed: it stays, what follows leads to the same.
    fn create(&mut self, name: Name, options: &Definition) -> Option<Change> {
        // A temporary collection would vanish with the server's next start.
        let mut options = options.without("temp");
        let mut name = name;
        if options.contains("timeseries") {
            options = timeseries(&options);
            if !name.collection.starts_with(BUCKETS) {
                name.collection.insert_str(0, BUCKETS);
            }
        }
        if self.collections.contains_key(&name) {
            return None;
        }
        let collection = Collection { options: options.clone(), ..Collection::default() };
        self.collections.insert(name.clone(), collection);
        // Documents expire when all is there, and not while it is restored.
        Some(Change::Create(name, options.without(EXPIRES)))
    }

    fn drop(&mut self, name: Name) -> Option<Change> {
        self.orphans.remove(&name);
        self.collections.remove(&name).map(|_| Change::Drop(name))
    }

    fn add(&mut self, name: &Name, specifications: Vec<Definition>) -> Option<Change> {
        let collection = self.there(name)?;
        for specification in specifications {
            collection.forget(&index_name(&specification));
            let buckets = name.collection.starts_with(BUCKETS);
            let list = if buckets { &mut collection.bucket_indexes } else { &mut collection.indexes };
            list.push(specification);
        }
        None
    }

    fn remove(&mut self, name: &Name, o: &Definition) -> Result<Option<Change>> {
        let index = o.text("index").ok_or_else(|| strange("an index without a name was dropped"))?;
        if let Some(collection) = self.there(name) {
            match index {
                "*" => collection.forget_all(),
                index => collection.forget(index),
            }
        }
        Ok(None)
    }

    fn modify(&mut self, name: Name, o: &Definition) -> Result<Option<Change>> {
        let options = o.without("index");
        let Some(collection) = self.there(&name) else { return Ok(None) };
        if o.contains("index") {
            let index = o.part("index").ok_or_else(|| strange("an index is changed to nothing"))?;
            collection.alter(&index)?;
        }
        if let Some(after) = options.get(EXPIRES) {
            collection.options = match after {
                RawBsonRef::String(_) => collection.options.without(EXPIRES),
                after => collection.options.with(cstr!("expireAfterSeconds"), after),
            };
        }
        let options = options.without(EXPIRES);
        Ok((!options.is_empty()).then_some(Change::Modify(name, options)))
    }

    fn there(&mut self, name: &Name) -> Option<&mut Collection> {
        if !self.holds(name) {
            return None;
        }
        self.collections.get_mut(name)
    }
}

impl Collection {
    fn forget(&mut self, index: &str) {
        self.indexes.retain(|known| index_name(known) != index);
        self.bucket_indexes.retain(|known| index_name(known) != index);
    }

    /// All but that on `_id`.
    fn forget_all(&mut self) {
        self.indexes.retain(|known| index_name(known) == "_id_");
        self.bucket_indexes.clear();
    }

    /// `collMod` of an index. What is switched off again is not listed by a server.
    fn alter(&mut self, change: &Definition) -> Result<()> {
        let name = index_name(change);
        let all = self.indexes.iter_mut().chain(&mut self.bucket_indexes);
        for known in all.filter(|known| index_name(known) == name) {
            for option in change.as_raw() {
                let (option, value) =
                    option.map_err(|e| strange("a change of an index cannot be read").caused_by(e))?;
                if option.as_str() != "name" {
                    *known = altered(known, option, value);
                }
            }
            if known.says_yes("unique") {
                *known = known.without("prepareUnique");
            }
        }
        Ok(())
    }
}

fn altered(index: &Definition, option: &CStr, value: RawBsonRef<'_>) -> Definition {
    match value {
        RawBsonRef::Boolean(false) => index.without(option.as_str()),
        value => index.with(option, value),
    }
}

/// What a user says to create the time-series whose buckets were created with these options.
fn timeseries(buckets: &Definition) -> Definition {
    buckets
        .only(|option| ["timeseries", "expireAfterSeconds", "collation", "storageEngine"].contains(&option))
}

fn index_name(specification: &Definition) -> String {
    specification.text("name").unwrap_or_default().to_owned()
}

fn specifications(o: &Definition) -> Result<Vec<Definition>> {
    let Some(RawBsonRef::Array(indexes)) = o.get("indexes") else {
        return Err(strange("no indexes were built"));
    };
    indexes
        .into_iter()
        .map(|index| match index {
            Ok(RawBsonRef::Document(index)) => document(index),
            _ => Err(strange("an index is no document")),
        })
        .collect()
}

/// Options and indexes may be changed, so they are looked into; documents of users never are.
fn document(raw: &RawDocument) -> Result<Definition> {
    Definition::checked(raw.as_bytes()).map_err(|e| strange("a command cannot be read").caused_by(e))
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, Timestamp, doc, rawdoc};

    use super::super::entry::Entry;
    use super::*;
    use crate::definition::tests::definition;

    fn with(op: &str, ns: &str, o: RawDocumentBuf, take: impl FnOnce(&Operation<'_>)) {
        let raw = rawdoc! { "op": op, "ns": ns, "o": o, "ts": Timestamp { time: 1, increment: 1 } };
        take(&Entry::of(raw.as_bytes()).unwrap().operation);
    }

    fn run(catalog: &mut Catalog, o: RawDocumentBuf) -> Option<Change> {
        let mut change = None;
        with("c", "shop.$cmd", o, |part| change = catalog.command(part).unwrap());
        change
    }

    fn name(collection: &str) -> Name {
        Name::new("shop", collection)
    }

    fn indexes(catalog: &Catalog, collection: &str) -> Vec<String> {
        let collection = &catalog.collections[&name(collection)];
        collection.indexes.iter().chain(&collection.bucket_indexes).map(index_name).collect()
    }

    #[test]
    fn collections_are_created_once_and_dropped_when_they_are_there() {
        let mut catalog = Catalog::default();
        let create = || rawdoc! { "create": "a", "temp": true, "capped": true };
        let change = run(&mut catalog, create());
        assert_eq!(change, Some(Change::Create(name("a"), definition(doc! { "capped": true }))));
        assert_eq!(run(&mut catalog, create()), None);
        assert_eq!(run(&mut catalog, rawdoc! { "drop": "a" }), Some(Change::Drop(name("a"))));
        assert_eq!(run(&mut catalog, rawdoc! { "drop": "a" }), None);
        assert_eq!(run(&mut catalog, rawdoc! { "dropDatabase": 1 }), None);
    }

    #[test]
    fn what_changes_a_missing_collection_is_counted_until_it_is_dropped() {
        let mut catalog = Catalog::default();
        assert!(!catalog.holds(&name("a")));
        assert_eq!(run(&mut catalog, rawdoc! { "collMod": "a", "validator": {} }), None);
        assert_eq!(catalog.orphans[&name("a")], 2);
        run(&mut catalog, rawdoc! { "drop": "a" });
        assert!(catalog.orphans.is_empty());
    }

    #[test]
    fn indexes_follow_what_is_done_to_them() {
        let mut catalog = Catalog::default();
        run(&mut catalog, rawdoc! { "create": "a" });
        run(&mut catalog, rawdoc! { "createIndexes": "a", "v": 2, "key": { "x": 1 }, "name": "x" });
        let build = |command: &str| {
            let mut o = RawDocumentBuf::new();
            o.append(<&CStr>::try_from(command).unwrap(), "a");
            let index = |name: &str| rawdoc! { "v": 2, "key": { "y": 1 }, "name": name };
            o.append(bson::raw::cstr!("indexes"), bson::RawArrayBuf::from_iter([index("y"), index("z")]));
            o
        };
        run(&mut catalog, build("startIndexBuild"));
        run(&mut catalog, build("abortIndexBuild"));
        assert_eq!(indexes(&catalog, "a"), ["x"]);
        run(&mut catalog, build("commitIndexBuild"));
        run(&mut catalog, build("commitIndexBuild"));
        assert_eq!(indexes(&catalog, "a"), ["x", "y", "z"]);
        run(&mut catalog, rawdoc! { "dropIndexes": "a", "index": "y" });
        assert_eq!(indexes(&catalog, "a"), ["x", "z"]);
        let hide = rawdoc! { "name": "x", "hidden": true, "expireAfterSeconds": 5_i64 };
        assert_eq!(run(&mut catalog, rawdoc! { "collMod": "a", "index": hide }), None);
        let shown = rawdoc! { "name": "x", "hidden": false };
        let change = run(&mut catalog, rawdoc! { "collMod": "a", "index": shown, "validationLevel": "off" });
        assert_eq!(change, Some(Change::Modify(name("a"), definition(doc! { "validationLevel": "off" }))));
        let expected =
            definition(doc! { "v": 2, "key": { "x": 1 }, "name": "x", "expireAfterSeconds": 5_i64 });
        assert_eq!(catalog.collections[&name("a")].indexes[0], expected);
        run(&mut catalog, rawdoc! { "dropIndexes": "a", "index": "*" });
        assert!(indexes(&catalog, "a").is_empty());
    }

    #[test]
    fn a_time_series_is_created_as_its_user_does() {
        let mut catalog = Catalog::default();
        let series = doc! { "timeField": "at", "metaField": "m" };
        let raw = rawdoc! {
            "create": "system.buckets.w", "validator": { "x": 1 }, "clusteredIndex": true,
            "timeseries": { "timeField": "at", "metaField": "m" },
        };
        let expected = Change::Create(name("system.buckets.w"), definition(doc! { "timeseries": series }));
        assert_eq!(run(&mut catalog, raw), Some(expected));
        let index = rawdoc! { "createIndexes": "system.buckets.w", "key": { "meta.p": 1 }, "name": "p" };
        run(&mut catalog, index);
        assert_eq!(catalog.collections[&name("system.buckets.w")].bucket_indexes.len(), 1);
        let definition = rawdoc! { "_id": "shop.w", "viewOn": "system.buckets.w", "pipeline": [] };
        with("i", "shop.system.views", definition, |part| catalog.view(part).unwrap());
        assert!(catalog.views.is_empty());
    }

    /// From MongoDB 8.3 on, under a single name.
    #[test]
    fn a_time_series_of_one_name_is_the_same_as_one_of_two() {
        let mut catalog = Catalog::default();
        let raw = rawdoc! {
            "create": "w", "validator": { "x": 1 }, "clusteredIndex": true,
            "timeseries": { "timeField": "at", "metaField": "m" },
        };
        let series = doc! { "timeseries": { "timeField": "at", "metaField": "m" } };
        let expected = Change::Create(name("system.buckets.w"), definition(series));
        assert_eq!(run(&mut catalog, raw), Some(expected));
        assert_eq!(catalog.data_name(name("w")), name("system.buckets.w"));
        assert_eq!(catalog.data_name(name("a")), name("a"));
        run(&mut catalog, rawdoc! { "createIndexes": "w", "key": { "meta.p": 1 }, "name": "p" });
        assert_eq!(catalog.collections[&name("system.buckets.w")].bucket_indexes.len(), 1);
        assert_eq!(run(&mut catalog, rawdoc! { "drop": "w" }), Some(Change::Drop(name("system.buckets.w"))));
    }

    #[test]
    fn views_are_what_their_last_definition_says() {
        let mut catalog = Catalog::default();
        let view = |on: &str| rawdoc! { "_id": "shop.v", "viewOn": on, "pipeline": [] };
        for on in ["a", "b"] {
            with("i", "shop.system.views", view(on), |part| catalog.view(part).unwrap());
            let expected = definition(doc! { "viewOn": on, "pipeline": [] });
            assert_eq!(catalog.views[&name("v")], expected);
        }
        let difference = rawdoc! { "_id": "shop.v", "$v": 2, "diff": {} };
        with("u", "shop.system.views", difference, |part| assert!(catalog.view(part).is_err()));
        let gone = rawdoc! { "_id": "shop.v" };
        with("d", "shop.system.views", gone, |part| catalog.view(part).unwrap());
        assert!(catalog.views.is_empty());
    }
}

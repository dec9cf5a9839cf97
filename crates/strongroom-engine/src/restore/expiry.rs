//! Documents that a server deletes some time after a date in them: whose they are, and how that is held back.
//!
//! A restore from last month brings back documents that are past their time, and the server deletes them within
//! minutes. So that is reported, and can be held. Either way it begins last, when everything is there.

use bson::raw::{CStr, cstr};
use bson::{DateTime, RawBsonRef, RawDocumentBuf, rawdoc};
use serde::Serialize;

use super::item::Item;
use super::left::{Build, Left};
use super::settings::{CollectionOptions, Indexes, Options, Ttl};
use crate::definition::Definition;
use crate::deployment::{Refused, Target};
use crate::error::Result;
use crate::job::Job;
use crate::names::Name;
use crate::waits::Wait;

/// The option of indexes and of collections.
const AFTER: &str = "expireAfterSeconds";
const AFTER_NAME: &CStr = cstr!("expireAfterSeconds");
/// The longest time that a server takes (MongoDB manual, "TTL Indexes"): 68 years.
const NEVER: i32 = i32::MAX;
/// The first version that makes a TTL index of one that is none (MongoDB manual, "collMod").
const CONVERTS: (u32, u32) = (5, 1);

/// A rule by which the server deletes documents some time after a date in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expiry {
    /// `db.collection` in the target.
    pub namespace: String,
    /// The index that has the rule; none: the collection itself, which is clustered or a time-series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// Seconds after the date; none if it is not a whole number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_seconds: Option<i64>,
    /// Documents that were past their time when the data was there; none if they could not be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<u64>,
    /// Whether the rule is held back.
    pub held: bool,
    /// What switches a rule on that is held back, for `mongosh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switched_on_by: Option<String>,
}

/// A rule, and what it looks at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) on: Name,
    pub(super) index: Option<String>,
    after: Option<i64>,
    field: Option<String>,
    partial: Option<Definition>,
    /// Whether it is held back.
    held: bool,
}

/// The rules of what is restored, and those that the target has for it already.
#[derive(Debug)]
pub(super) struct Expiries {
    rules: Vec<Rule>,
    in_force: Vec<Rule>,
    held: bool,
}

/// Options of a collection as it is created: its own rule begins when the data is there.
pub(super) fn without(options: &Definition) -> Definition {
    options.without(AFTER)
}

/// What the source says of rules, before anything is restored; those that are `in_force` are the target's.
pub(super) fn previewed(items: &[Item], settings: &Options, in_force: &[Rule]) -> Vec<Expiry> {
    Expiries::of(&Left::of(items), settings, in_force).all().map(|rule| rule.told(None)).collect()
}

impl Expiries {
    pub(super) fn of(left: &Left, settings: &Options, in_force: &[Rule]) -> Self {
        let with_rule = |build: &Build| {
            let with_rule = build.indexes.iter().filter(|index| index.contains(AFTER));
            with_rule.map(|index| Rule::of_index(&build.on, index)).collect::<Vec<_>>()
        };
        let of_indexes = left.indexes.iter().filter(|build| !build.missing).flat_map(with_rule);
        let of_indexes = of_indexes.filter(|_| settings.indexes != Indexes::None);
        let has_options = |options: &Definition| {
            settings.collection_options == CollectionOptions::Keep || options.contains("timeseries")
        };
        let created = left.created.iter().filter(|(_, options)| has_options(options));
        let of_collections = created.filter_map(|(on, options)| Rule::of_collection(on, options));
        let held = settings.ttl == Ttl::Hold;
        let rules = of_collections.chain(of_indexes).map(|rule| Rule { held, ..rule });
        let rules =
            rules.filter(|rule| !in_force.iter().any(|other| other.is_of(&rule.on, rule.index.as_deref())));
        Self { rules: rules.collect(), in_force: in_force.to_vec(), held }
    }

    fn all(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().chain(&self.in_force)
    }

    /// Indexes as they are built. One that the target has already stays as it is.
    pub(super) fn hold(&self, mut builds: Vec<Build>, version: &str) -> Vec<Build> {
        for build in builds.iter_mut().filter(|_| self.held) {
            for index in build.indexes.iter_mut().filter(|index| index.contains(AFTER)) {
                let name = index.text("name");
                if !self.in_force.iter().any(|rule| rule.is_of(&build.on, name)) {
                    *index = held(index, version);
                }
            }
        }
        builds
    }

    /// Counts what is past its time: the data is there, and no rule is on yet.
    pub(super) async fn count(&self, target: &Target, job: &Job) -> Result<Vec<Expiry>> {
        let mut told = Vec::new();
        for rule in self.all() {
            job.check()?;
            let past = match rule.past(job.clock.now().timestamp_millis()) {
                Some(past) => {
                    let count = target.count(&rule.on, past, job.waits.longest(Wait::FirstByte));
                    // It is only reported: a user who may not look, or a server that takes too long, costs nothing else.
                    job.unless_cancelled(async { Ok(count.await.ok()) }).await?
                }
                None => None,
            };
            told.push(rule.told(past));
        }
        Ok(told)
    }

    /// Switches the collections' own rules on, unless they are held; what the server refused.
    pub(super) async fn begin(&self, target: &Target) -> Result<Vec<String>> {
        let mut refused = Vec::new();
        for rule in self.rules.iter().filter(|rule| !self.held && rule.index.is_none()) {
            let Some(after) = rule.after else { continue };
            match target.modify(&rule.on, &Definition::default().with(AFTER_NAME, after)).await {
                Err(Refused::Answer(error)) => refused.push(error.to_string()),
                outcome => outcome?,
            }
        }
        Ok(refused)
    }
}

impl Rule {
    /// The rules of a collection that has these options and indexes.
    pub(super) fn of_existing(on: &Name, options: &Definition, indexes: &[Definition]) -> Vec<Self> {
        let of_indexes = indexes.iter().filter(|index| index.contains(AFTER));
        let of_indexes = of_indexes.map(|index| Self::of_index(on, index));
        Self::of_collection(on, options).into_iter().chain(of_indexes).collect()
    }

    fn is_of(&self, on: &Name, index: Option<&str>) -> bool {
        self.on == *on && self.index.as_deref() == index
    }

    fn told(&self, past: Option<u64>) -> Expiry {
        Expiry {
            namespace: self.on.to_string(),
            index: self.index.clone(),
            after_seconds: self.after,
            past,
            held: self.held,
            switched_on_by: self.held.then(|| self.switched_on_by()).flatten(),
        }
    }

    fn of_index(on: &Name, index: &Definition) -> Self {
        let key = index.part("key").unwrap_or_default();
        Self {
            on: on.clone(),
            index: Some(index.text("name").unwrap_or_default().to_owned()),
            after: seconds(index),
            field: key.names().next().map(str::to_owned),
            partial: index.part("partialFilterExpression"),
            held: false,
        }
    }

    fn of_collection(on: &Name, options: &Definition) -> Option<Self> {
        options.contains(AFTER).then(|| {
            let series = options.part("timeseries");
            let field = series.as_ref().map_or(Some("_id"), |series| series.text("timeField"));
            let field = field.map(str::to_owned);
            Self { on: on.clone(), index: None, after: seconds(options), field, partial: None, held: false }
        })
    }

    /// What finds the documents that are past their time at `now`, in milliseconds since 1970.
    fn past(&self, now: i64) -> Option<RawDocumentBuf> {
        let before = now.checked_sub(self.after?.checked_mul(1000)?)?;
        let field: &CStr = self.field.as_deref()?.try_into().ok()?;
        let mut past = RawDocumentBuf::new();
        past.append(field, rawdoc! { "$lt": DateTime::from_millis(before) });
        Some(match &self.partial {
            Some(partial) => rawdoc! { "$and": [past, partial.as_raw().to_owned()] },
            None => past,
        })
    }

    fn switched_on_by(&self) -> Option<String> {
        self.changed_to(&self.after?.to_string())
    }

    /// What switches it off, for `mongosh`: an index has no such switch, and gets a time that never comes.
    pub(super) fn switched_off_by(&self) -> Option<String> {
        match self.index {
            Some(_) => self.changed_to(&NEVER.to_string()),
            None => self.changed_to("\"off\""),
        }
    }

    fn changed_to(&self, after: &str) -> Option<String> {
        let quoted = |text: &str| serde_json::to_string(text).ok();
        let (db, collection) = (quoted(&self.on.db)?, quoted(&self.on.collection)?);
        let after = format!("{AFTER}: {after}");
        let rule = match &self.index {
            Some(index) => format!("index: {{name: {}, {after}}}", quoted(index)?),
            None => after,
        };
        Some(format!("db.getSiblingDB({db}).runCommand({{collMod: {collection}, {rule}}})"))
    }
}

/// An index without its rule; older servers could not give it one later, so there it has one that never comes true.
fn held(index: &Definition, version: &str) -> Definition {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= CONVERTS { index.without(AFTER) } else { index.with(AFTER_NAME, NEVER) }
}

fn seconds(options: &Definition) -> Option<i64> {
    match options.get(AFTER)? {
        RawBsonRef::Int32(seconds) => Some(seconds.into()),
        RawBsonRef::Int64(seconds) => Some(seconds),
        RawBsonRef::Double(seconds) if seconds.is_finite() => Some(seconds as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::super::item::Action;
    use super::super::item::tests::item;
    use super::*;
    use crate::definition::tests::definition;

    fn sessions() -> Item {
        let mut item = item("shop.sessions", Action::Create);
        item.metadata.indexes = vec![
            definition(
                doc! { "key": { "at": 1 }, "name": "old \"ones\"", AFTER: 3600.0, "partialFilterExpression": { "done": true } },
            ),
            definition(doc! { "key": { "user": 1 }, "name": "user" }),
        ];
        item
    }

    fn hits() -> Item {
        let mut item = item("shop.hits", Action::Create);
        item.metadata.options = definition(doc! { "timeseries": { "timeField": "t" }, AFTER: 60_i64 });
        item
    }

    fn holding(ttl: Ttl) -> Options {
        Options { ttl, ..Options::default() }
    }

    #[test]
    fn rules_of_indexes_and_collections_are_found_and_how_they_are_switched_on() {
        let held = previewed(&[sessions(), hits()], &holding(Ttl::Hold), &[]);
        let found: Vec<_> =
            held.iter().map(|e| (e.namespace.as_str(), e.index.as_deref(), e.after_seconds)).collect();
        assert_eq!(
            found,
            [("shop.hits", None, Some(60)), ("shop.sessions", Some("old \"ones\""), Some(3600))]
        );
        let commands: Vec<_> = held.iter().filter_map(|e| e.switched_on_by.as_deref()).collect();
        assert_eq!(
            commands,
            [
                r#"db.getSiblingDB("shop").runCommand({collMod: "hits", expireAfterSeconds: 60})"#,
                r#"db.getSiblingDB("shop").runCommand({collMod: "sessions", index: {name: "old \"ones\"", expireAfterSeconds: 3600}})"#,
            ]
        );
        let kept = previewed(&[sessions(), hits()], &holding(Ttl::Keep), &[]);
        assert!(kept.iter().all(|e| !e.held && e.switched_on_by.is_none()));
        let none = Options { indexes: Indexes::None, ..Options::default() };
        assert!(previewed(&[sessions()], &none, &[]).is_empty(), "its index is not built");
    }

    #[test]
    fn what_is_past_is_found_by_the_date_and_by_what_the_index_holds() {
        let rule = |item: Item| Expiries::of(&Left::of(&[item]), &Options::default(), &[]).rules.remove(0);
        let before = |seconds: i64| doc! { "$lt": DateTime::from_millis(seconds * 1000) };
        let past = rule(sessions()).past(10_000_000).unwrap();
        let wanted = doc! { "$and": [{ "at": before(6_400) }, { "done": true }] };
        assert_eq!(bson::Document::try_from(past).unwrap(), wanted);
        let past = rule(hits()).past(10_000_000).unwrap();
        assert_eq!(bson::Document::try_from(past).unwrap(), doc! { "t": before(9_940) });
    }

    #[test]
    fn a_held_index_has_no_rule_or_one_that_never_comes_true() {
        let left = || Left::of(&[sessions()]);
        let after = |ttl, version| {
            let builds = Expiries::of(&left(), &holding(ttl), &[]).hold(left().indexes, version);
            seconds(&builds[0].indexes[0])
        };
        assert_eq!(after(Ttl::Keep, "6.0.5"), Some(3600));
        assert_eq!(after(Ttl::Hold, "6.0.5"), None);
        assert_eq!(after(Ttl::Hold, "5.1.0"), None);
        assert_eq!(after(Ttl::Hold, "5.0.14"), Some(NEVER.into()));
    }

    #[test]
    fn what_the_target_has_already_is_not_called_held() {
        let (on, name) = (Name::new("shop", "sessions"), "old \"ones\"");
        let index = definition(doc! { "key": { "at": 1 }, "name": name, AFTER: 60 });
        let in_force = Rule::of_existing(&on, &Definition::default(), &[index]);
        let told = previewed(&[sessions()], &holding(Ttl::Hold), &in_force);
        assert_eq!(told.iter().map(|e| (e.after_seconds, e.held)).collect::<Vec<_>>(), [(Some(60), false)]);
        let left = Left::of(&[sessions()]);
        let builds = Expiries::of(&left, &holding(Ttl::Hold), &in_force).hold(left.indexes, "6.0.5");
        assert_eq!(seconds(&builds[0].indexes[0]), Some(3600), "it stays what it was");
        assert_eq!(
            in_force[0].switched_off_by().unwrap(),
            r#"db.getSiblingDB("shop").runCommand({collMod: "sessions", index: {name: "old \"ones\"", expireAfterSeconds: 2147483647}})"#
        );
    }
}

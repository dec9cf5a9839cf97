//! Where a restore puts what it restores: rules such as `shop.*=shop_copy.*`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::names::{Authorization, BUCKETS, Name, SYSTEM, is_free};
use crate::selection::{Token, captures, tokens};
use crate::settings::as_text;

/// The longest `db.collection`, in bytes (MongoDB manual, "MongoDB Limits and Thresholds", unsharded collections).
const NAME_BYTES_MAX: usize = 255;
/// The longest name of a database, in bytes (the same page).
const DB_BYTES_MAX: usize = 63;

const SERVERS_OWN: &str =
    "the databases `local` and `config` and collections `system.…` belong to the server";

/// Rules, of which the first that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Renames(Vec<Rule>);

/// From what to what. The left side is a pattern as of `--include`; each `*` of the right side stands for what the
/// `*` of the left side in the same place stood for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    text: String,
    from: Vec<Token>,
    to: Vec<Token>,
}

as_text!(Rule);

impl FromIterator<Rule> for Renames {
    fn from_iter<T: IntoIterator<Item = Rule>>(rules: T) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl Renames {
    /// Reads rules from their text.
    ///
    /// # Errors
    /// As reading each [`Rule`].
    pub fn new(rules: impl IntoIterator<Item = String>) -> Result<Self> {
        rules.into_iter().map(|rule| rule.parse()).collect()
    }

    /// Whether there are no rules.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The new name. What no rule matches keeps its name, and so do users and roles. A time-series collection's buckets
    /// follow it; other collections of the server (`system.…`) follow to another database, and keep their names there.
    #[must_use]
    pub fn apply(&self, db: &str, collection: &str) -> Name {
        let unchanged = || Name::new(db, collection);
        if Authorization::of(db, collection).is_some() {
            return unchanged();
        }
        if let Some(measured) = collection.strip_prefix(BUCKETS) {
            let series = self.apply(db, measured);
            return Name::new(series.db, format!("{BUCKETS}{}", series.collection));
        }
        match self.first(db, collection) {
            None => unchanged(),
            Some((_, renamed)) if collection.starts_with(SYSTEM) => Name::new(renamed.db, collection),
            Some((_, renamed)) => renamed,
        }
    }

    /// A rule that renames none of these: a typing mistake, or names that belong to the server. A rule that gives a name
    /// to itself keeps it from later rules, so it has done something.
    pub(crate) fn unused<'a>(&self, names: impl Iterator<Item = &'a Name>) -> Option<&Rule> {
        let mut used = vec![false; self.0.len()];
        for name in names {
            let Some((place, renamed)) = self.first(&name.db, &name.collection) else { continue };
            used[place] |= renamed == *name || self.apply(&name.db, &name.collection) != *name;
        }
        self.0.iter().zip(used).find(|(_, used)| !used).map(|(rule, _)| rule)
    }

    fn first(&self, db: &str, collection: &str) -> Option<(usize, Name)> {
        let name = Name::new(db, collection).to_string();
        let hits = self.0.iter().enumerate();
        hits.filter_map(|(place, rule)| Some((place, rule.rename(&name)?))).next()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Rule {
    type Err = Error;

    /// Reads a rule of the form `from=to`, over `db.collection`; `\*`, `\=` and `\\` stand for themselves.
    ///
    /// # Errors
    /// [`Code::Usage`] for what is not of that form, names no database, or has more `*` on the right than on the left.
    fn from_str(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            Error::new(Code::Usage, format!("cannot rename by `{text}`: {why}"))
                .help("Write rules over database.collection, such as `shop.*=shop_copy.*`; \\* and \\= stand for themselves.")
        };
        let (from, to) = sides(text).ok_or_else(|| refused("it is not of the form `from=to`"))?;
        let (from, to) = (tokens(from), tokens(to));
        let dots = |side: &[Token]| side.contains(&Token::Is('.'));
        let stars = |side: &[Token]| side.iter().filter(|token| **token == Token::Any).count();
        if !dots(&to) || (!dots(&from) && from != [Token::Any]) {
            return Err(refused("each side names a database and a collection, with a dot in between"));
        }
        if stars(&to) > stars(&from) {
            return Err(refused("the right side has more `*` than the left"));
        }
        Ok(Self { from, to, text: text.to_owned() })
    }
}

impl Rule {
    fn rename(&self, name: &str) -> Option<Name> {
        let mut captured = captures(&self.from, name)?.into_iter();
        let mut renamed = String::new();
        for token in &self.to {
            match token {
                Token::Is(c) => renamed.push(*c),
                Token::Any => renamed.extend(captured.next()),
            }
        }
        renamed.split_once('.').map(|(db, collection)| Name::new(db, collection))
    }
}

/// Both sides of the first `=` that no backslash stands before.
fn sides(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let at = text.find(|c| {
        let found = c == '=' && !escaped;
        escaped = c == '\\' && !escaped;
        found
    })?;
    Some((&text[..at], &text[at + 1..]))
}

/// Whether a server takes this name.
///
/// # Errors
/// [`Code::Usage`], with what is wrong.
pub(crate) fn check_name(name: &Name) -> Result<()> {
    match wrong_in(&name.db, &name.collection) {
        None => Ok(()),
        Some(why) => Err(no_name(name, why)),
    }
}

/// A name that only a server gives.
pub(crate) fn servers_own(name: &Name) -> Error {
    no_name(name, SERVERS_OWN)
}

fn no_name(name: &Name, why: &str) -> Error {
    let name = name.to_string();
    let message = format!("`{}` cannot be the name of a collection: {why}", name.escape_debug());
    Error::new(Code::Usage, message).help(help![
        "Choose another right side for ",
        Setting::Rename,
        ". Nothing was touched."
    ])
}

fn wrong_in(db: &str, collection: &str) -> Option<&'static str> {
    if db.is_empty() || collection.is_empty() {
        return Some("the database or the collection has no name");
    }
    if db.len() > DB_BYTES_MAX || db.len() + 1 + collection.len() > NAME_BYTES_MAX {
        return Some("a database's name has at most 63 bytes, and both together 255");
    }
    if db.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
        return Some("a database's name holds no slash, backslash, dot, space, quote, dollar or NUL");
    }
    if collection.contains(['\0', '$']) || collection.starts_with('.') {
        return Some("a collection's name holds no dollar or NUL, and does not begin with a dot");
    }
    if !is_free(db, collection) {
        return Some(SERVERS_OWN);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn renames(rules: &[&str]) -> Renames {
        Renames::new(rules.iter().map(ToString::to_string)).unwrap()
    }

    fn applied(rules: &[&str], name: &str) -> String {
        let (db, collection) = name.split_once('.').unwrap();
        renames(rules).apply(db, collection).to_string()
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = ["shop.orders=archive.orders_2025", "shop.*=shop_copy.*", "*.log=logs.*"];
        for (from, to) in [
            ("shop.orders", "archive.orders_2025"),
            ("shop.orders.old", "shop_copy.orders.old"),
            ("shop.log", "shop_copy.log"),
            ("other.log", "logs.other"),
            ("other.orders", "other.orders"),
        ] {
            assert_eq!(applied(&rules, from), to);
        }
    }

    #[test]
    fn stars_are_taken_over_in_order_and_escapes_stand_for_themselves() {
        assert_eq!(applied(&["*.*=*_copy.old_*"], "shop.a.b"), "shop_copy.old_a.b");
        assert_eq!(applied(&["*.tmp_*_*=*.*_*"], "shop.tmp_1_2_3"), "shop.1_2_3");
        assert_eq!(applied(&[r"db.odd\*=db.o\=d\*d"], "db.odd*"), "db.o=d*d");
        assert_eq!(applied(&[r"db.a\=b=db.c"], "db.a=b"), "db.c");
        assert_eq!(applied(&["*=copy.*"], "shop.a"), "copy.shop.a");
    }

    #[test]
    fn what_belongs_to_a_collection_follows_it_and_users_stay() {
        let rules = ["shop.*=copy.new_*", "admin.*=copy.*"];
        assert_eq!(applied(&rules, "shop.system.buckets.weather"), "copy.system.buckets.new_weather");
        assert_eq!(applied(&rules, "shop.system.js"), "copy.system.js");
        for users in ["admin.system.users", "admin.system.roles", "shop.$admin.system.users"] {
            assert_eq!(applied(&rules, users), users);
        }
    }

    #[test]
    fn a_rule_that_renames_nothing_is_found() {
        let unused = |rules: &[&str], name: &str| {
            let (db, collection) = name.split_once('.').unwrap();
            let names = [Name::new(db, collection)];
            renames(rules).unused(names.iter()).map(ToString::to_string)
        };
        assert_eq!(unused(&["shop.*=copy.*"], "shop.orders"), None);
        assert_eq!(unused(&["shop.*=copy.*"], "other.orders").as_deref(), Some("shop.*=copy.*"));
        assert_eq!(unused(&["shop.keep=shop.keep"], "shop.keep"), None, "it keeps its name from later rules");
        // Stored functions keep their name, and follow to another database; users and roles stay where they are.
        assert_eq!(
            unused(&["shop.system.js=shop.j"], "shop.system.js").as_deref(),
            Some("shop.system.js=shop.j")
        );
        assert_eq!(unused(&["shop.*=copy.*"], "shop.system.js"), None);
        assert_eq!(unused(&["admin.*=adm.*"], "admin.system.users").as_deref(), Some("admin.*=adm.*"));
    }

    #[test]
    fn rules_that_cannot_be_meant_are_refused() {
        for rule in [
            "",
            "shop",
            "shop.*",
            "shop=copy",
            "shop.*=copy",
            "shop.a=copy.*",
            r"shop.a\=copy.b",
            "=.",
            "a.b=*",
        ] {
            assert_eq!(Renames::new([rule.to_owned()]).unwrap_err().code(), Code::Usage, "{rule}");
        }
        let unused = renames(&["shop.*=copy.*", "shop.a=copy.b"]);
        let unused = unused
            .unused([&Name::new("shop", "a"), &Name::new("x", "y")].into_iter())
            .map(ToString::to_string);
        assert_eq!(unused.as_deref(), Some("shop.a=copy.b"));
    }

    #[test]
    fn names_that_no_server_takes_are_refused() {
        check_name(&Name::new("shop", "a.b c")).unwrap();
        check_name(&Name::new("shop", "x".repeat(250))).unwrap();
        for (db, collection) in
            [("", "a"), ("a", ""), ("a b", "c"), ("a", "b$c"), ("a", "b\0"), ("a", ".b"), ("a$", "b")]
        {
            assert_eq!(check_name(&Name::new(db, collection)).unwrap_err().code(), Code::Usage);
        }
        for (db, collection) in
            [("shop", "x".repeat(251)), (&*"d".repeat(64), "c".into()), ("config", "a".into())]
        {
            assert!(check_name(&Name::new(db, collection)).is_err());
        }
    }

    proptest! {
        #[test]
        fn renaming_there_and_back_changes_nothing(db in "[a-z]{1,5}", collection in "[a-z.*=\\\\]{1,8}") {
            let (there, back) = (renames(&["*.*=x_*.y_*"]), renames(&["x_*.y_*=*.*"]));
            let renamed = there.apply(&db, &collection);
            prop_assert_eq!(&renamed.db, &format!("x_{db}"));
            prop_assert_eq!(back.apply(&renamed.db, &renamed.collection), Name::new(db, collection));
        }

        #[test]
        fn any_rule_is_read_or_refused_and_any_name_renamed(rule in ".{0,20}", db in ".{0,5}", name in ".{0,9}") {
            if let Ok(renames) = Renames::new([rule]) {
                let _ = renames.apply(&db, &name);
            }
        }
    }
}

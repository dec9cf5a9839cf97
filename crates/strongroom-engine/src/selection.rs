//! Which namespaces are meant: `--include` and `--exclude` patterns over `db.collection`.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Code, Error, Result};
use crate::manifest::Selection;
use crate::settings;

/// Patterns in which `*` stands for any run of characters, dots included; `\*` and `\\` stand for themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Patterns")]
pub struct Filter {
    include: Vec<String>,
    exclude: Vec<String>,
}

/// A filter as it is written, before its patterns are checked.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Patterns {
    include: Vec<String>,
    exclude: Vec<String>,
}

impl TryFrom<Patterns> for Filter {
    type Error = settings::Refused;

    fn try_from(Patterns { include, exclude }: Patterns) -> Result<Self, Self::Error> {
        Ok(Self::new(include, exclude)?)
    }
}

impl Filter {
    /// A filter that takes what matches any of `include` (everything, if there is none) and none of `exclude`.
    ///
    /// # Errors
    /// [`Code::Usage`] for a pattern without a dot, which could match no namespace.
    pub fn new(include: Vec<String>, exclude: Vec<String>) -> Result<Self> {
        match include.iter().chain(&exclude).find(|pattern| *pattern != "*" && !pattern.contains('.')) {
            None => Ok(Self { include, exclude }),
            Some(pattern) => Err(Error::new(
                Code::Usage,
                format!("the pattern `{pattern}` matches no namespace"),
            )
            .help(format!(
                "Patterns are matched with database.collection: write `{pattern}.*` for a whole database."
            ))),
        }
    }

    /// Whether `db.collection` is meant.
    #[must_use]
    pub fn accepts(&self, db: &str, collection: &str) -> bool {
        let name = format!("{db}.{collection}");
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &name));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }

    /// The databases that can be meant, where the patterns name them.
    #[must_use]
    pub fn databases(&self) -> Option<BTreeSet<String>> {
        let named = |pattern: &String| {
            let tokens = tokens(pattern);
            let end = tokens.iter().position(|token| *token == Token::Is('.'))?;
            let letter = |token: &Token| match token {
                Token::Is(letter) => Some(*letter),
                Token::Any => None,
            };
            tokens[..end].iter().map(letter).collect::<Option<String>>()
        };
        let databases: Option<BTreeSet<String>> = self.include.iter().map(named).collect();
        databases.filter(|databases| !databases.is_empty())
    }

    /// Whether everything is meant.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// The patterns, for the manifest.
    #[must_use]
    pub fn selection(&self) -> Selection {
        Selection { include: self.include.clone(), exclude: self.exclude.clone(), query: None }
    }
}

/// Which documents of a collection are meant, as MongoDB's `find` takes it. Written in Extended JSON, such as
/// `{"at": {"$gte": {"$date": "2026-01-01T00:00:00Z"}}}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query(bson::Document);

impl Query {
    /// The query as a document.
    #[must_use]
    pub fn document(&self) -> &bson::Document {
        &self.0
    }

    /// Its canonical form, in which every number keeps its type.
    pub(crate) fn canonical(&self) -> serde_json::Value {
        bson::Bson::Document(self.0.clone()).into_canonical_extjson()
    }
}

impl FromStr for Query {
    type Err = Error;

    /// # Errors
    /// [`Code::Usage`] for anything but a JSON object, saying where it is wrong.
    fn from_str(text: &str) -> Result<Self> {
        serde_json::from_str(text).map(Self).map_err(|e| {
            Error::new(Code::Usage, format!("the query is not Extended JSON: {e}")).help(
                r#"Write it as in `{"status": "open", "at": {"$gte": {"$date": "2026-01-01T00:00:00Z"}}}`."#,
            )
        })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.canonical().fmt(f)
    }
}

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.canonical().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        bson::Document::deserialize(from).map(Self)
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    captures(&tokens(pattern), name).is_some()
}

/// What each `*` of the pattern stands for in `name`, in order; none if it does not match. The two-pointer match:
/// on a mismatch the last `*` takes one character more, so all but the last take as little as they can.
pub(crate) fn captures(pattern: &[Token], name: &str) -> Option<Vec<String>> {
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut after = 0;
    let mut stars: Vec<Range<usize>> = Vec::new();
    while n < name.len() || p < pattern.len() {
        match (pattern.get(p), name.get(n)) {
            (Some(Token::Any), _) => {
                stars.push(n..n);
                p += 1;
                after = p;
            }
            (Some(Token::Is(wanted)), Some(found)) if wanted == found => (p, n) = (p + 1, n + 1),
            _ => {
                let star = stars.last_mut().filter(|star| star.end < name.len())?;
                star.end += 1;
                (p, n) = (after, star.end);
            }
        }
    }
    Some(stars.into_iter().map(|star| name[star].iter().collect()).collect())
}

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// `*`.
    Any,
    /// This character.
    Is(char),
}

pub(crate) fn tokens(pattern: &str) -> Vec<Token> {
    let mut chars = pattern.chars();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Any,
            '\\' => Token::Is(chars.next().unwrap_or('\\')),
            c => Token::Is(c),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let own = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect();
        Filter::new(own(include), own(exclude)).unwrap()
    }

    #[test]
    fn takes_what_is_included_and_not_excluded() {
        let shop = filter(&["shop.*"], &["shop.tmp*"]);
        assert!(shop.accepts("shop", "orders") && shop.accepts("shop", "a.b.c"));
        assert!(!shop.accepts("shop", "tmp1") && !shop.accepts("shop2", "orders"));
        assert!(filter(&[], &["*.logs"]).accepts("shop", "orders"));
        assert!(!filter(&[], &["*.logs"]).accepts("shop", "logs"));
        assert!(filter(&[r"db.odd\*name"], &[]).accepts("db", "odd*name"));
        assert!(!filter(&[r"db.odd\*name"], &[]).accepts("db", "oddXname"));
    }

    #[test]
    fn databases_are_known_where_every_pattern_names_one() {
        let databases = |include: &[&str]| filter(include, &[]).databases().map(Vec::from_iter);
        assert_eq!(databases(&["shop.*", "shop.a.b", "lo*g.x"]), None);
        assert_eq!(databases(&["shop.*", r"o\*dd.x", "shop.a"]).unwrap(), ["o*dd", "shop"]);
        assert_eq!(databases(&["*"]), None);
        assert_eq!(databases(&[]), None);
    }

    #[test]
    fn a_pattern_without_a_dot_is_refused() {
        let error = Filter::new(vec!["shop".into()], vec![]).unwrap_err();
        assert_eq!(error.code(), Code::Usage);
        assert!(error.help_text().unwrap().to_string().contains("`shop.*`"));
    }

    #[test]
    fn a_query_is_extended_json() {
        let query = |text: &str| text.parse::<Query>();
        let found = query(
            r#"{"z": {"$gte": {"$date": "2026-01-01T00:00:00Z"}}, "a": {"$oid": "0123456789abcdef01234567"}}"#,
        );
        let found = found.unwrap();
        let again: Query = found.to_string().parse().unwrap();
        assert_eq!(again, found);
        let found = found.document();
        assert!(matches!(found.get_document("z").unwrap().get("$gte"), Some(bson::Bson::DateTime(_))));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["z", "a"]);
        assert!(matches!(found.get("a"), Some(bson::Bson::ObjectId(_))));
        for wrong in ["", "[]", "{", "status: 1", r#"{"a": {"$oid": "x"}}"#] {
            assert_eq!(query(wrong).unwrap_err().code(), Code::Usage, "{wrong}");
        }
    }

    /// Slow and obvious: what the fast match must agree with.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|taken| naive(rest, &name[taken..])),
            Some((c, rest)) => name.split_first().is_some_and(|(n, name)| n == c && naive(rest, name)),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_match(pattern in "[ab*.]{0,8}", name in "[ab.]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), naive(&chars(&pattern), &chars(&name)));
        }

        #[test]
        fn what_the_stars_stand_for_makes_the_name_again(pattern in "[ab*.]{0,8}", name in "[ab.]{0,8}") {
            if let Some(captured) = captures(&tokens(&pattern), &name) {
                let mut captured = captured.into_iter();
                let piece = |c| if c == '*' { captured.next().unwrap() } else { String::from(c) };
                prop_assert_eq!(pattern.chars().map(piece).collect::<String>(), name);
            }
        }
    }
}

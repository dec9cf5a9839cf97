//! Statements: text that stands in the program, and values beside it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{Result, StateError};
use crate::model::{
    AuditId, BackupKey, ChangeId, DeploymentId, Line, LocationId, PlanId, RunId, SessionId, TokenId, UserId,
};

/// A value of a statement. NULLs have a type too, since PostgreSQL wants one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bool(bool),
}

/// Columns hold signed numbers; no count gets that far.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What can be a value.
pub(super) trait Storable {
    fn value(self) -> Value;
    fn null() -> Value
    where
        Self: Sized;
}

macro_rules! storable {
    ($($type:ty => $kind:ident($this:ident) $value:expr),+ $(,)?) => {$(
        impl Storable for $type {
            fn value(self) -> Value {
                let $this = self;
                Value::$kind(Some($value))
            }

            fn null() -> Value {
                Value::$kind(None)
            }
        }
    )+};
}

storable! {
    i64 => Int(number) number,
    u64 => Int(number) signed(number),
    DateTime<Utc> => Int(time) time.timestamp_millis(),
    String => Text(text) text,
    &str => Text(text) text.to_owned(),
    &String => Text(text) text.clone(),
    &AuditId => Text(id) id.as_str().to_owned(),
    &BackupKey => Text(id) id.as_str().to_owned(),
    &ChangeId => Text(id) id.as_str().to_owned(),
    &DeploymentId => Text(id) id.as_str().to_owned(),
    &LocationId => Text(id) id.as_str().to_owned(),
    &PlanId => Text(id) id.as_str().to_owned(),
    &RunId => Text(id) id.as_str().to_owned(),
    &SessionId => Text(id) id.as_str().to_owned(),
    &TokenId => Text(id) id.as_str().to_owned(),
    &UserId => Text(id) id.as_str().to_owned(),
}

impl<const MIN: usize, const MAX: usize> Storable for &Line<MIN, MAX> {
    fn value(self) -> Value {
        Value::Text(Some(self.as_str().to_owned()))
    }

    fn null() -> Value {
        Value::Text(None)
    }
}

impl<T: Storable> Storable for Option<T> {
    fn value(self) -> Value {
        self.map_or_else(T::null, Storable::value)
    }

    fn null() -> Value {
        T::null()
    }
}

impl Storable for bool {
    fn value(self) -> Value {
        Value::Bool(self)
    }

    fn null() -> Value {
        Value::Bool(false)
    }
}

/// A member as JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// The written form of a plain enum: the one that it has in JSON.
pub(super) fn word<T: Serialize>(value: T) -> Result<String> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(StateError::Damaged(format!("`{other}` is no word"))),
    }
}

/// A statement. Only text of the program gets into it, never a value: these are bound as `$1`, `$2` and so on.
#[derive(Clone)]
pub(super) struct Sql {
    text: Text,
    pub(super) values: Vec<Value>,
}

#[derive(Clone)]
enum Text {
    Fixed(&'static str),
    Built(String),
}

impl Sql {
    /// A statement that is complete, or to which more is added.
    pub(super) fn new(text: &'static str) -> Self {
        Self { text: Text::Fixed(text), values: Vec::new() }
    }

    /// The value of the next `$n`.
    pub(super) fn bind(mut self, value: impl Storable) -> Self {
        self.values.push(value.value());
        self
    }

    /// More text.
    pub(super) fn push(self, more: &'static str) -> Self {
        let text = match self.text {
            Text::Fixed(text) => text.to_owned() + more,
            Text::Built(text) => text + more,
        };
        Self { text: Text::Built(text), values: self.values }
    }

    /// More text, then the next `$n` and its value.
    pub(super) fn push_bind(self, more: &'static str, value: impl Storable) -> Self {
        let mut sql = self.push(more).bind(value);
        let number = sql.values.len();
        if let Text::Built(text) = &mut sql.text {
            text.push_str(&format!("${number}"));
        }
        sql
    }

    /// The same statement behind this text.
    #[cfg(test)]
    pub(super) fn after(self, before: &'static str) -> Self {
        let text = match &self.text {
            Text::Fixed(text) => before.to_owned() + text,
            Text::Built(text) => before.to_owned() + text,
        };
        Self { text: Text::Built(text), values: self.values }
    }

    /// The same if there is a value.
    pub(super) fn push_some(self, more: &'static str, value: Option<impl Storable>) -> Self {
        match value {
            Some(value) => self.push_bind(more, value),
            None => self,
        }
    }

    /// ` AND column IN ($n, …)` if there are values; `more` is ` AND column IN (`.
    pub(super) fn push_among<T: Storable>(self, more: &'static str, values: impl Iterator<Item = T>) -> Self {
        let mut sql = self;
        let mut any = false;
        for value in values {
            sql = sql.push_bind(if any { ", " } else { more }, value);
            any = true;
        }
        if any { sql.push(")") } else { sql }
    }

    /// Refuses what PostgreSQL could not store, whichever database it is.
    pub(super) fn check(&self) -> Result<()> {
        #[cfg(test)]
        super::query_plans::note(self);
        let nul = |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
        if self.values.iter().any(nul) { Err(StateError::Nul) } else { Ok(()) }
    }

    /// The text, for the driver.
    pub(super) fn text(&self) -> SqlStr {
        match &self.text {
            Text::Fixed(text) => SqlStr::from_static(text),
            // Built of pieces that are all `&'static str`, and numbers of placeholders.
            Text::Built(text) => AssertSqlSafe(text.clone()).into_sql_str(),
        }
    }
}

/// Without the values, which may be of the user.
impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Text::Fixed(text) => f.write_str(text),
            Text::Built(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_numbered_in_the_order_they_are_added() {
        let sql = Sql::new("SELECT id FROM plans WHERE location = $1")
            .bind("loc")
            .push_some(" AND id < ", Some("plan"))
            .push_some(" AND name = ", None::<&str>)
            .push_among(" AND deployment IN (", ["a", "b"].into_iter())
            .push_among(" AND folder IN (", std::iter::empty::<&str>())
            .push_bind(" LIMIT ", 7_i64);
        assert_eq!(
            format!("{sql:?}"),
            "SELECT id FROM plans WHERE location = $1 AND id < $2 AND deployment IN ($3, $4) LIMIT $5"
        );
        assert_eq!(sql.values.len(), 5);
    }

    #[test]
    fn a_text_with_a_nul_is_refused() {
        assert_eq!(Sql::new("SELECT $1").bind("a\0b").check(), Err(StateError::Nul));
        assert_eq!(Sql::new("SELECT $1").bind("ab").check(), Ok(()));
    }
}

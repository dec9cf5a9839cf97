//! Pages of lists: newest first, from a key on. No page knows how many there are in all: counting would read them.

use super::Result;
use super::db::Row;
use super::sql::{Sql, signed};
use crate::model::Int;

/// How many items a page has at most.
pub type PageSize = Int<1, 200>;

/// Which page is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The `next` of the page before; none: the first page.
    pub after: Option<String>,
    /// How many items it has at most.
    pub limit: PageSize,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { after: None, limit: Int::of(50) }
    }
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<String>,
}

impl PageRequest {
    /// Ends a query of rows with an `id` and at least one condition.
    pub(super) fn end(&self, sql: Sql) -> Sql {
        sql.push_some(" AND id < ", self.after.as_deref())
            .push_bind(" ORDER BY id DESC LIMIT ", signed(self.limit.get() + 1))
    }

    /// The page of the rows that the query gave: one more than it holds if there is another one.
    pub(super) fn page<T>(&self, mut rows: Vec<Row>, read: impl Fn(&Row) -> Result<T>) -> Result<Page<T>> {
        let more = rows.len() > self.limit.as_usize();
        rows.truncate(self.limit.as_usize());
        let next = rows.last().filter(|_| more).map(|row| row.get("id")).transpose()?;
        Ok(Page { items: rows.iter().map(read).collect::<Result<_>>()?, next })
    }
}

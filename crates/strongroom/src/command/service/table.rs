//! JSON as a person reads it: tables of lists, and outlines of single things.

use std::fmt::{self, Write};

use serde_json::Value;

use crate::failure::Result;
use crate::output::Output;
use crate::words::{in_line, size};

use super::which::items;

/// A column: its head, and what of an item stands in it.
pub(super) struct Column {
    head: &'static str,
    cell: Box<dyn Fn(&Value) -> String>,
}

/// What a JSON pointer leads to.
pub(super) fn column(head: &'static str, pointer: &'static str) -> Column {
    shown(head, move |item| plain(item.pointer(pointer).unwrap_or(&Value::Null)))
}

/// The same, as bytes.
pub(super) fn bytes(head: &'static str, pointer: &'static str) -> Column {
    shown(head, move |item| item.pointer(pointer).and_then(Value::as_u64).map(size).unwrap_or_default())
}

/// What a function says of an item.
pub(super) fn shown(head: &'static str, cell: impl Fn(&Value) -> String + 'static) -> Column {
    Column { head, cell: Box::new(cell) }
}

/// Prints a list.
pub(super) fn list(listed: &Value, what: &str, columns: &[Column], output: &Output) -> Result<()> {
    output.answer(listed, &Table { items: items(listed), what, columns })?;
    if listed["next"].is_string() && !output.is_json() {
        output.remark("there are more: --limit shows them");
    }
    Ok(())
}

/// Prints one thing.
pub(super) fn show(value: &Value, output: &Output) -> Result<()> {
    Ok(output.answer(value, &Outline(value))?)
}

/// A list as text.
pub(super) fn tabled(items: &[Value], what: &str, columns: &[Column]) -> String {
    Table { items, what, columns }.to_string()
}

/// One thing as text.
pub(super) fn outlined(value: &Value) -> String {
    Outline(value).to_string()
}

/// Prints one thing for a program, and a line for a person.
pub(super) fn done(value: &Value, line: &str, output: &Output) -> Result<()> {
    Ok(output.answer(value, &format!("{}\n", in_line(line)))?)
}

/// A value in one line.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => short_time(text).unwrap_or_else(|| in_line(text)),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let shown = members.iter().filter(|(_, value)| !is_nothing(value));
            shown
                .map(|(name, value)| format!("{}={}", in_line(name), plain(value)))
                .collect::<Vec<_>>()
                .join(" ")
        }
        other => other.to_string(),
    }
}

/// A moment to the second.
fn short_time(text: &str) -> Option<String> {
    let looks_like = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    let moment = looks_like.then(|| chrono::DateTime::parse_from_rfc3339(text).ok()).flatten()?;
    Some(crate::words::time(moment.to_utc()))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_nothing),
        _ => false,
    }
}

struct Table<'a> {
    items: &'a [Value],
    what: &'a str,
    columns: &'a [Column],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.items.is_empty() {
            return writeln!(f, "no {}", self.what);
        }
        let cells = |item: &Value| {
            self.columns.iter().map(|column| in_line(&(column.cell)(item))).collect::<Vec<_>>()
        };
        let heads = self.columns.iter().map(|column| column.head.to_owned()).collect();
        let rows: Vec<Vec<String>> = std::iter::once(heads).chain(self.items.iter().map(cells)).collect();
        let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let cell = if cell.is_empty() { "-" } else { cell };
                write!(line, "{cell:<width$}  ")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

struct Outline<'a>(&'a Value);

/// An outline is no deeper than what the API gives.
const DEEPEST: usize = 12;

impl fmt::Display for Outline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        outline(self.0, 0, f)
    }
}

fn outline(value: &Value, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Value::Object(members) = value else { return writeln!(f, "{:1$}{2}", "", depth * 2, plain(value)) };
    let width = members.keys().map(|name| name.chars().count()).max().unwrap_or(0).min(24);
    for (name, value) in members.iter().filter(|(_, value)| !is_nothing(value)) {
        let (name, indent) = (in_line(name), depth * 2);
        match value {
            Value::Object(_) if depth < DEEPEST => {
                writeln!(f, "{:indent$}{name}", "")?;
                outline(value, depth + 1, f)?;
            }
            Value::Array(items) if depth < DEEPEST && items.iter().any(Value::is_object) => {
                writeln!(f, "{:indent$}{name}", "")?;
                items.iter().try_for_each(|item| writeln!(f, "{:indent$}  {}", "", plain(item)))?;
            }
            value => writeln!(f, "{:indent$}{name:<width$}  {}", "", plain(value))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hostile_name_stays_in_its_row() {
        let items =
            [json!({"name": "a\u{1b}[2J\nb", "size": 2048, "at": "2026-11-25T02:00:00.123Z"}), json!({})];
        let columns = [column("NAME", "/name"), bytes("SIZE", "/size"), column("AT", "/at")];
        let text = Table { items: &items, what: "things", columns: &columns }.to_string();
        assert_eq!(
            text,
            "NAME           SIZE     AT\na\\u{1b}[2J\\nb  2.0 KiB  2026-11-25T02:00:00Z\n-              -        -\n"
        );
    }

    #[test]
    fn an_outline_leaves_out_what_is_not_there() {
        let value = json!({"id": "x", "none": null, "inner": {"a": 1, "bb": "t"}, "list": [{"c": 1}, {"c": 2}], "e": []});
        let text = Outline(&value).to_string();
        assert_eq!(text, "id     x\ninner\n  a   1\n  bb  t\nlist\n  c=1\n  c=2\n");
    }
}

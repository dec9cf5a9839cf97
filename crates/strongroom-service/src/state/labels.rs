//! Labels once more, beside the resources that have them: lists are filtered by one.

use super::sql::Sql;
use super::{Conn, Result};
use crate::model::{LabelKey, LabelValue, Labels};

/// A label that what is listed must have.
pub type HasLabel = (LabelKey, LabelValue);

/// Replaces the labels of a row.
pub(super) async fn set(conn: &mut Conn, table: &'static str, id: &str, labels: &Labels) -> Result<()> {
    clear(conn, table, id).await?;
    for (label, value) in labels.iter() {
        let insert = "INSERT INTO labels (tbl, label, value, row_id) VALUES ($1, $2, $3, $4)";
        conn.execute(Sql::new(insert).bind(table).bind(label).bind(value).bind(id)).await?;
    }
    Ok(())
}

/// Removes the labels of a row.
pub(super) async fn clear(conn: &mut Conn, table: &'static str, id: &str) -> Result<()> {
    let delete = "DELETE FROM labels WHERE tbl = $1 AND row_id = $2";
    conn.execute(Sql::new(delete).bind(table).bind(id)).await.map(drop)
}

/// The condition that a row of `table` has the label.
pub(super) fn having(sql: Sql, table: &'static str, label: Option<&HasLabel>) -> Sql {
    let Some((label, value)) = label else { return sql };
    sql.push_bind(" AND id IN (SELECT row_id FROM labels WHERE tbl = ", table)
        .push_bind(" AND label = ", label)
        .push_bind(" AND value = ", value)
        .push(")")
}

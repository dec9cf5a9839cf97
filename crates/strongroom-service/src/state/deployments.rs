//! Deployments. Their connection strings are in `secrets`.

use super::db::Row;
use super::labels::{self, HasLabel};
use super::sql::{Sql, json};
use super::{Conn, Page, PageRequest, Result, StateError, secrets};
use crate::model::{Deployment, DeploymentId, DeploymentTest, Name};

/// Their table, as `secrets` and `labels` name it.
pub const TABLE: &str = "deployments";

/// Which deployments are listed.
#[derive(Debug, Clone, Default)]
pub struct DeploymentFilter {
    /// With this name.
    pub name: Option<Name>,
    /// With this label.
    pub label: Option<HasLabel>,
    /// Only these; empty: all.
    pub among: Vec<DeploymentId>,
}

fn read(row: &Row) -> Result<Deployment> {
    let last_test = row.json_or_none("last_test")?;
    Ok(Deployment { last_test, version: row.count("version")?, ..row.json("body")? })
}

/// Adds a deployment.
///
/// # Errors
/// [`StateError::Taken`] for its name.
pub async fn insert(conn: &mut Conn, deployment: &Deployment) -> Result<()> {
    let insert =
        "INSERT INTO deployments (id, name, runs_at_once, body, version) VALUES ($1, $2, $3, $4, $5)";
    let insert = Sql::new(insert).bind(&deployment.id).bind(&deployment.name);
    let insert = insert.bind(deployment.runs_at_once.get()).bind(json(deployment)?).bind(deployment.version);
    conn.execute(insert).await?;
    labels::set(conn, TABLE, deployment.id.as_str(), &deployment.labels).await
}

/// The deployment with this id.
///
/// # Errors
/// What the database answers.
pub async fn get(conn: &mut Conn, id: &DeploymentId) -> Result<Option<Deployment>> {
    let select = Sql::new("SELECT body, last_test, version FROM deployments WHERE id = $1").bind(id);
    conn.optional(select).await?.as_ref().map(read).transpose()
}

/// A page of deployments, newest first.
///
/// # Errors
/// What the database answers.
pub async fn list(
    conn: &mut Conn,
    filter: &DeploymentFilter,
    page: &PageRequest,
) -> Result<Page<Deployment>> {
    let select = Sql::new("SELECT id, body, last_test, version FROM deployments WHERE 1 = 1")
        .push_some(" AND name = ", filter.name.as_ref())
        .push_among(" AND id IN (", filter.among.iter());
    let select = labels::having(select, TABLE, filter.label.as_ref());
    let rows = conn.all(page.end(select)).await?;
    page.page(rows, read)
}

/// Replaces a deployment that has this version; it then has the next one.
///
/// # Errors
/// [`StateError::Conflict`] if it has another version, [`StateError::Taken`] for its name, [`StateError::Missing`].
pub async fn update(conn: &mut Conn, deployment: &Deployment, expected_version: u64) -> Result<()> {
    let update = "UPDATE deployments SET name = $1, runs_at_once = $2, body = $3, version = version + 1 \
                  WHERE id = $4 AND version = $5";
    let update = Sql::new(update).bind(&deployment.name).bind(deployment.runs_at_once.get());
    let update = update.bind(json(deployment)?).bind(&deployment.id).bind(expected_version);
    if conn.execute(update).await? == 0 {
        return Err(get(conn, &deployment.id).await?.map_or(StateError::Missing, |_| StateError::Conflict));
    }
    labels::set(conn, TABLE, deployment.id.as_str(), &deployment.labels).await
}

/// Deletes a deployment, its secrets and labels.
///
/// # Errors
/// [`StateError::Referenced`] if a plan is of it, [`StateError::Conflict`], [`StateError::Missing`].
pub async fn delete(conn: &mut Conn, id: &DeploymentId, expected_version: u64) -> Result<()> {
    let plans = Sql::new("SELECT id FROM plans WHERE deployment = $1 LIMIT 1").bind(id);
    if conn.optional(plans).await?.is_some() {
        return Err(StateError::Referenced { by: "plans" });
    }
    let delete = "DELETE FROM deployments WHERE id = $1 AND version = $2";
    if conn.execute(Sql::new(delete).bind(id).bind(expected_version)).await? == 0 {
        return Err(get(conn, id).await?.map_or(StateError::Missing, |_| StateError::Conflict));
    }
    secrets::delete_of(conn, TABLE, id.as_str()).await?;
    labels::clear(conn, TABLE, id.as_str()).await
}

/// Keeps what the last test of a deployment found. Its version stays: nobody changed a setting.
///
/// # Errors
/// What the database answers.
pub async fn set_test(conn: &mut Conn, id: &DeploymentId, test: &DeploymentTest) -> Result<()> {
    let update = "UPDATE deployments SET last_test = $1 WHERE id = $2";
    conn.execute(Sql::new(update).bind(json(test)?).bind(id)).await.map(drop)
}

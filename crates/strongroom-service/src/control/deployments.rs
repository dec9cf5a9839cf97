//! Deployments. Their connection strings are sealed, and never shown again.

use std::time::Duration;

use strongroom_engine::backup::{self, Examination};
use strongroom_engine::deployment::ConnectionString;
use strongroom_engine::{Topology, Waits};

use super::once::{self, Begun};
use super::record::Changed;
use super::{Actor, Error, Expected, Once, Result, ServiceCode};
use crate::model::{
    Deployment, DeploymentChange, DeploymentId, DeploymentTest, Int, NewDeployment, Problem, Secret,
};
use crate::service::Service;
use crate::state::deployments::{DeploymentFilter, TABLE};
use crate::state::plans::PlanFilter;
use crate::state::{self, Conn, Page, PageRequest, StateError};

/// What the connection string is called among the secrets of a deployment.
pub const URI: &str = "uri";
/// How many plans are named.
const NAMED_MAX: u64 = 10;
/// How long a test may take.
const TEST_LONGEST: Duration = Duration::from_secs(30);

/// Deployments, newest first: those that the actor may see.
///
/// # Errors
/// The state's.
pub async fn list(
    service: &Service,
    actor: &Actor,
    mut filter: DeploymentFilter,
    page: &PageRequest,
) -> Result<Page<Deployment>> {
    if !actor.scope.is_whole() {
        if actor.scope.deployments.is_empty() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        filter.among.clone_from(&actor.scope.deployments);
    }
    let mut conn = service.state.reader().await?;
    Ok(state::deployments::list(&mut conn, &filter, page).await?)
}

/// A deployment.
///
/// # Errors
/// `SR-MISSING`: it does not exist, or the actor may not see it.
pub async fn get(service: &Service, actor: &Actor, id: &DeploymentId) -> Result<Deployment> {
    let mut conn = service.state.reader().await?;
    seen(&mut conn, actor, id).await
}

async fn seen(conn: &mut Conn, actor: &Actor, id: &DeploymentId) -> Result<Deployment> {
    let found = match actor.scope.has_deployment(id) {
        true => state::deployments::get(conn, id).await?,
        false => None,
    };
    found.ok_or_else(|| Error::missing("deployment"))
}

/// Makes a deployment. Nothing is asked of its server.
///
/// # Errors
/// `SR-TAKEN` for its name, `SR-REQUEST` if the URI cannot be understood.
pub async fn create(
    service: &Service,
    actor: &Actor,
    wanted: NewDeployment,
    once: Option<&Once>,
) -> Result<Deployment> {
    let now = service.clock.now();
    let made = Deployment {
        id: DeploymentId::new(now, rand::random()),
        name: wanted.name,
        address: address(&wanted.uri)?,
        labels: wanted.labels,
        runs_at_once: wanted.runs_at_once,
        last_test: None,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let mut tx = match once::begin(service, actor, once, &made).await? {
        Begun::Now(tx) => tx,
        Begun::Before(made) => return Ok(made),
    };
    let id = made.id.as_str();
    state::deployments::insert(&mut tx, &made).await?;
    state::secrets::put(&mut tx, &service.keyring, TABLE, id, URI, &wanted.uri).await?;
    Changed::new("deployment.create", id).after(&made).record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(made)
}

/// Changes a deployment. What the last test found stays until the next one.
///
/// # Errors
/// `SR-MISSING`, `SR-CHANGED`, and those of [`create`].
pub async fn change(
    service: &Service,
    actor: &Actor,
    id: &DeploymentId,
    expected: &Expected,
    change: DeploymentChange,
) -> Result<Deployment> {
    let new_address = change.uri.as_ref().map(address).transpose()?;
    let mut tx = service.state.begin().await?;
    let before = seen(&mut tx, actor, id).await?;
    expected.check(before.version)?;
    let after = Deployment {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        address: new_address.unwrap_or_else(|| before.address.clone()),
        labels: change.labels.unwrap_or_else(|| before.labels.clone()),
        runs_at_once: change.runs_at_once.unwrap_or(before.runs_at_once),
        updated_at: service.clock.now(),
        version: before.version + 1,
        ..before.clone()
    };
    state::deployments::update(&mut tx, &after, before.version).await?;
    if let Some(uri) = &change.uri {
        state::secrets::put(&mut tx, &service.keyring, TABLE, id.as_str(), URI, uri).await?;
    }
    let record = Changed::new("deployment.update", id.as_str()).before(&before).after(&after);
    record.record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(after)
}

/// Deletes a deployment that no plan is of. Backups of it stay where they are, and in the catalogue.
///
/// # Errors
/// `SR-MISSING`, `SR-CHANGED`, `SR-CONFLICT` while plans are of it.
pub async fn delete(service: &Service, actor: &Actor, id: &DeploymentId, expected: &Expected) -> Result<()> {
    let mut tx = service.state.begin().await?;
    let before = seen(&mut tx, actor, id).await?;
    expected.check(before.version)?;
    match state::deployments::delete(&mut tx, id, before.version).await {
        Err(StateError::Referenced { .. }) => return Err(in_use(&mut tx, id).await?),
        deleted => deleted?,
    }
    let record = Changed::new("deployment.delete", id.as_str()).before(&before);
    record.record(&mut tx, service, actor).await?;
    Ok(tx.commit().await?)
}

async fn in_use(conn: &mut Conn, id: &DeploymentId) -> Result<Error> {
    let filter = PlanFilter { deployment: Some(id.clone()), ..PlanFilter::default() };
    let page = PageRequest { limit: Int::of(NAMED_MAX), ..PageRequest::default() };
    let plans = state::plans::list(conn, &filter, &page).await?;
    let names: Vec<_> = plans.items.iter().map(|plan| format!("`{}`", plan.settings.name)).collect();
    let more = if plans.next.is_some() { " and others" } else { "" };
    let message = format!("the deployment has the plans {}{more}", names.join(", "));
    Ok(Error::new(ServiceCode::Conflict, message).help(
        "Delete its plans first. For each you choose what becomes of its backups: by default they stay in the bucket.",
    ))
}

/// Connects to a deployment, looks whether it could be backed up, and keeps what was found.
///
/// # Errors
/// `SR-MISSING`, `SR-TOO-MANY` if several tests are under way. What fails at the server is part of what was found.
pub async fn test(service: &Service, actor: &Actor, id: &DeploymentId) -> Result<DeploymentTest> {
    let mut conn = service.state.reader().await?;
    seen(&mut conn, actor, id).await?;
    let uri = state::secrets::get(&mut conn, &service.keyring, TABLE, id.as_str(), URI).await?;
    drop(conn);
    let uri = uri.ok_or_else(|| Error::internal("a deployment has no connection string"))?;
    let uri: ConnectionString = uri.expose().parse()?;
    let _turn = service.tests.try_acquire().map_err(|_| {
        Error::new(ServiceCode::TooMany, "several deployments are being tested").retry_after(10)
    })?;
    let options = backup::Options::default();
    let examined = backup::examine(&uri, &options, Waits::default());
    let found = tokio::time::timeout(TEST_LONGEST, examined).await;
    let test = found.map_or_else(|_| unanswered(service), |found| in_words(found, service));
    let mut tx = service.state.begin().await?;
    state::deployments::set_test(&mut tx, id, &test).await?;
    Changed::new("deployment.test", id.as_str()).after(&test).record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(test)
}

fn unanswered(service: &Service) -> DeploymentTest {
    let seconds = TEST_LONGEST.as_secs();
    let message = format!("the deployment did not answer within {seconds} seconds");
    let error = strongroom_engine::Error::new(strongroom_engine::Code::Stalled, message);
    in_words(Examination { problem: Some(error), ..Examination::default() }, service)
}

fn in_words(found: Examination, service: &Service) -> DeploymentTest {
    let problem = found.problem.map(|error| {
        let error = Error::from(error);
        let help = error.advice().map(Into::into);
        Problem { code: error.code().as_str().into(), message: error.message().into(), help }
    });
    DeploymentTest {
        at: service.clock.now(),
        problem,
        topology: found.source.as_ref().and_then(|source| word(source.topology)),
        server_version: found.source.map(|source| source.server_version),
        databases: found.databases,
        bytes: found.bytes,
        missing_privileges: found.missing,
        grant: found.grant,
    }
}

fn word(topology: Topology) -> Option<String> {
    let word = serde_json::to_value(topology).ok()?;
    word.as_str().map(Into::into)
}

/// The scheme and the hosts of a connection string, without user, password, database and options.
fn address(uri: &Secret) -> Result<String> {
    uri.expose().parse::<ConnectionString>().map_err(|error| Error::from(error).at("uri"))?;
    let wrong = || {
        Error::field("uri", "the hosts of the MongoDB URI cannot be understood")
            .help("Write `%2F` for `/`, `%3A` for `:`, `%3F` for `?` and `%40` for `@` in the user and the password.")
    };
    let (scheme, rest) = uri.expose().trim().split_once("://").ok_or_else(wrong)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    // A password with a bare slash or question mark would end up among the hosts.
    let path = after.split('?').next().unwrap_or_default();
    if user.contains('@') || path.contains('@') || !hosts.split(',').all(is_host) {
        return Err(wrong());
    }
    if !authority.contains('@') && after.contains('@') {
        return Err(wrong());
    }
    Ok(format!("{scheme}://{hosts}"))
}

/// A name, an address, or the path of a socket, perhaps with a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, "0"),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
    let is_v6 = |inner: &str| inner.chars().all(|c| c.is_ascii_hexdigit() || ":.%".contains(c));
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let plain = !host.is_empty() && host.chars().all(is_name);
    port.parse::<u16>().is_ok() && v6.map_or(plain, is_v6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(uri: &str) -> Option<String> {
        address(&uri.to_owned().try_into().unwrap()).ok()
    }

    #[test]
    fn the_address_has_no_credentials_and_no_options() {
        let uri = "mongodb://backup:p%40ss@a.example:27017,[::1]:27018/admin?replicaSet=rs&appName=x";
        assert_eq!(shown(uri).unwrap(), "mongodb://a.example:27017,[::1]:27018");
        assert_eq!(shown("mongodb+srv://u:p@cluster.example").unwrap(), "mongodb+srv://cluster.example");
        assert_eq!(shown("mongodb://localhost/?x=1").unwrap(), "mongodb://localhost");
        assert_eq!(
            shown("mongodb://%2Ftmp%2Fmongodb-27017.sock").unwrap(),
            "mongodb://%2Ftmp%2Fmongodb-27017.sock"
        );
    }

    #[test]
    fn a_password_that_is_not_escaped_is_never_taken_for_a_host() {
        for uri in [
            "mongodb://backup:12345/678@host/",
            "mongodb://backup:12345?678@host/",
            "mongodb://backup:secret/678@host/",
            "mongodb://backup:sec@ret@host/",
            "mongodb://backup:1,2/3@host/",
            "mongodb://",
        ] {
            assert_eq!(shown(uri), None, "{uri}");
        }
    }
}

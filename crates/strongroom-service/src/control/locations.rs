//! Locations. The parts of keys that sign are sealed, and never shown again.

use std::path::{Path, PathBuf};

use strongroom_engine::Location as Place;
use strongroom_engine::guard::Access;

use super::once::{self, Begun};
use super::record::Changed;
use super::{Actor, Error, Expected, Once, Result, ServiceCode, refusals};
use crate::egress::Purpose;
use crate::model::{
    Credentials, Location, LocationId, NewCredentials, NewKey, NewLocation, Secret, ShownKey, ShownRole,
};
use crate::service::Service;
use crate::state::locations::{LocationFilter, TABLE};
use crate::state::{self, Conn, Page, PageRequest, StateError, Tx};

/// What the key of each identity is called among the secrets of a location: the part that signs.
pub const KEYS: [&str; 3] = ["credentials", "restorer", "pruner"];

/// Locations, newest first.
///
/// # Errors
/// The state's.
pub async fn list(service: &Service, filter: &LocationFilter, page: &PageRequest) -> Result<Page<Location>> {
    let mut conn = service.state.reader().await?;
    Ok(state::locations::list(&mut conn, filter, page).await?)
}

/// A location.
///
/// # Errors
/// `SR-MISSING`.
pub async fn get(service: &Service, id: &LocationId) -> Result<Location> {
    let mut conn = service.state.reader().await?;
    found(&mut conn, id).await
}

async fn found(conn: &mut Conn, id: &LocationId) -> Result<Location> {
    state::locations::get(conn, id).await?.ok_or_else(|| Error::missing("location"))
}

/// Makes a location. Nothing is asked of its server.
///
/// # Errors
/// `SR-TAKEN` for its name, `SR-REQUEST` if it leads where the configuration does not allow.
pub async fn create(
    service: &Service,
    actor: &Actor,
    wanted: NewLocation,
    once: Option<&Once>,
) -> Result<Location> {
    check(service, &wanted).await?;
    let made = shown(service, &wanted, None);
    let mut tx = match once::begin(service, actor, once, &made).await? {
        Begun::Now(tx) => tx,
        Begun::Before(made) => return Ok(made),
    };
    state::locations::insert(&mut tx, &made).await?;
    keep_keys(&mut tx, service, &wanted, &made, None).await?;
    let record = Changed::new("location.create", made.id.as_str()).after(&made);
    record.record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(made)
}

/// Replaces a location. A key whose secret part is left out keeps the one that is stored.
///
/// # Errors
/// `SR-MISSING`, `SR-CHANGED`, and those of [`create`].
pub async fn replace(
    service: &Service,
    actor: &Actor,
    id: &LocationId,
    expected: &Expected,
    wanted: NewLocation,
) -> Result<Location> {
    check(service, &wanted).await?;
    let mut tx = service.state.begin().await?;
    let before = found(&mut tx, id).await?;
    expected.check(before.version)?;
    let after = shown(service, &wanted, Some(&before));
    state::locations::update(&mut tx, &after, before.version).await?;
    keep_keys(&mut tx, service, &wanted, &after, Some(&before)).await?;
    refusals::refresh(&mut tx, &after).await?;
    let record = Changed::new("location.update", id.as_str()).before(&before).after(&after);
    record.record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(after)
}

/// Deletes a location that no plan stores in and that holds no backup of the catalogue. Nothing is deleted in the bucket.
///
/// # Errors
/// `SR-MISSING`, `SR-CHANGED`, `SR-CONFLICT` while it is in use.
pub async fn delete(service: &Service, actor: &Actor, id: &LocationId, expected: &Expected) -> Result<()> {
    let mut tx = service.state.begin().await?;
    let before = found(&mut tx, id).await?;
    expected.check(before.version)?;
    match state::locations::delete(&mut tx, id, before.version).await {
        Err(StateError::Referenced { by }) => return Err(in_use(by)),
        deleted => deleted?,
    }
    let record = Changed::new("location.delete", id.as_str()).before(&before);
    record.record(&mut tx, service, actor).await?;
    Ok(tx.commit().await?)
}

fn in_use(by: &str) -> Error {
    Error::new(ServiceCode::Conflict, format!("the location has {by}")).help(
        "Delete the plans that store in it, and let its backups expire. Deleting a location deletes nothing in the bucket.",
    )
}

/// What cannot be known from a field alone: where it leads, and which fields go together.
async fn check(service: &Service, wanted: &NewLocation) -> Result<()> {
    if let Some(endpoint) = &wanted.endpoint {
        let checked = service.config.egress.check_url(endpoint.as_str(), Purpose::Storage);
        checked.map_err(|error| Error::from(error).at("endpoint"))?;
    }
    if let Place::Folder(path) = &wanted.location {
        check_folder(path, &service.config.folders).await?;
    }
    if wanted.bucket.access != Access::Split {
        let given = [("restorer", wanted.restorer.is_some()), ("pruner", wanted.pruner.is_some())];
        if let Some((field, _)) = given.iter().find(|(_, given)| *given) {
            return Err(Error::field(*field, "this identity exists only with the access `split`"));
        }
    }
    Ok(())
}

async fn check_folder(path: &Path, allowed: &[PathBuf]) -> Result<()> {
    let real = real_path(path).await;
    for folder in allowed {
        if real.starts_with(real_path(folder).await) {
            return Ok(());
        }
    }
    let error = Error::field("location", "the configuration does not allow locations in this folder");
    Err(error.help("Add a folder above it to `folders` in the configuration, and start the service again."))
}

/// The path without links, as far as it exists.
async fn real_path(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        if let Ok(real) = tokio::fs::canonicalize(existing).await {
            return path.strip_prefix(existing).map_or(real.clone(), |rest| real.join(rest));
        }
    }
    path.to_owned()
}

/// A location as it is shown; `before` is the one that it replaces.
fn shown(service: &Service, wanted: &NewLocation, before: Option<&Location>) -> Location {
    let now = service.clock.now();
    Location {
        id: before.map_or_else(|| LocationId::new(now, rand::random()), |before| before.id.clone()),
        name: wanted.name.clone(),
        location: wanted.location.clone(),
        endpoint: wanted.endpoint.clone(),
        region: wanted.region.clone(),
        expected_owner: wanted.expected_owner.clone(),
        checksum: wanted.checksum,
        bucket: wanted.bucket.clone(),
        credentials: without_secret(&wanted.credentials),
        restorer: wanted.restorer.as_ref().map(without_secret),
        pruner: wanted.pruner.as_ref().map(without_secret),
        labels: wanted.labels.clone(),
        runs_at_once: wanted.runs_at_once,
        last_proof: before.and_then(|before| before.last_proof.clone()),
        created_at: before.map_or(now, |before| before.created_at),
        updated_at: now,
        version: before.map_or(1, |before| before.version + 1),
    }
}

fn without_secret(credentials: &NewCredentials) -> Credentials {
    let shown = |key: &NewKey| ShownKey { id: key.id.clone() };
    match credentials {
        NewCredentials::Ambient(nothing) => Credentials::Ambient(*nothing),
        NewCredentials::Key(key) => Credentials::Key(shown(key)),
        NewCredentials::Profile(profile) => Credentials::Profile(profile.clone()),
        NewCredentials::Role(role) => Credentials::Role(ShownRole {
            arn: role.arn.clone(),
            external_id: role.external_id.clone(),
            key: role.key.as_ref().map(shown),
        }),
    }
}

/// Seals the parts of keys that sign, and forgets those that are not used any more.
async fn keep_keys(
    tx: &mut Tx,
    service: &Service,
    wanted: &NewLocation,
    made: &Location,
    before: Option<&Location>,
) -> Result<()> {
    let new = [Some(&wanted.credentials), wanted.restorer.as_ref(), wanted.pruner.as_ref()];
    let old = before.map(|old| [Some(&old.credentials), old.restorer.as_ref(), old.pruner.as_ref()]);
    let id = made.id.as_str();
    for (place, name) in KEYS.into_iter().enumerate() {
        let known = old.and_then(|old| old[place]).and_then(key_id);
        match new[place].and_then(new_key).map(|key| kept(key, known)) {
            Some(Kept::New(secret)) => {
                state::secrets::put(tx, &service.keyring, TABLE, id, name, secret).await?;
            }
            Some(Kept::Stored) => {}
            Some(Kept::Missing) => {
                let message = "the part of the key that signs is missing, and none is stored for this key";
                return Err(Error::field(format!("{name}.secret"), message));
            }
            None => state::secrets::delete(tx, TABLE, id, name).await?,
        }
    }
    Ok(())
}

enum Kept<'a> {
    New(&'a Secret),
    Stored,
    Missing,
}

fn kept<'a>(key: &'a NewKey, known: Option<&str>) -> Kept<'a> {
    match &key.secret {
        Some(secret) => Kept::New(secret),
        None if known == Some(key.id.as_str()) => Kept::Stored,
        None => Kept::Missing,
    }
}

fn new_key(credentials: &NewCredentials) -> Option<&NewKey> {
    match credentials {
        NewCredentials::Key(key) => Some(key),
        NewCredentials::Role(role) => role.key.as_ref(),
        NewCredentials::Ambient(_) | NewCredentials::Profile(_) => None,
    }
}

fn key_id(credentials: &Credentials) -> Option<&str> {
    match credentials {
        Credentials::Key(key) => Some(key.id.as_str()),
        Credentials::Role(role) => role.key.as_ref().map(|key| key.id.as_str()),
        Credentials::Ambient(_) | Credentials::Profile(_) => None,
    }
}

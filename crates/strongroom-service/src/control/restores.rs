//! What a restore will do, shown before it is run.

use std::sync::Arc;
use std::time::Duration;

use strongroom_engine::bucket::actions::Role;
use strongroom_engine::restore::{Action, Expiry, Grants, Prepared};
use strongroom_engine::{Job, Silent, Waits};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Actor, Error, Result, ServiceCode, backups};
use crate::model::{Backup, BackupState, PreviewedNamespace, RestorePreview, RestoreQuestion};
use crate::runs::open::{LocationKeys, Opening, connection};
use crate::runs::restore::{self, Work};
use crate::service::Service;
use crate::state::{Conn, deployments, locations, secrets};

/// How long source and target are asked: less than a request may take.
const LONGEST: Duration = Duration::from_secs(50);
/// Namespaces, users, roles and functions that are shown.
const SHOWN: usize = 1000;
/// Rules by which documents expire that are shown.
const EXPIRING_SHOWN: usize = 100;

/// Looks at the backup and the target, and says what a restore would do. Nothing is changed.
///
/// # Errors
/// `SR-REQUEST` with the field that is wrong, `SR-CONFLICT` for a backup that is gone, `SR-TOO-SLOW`, and as the engine.
pub async fn preview(service: &Service, actor: &Actor, asked: RestoreQuestion) -> Result<RestorePreview> {
    let work = {
        let mut conn = service.state.reader().await?;
        work(&mut conn, service, actor, &asked).await?
    };
    let _turn = service.tests.try_acquire().map_err(|_| {
        let error = Error::new(ServiceCode::TooMany, "several deployments are being looked at");
        error.retry_after(10)
    })?;
    let cancel = CancellationToken::new();
    // A client that goes away takes its question along.
    let _stop = cancel.clone().drop_guard();
    let job =
        Job { observer: Arc::new(Silent), cancel, clock: service.clock.clone(), waits: Waits::default() };
    let looked = async {
        let mut prepared = restore::prepare(&work, &asked.settings, &job).await?;
        prepared.name_grants(&job).await?;
        Ok::<_, strongroom_engine::Error>(prepared)
    };
    let prepared = timeout(LONGEST, looked).await.map_err(|_| {
        let message = format!("backup and target did not answer within {} seconds", LONGEST.as_secs());
        Error::new(ServiceCode::TooSlow, message)
            .help("Test the deployment, and prove the location: one of them is slow or cannot be reached.")
    })??;
    shown(&prepared)
}

async fn work(conn: &mut Conn, service: &Service, actor: &Actor, asked: &RestoreQuestion) -> Result<Work> {
    let missing = |field: &str, what: &str| Error::field(field, format!("there is no such {what}"));
    let backup = backups::found(conn, actor, &asked.backup).await;
    let backup = backup.map_err(|_| missing("backup", "backup"))?;
    if matches!(backup.state, BackupState::Swept | BackupState::Missing) {
        return Err(Error::new(ServiceCode::Conflict, "this backup is not in its location").at("backup"));
    }
    let target = deployments::get(conn, &asked.target).await?;
    let target = target.filter(|target| actor.scope.has_deployment(&target.id));
    let target = target.ok_or_else(|| missing("target", "deployment"))?;
    let id = asked.target.as_str();
    let uri = secrets::get(conn, &service.keyring, deployments::TABLE, id, super::deployments::URI).await?;
    let uri = uri.ok_or_else(|| Error::internal("a deployment has no connection string"))?;
    let store =
        opening(conn, service, &backup).await?.store(Role::Restorer, Arc::new(Silent), Waits::default())?;
    let uri = connection(&uri)?;
    Ok(Work { store, folder: backup.folder, name: backup.name, uri, target: target.name })
}

async fn opening(conn: &mut Conn, service: &Service, backup: &Backup) -> Result<Opening> {
    let location = locations::get(conn, &backup.location).await?.ok_or_else(|| Error::missing("location"))?;
    let [writer, restorer, _] = super::locations::KEYS;
    let mut key = LocationKeys::default();
    for (name, into) in [(writer, &mut key.writer), (restorer, &mut key.restorer)] {
        let id = backup.location.as_str();
        *into = secrets::get(conn, &service.keyring, locations::TABLE, id, name).await?;
    }
    Ok(Opening { location, keys: key })
}

fn shown(prepared: &Prepared) -> Result<RestorePreview> {
    let preview = prepared.preview();
    let has = |action| preview.namespaces.iter().any(|namespace| namespace.action == action);
    let sum = |of: fn(&strongroom_engine::restore::PreviewedNamespace) -> Option<u64>| {
        preview.namespaces.iter().filter_map(of).sum()
    };
    let mut namespaces: Vec<_> = preview.namespaces.iter().collect();
    namespaces.sort_by_key(|namespace| match namespace.action {
        Action::Refuse => 0,
        Action::Replace => 1,
        _ => 2,
    });
    let grants = preview.grants.as_ref();
    Ok(RestorePreview {
        digest: prepared.digest()?,
        can_run: !has(Action::Refuse),
        replaces: has(Action::Replace),
        target_version: preview.target_version.clone(),
        target_set: preview.target_set.clone(),
        namespaces_total: preview.namespaces.len() as u64,
        documents: sum(|namespace| namespace.documents),
        bytes: sum(|namespace| namespace.bytes),
        stored_bytes: preview.stored_bytes,
        namespaces: namespaces.into_iter().take(SHOWN).map(namespace).collect(),
        expiring: preview.expiring.iter().take(EXPIRING_SHOWN).map(expiring).collect(),
        grants: grants.map(named).unwrap_or_default(),
        grants_unknown: grants.is_some_and(|grants| grants.not_all.is_some()),
    })
}

fn namespace(of: &strongroom_engine::restore::PreviewedNamespace) -> PreviewedNamespace {
    let action = serde_json::to_value(of.action).ok();
    PreviewedNamespace {
        name: of.name.clone(),
        target: of.target.clone(),
        action: action.and_then(|word| word.as_str().map(Into::into)).unwrap_or_default(),
        documents: of.documents,
        bytes: of.bytes,
    }
}

fn expiring(rule: &Expiry) -> String {
    let after = match rule.after_seconds {
        Some(seconds) => format!("{seconds} seconds after a date in them"),
        None => "some time after a date in them".into(),
    };
    let held = if rule.held { ", which is held back" } else { "" };
    format!("documents of `{}` expire {after}{held}", rule.namespace)
}

fn named(grants: &Grants) -> Vec<String> {
    let powerful = |powerful| if powerful { ", who may do anything" } else { "" };
    let users = grants.users.iter().map(|one| format!("{one}{}", powerful(one.is_powerful)));
    let functions =
        grants.functions.iter().map(|one| format!("stored function `{}` in `{}`", one.name, one.namespace));
    users.chain(functions).take(SHOWN).collect()
}

//! The first admin, made through a link that is printed when the service starts without users.

use std::net::IpAddr;

use chrono::TimeDelta;

use super::record::Changed;
use super::{Actor, Error, Result, Scope, ServiceCode, users};
use crate::model::{FirstAdmin, Role, User};
use crate::secrets::{Bearer, BearerKind};
use crate::service::Service;
use crate::state;
use crate::state::users::Proofs;

/// What the link is for, among things that may be used once.
const PURPOSE: &str = "first-admin";
/// How long a link may be used. The next start prints another one.
const VALID: TimeDelta = TimeDelta::hours(24);

/// Whether there is no user yet.
///
/// # Errors
/// The state's.
pub async fn is_wanted(service: &Service) -> Result<bool> {
    let mut conn = service.state.reader().await?;
    Ok(!state::users::any(&mut conn).await?)
}

/// The secret of a link that makes the first admin, to be printed; none: there are users. Links of earlier starts end.
///
/// # Errors
/// The state's.
pub async fn link(service: &Service) -> Result<Option<Bearer>> {
    let mut tx = service.state.begin().await?;
    if state::users::any(&mut tx).await? {
        return Ok(None);
    }
    let link = Bearer::random(BearerKind::Link)?;
    let until = service.clock.now() + VALID;
    state::tickets::clear(&mut tx, PURPOSE).await?;
    state::tickets::insert(&mut tx, PURPOSE, &link.digest(), &(), until).await?;
    tx.commit().await?;
    Ok(Some(link))
}

/// Makes the first admin, who may also restore.
///
/// # Errors
/// `SR-SIGN-IN`: the link was used, is too old, or is none.
pub async fn first_admin(service: &Service, wanted: FirstAdmin, address: Option<IpAddr>) -> Result<User> {
    let refused = || {
        Error::new(ServiceCode::SignIn, "this link is not valid, or was used")
            .help("Start the service again: as long as there are no users it prints a new one.")
    };
    let link = Bearer::parse(BearerKind::Link, wanted.link.expose()).ok_or_else(refused)?;
    let password = users::hash(service, &wanted.password).await?;
    let now = service.clock.now();
    let mut tx = service.state.begin().await?;
    let known: Option<()> = state::tickets::take(&mut tx, PURPOSE, &link.digest(), now).await?;
    if known.is_none() || state::users::any(&mut tx).await? {
        return Err(refused());
    }
    let user = users::new_user(service, wanted.login, Role::Admin, true, true);
    state::users::insert(&mut tx, &user, &Proofs { password: Some(password), identity: None }).await?;
    let actor = Actor {
        user: Some(user.id.clone()),
        token: None,
        session: None,
        role: Role::Admin,
        restorer: true,
        scope: Scope::default(),
        address,
    };
    Changed::new("user.create", user.id.as_str()).after(&user).record(&mut tx, service, &actor).await?;
    tx.commit().await?;
    Ok(user)
}

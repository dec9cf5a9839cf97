//! Signing in through the identity provider: the user is made at the first sign-in, and has the role that the provider
//! gives at each.

use std::net::IpAddr;

use super::record::Changed;
use super::{Actor, Error, Result, Scope, ServiceCode, sessions, users};
use crate::model::{Login, User};
use crate::oidc::{Begun, Identity, Oidc, Refusal};
use crate::secrets::Bearer;
use crate::service::Service;
use crate::state::users::Proofs;
use crate::state::{self, Tx};

fn provider(service: &Service) -> Result<&Oidc> {
    service.oidc.as_ref().ok_or_else(|| Error::missing("identity provider"))
}

/// Whether there is a provider.
///
/// # Errors
/// `SR-MISSING`: the configuration names none.
pub fn is_offered(service: &Service) -> Result<()> {
    provider(service).map(drop)
}

/// Begins a sign-in.
///
/// # Errors
/// `SR-MISSING`: the configuration names no provider. `SR-TOO-MANY`. `SR-UNAVAILABLE`: the provider does not answer.
pub async fn begin(service: &Service, address: Option<IpAddr>) -> Result<Begun> {
    let provider = provider(service)?;
    counted(service, address).await?;
    provider.begin().await.map_err(|refusal| refused(&refusal))
}

/// Ends a sign-in, and begins a session.
///
/// # Errors
/// As [`begin`]; `SR-SIGN-IN`: what came back is not accepted, or the user has no role here or may not sign in;
/// `SR-TAKEN`: other users have the names that this one could get.
pub async fn finish(
    service: &Service,
    kept: Option<Bearer>,
    code: String,
    state: &str,
    address: Option<IpAddr>,
) -> Result<(Bearer, User)> {
    let provider = provider(service)?;
    counted(service, address).await?;
    let kept = kept
        .ok_or_else(|| refused(&Refusal::Answer("this browser began no sign-in, or too long ago".into())))?;
    let identity = provider.finish(&kept, code, state, service.clock.now()).await;
    let user = known(service, &identity.map_err(|refusal| refused(&refusal))?, address).await?;
    if user.disabled {
        return Err(Error::new(ServiceCode::SignIn, "this user may not sign in"));
    }
    Ok((sessions::begin(service, &user, address).await?, user))
}

/// Each of these asks the provider something: they are counted as tries of a password are, by address.
async fn counted(service: &Service, address: Option<IpAddr>) -> Result<()> {
    let name = address.map_or_else(String::new, |address| format!("provider, from {address}"));
    service.sign_ins.take(address, &name, service.clock.now()).await.map_err(sessions::too_many)
}

fn refused(refusal: &Refusal) -> Error {
    let code = match refusal {
        Refusal::Provider(_) => ServiceCode::Unavailable,
        Refusal::Answer(_) | Refusal::NoRole => ServiceCode::SignIn,
    };
    let error = Error::new(code, refusal.to_string());
    match refusal {
        Refusal::Provider(_) => error.help("Try again later, or sign in with a password."),
        Refusal::Answer(_) => error.help("Begin the sign-in again."),
        Refusal::NoRole => {
            error.help("An admin of the provider has to put the user into a group that has a role here.")
        }
    }
}

/// The user of an identity, with the role that the provider gives now.
async fn known(service: &Service, identity: &Identity, address: Option<IpAddr>) -> Result<User> {
    // An issuer is a URL: it holds no space.
    let key = format!("{} {}", identity.issuer, identity.subject);
    let mut tx = service.state.begin().await?;
    let user = match state::users::by_identity(&mut tx, &key).await? {
        Some(user) if (user.role, user.restorer) == (identity.role, identity.restorer) => return Ok(user),
        Some(user) => changed(&mut tx, service, user, identity, address).await?,
        None => made(&mut tx, service, identity, key, address).await?,
    };
    tx.commit().await?;
    Ok(user)
}

async fn changed(
    tx: &mut Tx,
    service: &Service,
    before: User,
    identity: &Identity,
    address: Option<IpAddr>,
) -> Result<User> {
    let mut user = User { role: identity.role, restorer: identity.restorer, ..before.clone() };
    state::users::update(tx, &user, before.version).await?;
    user.version += 1;
    let change = Changed::new("user.update", user.id.as_str()).before(&before).after(&user);
    change.record(tx, service, &by(&user, address)).await?;
    Ok(user)
}

async fn made(
    tx: &mut Tx,
    service: &Service,
    identity: &Identity,
    key: String,
    address: Option<IpAddr>,
) -> Result<User> {
    let login = free_login(tx, identity).await?;
    let user = users::new_user(service, login, identity.role, identity.restorer, false);
    state::users::insert(tx, &user, &Proofs { password: None, identity: Some(key) }).await?;
    let change = Changed::new("user.create", user.id.as_str()).after(&user);
    change.record(tx, service, &by(&user, address)).await?;
    Ok(user)
}

/// A login that nobody has. A user of this service is not taken over by somebody whom the provider calls so.
async fn free_login(tx: &mut Tx, identity: &Identity) -> Result<Login> {
    let names = [
        identity.login.clone(),
        format!("{} ({})", identity.login, identity.subject),
        identity.subject.clone(),
    ];
    for name in names {
        let Ok(login) = name.parse::<Login>() else { continue };
        if state::users::by_login(tx, &login).await?.is_none() {
            return Ok(login);
        }
    }
    let message = "other users have the names that the identity provider gives this user";
    Err(Error::new(ServiceCode::Taken, message))
}

fn by(user: &User, address: Option<IpAddr>) -> Actor {
    Actor {
        user: Some(user.id.clone()),
        token: None,
        session: None,
        role: user.role,
        restorer: user.restorer,
        scope: Scope::default(),
        address,
    }
}

//! Signing in and out, and who a request is from.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

use super::record::Changed;
use super::{Actor, Error, Result, Scope, ServiceCode};
use crate::model::{Me, NewSession, Role, Session, SessionId, User, UserId};
use crate::secrets::{Bearer, BearerKind};
use crate::service::Service;
use crate::state::sessions::Session as Kept;
use crate::state::{self, Conn};

/// A use is noted if the last one that was is older: not every request must write.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// What a request carries to say whose it is.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The cookie of a session.
    Session(Bearer),
    /// An API token.
    Token(Bearer),
}

/// Whose request it is.
///
/// # Errors
/// `SR-SIGN-IN`: it has ended, or never was, or its user may not sign in.
pub async fn authenticate(
    service: &Service,
    credential: &Credential,
    address: Option<IpAddr>,
) -> Result<Actor> {
    match credential {
        Credential::Session(bearer) => by_session(service, bearer, address).await,
        Credential::Token(bearer) => by_token(service, bearer, address).await,
    }
}

async fn by_session(service: &Service, bearer: &Bearer, address: Option<IpAddr>) -> Result<Actor> {
    let now = service.clock.now();
    let mut conn = service.state.reader().await?;
    let session = state::sessions::find(&mut conn, &bearer.digest(), now).await?.ok_or_else(ended)?;
    let user = active(&mut conn, &session.user).await?;
    drop(conn);
    if now - session.last_used_at > NOTED_EVERY {
        let until = expiry(service, session.created_at, now);
        let mut tx = service.state.begin().await?;
        state::sessions::used(&mut tx, &session.id, now, until).await?;
        tx.commit().await?;
    }
    Ok(Actor {
        user: Some(user.id),
        token: None,
        session: Some(session.id),
        role: user.role,
        restorer: user.restorer,
        scope: Scope::default(),
        address,
    })
}

async fn by_token(service: &Service, bearer: &Bearer, address: Option<IpAddr>) -> Result<Actor> {
    let now = service.clock.now();
    let mut conn = service.state.reader().await?;
    let token = state::tokens::find(&mut conn, &bearer.digest(), now).await?.ok_or_else(ended)?;
    let user = active(&mut conn, &token.user).await?;
    drop(conn);
    if token.last_used_at.is_none_or(|last| now - last > NOTED_EVERY) {
        let mut tx = service.state.begin().await?;
        state::tokens::used(&mut tx, &token.id, now).await?;
        tx.commit().await?;
    }
    Ok(Actor {
        user: Some(user.id),
        token: Some(token.id),
        session: None,
        role: token.role.min(user.role),
        restorer: token.restorer && user.restorer,
        scope: Scope {
            deployments: token.deployments.as_slice().to_vec(),
            plans: token.plans.as_slice().to_vec(),
        },
        address,
    })
}

/// Whether a session or token is still valid. It does not count as a use.
pub async fn is_alive(service: &Service, credential: &Credential) -> bool {
    let looked = async {
        let now = service.clock.now();
        let mut conn = service.state.reader().await?;
        let user = match credential {
            Credential::Session(bearer) => {
                state::sessions::find(&mut conn, &bearer.digest(), now).await?.map(|session| session.user)
            }
            Credential::Token(bearer) => {
                state::tokens::find(&mut conn, &bearer.digest(), now).await?.map(|token| token.user)
            }
        };
        active(&mut conn, &user.ok_or_else(ended)?).await
    };
    looked.await.is_ok()
}

fn ended() -> Error {
    Error::new(ServiceCode::SignIn, "the session or token has ended, or is not known")
        .help("Sign in again, or make a new token.")
}

async fn active(conn: &mut Conn, id: &UserId) -> Result<User> {
    let user = state::users::get(conn, id).await?;
    user.filter(|user| !user.disabled).ok_or_else(ended)
}

/// The earlier of both ends that the configuration sets.
fn expiry(service: &Service, created: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let hours = |hours: u64| TimeDelta::hours(i64::try_from(hours).unwrap_or(i64::MAX / 4_000_000));
    let limits = &service.config.session;
    (now + hours(limits.idle_hours.get())).min(created + hours(limits.hours.get()))
}

/// Signs somebody in. It takes the same time whether there is such a user or not.
///
/// # Errors
/// `SR-SIGN-IN`, `SR-TOO-MANY`.
pub async fn sign_in(
    service: &Service,
    wanted: &NewSession,
    address: Option<IpAddr>,
) -> Result<(Bearer, User)> {
    let now = service.clock.now();
    service.sign_ins.take(address, wanted.login.as_str(), now).await.map_err(too_many)?;
    let mut conn = service.state.reader().await?;
    let known = state::users::by_login(&mut conn, &wanted.login).await?;
    drop(conn);
    let stored = known.as_ref().and_then(|(_, password)| password.as_deref());
    let right = service.passwords.verify(&wanted.password, stored).await?;
    let user = known.filter(|(user, _)| right && !user.disabled).map(|(user, _)| user);
    let user = user.ok_or_else(|| Error::new(ServiceCode::SignIn, "the login or the password is wrong"))?;
    let session = begin(service, &user, address).await?;
    Ok((session, user))
}

pub(super) fn too_many(seconds: u64) -> Error {
    Error::new(ServiceCode::TooMany, "there were too many sign-ins from this address or with this login")
        .help(format!("Try again in {seconds} seconds."))
        .retry_after(seconds)
}

/// Begins a session of a user whose password or identity was just checked.
///
/// # Errors
/// The state's.
pub async fn begin(service: &Service, user: &User, address: Option<IpAddr>) -> Result<Bearer> {
    let (bearer, now) = (Bearer::random(BearerKind::Session)?, service.clock.now());
    let session = Kept {
        id: SessionId::new(now, rand::random()),
        user: user.id.clone(),
        created_at: now,
        last_used_at: now,
        expires_at: expiry(service, now, now),
        address: address.map(|address| address.to_string()),
    };
    let mut tx = service.state.begin().await?;
    state::sessions::insert(&mut tx, &session, &bearer.digest()).await?;
    state::users::signed_in(&mut tx, &user.id, now).await?;
    let actor = of_session(&session, user, address);
    Changed::new("session.create", session.id.as_str()).record(&mut tx, service, &actor).await?;
    tx.commit().await?;
    Ok(bearer)
}

fn of_session(session: &Kept, user: &User, address: Option<IpAddr>) -> Actor {
    Actor {
        user: Some(user.id.clone()),
        token: None,
        session: Some(session.id.clone()),
        role: user.role,
        restorer: user.restorer,
        scope: Scope::default(),
        address,
    }
}

/// Who asks, and what they may do.
///
/// # Errors
/// The state's.
pub async fn me(service: &Service, actor: &Actor) -> Result<Me> {
    let mut conn = service.state.reader().await?;
    let id = actor.user.as_ref().ok_or_else(ended)?;
    Ok(Me {
        user: active(&mut conn, id).await?,
        token: actor.token.clone(),
        role: actor.role,
        restorer: actor.restorer,
        deployments: actor.scope.deployments.clone().try_into().unwrap_or_default(),
        plans: actor.scope.plans.clone().try_into().unwrap_or_default(),
    })
}

/// Ends the session of the request.
///
/// # Errors
/// `SR-CONFLICT`: the request carries a token, which is revoked instead.
pub async fn sign_out(service: &Service, actor: &Actor) -> Result<()> {
    let Some(session) = &actor.session else {
        let error = Error::new(ServiceCode::Conflict, "the request carries a token and no session");
        return Err(error.help("A token is ended by deleting it."));
    };
    remove(service, actor, session).await
}

/// The sessions of a user, newest first, at most 200: one's own, or those of the user that an admin names.
///
/// # Errors
/// `SR-FORBIDDEN`.
pub async fn list(service: &Service, actor: &Actor, user: Option<&UserId>) -> Result<Vec<Session>> {
    let user = user.or(actor.user.as_ref()).ok_or_else(ended)?;
    if actor.user.as_ref() != Some(user) {
        actor.must_be(Role::Admin, false)?;
    }
    let mut conn = service.state.reader().await?;
    let sessions = state::sessions::of(&mut conn, user).await?;
    Ok(sessions.into_iter().map(|session| shown(session, actor)).collect())
}

fn shown(session: Kept, actor: &Actor) -> Session {
    Session {
        current: actor.session.as_ref() == Some(&session.id),
        id: session.id,
        user: session.user,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
        address: session.address,
    }
}

/// Ends a session: one's own, or anybody's for an admin.
///
/// # Errors
/// `SR-MISSING`: it is not one's own.
pub async fn end(service: &Service, actor: &Actor, id: &SessionId) -> Result<()> {
    if actor.role < Role::Admin {
        let own = list(service, actor, None).await?;
        own.iter().find(|session| session.id == *id).ok_or_else(|| Error::missing("session"))?;
    }
    remove(service, actor, id).await
}

async fn remove(service: &Service, actor: &Actor, id: &SessionId) -> Result<()> {
    let mut tx = service.state.begin().await?;
    state::sessions::delete(&mut tx, id).await?;
    Changed::new("session.delete", id.as_str()).record(&mut tx, service, actor).await?;
    Ok(tx.commit().await?)
}

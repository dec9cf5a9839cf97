//! Users.

use super::once::{self, Begun};
use super::record::Changed;
use super::{Actor, Error, Expected, Once, Result, ServiceCode};
use crate::model::{Login, NewUser, Role, Secret, User, UserChange, UserId};
use crate::secrets::check_password;
use crate::service::Service;
use crate::state::users::Proofs;
use crate::state::{self, Conn, Page, PageRequest};

/// Users, newest first.
///
/// # Errors
/// The state's.
pub async fn list(service: &Service, page: &PageRequest) -> Result<Page<User>> {
    let mut conn = service.state.reader().await?;
    Ok(state::users::list(&mut conn, page).await?)
}

/// A user.
///
/// # Errors
/// `SR-MISSING`.
pub async fn get(service: &Service, id: &UserId) -> Result<User> {
    let mut conn = service.state.reader().await?;
    found(&mut conn, id).await
}

/// Makes a user.
///
/// # Errors
/// `SR-TAKEN` if the login is, `SR-REQUEST` if the password is too short.
pub async fn create(service: &Service, actor: &Actor, wanted: NewUser, once: Option<&Once>) -> Result<User> {
    let password = match &wanted.password {
        Some(password) => Some(hash(service, password).await?),
        None => None,
    };
    let user = new_user(service, wanted.login, wanted.role, wanted.restorer, password.is_some());
    let mut tx = match once::begin(service, actor, once, &user).await? {
        Begun::Now(tx) => tx,
        Begun::Before(user) => return Ok(user),
    };
    state::users::insert(&mut tx, &user, &Proofs { password, identity: None }).await?;
    Changed::new("user.create", user.id.as_str()).after(&user).record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(user)
}

/// Changes a user.
///
/// # Errors
/// `SR-MISSING`, `SR-CHANGED`, `SR-CONFLICT` if no admin would be left.
pub async fn change(
    service: &Service,
    actor: &Actor,
    id: &UserId,
    expected: &Expected,
    change: UserChange,
) -> Result<User> {
    let password = match &change.password {
        Some(password) => Some(hash(service, password).await?),
        None => None,
    };
    let mut tx = service.state.begin().await?;
    let before = found(&mut tx, id).await?;
    expected.check(before.version)?;
    let after = changed(&before, &change);
    let leaves = is_active_admin(&before) && !is_active_admin(&after);
    if leaves && state::users::admins(&mut tx).await? <= 1 {
        let error = Error::new(ServiceCode::Conflict, "this is the last admin who can sign in");
        return Err(error.help("Make another user an admin first."));
    }
    state::users::update(&mut tx, &after, before.version).await?;
    if let Some(password) = &password {
        state::users::set_password(&mut tx, id, password).await?;
    }
    if after.disabled || password.is_some() {
        state::sessions::delete_of(&mut tx, id, None).await?;
    }
    if after.disabled {
        state::tokens::delete_of(&mut tx, id).await?;
    }
    let record = Changed::new("user.update", id.as_str()).before(&before).after(&after);
    record.record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(after)
}

fn changed(before: &User, change: &UserChange) -> User {
    User {
        role: change.role.unwrap_or(before.role),
        restorer: change.restorer.unwrap_or(before.restorer),
        disabled: change.disabled.unwrap_or(before.disabled),
        has_password: before.has_password || change.password.is_some(),
        version: before.version + 1,
        ..before.clone()
    }
}

fn is_active_admin(user: &User) -> bool {
    user.role == Role::Admin && !user.disabled
}

async fn found(conn: &mut Conn, id: &UserId) -> Result<User> {
    state::users::get(conn, id).await?.ok_or_else(|| Error::missing("user"))
}

/// The hash of a password that is to be set.
pub(super) async fn hash(service: &Service, password: &Secret) -> Result<String> {
    check_password(password).map_err(|why| Error::field("password", why))?;
    Ok(service.passwords.hash(password).await?)
}

/// A user who was just made.
pub(super) fn new_user(
    service: &Service,
    login: Login,
    role: Role,
    restorer: bool,
    has_password: bool,
) -> User {
    let now = service.clock.now();
    User {
        id: UserId::new(now, rand::random()),
        login,
        role,
        restorer,
        disabled: false,
        has_password,
        last_sign_in_at: None,
        created_at: now,
        version: 1,
    }
}

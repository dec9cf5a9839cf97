//! API tokens. Whoever makes one can give it no more than they have themselves.

use chrono::TimeDelta;

use super::record::Changed;
use super::{Actor, Error, Result, Scope, ServiceCode};
use crate::model::{NewToken, Role, Token, TokenId, TokenMade, UserId};
use crate::secrets::{Bearer, BearerKind};
use crate::service::Service;
use crate::state::{self, Page, PageRequest};

/// Tokens, newest first: one's own, or everybody's for an admin.
///
/// # Errors
/// The state's.
pub async fn list(service: &Service, actor: &Actor, page: &PageRequest) -> Result<Page<Token>> {
    let mut conn = service.state.reader().await?;
    Ok(state::tokens::list(&mut conn, only_own(actor), page).await?)
}

/// Makes a token of the one who asks. This is the only time it is shown.
///
/// # Errors
/// `SR-FORBIDDEN` if it could do more than its maker, or live longer.
pub async fn create(service: &Service, actor: &Actor, wanted: NewToken) -> Result<TokenMade> {
    let user = actor.user.clone().ok_or_else(|| Error::internal("a token is made by nobody"))?;
    refuse_more(actor, &wanted)?;
    let (bearer, now) = (Bearer::random(BearerKind::Token)?, service.clock.now());
    let days = TimeDelta::days(i64::try_from(wanted.days.get()).unwrap_or(1));
    let token = Token {
        id: TokenId::new(now, rand::random()),
        name: wanted.name,
        user,
        role: wanted.role,
        restorer: wanted.restorer,
        deployments: wanted.deployments,
        plans: wanted.plans,
        created_at: now,
        expires_at: now + days,
        last_used_at: None,
    };
    let mut tx = service.state.begin().await?;
    if let Some(maker) = &actor.token {
        let maker = state::tokens::get(&mut tx, maker).await?.ok_or_else(|| Error::missing("token"))?;
        if token.expires_at > maker.expires_at {
            return Err(Error::field("days", "the token would outlive the one that makes it"));
        }
    }
    state::tokens::insert(&mut tx, &token, &bearer.digest()).await?;
    Changed::new("token.create", token.id.as_str()).after(&token).record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(TokenMade { token, bearer: bearer.expose().into() })
}

fn refuse_more(actor: &Actor, wanted: &NewToken) -> Result<()> {
    let more = |field: &str, message: &str| Err(Error::new(ServiceCode::Forbidden, message).at(field));
    if wanted.role > actor.role {
        return more("role", "a token cannot have a higher role than the one who makes it");
    }
    if wanted.restorer && !actor.restorer {
        return more("restorer", "a token may restore only if the one who makes it may");
    }
    let scope = Scope {
        deployments: wanted.deployments.as_slice().to_vec(),
        plans: wanted.plans.as_slice().to_vec(),
    };
    if !scope.is_within(&actor.scope) {
        return more("deployments", "a token cannot see more than the one that makes it");
    }
    Ok(())
}

/// Ends a token: one's own, or anybody's for an admin.
///
/// # Errors
/// `SR-MISSING`.
pub async fn revoke(service: &Service, actor: &Actor, id: &TokenId) -> Result<()> {
    let mut tx = service.state.begin().await?;
    let token = state::tokens::get(&mut tx, id).await?;
    let may = |token: &Token| only_own(actor).is_none_or(|own| *own == token.user);
    let token = token.filter(may).ok_or_else(|| Error::missing("token"))?;
    state::tokens::delete(&mut tx, id).await?;
    Changed::new("token.delete", id.as_str()).before(&token).record(&mut tx, service, actor).await?;
    Ok(tx.commit().await?)
}

fn only_own(actor: &Actor) -> Option<&UserId> {
    actor.user.as_ref().filter(|_| actor.role < Role::Admin)
}

//! Who sends a request, and whether the route is open to them.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::{Access, ApiError, Client, cookie, csrf};
use crate::control::{Actor, Credential, Error, Result, ServiceCode, sessions};
use crate::secrets::{Bearer, BearerKind};
use crate::service::Service;

/// Lets a request through to its handler, with its [`Actor`], or refuses it.
pub(super) async fn check(
    State((service, access)): State<(Arc<Service>, Access)>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let client = client_of(request.extensions().get());
    match access {
        Access::Public => {
            if !request.method().is_safe() {
                csrf::check_anonymous(request.headers(), &client, &service.config)?;
            }
        }
        Access::SignedIn { .. } => {
            let credential = credential(request.headers(), client.https)?;
            if let Credential::Session(_) = credential {
                csrf::check(request.method(), request.headers(), &client, &service.config)?;
            }
            let actor = sessions::authenticate(&service, &credential, client.address).await?;
            admit(access, &actor)?;
            request.extensions_mut().insert(actor);
            request.extensions_mut().insert(credential);
        }
    }
    Ok(next.run(request).await)
}

fn admit(access: Access, actor: &Actor) -> Result<()> {
    let Access::SignedIn { least, restorer, scoped } = access else { return Ok(()) };
    actor.must_be(least, restorer)?;
    if !scoped && !actor.scope.is_whole() {
        let message = "this token is for certain deployments or plans, and this concerns the whole service";
        return Err(Error::new(ServiceCode::Forbidden, message));
    }
    Ok(())
}

fn credential(headers: &HeaderMap, https: bool) -> Result<Credential> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let words = value.to_str().unwrap_or_default().split_once(' ');
        let token = words
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| Bearer::parse(BearerKind::Token, token.trim()));
        return token.map(Credential::Token).ok_or_else(|| {
            Error::new(ServiceCode::SignIn, "the `Authorization` header holds no token of this service")
        });
    }
    let session = cookie::read(headers, https).map(Credential::Session);
    session.ok_or_else(|| {
        Error::new(ServiceCode::SignIn, "nobody is signed in")
            .help("Sign in, or send a token as `Authorization: Bearer …`.")
    })
}

fn client_of(client: Option<&Client>) -> Client {
    client.cloned().unwrap_or(Client { address: None, https: false, host: None })
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let actor = parts.extensions.get::<Self>().cloned();
        actor.ok_or_else(|| Error::internal("a public route asks who is signed in").into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Credential {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let credential = parts.extensions.get::<Self>().cloned();
        credential.ok_or_else(|| Error::internal("a public route asks who is signed in").into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(client_of(parts.extensions.get()))
    }
}

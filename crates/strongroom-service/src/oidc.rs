//! Signing in through an OpenID Connect provider: the code flow with PKCE.
//!
//! What a sign-in must remember between its two halves is derived from one random value, which only the browser keeps
//! (in a cookie that scripts cannot read): `state`, nonce and PKCE verifier are hashes of it with different labels. So
//! nothing is stored, and whoever sees `state` in a URL cannot make the others of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm as Algorithm,
    CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse,
    CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse,
    IdTokenClaims, IdTokenFields, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    StandardErrorResponse, StandardTokenResponse, TokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_engine::{Code, Error, Result};

use crate::config::{Config, Egress, Oidc as Settings};
use crate::egress::{Purpose, Resolver};
use crate::model::Role;
use crate::secrets::{Bearer, BearerKind};

/// Where the provider sends people back to, below the public URL.
pub const CALLBACK: &str = "/api/v1/auth/oidc/callback";
/// How long somebody may take at the provider.
pub const LONGEST_SIGN_IN: TimeDelta = TimeDelta::minutes(10);

/// How long one request to the provider may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(10);
/// Bytes of an answer of the provider; keys and metadata are some kilobytes.
const ANSWER_MAX: usize = 1024 * 1024;
/// How much the provider's clock may be ahead.
const CLOCK_AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Algorithms with a public key. Anybody who has the client's secret could sign with the others, and `none` is no
/// signature.
const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
];

/// Claims that OpenID Connect does not know, such as groups.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OtherClaims {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for OtherClaims {}

type Claims = IdTokenClaims<OtherClaims, CoreGenderClaim>;
type Fields = IdTokenFields<
    OtherClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    Algorithm,
>;
type Client = openidconnect::Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why somebody was not signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The provider cannot be reached, or does not answer as providers do. It may later.
    Provider(String),
    /// What came back is not what was asked for: it is too old, belongs to another browser, or is forged.
    Answer(String),
    /// The provider knows them, and no value of the claim gives a role.
    NoRole,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(why) => write!(f, "the identity provider failed: {why}"),
            Self::Answer(why) => write!(f, "the answer of the identity provider is not accepted: {why}"),
            Self::NoRole => f.write_str("the identity provider gives this user no role here"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Who signed in, by the provider's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// The user's id there, which never changes and is never given to another one.
    pub subject: String,
    /// What the user is called there: a name, an address, or the id. Not unique, and the user may change it.
    pub login: String,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may restore.
    pub restorer: bool,
}

/// A sign-in that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Where to send the browser.
    pub url: String,
    /// What the browser keeps for [`Oidc::finish`], in a cookie of [`LONGEST_SIGN_IN`].
    pub kept: Bearer,
}

/// Signing in through a provider.
pub struct Oidc {
    settings: Settings,
    issuer: IssuerUrl,
    client: ClientId,
    secret: Option<ClientSecret>,
    redirect: RedirectUrl,
    http: Http,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oidc({})", self.issuer.as_str())
    }
}

impl Oidc {
    /// The provider of the configuration, if it names one.
    ///
    /// # Errors
    /// `SR-USAGE`: the issuer is no URL, or the file with the client's secret cannot be read.
    pub fn of(config: &Config) -> Result<Option<Self>> {
        let settings = config.oidc.clone();
        let (Some(issuer), Some(client), Some(public)) =
            (&settings.issuer, &settings.client_id, &config.public_url)
        else {
            return Ok(None);
        };
        let wrong = |key: &str, why: &dyn fmt::Display| {
            Error::new(Code::Usage, format!("`{key}` of the configuration cannot be used: {why}"))
        };
        let callback = format!("{}{CALLBACK}", public.trim_end_matches('/'));
        let egress = Arc::new(config.egress.clone());
        egress.check_url(issuer, Purpose::Storage).map_err(|e| e.context("oidc.issuer"))?;
        Ok(Some(Self {
            issuer: IssuerUrl::new(issuer.clone()).map_err(|e| wrong("oidc.issuer", &e))?,
            client: ClientId::new(client.clone()),
            secret: secret(&settings)?,
            redirect: RedirectUrl::new(callback).map_err(|e| wrong("public_url", &e))?,
            http: Http::new(egress)?,
            settings,
        }))
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// [`Refusal::Provider`].
    pub async fn begin(&self) -> Result<Begun, Refusal> {
        let kept = Bearer::random(BearerKind::Link).map_err(|e| Refusal::Provider(e.to_string()))?;
        let client = self.client().await?;
        let (state, nonce) = (derived(&kept, "state"), derived(&kept, "nonce"));
        let request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new(state),
            || Nonce::new(nonce),
        );
        let scopes = self.settings.scopes.iter().map(|scope| Scope::new(scope.clone()));
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier(&kept));
        let (url, _, _) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();
        Ok(Begun { url: url.into(), kept })
    }

    /// Ends a sign-in: `code` and `state` are what the provider sent back through the browser, `kept` what the browser
    /// kept.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn finish(
        &self,
        kept: &Bearer,
        code: String,
        state: &str,
        now: DateTime<Utc>,
    ) -> Result<Identity, Refusal> {
        let same =
            constant_time::verify_slices_are_equal(derived(kept, "state").as_bytes(), state.as_bytes());
        same.map_err(|_| Refusal::Answer("it belongs to a sign-in of another browser".into()))?;
        let client = self.client().await?;
        let exchange = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|e| Refusal::Provider(e.to_string()))?
            .set_pkce_verifier(verifier(kept));
        let answer = exchange.request_async(&self.http).await.map_err(|e| Refusal::Answer(words(&e)))?;
        let token = answer.id_token().ok_or_else(|| Refusal::Answer("it holds no identity".into()))?;
        let checks = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now)
            .set_issue_time_verifier_fn(move |issued| {
                if issued > now + CLOCK_AHEAD { Err("it was issued in the future".into()) } else { Ok(()) }
            });
        let nonce = Nonce::new(derived(kept, "nonce"));
        let claims = token.claims(&checks, &nonce).map_err(|e| Refusal::Answer(words(&e)))?;
        self.identity(claims)
    }

    fn identity(&self, claims: &Claims) -> Result<Identity, Refusal> {
        let subject = claims.subject().to_string();
        let name = claims.preferred_username().map(|name| name.to_string());
        let login = name.or_else(|| claims.email().map(|email| email.to_string()));
        let values = values(&claims.additional_claims().all, &self.settings.role_claim);
        let roles = values.iter().filter_map(|value| self.settings.roles.get(*value));
        Ok(Identity {
            issuer: claims.issuer().to_string(),
            login: login.unwrap_or_else(|| subject.clone()),
            subject,
            role: roles.max().copied().ok_or(Refusal::NoRole)?,
            restorer: values.iter().any(|value| self.settings.restorers.iter().any(|named| named == value)),
        })
    }

    /// A client with what the provider says of itself now, its keys too.
    async fn client(&self) -> Result<Client, Refusal> {
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await;
        let found = found.map_err(|e| Refusal::Provider(words(&e)))?;
        let client =
            openidconnect::Client::from_provider_metadata(found, self.client.clone(), self.secret.clone());
        Ok(client.set_redirect_uri(self.redirect.clone()))
    }
}

/// Requests to the provider: where egress allows them, without redirects, bounded in time and size.
struct Http {
    client: reqwest::Client,
    egress: Arc<Egress>,
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Unanswered;
    type Future = BoxFuture<'c, Result<HttpResponse, Unanswered>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        self.send(request).boxed()
    }
}

impl Http {
    fn new(egress: Arc<Egress>) -> Result<Self> {
        // Another part of the program may have chosen it before: it is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(Resolver::new(egress.clone(), Purpose::Storage)))
            .timeout(LONGEST_REQUEST)
            .no_proxy()
            .build()
            .map_err(|e| Error::new(Code::Internal, "no HTTP client can be made").caused_by(e))?;
        Ok(Self { client, egress })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Unanswered> {
        self.egress
            .check_url(&request.uri().to_string(), Purpose::Storage)
            .map_err(|e| Unanswered(e.to_string()))?;
        let request = reqwest::Request::try_from(request).map_err(Unanswered::from)?;
        let mut answer = self.client.execute(request).await?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if body.len() + piece.len() > ANSWER_MAX {
                return Err(Unanswered("the answer is too long".into()));
            }
            body.extend_from_slice(&piece);
        }
        let mut response = HttpResponse::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }
}

/// A request that came to nothing. The URL is left out: it may hold a code.
#[derive(Debug)]
struct Unanswered(String);

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unanswered {}

impl From<reqwest::Error> for Unanswered {
    fn from(error: reqwest::Error) -> Self {
        Self(words(&error.without_url()))
    }
}

fn secret(settings: &Settings) -> Result<Option<ClientSecret>> {
    let text = match (&settings.client_secret, &settings.client_secret_file) {
        (Some(secret), _) => Some(secret.expose().to_owned()),
        (None, Some(path)) => Some(std::fs::read_to_string(path).map_err(|e| {
            let path = path.display();
            Error::new(Code::Usage, format!("`oidc.client_secret_file`: `{path}` cannot be read: {e}"))
                .caused_by(e)
        })?),
        (None, None) => None,
    };
    Ok(text.map(|text| ClientSecret::new(text.trim().to_owned())))
}

/// 43 characters that follow from what the browser keeps, and from which nothing follows.
fn derived(kept: &Bearer, label: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(label.as_bytes());
    context.update(b"\0");
    context.update(kept.expose().as_bytes());
    URL_SAFE_NO_PAD.encode(context.finish())
}

fn verifier(kept: &Bearer) -> PkceCodeVerifier {
    PkceCodeVerifier::new(derived(kept, "verifier"))
}

/// Values of a claim: a text, or a list of texts. `realm_access.roles` names a claim in an object, unless there is a
/// claim of that whole name.
fn values<'a>(claims: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    let found = claims.get(name).or_else(|| {
        let mut parts = name.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    });
    match found {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// An error and its causes in one line. What the provider itself wrote is cut.
fn words(error: &dyn std::error::Error) -> String {
    const LONGEST: usize = 500;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_browser_keeps_gives_values_that_do_not_give_each_other() {
        let (one, other) =
            (Bearer::random(BearerKind::Link).unwrap(), Bearer::random(BearerKind::Link).unwrap());
        assert_eq!(derived(&one, "state"), derived(&one, "state"));
        assert_ne!(derived(&one, "state"), derived(&one, "nonce"));
        assert_ne!(derived(&one, "state"), derived(&other, "state"));
        assert_eq!(derived(&one, "verifier").len(), 43);
    }

    #[test]
    fn a_claim_is_a_text_a_list_or_lies_in_an_object() {
        let claims =
            json!({"groups": ["a", 1, "b"], "role": "c", "realm": {"roles": ["d"]}, "x.y": "e", "n": 1});
        let of = |name: &str| values(claims.as_object().unwrap(), name).join(",");
        assert_eq!(
            [of("groups"), of("role"), of("realm.roles"), of("x.y"), of("n"), of("none.at.all")],
            ["a,b", "c", "d", "e", "", ""]
        );
    }
}

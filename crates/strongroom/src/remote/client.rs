//! Requests and their answers.

use std::error::Error as _;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, COOKIE, ETAG, HeaderMap, HeaderValue, IF_MATCH, RETRY_AFTER, SET_COOKIE,
};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_engine::{Code, Error};

use super::{Address, problem};
use crate::failure::{Failure, Remote, RemoteCode, Result};

/// The largest answer that is read, in bytes. A full page of the API is far smaller.
const ANSWER_MAX: usize = 16 << 20;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a request that may be repeated is sent.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// What keeps a session in a browser; over TLS it has a prefix.
const SESSION_COOKIE: &str = "strongroom_session";

/// What lets a program in. It is not shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Bearer(String);

impl Bearer {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}

/// How a server is trusted and waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'a> {
    /// Certificates that are trusted beside the system's.
    pub(crate) ca_file: Option<&'a Path>,
    /// How long an answer may take, from the first byte of the request to its last.
    pub(crate) longest: Duration,
}

/// A service, and who asks it.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    address: Address,
    who: Who,
    longest: Duration,
}

#[derive(Debug)]
enum Who {
    Nobody,
    Token(Bearer),
    Session(Bearer),
}

/// A request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    if_match: Option<String>,
    key: Option<String>,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), ..Self::default() }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Makes something: sent again with the same key it is done once.
    pub(crate) fn create(path: impl Into<String>, body: Value) -> Self {
        let key = format!("{:032x}", rand::random::<u128>());
        Self { body: Some(body), key: Some(key), ..Self::new(Method::POST, path) }
    }

    pub(crate) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(crate) fn query(mut self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        self.query.extend(value.map(|value| (name, value.into())));
        self
    }

    /// Changes only the version with this tag.
    pub(crate) fn if_match(self, tag: impl Into<String>) -> Self {
        Self { if_match: Some(tag.into()), ..self }
    }

    /// The same, to be asked for something more.
    pub(crate) fn again(&self) -> Self {
        self.clone()
    }

    /// Whether sending it twice does it once.
    fn may_repeat(&self) -> bool {
        self.method.is_safe() || self.key.is_some()
    }
}

/// An answer that says yes.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The JSON; null if there is none.
    pub(crate) value: Value,
    /// The version, as `If-Match` wants it.
    pub(crate) tag: Option<String>,
    session: Option<Bearer>,
}

impl Client {
    /// A client without a token yet.
    pub(crate) fn new(address: Address, limits: Limits<'_>) -> Result<Self> {
        // Another part of the program may have chosen it before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")));
        if address.is_plain() {
            // A proxy would read the token.
            builder = builder.no_proxy();
        }
        if let Some(path) = limits.ca_file {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        let http = builder
            .build()
            .map_err(|e| Error::new(Code::Internal, "HTTPS cannot be set up").caused_by(e.without_url()))?;
        Ok(Self { http, address, who: Who::Nobody, longest: limits.longest })
    }

    /// The same, as the owner of a token.
    pub(crate) fn with_token(self, token: Bearer) -> Self {
        Self { who: Who::Token(token), ..self }
    }

    /// The same, with the session that an answer began.
    pub(crate) fn with_session_of(self, answer: &Answer) -> Result<Self> {
        let missing = || Remote::new(RemoteCode::Answer, "the server signed in and began no session");
        let session = answer.session.clone().ok_or_else(missing)?;
        Ok(Self { who: Who::Session(session), ..self })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// What the service answers. What may be repeated is sent again when nobody answers.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answer> {
        let mut tried = 1;
        loop {
            let answered = tokio::time::timeout(self.longest, self.once(&ask));
            let answered = answered.await.unwrap_or_else(|_| Err(too_slow(self.longest)));
            match answered {
                Err(remote) if tried < TRIES && ask.may_repeat() && passes(&remote) => {
                    tokio::time::sleep(PAUSE * tried).await;
                    tried += 1;
                }
                answered => return answered.map_err(Failure::from),
            }
        }
    }

    async fn once(&self, ask: &Ask) -> Result<Answer, Remote> {
        let mut request = self.http.request(ask.method.clone(), self.address.join(&ask.path));
        request = request.query(&ask.query).headers(self.headers(ask)?);
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|e| self.unreachable(e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.bounded(response).await?;
        if !status.is_success() {
            let retry_after = text(&headers, RETRY_AFTER.as_str()).and_then(|text| text.parse().ok());
            return Err(problem::failure(status, retry_after, &body));
        }
        Ok(Answer {
            value: json(status, &body)?,
            tag: text(&headers, ETAG.as_str()).map(str::to_owned),
            session: session(&headers),
        })
    }

    /// An answer without an end, which is read as it comes. The server may be silent for so long.
    pub(super) async fn stream(&self, ask: &Ask, last: Option<&str>) -> Result<Response, Remote> {
        let mut request = self.http.request(ask.method.clone(), self.address.join(&ask.path));
        request = request.query(&ask.query).headers(self.headers(ask)?).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let sent = tokio::time::timeout(self.longest, request.send()).await;
        let response = sent.map_err(|_| too_slow(self.longest))?.map_err(|e| self.unreachable(e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = tokio::time::timeout(self.longest, self.bounded(response)).await;
        Err(problem::failure(status, None, &body.unwrap_or(Ok(Vec::new()))?))
    }

    fn headers(&self, ask: &Ask) -> Result<HeaderMap, Remote> {
        let mut headers = HeaderMap::new();
        let value = |text: &str| {
            let wrong =
                |_| Remote::new(RemoteCode::Engine(Code::Usage), "the token holds what no token holds");
            HeaderValue::from_str(text).map_err(wrong)
        };
        match &self.who {
            Who::Nobody => {}
            Who::Token(token) => {
                let mut value = value(&format!("Bearer {}", token.expose()))?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            Who::Session(session) => {
                let mut value = value(session.expose())?;
                value.set_sensitive(true);
                headers.insert(COOKIE, value);
                // A person's own hand and no page of another site, as a browser would say it.
                headers.insert("sec-fetch-site", HeaderValue::from_static("none"));
            }
        }
        if let Some(tag) = &ask.if_match {
            headers.insert(IF_MATCH, value(tag)?);
        }
        if let Some(key) = &ask.key {
            headers.insert("idempotency-key", value(key)?);
        }
        Ok(headers)
    }

    async fn bounded(&self, mut response: Response) -> Result<Vec<u8>, Remote> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(e))? {
            if body.len() + chunk.len() > ANSWER_MAX {
                let message = format!("the answer is larger than {} MiB", ANSWER_MAX >> 20);
                return Err(Remote::new(RemoteCode::Answer, message)
                    .help("Check the address: no service of Strongroom answers so much."));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    pub(super) fn unreachable(&self, error: reqwest::Error) -> Remote {
        let error = error.without_url();
        let mut causes = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        let message = format!("the service at {} cannot be reached", self.address);
        Remote::new(RemoteCode::Unreachable, message)
            .caused_by(causes)
            .help("Check the address, and that `strongroom serve` runs there. For a certificate of your own use --ca-file.")
    }
}

fn too_slow(longest: Duration) -> Remote {
    let message = format!("the service did not answer within {} s", longest.as_secs());
    Remote::new(RemoteCode::Unreachable, message).help("Try again later, or wait longer with --timeout.")
}

/// Whether the same request may go well a moment later.
fn passes(remote: &Remote) -> bool {
    use strongroom_service::control::ServiceCode;
    matches!(remote.code, RemoteCode::Unreachable | RemoteCode::Service(ServiceCode::Unavailable))
        && !remote.causes.iter().any(|cause| cause.contains("certificate"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn json(status: StatusCode, body: &[u8]) -> Result<Value, Remote> {
    if status == StatusCode::NO_CONTENT || body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|_| {
        Remote::new(RemoteCode::Answer, "the answer is not JSON")
            .help("Check the address, and what stands before the service.")
    })
}

/// The cookie of the session that an answer began, as it is sent back.
fn session(headers: &HeaderMap) -> Option<Bearer> {
    let cookies = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.filter_map(|cookie| cookie.split(';').next());
    pairs
        .filter(|pair| pair.split('=').next().is_some_and(|name| name.trim().ends_with(SESSION_COOKIE)))
        .map(|pair| Bearer::new(pair.trim().into()))
        .next()
}

fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let shown = path.display();
    let read = std::fs::read(path).map_err(|e| {
        Error::new(Code::Usage, format!("the certificates cannot be read from `{shown}`: {e}"))
    })?;
    let found = Certificate::from_pem_bundle(&read).ok().filter(|found| !found.is_empty());
    Ok(found.ok_or_else(|| {
        Error::new(Code::Usage, format!("`{shown}` holds no certificates"))
            .help("Give a file in PEM form, with lines that begin with -----BEGIN CERTIFICATE-----.")
    })?)
}

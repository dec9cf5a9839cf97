//! The endpoint: connections, and what is answered before and after the protocol itself.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::Body;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::access::Guard;
use crate::account::{AccessKey, Account};
use crate::api::Api;
use crate::buckets::{Buckets, Versioning};
use crate::decisions::{Decisions, Judged};
use crate::features::Feature;
use crate::state::{Peer, State};
use crate::tls;

/// Connections served at once; more wait.
const CONNECTIONS_MAX: usize = 512;
/// How long a connection may take to say its first byte, and then to agree on TLS.
const GREETING_MAX: Duration = Duration::from_secs(30);
/// How far a request's date may be off (Amazon S3 API Reference, "RequestTimeTooSkewed").
const SKEW_MAX: Duration = Duration::from_secs(15 * 60);

/// Where bytes are kept.
#[derive(Debug, Clone, Default)]
pub enum Data {
    /// In memory.
    #[default]
    Memory,
    /// In files of this folder.
    Folder(PathBuf),
}

/// What to start.
#[derive(Debug)]
pub struct Builder {
    account: String,
    region: String,
    data: Data,
    secure_transport: bool,
    reports_encryption: bool,
    missing: Vec<Feature>,
    missing_key_is_prefix: bool,
    object_bytes_max: u64,
}

impl Builder {
    /// The region that all buckets lie in. Default: `us-east-1`.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = region.into();
        self
    }

    /// Where bytes are kept. Default: in memory.
    #[must_use]
    pub fn data(mut self, data: Data) -> Self {
        self.data = data;
        self
    }

    /// Whether plain requests count as sent over TLS too, as behind a proxy that ends TLS. Default: no.
    #[must_use]
    pub fn secure_transport(mut self, secure: bool) -> Self {
        self.secure_transport = secure;
        self
    }

    /// Whether answers report encryption. Default: yes. Some S3-compatible servers do not.
    #[must_use]
    pub fn reports_encryption(mut self, reports: bool) -> Self {
        self.reports_encryption = reports;
        self
    }

    /// Leaves something out that not every S3-compatible server has. Default: all is there.
    #[must_use]
    pub fn without(mut self, feature: Feature) -> Self {
        if feature == Feature::EncryptionReports {
            self.reports_encryption = false;
        }
        if !self.missing.contains(&feature) {
            self.missing.push(feature);
        }
        self
    }

    /// Whether the key of an object that is not there counts as `s3:prefix` when it is judged whether the caller may list,
    /// and so be told 404. Default: no, so one who may list below a prefix only is told 403. Both kinds of server exist,
    /// Ceph before and after 2026 for example.
    #[must_use]
    pub fn missing_key_is_prefix(mut self, is_prefix: bool) -> Self {
        self.missing_key_is_prefix = is_prefix;
        self
    }

    /// The longest object that is taken. Default: 5 GiB, as in Amazon S3.
    #[must_use]
    pub fn object_bytes_max(mut self, bytes: u64) -> Self {
        self.object_bytes_max = bytes;
        self
    }

    /// Starts the endpoint on a free port of 127.0.0.1. Needs a Tokio runtime.
    ///
    /// # Errors
    /// As the port cannot be bound, the folder or the certificate cannot be made.
    pub async fn start(self) -> io::Result<Sandbox> {
        let folder = match self.data {
            Data::Memory => None,
            Data::Folder(folder) => {
                std::fs::create_dir_all(&folder)?;
                Some(folder)
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (tls, certificate) = tls::make()?;
        let state = Arc::new(State {
            account: Account::new(&self.account),
            others: Mutex::default(),
            region: self.region,
            folder,
            secure_transport: self.secure_transport,
            reports_encryption: self.reports_encryption,
            missing: self.missing,
            missing_key_is_prefix: self.missing_key_is_prefix,
            object_bytes_max: self.object_bytes_max,
            buckets: Buckets::default(),
            decisions: Decisions::default(),
            clock_offset_seconds: AtomicI64::new(0),
            ignores_policies: AtomicBool::new(false),
        });
        let mut service = S3ServiceBuilder::new(Api(state.clone()));
        service.set_auth(Guard(state.clone()));
        service.set_access(Guard(state.clone()));
        let endpoint = Endpoint { service: service.build(), state: state.clone(), tls };
        let server = tokio::spawn(accept(listener, endpoint));
        let owner = state.account.create_root_access_key();
        Ok(Sandbox { address, state, owner, certificate, server })
    }
}

/// A running endpoint. Dropped, it is gone with all that it holds.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    state: Arc<State>,
    owner: AccessKey,
    certificate: String,
    server: JoinHandle<()>,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Sandbox {
    /// What to start, with Amazon S3's defaults.
    #[must_use]
    pub fn builder() -> Builder {
        const OBJECT_BYTES_MAX: u64 = 5 << 30;
        Builder {
            account: "111122223333".into(),
            region: "us-east-1".into(),
            data: Data::Memory,
            secure_transport: false,
            reports_encryption: true,
            missing: Vec::new(),
            missing_key_is_prefix: false,
            object_bytes_max: OBJECT_BYTES_MAX,
        }
    }

    /// Where it is, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same port over TLS, such as `https://127.0.0.1:40123`; its certificate is
    /// [`certificate_pem`](Self::certificate_pem).
    #[must_use]
    pub fn tls_endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate to trust, in PEM. It is made anew at every start and speaks for 127.0.0.1 and localhost.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The region of its buckets.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.state.region
    }

    /// The account that owns everything in it.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.state.account
    }

    /// Another account, with users and roles whose keys are known here but who own nothing: what they may do, the
    /// bucket's policy and their own must both allow. It is made when it is first asked for.
    #[must_use]
    pub fn other_account(&self, id: &str) -> Account {
        if id == self.state.account.id() {
            return self.state.account.clone();
        }
        self.state.others(|others| others.entry(id.into()).or_insert_with(|| Account::new(id)).clone())
    }

    /// A key of the account's root user.
    #[must_use]
    pub fn owner(&self) -> &AccessKey {
        &self.owner
    }

    /// Makes a bucket, as its owner would in the console. Whether it was not there before.
    pub fn create_bucket(&self, name: &str) -> bool {
        let bucket = self.state.new_bucket();
        self.state.buckets.with(|buckets| match buckets.contains_key(name) {
            true => false,
            false => buckets.insert(name.into(), bucket).is_none(),
        })
    }

    /// Switches versions on for a bucket. Whether it is there.
    pub fn enable_versioning(&self, bucket: &str) -> bool {
        self.state.buckets.with(|buckets| match buckets.get_mut(bucket) {
            Some(bucket) => {
                bucket.versioning = Versioning::Enabled;
                true
            }
            None => false,
        })
    }

    /// Every decision so far (the last ten thousand).
    #[must_use]
    pub fn decisions(&self) -> Vec<Judged> {
        self.state.decisions.all()
    }

    /// How many requests of each operation came.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.state.decisions.counts()
    }

    /// Calls `ring` when so many more requests have come, before the last of them is worked on.
    pub fn at_request(&self, number: u64, ring: impl FnOnce() + Send + 'static) {
        self.state.decisions.at(number, Box::new(ring));
    }

    /// Everything that a bucket holds: keys of versions and delete markers with their ids, and of unfinished uploads.
    #[must_use]
    pub fn contents(&self, bucket: &str) -> Vec<String> {
        self.state.buckets.with(|buckets| {
            let Some(bucket) = buckets.get(bucket) else { return Vec::new() };
            let versions = bucket.objects.iter().flat_map(|(key, versions)| {
                versions.iter().map(move |version| format!("{key} (version {})", version.id))
            });
            let uploads = bucket.uploads.values().map(|upload| format!("{} (upload)", upload.key));
            versions.chain(uploads).collect()
        })
    }

    /// Bytes of all versions in a bucket, as a bill would count them.
    #[must_use]
    pub fn stored_bytes(&self, bucket: &str) -> u64 {
        self.state.buckets.stored_bytes(bucket)
    }

    /// Sets the endpoint's clock ahead (or behind, if negative) by so many seconds.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state.clock_offset_seconds.store(seconds, Ordering::Relaxed);
    }

    /// Whether every request with a valid signature is allowed, whatever policies say: an endpoint that enforces
    /// nothing.
    pub fn ignore_policies(&self, ignore: bool) {
        self.state.ignores_policies.store(ignore, Ordering::Relaxed);
    }

    /// Changes the bytes of an object where they are stored, as a failing disk does. Whether it is there.
    pub fn damage(&self, bucket: &str, key: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.state.buckets.with(|buckets| {
            let versions = buckets.get_mut(bucket).and_then(|bucket| bucket.objects.get_mut(key));
            let content = versions.and_then(|versions| versions.last_mut()?.content.as_mut());
            let Some(content) = content else { return false };
            let Ok(bytes) = content.blob.read() else { return false };
            let mut bytes = bytes.to_vec();
            change(&mut bytes);
            content.blob = crate::buckets::Blob::Memory(bytes.into());
            true
        })
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Endpoint {
    service: S3Service,
    state: Arc<State>,
    tls: TlsAcceptor,
}

async fn accept(listener: TcpListener, endpoint: Endpoint) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else { continue };
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            // A connection that breaks is the client's news, not the server's.
            let _ = connect(stream, peer.ip(), endpoint).await;
            drop(permit);
        });
    }
}

/// Serves a connection, over TLS if it begins so.
async fn connect(stream: TcpStream, address: IpAddr, endpoint: Endpoint) -> io::Result<()> {
    if !timeout(GREETING_MAX, tls::begins(&stream)).await?? {
        serve(stream, Peer { address, secure: endpoint.state.secure_transport }, endpoint).await;
        return Ok(());
    }
    let stream = timeout(GREETING_MAX, endpoint.tls.accept(stream)).await??;
    serve(stream, Peer { address, secure: true }, endpoint).await;
    Ok(())
}

async fn serve<S>(stream: S, peer: Peer, endpoint: Endpoint)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request: Request<Incoming>| {
        let Endpoint { service, state, .. } = endpoint.clone();
        async move { Ok::<_, Infallible>(answer(request, peer, &service, &state).await) }
    });
    // As above.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

async fn answer(
    mut request: Request<Incoming>,
    peer: Peer,
    service: &S3Service,
    state: &State,
) -> Response<Body> {
    request.extensions_mut().insert(peer);
    let bucket =
        request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
    let known = |state: &State| state.buckets.with(|buckets| buckets.contains_key(&bucket));
    let mut response = match refusal(&request, known(state), state) {
        Some(refusal) => refusal,
        None => match service.call(request.map(Body::from)).await {
            Ok(response) => response,
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        },
    };
    // The region of a bucket that exists is no secret, whatever else is refused.
    if known(state)
        && let Ok(region) = HeaderValue::from_str(&state.region)
    {
        response.headers_mut().insert("x-amz-bucket-region", region);
    }
    let now: DateTime<Utc> = state.now().into();
    if let Ok(date) = HeaderValue::from_str(&now.format("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
        response.headers_mut().insert("date", date);
    }
    response
}

/// What is wrong with a signature's region or date, before it is looked at more closely.
fn refusal(request: &Request<Incoming>, exists: bool, state: &State) -> Option<Response<Body>> {
    let header = |name| request.headers().get(name)?.to_str().ok();
    // A bucket that does not exist lies in no region.
    if !exists {
        return None;
    }
    let signed_for = header("authorization")?.split_once("Credential=")?.1.split('/').nth(2)?;
    if signed_for != state.region {
        let message = format!(
            "The authorization header is malformed; the region '{signed_for}' is wrong; expecting '{}'",
            state.region
        );
        let more = format!("<Region>{}</Region>", state.region);
        return Some(error(StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed", &message, &more));
    }
    let sent = NaiveDateTime::parse_from_str(header("x-amz-date")?, "%Y%m%dT%H%M%SZ").ok()?.and_utc();
    let now: DateTime<Utc> = state.now().into();
    if (now - sent).abs().to_std().is_ok_and(|skew| skew > SKEW_MAX) {
        let message = "The difference between the request time and the current time is too large.";
        return Some(error(StatusCode::FORBIDDEN, "RequestTimeTooSkewed", message, ""));
    }
    None
}

fn error(status: StatusCode, code: &str, message: &str, more: &str) -> Response<Body> {
    plain(
        status,
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"#
        ),
    )
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/xml"));
    // What is left of the request's body is not read.
    response.headers_mut().insert("connection", HeaderValue::from_static("close"));
    response
}

//! Requests that a backup never makes: those that a locked bucket has to refuse, and those that show that it does
//! not refuse too much. The answer is given back as it came.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, ObjectCannedAcl, ServerSideEncryption};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::failure::{Failure, SdkFailure};
use super::s3::{sse_headers, version};
use super::{Checksum, Sse, StoreOptions, session};
use crate::error::Result;

/// How a request differs from one of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oddity {
    /// The encryption to ask for.
    pub sse: Sse,
    /// A key of the client's own (SSE-C).
    pub customer_key: bool,
    /// Without `If-None-Match: *`.
    pub overwrites: bool,
    /// A canned ACL, such as `public-read`.
    pub acl: Option<&'static str>,
    /// The account that the request expects as the bucket's owner.
    pub expected_owner: Option<String>,
    /// Another checksum than the one that was chosen.
    pub checksum: Option<Checksum>,
}

/// Over which connection, and signed by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As every other request.
    Usual,
    /// The same over plain HTTP.
    PlainHttp,
    /// Without a signature.
    Anonymous,
}

/// What came of a request: only what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The server did it.
    Done(Done),
    /// The server answered with an error.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error's name; empty where the answer has none.
        code: String,
        /// What the server said.
        message: String,
    },
    /// No answer came, for this reason.
    Silence(String),
}

/// What the answer to a request that was done says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// The encryption that the answer reports.
    pub encryption: Option<String>,
    /// The version that was made or read.
    pub version_id: Option<String>,
    /// What a further request needs: the id of an upload, the bytes of an object.
    pub more: Option<String>,
}

impl Answer {
    /// What the answer says, where the request was done.
    #[must_use]
    pub fn done(&self) -> Option<&Done> {
        match self {
            Self::Done(done) => Some(done),
            Self::Error { .. } | Self::Silence(_) => None,
        }
    }

    /// Whether it was refused, and not merely failed.
    #[must_use]
    pub fn refused(&self) -> bool {
        matches!(self, Self::Error { status, code, .. } if matches!(status, 401 | 403 | 405)
            || matches!(code.as_str(), "AccessDenied" | "AccessControlListNotSupported"))
    }

    /// Whether the server does not know such a request.
    #[must_use]
    pub fn not_offered(&self) -> bool {
        matches!(self, Self::Error { status, code, .. } if *status == 501
            || matches!(code.as_str(), "NotImplemented" | "UnsupportedOperation"))
    }

    /// The HTTP status of an error.
    #[must_use]
    pub fn error_status(&self) -> Option<u16> {
        match self {
            Self::Error { status, .. } => Some(*status),
            Self::Done(_) | Self::Silence(_) => None,
        }
    }
}

fn failed<E: SdkFailure>(error: &SdkError<E>) -> Answer {
    let failure = Failure::of(error);
    let message = failure.message().to_owned();
    match failure.status() {
        Some(status) => Answer::Error { status, code: failure.code().into(), message },
        None => Answer::Silence(message),
    }
}

fn done(encryption: Option<&ServerSideEncryption>, version_id: Option<&str>) -> Answer {
    Answer::Done(Done {
        encryption: encryption.map(|sse| sse.as_str().to_owned()),
        version_id: version(version_id),
        more: None,
    })
}

/// One who asks, in one bucket.
#[derive(Debug)]
pub struct Prober {
    bucket: String,
    usual: Client,
    plain: Option<Client>,
    anonymous: Client,
    /// The server, where it is not Amazon's.
    endpoint: Option<String>,
    region: String,
    checksum: Checksum,
}

/// Any key will do: nothing is kept that is encrypted with it.
const CUSTOMER_KEY: [u8; 32] = [0x53; 32];

impl Prober {
    /// Opens the bucket in its region.
    ///
    /// # Errors
    /// [`Code::Usage`](crate::error::Code::Usage) when the options name what cannot be used.
    pub async fn open(bucket: &str, options: &StoreOptions) -> Result<Self> {
        let mut shared = impatient(&session::shared(options, None).await?);
        let client = session::s3(options, &shared);
        // Whatever the answer is, it tells the region.
        let region = match client.list_objects_v2().bucket(bucket).max_keys(0).send().await {
            Ok(_) => None,
            Err(error) => Failure::of(&error).bucket_region().map(str::to_owned),
        };
        if let Some(region) = region {
            shared = shared.into_builder().region(Region::new(region)).build();
        }
        let endpoint = session::endpoint(options, &shared);
        let region = shared.region().map_or(super::environment::FIRST_REGION, AsRef::as_ref).to_owned();
        Ok(Self {
            bucket: bucket.into(),
            usual: session::s3(options, &shared),
            plain: plain(options, &shared, endpoint.as_deref(), &region),
            anonymous: anonymous(options, &shared),
            endpoint,
            region,
            checksum: options.checksum,
        })
    }

    /// The server's URL, where it is not Amazon's.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The checksum that goes with each object.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// The bucket's region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether the server is reached over TLS, so that a request over plain HTTP is another one.
    #[must_use]
    pub fn has_plain_http(&self) -> bool {
        self.plain.is_some()
    }

    fn client(&self, way: Way) -> &Client {
        match way {
            Way::Usual => &self.usual,
            Way::PlainHttp => self.plain.as_ref().unwrap_or(&self.usual),
            Way::Anonymous => &self.anonymous,
        }
    }

    /// Writes a small object.
    pub async fn put(&self, way: Way, key: &str, body: &[u8], odd: &Oddity) -> Answer {
        let (sse, kms_key) = sse_headers(&odd.sse);
        let checksum = odd.checksum.unwrap_or(self.checksum);
        let customer = odd.customer_key.then(customer_key);
        let put =
            self.client(way).put_object().bucket(&self.bucket).key(key).body(ByteStream::from(body.to_vec()));
        let put = put
            .set_checksum_sha256(checksum.sha256(&crate::hash::sha256(body)))
            .set_content_md5(checksum.md5(body))
            .set_server_side_encryption(sse)
            .set_ssekms_key_id(kms_key)
            .set_sse_customer_algorithm(customer.as_ref().map(|_| "AES256".to_owned()))
            .set_sse_customer_key(customer.as_ref().map(|(key, _)| key.clone()))
            .set_sse_customer_key_md5(customer.map(|(_, md5)| md5))
            .set_if_none_match((!odd.overwrites).then(|| "*".to_owned()))
            .set_acl(odd.acl.map(ObjectCannedAcl::from))
            .set_expected_bucket_owner(odd.expected_owner.clone());
        match put.send().await {
            // S3 always sends an ETag: a proxy that says yes to everything does not.
            Ok(answer) if answer.e_tag().is_none() => Answer::Silence("an answer that is not S3's".into()),
            Ok(answer) => done(answer.server_side_encryption(), answer.version_id()),
            Err(error) => failed(&error),
        }
    }

    /// Reads an object, by version where one is given.
    pub async fn get(&self, way: Way, key: &str, version_id: Option<&str>) -> Answer {
        let get = self
            .client(way)
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .set_version_id(version_id.map(str::to_owned));
        match get.send().await {
            Ok(answer) => {
                let encryption = answer.server_side_encryption().map(|sse| sse.as_str().to_owned());
                let version_id = version(answer.version_id());
                match answer.body.collect().await {
                    Ok(body) => {
                        let more = Some(String::from_utf8_lossy(&body.into_bytes()).into_owned());
                        Answer::Done(Done { encryption, version_id, more })
                    }
                    Err(error) => Answer::Silence(error.to_string()),
                }
            }
            Err(error) => failed(&error),
        }
    }

    /// Lists below a prefix.
    pub async fn list(&self, way: Way, prefix: &str) -> Answer {
        match self.client(way).list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(1).send().await
        {
            Ok(_) => Answer::Done(Done::default()),
            Err(error) => failed(&error),
        }
    }

    /// Deletes an object, or one version of it.
    pub async fn delete(&self, key: &str, version_id: Option<&str>) -> Answer {
        let delete = self
            .usual
            .delete_object()
            .bucket(&self.bucket)
            .key(key)
            .set_version_id(version_id.map(str::to_owned));
        match delete.send().await {
            Ok(answer) => done(None, answer.version_id()),
            Err(error) => failed(&error),
        }
    }

    /// The versions and delete markers of one key; none where they may not be listed.
    pub async fn versions(&self, key: &str) -> Option<Vec<Option<String>>> {
        let listed = self.usual.list_object_versions().bucket(&self.bucket).prefix(key).send().await.ok()?;
        let versions = listed.versions().iter().map(|of| (of.key(), of.version_id()));
        let markers = listed.delete_markers().iter().map(|of| (of.key(), of.version_id()));
        Some(versions.chain(markers).filter(|(of, _)| *of == Some(key)).map(|(_, id)| version(id)).collect())
    }

    /// Makes an object public, or tries to.
    pub async fn publish(&self, key: &str) -> Answer {
        match self
            .usual
            .put_object_acl()
            .bucket(&self.bucket)
            .key(key)
            .acl(ObjectCannedAcl::PublicRead)
            .send()
            .await
        {
            Ok(_) => Answer::Done(Done::default()),
            Err(error) => failed(&error),
        }
    }

    /// Begins an upload in parts.
    pub async fn begin_upload(&self, key: &str, sse: &Sse) -> Answer {
        let (sse, kms_key) = sse_headers(sse);
        let begin = self.usual.create_multipart_upload().bucket(&self.bucket).key(key);
        match begin.set_server_side_encryption(sse).set_ssekms_key_id(kms_key).send().await {
            Ok(answer) => Answer::Done(Done {
                encryption: answer.server_side_encryption().map(|sse| sse.as_str().to_owned()),
                version_id: None,
                more: answer.upload_id().map(str::to_owned),
            }),
            Err(error) => failed(&error),
        }
    }

    /// Sends one part, and ends the upload.
    pub async fn end_upload(&self, key: &str, upload: &str, body: &[u8]) -> Answer {
        let part = self.usual.upload_part().bucket(&self.bucket).key(key).upload_id(upload).part_number(1);
        let part = match part.body(ByteStream::from(body.to_vec())).send().await {
            Ok(part) => {
                CompletedPart::builder().part_number(1).set_e_tag(part.e_tag().map(str::to_owned)).build()
            }
            Err(error) => return failed(&error),
        };
        let parts = CompletedMultipartUpload::builder().parts(part).build();
        let end = self.usual.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
        match end.if_none_match("*").multipart_upload(parts).send().await {
            Ok(answer) => done(answer.server_side_encryption(), answer.version_id()),
            Err(error) => failed(&error),
        }
    }

    /// Gives an upload up.
    pub async fn abort_upload(&self, key: &str, upload: &str) -> Answer {
        match self.usual.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload).send().await
        {
            Ok(_) => Answer::Done(Done::default()),
            Err(error) => failed(&error),
        }
    }
}

/// A probe asks twice at most, so that one lost connection is no finding, and waits a minute at most.
fn impatient(shared: &SdkConfig) -> SdkConfig {
    const LONGEST: Duration = Duration::from_secs(60);
    let timeouts = shared
        .timeout_config()
        .cloned()
        .map_or_else(TimeoutConfig::builder, |timeouts| timeouts.to_builder());
    let retry = RetryConfig::standard().with_max_attempts(2);
    shared
        .clone()
        .into_builder()
        .retry_config(retry)
        .timeout_config(timeouts.operation_timeout(LONGEST).build())
        .build()
}

/// The same server over plain HTTP; none where it speaks nothing else.
fn plain(options: &StoreOptions, shared: &SdkConfig, endpoint: Option<&str>, region: &str) -> Option<Client> {
    let url = match endpoint {
        Some(endpoint) => format!("http://{}", endpoint.strip_prefix("https://")?),
        None => format!("http://s3.{region}.amazonaws.com"),
    };
    // Said to this client itself, it goes before what the environment says.
    let config = session::s3(options, shared).config().to_builder().endpoint_url(url);
    Some(Client::from_conf(config.build()))
}

/// Signed by nobody.
fn anonymous(options: &StoreOptions, shared: &SdkConfig) -> Client {
    let mut nobody = shared.clone().into_builder();
    nobody.set_credentials_provider(None);
    let config = session::s3(options, &nobody.build()).config().to_builder().allow_no_auth().build();
    Client::from_conf(config)
}

fn customer_key() -> (String, String) {
    use md5::{Digest, Md5};
    (BASE64.encode(CUSTOMER_KEY), BASE64.encode(Md5::digest(CUSTOMER_KEY)))
}

//! A key that another key wraps: what a service encrypts its secrets with, held by AWS KMS. Endpoint, region and
//! credentials come from where every AWS tool takes them.

use aws_sdk_kms::Client;
use aws_sdk_kms::error::SdkError;
use aws_sdk_kms::primitives::Blob;

use super::StoreOptions;
use super::actions::{self, KMS_DECRYPT, Level, Operation, on};
use super::explain::Asked;
use super::failure::{Failure, SdkFailure};
use super::session;
use crate::error::{Code, Error, Result};

const ENCRYPT: Operation = on(Level::Key, "Encrypt", "kms:Encrypt");
/// The same permission as S3 needs; here it is asked for by name.
const DECRYPT: Operation = Operation { name: "Decrypt", ..KMS_DECRYPT };

/// What KMS encrypts at once, in bytes (AWS KMS API Reference, "Encrypt").
pub const PLAINTEXT_BYTES_MAX: usize = 4096;

/// What must be the same when it is unwrapped, and stands in the logs of KMS: names and values, no secrets.
pub type Context<'a> = &'a [(&'a str, &'a str)];

/// Encrypts a few bytes under the key `key_id` (an id, an ARN or an alias), bound to `context`.
///
/// # Errors
/// [`Code::Denied`], [`Code::Encryption`] where the key cannot be used, [`Code::Usage`] for more than
/// [`PLAINTEXT_BYTES_MAX`]; as KMS cannot be reached.
pub async fn wrap(
    options: &StoreOptions,
    key_id: &str,
    plaintext: &[u8],
    context: Context<'_>,
) -> Result<Vec<u8>> {
    if plaintext.is_empty() || plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(Error::new(Code::Usage, format!("KMS wraps 1 to {PLAINTEXT_BYTES_MAX} bytes")));
    }
    let mut asked = client(options).await?.encrypt().key_id(key_id).plaintext(Blob::new(plaintext));
    for (name, value) in context {
        asked = asked.encryption_context(*name, *value);
    }
    let answer = asked.send().await.map_err(|error| explained(&error, ENCRYPT, key_id))?;
    answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| empty(ENCRYPT))
}

/// Decrypts what [`wrap`] gave, under the same key and with the same context.
///
/// # Errors
/// [`Code::Encryption`] where it was not wrapped so, or the key cannot be used; [`Code::Denied`]; as KMS cannot be reached.
pub async fn unwrap(
    options: &StoreOptions,
    key_id: &str,
    wrapped: &[u8],
    context: Context<'_>,
) -> Result<Vec<u8>> {
    let mut asked = client(options).await?.decrypt().key_id(key_id).ciphertext_blob(Blob::new(wrapped));
    for (name, value) in context {
        asked = asked.encryption_context(*name, *value);
    }
    let answer = asked.send().await.map_err(|error| explained(&error, DECRYPT, key_id))?;
    answer.plaintext.map(Blob::into_inner).ok_or_else(|| empty(DECRYPT))
}

async fn client(options: &StoreOptions) -> Result<Client> {
    Ok(Client::new(&session::shared(options, None).await?))
}

fn empty(operation: Operation) -> Error {
    Error::new(Code::StoreHost, format!("{} of KMS answered with nothing", operation.name))
}

fn explained<E: SdkFailure>(error: &SdkError<E>, operation: Operation, key_id: &str) -> Error {
    let failure = Failure::of(error);
    let said = match failure.status() {
        Some(status) => failure.said(status),
        None => failure.why(),
    };
    let cannot = format!("{} with the KMS key `{key_id}` failed: {said}", operation.name);
    match failure.code() {
        "AccessDeniedException" => Error::new(Code::Denied, cannot).help(format!(
            "This statement in the identity's policy allows it, where the key's policy lets the account decide: {}",
            actions::statement(operation.action, "*")
        )),
        "InvalidCiphertextException" | "IncorrectKeyException" => Error::new(Code::Encryption, cannot).help(
            "It was wrapped by another key, or for something else, or was changed since. Name the key that wrapped it.",
        ),
        "NotFoundException" | "DisabledException" | "KMSInvalidStateException" | "InvalidKeyUsageException" => {
            Error::new(Code::Encryption, cannot).help(
                "Check that the key exists in this region, is enabled and not about to be deleted, and is a symmetric \
                 encryption key.",
            )
        }
        _ => {
            let (bucket, prefix, sse, profile, role) = ("", "", None, None, None);
            let asked = Asked { operation, bucket, prefix, key: key_id, sse, profile, role };
            failure.explain(&asked)
        }
    }
}

//! Who signs requests to a location's store, as the API takes it.

use std::path::Path;

use serde_json::{Value, json};
use strongroom_engine::{Code, Error};
use strongroom_service::desired::{DesiredCredentials, SecretFrom};

use super::secret;
use crate::cli::service::CredentialFields;
use crate::failure::Result;

/// What was chosen on the command line; none: nothing was.
pub(super) fn chosen(given: CredentialFields) -> Result<Option<Value>> {
    let CredentialFields { ambient, access_key_id, secret_file, profile, role_arn, external_id } = given;
    let key = match access_key_id {
        Some(id) => Some(json!({ "id": id, "secret": secret_of_key(secret_file.as_deref())? })),
        None => None,
    };
    Ok(match (ambient, profile, role_arn, key) {
        (true, ..) => Some(json!({ "kind": "ambient" })),
        (_, Some(name), ..) => Some(json!({ "kind": "profile", "name": name })),
        (_, _, Some(arn), key) => {
            Some(json!({ "kind": "role", "arn": arn, "external_id": external_id, "key": key }))
        }
        (_, _, _, Some(key)) => Some(json!({ "kind": "key", "id": key["id"], "secret": key["secret"] })),
        _ => None,
    })
}

/// The secret of an access key; null: the one that is stored stays.
fn secret_of_key(file: Option<&Path>) -> Result<Option<String>> {
    match file {
        Some(path) => secret(path, "the secret of the access key").map(Some),
        None => Ok(std::env::var("STRONGROOM_SECRET").ok().filter(|secret| !secret.is_empty())),
    }
}

/// Credentials from a file, with secrets by reference as in a file for `apply`; `none` takes them away.
pub(super) fn from_file(path: Option<&Path>) -> Result<Option<Value>> {
    let Some(path) = path else { return Ok(None) };
    if path.as_os_str() == "none" {
        return Ok(Some(Value::Null));
    }
    let shown = path.display();
    let wrong = |why: String| {
        Error::new(Code::Usage, format!("the credentials cannot be read from `{shown}`: {why}"))
            .help("Such as: {kind: key, id: AKIA…, secret: {env: NAME}}")
    };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let read = DesiredCredentials::read(&text).map_err(wrong)?;
    Ok(Some(read.body(&mut referred).map_err(wrong)?))
}

/// The secret that a file names.
pub(super) fn referred(from: &SecretFrom) -> Result<String, String> {
    match from {
        SecretFrom::Env(name) => std::env::var(name.as_str())
            .ok()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| format!("the variable `{name}`, which holds a secret, is not set")),
        SecretFrom::File(path) => {
            secret(Path::new(path.as_str()), "a secret").map_err(|failure| failure.message().to_owned())
        }
    }
}

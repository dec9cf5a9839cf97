//! `strongroom key`.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use strongroom_engine::Result;
use strongroom_service::secrets::{KmsKey, put_new_key_first, write_new_key};

use crate::cli::serve::{Key, KeyFile};
use crate::output::Output;

pub(crate) async fn run(command: Key, output: &Output) -> Result<()> {
    let (options, rotated) = match command {
        Key::Generate(options) => (options, false),
        Key::Rotate(options) => (options, true),
    };
    let KeyFile { file, kms_key, profile } = options;
    let kms = kms_key.map(|id| KmsKey { id, profile });
    let made = if rotated {
        put_new_key_first(&file, kms.as_ref()).await?
    } else {
        write_new_key(&file, kms.as_ref()).await?
    };
    let answer = Answer { file, key: made.id().to_string(), rotated };
    output.answer(&answer, &answer)
}

/// What was done.
#[derive(Serialize)]
struct Answer {
    file: PathBuf,
    /// The id of the new key.
    key: String,
    rotated: bool,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, key) = (self.file.display(), &self.key);
        if self.rotated {
            writeln!(f, "put the master key {key} first in {file}")?;
            writeln!(f, "  The running service reads it within a minute, and seals all secrets with it.")?;
            return writeln!(
                f,
                "  Remove the older keys from the file once its log says that they are not needed."
            );
        }
        writeln!(f, "made the master key {key} in {file}")?;
        writeln!(f, "  Keep a copy elsewhere: without it nobody can read the secrets of the service.")
    }
}
